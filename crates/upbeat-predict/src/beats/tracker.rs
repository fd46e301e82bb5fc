use super::bar::BarPosition;
use super::config::{BeatConfig, FrontEnd};
use super::follow::{Ahead, Followed, Follower};
use super::front::{BeatSpectrum, FRAME_RATE, frame_end};
use super::tempo::{TempoCandidate, TempoChange, TempoForecast, candidates};
use crate::scoring::{Scorer, ScorerConfig};
use upbeat_core::{ConfigError, Continuity, SampleIndex, SampleRate, Stage};

/// A beat that is to come.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Prediction {
    /// When.
    pub at: SampleIndex,
    /// The standard deviation of the time, in seconds, if there is such a beat at all.
    pub std_dev: f64,
    /// The chance that the beat is within 70 ms of that time: told from [`evidence`](Self::evidence), and corrected by how
    /// beats of such confidence have fared in this stream so far.
    pub confidence: f32,
    /// Where in the bar it is; `None` before the second beat.
    pub bar_position: Option<BarPosition>,
    /// What the confidence is told from, for those who fit their own: the logits of the filter's belief in the beat, of its
    /// beliefs of late, of how clearly the network and the onset strength heard the last beats, the sum of those for
    /// the places half-way between; how unlike even and odd beats are, from 0 to 1; the logit of the belief in the
    /// tempo; the logarithm of how much neighbouring intervals differ.
    pub evidence: [f32; 8],
}

/// What [`BeatTracker`] makes of the sound up to one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct BeatEstimate {
    /// A beat that is announced now, once and for all, `lead` seconds before it happens.
    pub beat: Option<Prediction>,
    /// The tempo, in beats per minute; `None` while there is no beat.
    pub tempo: Option<f64>,
    /// How sure it is that there is a beat, from 0 to 1; [`BeatConfig::threshold`] tells what is enough.
    pub confidence: f32,
    /// A change of tempo that has become clear now.
    pub tempo_change: Option<TempoChange>,
}

impl BeatEstimate {
    /// Whether the tempo is news to whom it was last said to be `told`: known now, or lost, or another by 2 %.
    #[must_use]
    pub fn has_new_tempo(&self, told: Option<f64>) -> bool {
        match (told, self.tempo) {
            (Some(told), Some(bpm)) => (bpm / told - 1.0).abs() >= 0.02,
            (told, bpm) => told.is_some() != bpm.is_some(),
        }
    }
}

/// How far ahead a prediction was made that [`BeatTracker::score`] tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Horizon {
    /// The next beat, when it is announced.
    Next,
    /// The beat that is nearest to 1 s ahead of that.
    OneSecond,
    /// The beat that is nearest to 2 s ahead of that.
    TwoSeconds,
}

/// Says when the next beat will be, while music plays.
///
/// Takes samples (mono), and emits a [`BeatEstimate`] a hundred times a second, at the last sample it knows
/// of; there is no latency, since it tells of what is to come. Each beat is announced once, `lead` seconds
/// before it happens; [`next_beat`](Self::next_beat) and [`upcoming`](Self::upcoming) tell at any time what is
/// expected now. While there is no beat (silence, speech, noise, music out of time), nothing is announced.
///
/// A [`BeatSpectrum`] feeds a network and an onset strength, and a filter over tempo and phase puts them
/// together: frames in which a beat begins are taken for `(15 p / (1 − p))^¼ (15 d / (1 − d))^0.15` times as likely
/// as others, where `p` is the network's chance of a beat and `d` the onset strength. The metre and the place in
/// the bar follow from what the network hears at the beats (or, with [`FrontEnd::Onset`](super::FrontEnd), from
/// how strong the bass is there). `docs/accuracy.md` says how well all that does.
///
/// Nothing allocates after construction, the settings at run time included.
///
/// # Examples
///
/// ```
/// use upbeat_core::{SampleIndex, SampleRate, Stage};
/// use upbeat_predict::beats::{BeatConfig, BeatTracker};
///
/// let rate = SampleRate::new(22_050)?;
/// let mut tracker = BeatTracker::new(&BeatConfig::new(rate))?;
/// let mut clicks = vec![0.0; 10 * 22_050];
/// for click in (0..clicks.len()).step_by(11_025) {
///     clicks[click..click + 200].fill(0.5); // 120 per minute
/// }
/// tracker.process(SampleIndex(0), &clicks, |_, _| {});
/// let next = tracker.next_beat().expect("clicks have a beat");
/// let beats = next.at.seconds(rate) / 0.5;
/// assert!((beats - beats.round()).abs() * 0.5 < 0.03);
/// # Ok::<(), upbeat_core::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct BeatTracker {
    spectrum: BeatSpectrum,
    core: Core,
}

