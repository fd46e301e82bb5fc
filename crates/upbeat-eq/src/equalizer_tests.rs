use super::*;
use proptest::prelude::*;
use std::f64::consts::TAU;
use upbeat_core::MAX_SAMPLE;
use upbeat_testkit::{signal, streamed, streaming::assert_streaming};

const FIVE: [Band; 5] = [
    Band::low_shelf(120.0, 4.0),
    Band::peak(400.0, -3.0, 1.0),
    Band::peak(1200.0, 5.0, 2.0),
    Band::peak(5000.0, -6.0, 0.7),
    Band::high_shelf(9000.0, 3.0),
];

const KERNELS: [Kernel; 4] = [Kernel::Scalar, Kernel::Portable, Kernel::Avx2, Kernel::Neon];

fn rate(hz: u32) -> SampleRate {
    SampleRate::new(hz).unwrap()
}

fn config(channels: usize, bands: &[Band]) -> EqualizerConfig {
    EqualizerConfig::new(rate(48_000), channels, bands)
}

fn equalizer(channels: usize, bands: &[Band], kernel: Kernel) -> Equalizer {
    Equalizer::new(&EqualizerConfig { kernel, ..config(channels, bands) }).unwrap()
}

fn filtered(equalizer: &mut Equalizer, samples: &[f32]) -> Vec<f32> {
    let mut out = samples.to_vec();
    equalizer.process_in_place(SampleIndex(0), &mut out);
    out
}

#[test]
fn a_sine_comes_out_with_the_stated_magnitude_and_phase() {
    for kernel in KERNELS {
        for frequency in [50.0, 1200.0, 15_000.0] {
            let length = 48_000;
            let out = filtered(
                &mut equalizer(1, &FIVE, kernel),
                &signal::sine(frequency, 0.1, 48_000, length),
            );
            let (mut in_phase, mut quadrature) = (0.0, 0.0);
            for (n, y) in out.iter().enumerate().skip(length / 2) {
                let angle = TAU * frequency / 48_000.0 * n as f64;
                in_phase += f64::from(*y) * angle.sin() / (0.1 * length as f64 / 4.0);
                quadrature += f64::from(*y) * angle.cos() / (0.1 * length as f64 / 4.0);
            }
            let expected = response(&FIVE, rate(48_000), Design::Matched, frequency);
            assert!(
                (in_phase.hypot(quadrature) / expected.magnitude - 1.0).abs() < 1e-4,
                "{kernel:?}"
            );
            assert!((quadrature.atan2(in_phase) - expected.phase).abs() < 1e-3, "{kernel:?}");
        }
    }
}

#[test]
fn bands_that_are_off_change_nothing_at_all() {
    let samples = signal::noise(1.0, 5, 3000);
    for kernel in KERNELS {
        for bands in [&[][..], &[Band::off()], &[Band::off(); 11]] {
            assert_eq!(filtered(&mut equalizer(2, bands, kernel), &samples), samples);
        }
    }
}

#[test]
fn channels_are_filtered_apart_and_alike() {
    for channels in [1, 2, 3, 4, 7, 64] {
        let planar: Vec<Vec<f32>> =
            (0..channels).map(|c| signal::noise(0.5, c as u64, 700)).collect();
        let slices: Vec<&[f32]> = planar.iter().map(Vec::as_slice).collect();
        let mut many = equalizer(channels, &FIVE, Kernel::Auto);
        let out = filtered(&mut many, &signal::interleave(&slices));
        for (c, channel) in planar.iter().enumerate() {
            let alone = filtered(&mut equalizer(1, &FIVE, Kernel::Auto), channel);
            let among: Vec<f32> = out.iter().skip(c).step_by(channels).copied().collect();
            assert_eq!(alone, among, "channel {c} of {channels}");
        }
    }
}

