//! Pitch against librosa, against tones whose pitch is known, and under the streaming contract.

#![allow(clippy::unwrap_used, reason = "a helper of a test may panic as the test may")]

use std::fs::File;
use std::io::Read;
use std::path::Path;

use npyz::{Deserialize, NpyFile};
use proptest::prelude::*;
use upbeat_core::{FrameSpec, SampleIndex, SampleRate, Stage};
use upbeat_features::pitch::{Edges, Pitch, Pyin, PyinConfig, TrackedPitch, Yin, YinConfig};
use upbeat_testkit::signal::{add, noise, sine, tone};
use upbeat_testkit::streamed;
use upbeat_testkit::streaming::{Bits, assert_streaming};
use upbeat_window::Framer;
use zip::ZipArchive;

fn spec(rate: u32, frame_length: usize, hop_length: usize) -> FrameSpec {
    FrameSpec::new(frame_length, hop_length, SampleRate::new(rate).unwrap()).unwrap()
}

fn collect<S: Stage<In = [f32], Out: Copy>>(
    stage: S,
    frames: FrameSpec,
    signal: &[f32],
) -> Vec<S::Out> {
    let mut out = Vec::new();
    let mut chain = Framer::new(frames).then(stage);
    chain.process(SampleIndex(0), signal, |_, pitch| out.push(*pitch));
    out
}

fn cents(a: f64, b: f64) -> f64 {
    1200.0 * (a / b).log2().abs()
}

#[test]
fn tones_from_30_hz_up_are_within_five_cents_and_never_an_octave_off() {
    for (rate, frame_length) in
        [(16_000, 2048), (22_050, 2048), (44_100, 4096), (48_000, 4096), (96_000, 8192)]
    {
        let frames = spec(rate, frame_length, 512);
        for (f0, partials) in [
            (30.0, 12),
            (41.2, 1),
            (41.2, 10),
            (55.0, 4),
            (98.7, 20),
            (196.3, 3),
            (440.0, 1),
            (441.7, 12),
            (987.0, 6),
            (1900.0, 2),
        ] {
            let mut config = YinConfig::new(frames);
            config.fmin = 28.0;
            // With librosa's zeros, only where many periods fit into the frame.
            let periods = f0 * frame_length as f64 / f64::from(rate);
            config.edges = if periods < 20.0 { Edges::Pairs } else { Edges::Zeros };
            let (tolerance, aperiodicity) =
                if f64::from(rate) / f0 > 24.0 { (5.0, 0.02) } else { (20.0, 0.1) };
            let signal = tone(f0, partials, 0.5, rate, 2 * frame_length);
            for pitch in collect(Yin::new(&config).unwrap(), frames, &signal) {
                let found =
                    pitch.frequency.unwrap_or_else(|| panic!("{f0} Hz at {rate} Hz: {pitch:?}"));
                assert!(
                    cents(found.into(), f0) < tolerance,
                    "{f0} Hz, {partials} partials, {rate} Hz: {found}"
                );
                assert!(pitch.aperiodicity < aperiodicity, "{f0}: {pitch:?}");
            }
        }
    }
}

#[test]
fn a_missing_fundamental_is_still_the_pitch() {
    let mut signal = sine(220.0, 0.3, 22_050, 4096);
    add(&mut signal, &sine(330.0, 0.3, 22_050, 4096));
    add(&mut signal, &sine(440.0, 0.3, 22_050, 4096));
    let frames = spec(22_050, 2048, 512);
    for pitch in collect(Yin::new(&YinConfig::new(frames)).unwrap(), frames, &signal) {
        assert!(cents(pitch.frequency.unwrap().into(), 110.0) < 5.0);
    }
}

