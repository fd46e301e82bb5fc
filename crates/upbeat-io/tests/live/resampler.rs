//! Rates converted, against the signal itself.

use std::f64::consts::TAU;

use super::support::rate;
use proptest::prelude::*;
use upbeat_core::SampleIndex;
use upbeat_io::{ResampleQuality, Resampler, StreamFormat};

/// The offset that the documentation states, in input samples.
const OFFSET: f64 = 1.0 / 256.0;

fn sine(hz: f64, at: f64) -> f64 {
    (TAU * hz * at + 0.3).sin()
}

/// Root mean square of the difference between the converted sine and the sine itself, in dB relative to the sine.
fn error_db(from: u32, to: u32, hz: f64, quality: ResampleQuality) -> f64 {
    let format = StreamFormat::mono(rate(from));
    let mut resampler = Resampler::new(format, rate(to), quality).expect("the rates are possible");
    let input: Vec<f32> =
        (0..from).map(|n| sine(hz, f64::from(n) / f64::from(from)) as f32).collect();
    let mut out = Vec::new();
    let emit = |at: SampleIndex, block: &[f32]| {
        out.extend((at.0..).zip(block.iter().copied()));
    };
    resampler.process(SampleIndex(0), &input, emit);
    let (mut error, mut power) = (0.0, 0.0);
    // Away from the beginning, which the filter hears as a step.
    for (k, y) in out.iter().filter(|(k, _)| *k > u64::from(to) / 4) {
        let truth = sine(hz, *k as f64 / f64::from(to) + OFFSET / f64::from(from));
        error += (f64::from(*y) - truth).powi(2);
        power += truth * truth;
    }
    assert!(power > 100.0, "something came out");
    10.0 * (error / power).log10()
}

#[test]
fn a_sine_comes_out_as_the_same_sine_at_the_same_time() {
    for (from, to) in [
        (44_100, 48_000),
        (48_000, 44_100),
        (48_000, 16_000),
        (96_000, 44_100),
        (8000, 48_000),
        (12_345, 22_050),
    ] {
        for (quality, limit) in [
            (ResampleQuality::Fast, -110.0),
            (ResampleQuality::Balanced, -140.0),
            (ResampleQuality::Best, -140.0),
        ] {
            let error = error_db(from, to, 1000.0, quality);
            println!("{from} -> {to} {quality:?}: 1 kHz {error:.1} dB");
            assert!(error < limit, "{from} to {to}, {quality:?}: {error:.1} dB");
        }
        // Near the top of what both rates have.
        let top = 0.4 * f64::from(from.min(to));
        let error = error_db(from, to, top, ResampleQuality::Best);
        println!("{from} -> {to} Best: {top} Hz {error:.1} dB");
        assert!(error < -140.0, "{from} to {to}, {top} Hz: {error:.1} dB");
    }
}

#[test]
fn what_the_lower_rate_cannot_have_is_taken_out() {
    for (quality, limit) in [
        (ResampleQuality::Fast, -110.0),
        (ResampleQuality::Balanced, -150.0),
        (ResampleQuality::Best, -150.0),
    ] {
        let mut resampler =
            Resampler::new(StreamFormat::mono(rate(48_000)), rate(16_000), quality).unwrap();
        let input: Vec<f32> =
            (0..48_000).map(|n| sine(11_000.0, f64::from(n) / 48_000.0) as f32).collect();
        let mut out = Vec::new();
        resampler.process(SampleIndex(0), &input, |_, block| out.extend_from_slice(block));
        let middle = &out[4000..];
        let power = middle.iter().map(|x| f64::from(x * x)).sum::<f64>() / middle.len() as f64;
        let level = 10.0 * (2.0 * power).log10();
        println!("{quality:?}: 11 kHz leaves {level:.1} dB at 16 kHz");
        assert!(level < limit, "{quality:?}: {level:.1} dB");
    }
}

