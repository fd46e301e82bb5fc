//! What the beat tracker says of clips that the tests make themselves. `docs/accuracy.md` has real ones.

#![allow(clippy::unwrap_used, reason = "helpers of tests; clippy knows only the tests themselves")]

use upbeat_core::{SampleIndex, SampleRate, Stage};
use upbeat_predict::beats::{BeatConfig, BeatTracker, FrontEnd, Horizon, Prediction, Relation};
use upbeat_testkit::beats;
use upbeat_testkit::groove::{N_STYLES, groove};
use upbeat_testkit::signal;

const RATE: u32 = 22_050;

fn config(rate: u32) -> BeatConfig {
    BeatConfig::new(SampleRate::new(rate).unwrap())
}

/// The beats announced, each with the stream's time when it was.
fn announced(config: &BeatConfig, samples: &[f32]) -> Vec<(Prediction, f64)> {
    hear(&mut BeatTracker::new(config).unwrap(), 0, samples, config.sample_rate)
}

fn hear(
    tracker: &mut BeatTracker,
    from: u64,
    samples: &[f32],
    rate: SampleRate,
) -> Vec<(Prediction, f64)> {
    let mut beats = Vec::new();
    tracker.process(SampleIndex(from), samples, |now, estimate| {
        beats.extend(estimate.beat.map(|beat| (beat, now.seconds(rate))));
    });
    beats
}

fn times(beats: &[(Prediction, f64)], rate: u32) -> Vec<f64> {
    beats.iter().map(|(beat, _)| beat.at.0 as f64 / f64::from(rate)).collect()
}

/// F within 70 ms, after the first 5 s.
fn f_measure(truth: &[f64], found: &[f64], end: f64) -> f64 {
    let inside = |times: &[f64]| {
        let mut times = beats::from(5.0, times);
        times.retain(|t| *t < end);
        times
    };
    beats::f_measure(&inside(truth), &inside(found), 0.07)
}

/// Clicks at `bpm`, the first at 0.25 s.
fn clicks(bpm: f64, rate: u32, seconds: f64) -> Vec<f32> {
    let mut samples = vec![0.0; (seconds * f64::from(rate)) as usize];
    let mut at = 0.25;
    while at < seconds - 0.05 {
        let from = (at * f64::from(rate)) as usize;
        let click = signal::sine(1500.0, 0.5, rate, rate as usize / 50);
        signal::add(&mut samples[from..from + click.len()], &click);
        at += 60.0 / bpm;
    }
    samples
}

#[test]
fn clicks_are_predicted_to_a_few_milliseconds() {
    for front_end in [FrontEnd::Network, FrontEnd::Onset] {
        for bpm in [75.0, 100.0, 120.0, 140.0] {
            let mut config = config(RATE);
            config.front_end = front_end;
            let beats = announced(&config, &clicks(bpm, RATE, 20.0));
            let late: Vec<_> = beats.iter().filter(|(_, now)| *now > 10.0).collect();
            assert!(late.len() as f64 > 9.0 * bpm / 60.0, "{front_end:?}, {bpm}: {}", late.len());
            for (beat, now) in late {
                let at = beat.at.0 as f64 / f64::from(RATE);
                let off = (at - 0.25) * bpm / 60.0;
                let off = (off - off.round()) * 60.0 / bpm;
                assert!(off.abs() < 0.025, "{front_end:?}, {bpm}: {:.0} ms off", 1000.0 * off);
                // Announced with the lead asked for, and likely to come.
                assert!((at - now - 0.25).abs() < 0.03, "{at}, {now}");
                assert!(beat.confidence > 0.5 && beat.std_dev < 0.03, "{beat:?}");
            }
        }
    }
}

#[test]
fn grooves_with_human_timing_are_followed() {
    let mut sum = 0.0;
    for seed in 0..N_STYLES as u64 {
        let groove = groove(seed, RATE, 25.0);
        let truth: Vec<f64> = groove.beats.iter().map(|(t, _)| *t).collect();
        let found = times(&announced(&config(RATE), &groove.samples), RATE);
        sum += f_measure(&truth, &found, 24.5);
    }
    let mean = sum / N_STYLES as f64;
    assert!(mean >= 0.8, "{mean:.3}");
}

