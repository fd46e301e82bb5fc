//! What the beat network is trained on.
//!
//! `cargo run --release -p upbeat-predict --example beat_features -- OUT SONG.wav…` writes `OUT/SONG.f32` for each
//! song: 32 bands per frame, 100 frames per second, as little-endian `f32`.

use std::error::Error;
use std::path::Path;

use upbeat_core::{SampleIndex, SampleRate, Stage};
use upbeat_predict::beats::BeatSpectrum;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let out = arguments.next().ok_or("usage: beat_features OUT SONG.wav…")?;
    for song in arguments {
        let mut reader = hound::WavReader::open(&song)?;
        let spec = reader.spec();
        if spec.channels != 1 || spec.bits_per_sample != 16 {
            return Err(format!("{song}: 16-bit mono files only").into());
        }
        let samples: Vec<f32> = reader
            .samples::<i16>()
            .map(|s| s.map(|s| f32::from(s) / 32_768.0))
            .collect::<Result<_, _>>()?;
        let mut spectrum = BeatSpectrum::new(SampleRate::new(spec.sample_rate)?)?;
        let mut bytes = Vec::new();
        spectrum.process(SampleIndex(0), &samples, |_, bands| {
            bytes.extend(bands.iter().flat_map(|x| x.to_le_bytes()));
        });
        let name = Path::new(&song).with_extension("f32");
        let name = name.file_name().ok_or("a song without a name")?;
        std::fs::write(Path::new(&out).join(name), bytes)?;
    }
    Ok(())
}
