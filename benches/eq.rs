//! Equalizers side by side, and the parts of an adaptive update.
//!
//! `five_bands`: a low shelf, three bells and a high shelf on stereo, blocks of 512; divide by 512 for the time per stereo
//! frame. Ours with each kernel, at rest and while all bands move, beside the crates `biquad` (direct form II
//! transposed, `f32` and `f64`) and `fundsp` (state variable filters, `f64`). `update`: what an adaptive equalizer does
//! per 46 ms.
//!
//! `cargo bench --bench eq`

use biquad::{Biquad, Coefficients, DirectForm2Transposed, Hertz, Type};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fundsp::prelude::{bell_hz, highshelf_hz, lowshelf_hz};
use std::hint::black_box;
use upbeat::core::{SampleIndex, SampleRate, Stage};
use upbeat::eq::{
    AdaptiveConfig, AdaptiveEqualizer, Band, Equalizer, EqualizerConfig, Kernel, ToneEar,
    ToneEarConfig, ToneModel, Vocabulary,
};
use upbeat_testkit::signal;

const RATE: u32 = 48_000;
const BLOCK: usize = 512;

const BANDS: [Band; 5] = [
    Band::low_shelf(120.0, 3.0),
    Band::peak(300.0, -2.0, 0.9),
    Band::peak(1000.0, 1.5, 1.2),
    Band::peak(3500.0, -4.0, 0.8),
    Band::high_shelf(8000.0, 2.5),
];

fn rate() -> SampleRate {
    SampleRate::new(RATE).expect("above 0")
}

fn stereo() -> Vec<f32> {
    let (left, right) = (signal::noise(0.3, 1, BLOCK), signal::noise(0.3, 2, BLOCK));
    signal::interleave(&[&left, &right])
}

fn five_bands(c: &mut Criterion) {
    let mut group = c.benchmark_group("five_bands");
    group.throughput(Throughput::Elements(BLOCK as u64));
    let input = stereo();
    for kernel in [Kernel::Scalar, Kernel::Portable, Kernel::Avx2, Kernel::Neon] {
        let mut config = EqualizerConfig::new(rate(), 2, &BANDS);
        config.kernel = kernel;
        let (mut equalizer, mut handle) = Equalizer::with_handle(&config).expect("valid");
        if equalizer.kernel() != kernel {
            continue; // not on this processor
        }
        let mut at = SampleIndex(0);
        let mut block = input.clone();
        group.bench_function(format!("upbeat {kernel:?}"), |b| {
            b.iter(|| {
                block.copy_from_slice(&input);
                equalizer.process_in_place(at, black_box(&mut block));
                at += BLOCK as u64;
            });
        });
        // All gains change sign every fourth block, 43 ms, which is less than they take to arrive.
        let mut rounds = 0_u32;
        group.bench_function(format!("upbeat {kernel:?}, moving"), |b| {
            b.iter(|| {
                if rounds.is_multiple_of(4) {
                    let sign = if rounds.is_multiple_of(8) { 1.0 } else { -1.0 };
                    let band = |b: Band| Band::new(b.kind, b.frequency, sign * b.gain, b.q);
                    handle.set_bands(&BANDS.map(band)).expect("valid");
                }
                rounds = rounds.wrapping_add(1);
                block.copy_from_slice(&input);
                equalizer.process_in_place(at, black_box(&mut block));
                at += BLOCK as u64;
            });
        });
    }
    others(&mut group, &input);
    group.finish();
}

type Group<'a> = criterion::BenchmarkGroup<'a, criterion::measurement::WallTime>;