/// All but what listens.
#[derive(Debug)]
struct Core {
    follower: Follower,
    time: Time,
    continuity: Continuity,
    window: f64,
    longest_gap: f64,
    limits: (f64, f64),
    /// What keeps tempi from the whole range.
    hold: Hold,
    /// Beats announced that may be still to come, the oldest first.
    announced: [Option<Prediction>; 8],
    now: SampleIndex,
    scorers: [Scorer; 3],
    /// How the confidences have fared as they were before they were corrected by this.
    uncorrected: Scorer,
    last_tap: Option<f64>,
}

/// What keeps tempi from the whole range of the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hold {
    Nothing,
    /// Someone asked for it.
    Asked,
    /// The network rests, and onsets alone do not know the octave.
    Rest,
}

/// Where frames lie in the stream.
#[derive(Clone, Copy, Debug)]
struct Time {
    rate: SampleRate,
    origin: SampleIndex,
    /// How many seconds after the origin frame 0 would have begun.
    start: f64,
    delay: f64,
}

impl Time {
    fn index(&self, frame: f64) -> SampleIndex {
        let seconds = self.start + (frame + 1.0) / FRAME_RATE - self.delay;
        self.origin + self.rate.samples(seconds)
    }

    fn frame(&self, at: SampleIndex) -> f64 {
        let samples = at.0 as f64 - self.origin.0 as f64;
        (samples / self.rate.as_f64() - self.start + self.delay) * FRAME_RATE - 1.0
    }
}

impl BeatTracker {
    /// Plans the transform, reads the weights, and allocates all that will ever be needed.
    ///
    /// # Errors
    ///
    /// If a setting is outside its range.
    pub fn new(config: &BeatConfig) -> Result<Self, ConfigError> {
        config.check()?;
        let rate = config.sample_rate;
        let follower = Follower::new(config)?;
        // Not cloned: a clone would have no room.
        let scorer = || Scorer::new(&ScorerConfig::new(rate));
        let core = Core {
            time: Time { rate, origin: SampleIndex(0), start: 0.0, delay: follower.delay() },
            follower,
            continuity: Continuity::default(),
            window: config.prediction_window,
            longest_gap: config.longest_gap,
            limits: (config.min_tempo, config.max_tempo),
            hold: Hold::Nothing,
            announced: [None; 8],
            now: SampleIndex(0),
            scorers: [scorer()?, scorer()?, scorer()?],
            uncorrected: scorer()?,
            last_tap: None,
        };
        Ok(Self { spectrum: BeatSpectrum::new(rate)?, core })
    }

    /// The first beat that has not happened yet; `None` while there is no beat.
    ///
    /// Until `lead` seconds before it happens the time may still change.
    #[must_use]
    pub fn next_beat(&self) -> Option<Prediction> {
        self.upcoming().next()
    }

    /// The tempo followed and its relatives within the range, the likeliest first; none while there is no beat.
    pub fn tempo_candidates(&self) -> impl Iterator<Item = TempoCandidate> {
        let found = self.core.tempo().map(|bpm| candidates(&self.core.follower.filter, bpm));
        found.into_iter().flatten().flatten()
    }

    /// The tempo `beats` beats ahead; `None` while there is no beat, and before the third.
    ///
    /// Over four beats it goes from the tempo now to what is expected, and stays there. That is a mean of "all stays as
    /// it is" and of the tempi of the last 1, 2, 4 … 32 beats; each counts for the more the less it was off, in this
    /// piece, four beats later. Music that keeps its tempo, music that drifts, and players who come back to theirs
    /// are each expected to go on so.
    #[must_use]
    pub fn tempo_ahead(&self, beats: usize) -> Option<TempoForecast> {
        let (interval, rate) = self.core.follower.course.forecast(beats)?;
        let confidence = self.core.follower.faith;
        self.core.follower.follows.then_some(TempoForecast {
            bpm: 60.0 / interval,
            rate,
            confidence,
        })
    }

