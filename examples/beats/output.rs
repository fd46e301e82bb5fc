//! Beats as text, JSON lines and JAMS; clicks.

use std::error::Error;
use std::f32::consts::TAU;
use std::fs;
use std::path::Path;

use clap::ValueEnum;
use serde::Serialize;
use serde_json::json;
use upbeat::core::SampleRate;
use upbeat::io::{StreamFormat, WavEncoding, WavSink};
use upbeat::predict::beats::{BeatConfig, Prediction};

#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Jsonl,
    Jams,
}

impl Format {
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::Text => "txt",
            Self::Jsonl => "jsonl",
            Self::Jams => "jams",
        }
    }
}

/// A beat as it was announced; times in seconds.
#[derive(Serialize)]
pub(crate) struct Beat {
    pub(crate) time: f64,
    pub(crate) reported_at: f64,
    pub(crate) bar_position: Option<u8>,
    pub(crate) metre: Option<String>,
    pub(crate) confidence: f32,
    pub(crate) std_dev: f64,
    pub(crate) tempo: Option<f64>,
}

impl Beat {
    pub(crate) fn new(
        beat: &Prediction,
        reported_at: f64,
        tempo: Option<f64>,
        rate: SampleRate,
    ) -> Self {
        Self {
            time: beat.at.seconds(rate),
            reported_at,
            bar_position: beat.bar_position.map(|place| place.beat),
            metre: beat.bar_position.map(|place| place.metre.to_string()),
            confidence: beat.confidence,
            std_dev: beat.std_dev,
            tempo,
        }
    }

    fn line(&self) -> String {
        let place = self.bar_position.map_or_else(|| "-".into(), |place| place.to_string());
        format!("{:.6}\t{:.6}\t{place}\t{:.4}\n", self.time, self.reported_at, self.confidence)
    }
}

pub(crate) fn write(
    path: &Path,
    format: Format,
    beats: &[Beat],
    duration: f64,
    config: &BeatConfig,
) -> Result<(), Box<dyn Error>> {
    let text = match format {
        Format::Text => beats.iter().map(Beat::line).collect(),
        Format::Jsonl => {
            let lines = beats.iter().map(|beat| Ok(serde_json::to_string(beat)? + "\n"));
            lines.collect::<Result<String, serde_json::Error>>()?
        }
        Format::Jams => serde_json::to_string_pretty(&jams(beats, duration, config))?,
    };
    Ok(fs::write(path, text)?)
}

/// After <https://jams.readthedocs.io>: beats with their place in the bar, and the tempo at each beat.
fn jams(beats: &[Beat], duration: f64, config: &BeatConfig) -> serde_json::Value {
    let annotation = |namespace: &str, data: Vec<serde_json::Value>| {
        json!({
            "namespace": namespace,
            "data": data,
            "time": 0.0,
            "duration": duration,
            "sandbox": {"settings": format!("{config:?}")},
            "annotation_metadata": {
                "annotation_tools": "upbeat, example beats",
                "version": env!("CARGO_PKG_VERSION"),
                "annotation_rules": "causal: each beat as announced before it happened",
                "data_source": "program",
                "corpus": "",
                "curator": {"name": "", "email": ""},
                "annotator": {},
                "validation": "",
            },
        })
    };
    let beat = |b: &Beat| json!({"time": b.time, "duration": 0.0, "value": b.bar_position, "confidence": b.confidence});
    let tempo = |(n, b): (usize, &Beat)| {
        let end = beats.get(n + 1).map_or(duration, |next| next.time);
        let (value, length) = (b.tempo?, (end - b.time).max(0.0));
        Some(
            json!({"time": b.time, "duration": length, "value": value, "confidence": b.confidence}),
        )
    };
    json!({
        "annotations": [
            annotation("beat", beats.iter().map(beat).collect()),
            annotation("tempo", beats.iter().enumerate().filter_map(tempo).collect()),
        ],
        "file_metadata": {
            "title": "",
            "artist": "",
            "release": "",
            "duration": duration,
            "identifiers": {},
            "jams_version": "0.3.4",
        },
        "sandbox": {},
    })
}

/// Mixes a click of 30 ms into all channels at each beat, higher at downbeats, and softens the rest.
pub(crate) fn add_clicks(sound: &mut [f32], format: StreamFormat, beats: &[Beat]) {
    let (rate, channels) = (format.sample_rate(), format.channels());
    for x in &mut *sound {
        *x *= 0.6;
    }
    for beat in beats {
        let hertz = if beat.bar_position == Some(1) { 1760.0 } else { 1175.0 };
        let start = rate.samples(beat.time) as usize * channels;
        let length = rate.samples(0.03) as usize;
        let Some(rest) = sound.get_mut(start..) else { continue };
        for (n, sample) in rest.chunks_exact_mut(channels).take(length).enumerate() {
            let fade = 1.0 - n as f32 / length as f32;
            let click = 0.35 * fade * (TAU * hertz * n as f32 / rate.as_f64() as f32).sin();
            for x in sample {
                *x = (*x + click).clamp(-1.0, 1.0);
            }
        }
    }
}

pub(crate) fn write_wav(
    path: &Path,
    format: StreamFormat,
    sound: &[f32],
) -> Result<(), Box<dyn Error>> {
    let mut sink = WavSink::create(path, format, WavEncoding::Int16)?;
    sink.write(sound)?;
    Ok(sink.finish()?)
}
