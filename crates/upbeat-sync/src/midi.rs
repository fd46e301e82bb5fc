use upbeat_core::ConfigError;

use crate::Bar;

/// Pulses of a MIDI clock per beat.
pub const PULSES_PER_BEAT: u32 = 24;

/// A message of MIDI that keeps others in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MidiMessage {
    /// A 24th of a beat has passed.
    Clock,
    /// The next pulse is the first of the song.
    Start,
    /// The next pulse is where the song position says.
    Continue,
    /// No pulses follow.
    Stop,
    /// Where to continue, in sixteenths (6 pulses) since the start, below 2¹⁴.
    SongPosition(u16),
}

impl MidiMessage {
    /// As bytes, of which the first `len` count.
    #[must_use]
    pub const fn bytes(self) -> ([u8; 3], usize) {
        match self {
            Self::Clock => ([0xF8, 0, 0], 1),
            Self::Start => ([0xFA, 0, 0], 1),
            Self::Continue => ([0xFB, 0, 0], 1),
            Self::Stop => ([0xFC, 0, 0], 1),
            Self::SongPosition(n) => ([0xF2, (n & 0x7F) as u8, (n >> 7 & 0x7F) as u8], 3),
        }
    }
}

/// Settings of [`MidiClock`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct MidiClockConfig {
    /// By how much the clock may run faster or slower than the music to come back to its beats, as a share of
    /// the tempo, from 0.01 to 0.5. Default: 0.1.
    pub slew: f64,
    /// How long the clock goes on at the last tempo when no beats are announced any more, in seconds after the last
    /// one, from 0.5 to 600. Default: 4.
    pub hold: f64,
    /// Without a downbeat among so many beats, the clock starts at any, from 0 to 64. Default: 8.
    pub patience: u32,
}

impl Default for MidiClockConfig {
    fn default() -> Self {
        Self { slew: 0.1, hold: 4.0, patience: 8 }
    }
}

/// Turns announced beats into the pulses of a MIDI clock: 24 per beat, and when each is due.
///
/// It knows neither devices nor the time: whoever drives it tells it of beats as they are announced, and asks for what
/// is due. Times are in seconds from any origin, which never go back.
///
/// - **Phase.** The clock has a phase in beats that grows all the time; pulse `k` is due when it is `k / 24`. When a beat
///   is announced for time `T` at a tempo, the phase at `T`, were the clock to go on at that tempo, is off the nearest
///   whole number by `e`. The clock then runs faster or slower by a constant share until `e` is made up for: just at `T`
///   if a share of `slew` is enough for that, else at that share for as long as it takes. So pulses are never due in
///   another order, and never closer than at `1 + slew` times the fastest tempo announced; there are 24 from beat to beat.
/// - **Start.** At the first downbeat announced, or after `patience` beats at any beat: `Start` is due half a pulse before
///   it, the first pulse at the beat. A downbeat that is announced too late, less than 20 ms ahead, stands for the one a
///   bar later.
/// - **No beat.** Without beats the clock goes on at the last tempo, `hold` seconds after the last beat; then there is
///   `Stop`, and no pulse until the next start. That is at a downbeat again; `SongPosition` and `Continue` take the
///   place of `Start`, and the song goes on at its next bar (after 4095 beats it starts from the beginning).
/// - **Tempo.** Each beat brings its own; a jump is a jump of the pulses' rate from its announcement on.
/// - **Late.** If whoever drives it comes a quarter of a beat too late, what was due meanwhile is not made up for:
///   there is `Stop`, and a start as after no beat.
///
/// Nothing allocates.
///
/// ```
/// use upbeat_sync::{MidiClock, MidiClockConfig, MidiMessage};
///
/// let mut config = MidiClockConfig::default();
/// config.patience = 0; // no bars here
/// let mut clock = MidiClock::new(&config)?;
/// let mut pulses = 0;
/// for n in 0..8 {
///     let now = 0.5 * f64::from(n); // 120 beats per minute, each announced 0.25 s ahead
///     clock.beat(now, now + 0.25, 120.0, None);
///     while let Some(due) = clock.next_due().filter(|due| *due < now + 0.499) {
///         clock.poll(due, |_, message| pulses += u32::from(message == MidiMessage::Clock));
///     }
/// }
/// assert_eq!(pulses, 7 * 24 + 12); // from 0.25 s to 3.999 s
/// # Ok::<(), upbeat_core::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct MidiClock {
    config: MidiClockConfig,
    stage: Stage,
    curve: Curve,
    /// The pulse to come, counted from the song's start.
    pulse: u64,
    /// Where the song starts or goes on, in beats.
    position: u64,
    last_beat: f64,
    /// Beats per bar, as told last.
    metre: u64,
    /// Beats announced since the clock stopped.
    waited: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Silent,
    /// It will start.
    Armed,
    /// It will start, and the song position was told.
    Placed,
    Running,
}