    /// Keeps the tempo within a factor of √2 of what it is, or sets it free again. Nothing happens while there
    /// is no beat.
    pub fn lock_octave(&mut self, lock: bool) {
        match self.core.tempo() {
            Some(bpm) if lock => self.core.confine(bpm, Hold::Asked),
            None if lock => {}
            _ => self.core.set_free(),
        }
    }

    /// Takes twice the tempo, and keeps to that octave until [`lock_octave`](Self::lock_octave) sets it free.
    /// Returns false, and changes nothing, where that is out of range.
    pub fn double(&mut self) -> bool {
        let Some(bpm) = self.core.tempo() else { return false };
        self.core.change_octave(2.0 * bpm, |lag, left| {
            let half = lag.div_ceil(2);
            (half, if left > half { left - half } else { left })
        })
    }

    /// Takes half the tempo, and keeps to that octave until [`lock_octave`](Self::lock_octave) sets it free. The
    /// next beat stays one. Returns false, and changes nothing, where that is out of range.
    pub fn halve(&mut self) -> bool {
        let Some(bpm) = self.core.tempo() else { return false };
        self.core.change_octave(bpm / 2.0, |lag, left| (2 * lag, left))
    }

    /// Moves all beats to half-way between them.
    pub fn shift_half(&mut self) {
        self.core.follower.filter.rearrange(|lag, left| {
            let moved = left + lag / 2;
            (lag, if moved > lag { moved - lag } else { moved })
        });
        self.core.forget_announced();
    }

    /// Takes this tempo, in beats per minute (clipped to the range), and keeps to its octave until
    /// [`lock_octave`](Self::lock_octave) sets it free. The next beat stays where it was.
    pub fn retarget(&mut self, bpm: f64) {
        if bpm.is_finite() {
            let bpm = bpm.clamp(self.core.limits.0, self.core.limits.1);
            self.core.set_free();
            self.core.follower.filter.retarget((60.0 * FRAME_RATE / bpm) as f32);
            self.core.confine(bpm, Hold::Asked);
            self.core.forget_announced();
        }
    }

    /// Someone taps the beat at `at`. From the second tap on also the tempo counts.
    pub fn tap_beat(&mut self, at: SampleIndex) {
        let frame = self.core.time.frame(at);
        self.core.follower.tap(frame);
        if let Some(last) = self.core.last_tap.replace(frame) {
            let bpm = 60.0 * FRAME_RATE / (frame - last);
            if bpm >= self.core.limits.0 && bpm <= self.core.limits.1 {
                self.core.follower.filter.retarget((60.0 * FRAME_RATE / bpm) as f32);
            }
        }
        self.core.follower.faith = self.core.follower.faith.max(0.5);
        self.core.follower.follows = true;
        self.core.forget_announced();
    }

    /// Chooses what tells beats from other frames, from the next frame on; tempo, phase and bar stay. Returns
    /// false, and changes nothing, if the tracker was made without the network and so has none to take up.
    ///
    /// A network that rests costs nothing. Taken up again, it has forgotten all, and listens for 5 s of sound before
    /// it has a say; until then the onset strength goes on alone, within a factor of √2 of the tempo that the network
    /// left: onsets alone often take half or double the tempo.
    pub fn set_front_end(&mut self, front_end: FrontEnd) -> bool {
        let core = &mut self.core;
        if front_end == FrontEnd::Onset
            && core.follower.by_net()
            && core.hold == Hold::Nothing
            && let Some(bpm) = core.tempo()
        {
            core.confine(bpm, Hold::Rest);
        }
        core.follower.set_front_end(front_end)
    }

    /// Estimates what is to come in every `frames`th frame of 10 ms only, from 1, as at first, to 10; other values count as the
    /// nearest of these. Saves work; beats are announced up to so much later, and still once each.
    pub fn set_prediction_interval(&mut self, frames: u32) {
        self.core.follower.every = u64::from(frames.clamp(1, 10));
    }