#[test]
fn impossible_rates_are_refused_and_equal_ones_pass_unchanged() {
    let format = StreamFormat::stereo(rate(48_000));
    assert!(Resampler::new(format, rate(100), ResampleQuality::Fast).is_err());
    let mut same = Resampler::new(format, rate(48_000), ResampleQuality::Best).unwrap();
    assert_eq!(same.latency(), 0);
    let mut out = Vec::new();
    same.process(SampleIndex(3), &[f32::NAN, 0.5], |at, block| out.push((at.0, block.to_vec())));
    same.finish(|_, _| panic!("nothing waits"));
    assert!(out[0].0 == 3 && out[0].1[0].is_nan() && out[0].1[1] == 0.5);
}

/// A stretch of samples: how many are lost before, how many there are.
fn runs() -> impl Strategy<Value = Vec<(u64, usize)>> {
    prop::collection::vec((0_u64..300, 0_usize..400), 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Every instant of every run comes out once, at its index, whatever the blocks; runs do not hear each other.
    #[test]
    fn indices_are_exact_and_blocks_do_not_matter(
        runs in runs(),
        cuts in prop::collection::vec(1_usize..150, 1..20),
        rates in prop::sample::select(vec![(44_100, 48_000), (48_000, 44_100), (48_000, 8000), (8000, 22_050), (12_345, 48_000)]),
    ) {
        let (from, to) = rates;
        let format = StreamFormat::stereo(rate(from));
        let make = || Resampler::new(format, rate(to), ResampleQuality::Fast).unwrap();
        let (mut whole, mut cut) = (make(), make());
        let (mut out, mut pieces, mut apart) = (Vec::new(), Vec::new(), Vec::new());
        let mut expected: Vec<u64> = Vec::new();
        let mut at = 0;
        let mut cuts = cuts.iter().cycle();
        let mut merged: Vec<(u64, Vec<f32>)> = Vec::new();
        for (lost, length) in runs {
            at += lost;
            let block: Vec<f32> = (0..2 * length).map(|n| ((at + n as u64) as f32 * 0.7).sin()).collect();
            if length > 0 {
                match merged.last_mut() {
                    Some((start, run)) if *start + run.len() as u64 / 2 == at => run.extend(&block),
                    _ => merged.push((at, block.clone())),
                }
            }
            whole.process(SampleIndex(at), &block, |at, b| collect(&mut out, at, b));
            let mut rest = &block[..];
            let mut here = at;
            while !rest.is_empty() {
                let n = (2 * cuts.next().unwrap()).min(rest.len());
                cut.process(SampleIndex(here), &rest[..n], |at, b| collect(&mut pieces, at, b));
                here += n as u64 / 2;
                rest = &rest[n..];
            }
            at += length as u64;
        }
        whole.finish(|at, b| collect(&mut out, at, b));
        cut.finish(|at, b| collect(&mut pieces, at, b));
        let ceil = |n: u64| (n * u64::from(to)).div_ceil(u64::from(from));
        for (start, run) in &merged {
            expected.extend(ceil(*start)..ceil(start + run.len() as u64 / 2));
            let mut alone = make();
            alone.process(SampleIndex(*start), run, |at, b| collect(&mut apart, at, b));
            alone.finish(|at, b| collect(&mut apart, at, b));
        }
        prop_assert_eq!(out.iter().map(|(at, _)| *at).collect::<Vec<_>>(), expected);
        prop_assert_eq!(&out, &pieces);
        prop_assert_eq!(&out, &apart);
    }
}

fn collect(out: &mut Vec<(u64, [u32; 2])>, at: SampleIndex, block: &[f32]) {
    let samples = block.chunks_exact(2).map(|pair| [pair[0].to_bits(), pair[1].to_bits()]);
    out.extend((at.0..).zip(samples));
}

#[test]
fn an_output_comes_within_the_stated_latency() {
    for (from, to) in [(44_100, 48_000), (48_000, 16_000)] {
        let mut resampler =
            Resampler::new(StreamFormat::mono(rate(from)), rate(to), ResampleQuality::Balanced)
                .unwrap();
        let mut worst = 0.0_f64;
        for n in 0..5000_u64 {
            resampler.process(SampleIndex(n), &[0.1], |at, _| {
                let instant = at.0 as f64 * f64::from(from) / f64::from(to);
                worst = worst.max(n as f64 - instant);
            });
        }
        let stated = resampler.latency() as f64;
        assert!(
            worst <= stated && worst > stated - 3.0,
            "{from} to {to}: {worst}, stated {stated}"
        );
    }
}
