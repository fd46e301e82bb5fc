//! What the confidence of beats is fitted on.
//!
//! `cargo run --release -p upbeat-predict --example beat_evidence -- OUT [--onsets] SONG.wav…` writes `OUT/SONG.txt` for each
//! song: a line for each beat announced, also where there seems to be none, with its time and its evidence.

mod wav;

use std::error::Error;
use std::fmt::Write;

use upbeat_core::{SampleIndex, Stage};
use upbeat_predict::beats::{BeatConfig, BeatTracker, FrontEnd};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let before = arguments.len();
    arguments.retain(|argument| argument != "--onsets");
    let onsets = arguments.len() < before;
    let (out, songs) =
        arguments.split_first().ok_or("usage: beat_evidence OUT [--onsets] SONG.wav…")?;
    for song in songs {
        let (rate, samples) = wav::read(song)?;
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
        std::fs::write(wav::target(out, song, "txt")?, text)?;
    }
    Ok(())
}
