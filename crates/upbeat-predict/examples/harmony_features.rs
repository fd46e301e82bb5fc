//! Writes what the chord model hears, for its training.
//!
//! `cargo run --release -p upbeat-predict --example harmony_features -- OUT CENTS FILE.wav…` writes
//! OUT/FILE.f32: one row of [`PitchSpectrum::BANDS`] little-endian `f32` per frame. CENTS pretends that
//! the files were recorded at another speed: their tuning moves by so many hundredths of a semitone.

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

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
        write_features(Path::new(&out), cents, Path::new(&file))?;
    }
    Ok(())
}

fn write_features(out: &Path, cents: f64, file: &Path) -> Result<(), Box<dyn Error>> {
    let mut reader = hound::WavReader::open(file)?;
    let speed = (cents / 1200.0).exp2();
    let rate = SampleRate::new((f64::from(reader.spec().sample_rate) * speed).round() as u32)?;
    let samples: Vec<f32> = reader
        .samples::<i16>()
        .map(|s| s.map(|s| f32::from(s) / 32768.0))
        .collect::<Result<_, _>>()?;
    let spec = frame_spec(rate)?;
    let mut chain = Framer::new(spec)
        .then(Stft::new(&StftConfig::new(spec.frame_length()))?)
        .then(PitchSpectrum::new(&PitchSpectrumConfig::new(spec))?);
    let stem = file.file_stem().ok_or("a file has a name")?;
    let mut writer = BufWriter::new(File::create(out.join(stem).with_extension("f32"))?);
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
