//! What it costs to watch: the load meter, the latest-value slot, and the measurement of features.
//!
//! `cargo bench --bench perf`.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use upbeat::perf::{Governor, GovernorConfig, GovernorInput, load_meter};
use upbeat::window::latest::latest;
use upbeat::{Analyzer, AnalyzerConfig, FeatureSet};

criterion_group!(benches, on_the_audio_thread, govern, analyzer);
criterion_main!(benches);

/// Each call is made once per block, or once per change.
fn on_the_audio_thread(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("audio thread");
    group.measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(300));
    let (mut meter, _monitor) = load_meter();
    group.bench_function("load meter, record", |bencher| {
        bencher.iter(|| meter.record(black_box(0.001), black_box(0.01)));
    });
    group.bench_function("load meter, measure", |bencher| {
        bencher.iter(|| meter.measure(black_box(0.01), || black_box(1)));
    });
    let (mut publisher, mut newest) = latest(8);
    group.bench_function("latest value of 8 words, nothing new", |bencher| {
        bencher.iter(|| newest.take_array::<8>());
    });
    group.bench_function("latest value of 8 words, publish and take", |bencher| {
        bencher.iter(|| {
            publisher.publish(black_box([1.0; 8]));
            newest.take_array::<8>()
        });
    });
    group.finish();
}

/// Ten times a second, on a control thread.
fn govern(criterion: &mut Criterion) {
    let (mut meter, mut monitor) = load_meter();
    let mut governor = Governor::new(&GovernorConfig::default()).expect("defaults are valid");
    let mut time = 0.0;
    criterion.bench_function("governor, interval and update", |bencher| {
        bencher.iter(|| {
            meter.record(0.001, 0.01);
            time += 0.1;
            let input = GovernorInput::at(time).with_load(&monitor.interval());
            governor.update(&input).len()
        });
    });
}

/// Half a second of sound: features that were never asked for against features that rest, and the price of measuring.
fn analyzer(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("analyzer, 0.5 s");
    group.measurement_time(Duration::from_secs(3)).warm_up_time(Duration::from_millis(300));
    let sound: Vec<f32> = (0..22_050).map(|n| (n as f32 * 0.05).sin() * 0.3).collect();
    let cases: [(&str, FeatureSet, FeatureSet, bool); 4] = [
        ("default features", FeatureSet::DEFAULT, FeatureSet::DEFAULT, false),
        ("default features, measured", FeatureSet::DEFAULT, FeatureSet::DEFAULT, true),
        ("levels", FeatureSet::LEVELS, FeatureSet::LEVELS, false),
        ("levels, all others resting", FeatureSet::ALL, FeatureSet::LEVELS, false),
    ];
    for (name, configured, active, measured) in cases {
        let config = AnalyzerConfig::new(44_100, 1).with_features(configured);
        let mut analyzer = Analyzer::new(&config).expect("valid settings");
        analyzer.set_active(active);
        analyzer.measure_costs(measured);
        group.bench_function(name, |bencher| {
            bencher.iter(|| analyzer.push(black_box(&sound), |frame| _ = black_box(frame)));
        });
    }
    group.finish();
}
