//! What learning and recommending cost.
//!
//! `cargo bench --bench adapt`

use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use upbeat_adapt::{
    AdaptConfig, AdaptiveModels, Candidate, Feedback, Key, Moment, PerformanceSample, Response,
    TrackFeatures,
};

fn track(number: u64) -> TrackFeatures {
    let part = |step: u64| (number.wrapping_mul(step) % 1009) as f32 / 1009.0;
    TrackFeatures {
        tempo_bpm: Some(80.0 + 90.0 * part(37)),
        key: Some(Key { tonic: (number % 12) as u8, minor: number.is_multiple_of(3) }),
        energy: Some(part(53)),
        brightness: Some(800.0 + 4000.0 * part(71)),
        loudness: Some(-16.0 + 8.0 * part(91)),
        timbre: (1..13).map(|i| part(100 + i) - 0.5).collect(),
    }
}

/// Models that have learned for a while, and the time they are at.
fn learned() -> (AdaptiveModels, f64) {
    let mut models = AdaptiveModels::new(&AdaptConfig::default()).expect("the defaults are valid");
    for step in 0..500_u32 {
        let at = f64::from(step);
        let features = track(u64::from(step));
        let response = if step % 3 == 0 { Response::Accept } else { Response::Reject };
        let feedback = Feedback::new(response).after(&track(u64::from(step) + 1));
        models.update(at, &features, Some(&feedback), None).expect("valid");
        models.observe(&Moment { at: at * 0.25, features }).expect("in order");
    }
    (models, 500.0)
}

fn update(c: &mut Criterion) {
    let (mut models, mut now) = learned();
    let features = track(5);
    let feedback = Feedback::new(Response::Score(0.7)).after(&track(9));
    let cost = PerformanceSample { level: 1, cost: 0.002, deadline: 0.01 };
    c.bench_function("update", |b| {
        b.iter(|| {
            now += 1.0;
            models.update(now, &features, Some(&feedback), Some(&cost)).expect("valid")
        });
    });
    let mut at = 1000.0;
    c.bench_function("observe, a quarter of a second", |b| {
        b.iter(|| {
            at += 0.25;
            models.observe(&Moment { at, features: features.clone() }).expect("in order")
        });
    });
}

fn recommend(c: &mut Criterion) {
    let (models, _) = learned();
    let current = track(3);
    for n in [10_000_u64, 100_000] {
        let candidates: Vec<Candidate> =
            (0..n).map(|id| Candidate { id, features: track(id), last_played: None }).collect();
        c.bench_function(&format!("recommend 10 of {n}"), |b| {
            b.iter(|| black_box(models.recommend(&current, &candidates, 10)));
        });
    }
}

criterion_group!(benches, update, recommend);
criterion_main!(benches);
