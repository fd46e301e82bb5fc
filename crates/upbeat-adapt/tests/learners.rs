//! The learners against river and Vowpal Wabbit: the numbers in `river/*.json` come from these themselves, see the
//! scripts beside them. The streams here are the synthetic ones; the example `progressive` scores the others.

use serde_json::Value;
use upbeat_adapt::learn::{
    Adwin, Bandit, Calibrator, FeatureGroup, Learner, LogisticRegression, Mixture, Normalized,
    Normalizer, PassiveAggressive, QuantileTracker, RecursiveLeastSquares, Strategy,
};

/// `SplitMix64`, as in the scripts.
struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// In −1 to 1.
    fn number(&mut self) -> f64 {
        2.0 * self.uniform() - 1.0
    }
}

/// The script's `drifting`.
fn drifting(classes: bool) -> Vec<([f64; 6], f64)> {
    let mut random = Random(7);
    let mut weights = [0.0; 6];
    let row = |row: usize| {
        if row.is_multiple_of(1000) {
            weights = std::array::from_fn(|_| 4.0 * random.uniform() - 2.0);
        }
        let x: [f64; 6] = std::array::from_fn(|_| random.number());
        let z: f64 = weights.iter().zip(x).map(|(w, v)| w * v).sum();
        let y = match classes {
            true if random.uniform() < 1.0 / (1.0 + (-2.0 * z).exp()) => 1.0,
            true => 0.0,
            false => 10.0 + z + (random.uniform() - 0.5),
        };
        (x, y)
    };
    (0..4000).map(row).collect()
}

fn score(learner: &mut impl Learner, rows: &[([f64; 6], f64)], loss: fn(f64, f64) -> f64) -> f64 {
    let mut total = 0.0;
    for (inputs, target) in rows {
        total += loss(learner.predict(inputs), *target);
        learner.learn(inputs, *target);
    }
    total / rows.len() as f64
}

fn best_of_river(stream: &str) -> f64 {
    let scores: Value = serde_json::from_str(include_str!("river/river.json")).expect("JSON");
    let best = scores["streams"][stream]["best"].as_object().expect("scores by learner");
    best.values().filter_map(Value::as_f64).fold(f64::INFINITY, f64::min)
}

#[test]
fn regression_is_no_worse_than_the_best_of_river_where_weights_change() {
    let rows = drifting(false);
    let best = best_of_river("drifting_numbers");
    let mut squares = RecursiveLeastSquares::new(6);
    let error = score(&mut squares, &rows, |predicted, target| (predicted - target).abs());
    assert!(error <= best, "mean absolute error {error}, river {best}");
    let mut passive = Normalized::new(PassiveAggressive::new(6), f64::INFINITY).unwrap();
    let passive = score(&mut passive, &rows, |predicted, target| (predicted - target).abs());
    assert!(passive <= 1.05 * best, "passive-aggressive {passive}, river {best}");
}

#[test]
fn classification_is_no_worse_than_the_best_of_river_where_weights_change() {
    let rows = drifting(true);
    let best = best_of_river("drifting_classes");
    let mut model = Normalized::new(LogisticRegression::new(6), f64::INFINITY).unwrap();
    let loss = score(&mut model, &rows, |predicted, target| {
        -(if target == 1.0 { predicted } else { 1.0 - predicted }).ln()
    });
    assert!(loss <= best, "log-loss {loss}, river {best}");
}

const ARMS: usize = 8;
const ROUNDS: usize = 2000;

/// The script's `Environment`.
struct Environment {
    random: Random,
    weights: [[f64; 5]; ARMS],
    changes: bool,
}

impl Environment {
    fn new(seed: u64, changes: bool) -> Self {
        let mut random = Random(1000 + seed);
        let weights = draw(&mut random);
        Self { random, weights, changes }
    }

    fn round(&mut self, number: usize) -> ([f64; 5], [f64; ARMS], f64) {
        if self.changes && number == ROUNDS / 2 {
            self.weights = draw(&mut self.random);
        }
        let x: [f64; 5] = std::array::from_fn(|_| self.random.number());
        let noise = 0.5 * (self.random.number() + self.random.number());
        let dot = |weights: [f64; 5]| weights.iter().zip(x).map(|(w, v)| w * v).sum();
        (x, self.weights.map(dot), noise)
    }
}

fn draw(random: &mut Random) -> [[f64; 5]; ARMS] {
    std::array::from_fn(|_| std::array::from_fn(|_| random.number()))
}

fn regret(strategy: Strategy, half_life: f64, seed: u64, changes: bool) -> f64 {
    let group = [FeatureGroup::new("context", 5)];
    let arm = |arm| Bandit::new(&group, strategy, half_life, seed * 100 + arm).expect("valid");
    let mut arms: Vec<Bandit> = (0..ARMS as u64).map(arm).collect();
    let mut environment = Environment::new(seed, changes);
    let mut total = 0.0;
    for round in 0..ROUNDS {
        let (x, expected, noise) = environment.round(round);
        let value = |arm: &usize| arms[*arm].choice().value(&x);
        let values: Vec<f64> = (0..ARMS).map(|arm| value(&arm)).collect();
        let pulled = (0..ARMS).max_by(|a, b| values[*a].total_cmp(&values[*b])).expect("arms");
        total += expected.iter().copied().fold(f64::MIN, f64::max) - expected[pulled];
        arms[pulled].learn(&x, expected[pulled] + noise);
    }
    total
}

