//! Writes what the chord model hears, for its training.
//!
//! `cargo run --release -p upbeat-predict --example harmony_features -- OUT CENTS FILE.wav…` writes
//! OUT/FILE.f32: one row of [`PitchSpectrum::BANDS`] little-endian `f32` per frame. CENTS pretends that
//! the files were recorded at another speed: their tuning moves by so many hundredths of a semitone.

mod wav;

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};

use upbeat_core::{SampleIndex, SampleRate, Stage};
use upbeat_features::stft::{Stft, StftConfig};
use upbeat_predict::harmony::{PitchSpectrum, PitchSpectrumConfig, frame_spec};
use upbeat_window::Framer;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: harmony_features OUT CENTS FILE.wav…";
    let out = arguments.next().ok_or(usage)?;
    let cents: f64 = arguments.next().ok_or(usage)?.parse()?;
    for file in arguments {
        write_features(&out, cents, &file)?;
    }
    Ok(())
}

fn write_features(out: &str, cents: f64, file: &str) -> Result<(), Box<dyn Error>> {
    let (rate, samples) = wav::read(file)?;
    let speed = (cents / 1200.0).exp2();
    let rate = SampleRate::new((f64::from(rate.hz()) * speed).round() as u32)?;
    let spec = frame_spec(rate)?;
    let mut chain = Framer::new(spec)
        .then(Stft::new(&StftConfig::new(spec.frame_length()))?)
        .then(PitchSpectrum::new(&PitchSpectrumConfig::new(spec))?);
    let mut writer = BufWriter::new(File::create(wav::target(out, file, "f32")?)?);
    let mut result = Ok(());
    chain.process(SampleIndex(0), &samples, |_, bands| {
        for band in bands {
            if result.is_ok() {
                result = writer.write_all(&band.to_le_bytes());
            }
        }
    });
    Ok(result?)
}