    /// How the beats announced so far, and those foretold further ahead, have fared: whether something that
    /// sounds like a beat, more than what lies half-way between, was heard within 70 ms of them. A beat that is felt but
    /// not played counts as missed. Confidences are corrected by this as the stream goes on
    /// ([`Reliability::calibrated`](crate::scoring::Reliability::calibrated)).
    #[must_use]
    pub const fn score(&self, horizon: Horizon) -> &Scorer {
        &self.core.scorers[horizon as usize]
    }

    /// The beats of the next `prediction_window` seconds, and at least one; none while there is no beat.
    ///
    /// Those beyond the next one follow at the tempo of now; each is less sure than the one before it.
    pub fn upcoming(&self) -> impl Iterator<Item = Prediction> + '_ {
        self.core.upcoming()
    }

    /// The tempo, in beats per minute; `None` while there is no beat.
    #[must_use]
    pub fn tempo(&self) -> Option<f64> {
        self.core.tempo()
    }

    /// Allows tempi from `min` to `max` beats per minute only, within the range of the settings; returns false, and
    /// changes nothing, where none is left.
    pub fn set_range(&mut self, min: f64, max: f64) -> bool {
        let set = self.core.set_range(min, max);
        if set {
            self.core.hold = Hold::Asked;
        }
        set
    }
}

