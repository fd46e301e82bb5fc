//! What a MIDI clock promises to those who follow it.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use upbeat_sync::{Bar, MidiClock, MidiClockConfig, MidiMessage, MidiOut};
use upbeat_testkit::signal::Random;

/// A beat as announced: when that is, for when, the tempo, and its place in a bar of four (0: unknown).
#[derive(Clone, Copy, Debug)]
struct Announced {
    now: f64,
    at: f64,
    bpm: f64,
    place: u8,
}

fn bar(place: u8) -> Option<Bar> {
    (place > 0).then_some(Bar { beat: place, beats: 4, confidence: 0.9 })
}

/// Asks for what is due until `end`, at each message's time, as a thread would.
fn poll(clock: &mut MidiClock, end: f64, sent: &mut Vec<(f64, MidiMessage)>) {
    while let Some(due) = clock.next_due().filter(|due| *due <= end) {
        clock.poll(due, |due, message| sent.push((due, message)));
    }
}

/// All that is due, and when.
fn play(config: &MidiClockConfig, beats: &[Announced]) -> Vec<(f64, MidiMessage)> {
    let mut clock = MidiClock::new(config).expect("sound settings");
    let mut sent = Vec::new();
    for beat in beats {
        poll(&mut clock, beat.now, &mut sent);
        clock.beat(beat.now, beat.at, beat.bpm, bar(beat.place));
    }
    poll(&mut clock, f64::INFINITY, &mut sent);
    assert!(!clock.is_running());
    sent
}

/// Polls in steps of `step` seconds instead.
fn play_in_steps(beats: &[Announced], step: f64, until: f64) -> Vec<(f64, MidiMessage)> {
    let mut clock = MidiClock::new(&MidiClockConfig::default()).expect("sound settings");
    let (mut sent, mut beats) = (Vec::new(), beats.iter().peekable());
    for n in 0..(until / step) as u64 {
        let now = n as f64 * step;
        while let Some(beat) = beats.next_if(|beat| beat.now <= now) {
            clock.beat(now, beat.at, beat.bpm, bar(beat.place));
        }
        clock.poll(now, |due, message| sent.push((due, message)));
    }
    sent
}

fn steady(from: f64, bpm: f64, n: usize) -> Vec<Announced> {
    let beat = |n: usize| {
        let at = from + 60.0 / bpm * n as f64;
        Announced { now: at - 0.25, at, bpm, place: (n % 4) as u8 + 1 }
    };
    (0..n).map(beat).collect()
}

fn pulses(sent: &[(f64, MidiMessage)]) -> Vec<f64> {
    sent.iter().filter(|(_, m)| *m == MidiMessage::Clock).map(|(due, _)| *due).collect()
}

fn others(sent: &[(f64, MidiMessage)]) -> Vec<(f64, MidiMessage)> {
    sent.iter().filter(|(_, m)| *m != MidiMessage::Clock).copied().collect()
}

fn count(pulses: &[f64], from: f64, to: f64) -> usize {
    pulses.iter().filter(|p| **p >= from && **p < to).count()
}

/// How far the pulse that is a beat is from `at`: the nearest of every 24th.
fn off(pulses: &[f64], at: f64) -> f64 {
    let offs = pulses.iter().step_by(24).map(|pulse| pulse - at);
    offs.min_by(|a, b| a.abs().total_cmp(&b.abs())).expect("there are pulses")
}

#[test]
fn it_starts_at_a_downbeat_and_stops_after_the_last_beat() {
    let mut beats = steady(1.0, 120.0, 16);
    beats.drain(..2); // the first is the third of a bar
    let sent = play(&MidiClockConfig::default(), &beats);
    let (start, stop) = (others(&sent)[0], others(&sent)[1]);
    assert_eq!(others(&sent).len(), 2, "{:?}", others(&sent));
    assert_eq!((start.1, stop.1), (MidiMessage::Start, MidiMessage::Stop));
    let pulses = pulses(&sent);
    assert!((pulses[0] - 3.0).abs() < 1e-9, "{}", pulses[0]);
    assert!((pulses[0] - start.0 - 0.5 / 48.0).abs() < 1e-9, "half a pulse before");
    for beat in &beats[2..13] {
        assert_eq!(count(&pulses, beat.at - 0.01, beat.at + 0.49), 24);
        assert!(off(&pulses, beat.at).abs() < 1e-9);
    }
    // The last beat is at 8.5 s; the tempo is held for 4 s.
    assert!((stop.0 - 12.5).abs() < 1e-9);
    assert_eq!(pulses.len(), 24 * 19 + 1); // from 3 s to 12.5 s, both with a pulse
}

#[test]
fn without_bars_it_starts_at_any_beat_after_some_and_a_late_one_stands_for_the_next() {
    let mut beats = steady(1.0, 100.0, 20);
    for beat in &mut beats {
        beat.place = 0;
    }
    let first = |beats: &[Announced]| pulses(&play(&MidiClockConfig::default(), beats))[0];
    assert!((first(&beats) - beats[8].at).abs() < 1e-9);
    // A downbeat that has passed when it is told of: a bar later.
    let mut beats = steady(1.0, 120.0, 20);
    for beat in &mut beats {
        beat.now = beat.at + 0.1;
    }
    assert!((first(&beats) - beats[4].at).abs() < 1e-9);
}

