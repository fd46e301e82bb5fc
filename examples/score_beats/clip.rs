//! Clips and their annotations.

use std::fs;
use std::path::{Path, PathBuf};

use upbeat::core::{Mix, SampleIndex, SampleRate, Stage};
use upbeat::io::{FileSource, ResampleQuality, Resampler, Source, StreamFormat};
use upbeat_testkit::groove::{groove, groove_with_jump};

use crate::Failure;

/// Where a clip comes from.
#[derive(Clone)]
pub(crate) enum Clip {
    File(PathBuf),
    Groove(u64),
    /// A groove whose tempo becomes so many times as fast.
    Jump(u64, f64),
}

/// The sound of a clip as mono samples, and its beats.
pub(crate) struct Sound {
    pub(crate) rate: SampleRate,
    pub(crate) samples: Vec<f32>,
    /// Time in seconds and place in the bar, 0 where it is unknown. `None`: there is no beat in it.
    pub(crate) beats: Option<Vec<(f64, u8)>>,
}

/// Grooves with seeds from here on are in no training set and in no other test.
const FIRST_SEED: u64 = 100;
const GROOVE_RATE: u32 = 22_050;
const GROOVE_SECONDS: f64 = 40.0;
/// The jump comes with the first bar from here on.
pub(crate) const JUMP: f64 = 20.0;

pub(crate) fn all(files: &[PathBuf], grooves: u64, jumps: bool) -> Vec<Clip> {
    if !files.is_empty() {
        return files.iter().cloned().map(Clip::File).collect();
    }
    let seeds = FIRST_SEED..FIRST_SEED + grooves;
    if jumps {
        return seeds.flat_map(|seed| [1.1, 0.9].map(|f| Clip::Jump(seed, f))).collect();
    }
    seeds.map(Clip::Groove).collect()
}

impl Clip {
    pub(crate) fn name(&self) -> String {
        match self {
            Self::File(path) => {
                path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into())
            }
            Self::Groove(seed) => format!("groove_{seed}"),
            Self::Jump(seed, factor) => format!("tempo × {factor}_{seed}"),
        }
    }

    pub(crate) fn set(&self) -> String {
        let name = self.name();
        let end = if name.starts_with("real_") { name.find('_') } else { name.rfind('_') };
        name[..end.unwrap_or(name.len())].to_owned()
    }

    pub(crate) fn load(&self) -> Result<Sound, Failure> {
        match self {
            Self::File(path) => {
                read(path).map_err(|error| format!("{}: {error}", path.display()).into())
            }
            Self::Groove(seed) => {
                let made = groove(*seed, GROOVE_RATE, GROOVE_SECONDS);
                Sound::new(GROOVE_RATE, made.samples, made.beats)
            }
            Self::Jump(seed, factor) => {
                let made = groove_with_jump(*seed, GROOVE_RATE, GROOVE_SECONDS, JUMP, *factor);
                Sound::new(GROOVE_RATE, made.samples, made.beats)
            }
        }
    }
}

impl Sound {
    fn new(rate: u32, samples: Vec<f32>, beats: Vec<(f64, u8)>) -> Result<Self, Failure> {
        Ok(Self { rate: SampleRate::new(rate)?, samples, beats: Some(beats) })
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.rate.seconds(self.samples.len() as u64)
    }

    /// The samples at another rate.
    pub(crate) fn samples_at(&self, rate: SampleRate) -> Result<Vec<f32>, Failure> {
        let format = StreamFormat::mono(self.rate);
        let mut resampler = Resampler::new(format, rate, ResampleQuality::Balanced)?;
        let mut samples = Vec::new();
        resampler.process(SampleIndex(0), &self.samples, |_, block| samples.extend(block));
        resampler.finish(|_, block| samples.extend(block));
        Ok(samples)
    }
}

fn read(path: &Path) -> Result<Sound, Failure> {
    let mut source = FileSource::open(path)?;
    let format = source.format();
    let mut mono = Mix::down(format.channels())?;
    let mut samples = Vec::new();
    let mut buffer = vec![0.0; 4096 * format.channels()];
    while let Some(block) = source.read(&mut buffer)? {
        mono.process(block.at, block.interleaved, |_, mixed| samples.extend(mixed));
    }
    let annotation = path.with_extension("beats");
    let beats = match fs::read_to_string(&annotation) {
        Ok(text) => Some(text.lines().map(beat).collect::<Result<Vec<_>, _>>()?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(format!("{}: {error}", annotation.display()).into()),
    };
    Ok(Sound { rate: format.sample_rate(), samples, beats })
}

fn beat(line: &str) -> Result<(f64, u8), Failure> {
    let wrong = || format!("a beat is a time, a tab and a place in the bar, not {line:?}");
    let mut words = line.split_whitespace();
    let time = words.next().and_then(|word| word.parse().ok()).ok_or_else(wrong)?;
    let place = words.next().map_or(Ok(0), str::parse).map_err(|_| wrong())?;
    Ok((time, place))
}
