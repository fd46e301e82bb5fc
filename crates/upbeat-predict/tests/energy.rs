//! Energy transitions of songs whose arrangement is known.

#![allow(clippy::unwrap_used, reason = "helpers of tests; clippy knows only the tests themselves")]

use std::f64::consts::TAU;

use upbeat_core::{SampleIndex, SampleRate, Stage};
use upbeat_predict::energy::{EnergyConfig, EnergyKind, EnergyTracker, EnergyTransition};
use upbeat_testkit::signal::Random;

/// A section: how loud its instruments are, in dB, and whether it swells towards its end.
struct Section {
    seconds: f64,
    level: f64,
    builds: bool,
}

/// Beats of noise, a bass and two tones, 8 to 20 s of each arrangement; the levels differ by 0 to 14 dB.
fn song(random: &mut Random) -> Vec<Section> {
    let mut level = -24.0;
    (0..6)
        .map(|_| {
            let up = if level < -22.0 { 1.0 } else { -1.0 };
            level += up * [0.0, 2.0, 6.0, 8.0, 10.0, 14.0][random.below(6)];
            let seconds = 8.0 + 12.0 * random.unit();
            Section { seconds, level, builds: random.below(5) == 0 }
        })
        .collect()
}

fn play(sections: &[Section], rate: u32, random: &mut Random) -> Vec<f32> {
    let mut samples = Vec::new();
    let beat = 0.4 + 0.25 * random.unit();
    for section in sections {
        let amplitude = 10f64.powf(section.level / 20.0);
        for n in 0..(section.seconds * f64::from(rate)) as usize {
            let time = n as f64 / f64::from(rate);
            let left = section.seconds - time;
            let envelope = (-8.0 * (time % beat)).exp();
            let noise = 2.0 * random.unit() - 1.0;
            let tones =
                (TAU * 220.0 * time).sin() + (TAU * 330.0 * time).sin() + (TAU * 82.0 * time).sin();
            let mut sample = amplitude * (0.3 * tones + 0.8 * envelope * noise);
            if section.builds && left < 7.0 {
                // A riser: noise, 2 dB louder each second.
                sample += amplitude * 10f64.powf((1.0 - 2.0 * left) / 20.0) * noise;
            }
            samples.push((0.5 * sample) as f32);
        }
    }
    samples
}

fn listen(samples: &[f32], rate: u32) -> Vec<(f64, EnergyTransition)> {
    let rate = SampleRate::new(rate).unwrap();
    let mut tracker = EnergyTracker::new(&EnergyConfig::new(rate, 1)).unwrap();
    let mut found = Vec::new();
    tracker.process(SampleIndex(0), samples, |at, energy| {
        found.extend(energy.transition.map(|t| (at.seconds(rate) + 0.1, t)));
    });
    found
}

/// The level of a piece, by its definition.
fn level(samples: &[f32]) -> f64 {
    let power = samples.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / samples.len() as f64;
    10.0 * power.log10()
}

#[test]
fn changes_of_arrangement_are_found_where_they_are() {
    const RATE: u32 = 8000;
    let mut random = Random::new(11);
    let (mut hits, mut wanted, mut announced, mut seconds) = (0, 0, 0, 0.0);
    for _ in 0..12 {
        let sections = song(&mut random);
        let samples = play(&sections, RATE, &mut random);
        let found = listen(&samples, RATE);
        let mut changes: Vec<(f64, EnergyTransition)> = found
            .into_iter()
            .filter(|(_, t)| {
                [EnergyKind::Rise, EnergyKind::Fall, EnergyKind::Drop].contains(&t.kind)
            })
            .collect();
        announced += changes.len();
        let mut border = 0.0;
        for section in &sections[..sections.len() - 1] {
            border += section.seconds;
            let (at, window) = ((border * f64::from(RATE)) as usize, 4 * RATE as usize);
            let change = level(&samples[at..at + window]) - level(&samples[at - window..at]);
            if change.abs() < 4.0 {
                continue;
            }
            wanted += 1;
            let place = |t: &EnergyTransition| t.at.0 as f64 / f64::from(RATE);
            let near = |(_, t): &(f64, EnergyTransition)| {
                (place(t) - border).abs() <= 2.0 && f64::from(t.change) * change > 0.0
            };
            if let Some(n) = changes.iter().position(near) {
                let (when, _) = changes.swap_remove(n);
                assert!(when - border < 4.5, "announced {} s after it", when - border);
                hits += 1;
            }
        }
        seconds += samples.len() as f64 / f64::from(RATE);
    }
    let f = 2.0 * f64::from(hits) / (wanted + announced) as f64;
    let false_alarms = 60.0 * (announced as f64 - f64::from(hits)) / seconds;
    assert!(wanted >= 20 && f >= 0.8, "F {f:.3}: {hits} of {wanted}, {announced} announced");
    assert!(false_alarms <= 0.5, "{false_alarms:.2} false alarms per minute");
}

