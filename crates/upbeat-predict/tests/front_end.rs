//! Beats go on when the network is sent to rest, and when it is taken up again.

#![allow(clippy::unwrap_used, reason = "helpers of tests; clippy knows only the tests themselves")]

use upbeat_core::{SampleIndex, SampleRate, Stage};
use upbeat_predict::beats::{BeatConfig, BeatEstimate, BeatTracker, FrontEnd};
use upbeat_testkit::groove::{Groove, N_STYLES, groove};
use upbeat_testkit::signal;

const RATE: u32 = 22_050;

/// When the front end becomes another, in seconds.
type Switches = [(f64, FrontEnd)];

fn tracker(front_end: FrontEnd) -> BeatTracker {
    let mut config = BeatConfig::new(SampleRate::new(RATE).unwrap());
    config.front_end = front_end;
    BeatTracker::new(&config).unwrap()
}

/// All estimates, heard in blocks of `block` samples.
fn hear(
    mut tracker: BeatTracker,
    samples: &[f32],
    block: usize,
    switches: &Switches,
) -> Vec<BeatEstimate> {
    let mut estimates = Vec::new();
    let sample = |seconds: f64| (seconds * f64::from(RATE)) as usize;
    let ends = switches.iter().map(|(at, _)| sample(*at)).chain([samples.len()]);
    let front_ends = [None].into_iter().chain(switches.iter().map(|(_, to)| Some(*to)));
    let mut at = 0;
    for (front_end, end) in front_ends.zip(ends) {
        if let Some(front_end) = front_end {
            assert!(tracker.set_front_end(front_end));
        }
        for piece in samples[at..end].chunks(block) {
            tracker.process(SampleIndex(at as u64), piece, |_, e| estimates.push(*e));
            at += piece.len();
        }
    }
    estimates
}

/// The beats announced, in seconds.
fn times(estimates: &[BeatEstimate]) -> Vec<f64> {
    let beats = estimates.iter().filter_map(|estimate| estimate.beat);
    beats.map(|beat| beat.at.0 as f64 / f64::from(RATE)).collect()
}

/// How many of the beats of the groove from `from` to `to` are not announced once, and how many others are.
fn faults(groove: &Groove, found: &[f64], from: f64, to: f64) -> usize {
    let inside = |t: &f64| *t >= from && *t < to;
    let truth: Vec<f64> = groove.beats.iter().map(|(t, _)| *t).filter(inside).collect();
    let near = |t: f64| found.iter().filter(|f| (**f - t).abs() <= 0.07).count();
    let missed = truth.iter().map(|t| near(*t).abs_diff(1)).sum::<usize>();
    let all = found.iter().filter(|t| inside(t)).count();
    missed + all.saturating_sub(truth.len())
}

const SWITCHES: [(f64, FrontEnd); 2] = [(14.03, FrontEnd::Onset), (20.71, FrontEnd::Network)];

#[test]
fn on_grooves_no_beat_is_missed_or_doubled() {
    for seed in 0..N_STYLES as u64 {
        let groove = groove(seed, RATE, 32.0);
        let estimates = hear(tracker(FrontEnd::Network), &groove.samples, 4096, &SWITCHES);
        let follows = estimates.iter().skip(1000).all(|estimate| estimate.tempo.is_some());
        assert!(follows, "groove {seed} has a beat all the time");
        let found = times(&estimates);
        let faults = |from: f64, to: f64| faults(&groove, &found, from, to);
        assert_eq!(faults(10.0, 31.5), 0, "groove {seed}");
    }
}

