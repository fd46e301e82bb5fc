//! Energy, and where it changes, as it is heard.
//!
//! `cargo run --release -p upbeat-predict --example energy -- SONG.wav… [--levels]` prints each transition when
//! it is announced, and with `--levels` loudness, energy and forecast of every second.

use std::error::Error;
use std::path::Path;

use upbeat_core::{SampleIndex, SampleRate, Stage};
use upbeat_predict::energy::{Energy, EnergyConfig, EnergyTracker};

fn main() -> Result<(), Box<dyn Error>> {
    let (options, songs): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|argument| argument.starts_with("--"));
    if songs.is_empty() || options.iter().any(|option| option != "--levels") {
        return Err("usage: energy SONG.wav… [--levels]".into());
    }
    for song in songs {
        listen(Path::new(&song), !options.is_empty())?;
    }
    Ok(())
}

fn listen(song: &Path, levels: bool) -> Result<(), Box<dyn Error>> {
    let mut reader = hound::WavReader::open(song)?;
    let spec = reader.spec();
    let rate = SampleRate::new(spec.sample_rate)?;
    let full = (1_u64 << (spec.bits_per_sample - 1)) as f32;
    let samples: Vec<f32> =
        reader.samples::<i32>().map(|s| s.map(|s| s as f32 / full)).collect::<Result<_, _>>()?;

    let mut tracker = EnergyTracker::new(&EnergyConfig::new(rate, usize::from(spec.channels)))?;
    println!("{}", song.display());
    let mut tenths = 0;
    tracker.process(SampleIndex(0), &samples, |at, energy| {
        let now = at.seconds(rate) + 0.1;
        tenths += 1;
        if levels && tenths % 10 == 0 {
            print_level(now, energy);
        }
        if let Some(found) = energy.transition {
            println!(
                "{now:8.1}  {} at {:.1} s, {:+.1} dB, {:.0} %",
                found.kind,
                found.at.seconds(rate),
                found.change,
                100.0 * found.confidence,
            );
        }
    });
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
