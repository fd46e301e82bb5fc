//! Beats, chords, keys, the next chord and energy neither allocate nor free once they are made.

#![allow(clippy::unwrap_used, reason = "helpers of tests; clippy knows only the tests themselves")]

use upbeat_core::{SampleIndex, SampleRate, Stage};
use upbeat_predict::beats::{BeatConfig, BeatTracker, FrontEnd};
use upbeat_predict::energy::{EnergyConfig, EnergyTracker};
use upbeat_predict::harmony::{
    ChordConfig, ChordLabel, ChordRecognizer, NextChord, NextChordConfig, Triad,
};
use upbeat_testkit::alloc::{CountingAllocator, count};
use upbeat_testkit::{groove, signal};

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

#[test]
fn beats_and_all_that_can_be_asked_of_them() {
    let rate = SampleRate::new(8000).unwrap();
    let mut tracker = BeatTracker::new(&BeatConfig::new(rate)).unwrap();
    let groove = groove::groove(1, 8000, 8.0);
    let (mut announced, mut asked) = (0, 0);
    let counts = count(|| {
        // From the start, over a short gap, after a long one, and back again.
        for from in [0, 66_000, 500_000, 3] {
            tracker.process(SampleIndex(from), &groove.samples, |_, estimate| {
                announced += usize::from(estimate.beat.is_some());
            });
            asked += tracker.upcoming().count() + tracker.tempo_candidates().count();
            asked += usize::from(tracker.next_beat().is_some());
            asked += usize::from(tracker.tempo_ahead(4).is_some());
            tracker.double();
            tracker.halve();
            tracker.shift_half();
            tracker.retarget(100.0);
            tracker.tap_beat(SampleIndex(from + 64_100));
            tracker.tap_beat(SampleIndex(from + 68_100));
            tracker.lock_octave(true);
            tracker.lock_octave(false);
            let rests = from == 0;
            tracker.set_front_end(if rests { FrontEnd::Onset } else { FrontEnd::Network });
        }
        tracker.reset();
    });
    assert!(counts.is_zero(), "{counts:?}");
    assert!(announced > 20 && asked > 10, "{announced}, {asked}");
}