#[test]
fn after_a_loss_it_continues_at_a_bar() {
    let mut beats = steady(1.0, 120.0, 10);
    beats.extend(steady(20.0, 90.0, 12));
    let sent = play(&MidiClockConfig::default(), &beats);
    let told: Vec<MidiMessage> = others(&sent).iter().map(|(_, message)| *message).collect();
    // Ten beats and four seconds: 17 beats were played from 1 s to 9.5 s, and a pulse of the 18th.
    let expected = [
        MidiMessage::Start,
        MidiMessage::Stop,
        MidiMessage::SongPosition(4 * 20),
        MidiMessage::Continue,
        MidiMessage::Stop,
    ];
    assert_eq!(told, expected);
    let pulses = pulses(&sent);
    assert_eq!(count(&pulses, 9.6, 19.9), 0);
    assert!(pulses.iter().any(|pulse| (pulse - 20.0).abs() < 1e-9));
    assert_eq!(MidiMessage::SongPosition(300).bytes(), ([0xF2, 44, 2], 3));
}

#[test]
fn a_missing_beat_changes_nothing() {
    let beats = steady(1.0, 132.0, 30);
    let whole = pulses(&play(&MidiClockConfig::default(), &beats));
    let mut some = beats.clone();
    some.retain(|beat| !((beat.at * 7.0) as u64).is_multiple_of(3) || beat.place == 1);
    assert!(some.len() < 27);
    let some = pulses(&play(&MidiClockConfig::default(), &some));
    for (a, b) in whole.iter().zip(&some) {
        assert!((a - b).abs() < 1e-6, "{a}, {b}");
    }
}

#[test]
fn who_comes_late_stops_it_instead_of_sending_a_burst() {
    let beats = steady(1.0, 120.0, 8);
    let mut clock = MidiClock::new(&MidiClockConfig::default()).unwrap();
    for beat in &beats {
        poll(&mut clock, beat.now + 0.01, &mut Vec::new());
        clock.beat(beat.now + 0.01, beat.at, beat.bpm, bar(beat.place));
    }
    assert!(clock.is_running());
    let mut sent = Vec::new();
    clock.poll(beats[7].now + 0.115, |_, message| sent.push(message));
    assert_eq!(sent.len(), 5, "0.105 s are 5.04 pulses: {sent:?}");
    sent.clear();
    clock.poll(beats[7].now + 0.6, |_, message| sent.push(message));
    assert_eq!(sent, [MidiMessage::Stop]);
    assert_eq!(clock.next_due(), None);
}

