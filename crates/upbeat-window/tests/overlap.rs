//! Overlap-add against scipy's verdicts (see `make_overlap.py`), and back to what was cut into frames.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic, too")]

use proptest::prelude::*;
use upbeat_core::{FrameSpec, SampleIndex, SampleRate, Stage};
use upbeat_testkit::{signal, streamed, streaming::assert_streaming};
use upbeat_window::{
    Framer, OverlapAdd, OverlapAddConfig, Symmetry, WindowFunction, check_cola, check_nola,
};

const WINDOWS: [(&str, WindowFunction); 6] = [
    ("boxcar", WindowFunction::Rectangular),
    ("hann", WindowFunction::Hann),
    ("hamming", WindowFunction::Hamming),
    ("blackman", WindowFunction::Blackman),
    ("blackmanharris", WindowFunction::BlackmanHarris),
    ("flattop", WindowFunction::FlatTop),
];

#[test]
fn verdicts_are_scipys() {
    let mut compared = 0;
    for line in include_str!("data/overlap.csv").lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let (_, window) = WINDOWS.iter().find(|(name, _)| *name == fields[0]).unwrap();
        let length = fields[1].parse().unwrap();
        let table = window.table_f64(length, Symmetry::Periodic).unwrap();
        let hop = fields[2].parse().unwrap();
        assert_eq!(check_cola(&table, hop).unwrap(), fields[3] == "1", "COLA of {line}");
        assert_eq!(check_nola(&table, hop).unwrap(), fields[4] == "1", "NOLA of {line}");
        compared += 1;
    }
    assert_eq!(compared, 414);
}

#[test]
fn lengths_that_cannot_be_are_refused_by_name() {
    assert_eq!(check_cola(&[], 1).unwrap_err().parameter(), "frame_length");
    assert_eq!(check_nola(&[1.0], 0).unwrap_err().parameter(), "hop_length");
    assert_eq!(check_nola(&[1.0], 2).unwrap_err().parameter(), "hop_length");
    assert_eq!(OverlapAdd::new(&config(4, 5)).unwrap_err().parameter(), "hop_length");
    // A Hann window is 0 at its first sample, which here no other frame holds.
    let error = OverlapAdd::new(&config(4, 4)).unwrap_err();
    assert!(error.to_string().contains("overlap above zero"), "{error}");
}

fn config(frame_length: usize, hop_length: usize) -> OverlapAddConfig {
    let rate = SampleRate::new(48_000).unwrap();
    OverlapAddConfig::new(FrameSpec::new(frame_length, hop_length, rate).unwrap())
}

/// Multiplies frames by a window.
struct Taper(Vec<f32>);

impl Stage for Taper {
    type In = [f32];
    type Out = [f32];

    fn process(
        &mut self,
        at: SampleIndex,
        frame: &[f32],
        mut emit: impl FnMut(SampleIndex, &[f32]),
    ) {
        let tapered: Vec<f32> = frame.iter().zip(&self.0).map(|(x, w)| x * w).collect();
        emit(at, &tapered);
    }

    fn reset(&mut self) {}
}

fn there_and_back(config: &OverlapAddConfig) -> impl Stage<In = [f32], Out = [f32]> + use<> {
    let table = config.analysis.table(config.spec.frame_length(), Symmetry::Periodic).unwrap();
    Framer::new(config.spec).then(Taper(table.to_vec())).then(OverlapAdd::new(config).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn frames_give_their_signal_back_where_the_windows_let_them(
        frame_length in 2_usize..100,
        hops in 1_usize..100,
        analysis in 0..WINDOWS.len(),
        synthesis in 0..WINDOWS.len(),
        seed: u64,
    ) {
        let hop_length = hops.min(frame_length);
        let mut config = config(frame_length, hop_length);
        config.analysis = WINDOWS[analysis].1;
        config.synthesis = WINDOWS[synthesis].1;
        let table = |window: WindowFunction| {
            window.table_f64(frame_length, Symmetry::Periodic).unwrap()
        };
        let mut sums = vec![0.0; hop_length];
        for (n, (a, s)) in table(config.analysis).iter().zip(table(config.synthesis)).enumerate() {
            sums[n % hop_length] += a * s;
        }
        if !sums.iter().all(|sum| *sum > 1e-10) {
            prop_assert!(OverlapAdd::new(&config).is_err());
            return Ok(());
        }
        let samples = signal::noise(1.0, seed, 500);

        let mut stage = there_and_back(&config);
        assert_eq!(stage.latency(), frame_length as u64 - 1);
        let mut out = Vec::new();
        stage.process(SampleIndex(0), &samples, |at, block| {
            assert_eq!(at.0, out.len() as u64);
            out.extend_from_slice(block);
        });
        prop_assert!(out.len() + frame_length > samples.len());
        let faded_in = frame_length - hop_length;
        for (n, (found, expected)) in out.iter().zip(&samples).enumerate().skip(faded_in) {
            prop_assert!((found - expected).abs() < 1e-6, "[{}]: {} for {}", n, found, expected);
        }

        assert_streaming(|| streamed!(there_and_back(&config)), &samples, 1, seed);
    }
}
