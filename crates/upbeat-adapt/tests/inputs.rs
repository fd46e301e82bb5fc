//! Input that is wrong, too much or missing; freezing, pace and memory.

use proptest::prelude::*;
use upbeat_adapt::learn::{Learner, LogisticRegression, Normalized, RecursiveLeastSquares};
use upbeat_adapt::{
    AdaptConfig, AdaptError, AdaptiveModels, Candidate, Feedback, Key, Learning, Moment,
    PerformanceSample, Response, TrackFeatures, Update,
};

fn models() -> AdaptiveModels {
    AdaptiveModels::new(&AdaptConfig::default()).expect("the defaults are valid")
}

fn any_number() -> impl Strategy<Value = Option<f32>> {
    proptest::option::of(prop_oneof![
        any::<f32>(),
        Just(f32::NAN),
        Just(f32::INFINITY),
        Just(0.0_f32),
        60.0_f32..200.0,
    ])
}

prop_compose! {
    fn any_track()(
        tempo_bpm in any_number(),
        key in proptest::option::of((any::<u8>(), any::<bool>())),
        energy in any_number(),
        brightness in any_number(),
        loudness in any_number(),
        timbre in proptest::collection::vec(any::<f32>(), 0..6),
    ) -> TrackFeatures {
        let key = key.map(|(tonic, minor)| Key { tonic, minor });
        TrackFeatures { tempo_bpm, key, energy, brightness, loudness, timbre }
    }
}

proptest! {
    #[test]
    fn whatever_tracks_are_made_of_recommendations_are_whole(
        tracks in proptest::collection::vec(any_track(), 1..20),
        n in 0_usize..25,
        played in proptest::option::of(any::<f64>()),
    ) {
        let mut models = models();
        for (now, track) in tracks.iter().enumerate() {
            let feedback = Feedback::new(Response::Score(0.3)).after(&tracks[0]);
            models.update(now as f64, track, Some(&feedback), None).unwrap();
            models.observe(&Moment { at: now as f64, features: track.clone() }).unwrap();
        }
        let candidates: Vec<Candidate> = tracks
            .iter()
            .enumerate()
            .map(|(id, track)| Candidate {
                id: id as u64 / 2, // each number twice
                features: track.clone(),
                last_played: if id % 3 == 0 { played } else { None },
            })
            .collect();
        let list = models.recommend(&tracks[0], &candidates, n);
        prop_assert!(list.len() <= n.min(candidates.len()));
        let mut ids: Vec<u64> = list.iter().map(|r| r.id).collect();
        ids.sort_unstable();
        ids.dedup();
        prop_assert_eq!(ids.len(), list.len(), "no number twice");
        for recommendation in &list {
            prop_assert!((0.0..=1.5).contains(&recommendation.score));
            prop_assert!((0.0..=1.0).contains(&recommendation.probability));
            prop_assert!(!recommendation.explain().contains("NaN"));
        }
        for forecast in models.forecast() {
            let all = [forecast.tempo_bpm, forecast.energy, forecast.brightness, forecast.loudness];
            prop_assert!(all.iter().flatten().all(|f| f.value.is_finite()));
        }
        let saved = serde_json::to_string(&models).unwrap();
        prop_assert!(serde_json::from_str::<AdaptiveModels>(&saved).is_ok(), "all is finite");
    }

    #[test]
    fn learners_stay_finite(
        rows in proptest::collection::vec(([any::<f64>(), any::<f64>()], any::<f64>()), 1..40),
    ) {
        let mut squares = RecursiveLeastSquares::new(2);
        let mut model = Normalized::new(LogisticRegression::new(2), 10.0).unwrap();
        for (inputs, target) in &rows {
            // Squares of what is learned must fit.
            let inputs = inputs.map(|x| if x.abs() < 1e60 { x } else { f64::NAN });
            squares.learn(&inputs, target.clamp(-1e60, 1e60));
            model.learn(&inputs, *target);
            prop_assert!(squares.predict(&inputs).is_finite());
            prop_assert!((0.0..=1.0).contains(&model.predict(&inputs)));
        }
    }
}

#[test]
fn no_candidates_give_no_recommendations() {
    let track = TrackFeatures::default();
    assert!(models().recommend(&track, &[], 5).is_empty());
    let played = Candidate { id: 1, features: track.clone(), last_played: Some(0.0) };
    assert!(models().recommend(&track, &[played], 5).is_empty(), "just played");
}

