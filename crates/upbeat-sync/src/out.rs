use std::time::Instant;

use upbeat_core::{ConfigError, SampleIndex, SampleRate};

use crate::{Cue, MidiOut, OscOut, StreamClock, SyncError};

/// What a [`SyncOut`] has sent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct SyncStats {
    /// OSC packets.
    pub packets: u64,
    /// OSC packets that the system did not take.
    pub failures: u64,
    /// Beats that were told when their time, nudge included, had come already.
    pub late: u64,
}

/// Tells others what happens in a stream, as far as possible before it does: by OSC, as MIDI clock, or both.
///
/// It is told of [`Cue`]s at sample indices, learns from that how the stream runs against the clock on the wall
/// ([`StreamClock`]), and tells each cue's time to the others, all of them shifted by the same nudge. The stream must
/// be heard in real time.
#[derive(Debug)]
pub struct SyncOut {
    clock: StreamClock,
    origin: Instant,
    nudge: f64,
    osc: Vec<OscOut>,
    midi: Vec<MidiOut>,
    stats: SyncStats,
}

impl SyncOut {
    /// For a stream of this rate; tells nobody yet.
    #[must_use]
    pub fn new(rate: SampleRate) -> Self {
        Self {
            clock: StreamClock::new(rate),
            origin: Instant::now(),
            nudge: 0.0,
            osc: Vec::new(),
            midi: Vec::new(),
            stats: SyncStats::default(),
        }
    }

    /// Tells all by OSC to `HOST:PORT`, too.
    ///
    /// # Errors
    ///
    /// If that is no address, or the system refuses a socket.
    pub fn add_osc(&mut self, target: &str) -> Result<(), SyncError> {
        self.osc.push(OscOut::new(target)?);
        Ok(())
    }

    /// Tells the beats as a MIDI clock, too.
    pub fn add_midi(&mut self, midi: MidiOut) {
        self.midi.push(midi);
    }

    /// Shifts all that is told by so many seconds, from −10 to 10: negative is earlier. Beats are known a quarter of
    /// a second ahead as a rule; shifted by more than that, OSC tells them too late, and the MIDI clock counts on from
    /// those before. 0 before it is called.
    ///
    /// # Errors
    ///
    /// If it is out of range.
    pub fn set_nudge(&mut self, seconds: f64) -> Result<(), ConfigError> {
        let in_range = (-10.0..=10.0).contains(&seconds);
        ConfigError::require(in_range, "nudge", "from -10 to 10 s", seconds)?;
        self.nudge = seconds;
        Ok(())
    }

    /// The stream has been heard up to `heard`, just now. To be called often, a few times a second at least, if
    /// [`tell`](Self::tell) is not.
    pub fn hear(&mut self, heard: SampleIndex) {
        self.clock.hear(heard, self.origin.elapsed().as_secs_f64());
    }

    /// The stream has been heard up to `heard`, just now, and there is something to tell about `at`.
    pub fn tell(&mut self, at: SampleIndex, heard: SampleIndex, cue: &Cue) {
        self.hear(heard);
        let Some(time) = self.clock.time(at) else { return };
        let seconds = time + self.nudge - self.origin.elapsed().as_secs_f64();
        for osc in &mut self.osc {
            match osc.send(cue, seconds) {
                Ok(()) => self.stats.packets += 1,
                Err(_) => self.stats.failures += 1,
            }
        }
        if let Cue::Beat(beat) = cue {
            self.stats.late += u64::from(seconds <= 0.0);
            if let Some(bpm) = beat.bpm {
                self.midi.iter().for_each(|midi| midi.beat(seconds, bpm, beat.bar));
            }
        }
    }

    /// The stream has ended: the MIDI clock stops.
    pub fn finish(&mut self) {
        self.midi.clear();
    }

    /// What was sent.
    #[must_use]
    pub const fn stats(&self) -> SyncStats {
        self.stats
    }

    /// Why the MIDI clock has fallen silent, if it has.
    #[must_use]
    pub fn midi_failure(&self) -> Option<String> {
        self.midi.iter().find_map(MidiOut::failure)
    }
}