/// The phase over time: `phase` at `from`, then growing by `rate` beats per second until `until`, then by `tempo`.
#[derive(Clone, Copy, Debug)]
struct Curve {
    from: f64,
    phase: f64,
    rate: f64,
    until: f64,
    tempo: f64,
}

impl Curve {
    fn phase(&self, t: f64) -> f64 {
        let slewed = t.min(self.until) - self.from;
        self.phase + self.rate * slewed + self.tempo * (t - self.until).max(0.0)
    }

    /// When the phase is so much; not before `from`.
    fn time(&self, phase: f64) -> f64 {
        let slewed = self.rate * (self.until - self.from);
        let ahead = (phase - self.phase).max(0.0);
        if ahead <= slewed {
            self.from + ahead / self.rate
        } else {
            self.until + (ahead - slewed) / self.tempo
        }
    }
}

impl MidiClock {
    /// A clock that does not run.
    ///
    /// # Errors
    ///
    /// If a setting is outside its range.
    pub fn new(config: &MidiClockConfig) -> Result<Self, ConfigError> {
        let MidiClockConfig { slew, hold, patience } = *config;
        ConfigError::require((0.01..=0.5).contains(&slew), "slew", "from 0.01 to 0.5", slew)?;
        ConfigError::require((0.5..=600.0).contains(&hold), "hold", "from 0.5 to 600 s", hold)?;
        ConfigError::require(patience <= 64, "patience", "at most 64 beats", patience)?;
        Ok(Self {
            config: *config,
            stage: Stage::Silent,
            curve: Curve { from: 0.0, phase: 0.0, rate: 2.0, until: 0.0, tempo: 2.0 },
            pulse: 0,
            position: 0,
            last_beat: 0.0,
            metre: 4,
            waited: 0,
        })
    }

    /// At `now`, a beat is announced for `at`, at a tempo in beats per minute; and where in the bar it is, if known.
    ///
    /// A tempo that is not from 10 to 1000, or a time that is no number, is ignored with its beat.
    pub fn beat(&mut self, now: f64, at: f64, bpm: f64, bar: Option<Bar>) {
        if !((10.0..=1000.0).contains(&bpm) && at.is_finite() && now.is_finite()) {
            return;
        }
        let tempo = bpm / 60.0;
        self.last_beat = at.max(self.last_beat);
        let is_downbeat = bar.is_some_and(|bar| bar.beat == 1);
        if let Some(bar) = bar {
            self.metre = u64::from(bar.beats.max(1));
        }
        if self.stage == Stage::Silent {
            self.waited = self.waited.saturating_add(1);
            if is_downbeat || self.waited > self.config.patience {
                let step = if is_downbeat { self.metre as f64 } else { 1.0 } / tempo;
                let steps = ((now + SOONEST - at) / step).ceil().max(0.0);
                self.start(now, at + steps * step, tempo);
            }
            return;
        }
        let phase = self.curve.phase(now);
        let predicted = phase + tempo * (at - now);
        let error = predicted.round() - predicted;
        let time = (at - now).max(error.abs() / (self.config.slew * tempo));
        // Where there is no error there is no time to make up for it.
        let slew = if time > 0.0 { error / time } else { 0.0 };
        self.curve =
            Curve { from: now, phase, rate: tempo + slew, until: now + time.max(0.0), tempo };
    }

