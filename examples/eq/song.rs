//! A song in memory.

use std::path::Path;

use upbeat::core::SampleRate;
use upbeat::io::demo::DemoSource;
use upbeat::io::{FileSource, Source, StreamFormat};

use crate::Failure;

pub(crate) struct Song {
    pub(crate) name: String,
    pub(crate) format: StreamFormat,
    /// Interleaved.
    pub(crate) samples: Vec<f32>,
}

impl Song {
    /// The song at `path`, or the demo; the first `seconds` of it, or all.
    pub(crate) fn open(path: Option<&Path>, seconds: Option<f64>) -> Result<Self, Failure> {
        let Some(path) = path else {
            let demo = DemoSource::new(SampleRate::new(44_100)?)?;
            return Self::read("the demo".into(), demo, seconds);
        };
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        let file = FileSource::open(path)
            .map_err(|error| format!("cannot open {}: {error}", path.display()))?;
        Self::read(name.into_owned(), file, seconds)
    }

    fn read(name: String, mut source: impl Source, seconds: Option<f64>) -> Result<Self, Failure> {
        let format = source.format();
        let rate = format.sample_rate();
        let most = seconds.map_or(usize::MAX, |s| rate.samples(s) as usize * format.channels());
        let mut samples = Vec::new();
        let mut buffer = vec![0.0; 4096 * format.channels()];
        while samples.len() < most
            && let Some(block) = source.read(&mut buffer)?
        {
            samples.extend_from_slice(block.interleaved);
        }
        samples.truncate(most);
        Ok(Self { name, format, samples })
    }

    /// The mean of all channels.
    pub(crate) fn mono(&self) -> Vec<f32> {
        mono(&self.samples, self.format.channels())
    }
}

pub(crate) fn mono(samples: &[f32], channels: usize) -> Vec<f32> {
    samples.chunks_exact(channels).map(|all| all.iter().sum::<f32>() / channels as f32).collect()
}