#[test]
fn the_demo_is_followed_with_its_bars() {
    // Twice: it is only 16 s long, and its synthetic drums are believed in after 8 s or so.
    let rate = SampleRate::new(RATE).unwrap();
    let (mono, beats, downbeats) = upbeat_io_demo(rate);
    let twice = |once: &[f64]| -> Vec<f64> {
        once.iter().copied().chain(once.iter().map(|t| t + 16.0)).filter(|t| *t > 8.0).collect()
    };
    let announced = announced(&config(RATE), &[mono.clone(), mono].concat());
    let found: Vec<f64> = times(&announced, RATE).into_iter().filter(|t| *t > 8.0).collect();
    let f = f_measure(&twice(&beats), &found, 31.5);
    assert!(f > 0.95, "{f}: {found:?}");
    let bars: Vec<f64> = announced
        .iter()
        .filter(|(beat, _)| beat.bar_position.is_some_and(|place| place.beat == 1))
        .map(|(beat, _)| beat.at.seconds(rate))
        .filter(|t| *t > 8.0)
        .collect();
    assert!(f_measure(&twice(&downbeats), &bars, 31.5) > 0.8, "{bars:?}");
}

/// The demo as mono samples, its beats and its downbeats.
fn upbeat_io_demo(rate: SampleRate) -> (Vec<f32>, Vec<f64>, Vec<f64>) {
    let song = upbeat_io::demo::song(rate).unwrap();
    let mono = song.interleaved.chunks_exact(2).map(|s| 0.5 * (s[0] + s[1])).collect();
    (mono, song.annotations.beats, song.annotations.downbeats)
}

#[test]
fn the_same_song_at_any_rate_has_the_same_beats() {
    // The demo is made at each rate, so nothing has been resampled.
    let at = |rate: u32| {
        let (mono, _, _) = upbeat_io_demo(SampleRate::new(rate).unwrap());
        times(&announced(&config(rate), &mono), rate)
    };
    let reference = at(44_100);
    assert!(reference.len() > 12, "{}", reference.len());
    for rate in [16_000, 22_050, 48_000, 96_000] {
        let found = at(rate);
        let near = |t: &&f64| reference.iter().any(|r| (r - **t).abs() < 0.005);
        let same = found.iter().filter(near).count();
        assert!(
            same as f64 >= 0.95 * reference.len() as f64,
            "{rate} Hz: {same} of {}",
            reference.len()
        );
        assert!(found.len().abs_diff(reference.len()) <= 1, "{rate} Hz: {}", found.len());
    }
}

#[test]
fn where_there_is_no_beat_none_is_claimed() {
    let length = 15 * RATE as usize;
    for (what, samples) in [
        ("silence", vec![0.0; length]),
        ("noise", signal::noise(0.1, 3, length)),
        ("a tone", signal::tone(220.0, 6, 0.2, RATE, length)),
    ] {
        let mut tracker = BeatTracker::new(&config(RATE)).unwrap();
        let (mut claimed, mut frames) = (0, 0);
        tracker.process(SampleIndex(0), &samples, |_, estimate| {
            claimed += usize::from(estimate.tempo.is_some());
            frames += 1;
        });
        assert!(claimed * 50 <= frames, "{what}: {claimed} of {frames}");
        assert_eq!(tracker.next_beat(), None, "{what}");
        assert_eq!(tracker.tempo_candidates().count(), 0);
    }
}

#[test]
fn after_the_music_stops_there_is_no_beat() {
    let mut samples = clicks(120.0, RATE, 10.0);
    samples.extend(vec![0.0; 8 * RATE as usize]);
    let mut tracker = BeatTracker::new(&config(RATE)).unwrap();
    let mut last = 0.0;
    tracker.process(SampleIndex(0), &samples, |now, estimate| {
        if estimate.tempo.is_some() {
            last = now.0 as f64 / f64::from(RATE);
        }
    });
    assert!((10.0..15.0).contains(&last), "{last}");
}