#[test]
fn noise_silence_and_a_constant_have_no_pitch() {
    let frames = spec(44_100, 2048, 512);
    let mut with_bad_samples = sine(200.0, 0.5, 44_100, 8192);
    with_bad_samples[1000] = f32::NAN; // straight into the stage, no framer to clean it
    let mut yin = Yin::new(&YinConfig::new(frames)).unwrap();
    yin.process(SampleIndex(0), &with_bad_samples[..2048], |_, pitch| {
        assert_eq!(*pitch, Pitch { frequency: None, aperiodicity: 1.0 });
    });
    for signal in [vec![0.3; 8192], noise(0.5, 3, 8192), vec![0.0; 8192], vec![1e-30; 8192]] {
        for pitch in collect(yin.clone(), frames, &signal) {
            assert_eq!(pitch.frequency, None);
            assert!(pitch.aperiodicity.is_finite());
        }
        if signal[0] == 0.3 {
            continue; // pYIN hears a weak pitch in a constant, as librosa's does, and says so
        }
        let mut config = PyinConfig::new(frames);
        config.delay = 0.02;
        config.edges = Edges::Pairs;
        let tracked = collect(Pyin::new(&config).unwrap(), frames, &signal);
        assert!(!tracked.is_empty());
        for pitch in tracked {
            assert!(
                pitch.frequency.is_none() && (0.0..0.5).contains(&pitch.voiced_probability),
                "{pitch:?}"
            );
        }
    }
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let frames = spec(44_100, 2048, 512);
    let refused = |change: fn(&mut YinConfig)| {
        let mut config = YinConfig::new(frames);
        change(&mut config);
        Yin::new(&config).unwrap_err().parameter()
    };
    assert_eq!(refused(|c| c.fmin = 43.0), "fmin");
    assert_eq!(refused(|c| c.fmin = 0.0), "fmin");
    assert_eq!(refused(|c| c.fmin = 1e-300), "fmin");
    assert_eq!(refused(|c| c.fmin = f64::NAN), "fmin");
    assert_eq!(refused(|c| c.fmax = 60.0), "fmax");
    assert_eq!(refused(|c| c.fmax = 22_051.0), "fmax");
    assert_eq!(refused(|c| c.trough_threshold = f32::NAN), "trough_threshold");
    assert_eq!(refused(|c| c.max_aperiodicity = 0.0), "max_aperiodicity");
    assert_eq!(refused(|c| c.frames = spec(44_100, 1 << 21, 512)), "frame_length");

    let mut config = YinConfig::new(frames);
    config.fmin = 43.1;
    Yin::new(&config).unwrap();
    config.fmin = 30.0;
    assert_eq!(
        Yin::new(&config).unwrap_err().to_string(),
        "fmin must be at least 43.07 Hz where two periods must fit into a frame of 2048 samples at \
         44100 Hz; for the fmin asked for, frame_length must be at least 2940, got 30"
    );

    let refused = |change: fn(&mut PyinConfig)| {
        let mut config = PyinConfig::new(frames);
        change(&mut config);
        Pyin::new(&config).unwrap_err().parameter()
    };
    assert_eq!(refused(|c| c.fmin = 43.0), "fmin");
    assert_eq!(refused(|c| c.resolution = 0.0), "resolution");
    assert_eq!(refused(|c| c.delay = 11.0), "delay");
    assert_eq!(refused(|c| c.switch_time = f64::NAN), "switch_time");
    assert_eq!(refused(|c| c.max_transition_rate = -1.0), "max_transition_rate");
    assert_eq!(refused(|c| c.no_trough_prob = 2.0), "no_trough_prob");
    let many_states = |c: &mut PyinConfig| {
        c.frames = spec(44_100, 2048, 1);
        c.delay = 10.0;
    };
    assert_eq!(refused(many_states), "delay");
}

/// librosa's answer to one signal.
struct Golden {
    name: &'static str,
    signal: Vec<f32>,
    config: PyinConfig,
    f0: Vec<f32>,
    voiced_prob: Vec<f32>,
}

fn golden() -> Vec<Golden> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/pyin.npz");
    let mut archive = ZipArchive::new(File::open(path).unwrap()).unwrap();
    let mut load = |name: &'static str| {
        let settings: Vec<f64> = array(archive.by_name(&format!("{name}-settings.npy")).unwrap());
        let samples: Vec<i16> = array(archive.by_name(&format!("{name}-signal.npy")).unwrap());
        let frames = spec(settings[0] as u32, settings[1] as usize, settings[2] as usize);
        let mut config = PyinConfig::new(frames);
        (config.fmin, config.fmax) = (settings[3], settings[4]);
        config.switch_time = frames.frame_rate().recip() / 0.01; // librosa's is per frame
        Golden {
            name,
            signal: samples.iter().map(|s| f32::from(*s) / 32_768.0).collect(),
            config,
            f0: array(archive.by_name(&format!("{name}-f0.npy")).unwrap()),
            voiced_prob: array(archive.by_name(&format!("{name}-voiced_prob.npy")).unwrap()),
        }
    };
    ["legato", "phrases", "vibrato", "glide", "octave", "bass", "speech"].map(&mut load).into()
}

fn array<T: Deserialize>(file: impl Read) -> Vec<T> {
    NpyFile::new(file).unwrap().into_vec().unwrap()
}

/// How a track agrees with librosa's: frames compared, voiced alike, voiced in both, and of those
/// within 50 cents.
#[derive(Clone, Copy, Debug, Default)]
struct Agreement {
    frames: usize,
    voicing: usize,
    both: usize,
    near: usize,
}