#[test]
fn many_bands_are_the_same_as_many_equalizers() {
    let bands: Vec<Band> = (1..=19).map(|k| Band::peak(300.0 * f64::from(k), 2.0, 3.0)).collect();
    let samples = signal::noise(0.1, 1, 4000);
    let together = filtered(&mut equalizer(1, &bands, Kernel::Auto), &samples);
    let mut apart = samples;
    for band in &bands {
        apart = filtered(&mut equalizer(1, &[*band], Kernel::Scalar), &apart);
    }
    for (a, b) in together.iter().zip(&apart) {
        assert!((a - b).abs() < 1e-5, "{a} {b}");
    }
}

/// Energy of `samples` more than 400 Hz away from 997 Hz, over all of it, in dB.
///
/// Of segments under a Blackman window, whose side lobes are below what is measured: all energy less that
/// of the bins near the tone.
fn away_from_tone(samples: &[f32]) -> f64 {
    const LENGTH: usize = 24_576;
    let window = |n: usize| {
        let t = TAU * n as f64 / LENGTH as f64;
        0.42 - 0.5 * t.cos() + 0.08 * (2.0 * t).cos()
    };
    let bin = |hz: f64| (hz * LENGTH as f64 / 48_000.0).round() as usize;
    let (mut near, mut all) = (0.0, 0.0);
    for start in (3072..samples.len() - LENGTH).step_by(LENGTH / 2) {
        let segment: Vec<f64> =
            (0..LENGTH).map(|n| window(n) * f64::from(samples[start + n])).collect();
        all += segment.iter().map(|x| x * x).sum::<f64>();
        for k in bin(597.0)..=bin(1397.0) {
            let (turn_sin, turn_cos) = (TAU * k as f64 / LENGTH as f64).sin_cos();
            let (mut cos, mut sin, mut re, mut im) = (1.0, 0.0, 0.0, 0.0);
            for x in &segment {
                (re, im) = (re + x * cos, im + x * sin);
                (cos, sin) = (cos * turn_cos - sin * turn_sin, cos * turn_sin + sin * turn_cos);
            }
            near += 2.0 * (re * re + im * im) / LENGTH as f64; // and the same at negative frequencies
        }
    }
    10.0 * (1.0 - near / all).log10()
}

#[test]
fn jumps_of_gain_make_no_clicks() {
    let length = 4 * 48_000;
    let tone = signal::sine(997.0, 0.25, 48_000, length);
    for kernel in KERNELS {
        let band = |gain| Band::peak(1200.0, gain, 1.0);
        let config = EqualizerConfig { kernel, ..config(1, &[band(12.0)]) };
        let (mut equalizer, mut handle) = Equalizer::with_handle(&config).unwrap();
        let mut out = tone.clone();
        for (k, block) in out.chunks_mut(512).enumerate() {
            if k % 24 == 0 {
                handle.set_band(0, band(if k % 48 == 0 { -12.0 } else { 12.0 })).unwrap();
            }
            equalizer.process_in_place(SampleIndex(512 * k as u64), block);
        }
        let level = away_from_tone(&out);
        println!("{kernel:?}: {level:.1} dB");
        assert!(level <= -65.0, "{kernel:?}: {level} dB");
        // The measure can tell: the same jumps without a way between.
        for (k, sample) in out.iter_mut().enumerate() {
            *sample = tone[k] * if k / 12_288 % 2 == 0 { 0.3 } else { 3.0 };
        }
        assert!(away_from_tone(&out) > -45.0);
    }
}