#[test]
fn nonsense_is_ignored_and_settings_out_of_range_are_refused() {
    let mut clock = MidiClock::new(&MidiClockConfig::default()).unwrap();
    for (at, bpm) in [(1.0, f64::NAN), (1.0, 0.0), (f64::NAN, 120.0), (f64::INFINITY, 120.0)] {
        clock.beat(0.5, at, bpm, bar(1));
        assert_eq!(clock.next_due(), None);
    }
    let refused = |change: fn(&mut MidiClockConfig), name: &str| {
        let mut config = MidiClockConfig::default();
        change(&mut config);
        assert_eq!(MidiClock::new(&config).unwrap_err().parameter(), name);
    };
    refused(|c| c.slew = 0.0, "slew");
    refused(|c| c.hold = f64::NAN, "hold");
    refused(|c| c.patience = 65, "patience");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Tempi that wander and jump, beats that come early and late, are not announced, or are off by half a beat.
    #[test]
    fn pulses_keep_their_order_and_their_distance_whatever_the_beats_do(seed: u64, step in 0.0005..0.01) {
        let mut random = Random::new(seed);
        let (mut at, mut bpm) = (1.0, 60.0 + 120.0 * random.unit());
        let mut beats = Vec::new();
        for n in 0..200_u8 {
            bpm = match random.unit() {
                u if u < 0.02 => 40.0 + 180.0 * random.unit(),
                u if u < 0.04 => (2.0 * bpm).min(220.0),
                _ => (bpm * (0.97 + 0.06 * random.unit())).clamp(40.0, 220.0),
            };
            at += 60.0 / bpm * if random.unit() < 0.03 { 0.5 } else { 1.0 };
            let at = at + 0.02 * random.unit();
            let now = at - 0.3 * random.unit();
            if random.unit() > 0.1 {
                beats.push(Announced { now, at, bpm, place: n % 4 + 1 });
            }
        }
        beats.sort_by(|a, b| a.now.total_cmp(&b.now));
        let until = beats[beats.len() - 1].at + 6.0;
        let sent = play_in_steps(&beats, step, until);
        prop_assert!(sent.windows(2).all(|pair| pair[1].0 >= pair[0].0), "in order");
        let pulses = pulses(&sent);
        prop_assert!(pulses.len() > 24 * 100, "{}", pulses.len());
        let fastest = beats.iter().map(|beat| beat.bpm).fold(0.0, f64::max);
        let slowest = beats.iter().map(|beat| beat.bpm).fold(f64::INFINITY, f64::min);
        let stopped = others(&sent).iter().filter(|(_, m)| *m == MidiMessage::Stop).count();
        let mut gaps = 0;
        for pair in pulses.windows(2) {
            let interval = pair[1] - pair[0];
            // Beats are told of at most one step late, and what is due in it is due then.
            prop_assert!(interval > 60.0 / fastest / 24.0 / 1.1 - step - 1e-9, "{interval}");
            gaps += usize::from(interval > 60.0 / slowest / 24.0 / 0.9 + step + 1e-9);
        }
        prop_assert!(gaps <= stopped, "{gaps} gaps, {stopped} stops");
    }

    /// After a jump of tempo or phase the pulses are at the beats again within six beats, and 24 per beat.
    #[test]
    fn the_phase_comes_back_after_jumps(
        first in 60.0..180.0_f64,
        ratio in 0.6..1.6_f64,
        shift in 0.0..1.0_f64,
    ) {
        let mut beats = steady(1.0, first, 12);
        let second = first * ratio;
        let last = beats[11].at;
        beats.extend(steady(last + 60.0 / first + shift * 60.0 / second, second, 30));
        let pulses = pulses(&play(&MidiClockConfig::default(), &beats));
        for beat in &beats[12 + 6..41] {
            let off = off(&pulses, beat.at);
            // Half a beat takes five; at more than 240 per minute, where the next beat is announced before this one has
            // come, a ninth of what is left is left at each.
            prop_assert!(off.abs() < 1e-4, "{off} s at {}", beat.at);
            let half = 0.5 * 60.0 / second / 24.0;
            prop_assert_eq!(count(&pulses, beat.at - half, beat.at + 60.0 / second - half), 24);
        }
    }

    /// Beats that are off by a few milliseconds each move the pulses by no more than that.
    #[test]
    fn jitter_is_not_made_worse(seed: u64, bpm in 60.0..180.0_f64) {
        let mut random = Random::new(seed);
        let mut beats = steady(1.0, bpm, 60);
        let truth: Vec<f64> = beats.iter().map(|beat| beat.at).collect();
        for beat in &mut beats[1..] {
            beat.at += 0.02 * (random.unit() - 0.5);
            beat.bpm *= 1.0 + 0.02 * (random.unit() - 0.5);
        }
        let pulses = pulses(&play(&MidiClockConfig::default(), &beats));
        for at in &truth[4..] {
            prop_assert!(off(&pulses, *at).abs() < 0.0125, "{}", off(&pulses, *at));
        }
    }
}

/// A time, and a message's bytes.
type Sent = Arc<Mutex<Vec<(Instant, Vec<u8>)>>>;

#[test]
fn a_thread_plays_it() {
    let sent = Sent::default();
    let theirs = Arc::clone(&sent);
    let out = MidiOut::new(&MidiClockConfig::default(), move |bytes| {
        theirs.lock().unwrap().push((Instant::now(), bytes.to_vec()));
        Ok(())
    })
    .unwrap();
    let start = Instant::now();
    for n in 0..3_u8 {
        let at = 0.2 + 0.3 * f64::from(n);
        out.beat(at - start.elapsed().as_secs_f64(), 200.0, bar(n % 4 + 1));
        std::thread::sleep(Duration::from_millis(300));
    }
    drop(out);
    let sent = sent.lock().unwrap();
    let bytes: Vec<&[u8]> = sent.iter().map(|(_, bytes)| bytes.as_slice()).collect();
    assert_eq!(bytes.first(), Some(&[0xFA].as_slice()));
    assert_eq!(bytes.last(), Some(&[0xFC].as_slice()), "stopped when dropped");
    let pulses = bytes.iter().filter(|bytes| **bytes == [0xF8]).count();
    assert_eq!(pulses, bytes.len() - 2);
    // 0.7 s of them at 200 beats per minute; nothing is due before its time.
    assert!(pulses >= 24, "{pulses}");
    let first = sent[1].0.duration_since(start).as_secs_f64();
    assert!(first >= 0.199, "{first}");
}

#[test]
fn a_port_that_fails_is_not_called_again() {
    let calls = Arc::new(Mutex::new(0));
    let theirs = Arc::clone(&calls);
    let out = MidiOut::new(&MidiClockConfig::default(), move |_| {
        *theirs.lock().unwrap() += 1;
        Err("unplugged".to_owned())
    })
    .unwrap();
    out.beat(0.05, 240.0, bar(1));
    let start = Instant::now();
    while out.failure().is_none() && start.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(out.failure().as_deref(), Some("unplugged"));
    std::thread::sleep(Duration::from_millis(100));
    drop(out);
    assert_eq!(*calls.lock().unwrap(), 1);
}
