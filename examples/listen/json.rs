//! Events as lines of JSON.

use std::io::Write;

use serde_json::{Value, json};
use upbeat::core::SampleRate;
use upbeat::io::StreamFormat;
use upbeat::{Event, EventKind, Feature, FeatureFrame, Interests, Listener};

/// Prints a line per event, and one ten times a second with what is measured.
pub(crate) struct Lines {
    rate: SampleRate,
    /// When the next line of measurements is due, in seconds of the stream.
    due: f64,
}

impl Lines {
    pub(crate) const fn new(format: StreamFormat) -> Self {
        Self { rate: format.sample_rate(), due: 0.0 }
    }
}

impl Listener for Lines {
    fn event(&mut self, event: &Event) {
        let (name, mut fields) = describe(&event.kind);
        if let Value::Object(fields) = &mut fields {
            fields.insert("event".into(), name.into());
            fields.insert("time".into(), event.at.seconds(self.rate).into());
            fields.insert("heard".into(), event.heard.seconds(self.rate).into());
        }
        print(&fields);
    }

    fn frame(&mut self, frame: &FeatureFrame) {
        if frame.seconds() < self.due {
            return;
        }
        self.due = frame.seconds() + 0.1;
        let value = |feature| frame.value(feature);
        print(&json!({
            "event": "analysis",
            "time": frame.seconds(),
            "rms": value(Feature::Rms),
            "peak": value(Feature::Peak),
            "loudness": value(Feature::Loudness),
            "spectral_centroid": value(Feature::SpectralCentroid),
            "pitch": value(Feature::Pitch),
            "chroma": frame.values(Feature::ChromaStft),
        }));
    }

    fn interests(&self) -> Interests {
        Interests { blocks: false, ..Interests::ALL }
    }
}

/// One line, at once. If nobody reads any more, there is nothing left to do.
fn print(value: &Value) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{value}").and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// Its name, and what there is to say of it.
pub(crate) fn describe(kind: &EventKind) -> (&'static str, Value) {
    match kind {
        EventKind::Onset { strength } => ("onset", json!({ "strength": strength })),
        EventKind::Pitch { frequency } => ("pitch", json!({ "frequency": frequency })),
        EventKind::Energy(energy) => (
            "energy",
            json!({
                "loudness": energy.loudness,
                "energy": energy.energy,
                "forecast": energy.forecast,
            }),
        ),
        EventKind::Transition(transition) => (
            "transition",
            json!({
                "kind": transition.kind.to_string(),
                "change": transition.change,
                "confidence": transition.confidence,
            }),
        ),
        EventKind::Beat { std_dev, confidence, bar_position, bpm, tempi } => (
            "beat",
            json!({
                "confidence": confidence,
                "std_dev": std_dev,
                "bar_position": bar_position.map(|bar| bar.beat),
                "metre": bar_position.map(|bar| bar.metre.to_string()),
                "tempo": bpm,
                "tempi": tempi.iter().flatten().map(|tempo| tempo.bpm).collect::<Vec<_>>(),
            }),
        ),
        EventKind::Tempo { bpm } => ("tempo", json!({ "tempo": bpm })),
        EventKind::TempoChange(change) => (
            "tempo_change",
            json!({ "from": change.from, "to": change.to, "confidence": change.confidence }),
        ),
        EventKind::Chord { label, confidence, key, next, .. } => (
            "chord",
            json!({
                "chord": label.to_string(),
                "confidence": confidence,
                "key": key.map(|key| key.to_string()),
                "next": next.map(|(triad, _)| triad.to_string()),
                "next_confidence": next.map(|(_, p)| p),
            }),
        ),
        EventKind::Gap { lost } => ("gap", json!({ "lost": lost })),
        EventKind::Quality(settings) => ("quality", json!({ "level": settings.level.name() })),
        EventKind::Governor(event) => (event.name(), json!({ "text": event.to_string() })),
        EventKind::Stream(event) => ("stream", json!({ "text": format!("{event:?}") })),
        other => ("other", json!({ "text": format!("{other:?}") })),
    }
}
