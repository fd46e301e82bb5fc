//! Energy, and where it changes, as it is heard.
//!
//! ```sh
//! cargo run --release --example energy                       # the built-in demo
//! cargo run --release --example energy -- SONG.ogg --levels  # loudness, energy and forecast of every second too
//! cargo run --release --example energy -- *.wav --score      # held against what is seen afterwards
//! ```
//!
//! Prints each transition when it is announced. `--score` prints precision, recall and F at the end, delays,
//! false alarms, how far the confidences can be trusted, and what the forecast is worth.

#[path = "../common/mod.rs"]
mod common;
mod score;

use std::error::Error;
use std::path::PathBuf;

use clap::Parser;
use common::Song;
use score::Score;
use upbeat::core::Stage;
use upbeat::predict::energy::{Energy, EnergyConfig, EnergyTracker};

#[derive(Parser)]
#[command(about = "Energy of songs and where it changes; without a file, of the built-in demo.")]
struct Options {
    /// Songs: wav, flac, mp3, ogg, m4a, aiff.
    songs: Vec<PathBuf>,
    /// Print loudness, energy and forecast of every second.
    #[arg(long)]
    levels: bool,
    /// Hold what was announced against what is seen afterwards.
    #[arg(long)]
    score: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let mut score = Score::default();
    for song in common::open(&options.songs)? {
        listen(song, &options, &mut score)?;
    }
    if options.score {
        println!("{score}");
    }
    Ok(())
}

fn listen(mut song: Song, options: &Options, score: &mut Score) -> Result<(), Box<dyn Error>> {
    let format = song.source.format();
    let rate = format.sample_rate();
    let mut tracker = EnergyTracker::new(&EnergyConfig::new(rate, format.channels()))?;
    let mut reference = score::Reference::new(format)?;
    println!("{}", song.name);
    let (mut announced, mut tenths) = (Vec::new(), Vec::new());
    song.hear(|at, block| {
        if options.score {
            reference.hear(at, block);
        }
        tracker.process(at, block, |at, energy| {
            let now = at.seconds(rate) + 0.1;
            tenths.push(*energy);
            if options.levels && tenths.len() % 10 == 0 {
                print_level(now, energy);
            }
            if let Some(found) = energy.transition {
                announced.push((now, found.at.seconds(rate), found));
                println!(
                    "{now:8.1}  {} at {:.1} s, {:+.1} dB, {:.0} %",
                    found.kind,
                    found.at.seconds(rate),
                    found.change,
                    100.0 * found.confidence,
                );
            }
        });
    })?;
    score.add(&reference.changes(), &announced, &tenths);
    Ok(())
}

fn print_level(now: f64, energy: &Energy) {
    let text = |value: Option<f32>| value.map_or("-".to_owned(), |value| format!("{value:.2}"));
    println!(
        "{now:8.1}  {:>7} LUFS  energy {:>4}  in 2 s {:>4}",
        text(energy.loudness),
        text(energy.energy),
        text(energy.forecast),
    );
}
