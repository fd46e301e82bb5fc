//! Each feature alone, and the sets: time per hop of 512 samples, as criterion measures it.
//!
//! `cargo bench --bench features`

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use upbeat::{Analyzer, AnalyzerConfig, FeatureSet};
use upbeat_testkit::signal;

const RATE: u32 = 44_100;
const HOP: usize = 512;

fn per_hop(c: &mut Criterion) {
    let song = signal::tone(220.0, 20, 0.5, RATE, RATE as usize);
    let mut group = c.benchmark_group("hop");
    group.throughput(Throughput::Elements(HOP as u64));
    let sets = FeatureSet::GROUPS.iter().map(|(name, set)| (*name, *set));
    let features = FeatureSet::ALL.iter().map(|feature| (feature.name(), [feature].into()));
    for (name, features) in sets.chain(features) {
        group.bench_with_input(BenchmarkId::from_parameter(name), &features, |b, features| {
            let config = AnalyzerConfig::new(RATE, 1).with_features(*features);
            let mut analyzer = Analyzer::new(&config).expect("the default settings are valid");
            let mut hops = song.chunks_exact(HOP).cycle();
            b.iter(|| {
                let hop = hops.next().expect("the song is not empty");
                analyzer.push(hop, |frame| _ = black_box(frame)).expect("one channel");
            });
        });
    }
    group.finish();
}

criterion_group!(benches, per_hop);
criterion_main!(benches);