#[test]
fn seldom_looking_ahead_is_later_but_misses_nothing() {
    for seed in 0..N_STYLES as u64 {
        let groove = groove(seed, RATE, 24.0);
        let [often, seldom] = [1, 8].map(|frames| {
            let mut tracker = tracker(FrontEnd::Network);
            tracker.set_prediction_interval(frames);
            let mut beats = Vec::new();
            tracker.process(SampleIndex(0), &groove.samples, |now, estimate| {
                beats.extend(estimate.beat.map(|beat| (beat.at, beat.at.0.saturating_sub(now.0))));
            });
            beats
        });
        let found: Vec<f64> = seldom.iter().map(|(at, _)| at.0 as f64 / f64::from(RATE)).collect();
        assert_eq!(faults(&groove, &found, 10.0, 23.5), 0, "groove {seed}");
        let least = |beats: &[(SampleIndex, u64)]| {
            let leads = beats.iter().map(|(_, lead)| *lead as f64 / f64::from(RATE));
            leads.fold(f64::INFINITY, f64::min)
        };
        // Settings ask for 0.25 s.
        assert!(least(&often) > 0.23, "{}", least(&often));
        assert!(least(&seldom) > 0.16 && least(&seldom) < least(&often), "{}", least(&seldom));
    }
}

#[test]
fn beats_come_when_they_should_by_either() {
    // Exact clicks tell whether the two are heard at the same time.
    let mut clicks = vec![0.0; 30 * RATE as usize];
    let interval = f64::from(RATE) * 60.0 / 125.0;
    for n in 1..62 {
        let click = signal::sine(1500.0, 0.5, RATE, RATE as usize / 50);
        signal::add(&mut clicks[(f64::from(n) * interval) as usize..][..click.len()], &click);
    }
    let found = times(&hear(tracker(FrontEnd::Network), &clicks, 4096, &SWITCHES));
    let bias = |found: &[f64], from: f64, to: f64| {
        let inside = found.iter().filter(|t| **t >= from && **t < to);
        let off = inside.map(|t| (t / 0.48 - (t / 0.48).round()) * 0.48);
        let (n, sum) = off.fold((0.0, 0.0), |(n, sum), off| (n + 1.0, sum + off));
        assert!((n * 0.48 - (to - from)).abs() <= 0.48, "{n} beats from {from} s to {to} s");
        1000.0 * sum / n
    };
    // By the network, by onsets, and by the network again.
    let by = [bias(&found, 10.0, 14.0), bias(&found, 15.5, 25.5), bias(&found, 26.5, 29.5)];
    let onsets = times(&hear(tracker(FrontEnd::Onset), &clicks, 4096, &[]));
    let alone = bias(&onsets, 15.5, 25.5);
    println!("{by:.1?} ms late, and {alone:.1} ms by onsets from the start");
    assert!((by[0] - by[2]).abs() < 2.0, "{by:?} ms");
    assert!((by[1] - alone).abs() < 2.0, "{by:?}, {alone} ms");
}

#[test]
fn any_split_gives_the_same_beats_across_switches() {
    let groove = groove(1, RATE, 12.0);
    let switches = [(4.03, FrontEnd::Onset), (5.717, FrontEnd::Network)];
    let whole = hear(tracker(FrontEnd::Network), &groove.samples, usize::MAX, &switches);
    for block in [1, 97, 1000] {
        let split = hear(tracker(FrontEnd::Network), &groove.samples, block, &switches);
        assert_eq!(split, whole, "blocks of {block}");
    }
}

#[test]
fn a_tracker_without_the_network_has_none_to_take_up() {
    let mut onsets = tracker(FrontEnd::Onset);
    assert!(onsets.set_front_end(FrontEnd::Onset));
    assert!(!onsets.set_front_end(FrontEnd::Network));
}

#[test]
fn a_network_that_rests_has_no_say_until_it_is_warm() {
    let groove = groove(0, RATE, 30.0);
    let by =
        |switches: &Switches| hear(tracker(FrontEnd::Network), &groove.samples, 4096, switches);
    let off = by(&SWITCHES[..1]);
    let on_again = by(&SWITCHES);
    // Frames since the start: 5 s after it is taken up.
    let warm = 2071 + 500;
    assert_eq!(on_again[..warm - 1], off[..warm - 1]);
    assert_ne!(on_again[warm..], off[warm..]);
    // What the onset strength alone does from the start is something else.
    assert_ne!(off[1500..], hear(tracker(FrontEnd::Onset), &groove.samples, 4096, &[])[1500..]);
    // Before anything is heard there is nothing to warm up from.
    let at_once = by(&[(0.0, FrontEnd::Onset), (0.0, FrontEnd::Network)]);
    assert_eq!(at_once, by(&[]));
}
