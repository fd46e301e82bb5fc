//! Any settings of the analyzer and of single stages, and any samples: settings are refused by name or work,
//! and no sample, however bad, makes a feature infinite or stops a stream.

#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use upbeat::core::{FrameSpec, SampleIndex, SampleRate};
use upbeat::features::cqt::CqtConfig;
use upbeat::features::delta::{Delta, DeltaConfig};
use upbeat::features::mel::{MelConfig, MelScale, MelSpectrogram};
use upbeat::features::onset::{OnsetPicker, OnsetPickerConfig};
use upbeat::features::pcen::{Pcen, PcenConfig};
use upbeat::features::pitch::{Pyin, PyinConfig, Yin, YinConfig};
use upbeat::{Analyzer, AnalyzerConfig, Feature, FeatureSet};

#[derive(Arbitrary, Debug)]
struct Input {
    sample_rate: u32,
    channels: u8,
    features: Vec<u8>,
    frame_length: u16,
    hop_length: u16,
    n_mels: u8,
    n_mfcc: u8,
    pitch_fmin: Option<f32>,
    pitch_fmax: Option<f32>,
    stages: Stages,
    /// Each a block: where it starts after the one before, and its samples.
    blocks: Vec<(u8, Vec<f32>)>,
}

#[derive(Arbitrary, Debug)]
struct Stages {
    fmin: f32,
    fmax: f32,
    seconds: f64,
    width: u16,
    htk: bool,
}

fuzz_target!(|input: Input| {
    stages(&input);
    let mut config = AnalyzerConfig::new(input.sample_rate, usize::from(input.channels));
    config.features = input
        .features
        .iter()
        .map(|choice| Feature::ALL[usize::from(*choice) % Feature::ALL.len()])
        .collect::<FeatureSet>();
    // Small, or the fuzzer spends its time in transforms.
    config.frame_length = usize::from(input.frame_length % 4096);
    config.hop_length = usize::from(input.hop_length);
    config.n_mels = usize::from(input.n_mels);
    config.n_mfcc = usize::from(input.n_mfcc);
    config.pitch_fmin = input.pitch_fmin;
    config.pitch_fmax = input.pitch_fmax;
    // The constant-Q transform plans long FFTs, at absurd rates for seconds; once in a while is enough.
    if !input.features.len().is_multiple_of(8) || input.sample_rate > 200_000 {
        config.features.remove(Feature::Cqt);
        config.features.remove(Feature::ChromaCqt);
    }
    let Ok(mut analyzer) = Analyzer::new(&config) else { return };

    let mut at = SampleIndex(0);
    for (skip, samples) in &input.blocks {
        at += u64::from(*skip / 200); // mostly 0: no gap
        let taken = analyzer.process(at, samples, |frame| {
            for value in frame.as_slice() {
                assert!(
                    !value.is_infinite(),
                    "{:?}",
                    frame.layout().column_names().zip(frame.as_slice()).collect::<Vec<_>>()
                );
            }
        });
        if taken.is_ok() {
            at += (samples.len() / config.channels) as u64;
        }
    }
});

/// Constructors of stages: an error or a stage, never a panic or an absurd allocation.
fn stages(input: &Input) {
    let Ok(rate) = SampleRate::new(input.sample_rate) else { return };
    let frame_length = usize::from(input.frame_length);
    let Ok(frames) = FrameSpec::new(frame_length, usize::from(input.hop_length), rate) else {
        return;
    };
    let Stages { fmin, fmax, seconds, width, htk } = input.stages;

    let mut mel = MelConfig::new(rate, frame_length % 4096);
    (mel.fmin, mel.fmax) = (f64::from(fmin), f64::from(fmax));
    mel.n_mels = usize::from(width % 64);
    if htk {
        mel.scale = MelScale::Htk;
    }
    let _ = MelSpectrogram::new(&mel);

    let mut cqt = CqtConfig::new(rate);
    (cqt.fmin, cqt.bins_per_octave) = (fmin, usize::from(width));
    let _ = cqt.frame_length();

    let mut delta = DeltaConfig::new(frames, usize::from(width));
    delta.width = usize::from(input.n_mels);
    let _ = Delta::new(&delta);

    let mut pcen = PcenConfig::new(frames, usize::from(width));
    (pcen.gain, pcen.bias, pcen.time_constant) = (fmin, fmax, seconds);
    let _ = Pcen::new(&pcen);

    let mut picker = OnsetPickerConfig::new(frames);
    (picker.pre_max, picker.post_avg, picker.wait) = (seconds, f64::from(fmin), f64::from(fmax));
    let _ = OnsetPicker::new(&picker);

    let mut yin = YinConfig::new(frames);
    (yin.fmin, yin.fmax, yin.trough_threshold) = (f64::from(fmin), f64::from(fmax), fmin);
    let _ = Yin::new(&yin);

    if frame_length < 2048 {
        let mut pyin = PyinConfig::new(frames);
        (pyin.fmin, pyin.fmax, pyin.delay) = (f64::from(fmin), f64::from(fmax), seconds);
        let _ = Pyin::new(&pyin);
    }
}