#[test]
fn beats_ahead_follow_each_other_and_get_less_sure() {
    let rate = SampleRate::new(RATE).unwrap();
    let mut tracker = BeatTracker::new(&config(RATE)).unwrap();
    hear(&mut tracker, 0, &clicks(120.0, RATE, 12.1), rate);
    let beats: Vec<Prediction> = tracker.upcoming().collect();
    assert_eq!(Some(beats[0]), tracker.next_beat());
    assert_eq!(beats.len(), 4, "{beats:?}"); // at 12.25, 12.75, 13.25, 13.75
    for (n, beat) in beats.iter().enumerate() {
        assert!((beat.at.seconds(rate) - (12.25 + 0.5 * n as f64)).abs() < 0.04, "{beat:?}");
    }
    for pair in beats.windows(2) {
        assert!(
            pair[1].confidence <= pair[0].confidence && pair[1].std_dev >= pair[0].std_dev - 1e-3
        );
    }
    assert!((tracker.tempo().unwrap() - 120.0).abs() < 1.0);
    let score = tracker.score(Horizon::Next).score();
    assert!(score.accuracy().unwrap() > 0.9 && score.made > 8, "{score:?}");
}

#[test]
fn confidence_learns_from_how_beats_fare_and_starts_anew_with_the_stream() {
    let config = config(RATE);
    let mut tracker = BeatTracker::new(&config).unwrap();
    let song = clicks(150.0, RATE, 60.0);
    let first = hear(&mut tracker, 0, &song, config.sample_rate);
    let mean = |from: f64, to: f64| {
        let inside = first.iter().filter(|(_, now)| (from..to).contains(now));
        let of: Vec<f32> = inside.map(|(beat, _)| beat.confidence).collect();
        of.iter().sum::<f32>() / of.len() as f32
    };
    // All of these beats come true, so that what is said of them nears 1.
    let right = f_measure(
        &(0..149).map(|n| 0.25 + 0.4 * f64::from(n)).collect::<Vec<_>>(),
        &times(&first, RATE),
        59.0,
    );
    assert!(right > 0.99, "{right}");
    let [early, late] = [mean(8.0, 14.0), mean(50.0, 59.0)];
    println!("{early} after 8 s, {late} after 50 s");
    assert!(1.0 - late < 0.5 * (1.0 - early), "{early}, then {late}");
    // Long after, another stream.
    let from = 1000 * u64::from(RATE);
    let again = hear(&mut tracker, from, &song, config.sample_rate);
    assert_eq!(first.len(), again.len());
    for ((a, _), (b, _)) in first.iter().zip(&again) {
        assert_eq!((a.at + from, a.confidence), (b.at, b.confidence));
    }
}

#[test]
fn octaves_can_be_chosen() {
    let rate = SampleRate::new(RATE).unwrap();
    let sound = clicks(100.0, RATE, 18.0);
    let (first, second) = sound.split_at(12 * RATE as usize);
    let after = |change: fn(&mut BeatTracker)| {
        let mut tracker = BeatTracker::new(&config(RATE)).unwrap();
        hear(&mut tracker, 0, first, rate);
        assert!((tracker.tempo().unwrap() - 100.0).abs() < 1.0, "{:?}", tracker.tempo());
        change(&mut tracker);
        let beats = hear(&mut tracker, first.len() as u64, second, rate);
        (tracker, beats)
    };
    let (tracker, _) = after(|t| assert!(t.halve()));
    assert!((tracker.tempo().unwrap() - 50.0).abs() < 1.0);
    let relations: Vec<_> = tracker.tempo_candidates().map(|c| c.relation).collect();
    assert!(relations.contains(&Relation::Same) && relations.contains(&Relation::Double));
    let shares: f32 = tracker.tempo_candidates().map(|c| c.share).sum();
    assert!((shares - 1.0).abs() < 1e-4);

    let (tracker, _) = after(|t| assert!(t.double()));
    assert!((tracker.tempo().unwrap() - 200.0).abs() < 2.0);
    let (tracker, _) = after(|t| t.retarget(200.0));
    assert!((tracker.tempo().unwrap() - 200.0).abs() < 4.0, "{:?}", tracker.tempo());
    let (tracker, _) = after(|t| assert!(t.set_range(45.0, 60.0)));
    assert!((tracker.tempo().unwrap() - 50.0).abs() < 1.0);
    after(|t| assert!(!t.set_range(500.0, 600.0)));

    // Half-way between the clicks, for as long as the filter can be talked into it.
    let (_, beats) = after(BeatTracker::shift_half);
    let first = beats[0].0.at.seconds(rate);
    let off = ((first - 0.25) / 0.6).fract();
    assert!((off - 0.5).abs() < 0.1, "{off}");
}