#[test]
fn a_build_is_announced_before_its_drop() {
    const RATE: u32 = 16_000;
    let section = |seconds, level, builds| Section { seconds, level, builds };
    let sections = [section(16.0, -24.0, true), section(12.0, -10.0, false)];
    let samples = play(&sections, RATE, &mut Random::new(2));
    let found = listen(&samples, RATE);
    let kinds: Vec<EnergyKind> = found.iter().map(|(_, t)| t.kind).collect();
    assert_eq!(kinds[..2], [EnergyKind::Build, EnergyKind::Drop], "{found:?}");
    let ((told, build), (_, drop)) = (found[0], found[1]);
    assert!(told < 16.0 && build.at.0 < drop.at.0, "{found:?}");
    assert!((drop.at.0 as f64 / f64::from(RATE) - 16.0).abs() < 0.5, "{found:?}");
}

#[test]
fn builds_are_trusted_as_much_as_earlier_ones_have_deserved() {
    const RATE: u32 = 16_000;
    let section = |seconds, level, builds| Section { seconds, level, builds };
    for (after, drops) in [(-10.0, true), (-24.0, false)] {
        let pair = |_| [section(18.0, -24.0, true), section(14.0, after, false)];
        let sections: Vec<Section> = (0..4).flat_map(pair).collect();
        let found = listen(&play(&sections, RATE, &mut Random::new(2)), RATE);
        let builds = found.iter().filter(|(_, t)| t.kind == EnergyKind::Build);
        let confidences: Vec<f32> = builds.map(|(_, t)| t.confidence).collect();
        let after = |n: f32| if drops { (2.0 + n) / (4.0 + n) } else { 2.0 / (4.0 + n) };
        assert_eq!(confidences, [0.0, 1.0, 2.0, 3.0].map(after), "{found:?}");
    }
}

#[test]
fn steady_sound_and_silence_have_no_transitions() {
    let mut random = Random::new(5);
    let steady = play(&[Section { seconds: 40.0, level: -20.0, builds: false }], 8000, &mut random);
    assert_eq!(listen(&steady, 8000), []);
    assert_eq!(listen(&vec![0.0; 160_000], 8000), []);
}

#[test]
fn the_end_of_all_sound_is_a_fall_and_energy_0() {
    let mut random = Random::new(5);
    let mut samples =
        play(&[Section { seconds: 15.0, level: -20.0, builds: false }], 8000, &mut random);
    samples.resize(samples.len() + 80_000, 0.0);
    let found = listen(&samples, 8000);
    assert_eq!(found[0].1.kind, EnergyKind::Fall);
    assert!((found[0].1.at.0 as f64 / 8000.0 - 15.0).abs() < 0.5);
    let rate = SampleRate::new(8000).unwrap();
    let mut tracker = EnergyTracker::new(&EnergyConfig::new(rate, 1)).unwrap();
    let mut last = None;
    tracker.process(SampleIndex(0), &samples, |_, energy| last = Some(*energy));
    let last = last.unwrap();
    assert_eq!((last.loudness, last.energy), (None, Some(0.0)));
}

#[test]
fn what_was_about_to_be_announced_is_forgotten_in_a_gap() {
    let rate = SampleRate::new(8000).unwrap();
    let section = |seconds, level| Section { seconds, level, builds: false };
    let samples = play(&[section(10.0, -30.0), section(8.0, -18.0)], 8000, &mut Random::new(4));
    let announced = listen(&samples, 8000)[0].0;
    for tenths in 0..6 {
        let mut tracker = EnergyTracker::new(&EnergyConfig::new(rate, 1)).unwrap();
        let until = rate.samples(announced - 0.1 * f64::from(tenths)) as usize - 1;
        let mut found = Vec::new();
        tracker.process(SampleIndex(0), &samples[..until], |_, energy| {
            found.extend(energy.transition);
        });
        tracker.process(SampleIndex(1_000_000), &samples[until..until + 16_000], |_, energy| {
            found.extend(energy.transition);
        });
        assert_eq!(found, []);
    }
}

#[test]
fn settings_out_of_range_are_refused_by_name() {
    let rate = SampleRate::new(8000).unwrap();
    let refused = |change: fn(&mut EnergyConfig)| {
        let mut config = EnergyConfig::new(rate, 1);
        change(&mut config);
        EnergyTracker::new(&config).unwrap_err().parameter()
    };
    assert_eq!(refused(|c| c.threshold = f32::NAN), "threshold");
    assert_eq!(refused(|c| c.confirm = 9.0), "confirm");
    assert_eq!(refused(|c| c.channels = 0), "channels");
}
