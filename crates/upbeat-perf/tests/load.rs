//! The load meter against an exact sort, between threads, and without allocating.

use proptest::collection::vec;
use proptest::prelude::*;
use upbeat_perf::alloc::{NoAlloc, forbid_alloc};
use upbeat_perf::load_meter;

#[global_allocator]
static ALLOCATOR: NoAlloc = NoAlloc::system();

/// Half a bucket: what the histogram may be wrong by.
const BUCKET_ERROR: f32 = 1.0 / 64.0;

/// The smallest of `sorted` that `per_mille` ‰ of them do not exceed.
fn exact(sorted: &[f32], per_mille: usize) -> f32 {
    sorted[(sorted.len() * per_mille).div_ceil(1000).max(1) - 1]
}

fn assert_near(measured: f32, exact: f32, what: &str) {
    assert!(
        (measured - exact).abs() <= BUCKET_ERROR * exact + 1e-4,
        "{what}: {measured}, not {exact}"
    );
}

proptest! {
    /// Log-uniform from 6e-5 to 200, so from idle to hopeless.
    #[test]
    fn quantiles_are_those_of_a_sort(loads in vec((-14.0_f32..7.6).prop_map(f32::exp2), 1..600)) {
        let (mut meter, mut monitor) = load_meter();
        for load in &loads {
            meter.record(f64::from(*load) * 0.01, 0.01);
        }
        let mut sorted = loads.clone();
        sorted.sort_by(f32::total_cmp);
        for (stats, largest_error) in [(monitor.total(), 1e-6), (monitor.interval(), BUCKET_ERROR)] {
            let load = stats.load.unwrap();
            assert_near(load.p50, exact(&sorted, 500), "p50");
            assert_near(load.p99, exact(&sorted, 990), "p99");
            assert_near(load.p999, exact(&sorted, 999), "p99.9");
            let largest = sorted[sorted.len() - 1];
            prop_assert!((load.max - largest).abs() <= largest_error * largest);
            let mean = loads.iter().sum::<f32>() / loads.len() as f32;
            prop_assert!((load.mean - mean).abs() < 1e-4 * mean);
            prop_assert_eq!(stats.blocks, loads.len() as u64);
            let misses = loads.iter().filter(|load| **load > 1.0).count() as u64;
            prop_assert_eq!(stats.misses, misses);
        }
    }
}

#[test]
fn an_interval_begins_where_the_last_one_ended() {
    let (mut meter, mut monitor) = load_meter();
    for _ in 0..100 {
        meter.record(0.9, 1.0);
    }
    meter.note_xruns(2);
    let first = monitor.interval();
    assert_eq!((first.blocks, first.misses, first.xruns), (100, 0, 2));
    monitor.note_xruns(1);
    let mut other = monitor.clone();
    for _ in 0..10 {
        meter.record(0.02, 0.1);
    }
    let second = monitor.interval();
    assert_eq!((second.blocks, second.misses, second.xruns), (10, 0, 1));
    let load = second.load.unwrap();
    assert!(
        (load.max - 0.2).abs() < 0.2 * BUCKET_ERROR,
        "the maximum of the interval, not of all: {load:?}"
    );
    assert!((second.busy - 0.2).abs() < 1e-9 && (second.deadline - 1.0).abs() < 1e-9, "{second:?}");
    assert_eq!(other.interval(), second, "a clone has intervals of its own");
    assert_eq!(monitor.interval().load, None);
    let total = monitor.total();
    assert_eq!((total.blocks, total.xruns), (110, 3));
    assert_eq!(total.load.unwrap().max, 0.9);
}

#[test]
fn odd_times_do_no_harm() {
    let (mut meter, mut monitor) = load_meter();
    for deadline in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        meter.record(1.0, deadline);
    }
    assert_eq!(monitor.interval().load, None, "without a deadline there is no load");
    for busy in [f64::NAN, -1.0, 0.0] {
        meter.record(busy, 0.01);
    }
    let stats = monitor.interval();
    assert_eq!((stats.blocks, stats.misses, stats.load.unwrap().max), (3, 0, 0.0));
    meter.record(f64::INFINITY, 1e-300);
    let stats = monitor.total();
    assert_eq!((stats.misses, stats.load.unwrap().max), (1, f32::MAX));
    assert!(stats.busy.is_finite() && stats.load.unwrap().mean.is_finite());
}

#[test]
fn nothing_allocates() {
    let (mut meter, mut monitor) = load_meter();
    let stats = forbid_alloc(|| {
        for block in 0..10_000 {
            meter.record(f64::from(block) * 1e-6, 0.01);
        }
        let answer = meter.measure(0.01, || 42);
        meter.note_xruns(u64::from(answer == 42));
        let stats = monitor.interval();
        assert_eq!(monitor.total().blocks, stats.blocks);
        stats
    });
    assert_eq!((stats.blocks, stats.xruns), (10_001, 1));
}

#[test]
fn a_reader_on_another_thread_counts_every_block_once() {
    const BLOCKS: u64 = 200_000;
    let (mut meter, mut monitor) = load_meter();
    let writer = std::thread::spawn(move || {
        for block in 0..BLOCKS {
            // One in ten is late.
            meter.record(if block % 10 == 0 { 0.02 } else { 0.005 }, 0.01);
        }
    });
    let mut seen = monitor.interval();
    while seen.blocks < BLOCKS {
        let interval = monitor.interval();
        if let Some(load) = interval.load {
            assert!((0.49..0.51).contains(&load.p50) || (1.9..2.1).contains(&load.p50), "{load:?}");
        }
        seen.blocks += interval.blocks;
        seen.misses += interval.misses;
    }
    writer.join().unwrap();
    let rest = monitor.interval();
    assert_eq!((seen.blocks + rest.blocks, seen.misses + rest.misses), (BLOCKS, BLOCKS / 10));
}
