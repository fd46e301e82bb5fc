//! Streaming is the truth: the analyzer keeps the contract of a stage, for all features at once.

use upbeat::core::SampleIndex;
use upbeat::{Analyzer, AnalyzerConfig, Error, Feature, FeatureSet};
use upbeat_testkit::signal;
use upbeat_testkit::streaming::{Bits, Output, Streamed, assert_streaming};

/// An analyzer as the streaming harness sees it: a frame is an output, at its first sample.
struct Streaming {
    analyzer: Analyzer,
    channels: usize,
}

impl Streaming {
    fn new(config: &AnalyzerConfig) -> Self {
        Self { analyzer: Analyzer::new(config).expect("valid settings"), channels: config.channels }
    }
}

impl Streamed for Streaming {
    fn push(&mut self, at: u64, block: &[f32], outputs: &mut Vec<Output>) {
        assert_eq!(block.len() % self.channels, 0);
        self.analyzer
            .process(SampleIndex(at), block, |frame| {
                let mut bits = Vec::new();
                frame.as_slice().bits(&mut bits);
                outputs.push(Output { at: frame.at().0, bits });
            })
            .expect("whole samples of all channels");
    }

    fn reset(&mut self) {
        self.analyzer.reset();
    }

    fn latency(&self) -> Option<u64> {
        Some(self.analyzer.layout().spec().frame_length() as u64 - 1)
    }
}

/// Tone, noise, attacks and silence, a little different in each channel.
fn song(rate: u32, channels: usize, seconds: f64) -> Vec<f32> {
    let length = (f64::from(rate) * seconds) as usize;
    let planar: Vec<Vec<f32>> = (0..channels)
        .map(|channel| {
            let mut samples = signal::tone(196.0, 9, 0.3, rate, length);
            signal::add(&mut samples, &signal::sweep(80.0, 3000.0, 0.2, rate, length));
            signal::add(&mut samples, &signal::noise(0.05, channel as u64, length));
            signal::add(&mut samples, &signal::clicks(rate as usize / 5, length));
            samples[length / 2..length * 2 / 3].fill(0.0);
            samples
        })
        .collect();
    let planar: Vec<&[f32]> = planar.iter().map(Vec::as_slice).collect();
    signal::interleave(&planar)
}

#[test]
fn any_split_gives_the_same_bits() {
    for (seed, channels) in [(1, 1), (2, 2), (3, 3)] {
        let config = AnalyzerConfig::new(16_000, channels).with_features(FeatureSet::ALL);
        assert_streaming(|| Streaming::new(&config), &song(16_000, channels, 1.3), channels, seed);
    }
}

#[test]
fn also_where_the_hop_exceeds_the_frame_or_does_not_divide_it() {
    // The last fits the song nine times: after `reset` the next frame starts where it would have anyway.
    for (seed, hop_length) in [(1, 1025), (2, 2999), (3, 300), (4, 3675)] {
        let mut config = AnalyzerConfig::new(22_050, 1).with_features(FeatureSet::ALL);
        config.frame_length = 1024;
        config.hop_length = hop_length;
        assert_streaming(|| Streaming::new(&config), &song(22_050, 1, 1.5), 1, seed);
    }
}

#[test]
fn a_feature_is_the_same_alone_as_in_company() {
    let song = song(22_050, 2, 1.0);
    let run = |features: FeatureSet, feature: Feature| {
        let config = AnalyzerConfig::new(22_050, 2).with_features(features);
        let mut values = Vec::new();
        let mut analyzer = Analyzer::new(&config).unwrap();
        analyzer.push(&song, |frame| frame.values(feature).bits(&mut values)).unwrap();
        values
    };
    for feature in FeatureSet::ALL.iter() {
        assert_eq!(run([feature].into(), feature), run(FeatureSet::ALL, feature), "{feature}");
    }
}

