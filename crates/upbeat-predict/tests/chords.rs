//! Chords of tones that are known.

#![allow(clippy::unwrap_used, reason = "helpers of tests; clippy knows only the tests themselves")]

use upbeat_core::{SampleIndex, SampleRate, Stage};
use upbeat_predict::harmony::{Chord, ChordConfig, ChordLabel, ChordRecognizer, Key};
use upbeat_testkit::signal;

const SONG: [&str; 8] = ["C", "G", "A:min", "F", "D:min", "G", "E:min", "C"];
/// How long each chord sounds.
const SECONDS: usize = 2;

/// Each chord as a bass note and three tones of six partials, all moved by `semitones`.
fn play(semitones: f64, rate: u32) -> Vec<f32> {
    let length = SECONDS * rate as usize;
    let mut samples = Vec::new();
    for label in SONG {
        let chord: Chord = label.parse().unwrap();
        let root = f64::from(chord.root().semitones());
        let mut sum = vec![0.0; length];
        let intervals = chord.quality().intervals().iter().map(|i| 24.0 + f64::from(*i));
        for pitch in std::iter::once(0.0).chain(intervals) {
            let frequency = 65.406 * ((root + pitch + semitones) / 12.0).exp2();
            signal::add(&mut sum, &signal::tone(frequency, 6, 0.1, rate, length));
        }
        samples.extend(sum);
    }
    samples
}

/// The share of estimates that name the triad that sounds, 0.3 s around changes aside, and the last key.
fn listen(samples: &[f32], semitones: u8, rate: u32) -> (f64, Option<Key>) {
    let rate = SampleRate::new(rate).unwrap();
    let mut recognizer = ChordRecognizer::new(&ChordConfig::new(rate)).unwrap();
    let (mut right, mut seen, mut key) = (0, 0, None);
    recognizer.process(SampleIndex(0), samples, |at, estimate| {
        let time = at.seconds(rate);
        let within = time % SECONDS as f64;
        let wanted: Chord = SONG[(time / SECONDS as f64) as usize].parse().unwrap();
        key = estimate.key().key();
        if (0.3..SECONDS as f64 - 0.3).contains(&within) {
            let triad = estimate.label().chord().map(Chord::triad);
            let moved = Chord::new(wanted.root().up(semitones), wanted.quality());
            seen += 1;
            right += i32::from(triad == Some(moved.triad()));
        }
    });
    assert!(seen > 80);
    (f64::from(right) / f64::from(seen), key)
}

#[test]
fn triads_and_the_key_of_a_song_of_tones() {
    for (semitones, rate) in [(0_u8, 22_050), (3, 16_000), (8, 48_000)] {
        let (right, key) = listen(&play(f64::from(semitones), rate), semitones, rate);
        assert!(right >= 0.9, "{right} of the estimates at {rate} Hz");
        let c: Chord = "C".parse().unwrap();
        let tonic = key.expect("eight chords tell the key");
        assert_eq!(tonic.tonic, c.root().up(semitones), "at {rate} Hz");
    }
}

#[test]
fn an_instrument_tuned_a_third_of_a_semitone_high_is_heard_as_well() {
    let (right, _) = listen(&play(0.33, 22_050), 0, 22_050);
    assert!(right >= 0.85, "{right} of the estimates");
}

#[test]
fn noise_and_silence_have_no_chord() {
    let rate = SampleRate::new(16_000).unwrap();
    for samples in [vec![0.0; 80_000], signal::noise(0.2, 3, 80_000)] {
        let mut recognizer = ChordRecognizer::new(&ChordConfig::new(rate)).unwrap();
        recognizer.process(SampleIndex(0), &samples, |at, estimate| {
            let sure = estimate.confidence() > 0.7;
            assert!(estimate.label() == ChordLabel::NoChord || !sure, "{estimate:?} at {at}");
        });
    }
}
