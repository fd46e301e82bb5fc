//! What follows the stream itself: beats, energy, chords.

use std::time::Instant;

use upbeat_core::{ConfigError, Mix, SampleIndex, SampleRate, Stage};
use upbeat_perf::{Cost, QualityLevel, QualitySettings, Tier};
use upbeat_predict::beats::{BeatConfig, BeatTracker, FrontEnd, Prediction};
use upbeat_predict::energy::{EnergyConfig, EnergyTracker};
use upbeat_predict::harmony::{
    ChordConfig, ChordEstimate, ChordLabel, ChordRecognizer, Key, NextChord, NextChordConfig,
};

use crate::{AnalyzerConfig, BeatCommand, EventConfig, EventKind, Feature};

pub(crate) struct Predictors {
    beats: Follower<Beats>,
    energy: Follower<EnergyTracker>,
    chords: Follower<Chords>,
    mono: Mix,
    rate: SampleRate,
    channels: usize,
    pieces: u64,
}

/// A predictor that may rest, and what it costs.
struct Follower<P> {
    /// `None` if it is not wanted at all.
    predictor: Option<P>,
    rests: bool,
    /// Seconds per second of sound, as measured last.
    cost: f64,
}

impl Predictors {
    pub(crate) fn new(config: &EventConfig) -> Result<Self, ConfigError> {
        let AnalyzerConfig { sample_rate, channels, .. } = config.analyzer;
        let rate = SampleRate::new(sample_rate)?;
        let energy = EnergyConfig::new(rate, channels);
        Ok(Self {
            beats: Follower::new(config.beats, || Beats::new(rate))?,
            energy: Follower::new(config.energy, || EnergyTracker::new(&energy))?,
            chords: Follower::new(config.chords, || Chords::new(rate))?,
            mono: Mix::down(channels)?,
            rate,
            channels,
            pieces: 0,
        })
    }

    /// What may rest, after the features: beats are essential, chords are advanced.
    pub(crate) fn items(&self) -> [Cost; 3] {
        [
            Cost::new("beats", self.beats.cost).with_tier(Tier::Essential),
            Cost::new("energy", self.energy.cost),
            Cost::new("chords", self.chords.cost).with_tier(Tier::Advanced),
        ]
    }

    /// Leaves out what these settings leave out; at `LOW` beats are followed by their onsets alone. The frames of the
    /// prediction interval are those of beats, of 10 ms.
    pub(crate) fn set_quality(&mut self, settings: &QualitySettings) {
        let (items, first) = (settings.items, Feature::ALL.len());
        self.beats.rests = !items.contains(first);
        self.energy.rests = !items.contains(first + 1);
        self.chords.rests = !items.contains(first + 2);
        if let Some(beats) = &mut self.beats.predictor {
            let low = settings.level == QualityLevel::Low;
            beats.tracker.set_front_end(if low { FrontEnd::Onset } else { FrontEnd::Network });
            beats.tracker.set_prediction_interval(settings.prediction_interval);
        }
    }

    pub(crate) fn tracker(&mut self) -> Option<&mut BeatTracker> {
        self.beats.predictor.as_mut().map(|beats| &mut beats.tracker)
    }

    /// What rests finds a gap in the stream when it is taken up again.
    pub(crate) fn process(
        &mut self,
        at: SampleIndex,
        interleaved: &[f32],
        mut tell: impl FnMut(SampleIndex, EventKind),
    ) {
        let Self { beats, energy, chords, mono, .. } = self;
        self.pieces += 1;
        // One piece in 13 is measured.
        let seconds = self.rate.seconds((interleaved.len() / self.channels) as u64);
        let measured = self.pieces.is_multiple_of(13).then_some(seconds);
        energy.work(measured, |energy| {
            energy.process(at, interleaved, |at, energy| {
                tell(at, EventKind::Energy(*energy));
                if let Some(transition) = energy.transition {
                    tell(transition.at, EventKind::Transition(transition));
                }
            });
        });
        mono.process(at, interleaved, |at, mono| {
            let share = measured.map(|_| self.rate.seconds(mono.len() as u64));
            beats.work(share, |beats| beats.process(at, mono, &mut tell));
            let tempo = beats.predictor.as_ref().and_then(|beats| beats.tracker.tempo());
            chords.work(share, |chords| chords.process(at, mono, tempo, &mut tell));
        });
    }

    pub(crate) fn reset(&mut self) {
        if let Some(beats) = &mut self.beats.predictor {
            beats.tracker.reset();
            beats.told = None;
        }
        if let Some(energy) = &mut self.energy.predictor {
            energy.reset();
        }
        if let Some(chords) = &mut self.chords.predictor {
            chords.reset();
        }
    }
}

impl<P> Follower<P> {
    fn new(
        wanted: bool,
        make: impl FnOnce() -> Result<P, ConfigError>,
    ) -> Result<Self, ConfigError> {
        let predictor = wanted.then(make).transpose()?;
        Ok(Self { predictor, rests: false, cost: 0.0 })
    }