#[test]
fn a_gap_is_told_with_the_first_frame_behind_it() {
    let config = AnalyzerConfig::new(8000, 1).with_features([Feature::Rms]);
    let mut analyzer = Analyzer::new(&config).unwrap();
    let noise = signal::noise(0.5, 3, 4096);
    let mut seen = Vec::new();
    analyzer.push(&noise, |frame| seen.push((frame.at().0, frame.lost()))).unwrap();
    analyzer.process(SampleIndex(5000), &noise, |f| seen.push((f.at().0, f.lost()))).unwrap();
    let expected = (0..5_u64)
        .map(|n| (n * 512, 0))
        .chain([(5000, 904)])
        .chain((1..5).map(|n| (5000 + n * 512, 0)));
    assert_eq!(seen, expected.collect::<Vec<_>>());
    assert_eq!((analyzer.stats().gaps, analyzer.stats().lost), (1, 904));
}

#[test]
fn bad_samples_count_as_silence_and_are_counted() {
    let config = AnalyzerConfig::new(44_100, 2).with_features(FeatureSet::ALL);
    let mut analyzer = Analyzer::new(&config).unwrap();
    let bad = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 3e38, -1e-42].repeat(40_000);
    analyzer
        .push(&bad, |frame| assert!(frame.value(Feature::Rms).is_some_and(|rms| rms < 1e-30)))
        .unwrap();
    assert_eq!(analyzer.stats().sanitized, 160_000);

    // After it, a sound is what it always was, as soon as no frame reaches back into the bad part.
    let tone = signal::interleave(&[&*signal::sine(440.0, 0.5, 44_100, 88_200); 2]);
    let mut pitches = Vec::new();
    analyzer.push(&tone, |frame| pitches.extend(frame.value(Feature::Pitch))).unwrap();
    assert!(pitches.len() > 150);
    let five_cents = 1.27;
    assert!(pitches[10..].iter().all(|hz| (hz - 440.0).abs() < five_cents), "{pitches:?}");
}

#[test]
fn settings_that_cannot_work_are_named() {
    let refused = |change: fn(&mut AnalyzerConfig)| {
        let mut config = AnalyzerConfig::new(44_100, 2).with_features(FeatureSet::ALL);
        change(&mut config);
        Analyzer::new(&config).unwrap_err().parameter()
    };
    assert_eq!(refused(|c| c.sample_rate = 0), "sample_rate");
    assert_eq!(refused(|c| c.channels = 0), "channels");
    assert_eq!(refused(|c| c.channels = 65), "channels");
    assert_eq!(refused(|c| c.hop_length = 0), "hop_length");
    assert_eq!(refused(|c| c.frame_length = usize::MAX), "frame_length");
    assert_eq!(refused(|c| c.n_mels = 0), "n_mels");
    assert_eq!(refused(|c| c.n_mfcc = 129), "n_mfcc");
    assert_eq!(refused(|c| c.pitch_fmin = Some(f32::NAN)), "fmin");
    assert_eq!(refused(|c| c.pitch_fmin = Some(20.0)), "fmin");
}

#[test]
fn a_block_that_ends_within_a_sample_is_refused_whole() {
    let mut analyzer = Analyzer::new(&AnalyzerConfig::new(44_100, 2)).unwrap();
    let error = analyzer.push(&[0.0; 7], |_| panic!("nothing is complete")).unwrap_err();
    assert!(matches!(error, Error::PartialSample { values: 7, channels: 2 }));
    assert_eq!(analyzer.stats().samples, 0);
}

#[test]
fn many_channels_and_odd_rates_are_fine() {
    for (rate, channels) in [(8000, 64), (11_025, 1), (192_000, 2), (1, 1)] {
        let config = AnalyzerConfig::new(rate, channels);
        match Analyzer::new(&config) {
            Ok(mut analyzer) => {
                let mut frames = 0;
                analyzer.push(&vec![0.1; channels * 10_000], |_| frames += 1).unwrap();
                assert_eq!(frames, (10_000 - 2048) / 512 + 1);
            }
            Err(error) => assert_eq!((rate, error.parameter()), (1, "fmin"), "{error}"),
        }
    }
}
