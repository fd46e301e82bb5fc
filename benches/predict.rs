//! What prediction costs: a second of music through each predictor, and a single step of the beat tracker.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use upbeat::core::{SampleIndex, SampleRate, Stage};
use upbeat::io::demo;
use upbeat::predict::beats::{BeatConfig, BeatTracker, FrontEnd};
use upbeat::predict::energy::{EnergyConfig, EnergyTracker};
use upbeat::predict::harmony::{ChordConfig, ChordRecognizer};

const RATE: u32 = 44_100;

fn song() -> Vec<f32> {
    let rate = SampleRate::new(RATE).expect("not 0");
    let song = demo::song(rate).expect("a usual rate");
    song.interleaved.chunks_exact(2).map(|s| 0.5 * (s[0] + s[1])).collect()
}

/// Feeds blocks of `length` samples of the demo, over and over.
fn feed<S: Stage<In = [f32]>>(
    c: &mut Criterion,
    name: &str,
    length: usize,
    mut stage: S,
    song: &[f32],
) {
    let mut group = c.benchmark_group("predict");
    group.throughput(Throughput::Elements(length as u64));
    let (mut at, mut from) = (SampleIndex(0), 0);
    group.bench_function(name, |b| {
        b.iter(|| {
            stage.process(at, black_box(&song[from..from + length]), |_, output| {
                black_box(output);
            });
            at += length as u64;
            from = if from + 2 * length > song.len() { 0 } else { from + length };
        });
    });
    group.finish();
}

fn predictors(c: &mut Criterion) {
    let rate = SampleRate::new(RATE).expect("not 0");
    let (song, second, step) = (song(), RATE as usize, RATE as usize / 100);
    let beats = |front_end| {
        let mut config = BeatConfig::new(rate);
        config.front_end = front_end;
        BeatTracker::new(&config).expect("usual settings")
    };
    feed(c, "beats, 1 s", second, beats(FrontEnd::Network), &song);
    feed(c, "beats by onsets, 1 s", second, beats(FrontEnd::Onset), &song);
    feed(c, "beats, one step of 10 ms", step, beats(FrontEnd::Network), &song);
    feed(c, "beats by onsets, one step of 10 ms", step, beats(FrontEnd::Onset), &song);
    // As at quality LOW: the network rests, and what is to come is estimated in one frame of 8.
    let mut low = beats(FrontEnd::Network);
    low.set_front_end(FrontEnd::Onset);
    low.set_prediction_interval(8);
    feed(c, "beats at quality LOW, 1 s", second, low, &song);
    let chords = ChordRecognizer::new(&ChordConfig::new(rate)).expect("usual settings");
    feed(c, "chords and keys, 1 s", second, chords, &song);
    let energy = EnergyTracker::new(&EnergyConfig::new(rate, 1)).expect("usual settings");
    feed(c, "energy, 1 s", second, energy, &song);
}

criterion_group!(benches, predictors);
criterion_main!(benches);
