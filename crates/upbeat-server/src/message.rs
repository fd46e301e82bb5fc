//! What the server tells its clients, as JSON.

use axum::extract::ws::Utf8Bytes;
use serde::{Serialize, Serializer};
use upbeat::core::{SampleIndex, SampleRate};
use upbeat::perf::QualityLevel;
use upbeat::predict::beats::TempoChange;
use upbeat::predict::energy::EnergyTransition;
use upbeat::{Event, EventKind, Feature, FeatureFrame, FeatureSet};
use utoipa::ToSchema;

/// Something went wrong; on a WebSocket the connection stays unless a close follows.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// Always `error`.
    r#type: &'static str,
    /// A word that programs can rely on.
    pub(crate) code: &'static str,
    /// What people want to know.
    pub(crate) message: String,
}

impl Problem {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { r#type: "error", code, message: message.into() }
    }
}

/// A message as it is sent. Nothing that is sent can fail to be written as JSON: all keys are strings.
pub(crate) fn text(message: &impl Serialize) -> Utf8Bytes {
    serde_json::to_string(message).unwrap_or_default().into()
}

/// A time of the stream, as a number of seconds and as the sample's index.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Moment {
    pub(crate) timestamp: f64,
    pub(crate) sample: u64,
}

impl Moment {
    pub(crate) fn new(at: SampleIndex, rate: SampleRate) -> Self {
        Self { timestamp: at.seconds(rate), sample: at.0 }
    }
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct ChordNow {
    pub(crate) label: String,
    /// Since when it sounds, in seconds.
    pub(crate) since: f64,
    pub(crate) confidence: f32,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct NextChord {
    pub(crate) label: String,
    pub(crate) confidence: f32,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Loudness {
    momentary: Option<f32>,
    short_term: Option<f32>,
    integrated: Option<f32>,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct TempoChoice {
    pub(crate) bpm: f32,
    pub(crate) probability: f32,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct NextBeat {
    #[serde(flatten)]
    pub(crate) at: Moment,
    pub(crate) confidence: f32,
}

/// What is known beside the features of the newest frame.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    pub(crate) tempo: Option<f32>,
    pub(crate) tempo_confidence: Option<f32>,
    pub(crate) tempo_alternatives: Vec<TempoChoice>,
    pub(crate) next_beat: Option<NextBeat>,
    pub(crate) energy: Option<f32>,
    pub(crate) energy_forecast: Option<f32>,
    pub(crate) chord: Option<ChordNow>,
    pub(crate) key: Option<String>,
    pub(crate) next_chord: Option<NextChord>,
    /// The strongest onset since the last message.
    pub(crate) onset: Option<f32>,
    /// How much is computed.
    pub(crate) level: QualityLevel,
}

/// The state of a stream, some times a second. What is not known is null.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "analysis")]
pub(crate) struct Analysis<'a> {
    sequence: u64,
    #[serde(flatten)]
    heard: Moment,
    tempo: Option<f32>,
    confidence: Option<f32>,
    tempo_alternatives: &'a [TempoChoice],
    next_beat: Option<NextBeat>,
    pitch: Option<f32>,
    pitch_confidence: Option<f32>,
    energy: Option<f32>,
    energy_forecast: Option<f32>,
    rms: Option<f32>,
    peak: Option<f32>,
    spectral_centroid: Option<f32>,
    spectral_rolloff: Option<f32>,
    zero_crossing_rate: Option<f32>,
    onset_detected: bool,
    onset_strength: Option<f32>,
    loudness: Option<Loudness>,
    chroma: Option<&'a [f32]>,
    chord: Option<&'a ChordNow>,
    key: Option<&'a str>,
    next_chord: Option<&'a NextChord>,
    level: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    log_mel: Option<Vec<i16>>,
    #[serde(skip_serializing_if = "Extra::is_empty")]
    features: Extra<'a>,
}

/// How many bands a spectrogram's column has.
pub(crate) const MEL_BANDS: usize = 64;

impl<'a> Analysis<'a> {
    pub(crate) fn new(
        sequence: u64,
        heard: Moment,
        frame: &'a FeatureFrame,
        known: &'a Known,
        extra: FeatureSet,
        spectrogram: bool,
    ) -> Self {
        let pitch = frame.values(Feature::Pitch);
        let finite = |x: Option<&f32>| x.copied().filter(|x| x.is_finite());
        Self {
            sequence,
            heard,
            tempo: known.tempo,
            confidence: known.tempo_confidence,
            tempo_alternatives: &known.tempo_alternatives,
            next_beat: known.next_beat,
            pitch: finite(pitch.first()),
            pitch_confidence: finite(pitch.get(1)),
            energy: known.energy,
            energy_forecast: known.energy_forecast,
            rms: frame.value(Feature::Rms),
            peak: frame.value(Feature::Peak),
            spectral_centroid: frame.value(Feature::SpectralCentroid),
            spectral_rolloff: frame.value(Feature::SpectralRolloff),
            zero_crossing_rate: frame.value(Feature::ZeroCrossingRate),
            onset_detected: known.onset.is_some(),
            onset_strength: frame.value(Feature::OnsetStrength),
            loudness: match frame.values(Feature::Loudness) {
                [momentary, short_term, integrated] => Some(Loudness {
                    momentary: finite(Some(momentary)),
                    short_term: finite(Some(short_term)),
                    integrated: finite(Some(integrated)),
                }),
                _ => None,
            },
            chroma: Some(frame.values(Feature::ChromaStft))
                .filter(|chroma| chroma.len() == 12 && chroma.iter().all(|x| x.is_finite())),
            chord: known.chord.as_ref(),
            key: known.key.as_deref(),
            next_chord: known.next_chord.as_ref(),
            level: known.level.name(),
            log_mel: spectrogram.then(|| column(frame.values(Feature::LogMel))),
            features: Extra { frame, features: extra },
        }
    }
}

/// The mel bands in whole decibels, the louder of each few, as few as a picture needs.
fn column(log_mel: &[f32]) -> Vec<i16> {
    let chunk = log_mel.len().div_ceil(MEL_BANDS).max(1);
    log_mel
        .chunks(chunk)
        .map(|few| few.iter().copied().fold(-120.0, f32::max).round() as i16)
        .collect()
}

/// Features by name, as `{"mfcc": [..], "rms": ..}`.
#[derive(Debug)]
struct Extra<'a> {
    frame: &'a FeatureFrame,
    features: FeatureSet,
}

impl Extra<'_> {
    fn is_empty(&self) -> bool {
        self.features.is_empty()
    }
}

impl Serialize for Extra<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // NaN and infinity become null.
        serializer.collect_map(self.features.iter().map(|feature| {
            let values = self.frame.values(feature);
            (
                feature.name(),
                if let [one] = values { Values::One(*one) } else { Values::Many(values) },
            )
        }))
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum Values<'a> {
    One(f32),
    Many(&'a [f32]),
}

/// Something that happened, told at once.
#[derive(Debug, Serialize)]
pub(crate) struct Happening<'a> {
    #[serde(flatten)]
    what: What<'a>,
    sequence: u64,
    #[serde(flatten)]
    at: Moment,
    /// How far the stream had been heard, in seconds.
    heard: f64,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum What<'a> {
    /// A beat that is expected; it is told before it sounds.
    Beat {
        confidence: f32,
        std_dev: f64,
        bar_position: Option<u8>,
        metre: Option<String>,
        tempo: Option<f64>,
    },
    Tempo {
        tempo: Option<f64>,
    },
    TempoChange {
        from: f64,
        to: f64,
        confidence: f32,
    },
    Onset {
        strength: f32,
    },
    Note {
        frequency: Option<f32>,
    },
    Transition {
        kind: String,
        change: f32,
        confidence: f32,
    },
    Chord {
        label: &'a str,
        confidence: f32,
        key: Option<&'a str>,
        next_chord: Option<&'a NextChord>,
    },
    Gap {
        lost: u64,
        reason: &'static str,
    },
    LevelChanged {
        level: &'static str,
    },
}

