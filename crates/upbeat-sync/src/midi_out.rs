use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::{Bar, MidiClock, MidiClockConfig, SyncError};

/// Plays a [`MidiClock`] on a thread of its own, message by message as they are due.
///
/// How exact that is is up to the system: a thread is woken some 0.1 ms late, and later where the machine is busy. When
/// dropped, it stops the clock.
pub struct MidiOut {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    news: Condvar,
    origin: Instant,
}

struct State {
    clock: MidiClock,
    over: bool,
    failed: Option<String>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> f64 {
        self.origin.elapsed().as_secs_f64()
    }
}

impl MidiOut {
    /// Plays into `send`, which gets the bytes of one message at a time, on the thread, and says why it cannot send
    /// them; then it is not called again.
    ///
    /// # Errors
    ///
    /// If a setting is outside its range, or the system refuses a thread.
    pub fn new(
        config: &MidiClockConfig,
        send: impl FnMut(&[u8]) -> Result<(), String> + Send + 'static,
    ) -> Result<Self, SyncError> {
        let clock = MidiClock::new(config)?;
        let shared = Arc::new(Shared {
            state: Mutex::new(State { clock, over: false, failed: None }),
            news: Condvar::new(),
            origin: Instant::now(),
        });
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("upbeat-midi".into())
            .spawn(move || play(&theirs, send))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Plays to the MIDI output of that name, or to the first whose name contains `port`, whatever the case.
    ///
    /// # Errors
    ///
    /// If there is none (the error lists those there are), it cannot be opened, or the crate was built without the
    /// feature `midi`.
    pub fn open(port: &str, config: &MidiClockConfig) -> Result<Self, SyncError> {
        let mut connection = ports::connect(port)?;
        Self::new(config, move |bytes| ports::send(&mut connection, bytes))
    }

    /// A beat is announced, to happen in `seconds` from now (before now, if negative); as [`MidiClock::beat`].
    pub fn beat(&self, seconds: f64, bpm: f64, bar: Option<Bar>) {
        let now = self.shared.now();
        self.shared.lock().clock.beat(now, now + seconds, bpm, bar);
        self.shared.news.notify_one();
    }

    /// Why nothing is sent any more, if that is so.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.shared.lock().failed.clone()
    }
}

fn play(shared: &Shared, mut send: impl FnMut(&[u8]) -> Result<(), String>) {
    let mut due = Vec::with_capacity(64);
    let mut state = shared.lock();
    while !state.over && state.failed.is_none() {
        state.clock.poll(shared.now(), |_, message| due.push(message));
        if due.is_empty() {
            let next = state.clock.next_due().map_or(1.0, |next| next - shared.now());
            let wait = Duration::from_secs_f64(next.clamp(0.0, 1.0));
            let waited = shared.news.wait_timeout(state, wait);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            continue;
        }
        // Sending may take its time; beats are announced meanwhile.
        drop(state);
        let sent = due.drain(..).try_for_each(|message| {
            let (bytes, length) = message.bytes();
            send(&bytes[..length])
        });
        state = shared.lock();
        state.failed = sent.err();
    }
    if state.failed.is_none() {
        state.clock.stop(shared.now(), |_, message| {
            let (bytes, length) = message.bytes();
            // It was the last; there is nobody left to tell that it failed.
            let _ = send(&bytes[..length]);
        });
    }
}

impl Drop for MidiOut {
    fn drop(&mut self) {
        self.shared.lock().over = true;
        self.shared.news.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for MidiOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MidiOut").field("failure", &self.failure()).finish_non_exhaustive()
    }
}

#[cfg(feature = "midi")]
mod ports {
    use midir::{MidiOutput, MidiOutputConnection};

    use crate::SyncError;

    fn failed(reason: impl std::fmt::Display) -> SyncError {
        SyncError::Midi { reason: reason.to_string() }
    }

    pub(super) fn connect(wanted: &str) -> Result<MidiOutputConnection, SyncError> {
        let output = MidiOutput::new("upbeat").map_err(failed)?;
        let mut ports: Vec<_> = output
            .ports()
            .into_iter()
            .filter_map(|port| output.port_name(&port).ok().map(|name| (name, port)))
            .collect();
        let names: Vec<&str> = ports.iter().map(|(name, _)| name.as_str()).collect();
        let Some(index) = crate::midi_out::choose(wanted, &names) else {
            let found = ports.into_iter().map(|(name, _)| name).collect();
            return Err(SyncError::NoPort { wanted: wanted.into(), found });
        };
        output.connect(&ports.swap_remove(index).1, "clock").map_err(failed)
    }

    pub(super) fn send(connection: &mut MidiOutputConnection, bytes: &[u8]) -> Result<(), String> {
        connection.send(bytes).map_err(|error| error.to_string())
    }
}

#[cfg(not(feature = "midi"))]
mod ports {
    use crate::SyncError;

    /// There are no connections.
    pub(super) enum Connection {}

    pub(super) fn connect(_: &str) -> Result<Connection, SyncError> {
        Err(SyncError::NoMidi)
    }

    pub(super) fn send(connection: &mut Connection, _: &[u8]) -> Result<(), String> {
        match *connection {}
    }
}

/// Which of the names is meant.
#[cfg(any(feature = "midi", test))]
fn choose(wanted: &str, names: &[&str]) -> Option<usize> {
    let contains = |name: &&str| name.to_lowercase().contains(&wanted.to_lowercase());
    names.iter().position(|name| *name == wanted).or_else(|| names.iter().position(contains))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_found_by_its_name_or_a_part_of_it() {
        let names = ["Midi Through:0", "USB Drums 1", "USB Drums"];
        assert_eq!(choose("USB Drums", &names), Some(2));
        assert_eq!(choose("drums", &names), Some(1));
        assert_eq!(choose("piano", &names), None);
    }

    #[test]
    fn without_a_port_the_error_says_what_to_do() {
        let error = MidiOut::open("no such port, surely", &MidiClockConfig::default());
        let error = error.map(|_| ()).expect_err("there is no such port");
        let built_without = matches!(error, SyncError::NoMidi);
        assert_eq!(built_without, !cfg!(feature = "midi"), "{error}");
    }
}
