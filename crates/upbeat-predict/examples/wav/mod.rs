//! WAV files for the training tools of this folder.

use std::error::Error;
use std::path::{Path, PathBuf};

use upbeat_core::SampleRate;

/// The rate and the samples of a 16-bit mono file.
pub(crate) fn read(file: &str) -> Result<(SampleRate, Vec<f32>), Box<dyn Error>> {
    let mut reader = hound::WavReader::open(file)?;
    let spec = reader.spec();
    if spec.channels != 1 || spec.bits_per_sample != 16 {
        return Err(format!("{file}: 16-bit mono files only").into());
    }
    let samples = reader.samples::<i16>().map(|s| s.map(|s| f32::from(s) / 32_768.0));
    Ok((SampleRate::new(spec.sample_rate)?, samples.collect::<Result<_, _>>()?))
}

/// Where what is made of a file goes.
pub(crate) fn target(out: &str, file: &str, extension: &str) -> Result<PathBuf, Box<dyn Error>> {
    let stem = Path::new(file).file_stem().ok_or("a file has a name")?;
    Ok(Path::new(out).join(stem).with_extension(extension))
}
