//! Pipelines of one's own: composed from stages in code, and from a configuration file at run time.
//!
//! ```sh
//! cargo run --release --example custom_pipeline                            # the demo, the file beside this one
//! cargo run --release --example custom_pipeline -- PIPELINE.toml SONG.wav
//! ```

use std::error::Error;

use serde::Deserialize;
use upbeat::core::{BoxedStage, FrameSpec, Mix, SampleIndex, SampleRate, Stage};
use upbeat::features::mel::{LogMel, LogMelConfig, MelConfig, MelScale, MelSpectrogram};
use upbeat::features::mfcc::{Mfcc, MfccConfig};
use upbeat::features::onset::{OnsetStrength, OnsetStrengthConfig};
use upbeat::features::spectral::{SpectralCentroid, SpectralShapeConfig};
use upbeat::features::stft::{Spectrum, Stft, StftConfig};
use upbeat::io::demo::DemoSource;
use upbeat::io::{FileSource, Source};
use upbeat::window::Framer;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let pipeline = match arguments.next() {
        Some(path) => std::fs::read_to_string(path)?,
        None => include_str!("pipeline.toml").into(),
    };
    let song = arguments.next();
    let open = || -> Result<Box<dyn Source>, Box<dyn Error>> {
        Ok(match &song {
            Some(path) => Box::new(FileSource::open(path)?),
            None => Box::new(DemoSource::new(SampleRate::new(44_100)?)?),
        })
    };
    composed_in_code(open()?)?;
    composed_at_run_time(&toml::from_str(&pipeline)?, open()?)
}

/// Static composition: one chain of known types, which the compiler sees through.
fn composed_in_code(mut source: Box<dyn Source>) -> Result<(), Box<dyn Error>> {
    let format = source.format();
    let frames = FrameSpec::new(2048, 1024, format.sample_rate())?;
    let mut loudest = (0.0, 0.0);
    let mut chain = Mix::down(format.channels())?
        .then(Framer::new(frames))
        .then(Stft::new(&StftConfig::new(2048))?)
        .tap(|at, spectrum| {
            let power: f32 = spectrum.power().iter().sum();
            if power > loudest.1 {
                loudest = (at.seconds(format.sample_rate()), power);
            }
        })
        .then(SpectralCentroid::new(&SpectralShapeConfig::new(format.sample_rate(), 2048))?);

    println!(
        "in code: Mix -> Framer -> Stft -> tap -> SpectralCentroid, {} samples late",
        chain.latency()
    );
    let (mut brightest, mut count) = ((0.0, 0.0), 0);
    let mut buffer = vec![0.0; 4096 * format.channels()];
    while let Some(block) = source.read(&mut buffer)? {
        chain.process(block.at, block.interleaved, |at, centroid| {
            count += 1;
            if *centroid > brightest.1 {
                brightest = (at.seconds(format.sample_rate()), *centroid);
            }
        });
    }
    println!(
        "  {count} frames, brightest at {:.2} s ({:.0} Hz), loudest at {:.2} s",
        brightest.0, brightest.1, loudest.0
    );
    Ok(())
}

