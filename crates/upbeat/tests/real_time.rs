//! The audio thread is sacred: no allocation, no free, in any call; and an analyzer is small.

use upbeat::core::SampleIndex;
use upbeat::{Analyzer, AnalyzerConfig, FeatureSet};
use upbeat_testkit::alloc::{CountingAllocator, count};
use upbeat_testkit::signal;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

#[test]
fn processing_allocates_and_frees_nothing_from_the_first_call_on() {
    for channels in [1, 2, 6] {
        let config = AnalyzerConfig::new(44_100, channels).with_features(FeatureSet::ALL);
        let mut analyzer = Analyzer::new(&config).unwrap();
        let mut stream = signal::tone(110.0, 12, 0.4, 44_100, 44_100 * channels);
        signal::add(&mut stream, &signal::noise(0.1, 1, 44_100 * channels));
        stream[1000..1010].fill(f32::NAN);
        stream[20_000..30_000].fill(0.0);

        let mut frames = 0;
        let counts = count(|| {
            for block in stream.chunks(channels * 333) {
                analyzer.push(block, |_| frames += 1).unwrap();
            }
            // A gap, a reset, an empty block and a refused one are no exceptions.
            analyzer.process(SampleIndex(1 << 40), &stream, |_| frames += 1).unwrap();
            analyzer.reset();
            analyzer.push(&[], |_| frames += 1).unwrap();
            analyzer.push(&stream, |_| frames += 1).unwrap();
        });
        assert!(frames > 200, "{frames} frames");
        assert!(counts.is_zero(), "{channels} channels: {counts:?}");
    }
}

#[test]
fn an_analyzer_needs_less_than_2_mb() {
    let bytes = |features: FeatureSet| {
        let config = AnalyzerConfig::new(44_100, 2).with_features(features);
        let mut analyzer = None;
        let bytes = count(|| analyzer = Analyzer::new(&config).ok()).bytes;
        assert!(analyzer.is_some(), "{features:?}");
        bytes
    };
    for feature in FeatureSet::ALL.iter() {
        println!("{:>9} bytes: {}", bytes([feature].into()), feature);
    }
    for (name, set) in FeatureSet::GROUPS {
        println!("{:>9} bytes: all of {name}", bytes(*set));
        assert!(bytes(*set) < 2_000_000, "{name}: {} bytes", bytes(*set));
    }
}