impl Core {
    fn upcoming(&self) -> impl Iterator<Item = Prediction> + '_ {
        let announced = self.announced.iter().flatten().copied();
        let announced = announced.filter(|beat| beat.at > self.now);
        let end = self.now + self.time.rate.samples(self.window);
        let later = (0..64).map(|n| self.after(n)).filter(|beat| beat.at > self.now);
        announced
            .chain(later)
            .enumerate()
            .take_while(move |(n, beat)| *n == 0 || beat.at <= end)
            .map(|(_, beat)| beat)
            .take(if self.follower.follows { 64 } else { 0 })
    }

    fn tempo(&self) -> Option<f64> {
        self.follower.follows.then(|| 60.0 / self.interval())
    }

    /// Seconds from beat to beat, as they are now.
    fn interval(&self) -> f64 {
        let filter = self.follower.next.lag / FRAME_RATE;
        let interval = self.follower.course.steady_interval();
        // Intervals are finer than the filter's grid, but wrong where a beat was missed.
        interval.filter(|interval| (interval / filter).ln().abs() < 0.06).unwrap_or(filter)
    }

    fn set_range(&mut self, min: f64, max: f64) -> bool {
        let lag = |bpm: f64| (60.0 * FRAME_RATE / bpm) as f32;
        self.follower.filter.allow(lag(max), lag(min))
    }

    /// The `n`th beat after the next one that is to be announced.
    fn after(&self, n: usize) -> Prediction {
        let next = self.follower.next;
        let beats = n as f64;
        let mut beat = self.prediction(&next);
        beat.at = self.time.index(next.at + beats * next.lag);
        // An interval is known to half a frame or so, however steady the filter takes it for.
        beat.std_dev = beat.std_dev.hypot(0.005 * beats);
        beat.confidence *= STEP_CONFIDENCE.powi(n as i32);
        if n > 0 {
            beat.bar_position = beat.bar_position.map(|_| self.follower.place_after(n));
        }
        beat
    }

    fn prediction(&self, beat: &Ahead) -> Prediction {
        let [_, evidence @ ..] = beat.features;
        Prediction {
            at: self.time.index(beat.at),
            std_dev: beat.std_dev / FRAME_RATE,
            confidence: self.uncorrected.reliability().calibrated(beat.confidence),
            bar_position: beat.bar_position,
            evidence,
        }
    }

    /// Beats that are announced but have not happened are open again.
    fn forget_announced(&mut self) {
        self.follower.take_back();
        for beat in &mut self.announced {
            if beat.is_some_and(|beat| beat.at > self.now) {
                *beat = None;
            }
        }
        self.follower.look_again();
    }

    /// Takes in what came of a frame.
    fn take(&mut self, followed: &Followed) -> BeatEstimate {
        if self.hold == Hold::Rest && self.follower.by_net() {
            self.set_free();
        }
        if followed.beat.is_some() {
            let interval = self.interval();
            self.follower.course.look_ahead(interval);
        }
        if let Some(frame) = followed.found {
            let at = self.time.index(frame);
            self.scorers.iter_mut().for_each(|scorer| scorer.found(at));
            self.uncorrected.found(at);
        }
        let delay = self.time.rate.samples(0.2);
        let settled = SampleIndex(self.now.0.saturating_sub(delay));
        let announced = followed.beat.filter(|_| self.follower.follows);
        let beat = announced.map(|beat| self.prediction(&beat));
        if let Some((announced, beat)) = announced.zip(beat) {
            self.scorers.iter_mut().for_each(|scorer| scorer.settle(settled));
            self.uncorrected.settle(settled);
            self.uncorrected.predict(beat.at, announced.confidence);
            self.announced.rotate_left(1);
            self.announced[7] = Some(beat);
            self.scorers[0].predict(beat.at, beat.confidence);
            let lag = self.follower.next.lag;
            for (scorer, seconds) in self.scorers[1..].iter_mut().zip([1.0, 2.0]) {
                let beats = (seconds * FRAME_RATE / lag).round().max(1.0);
                let samples = beats * lag / FRAME_RATE * self.time.rate.as_f64();
                let confidence = beat.confidence * STEP_CONFIDENCE.powi(beats as i32);
                scorer.predict(beat.at + samples.round() as u64, confidence);
            }
        }
        let change = followed.change.map(|(since, from, to)| TempoChange {
            at: self.time.index(since),
            from: 60.0 / from,
            to: 60.0 / to,
            confidence: self.follower.faith,
        });
        BeatEstimate {
            beat,
            tempo: self.tempo(),
            confidence: self.follower.faith,
            tempo_change: change.filter(|_| self.follower.follows),
        }
    }

    /// What a block after a jump of the index, or after nothing, means.
    fn start_at(&mut self, at: SampleIndex, length: u64) {
        let next = self.continuity.next();
        let gap = self.continuity.advance(at, length);
        let rate = self.time.rate;
        match gap {
            None if next.is_some() => {}
            Some(gap) if gap.lost() > 0 && rate.seconds(gap.lost()) <= self.longest_gap => {
                // Time goes on unheard, in whole frames; what is left is added to all times.
                let seconds = rate.seconds(at - self.time.origin);
                let frames = (seconds - self.time.start) * FRAME_RATE;
                while (self.follower.count as f64) < frames.round() {
                    let followed = self.follower.skip();
                    self.take(&followed);
                }
                self.time.start = seconds - self.follower.count as f64 / FRAME_RATE;
                self.follower.hear_anew();
            }
            _ => {
                if self.hold == Hold::Rest {
                    self.set_free();
                }
                self.follower.reset();
                self.uncorrected.reset();
                self.time.origin = at;
                self.time.start = 0.0;
                self.announced = [None; 8];
                self.last_tap = None;
            }
        }
    }

    fn confine(&mut self, bpm: f64, why: Hold) {
        self.set_range(bpm / std::f64::consts::SQRT_2, bpm * std::f64::consts::SQRT_2);
        self.hold = why;
    }

    fn set_free(&mut self) {
        self.set_range(self.limits.0, self.limits.1);
        self.hold = Hold::Nothing;
    }

    fn change_octave(&mut self, bpm: f64, to: impl Fn(usize, usize) -> (usize, usize)) -> bool {
        if bpm < self.limits.0 || bpm > self.limits.1 {
            return false;
        }
        self.set_free();
        let changed = self.follower.filter.rearrange(to);
        if changed {
            self.confine(bpm, Hold::Asked);
            self.forget_announced();
        }
        changed
    }
}

impl Stage for BeatTracker {
    type In = [f32];
    type Out = BeatEstimate;

    fn process(
        &mut self,
        at: SampleIndex,
        samples: &[f32],
        mut emit: impl FnMut(SampleIndex, &BeatEstimate),
    ) {
        let Self { spectrum, core } = self;
        core.start_at(at, samples.len() as u64);
        let from = spectrum.from(at);
        let rate = core.time.rate;
        spectrum.frames(at, samples, |number, bands, level| {
            let followed = core.follower.frame(number, bands, level);
            core.now = from + frame_end(rate, number);
            core.time.delay = core.follower.delay();
            let estimate = core.take(&followed);
            emit(SampleIndex(core.now.0 - 1), &estimate);
        });
    }

    fn reset(&mut self) {
        self.spectrum.reset();
        self.core.continuity = Continuity::default();
    }
}

/// How much less sure each beat further ahead is.
const STEP_CONFIDENCE: f32 = 0.97;