#[test]
fn scores_and_times_that_cannot_be_are_refused_and_nothing_is_learned() {
    let mut models = models();
    let before = models.clone();
    let track = TrackFeatures::default();
    let shares = [-0.1, 1.1, f32::NAN, f32::INFINITY];
    let responses =
        |share| [Response::Score(share), Response::Skip(share), Response::Listened(share)];
    for response in shares.into_iter().flat_map(responses) {
        let error = models.update(0.0, &track, Some(&Feedback::new(response)), None).unwrap_err();
        assert!(matches!(error, AdaptError::Invalid { .. }), "{response:?}: {error}");
    }
    let good = Feedback::new(Response::Accept);
    assert!(models.update(f64::NAN, &track, Some(&good), None).is_err());
    let cost = |level, cost, deadline| PerformanceSample { level, cost, deadline };
    for bad in [cost(3, 1.0, 1.0), cost(0, 0.0, 1.0), cost(0, f64::NAN, 1.0), cost(0, 1.0, -1.0)] {
        assert!(models.update(0.0, &track, Some(&good), Some(&bad)).is_err(), "{bad:?}");
    }
    let mut late = good;
    late.mixed_at = Some(2.0);
    assert!(models.update(0.0, &track, Some(&late), None).is_err());
    assert!(models.observe(&Moment { at: f64::INFINITY, features: track }).is_err());
    assert_eq!(models, before);
}

#[test]
fn frozen_models_stay_as_they_are() {
    let mut models = models();
    models.freeze(true);
    let track = TrackFeatures { energy: Some(0.4), ..TrackFeatures::default() };
    let feedback = Feedback::new(Response::Reject);
    let before = models.clone();
    assert_eq!(models.update(1.0, &track, Some(&feedback), None).unwrap(), Update::Frozen);
    let moment = Moment { at: 1.0, features: track.clone() };
    assert_eq!(models.observe(&moment).unwrap(), Update::Frozen);
    assert_eq!(models, before);
    assert_eq!(models.status().learning, Learning::Frozen);
    models.freeze(false);
    assert_eq!(models.update(1.0, &track, Some(&feedback), None).unwrap(), Update::Learned);
}

#[test]
fn more_updates_than_agreed_are_counted_and_not_learned_from() {
    let mut config = AdaptConfig::default();
    config.updates_per_second = 2.0;
    let mut models = AdaptiveModels::new(&config).unwrap();
    let track = TrackFeatures { energy: Some(0.4), ..TrackFeatures::default() };
    let feedback = Feedback::new(Response::Accept);
    for step in 0..100 {
        models.update(f64::from(step) * 0.1, &track, Some(&feedback), None).unwrap();
    }
    let status = models.status();
    assert!((19..=22).contains(&status.updates), "two at once and two a second: {status:?}");
    assert_eq!(status.updates + status.dropped, 100);
    assert_eq!(status.responses, status.updates);
    // A clock that is set back neither adds updates nor stops them for good.
    models.update(0.0, &track, Some(&feedback), None).unwrap();
    assert_eq!(models.update(20.0, &track, Some(&feedback), None).unwrap(), Update::Learned);
}

#[test]
fn memory_does_not_grow() {
    let mut models = models();
    let mut largest = 0;
    for step in 0..6000_u32 {
        let x = f32::from((step * 37 % 997) as u16) / 997.0;
        let track = TrackFeatures {
            tempo_bpm: Some(80.0 + 80.0 * x),
            energy: Some(x),
            brightness: Some(1000.0 + 3000.0 * x),
            timbre: vec![x; 400],
            ..TrackFeatures::default()
        };
        let feedback = Feedback::new(Response::Score(1.0 - x)).after(&track);
        let now = f64::from(step) * 0.25;
        models.update(now, &track, Some(&feedback), None).unwrap();
        models.observe(&Moment { at: now, features: track }).unwrap();
        if step == 2000 {
            largest = models.memory_size();
        }
    }
    assert!(models.memory_size() <= largest, "{} after {largest}", models.memory_size());
    assert!(largest < 300_000, "{largest} bytes");
}

#[test]
fn what_was_just_said_is_what_comes_first() {
    let mut models = models();
    let calm = TrackFeatures { energy: Some(0.1), ..TrackFeatures::default() };
    let wild = TrackFeatures { energy: Some(0.9), ..TrackFeatures::default() };
    for now in 0..40 {
        let (track, response) =
            if now % 2 == 0 { (&calm, Response::Accept) } else { (&wild, Response::Skip(0.1)) };
        let feedback = Feedback::new(response);
        models.update(f64::from(now), track, Some(&feedback), None).unwrap();
    }
    let candidate = |id, features: &TrackFeatures| Candidate {
        id,
        features: features.clone(),
        last_played: None,
    };
    let list =
        models.recommend(&TrackFeatures::default(), &[candidate(1, &wild), candidate(2, &calm)], 2);
    assert_eq!(list[0].id, 2);
    assert!(list[0].probability > 0.75 && list[1].probability < 0.25, "{list:?}");
    let why = list[0].explain();
    assert!(why.contains("your taste in energy"), "{why}");
}
