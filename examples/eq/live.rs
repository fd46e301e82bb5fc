//! From the input to the output, in real time.

use crate::{Failure, Render};

#[cfg(not(feature = "device"))]
pub(crate) fn run(_: &Render) -> Result<(), Failure> {
    Err("sound cards need the feature: cargo run --release --features device --example eq -- --live".into())
}

#[cfg(feature = "device")]
pub(crate) use card::run;

#[cfg(feature = "device")]
mod card {
    use std::io::{IsTerminal, Write};
    use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
    use std::time::Duration;

    use ratatui::crossterm::event::{self, Event, KeyCode};
    use ratatui::crossterm::terminal;
    use upbeat::core::{SampleIndex, SampleRate};
    use upbeat::eq::{AdaptiveConfig, AdaptiveEqualizer, AdaptiveHandle};
    use upbeat::io::StreamFormat;
    use upbeat::io::live::{CardBackend, DuplexConfig, DuplexProcess, StreamSupervisor, Timing};

    use super::{Failure, Render};

    /// The equalizer, made anew for each format, and the handle of the newest.
    struct Process {
        config: AdaptiveConfig,
        equalizer: Option<AdaptiveEqualizer>,
        at: SampleIndex,
        handle: Slot,
    }

    type Slot = Arc<Mutex<Option<AdaptiveHandle>>>;

    impl DuplexProcess for Process {
        fn prepare(&mut self, format: StreamFormat) {
            let Self { config, .. } = self;
            (config.sample_rate, config.channels) = (format.sample_rate(), format.channels());
            let (equalizer, handle) = AdaptiveEqualizer::new(config).ok().unzip();
            self.equalizer = equalizer;
            self.at = SampleIndex(0);
            *lock(&self.handle) = handle;
        }

        fn process(&mut self, interleaved: &mut [f32]) {
            if let Some(equalizer) = &mut self.equalizer {
                equalizer.process_in_place(self.at, interleaved);
                self.at += (interleaved.len() / self.config.channels) as u64;
            }
        }
    }

    pub(crate) fn run(options: &Render) -> Result<(), Failure> {
        let config = options.config(SampleRate::new(48_000)?, 2)?;
        AdaptiveEqualizer::new(&config)?; // words and limits are looked at before any device is
        let slot = Slot::default();
        let process =
            Process { config, equalizer: None, at: SampleIndex(0), handle: Arc::clone(&slot) };
        let supervisor = StreamSupervisor::duplex(
            Arc::new(CardBackend::new()),
            DuplexConfig::default(),
            Timing::default(),
            Box::new(process),
        )?;
        if !supervisor.wait_running(Duration::from_secs(5)) {
            let why = supervisor.status().last_error.map(|error| error.to_string());
            let why =
                why.unwrap_or_else(|| "there is no device, or none that starts within 5 s".into());
            return Err(format!(
                "cannot play from the default input to the default output: {why}; `cargo run --features device \
                 --example devices` lists what there is"
            )
            .into());
        }
        if !std::io::stdout().is_terminal() {
            for _ in 0..5 {
                std::thread::sleep(Duration::from_secs(1));
                println!("{:?}: {}", supervisor.status().state, line(&slot));
            }
            explain(&slot, "\n");
            return Ok(());
        }
        println!("up, down: intensity   f: freeze   b: bypass   e: explain   q: end\n");
        terminal::enable_raw_mode()?;
        let result = steer(&supervisor, &slot, options.intensity);
        terminal::disable_raw_mode()?;
        println!();
        result
    }

    /// Shows what happens and does what keys say, until the end is asked for.
    fn steer(
        supervisor: &StreamSupervisor,
        slot: &Slot,
        mut intensity: f64,
    ) -> Result<(), Failure> {
        let (mut frozen, mut bypassed) = (false, false);
        loop {
            let flags = [(frozen, ", frozen"), (bypassed, ", bypassed")];
            let flags: String = flags.iter().filter(|(on, _)| *on).map(|(_, name)| *name).collect();
            print!("\r\x1b[K{:?}: {}{flags}", supervisor.status().state, line(slot));
            std::io::stdout().flush()?;
            while let Some(event) = supervisor.event() {
                print!("\r\x1b[K{event:?}\r\n");
            }
            if event::poll(Duration::from_millis(100))?
                && let Event::Key(key) = event::read()?
            {
                match key.code {
                    KeyCode::Char('q') | KeyCode::Esc => return Ok(()),
                    KeyCode::Up => intensity = (intensity + 0.1).min(AdaptiveConfig::MAX_INTENSITY),
                    KeyCode::Down => intensity = (intensity - 0.1).max(0.0),
                    KeyCode::Char('f') => frozen = !frozen,
                    KeyCode::Char('b') => bypassed = !bypassed,
                    KeyCode::Char('e') => explain(slot, "\r\n"),
                    _ => {}
                }
                if let Some(handle) = &mut *lock(slot) {
                    handle.set_intensity(intensity)?;
                    handle.set_frozen(frozen);
                    handle.set_bypassed(bypassed);
                }
            }
        }
    }

    /// What is heard and done, on one line.
    fn line(slot: &Slot) -> String {
        let mut handle = lock(slot);
        let Some(status) = handle.as_mut().and_then(AdaptiveHandle::status) else {
            return "nothing came yet".into();
        };
        let Some(heard) = status.heard else {
            return format!("listening ({:.1} s of music)", status.seconds);
        };
        format!(
            "heard {:+.2} dB per octave, applied {:+.2}, {:+.1} dB in loudness",
            heard.tilt(),
            status.applied.tilt(),
            status.louder
        )
    }

    fn explain(slot: &Slot, end: &str) {
        match lock(slot).as_mut().and_then(AdaptiveHandle::explain) {
            Some(why) => print!("\r{}{end}", why.to_string().replace('\n', end)),
            None => print!("\rhalf a second of music is needed to tell its tone{end}"),
        }
    }

    fn lock(slot: &Slot) -> MutexGuard<'_, Option<AdaptiveHandle>> {
        slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
