//! What the confidence of beats is fitted on.
//!
//! `cargo run --release -p upbeat-predict --example beat_evidence -- OUT [--onsets] SONG.wav…` writes `OUT/SONG.txt` for each
//! song: a line for each beat announced, also where there seems to be none, with its time and its evidence.

use std::error::Error;
use std::fmt::Write;
use std::path::Path;

use upbeat_core::{SampleIndex, SampleRate, Stage};
use upbeat_predict::beats::{BeatConfig, BeatTracker, FrontEnd};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let before = arguments.len();
    arguments.retain(|argument| argument != "--onsets");
    let onsets = arguments.len() < before;
    let (out, songs) =
        arguments.split_first().ok_or("usage: beat_evidence OUT [--onsets] SONG.wav…")?;
    for song in songs {
        let mut reader = hound::WavReader::open(song)?;
        let spec = reader.spec();
        if spec.channels != 1 || spec.bits_per_sample != 16 {
            return Err(format!("{song}: 16-bit mono files only").into());
        }
        let samples: Vec<f32> = reader
            .samples::<i16>()
            .map(|s| s.map(|s| f32::from(s) / 32_768.0))
            .collect::<Result<_, _>>()?;
        let rate = SampleRate::new(spec.sample_rate)?;
        let mut config = BeatConfig::new(rate);
        config.threshold = 0.0;
        if onsets {
            config.front_end = FrontEnd::Onset;
        }
        let mut tracker = BeatTracker::new(&config)?;
        let mut text = String::new();
        tracker.process(SampleIndex(0), &samples, |_, estimate| {
            if let Some(beat) = estimate.beat {
                let _ = write!(text, "{:.4}", beat.at.seconds(rate));
                for value in beat.evidence {
                    let _ = write!(text, "\t{value:.4}");
                }
                text.push('\n');
            }
        });
        let name = Path::new(song).with_extension("txt");
        let name = name.file_name().ok_or("a song without a name")?;
        std::fs::write(Path::new(out).join(name), text)?;
    }
    Ok(())
}
