//! The next chord and energy neither allocate nor free once they are made.

use upbeat_core::{SampleIndex, SampleRate, Stage};
use upbeat_predict::energy::{EnergyConfig, EnergyTracker};
use upbeat_predict::harmony::{NextChord, NextChordConfig, Triad};
use upbeat_testkit::alloc::{CountingAllocator, count};
use upbeat_testkit::signal;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

#[test]
fn what_comes_next() {
    let mut config = NextChordConfig::new();
    config.memory = 8;
    let mut next = NextChord::new(&config).unwrap();
    let counts = count(|| {
        for n in 0..400 {
            next.begin(Triad::from_index(n * 5), Some(2.0));
        }
    });
    assert!(counts.is_zero(), "{counts:?}");
}

#[test]
fn energy() {
    let rate = SampleRate::new(8000).unwrap();
    let mut tracker = EnergyTracker::new(&EnergyConfig::new(rate, 2)).unwrap();
    let samples = signal::noise(0.3, 1, 80_000);
    let mut outputs = 0;
    let counts = count(|| {
        for from in [0, 100_000, 3] {
            tracker.process(SampleIndex(from), &samples, |_, _| outputs += 1);
            tracker.reset();
        }
    });
    assert!(counts.is_zero(), "{counts:?}");
    assert!(outputs > 0);
}
