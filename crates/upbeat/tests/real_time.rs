//! The audio thread is sacred: no allocation, no free, in any call; and an analyzer is small.

use std::sync::{Arc, Mutex};

use upbeat::core::{SampleIndex, SampleRate};
use upbeat::io::{StreamFormat, SynthSource, demo};
use upbeat::perf::{QualityLevel, QualitySettings};
use upbeat::{
    Analyzer, AnalyzerConfig, Event, EventAnalyzer, EventConfig, FeatureSet, Input, Pipeline,
    PipelineConfig,
};
use upbeat_testkit::alloc::{CountingAllocator, Counts, count, so_far};
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
            // Nor are features that come and go, nor the measurement of what they cost.
            analyzer.measure_costs(true);
            for features in [FeatureSet::LEVELS, FeatureSet::EMPTY, FeatureSet::ALL] {
                analyzer.set_active(features);
                analyzer.push(&stream, |_| frames += 1).unwrap();
            }
            assert!(analyzer.costs().shared().is_some());
            analyzer.push(&stream, |_| frames += 1).unwrap();
        });
        assert!(frames > 200, "{frames} frames");
        assert!(counts.is_zero(), "{channels} channels: {counts:?}");
    }
}

#[test]
fn telling_events_allocates_and_frees_nothing() {
    let mut analyzer = EventAnalyzer::new(&EventConfig::new(22_050, 2)).unwrap();
    let song = demo::song(SampleRate::new(22_050).unwrap()).unwrap().interleaved;
    let mut events = 0;
    let counts = count(|| {
        let mut listener = |_: &Event| events += 1;
        for (n, block) in song.chunks(2 * 333).enumerate() {
            analyzer.push(block, &mut listener).unwrap();
            if n % 100 == 99 {
                let level = QualityLevel::ALL[n / 100 % 4];
                analyzer.set_quality(&QualitySettings::recommended(level), &mut listener);
            }
        }
        analyzer.process(SampleIndex(1 << 40), &song[..2 * 50_000], &mut listener).unwrap();
        analyzer.finish(&mut listener);
        analyzer.reset();
        analyzer.push(&song[..2 * 20_000], &mut listener).unwrap();
    });
    assert!(events > 200, "{events} events");
    assert!(counts.is_zero(), "{counts:?}");
}

/// A pipeline reads its source on the analysis thread, so the source can see what that thread allocates.
#[test]
fn the_analysis_thread_allocates_and_frees_nothing() {
    let rate = SampleRate::new(22_050).unwrap();
    let song = demo::song(rate).unwrap().interleaved;
    let (first, last) = (Arc::new(Mutex::new(None)), Arc::new(Mutex::new(Counts::default())));
    let (begin, end) = (Arc::clone(&first), Arc::clone(&last));
    let length = song.len() as u64 / 2;
    let source = SynthSource::new(StreamFormat::stereo(rate), Some(length), move |at, block| {
        begin.lock().unwrap().get_or_insert(so_far());
        *end.lock().unwrap() = so_far();
        block.copy_from_slice(&song[2 * at.0 as usize..][..block.len()]);
        block.len() / 2
    });
    let input = Input::at_full_speed(source);
    let mut pipeline = Pipeline::builder(PipelineConfig::new(&input))
        .listen("events", |_: &Event| {})
        .start(input)
        .unwrap();
    assert_eq!(pipeline.wait().samples, length);
    assert_eq!(Some(*last.lock().unwrap()), *first.lock().unwrap());
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