fn others(group: &mut Group<'_>, input: &[f32]) {
    let kinds = [
        Type::LowShelf(3.0),
        Type::PeakingEQ(-2.0),
        Type::PeakingEQ(1.5),
        Type::PeakingEQ(-4.0),
        Type::HighShelf(2.5),
    ];
    let frequencies = [120.0, 300.0, 1000.0, 3500.0, 8000.0];
    let qs = [0.707, 0.9, 1.2, 0.8, 0.707];
    let single: Vec<Coefficients<f32>> = (0..5)
        .map(|k| {
            let kind = match kinds[k] {
                Type::LowShelf(gain) => Type::LowShelf(gain as f32),
                Type::HighShelf(gain) => Type::HighShelf(gain as f32),
                Type::PeakingEQ(gain) => Type::PeakingEQ(gain as f32),
                _ => unreachable!("none of these"),
            };
            let hz = |f: f64| Hertz::<f32>::from_hz(f as f32).expect("positive");
            Coefficients::from_params(kind, hz(48_000.0), hz(frequencies[k]), qs[k] as f32)
                .expect("below half the rate")
        })
        .collect();
    let double: Vec<Coefficients<f64>> = (0..5)
        .map(|k| {
            let hz = |f: f64| Hertz::<f64>::from_hz(f).expect("positive");
            Coefficients::from_params(kinds[k], hz(48_000.0), hz(frequencies[k]), qs[k])
                .expect("below half the rate")
        })
        .collect();
    let mut block = input.to_vec();
    let mut filters: Vec<[DirectForm2Transposed<f32>; 2]> =
        single.iter().map(|c| [DirectForm2Transposed::new(*c); 2]).collect();
    group.bench_function("crate biquad, f32", |b| {
        b.iter(|| {
            block.copy_from_slice(input);
            for [left, right] in &mut filters {
                for pair in block.as_chunks_mut::<2>().0 {
                    *pair = [left.run(pair[0]), right.run(pair[1])];
                }
            }
            black_box(&mut block);
        });
    });
    let mut filters: Vec<[DirectForm2Transposed<f64>; 2]> =
        double.iter().map(|c| [DirectForm2Transposed::new(*c); 2]).collect();
    group.bench_function("crate biquad, f64", |b| {
        b.iter(|| {
            block.copy_from_slice(input);
            for [left, right] in &mut filters {
                for [x, y] in block.as_chunks_mut::<2>().0 {
                    *x = left.run(f64::from(*x)) as f32;
                    *y = right.run(f64::from(*y)) as f32;
                }
            }
            black_box(&mut block);
        });
    });
    let amplitude = |db: f64| 10.0_f64.powf(db / 20.0);
    let chain = || {
        lowshelf_hz(120.0, 0.707, amplitude(3.0))
            >> bell_hz(300.0, 0.9, amplitude(-2.0))
            >> bell_hz(1000.0, 1.2, amplitude(1.5))
            >> bell_hz(3500.0, 0.8, amplitude(-4.0))
            >> highshelf_hz(8000.0, 0.707, amplitude(2.5))
    };
    let (mut left, mut right) = (chain(), chain());
    group.bench_function("crate fundsp", |b| {
        b.iter(|| {
            block.copy_from_slice(input);
            for pair in block.as_chunks_mut::<2>().0 {
                *pair = [left.filter_mono(pair[0]), right.filter_mono(pair[1])];
            }
            black_box(&mut block);
        });
    });
}

fn update(c: &mut Criterion) {
    let mut group = c.benchmark_group("update");
    let mut config = AdaptiveConfig::new(rate(), 2);
    config.words = Some("warm".into());
    let (mut adaptive, _handle) = AdaptiveEqualizer::new(&config).expect("valid");
    let length = adaptive.update_length() as usize;
    // A tone that swells, so that it is music and no noise.
    let song: Vec<f32> = signal::tone(220.0, 60, 0.5, RATE, 40 * length)
        .iter()
        .enumerate()
        .map(|(n, x)| x * (n % 20_000) as f32 / 20_000.0)
        .collect();
    let stereo = signal::interleave(&[&song, &song]);

    let mut ear = ToneEar::new(&ToneEarConfig::new(rate())).expect("valid");
    let mut model = ToneModel::builtin();
    ear.process(SampleIndex(0), &song, |_, _| {});
    let mut at = SampleIndex(song.len() as u64);
    let mut blocks = song.chunks_exact(length).cycle();
    group.bench_function("log-mel, four frames", |b| {
        b.iter(|| {
            let block = blocks.next().expect("the song is not empty");
            ear.process(at, block, |_, heard| _ = black_box(heard));
            at += length as u64;
        });
    });
    let tone = ear.tone(model.programme()).expect("music was heard");
    let target = model.encode(Vocabulary::builtin().target("warm").expect("a word").curve());
    group.bench_function("encoder network", |b| b.iter(|| model.hear(black_box(&tone))));
    let heard = model.hear(&tone);
    group.bench_function("latent", |b| {
        b.iter(|| -> [f32; 32] {
            std::array::from_fn(|k| 0.7 * (black_box(&target)[k] - heard[k]))
        });
    });
    group.bench_function("decoder network", |b| b.iter(|| model.decode(black_box(&heard))));

    // As many bands of the kinds that it has, eight of which move: what to subtract for hearing and deciding alone.
    let mut bands = [Band::off(); 13];
    bands[12] = Band::gain(0.0);
    let (mut equalizer, mut handle) =
        Equalizer::with_handle(&EqualizerConfig::new(rate(), 2, &bands)).expect("valid");
    let mut samples = stereo.clone();
    let (mut at, mut place, mut gain) = (SampleIndex(0), 0, 1.0);
    group.bench_function("13 bands alone, stereo", |b| {
        b.iter(|| {
            gain = 1.5 - gain;
            for (k, band) in bands[..8].iter_mut().enumerate() {
                *band = Band::peak(100.0 * 2_f64.powi(k as i32), gain, 1.1);
            }
            handle.set_bands(&bands).expect("valid");
            let block = &mut samples[place..][..2 * length];
            block.copy_from_slice(&stereo[place..][..2 * length]);
            equalizer.process_in_place(at, block);
            at += length as u64;
            place = (place + 2 * length) % stereo.len();
        });
    });

    let mut at = SampleIndex(0);
    let mut samples = stereo.clone();
    let mut place = 0;
    group.bench_function("all of it and 13 bands, stereo", |b| {
        b.iter(|| {
            let block = &mut samples[place..][..2 * length];
            block.copy_from_slice(&stereo[place..][..2 * length]);
            adaptive.process_in_place(at, block);
            at += length as u64;
            place = (place + 2 * length) % stereo.len();
        });
    });
    group.finish();
}

criterion_group!(benches, five_bands, update);
criterion_main!(benches);
