//! Chords, keys, the next chord and energy neither allocate nor free once they are made.

#![allow(clippy::unwrap_used, reason = "helpers of tests; clippy knows only the tests themselves")]

use upbeat_core::{SampleIndex, SampleRate, Stage};
use upbeat_predict::energy::{EnergyConfig, EnergyTracker};
use upbeat_predict::harmony::{
    ChordConfig, ChordLabel, ChordRecognizer, NextChord, NextChordConfig, Triad,
};
use upbeat_testkit::alloc::{CountingAllocator, count};
use upbeat_testkit::signal;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

#[test]
fn chords_and_what_comes_next() {
    let rate = SampleRate::new(8000).unwrap();
    let mut recognizer = ChordRecognizer::new(&ChordConfig::new(rate)).unwrap();
    let mut config = NextChordConfig::new();
    config.memory = 8;
    let mut next = NextChord::new(&config).unwrap();
    let samples = signal::tone(220.0, 5, 0.2, 8000, 24_000);
    let mut outputs = 0;
    let counts = count(|| {
        for from in [0, 100_000, 3] {
            recognizer.process(SampleIndex(from), &samples, |_, estimate| {
                outputs += 1;
                if let ChordLabel::Chord(chord) = estimate.label() {
                    next.begin(chord.triad(), Some(4.0));
                }
            });
            for n in 0..40 {
                next.begin(Triad::from_index(n * 5), Some(2.0));
            }
            recognizer.reset();
        }
    });
    assert!(counts.is_zero(), "{counts:?}");
    assert!(outputs > 0);
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
