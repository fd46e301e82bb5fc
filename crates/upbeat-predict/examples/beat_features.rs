//! What the beat network is trained on.
//!
//! `cargo run --release -p upbeat-predict --example beat_features -- OUT SONG.wav…` writes `OUT/SONG.f32` for each
//! song: 32 bands per frame, 100 frames per second, as little-endian `f32`.

mod wav;

use std::error::Error;

use upbeat_core::{SampleIndex, Stage};
use upbeat_predict::beats::BeatSpectrum;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let out = arguments.next().ok_or("usage: beat_features OUT SONG.wav…")?;
    for song in arguments {
        let (rate, samples) = wav::read(&song)?;
        let mut spectrum = BeatSpectrum::new(rate)?;
        let mut bytes = Vec::new();
        spectrum.process(SampleIndex(0), &samples, |_, bands| {
            bytes.extend(bands.iter().flat_map(|x| x.to_le_bytes()));
        });
        std::fs::write(wav::target(&out, &song, "f32")?, bytes)?;
    }
    Ok(())
}
