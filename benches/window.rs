//! What stands between a stream and its analysis, each part beside a plain copy of the same samples.
//!
//! `cargo bench --bench window`; results are in elements (samples of all channels) per second.

use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use upbeat_core::{FrameSpec, SampleIndex, SampleRate, Stage};
use upbeat_window::{
    Framer, OverlapAdd, OverlapAddConfig, QueueConfig, SlidingStatistic, SlidingWindow,
    SlidingWindowConfig, Statistic, sample_queue,
};

criterion_group!(benches, framer, overlap_add, queue, sliding_window, statistics);
criterion_main!(benches);

/// One second of sound, in blocks as a sound card gives them.
const SECOND: usize = 48_000;
const BLOCK: usize = 512;
/// Samples of all channels that cross the queue at once.
const QUEUE_BLOCK: usize = 256;

fn framer(criterion: &mut Criterion) {
    let mut group = group(criterion, "framer", SECOND);
    bench_copy(&mut group);
    for (frame_length, hop_length) in [(2048, 512), (2048, 2048), (4096, 256), (512, 2048)] {
        let mut framer = Framer::new(spec(frame_length, hop_length));
        bench_stage(&mut group, &format!("frame {frame_length}, hop {hop_length}"), &mut framer);
    }
    group.finish();
}

fn overlap_add(criterion: &mut Criterion) {
    let mut group = group(criterion, "overlap-add", SECOND);
    bench_copy(&mut group);
    let spec = spec(2048, 512);
    let overlap_add = OverlapAdd::new(&OverlapAddConfig::new(spec)).expect("NOLA holds");
    bench_stage(&mut group, "there and back", &mut Framer::new(spec).then(overlap_add));
    group.finish();
}

fn queue(criterion: &mut Criterion) {
    let mut group = group(criterion, "queue", QUEUE_BLOCK);
    let block = noise(QUEUE_BLOCK);
    let mut copy = vec![0.0; QUEUE_BLOCK];
    group.bench_function("copy", |bencher| {
        bencher.iter(|| copy.copy_from_slice(black_box(&block)));
    });
    for channels in [1, 2] {
        let config = QueueConfig::new(channels, 8192);
        let (mut writer, mut reader) = sample_queue(&config).expect("the settings are in range");
        group.bench_function(format!("one thread, {channels} ch"), |bencher| {
            bencher.iter(|| {
                writer.write(black_box(&block));
                reader.read_available(|_, piece| copy[..piece.len()].copy_from_slice(piece));
            });
        });
        group.bench_function(format!("two threads, {channels} ch"), |bencher| {
            bencher.iter_custom(|blocks| cross_threads(&config, &block, blocks));
        });
    }
    group.finish();
}

/// How long `blocks` blocks take from one thread to another, none of them lost.
fn cross_threads(config: &QueueConfig, block: &[f32], blocks: u64) -> Duration {
    let (mut writer, mut reader) = sample_queue(config).expect("the settings are in range");
    let samples = block.len() / config.channels;
    let mut copy = vec![0.0; block.len()];
    thread::scope(|scope| {
        let start = Instant::now();
        scope.spawn(move || {
            for _ in 0..blocks {
                while writer.room() < samples {
                    thread::yield_now();
                }
                writer.write(black_box(block));
            }
        });
        let mut missing = blocks * samples as u64;
        while missing > 0 {
            let read = reader.read_available(|_, piece| {
                for part in piece.chunks(copy.len()) {
                    copy[..part.len()].copy_from_slice(part);
                }
            });
            if read == 0 {
                thread::yield_now();
            }
            missing -= read as u64;
        }
        black_box(&copy);
        start.elapsed()
    })
}

fn sliding_window(criterion: &mut Criterion) {
    let mut group = group(criterion, "sliding window", SECOND);
    bench_copy(&mut group);
    let config = SlidingWindowConfig::new(SECOND, spec(1, 1).sample_rate());
    let mut window = SlidingWindow::new(&config).expect("the length is in range");
    let samples = noise(SECOND);
    let mut at = SampleIndex(0);
    group.bench_function("push", |bencher| {
        bencher.iter(|| {
            for block in samples.chunks(BLOCK) {
                window.push(at, black_box(block));
                at += block.len() as u64;
            }
        });
    });
    group.finish();
}

fn statistics(criterion: &mut Criterion) {
    let mut group = group(criterion, "statistics", SECOND);
    bench_copy(&mut group);
    for statistic in
        [Statistic::Mean, Statistic::Rms, Statistic::Min, Statistic::Max, Statistic::Median]
    {
        for hop_length in [1, 512] {
            let mut stage = SlidingStatistic::new(statistic, spec(4800, hop_length));
            bench_stage(&mut group, &format!("{statistic:?}, hop {hop_length}"), &mut stage);
        }
    }
    group.finish();
}

fn group<'a>(
    criterion: &'a mut Criterion,
    name: &str,
    elements: usize,
) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(elements as u64));
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(1));
    group
}

/// The yardstick: the same samples, copied in the same blocks.
fn bench_copy(group: &mut BenchmarkGroup<'_, WallTime>) {
    let samples = noise(SECOND);
    let mut copy = vec![0.0; BLOCK];
    group.bench_function("copy", |bencher| {
        bencher.iter(|| {
            for block in samples.chunks(BLOCK) {
                copy[..block.len()].copy_from_slice(black_box(block));
                black_box(&copy);
            }
        });
    });
}

fn bench_stage<S: Stage<In = [f32]>>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    stage: &mut S,
) {
    let samples = noise(SECOND);
    let mut at = SampleIndex(0);
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            for block in samples.chunks(BLOCK) {
                stage.process(at, black_box(block), |_, output| {
                    black_box(output);
                });
                at += block.len() as u64;
            }
        });
    });
}

fn spec(frame_length: usize, hop_length: usize) -> FrameSpec {
    let rate = SampleRate::new(48_000).expect("48 kHz is a rate");
    FrameSpec::new(frame_length, hop_length, rate).expect("the lengths are in range")
}

/// White noise at full scale, from a linear congruential generator (Knuth's MMIX).
fn noise(length: usize) -> Vec<f32> {
    let mut state = 1_u64;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..length).map(|_| next()).collect()
}
