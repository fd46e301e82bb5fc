//! What is in a whole file.

use std::collections::BTreeMap;

use serde::Serialize;
use upbeat::core::SampleRate;
use upbeat::io::Damage;
use upbeat::{AnalyzerStats, Event, EventKind, Feature, FeatureFrame, Interests, Listener};
use utoipa::ToSchema;

/// What is in a file. Times are in seconds from its start; what is not known is null.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Summary {
    duration: f64,
    sample_rate: u32,
    channels: usize,
    tempo: Option<f32>,
    /// Beats, in order.
    beats: Vec<f64>,
    /// The key at the end, by which time most has been heard.
    key: Option<String>,
    /// Of the whole file, in LUFS.
    loudness: Option<f32>,
    onsets: Vec<f64>,
    chords: Vec<Chord>,
    transitions: Vec<Transition>,
    /// Energy ten times a second.
    energy: Vec<Moment>,
    /// Features with one value, by name.
    features: BTreeMap<&'static str, Spread>,
    /// What could not be read.
    damage: Option<String>,
    gaps: u64,
    samples_sanitized: u64,
}

#[derive(Debug, Serialize, ToSchema)]
struct Chord {
    start: f64,
    label: String,
    confidence: f32,
}

#[derive(Debug, Serialize, ToSchema)]
struct Transition {
    time: f64,
    kind: String,
    change: f32,
    confidence: f32,
}

#[derive(Debug, Serialize, ToSchema)]
struct Moment {
    time: f64,
    loudness: Option<f32>,
    energy: Option<f32>,
}

/// How a feature is spread over the frames in which it is known.
#[derive(Debug, Serialize, ToSchema)]
struct Spread {
    mean: f64,
    std: f64,
    min: f32,
    max: f32,
    frames: u64,
}

/// Makes a [`Summary`] of what it is told.
pub(crate) struct Summarizer {
    rate: SampleRate,
    channels: usize,
    key: Option<String>,
    loudness: Option<f32>,
    beats: Vec<f64>,
    tempi: Vec<f32>,
    onsets: Vec<f64>,
    chords: Vec<Chord>,
    transitions: Vec<Transition>,
    energy: Vec<Moment>,
    /// Count, mean, sum of squared distances from it, least and greatest.
    features: BTreeMap<&'static str, (u64, f64, f64, f32, f32)>,
}

impl Summarizer {
    pub(crate) const fn new(rate: SampleRate, channels: usize) -> Self {
        Self {
            rate,
            channels,
            key: None,
            loudness: None,
            beats: Vec::new(),
            tempi: Vec::new(),
            onsets: Vec::new(),
            chords: Vec::new(),
            transitions: Vec::new(),
            energy: Vec::new(),
            features: BTreeMap::new(),
        }
    }

    pub(crate) fn finish(
        &mut self,
        duration: f64,
        stats: AnalyzerStats,
        damage: Damage,
    ) -> Summary {
        let spread = |(frames, mean, squares, min, max): &(u64, f64, f64, f32, f32)| Spread {
            mean: *mean,
            std: (squares / *frames as f64).sqrt(),
            min: *min,
            max: *max,
            frames: *frames,
        };
        Summary {
            duration,
            sample_rate: self.rate.hz(),
            channels: self.channels,
            tempo: median(&mut self.tempi),
            beats: std::mem::take(&mut self.beats),
            key: self.key.take(),
            loudness: self.loudness,
            onsets: std::mem::take(&mut self.onsets),
            chords: std::mem::take(&mut self.chords),
            transitions: std::mem::take(&mut self.transitions),
            energy: std::mem::take(&mut self.energy),
            features: self.features.iter().map(|(name, sums)| (*name, spread(sums))).collect(),
            damage: damage.is_any().then(|| damage.to_string()),
            gaps: stats.gaps,
            samples_sanitized: stats.sanitized,
        }
    }
}

impl Listener for Summarizer {
    fn event(&mut self, event: &Event) {
        let time = event.at.seconds(self.rate);
        match &event.kind {
            EventKind::Onset { .. } => self.onsets.push(time),
            EventKind::Beat { bpm, .. } => {
                self.beats.push(time);
                self.tempi.extend(bpm.map(|bpm| bpm as f32));
            }
            EventKind::Energy(energy) => {
                let (loudness, energy) = (energy.loudness, energy.energy);
                self.energy.push(Moment { time, loudness, energy });
            }
            EventKind::Transition(transition) => self.transitions.push(Transition {
                time,
                kind: transition.kind.to_string(),
                change: transition.change,
                confidence: transition.confidence,
            }),
            EventKind::Chord { label, confidence, key, .. } => {
                self.key = key.map(|key| key.to_string());
                let label = label.to_string();
                // Told again when only the key has changed.
                if self.chords.last().is_none_or(|last| last.label != label) {
                    self.chords.push(Chord { start: time, label, confidence: *confidence });
                }
            }
            _ => {}
        }
    }

    fn frame(&mut self, frame: &FeatureFrame) {
        for feature in frame.layout().features() {
            // Loudness is measured over the whole file; a pitch's second value is its confidence.
            let several = frame.values(feature).len() > 1 && feature != Feature::Pitch;
            let Some(value) = frame.value(feature).filter(|value| value.is_finite() && !several)
            else {
                continue;
            };
            let (n, mean, squares, min, max) =
                self.features.entry(feature.name()).or_insert((0, 0.0, 0.0, value, value));
            // Welford's running mean and variance.
            *n += 1;
            let distance = f64::from(value) - *mean;
            *mean += distance / *n as f64;
            *squares += distance * (f64::from(value) - *mean);
            (*min, *max) = (min.min(value), max.max(value));
        }
        if let Some(integrated) = frame.values(Feature::Loudness).get(2).filter(|x| x.is_finite()) {
            self.loudness = Some(*integrated);
        }
    }

    fn interests(&self) -> Interests {
        Interests { blocks: false, ..Interests::ALL }
    }
}

/// The value in the middle; it outlives a wrong octave at the beginning.
fn median(values: &mut [f32]) -> Option<f32> {
    values.sort_by(f32::total_cmp);
    values.get(values.len() / 2).copied()
}