    /// Lets it work, unless it rests; measures what that costs if it is said how many seconds of sound it is for.
    fn work(&mut self, measured: Option<f64>, work: impl FnOnce(&mut P)) {
        let Some(predictor) = self.predictor.as_mut().filter(|_| !self.rests) else { return };
        let start = measured.map(|_| Instant::now());
        work(predictor);
        if let (Some(start), Some(seconds)) = (start, measured) {
            let now = start.elapsed().as_secs_f64() / seconds.max(1e-6);
            self.cost += if self.cost == 0.0 { now } else { (now - self.cost) / 8.0 };
        }
    }
}

/// Beats as they are announced, and whether there are any.
struct Beats {
    tracker: BeatTracker,
    /// The tempo told last.
    told: Option<f64>,
}

impl Beats {
    fn new(rate: SampleRate) -> Result<Self, ConfigError> {
        Ok(Self { tracker: BeatTracker::new(&BeatConfig::new(rate))?, told: None })
    }

    fn process(
        &mut self,
        at: SampleIndex,
        mono: &[f32],
        tell: &mut impl FnMut(SampleIndex, EventKind),
    ) {
        let Self { tracker, told } = self;
        // A piece is shorter than any beat.
        let mut announced = None;
        tracker.process(at, mono, |at, estimate| {
            let bpm = estimate.tempo;
            if estimate.has_new_tempo(*told) {
                *told = bpm;
                tell(at, EventKind::Tempo { bpm });
            }
            announced = estimate.beat.map(|beat| (beat, bpm)).or(announced);
            if let Some(change) = estimate.tempo_change {
                tell(change.at, EventKind::TempoChange(change));
            }
        });
        if let Some((Prediction { at, std_dev, confidence, bar_position, .. }, bpm)) = announced {
            let mut candidates = tracker.tempo_candidates();
            let tempi = [(); 3].map(|()| candidates.next());
            tell(at, EventKind::Beat { std_dev, confidence, bar_position, bpm, tempi });
        }
    }
}

/// Does what the command says.
pub(crate) fn steer(tracker: &mut BeatTracker, command: BeatCommand) {
    match command {
        BeatCommand::Double => {
            tracker.double();
        }
        BeatCommand::Halve => {
            tracker.halve();
        }
        BeatCommand::ShiftHalf => tracker.shift_half(),
        BeatCommand::LockOctave(lock) => tracker.lock_octave(lock),
        BeatCommand::Retarget(bpm) => tracker.retarget(bpm),
        BeatCommand::Range(min, max) => {
            tracker.set_range(min, max);
        }
        BeatCommand::Tap(at) => tracker.tap_beat(at),
    }
}

/// Chords as they change.
struct Chords {
    recognizer: ChordRecognizer,
    next: NextChord,
    rate: SampleRate,
    told: Option<(ChordLabel, Option<Key>)>,
    /// Where the chord that sounds began.
    began: Option<SampleIndex>,
}

impl Chords {
    fn new(rate: SampleRate) -> Result<Self, ConfigError> {
        Ok(Self {
            recognizer: ChordRecognizer::new(&ChordConfig::new(rate))?,
            next: NextChord::new(&NextChordConfig::new())?,
            rate,
            told: None,
            began: None,
        })
    }

    fn process(
        &mut self,
        at: SampleIndex,
        mono: &[f32],
        tempo: Option<f64>,
        tell: &mut impl FnMut(SampleIndex, EventKind),
    ) {
        let Self { recognizer, next, rate, told, began } = self;
        let beat = tempo.map(|bpm| 60.0 / bpm);
        let delay = rate.seconds(recognizer.latency());
        recognizer.process(at, mono, |at, estimate: &ChordEstimate| {
            let (label, key) = (estimate.label(), estimate.key().key());
            let before = told.replace((label, key));
            if before == Some((label, key)) {
                return;
            }
            if before.is_none_or(|(before, _)| before != label) {
                let seconds = began.map(|began| rate.seconds(at - began));
                let beats = seconds.zip(beat).map(|(seconds, beat)| (seconds / beat) as f32);
                *began = Some(at);
                if let ChordLabel::Chord(chord) = label {
                    next.begin(chord.triad(), beats.map(f32::round));
                }
            }
            // The chord is told a while after it began.
            let changes = beat.zip(*began).filter(|_| label != ChordLabel::NoChord).and_then(
                |(beat, began)| {
                    let elapsed = (rate.seconds(at - began) + delay) / beat;
                    let left = next.beats_left(elapsed as f32)?;
                    let (beats, p) = left.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1))?;
                    let whole = (elapsed + 0.05).floor() + beats as f64 + 1.0;
                    Some((began + rate.samples(whole * beat), *p))
                },
            );
            let (confidence, next) = (estimate.confidence(), next.most_likely());
            tell(at, EventKind::Chord { label, confidence, key, next, changes });
        });
    }

    fn reset(&mut self) {
        self.recognizer.reset();
        self.next.reset();
        (self.told, self.began) = (None, None);
    }
}