#[test]
fn fast_sweeps_of_sharp_bands_stay_bounded() {
    for kernel in KERNELS {
        for kind in [BandKind::Peak, BandKind::LowPass, BandKind::HighPass, BandKind::Notch] {
            let band = |frequency| [Band::new(kind, frequency, 12.0, 10.0)];
            let config = EqualizerConfig { kernel, smoothing: 0.001, ..config(1, &band(20.0)) };
            let (mut equalizer, mut handle) = Equalizer::with_handle(&config).unwrap();
            let mut block = signal::noise(0.1, 4, 48_000);
            let mut loudest = 0_f32;
            for (k, block) in block.chunks_mut(48).enumerate() {
                // Up in 50 ms and down again.
                let way = (k % 100) as f64 / 50.0;
                let frequency = 20.0 * 1000_f64.powf(if way > 1.0 { 2.0 - way } else { way });
                handle.set_bands(&band(frequency)).unwrap();
                equalizer.process_in_place(SampleIndex(48 * k as u64), block);
                loudest = block.iter().fold(loudest, |l, x| l.max(x.abs()));
            }
            // A resonance of Q 10 at rest makes up to 4/π · 10 of a bounded input, a bell of 12 dB 5.
            assert!(loudest < 0.1 * 12.7, "{kernel:?} {kind:?}: {loudest}");
            // And it calms down.
            let mut silence = vec![0.0; 8 * 48_000];
            equalizer.process_in_place(SampleIndex(48_000), &mut silence);
            assert!(silence[7 * 48_000..].iter().all(|x| x.abs() < 1e-6), "{kernel:?} {kind:?}");
        }
    }
}

#[test]
fn a_handle_moves_bands_to_exactly_where_they_were_set() {
    let (mut moved, mut handle) = Equalizer::with_handle(&config(2, &[Band::off(); 5])).unwrap();
    handle.set_bands(&FIVE).unwrap();
    assert_eq!(handle.bands(), FIVE);
    let mut samples = signal::noise(0.5, 9, 2 * 48_000);
    moved.process_in_place(SampleIndex(0), &mut samples[..2]);
    assert!(moved.is_moving());
    moved.process_in_place(SampleIndex(1), &mut samples[2..]);
    assert!(!moved.is_moving());
    moved.reset();
    let samples = signal::noise(0.5, 3, 2000);
    let expected = filtered(&mut equalizer(2, &FIVE, Kernel::Auto), &samples);
    assert_eq!(filtered(&mut moved, &samples), expected);
}

#[test]
fn a_handle_refuses_what_the_equalizer_cannot_do() {
    let (_equalizer, mut handle) = Equalizer::with_handle(&config(1, &FIVE)).unwrap();
    assert_eq!(handle.set_band(5, Band::off()).unwrap_err().parameter(), "index");
    assert_eq!(handle.set_bands(&[Band::off()]).unwrap_err().parameter(), "bands");
    assert_eq!(handle.set_band(0, Band::gain(99.0)).unwrap_err().parameter(), "gain");
    assert_eq!(handle.bands(), FIVE);
}

#[test]
fn settings_out_of_range_are_refused() {
    let with = |change: fn(&mut EqualizerConfig)| {
        let mut config = config(1, &FIVE);
        change(&mut config);
        Equalizer::new(&config).unwrap_err().parameter()
    };
    assert_eq!(with(|c| c.channels = 0), "channels");
    assert_eq!(with(|c| c.channels = usize::MAX), "channels");
    assert_eq!(with(|c| c.smoothing = f64::NAN), "smoothing");
    assert_eq!(with(|c| c.bands = vec![Band::off(); 257]), "bands");
    assert_eq!(with(|c| c.bands[0].q = f64::NAN), "q");
}

#[test]
fn bad_samples_leave_no_trace() {
    for kernel in KERNELS {
        let mut samples = signal::noise(0.5, 2, 4000);
        let mut clean = samples.clone();
        for (at, bad) in [(100, f32::NAN), (101, f32::INFINITY), (900, 1e38), (901, -1e38)] {
            (samples[at], clean[at]) = (bad, 0.0);
        }
        let mut stage = equalizer(2, &FIVE, kernel);
        let out = filtered(&mut stage, &samples);
        assert_eq!(stage.sanitized(), 4);
        assert_eq!(out, filtered(&mut equalizer(2, &FIVE, kernel), &clean));
    }
    let mut loud = equalizer(1, &[Band::gain(40.0); 16], Kernel::Auto);
    let out = filtered(&mut loud, &[1.0, -1.0]);
    assert_eq!(out, [MAX_SAMPLE, -MAX_SAMPLE]);
}

