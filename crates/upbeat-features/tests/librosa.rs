//! Holds features against values that librosa itself computed.
//!
//! With `--nocapture`, prints a table: each feature's worst error relative to its range, and where.

mod golden;

use golden::Case;
use upbeat_core::{Chain, FrameSpec, SampleIndex, SampleRate, Stage};
use upbeat_features::level::{Rms, ZeroCrossingRate, ZeroCrossingRateConfig};
use upbeat_features::spectral::{
    Shape, SpectralContrast, SpectralContrastConfig, SpectralShape, SpectralShapeConfig,
};
use upbeat_features::stft::{Stft, StftConfig};
use upbeat_window::Framer;

#[test]
fn rms() {
    golden::check("rms", BOUND, |case, samples| {
        run(framer(case).then(Rms), samples, |rms| vec![*rms])
    });
}

#[test]
fn zero_crossing_rate() {
    let stage = ZeroCrossingRate::new(&ZeroCrossingRateConfig::new()).unwrap();
    golden::check("zcr", BOUND, |case, samples| {
        run(framer(case).then(stage), samples, |rate| vec![*rate])
    });
}

#[test]
fn stft() {
    for stored in golden::stored("stft") {
        let Case { n_fft, .. } = stored.case;
        let samples = &golden::signals()[stored.signal].samples;
        let mut stft = Stft::new(&StftConfig::new(n_fft)).unwrap();
        let largest = stored.expected.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
        stft.process(SampleIndex(0), &samples[..n_fft], |_, spectrum| {
            let (re, im) = stored.expected.split_at(stored.expected.len() / 2);
            let found = spectrum.bins().step_by(STFT_STEP);
            for (((found_re, found_im), re), im) in found.zip(re).zip(im) {
                assert!((f64::from(found_re) - re).abs() <= BOUND * largest);
                assert!((f64::from(found_im) - im).abs() <= BOUND * largest);
            }
        });
    }
}

#[test]
fn spectral_shapes() {
    type Field = fn(&Shape) -> f32;
    let features: [(&str, Field); 4] = [
        ("centroid", |shape| shape.centroid),
        ("bandwidth", |shape| shape.bandwidth),
        ("rolloff", |shape| shape.rolloff),
        ("flatness", |shape| shape.flatness),
    ];
    for (feature, value) in features {
        golden::check(feature, BOUND, |case, samples| {
            let config = SpectralShapeConfig::new(rate(case), case.n_fft);
            let shape = SpectralShape::new(&config).unwrap();
            run(spectra(case).then(shape), samples, |shape| vec![value(shape)])
        });
    }
}

#[test]
fn spectral_contrast() {
    golden::check("contrast", BOUND, |case, samples| {
        let config = SpectralContrastConfig::new(rate(case), case.n_fft);
        let contrast = SpectralContrast::new(&config).unwrap();
        run(spectra(case).then(contrast), samples, <[f32]>::to_vec)
    });
}

/// All outputs of a stage for a whole signal.
fn run<S: Stage<In = [f32]>>(
    mut stage: S,
    samples: &[f32],
    rows: impl Fn(&S::Out) -> Vec<f32>,
) -> Vec<Vec<f32>> {
    let mut frames = Vec::new();
    stage.process(SampleIndex(0), samples, |_, value| frames.push(rows(value)));
    frames
}

fn spectra(case: Case) -> Chain<Framer, Stft> {
    framer(case).then(Stft::new(&StftConfig::new(case.n_fft)).expect(LEGAL))
}

fn rate(case: Case) -> SampleRate {
    SampleRate::new(case.rate).expect(LEGAL)
}

fn framer(case: Case) -> Framer {
    Framer::new(FrameSpec::new(case.n_fft, case.hop_length, rate(case)).expect(LEGAL))
}

/// What the worst error of any feature may be, of the feature's range.
const BOUND: f64 = 1e-4;
/// Which bins of the stored spectra there are: every seventh.
const STFT_STEP: usize = 7;
const LEGAL: &str = "the settings of golden.npz are legal";