/// What the others regret in all, by name.
fn others(environment: &str) -> Vec<(String, f64)> {
    let curves: Value = serde_json::from_str(include_str!("river/bandits.json")).expect("JSON");
    let curves = curves["environments"][environment].as_object().expect("curves by policy").clone();
    let last = |curve: &Value| curve.as_array()?.last()?.as_f64();
    curves.iter().map(|(name, curve)| (name.clone(), last(curve).expect("a curve"))).collect()
}

#[test]
fn bandits_regret_no_more_than_those_of_river_and_vowpal_wabbit() {
    for (name, changes, half_life) in [("fixed", false, f64::INFINITY), ("changing", true, 100.0)] {
        for (strategy, rival) in
            [(Strategy::LinUcb, "river LinUCBDisjoint"), (Strategy::Thompson, "VW")]
        {
            let all: f64 = (0..10).map(|seed| regret(strategy, half_life, seed, changes)).sum();
            let ours = all / 10.0;
            let best = others(name)
                .into_iter()
                .filter(|(other, _)| other == rival || rival == "VW" && other.starts_with("VW"))
                .min_by(|a, b| a.1.total_cmp(&b.1))
                .expect("there are some");
            println!("{name} {strategy:?}: {ours:.2}, {best:?}");
            assert!(ours <= best.1, "{name} {strategy:?}: {ours}, {best:?}");
        }
    }
}

#[test]
fn a_change_of_mean_is_noticed_and_chance_is_not() {
    let mut random = Random(11);
    let (mut false_alarms, mut delays) = (0, Vec::new());
    for _ in 0..20 {
        let mut adwin = Adwin::new();
        let mut draw = |share: f64| if random.uniform() < share { 1.0 } else { 0.0 };
        false_alarms += (0..1000).filter(|_| adwin.learn(draw(0.2))).count();
        assert_eq!(adwin.width(), 1000.min(adwin.width()));
        delays.push((0..1000).find(|_| adwin.learn(draw(0.6))).expect("noticed"));
    }
    let delay = delays.iter().sum::<usize>() as f64 / 20.0;
    assert!(false_alarms <= 1, "{false_alarms} false alarms in 20 000 numbers");
    assert!(delay < 100.0, "noticed after {delay}");
}

#[test]
fn probabilities_that_are_too_sure_are_calibrated() {
    let mut random = Random(12);
    let mut calibrator = Calibrator::new();
    let (mut before, mut after) = (0.0, 0.0);
    for round in 0..3000 {
        let log_odds = 3.0 * random.number();
        let truth = 1.0 / (1.0 + f64::exp(-log_odds));
        let said = 1.0 / (1.0 + f64::exp(-3.0 * log_odds - 1.0));
        let outcome = if random.uniform() < truth { 1.0 } else { 0.0 };
        if round >= 500 {
            before += (said - truth).abs() / 2500.0;
            after += (calibrator.calibrate(said) - truth).abs() / 2500.0;
        }
        calibrator.learn(said, outcome);
    }
    assert!(before > 0.12 && after < 0.05, "off by {before}, calibrated by {after}");
    assert!(calibrator.calibrate(0.2) < calibrator.calibrate(0.3));
}

#[test]
fn quantiles_are_followed_where_errors_grow() {
    let mut random = Random(13);
    let mut tracker = QuantileTracker::new(0.9);
    assert_eq!(tracker.quantile(), None);
    let mut below = 0;
    for step in 0..5000 {
        let scale = if step < 2500 { 1.0 } else { 7.0 };
        let error = scale * random.uniform();
        below += u32::from(tracker.quantile().is_none_or(|quantile| error <= quantile));
        tracker.learn(error);
    }
    let share = f64::from(below) / 5000.0;
    assert!((0.88..=0.92).contains(&share), "{share}");
}

#[test]
fn a_mixture_is_hardly_worse_than_its_best_expert() {
    let mut random = Random(14);
    let mut mixture = Mixture::new(4);
    let mut errors = [0.0; 5];
    for step in 0..4000 {
        let truth = random.number();
        let good = if step < 2000 { 0 } else { 3 };
        let experts: [f64; 4] =
            std::array::from_fn(|k| truth + if k == good { 0.1 } else { 1.0 } * random.number());
        let mixed = mixture.mix(&experts);
        errors[4] += (mixed - truth).abs();
        for (error, expert) in errors.iter_mut().zip(experts) {
            *error += (expert - truth).abs();
        }
        mixture.learn(&experts, mixed, truth);
    }
    let best_with_hindsight = 4000.0 * 0.05;
    assert!(errors[4] < 1.25 * best_with_hindsight, "{errors:?}");
    assert!((mixture.weights().iter().sum::<f64>() - 1.0).abs() < 1e-9);
}

#[test]
fn normalised_numbers_have_mean_0_and_variance_1() {
    let mut random = Random(15);
    let rows: Vec<[f64; 2]> =
        (0..2000).map(|_| [1e6 + random.number(), 1e-3 * random.number()]).collect();
    let mut normalizer = Normalizer::new(2, f64::INFINITY).unwrap();
    for row in &rows {
        normalizer.learn(row);
    }
    for column in 0..2 {
        let (mut mean, mut square) = (0.0, 0.0);
        for row in &rows {
            let mut out = [0.0; 2];
            normalizer.normalize(row, &mut out);
            mean += out[column] / 2000.0;
            square += out[column] * out[column] / 2000.0;
        }
        assert!(mean.abs() < 1e-6 && (square - 1.0).abs() < 1e-6, "{mean} {square}");
    }
    let mut out = [0.0; 2];
    normalizer.normalize(&[f64::NAN, 1e9], &mut out);
    assert_eq!(out, [0.0, 10.0]);
    assert!(Normalizer::new(1, f64::NAN).is_err());
}
