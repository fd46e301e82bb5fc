//! Beats, chords and energy keep the streaming contract.

#![allow(clippy::unwrap_used, reason = "helpers of tests; clippy knows only the tests themselves")]

use proptest::prelude::*;
use upbeat_core::{SampleIndex, SampleRate, Stage};
use upbeat_predict::beats::{BeatConfig, BeatEstimate, BeatSpectrum, BeatTracker, FrontEnd};
use upbeat_predict::energy::{EnergyConfig, EnergyTracker};
use upbeat_predict::harmony::{ChordConfig, ChordRecognizer};
use upbeat_testkit::streamed;
use upbeat_testkit::streaming::assert_streaming;
use upbeat_testkit::{groove, signal};

/// A stage whose outputs are made into numbers, so that bits can be compared.
struct Numbers<S, F>(S, F);

impl<S: Stage<In = [f32]>, F: Fn(&S::Out) -> Vec<f32>> Stage for Numbers<S, F> {
    type In = [f32];
    type Out = [f32];

    fn process(
        &mut self,
        at: SampleIndex,
        input: &[f32],
        mut emit: impl FnMut(SampleIndex, &[f32]),
    ) {
        let Self(stage, numbers) = self;
        stage.process(at, input, |at, output| emit(at, &numbers(output)));
    }

    fn reset(&mut self) {
        self.0.reset();
    }

    fn latency(&self) -> u64 {
        self.0.latency()
    }
}

fn chords(rate: u32) -> impl Stage<In = [f32], Out = [f32]> {
    let rate = SampleRate::new(rate).unwrap();
    let recognizer = ChordRecognizer::new(&ChordConfig::new(rate)).unwrap();
    Numbers(recognizer, |estimate: &upbeat_predict::harmony::ChordEstimate| {
        let mut numbers = estimate.triads().to_vec();
        numbers.extend([estimate.confidence(), estimate.key().most_likely().1]);
        numbers
    })
}

fn energy(rate: u32, channels: usize) -> impl Stage<In = [f32], Out = [f32]> {
    let rate = SampleRate::new(rate).unwrap();
    let tracker = EnergyTracker::new(&EnergyConfig::new(rate, channels)).unwrap();
    Numbers(tracker, |energy: &upbeat_predict::energy::Energy| {
        let values = [energy.loudness, energy.energy, energy.forecast];
        let mut numbers: Vec<f32> = values.map(|v| v.unwrap_or(f32::NAN)).to_vec();
        if let Some(t) = energy.transition {
            numbers.extend([t.change, t.confidence]);
        }
        numbers
    })
}

fn beats(rate: u32, front_end: FrontEnd) -> impl Stage<In = [f32], Out = [f32]> {
    let mut config = BeatConfig::new(SampleRate::new(rate).unwrap());
    config.front_end = front_end;
    Numbers(BeatTracker::new(&config).unwrap(), |estimate: &BeatEstimate| {
        let mut numbers = vec![estimate.confidence, estimate.tempo.unwrap_or(-1.0) as f32];
        if let Some(beat) = estimate.beat {
            let place =
                beat.bar_position.map_or(-1.0, |place| f32::from(place.beat) + place.confidence);
            numbers.extend([beat.confidence, beat.std_dev as f32, place]);
        }
        numbers
    })
}

fn music(rate: u32, seed: u64, seconds: usize) -> Vec<f32> {
    let length = rate as usize * seconds;
    let mut sum = signal::tone(110.0, 8, 0.2, rate, length);
    signal::add(&mut sum, &signal::tone(138.6, 8, 0.2, rate, length));
    signal::add(&mut sum, &signal::noise(0.01, seed, length));
    for sample in &mut sum[length / 2..] {
        *sample *= 0.3;
    }
    sum
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2))]

    #[test]
    fn any_split_gives_the_same_chords(seed: u64) {
        assert_streaming(|| streamed!(chords(4000)), &music(4000, seed, 3), 1, seed);
    }

    #[test]
    fn any_split_gives_the_same_energy(seed: u64) {
        let one = music(2000, seed, 12);
        let two = signal::interleave(&[&one, &one]);
        assert_streaming(|| streamed!(energy(2000, 2)), &two, 2, seed);
    }

    #[test]
    fn any_split_gives_the_same_beats(seed: u64) {
        let groove = groove::groove(seed % 5, 4000, 5.0);
        for front_end in [FrontEnd::Network, FrontEnd::Onset] {
            assert_streaming(|| streamed!(beats(4000, front_end)), &groove.samples, 1, seed);
        }
        let spectrum = || BeatSpectrum::new(SampleRate::new(4000).unwrap()).unwrap();
        assert_streaming(|| streamed!(spectrum()), &groove.samples, 1, seed);
    }
}
