//! How long it takes to find tracks among 100 000, and to analyse one.
//!
//! `cargo bench -p upbeat-library --bench library`

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use upbeat_core::SampleRate;
use upbeat_io::MemorySource;
use upbeat_io::demo;
use upbeat_library::{
    FEATURE_VERSION, Library, NewTrack, Query, SimilarTracks, Tags, Tempo, TempoMatch,
    TrackAnalysis, TrackId, analyse_track,
};
use upbeat_testkit::signal::Random;

const TRACKS: u64 = 100_000;

fn tracks() -> Vec<NewTrack> {
    let mut random = Random::new(1);
    (0..TRACKS)
        .map(|number| {
            let mut hash = [0; 32];
            hash[..8].copy_from_slice(&number.to_le_bytes());
            let mut some = |scale: f64| Some((scale * (random.unit() + 0.1)) as f32);
            NewTrack {
                path: format!("/music/{}/{number}.flac", number / 12).into(),
                size: number,
                modified: 1,
                hash,
                tags: Tags {
                    title: Some(format!("Title {number}")),
                    artist: Some(format!("Artist {}", number / 12)),
                    album: None,
                },
                analysis: TrackAnalysis {
                    duration: 200.0,
                    tempo: some(150.0).map(|bpm| Tempo {
                        bpm,
                        confidence: 0.9,
                        first_beat: Some(0.1),
                        alternatives: vec![],
                    }),
                    loudness: some(-20.0),
                    energy: some(1.0),
                    brightness: some(4000.0),
                    contrast: Some(std::array::from_fn(|_| some(30.0).unwrap_or(0.0))),
                    mfcc: Some(std::array::from_fn(|_| some(100.0).unwrap_or(0.0))),
                    version: FEATURE_VERSION,
                    ..TrackAnalysis::default()
                },
            }
        })
        .collect()
}

fn finding(c: &mut Criterion) {
    let tracks = tracks();
    let mut group = c.benchmark_group("100k tracks");
    group.sample_size(20);
    let pairs = || (0..).map(TrackId).zip(tracks.iter().map(|track| &track.analysis));
    let index = SimilarTracks::new(pairs());
    group.bench_function("prepare similar", |b| b.iter(|| SimilarTracks::new(pairs())));
    group.bench_function("10 most similar", |b| {
        b.iter(|| index.to(black_box(TrackId(777)), 10));
    });

    let folder = tempfile::tempdir().expect("a folder");
    let mut library = Library::open(folder.path().join("library.db")).expect("a library");
    library.insert_all(&tracks).expect("room");
    let search = |query: Query| library.search(&query).expect("it can be read").len();
    group.bench_function("search words", |b| {
        b.iter(|| search(Query::default().with_words(black_box("artist 4711"))));
    });
    group.bench_function("search tempo, octaves, 50 of them", |b| {
        let query =
            Query::default().with_tempo(120.0..=121.0, TempoMatch::AnyOctave).with_limit(50);
        b.iter(|| search(query.clone()));
    });
    group.finish();
}

fn analysing(c: &mut Criterion) {
    let rate = SampleRate::new(44_100).expect("a rate");
    let song = demo::song(rate).expect("a song");
    let mut group = c.benchmark_group("analyse");
    group.sample_size(10);
    // One element is one second of sound, so that the throughput is how many times faster than real time it is.
    group.throughput(Throughput::Elements(16));
    group.bench_function("demo, 44.1 kHz stereo", |b| {
        b.iter(|| {
            let source = MemorySource::new(song.interleaved.clone(), song.format);
            analyse_track(&mut source.expect("whole samples")).expect("sound")
        });
    });
    group.finish();
}

criterion_group!(benches, finding, analysing);
criterion_main!(benches);