    fn start(&mut self, now: f64, at: f64, tempo: f64) {
        let phase = self.position as f64 - tempo * (at - now);
        self.curve = Curve { from: now, phase, rate: tempo, until: now, tempo };
        self.pulse = self.position * u64::from(PULSES_PER_BEAT);
        self.last_beat = at;
        self.stage = Stage::Armed;
    }

    /// When the next message is due; `None` while the clock does not run.
    #[must_use]
    pub fn next_due(&self) -> Option<f64> {
        self.next().map(|(due, _)| due)
    }

    fn next(&self) -> Option<(f64, MidiMessage)> {
        let before = || self.curve.time(self.position as f64 - 0.5 / f64::from(PULSES_PER_BEAT));
        let (due, message) = match self.stage {
            Stage::Silent => return None,
            Stage::Armed if self.position == 0 => (before(), MidiMessage::Start),
            Stage::Armed => (before(), MidiMessage::SongPosition((4 * self.position) as u16)),
            Stage::Placed => (before(), MidiMessage::Continue),
            Stage::Running => {
                let pulse = self.pulse as f64 / f64::from(PULSES_PER_BEAT);
                (self.curve.time(pulse), MidiMessage::Clock)
            }
        };
        let end = self.last_beat + self.config.hold;
        Some(if due > end { (end, MidiMessage::Stop) } else { (due, message) })
    }

    /// Calls `send` with everything that is due until `now`, in order, and when it was due.
    pub fn poll(&mut self, now: f64, mut send: impl FnMut(f64, MidiMessage)) {
        while let Some((due, message)) = self.next().filter(|(due, _)| *due <= now) {
            let missed = self.stage == Stage::Running && (now - due) * self.curve.tempo > LATE;
            match message {
                _ if missed => {
                    self.stop(now, &mut send);
                    return;
                }
                MidiMessage::Stop => {
                    self.stop(due, &mut send);
                    continue;
                }
                MidiMessage::Clock => self.pulse += 1,
                MidiMessage::SongPosition(_) => self.stage = Stage::Placed,
                MidiMessage::Start | MidiMessage::Continue => self.stage = Stage::Running,
            }
            send(due, message);
        }
    }

    /// Stops the clock, if it runs; it starts again with beats to come.
    pub fn stop(&mut self, now: f64, mut send: impl FnMut(f64, MidiMessage)) {
        if self.stage == Stage::Running {
            send(now, MidiMessage::Stop);
            let beats = self.pulse.div_ceil(u64::from(PULSES_PER_BEAT));
            let next_bar = beats.next_multiple_of(self.metre);
            self.position = if next_bar <= LAST_POSITION { next_bar } else { 0 };
        }
        self.stage = Stage::Silent;
        self.waited = 0;
    }

    /// Whether pulses are due.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.stage == Stage::Running
    }

    /// How many beats the clock is off one that is at `at`: from −0.5 (late) to 0.5 (early); `None` while it does
    /// not run.
    #[must_use]
    pub fn phase_error(&self, at: f64) -> Option<f64> {
        let phase = self.curve.phase(at);
        self.is_running().then(|| phase - phase.round())
    }
}

/// A start less than this ahead is too late, in seconds.
const SOONEST: f64 = 0.02;
/// What is late by more than so many beats is not made up for.
const LATE: f64 = 0.25;
/// The last song position that can be told, in beats.
const LAST_POSITION: u64 = (1 << 14) / 4 - 1;