#[test]
fn taps_say_where_the_beat_is() {
    let rate = SampleRate::new(RATE).unwrap();
    let mut tracker = BeatTracker::new(&config(RATE)).unwrap();
    let noise = signal::noise(0.05, 5, RATE as usize / 2);
    for n in 0..6_u64 {
        hear(&mut tracker, n * noise.len() as u64, &noise, rate);
        tracker.tap_beat(SampleIndex(n * noise.len() as u64 + 5512)); // 120 per minute, at 0.25 s
    }
    let next = tracker.next_beat().unwrap().at.seconds(rate);
    let off = ((next - 0.25) / 0.5 - ((next - 0.25) / 0.5).round()) * 0.5;
    assert!(off.abs() < 0.05, "{next}");
    assert!((tracker.tempo().unwrap() - 120.0).abs() < 8.0, "{:?}", tracker.tempo());
}

#[test]
fn a_change_of_tempo_is_followed_and_told() {
    let rate = SampleRate::new(RATE).unwrap();
    let mut samples = clicks(100.0, RATE, 15.0);
    samples.extend(clicks(115.0, RATE, 15.0));
    let mut tracker = BeatTracker::new(&config(RATE)).unwrap();
    let mut changes = Vec::new();
    tracker.process(SampleIndex(0), &samples, |now, estimate| {
        changes.extend(estimate.tempo_change.map(|change| (now.seconds(rate), change)));
    });
    assert!((tracker.tempo().unwrap() - 115.0).abs() < 1.5, "{:?}", tracker.tempo());
    let (told, change) = changes.last().expect("a change");
    assert!((15.0..23.0).contains(told), "{changes:?}");
    assert!((change.from - 100.0).abs() < 3.0 && (change.to - 115.0).abs() < 3.0, "{change:?}");
    let ahead = tracker.tempo_ahead(4).unwrap();
    assert!((ahead.bpm - 115.0).abs() < 4.0, "{ahead:?}");
}

#[test]
fn a_short_gap_is_lived_through() {
    let rate = SampleRate::new(RATE).unwrap();
    let samples = clicks(110.0, RATE, 20.0);
    let mut tracker = BeatTracker::new(&config(RATE)).unwrap();
    let (before, lost) = (10 * RATE as usize, 17_333);
    hear(&mut tracker, 0, &samples[..before], rate);
    let after = hear(&mut tracker, (before + lost) as u64, &samples[before + lost..], rate);
    // The first beats after the gap are where they should be, without a new start.
    let first = after[0].0.at.seconds(rate);
    assert!(first < 10.0 + 2.0, "{first}");
    for (beat, _) in &after[..6] {
        let beats = (beat.at.seconds(rate) - 0.25) * 110.0 / 60.0;
        assert!((beats - beats.round()).abs() < 0.09, "{beats}");
    }
    // Nothing is left of it after a long one.
    hear(&mut tracker, 100 * u64::from(RATE), &samples[..1000], rate);
    assert_eq!(tracker.next_beat(), None);
}

#[test]
fn settings_out_of_range_are_refused() {
    let refused = |change: fn(&mut BeatConfig), name: &str| {
        let mut config = config(RATE);
        change(&mut config);
        assert_eq!(BeatTracker::new(&config).unwrap_err().parameter(), name);
    };
    refused(|c| c.min_tempo = 250.0, "min_tempo");
    refused(|c| c.max_tempo = f64::NAN, "min_tempo");
    refused(|c| c.max_tempo = 400.0, "max_tempo");
    refused(|c| c.prior_tempo = 0.0, "prior_tempo");
    refused(|c| c.prior_width = 0.0, "prior_width");
    refused(|c| c.lead = 1.0, "lead");
    refused(|c| c.prediction_window = -1.0, "prediction_window");
    refused(|c| c.longest_gap = f64::INFINITY, "longest_gap");
    refused(|c| c.sample_rate = SampleRate::new(10).unwrap(), "sample_rate");
}