impl<'a> Happening<'a> {
    /// The message for an event, after `known` has taken it in; `None` for what is not told one by one.
    pub(crate) fn new(
        event: &Event,
        known: &'a Known,
        gap: &'static str,
        rate: SampleRate,
        sequence: u64,
    ) -> Option<Self> {
        let what = match &event.kind {
            EventKind::Beat { std_dev, confidence, bar_position, bpm, .. } => What::Beat {
                confidence: *confidence,
                std_dev: *std_dev,
                bar_position: bar_position.map(|bar| bar.beat),
                metre: bar_position.map(|bar| bar.metre.to_string()),
                tempo: *bpm,
            },
            EventKind::Tempo { bpm } => What::Tempo { tempo: *bpm },
            EventKind::TempoChange(TempoChange { from, to, confidence, .. }) => {
                What::TempoChange { from: *from, to: *to, confidence: *confidence }
            }
            EventKind::Onset { strength } => What::Onset { strength: *strength },
            EventKind::Pitch { frequency } => What::Note { frequency: *frequency },
            EventKind::Transition(transition) => {
                let EnergyTransition { kind, change, confidence, .. } = *transition;
                What::Transition { kind: kind.to_string(), change, confidence }
            }
            EventKind::Chord { confidence, .. } => What::Chord {
                label: known.chord.as_ref().map_or("N", |chord| &chord.label),
                confidence: *confidence,
                key: known.key.as_deref(),
                next_chord: known.next_chord.as_ref(),
            },
            EventKind::Gap { lost } => What::Gap { lost: *lost, reason: gap },
            EventKind::Quality(settings) => What::LevelChanged { level: settings.level.name() },
            _ => return None,
        };
        let heard = event.heard.seconds(rate);
        Some(Self { what, sequence, at: Moment::new(event.at, rate), heard })
    }
}