fn agreement(golden: &Golden, delay: f64) -> Agreement {
    let mut config = golden.config;
    config.delay = delay;
    let frames = config.frames;
    let tracked = collect(Pyin::new(&config).unwrap(), frames, &golden.signal);
    let held_back = (delay * frames.frame_rate()).ceil() as usize;
    assert_eq!(tracked.len() + held_back, golden.f0.len(), "{}", golden.name);

    let mut sum = Agreement::default();
    for ((pitch, f0), prob) in tracked.iter().zip(&golden.f0).zip(&golden.voiced_prob) {
        let difference = (pitch.voiced_probability - prob).abs();
        assert!(difference < 2e-3, "{}: {pitch:?} against {prob}", golden.name);
        sum.frames += 1;
        sum.voicing += usize::from(pitch.frequency.is_some() == f0.is_finite());
        if let Some(hz) = pitch.frequency
            && f0.is_finite()
        {
            sum.both += 1;
            sum.near += usize::from(cents(hz.into(), (*f0).into()) < 50.0);
        }
    }
    sum
}

#[test]
fn pyin_agrees_with_librosas_offline_decoding() {
    let golden = golden();
    for (delay, voicing, near) in [(0.1, 0.97, 0.98), (0.3, 0.99, 0.99)] {
        let mut all = Agreement::default();
        for one in &golden {
            let of = agreement(one, delay);
            println!("delay {delay} s, {:8}: {of:?}", one.name);
            all.frames += of.frames;
            all.voicing += of.voicing;
            all.both += of.both;
            all.near += of.near;
        }
        println!("delay {delay} s, all     : {all:?}");
        assert!(all.voicing as f64 >= voicing * all.frames as f64, "voicing: {all:?}");
        assert!(all.near as f64 >= near * all.both as f64, "pitch: {all:?}");
    }
}

#[test]
fn pyin_follows_a_bass_line_without_octave_jumps() {
    let frames = spec(44_100, 4096, 512);
    let mut config = PyinConfig::new(frames);
    (config.fmin, config.edges) = (28.0, Edges::Pairs);
    for f0 in [30.9, 41.2, 55.0, 73.4] {
        let mut signal = tone(f0, 10, 0.4, 44_100, 44_100);
        add(&mut signal, &noise(0.01, 5, 44_100));
        let tracked = collect(Pyin::new(&config).unwrap(), frames, &signal);
        assert!(tracked.len() > 50);
        for TrackedPitch { frequency, .. } in tracked {
            assert!(cents(frequency.unwrap().into(), f0) < 10.0, "{f0} Hz: {frequency:?}");
        }
    }
}

/// A pitch as the harness compares it.
struct ToBits<S>(S);

#[derive(Clone, Copy)]
struct OptionAndValue(Option<f32>, f32);

impl Bits for OptionAndValue {
    fn bits(&self, into: &mut Vec<u64>) {
        self.0.bits(into);
        self.1.bits(into);
    }
}

impl From<Pitch> for OptionAndValue {
    fn from(pitch: Pitch) -> Self {
        Self(pitch.frequency, pitch.aperiodicity)
    }
}

impl From<TrackedPitch> for OptionAndValue {
    fn from(pitch: TrackedPitch) -> Self {
        Self(pitch.frequency, pitch.voiced_probability)
    }
}

impl<S: Stage<In = [f32], Out: Copy + Into<OptionAndValue>>> Stage for ToBits<S> {
    type In = [f32];
    type Out = OptionAndValue;

    fn process(
        &mut self,
        at: SampleIndex,
        input: &[f32],
        mut emit: impl FnMut(SampleIndex, &OptionAndValue),
    ) {
        self.0.process(at, input, |at, pitch| emit(at, &(*pitch).into()));
    }

    fn reset(&mut self) {
        self.0.reset();
    }

    fn latency(&self) -> u64 {
        self.0.latency()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn pitch_does_not_depend_on_blocks(seed: u64, hop_length in 50_usize..700, delay in 0.0..0.15) {
        let mut signal = tone(150.0, 5, 0.4, 8000, 5000);
        signal.extend(noise(0.2, seed, 1500));
        signal.extend(sine(311.0, 0.3, 8000, 1500));
        let frames = spec(8000, 512, hop_length);
        let mut yin = YinConfig::new(frames);
        yin.fmin = 60.0;
        assert_streaming(
            || streamed!(ToBits(Framer::new(frames).then(Yin::new(&yin).unwrap()))),
            &signal, 1, seed,
        );
        let mut pyin = PyinConfig::new(frames);
        (pyin.fmin, pyin.resolution, pyin.delay) = (60.0, 0.5, delay);
        assert_streaming(
            || streamed!(ToBits(Framer::new(frames).then(Pyin::new(&pyin).unwrap()))),
            &signal, 1, seed,
        );
    }
}