#[test]
fn any_rate_any_block_any_extreme_signal() {
    for hz in [8000, 44_100, 192_000] {
        for length in [1, 2, 511, 512, 513, 65_536] {
            let square: Vec<f32> =
                (0..length).map(|n| if n / 50 % 2 == 0 { 1.0 } else { -1.0 }).collect();
            for samples in [vec![0.0; length], vec![1.0; length], square] {
                let config = EqualizerConfig::new(rate(hz), 1, &FIVE);
                let out = filtered(&mut Equalizer::new(&config).unwrap(), &samples);
                assert!(out.iter().all(|x| x.abs() < 10.0), "{hz} Hz, {length}");
                assert!(samples[0] != 0.0 || out.iter().all(|x| *x == 0.0));
            }
        }
    }
}

#[test]
fn memory_decays_to_nothing() {
    let mut stage = equalizer(1, &[Band::peak(100.0, 12.0, 50.0)], Kernel::Auto);
    filtered(&mut stage, &signal::noise(1.0, 1, 4800));
    let mut silence = vec![0.0; 512 * 6000];
    stage.process_in_place(SampleIndex(4800), &mut silence);
    assert!(stage.memory.as_flattened().as_flattened().iter().all(|x| *x == 0.0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn any_split_gives_the_same(
        channels in 1_usize..4,
        bands in 0_usize..12,
        kernel in 0_usize..3,
        seed: u64,
    ) {
        let bands: Vec<Band> = (0..bands).map(|k| FIVE[k % 5]).collect();
        let mut samples = signal::noise(0.5, seed, 3000 * channels);
        samples[7] = f32::NAN;
        // The harness wants one output per sample: a piece is as long as the block it came in.
        let make = || Samples { stage: equalizer(channels, &bands, KERNELS[kernel]), channels };
        assert_streaming(|| streamed!(make()), &samples, channels, seed);
    }

    #[test]
    fn any_split_gives_the_same_while_bands_move(
        kernel in 0_usize..3,
        pieces in prop::collection::vec(1_usize..200, 1..40),
    ) {
        let config = EqualizerConfig { kernel: KERNELS[kernel], ..config(2, &FIVE) };
        let samples = signal::noise(0.5, 8, 2 * 3000);
        let run = |pieces: &[usize]| {
            let (mut stage, mut handle) = Equalizer::with_handle(&config).unwrap();
            let mut out = samples.clone();
            let (mut at, mut rest) = (0, &mut out[..]);
            let mut pieces = pieces.iter().copied().cycle();
            while !rest.is_empty() {
                if at == 1000 {
                    handle.set_band(2, Band::high_pass(3000.0)).unwrap();
                    handle.set_band(0, Band::low_shelf(3000.0, -12.0)).unwrap();
                }
                // Whatever the pieces, a block starts where the setting is made.
                let until = if at < 1000 { 1000 } else { 3000 };
                let length = pieces.next().unwrap().min(until - at);
                let (block, after) = rest.split_at_mut(2 * length);
                stage.process_in_place(SampleIndex(at as u64), block);
                (at, rest) = (at + length, after);
            }
            out
        };
        prop_assert_eq!(run(&pieces), run(&[3000]));
    }
}

/// An equalizer that emits each sample of all channels by itself, as the harness counts them.
struct Samples {
    stage: Equalizer,
    channels: usize,
}

impl Stage for Samples {
    type In = [f32];
    type Out = [f32];

    fn process(
        &mut self,
        at: SampleIndex,
        input: &[f32],
        mut emit: impl FnMut(SampleIndex, &[f32]),
    ) {
        let channels = self.channels;
        self.stage.process(at, input, |at, piece| {
            for (n, sample) in (0..).zip(piece.chunks(channels)) {
                emit(at + n, sample);
            }
        });
    }

    fn reset(&mut self) {
        self.stage.reset();
    }

    fn latency(&self) -> u64 {
        self.stage.latency()
    }
}
