//! Any settings at all: each is refused with an error that names it, or gives something that works.

#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use upbeat_core::{FrameSpec, SampleIndex, SampleRate, Stage};
use upbeat_window::{
    Framer, OverlapAdd, OverlapAddConfig, QueueConfig, SlidingStatistic, SlidingWindow,
    SlidingWindowConfig, Statistic, Symmetry, WindowFunction, check_cola, check_nola, sample_queue,
};

#[derive(Arbitrary, Debug)]
struct Input {
    analysis: Window,
    synthesis: Window,
    symmetric: bool,
    frame_length: Size,
    hop_length: Size,
    sample_rate: u32,
    seconds: f64,
    channels: Size,
    capacity: Size,
    max_gaps: Size,
}

/// Mostly sizes that are quick to try; or any at all.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Size {
    Small(u8),
    Middling(u16),
    Any(u64),
}

impl Size {
    /// Where a size is allowed but would take long, a smaller one.
    fn get(self) -> usize {
        match self {
            Self::Small(size) => usize::from(size),
            Self::Middling(size) => usize::from(size) % 5000,
            Self::Any(size) => usize::try_from(size).unwrap_or(usize::MAX),
        }
    }

    fn is_slow(self) -> bool {
        (5000..=WindowFunction::MAX_LENGTH.max(SlidingWindow::MAX_LENGTH) * 2).contains(&self.get())
    }
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Window {
    Rectangular,
    Hann,
    Hamming,
    Blackman,
    BlackmanHarris,
    Kaiser(f64),
    Gaussian(f64),
    Tukey(f64),
    FlatTop,
}

impl Window {
    fn function(self) -> WindowFunction {
        match self {
            Self::Rectangular => WindowFunction::Rectangular,
            Self::Hann => WindowFunction::Hann,
            Self::Hamming => WindowFunction::Hamming,
            Self::Blackman => WindowFunction::Blackman,
            Self::BlackmanHarris => WindowFunction::BlackmanHarris,
            Self::Kaiser(beta) => WindowFunction::Kaiser { beta },
            Self::Gaussian(std) => WindowFunction::Gaussian { std },
            Self::Tukey(alpha) => WindowFunction::Tukey { alpha },
            Self::FlatTop => WindowFunction::FlatTop,
        }
    }
}

fuzz_target!(|input: Input| {
    let sizes =
        [input.frame_length, input.hop_length, input.channels, input.capacity, input.max_gaps];
    if sizes.iter().any(|size| size.is_slow()) {
        return;
    }
    check_window(&input);
    check_queue(&input);

    let Ok(rate) = SampleRate::new(input.sample_rate) else {
        assert_eq!(input.sample_rate, 0);
        return;
    };
    // A sliding window of many seconds is allowed, and takes long to make.
    if !(5000..=SlidingWindow::MAX_LENGTH as u64).contains(&rate.samples(input.seconds)) {
        let config = SlidingWindowConfig::seconds(input.seconds, rate);
        match SlidingWindow::new(&config) {
            Ok(mut window) => {
                window.push(SampleIndex(1), &[1.0, 2.0]);
                assert_eq!(window.newest(1), (SampleIndex(2), &[2.0][..]));
            }
            Err(error) => assert_eq!(error.parameter(), "length"),
        }
    }
    let (frame_length, hop_length) = (input.frame_length.get(), input.hop_length.get());
    match FrameSpec::new(frame_length, hop_length, rate) {
        Ok(spec) => check_stages(spec, &input),
        Err(error) => assert!(["frame_length", "hop_length"].contains(&error.parameter())),
    }
});

fn check_window(input: &Input) {
    let length = input.frame_length.get();
    let symmetry = if input.symmetric { Symmetry::Symmetric } else { Symmetry::Periodic };
    match input.analysis.function().table_f64(length, symmetry) {
        Ok(table) => {
            assert_eq!(table.len(), length);
            assert!(table.iter().all(|w| (-0.1..=1.0 + 1e-8).contains(w)), "{table:?}");
            let hop_length = input.hop_length.get();
            let cola = check_cola(&table, hop_length);
            let nola = check_nola(&table, hop_length);
            assert_eq!(cola.is_ok(), (1..=length).contains(&hop_length));
            assert_eq!(nola.is_ok(), cola.is_ok());
        }
        Err(error) => {
            assert!(["length", "beta", "std", "alpha"].contains(&error.parameter()), "{error}");
        }
    }
}

fn check_queue(input: &Input) {
    let mut config = QueueConfig::new(input.channels.get(), input.capacity.get());
    config.max_gaps = input.max_gaps.get();
    match sample_queue(&config) {
        Ok((mut writer, mut reader)) => {
            let block = vec![1.0; config.channels * 2];
            let written = writer.write(&block);
            assert_eq!(written, config.capacity.min(2));
            assert_eq!(reader.read_available(|_, _| {}), written);
        }
        Err(error) => {
            assert!(["channels", "capacity", "max_gaps"].contains(&error.parameter()), "{error}");
        }
    }
}

fn check_stages(spec: FrameSpec, input: &Input) {
    let samples: Vec<f32> =
        (0..spec.frame_length() + spec.hop_length()).map(|n| n as f32).collect();
    let mut config = OverlapAddConfig::new(spec);
    config.analysis = input.analysis.function();
    config.synthesis = input.synthesis.function();
    if let Ok(overlap_add) = OverlapAdd::new(&config) {
        let mut out = 0;
        Framer::new(spec).then(overlap_add).process(SampleIndex(0), &samples, |_, block| {
            assert!(block.iter().all(|x| x.is_finite()));
            out += block.len();
        });
        assert_eq!(out, 2 * spec.hop_length());
    }
    for statistic in [Statistic::Rms, Statistic::Max, Statistic::Median] {
        let mut values = 0;
        SlidingStatistic::new(statistic, spec).process(SampleIndex(0), &samples, |_, value| {
            assert!(value.is_finite());
            values += 1;
        });
        assert_eq!(values, 2);
    }
}
