//! A line on the terminal and keys, while a stream runs.

use std::io::Write;
use std::time::Duration;

use ratatui::crossterm::event::{self, Event, KeyCode};
use ratatui::crossterm::terminal;
use upbeat::io::live::StreamSupervisor;

/// Ten times a second shows what `turn` makes of the key that was pressed, if any, and what happens to the stream; until
/// `q` or Escape.
pub(crate) fn steer<E: From<std::io::Error>>(
    supervisor: &StreamSupervisor,
    mut turn: impl FnMut(Option<KeyCode>) -> Result<String, E>,
) -> Result<(), E> {
    terminal::enable_raw_mode()?;
    let mut run = || {
        let mut key = None;
        loop {
            print!("\r\x1b[K{}", turn(key.take())?);
            std::io::stdout().flush()?;
            while let Some(event) = supervisor.event() {
                print!("\r\x1b[K{event:?}\r\n");
            }
            if event::poll(Duration::from_millis(100))?
                && let Event::Key(pressed) = event::read()?
            {
                if matches!(pressed.code, KeyCode::Char('q') | KeyCode::Esc) {
                    return Ok(());
                }
                key = Some(pressed.code);
            }
        }
    };
    let result = run();
    terminal::disable_raw_mode()?;
    println!();
    result
}
