//! Holds chroma, tonnetz, onset strength and pitch against values that librosa itself computed.
//!
//! With `--nocapture`, prints each feature's worst error and where.

mod golden;

use golden::Case;
use upbeat_core::{FrameSpec, SampleIndex, SampleRate, Stage};
use upbeat_features::chroma::{ChromaStft, ChromaStftConfig};
use upbeat_features::mel::{LogMel, LogMelConfig, MelConfig, MelSpectrogram};
use upbeat_features::onset::{OnsetStrength, OnsetStrengthConfig};
use upbeat_features::pitch::{Pitch, Yin, YinConfig};
use upbeat_features::stft::{Stft, StftConfig};
use upbeat_features::tonnetz::Tonnetz;
use upbeat_window::Framer;

#[test]
fn chroma_stft() {
    golden::check("chroma", BOUND, |case, samples| {
        run(chroma(case), samples, |chroma| chroma.to_vec())
    });
}

#[test]
fn tonnetz() {
    golden::check("tonnetz", BOUND, |case, samples| {
        run(chroma(case).then(Tonnetz::new()), samples, |point| point.to_vec())
    });
}

#[test]
fn onset_strength() {
    golden::check("onset", BOUND, |case, samples| {
        let mel = MelSpectrogram::new(&MelConfig::new(rate(case), case.n_fft)).expect(LEGAL);
        let log = LogMel::new(&LogMelConfig::new(128)).expect(LEGAL);
        let onset = OnsetStrength::new(&OnsetStrengthConfig::new(frames(case), 128)).expect(LEGAL);
        run(spectra(case).then(mel).then(log).then(onset), samples, |strength| vec![*strength])
    });
}

/// Within five cents wherever a frame has a pitch, and a pitch wherever there is a clean tone.
#[test]
fn yin() {
    let signals = golden::signals();
    let (mut voiced, mut worst) = (0, 0.0_f64);
    let mut tracks: Vec<((u32, usize, usize), Vec<Pitch>)> = Vec::new();
    for stored in golden::stored("yin") {
        let Case { rate, n_fft, .. } = stored.case;
        let key = (rate, n_fft, stored.signal);
        if tracks.last().is_none_or(|(last, _)| *last != key) {
            let mut config = YinConfig::new(frames(stored.case));
            config.fmin = 4.2 * f64::from(rate) / n_fft as f64;
            config.fmax = f64::from(rate) / 20.0;
            let yin = Framer::new(config.frames).then(Yin::new(&config).expect(LEGAL));
            let mut track = Vec::new();
            let samples = &signals[stored.signal].samples;
            run(yin, samples, |pitch| {
                track.push(*pitch);
                Vec::new()
            });
            tracks.push((key, track));
        }
        let name = &signals[stored.signal].name;
        let pitch = tracks[tracks.len() - 1].1[stored.frame];
        if let Some(hz) = pitch.frequency {
            let cents = 1200.0 * (f64::from(hz) / stored.expected[0]).log2().abs();
            assert!(
                cents <= 5.0,
                "{name}, {:?}, frame {}: {cents} cents",
                stored.case,
                stored.frame
            );
            worst = worst.max(cents);
            voiced += 1;
        }
        if ["sine", "clipped"].contains(&name.as_str()) && n_fft >= 1024 {
            assert!(pitch.frequency.is_some(), "{name}, {:?}: {pitch:?}", stored.case);
        }
        if name == "noise" && n_fft >= 1024 {
            assert_eq!(pitch.frequency, None, "{:?}", stored.case);
        }
    }
    println!("       yin {worst:9.1e}  cents, the worst of {voiced} voiced frames");
    assert!(voiced > 300, "{voiced} voiced frames");
}

/// All outputs of a stage for a whole signal.
fn run<S: Stage<In = [f32]>>(
    mut stage: S,
    samples: &[f32],
    mut rows: impl FnMut(&S::Out) -> Vec<f32>,
) -> Vec<Vec<f32>> {
    let mut out = Vec::new();
    stage.process(SampleIndex(0), samples, |_, value| out.push(rows(value)));
    out
}

fn chroma(case: Case) -> impl Stage<In = [f32], Out = [f32; 12]> {
    let config = ChromaStftConfig::new(rate(case), case.n_fft);
    spectra(case).then(ChromaStft::new(&config).expect(LEGAL))
}

fn spectra(case: Case) -> impl Stage<In = [f32], Out = upbeat_features::stft::Spectrum> {
    Framer::new(frames(case)).then(Stft::new(&StftConfig::new(case.n_fft)).expect(LEGAL))
}

fn frames(case: Case) -> FrameSpec {
    FrameSpec::new(case.n_fft, case.hop_length, rate(case)).expect(LEGAL)
}

fn rate(case: Case) -> SampleRate {
    SampleRate::new(case.rate).expect(LEGAL)
}

/// What the worst error of any feature may be, of the feature's range.
const BOUND: f64 = 1e-4;
const LEGAL: &str = "the settings of golden.npz are legal";