/// A pipeline as a file describes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pipeline {
    frame_length: usize,
    hop_length: usize,
    branch: Vec<BranchConfig>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BranchConfig {
    name: String,
    stages: Vec<StageConfig>,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum StageConfig {
    Mel { n_mels: usize, scale: Option<Scale> },
    Log,
    Mfcc { n_mfcc: usize },
    OnsetStrength,
    Centroid,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Scale {
    Slaney,
    Htk,
}

/// Dynamic composition: boxed stages, chosen by the file, chained as the static ones are.
fn composed_at_run_time(
    pipeline: &Pipeline,
    mut source: Box<dyn Source>,
) -> Result<(), Box<dyn Error>> {
    let format = source.format();
    let frames = FrameSpec::new(pipeline.frame_length, pipeline.hop_length, format.sample_rate())?;
    let mut spectra = Mix::down(format.channels())?
        .then(Framer::new(frames))
        .then(Stft::new(&StftConfig::new(pipeline.frame_length))?);
    let mut branches = Vec::new();
    for config in &pipeline.branch {
        let branch = branch(&config.stages, frames)
            .map_err(|error| format!("branch '{}': {error}", config.name))?;
        branches.push((config.name.as_str(), branch, Totals::default()));
    }

    println!("\nfrom the file: Mix -> Framer -> Stft -> {} branches", branches.len());
    let mut buffer = vec![0.0; 4096 * format.channels()];
    while let Some(block) = source.read(&mut buffer)? {
        spectra.process(block.at, block.interleaved, |at, spectrum| {
            for (_, branch, totals) in &mut branches {
                branch.process(at, spectrum, |_, values| totals.add(values));
            }
        });
    }
    for (name, _, totals) in &branches {
        println!("  {name}: mean {:.2?} of {} frames", totals.means(), totals.frames);
    }
    Ok(())
}

/// The stages of one branch, from spectra to values.
fn branch(
    stages: &[StageConfig],
    frames: FrameSpec,
) -> Result<BoxedStage<Spectrum, [f32]>, Box<dyn Error>> {
    let (rate, n_fft) = (frames.sample_rate(), frames.frame_length());
    let (first, rest) = stages.split_first().ok_or("a branch needs at least one stage")?;
    let (mut chain, mut width) = match first {
        StageConfig::Mel { n_mels, scale } => {
            let mut config = MelConfig::new(rate, n_fft);
            config.n_mels = *n_mels;
            config.scale = match scale {
                Some(Scale::Htk) => MelScale::Htk,
                Some(Scale::Slaney) | None => MelScale::Slaney,
            };
            (MelSpectrogram::new(&config)?.boxed(), *n_mels)
        }
        StageConfig::Centroid => {
            (Values(SpectralCentroid::new(&SpectralShapeConfig::new(rate, n_fft))?).boxed(), 1)
        }
        _ => return Err("the first stage must take spectra: mel or centroid".into()),
    };
    for stage in rest {
        let next: BoxedStage<[f32], [f32]> = match stage {
            StageConfig::Log => LogMel::new(&LogMelConfig::new(width))?.boxed(),
            StageConfig::Mfcc { n_mfcc } => {
                let mut config = MfccConfig::new(width);
                config.n_mfcc = *n_mfcc;
                let mfcc = Mfcc::new(&config)?;
                width = *n_mfcc;
                mfcc.boxed()
            }
            StageConfig::OnsetStrength => {
                let config = OnsetStrengthConfig::new(frames, width);
                width = 1;
                Values(OnsetStrength::new(&config)?).boxed()
            }
            _ => return Err("mel and centroid take spectra: they can only come first".into()),
        };
        chain = chain.then(next).boxed();
    }
    Ok(chain)
}

/// A stage of one's own: makes a slice of the one value that another stage emits.
struct Values<S>(S);

impl<S: Stage<Out = f32>> Stage for Values<S> {
    type In = S::In;
    type Out = [f32];

    fn process(
        &mut self,
        at: SampleIndex,
        input: &S::In,
        mut emit: impl FnMut(SampleIndex, &[f32]),
    ) {
        self.0.process(at, input, |at, value| emit(at, std::slice::from_ref(value)));
    }

    fn reset(&mut self) {
        self.0.reset();
    }

    fn latency(&self) -> u64 {
        self.0.latency()
    }
}

#[derive(Default)]
struct Totals {
    frames: u32,
    sums: Vec<f32>,
}

impl Totals {
    fn add(&mut self, values: &[f32]) {
        self.frames += 1;
        self.sums.resize(values.len(), 0.0);
        for (sum, value) in self.sums.iter_mut().zip(values) {
            *sum += value;
        }
    }

    fn means(&self) -> Vec<f32> {
        self.sums.iter().map(|sum| sum / self.frames as f32).collect()
    }
}
