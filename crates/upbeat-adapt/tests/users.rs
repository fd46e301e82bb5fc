//! Simulated users with known tastes, which change half-way: how much of what could be accepted is.

use std::ops::Range;
use upbeat_adapt::{
    AdaptConfig, AdaptiveModels, Candidate, Compatibility, Feedback, Key, Response, TrackFeatures,
};

const ROUNDS: usize = 300;
const CHANGE: usize = 150;
const SEEDS: u64 = 10;
const CANDIDATES: usize = 200;

/// `SplitMix64`.
struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn track(&mut self) -> TrackFeatures {
        let energy = self.uniform();
        let mut timbre = || (self.uniform() * 2.0 - 1.0) as f32;
        let timbre = vec![timbre(), timbre(), timbre(), timbre(), timbre(), timbre()];
        TrackFeatures {
            tempo_bpm: Some((75.0 * (self.uniform() * 1.2).exp2()) as f32),
            key: Some(Key { tonic: (self.uniform() * 12.0) as u8, minor: self.uniform() < 0.5 }),
            energy: Some(energy as f32),
            brightness: Some((700.0 * (self.uniform() * 2.5).exp2()) as f32),
            loudness: Some((-16.0 + 6.0 * energy + 3.0 * self.uniform()) as f32),
            timbre,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum User {
    /// Wants no step to be heard: tempo, key and energy stay.
    Blender,
    /// Wants each track to be a bit more forceful than the last, and bright.
    Climber,
    /// Wants it slow, dark, calm and in minor, whatever came before.
    Mellow,
    /// Wants contrast: another tempo, another sound, bright where it was dark.
    Contrast,
}

const USERS: [User; 4] = [User::Blender, User::Climber, User::Mellow, User::Contrast];

impl User {
    /// The probability that this user accepts `next` after `current`.
    fn accepts(self, current: &TrackFeatures, next: &TrackFeatures) -> f64 {
        let bell = |x: f64, width: f64| (-(x / width).powi(2)).exp();
        let f = |value: Option<f32>| f64::from(value.expect("all is known here"));
        let octaves = |a: Option<f32>, b: Option<f32>| (f(b) / f(a)).log2();
        let tempo = octaves(current.tempo_bpm, next.tempo_bpm);
        let rise = f(next.energy) - f(current.energy);
        let brighter = octaves(current.brightness, next.brightness);
        let harmony = current.key.zip(next.key).and_then(|(a, b)| a.relation(b));
        let harmony = harmony.expect("all is known here").harmony();
        let apart = Compatibility::between(current, next).timbre_distance.expect("known");
        let likes = match self {
            Self::Blender => 0.45 * bell(tempo, 0.1) + 0.3 * harmony + 0.25 * bell(rise, 0.2),
            Self::Climber => {
                0.6 * bell(rise - 0.15, 0.2) + 0.4 * bell((f(next.brightness) / 3500.0).log2(), 0.8)
            }
            Self::Mellow => {
                let slow = bell((f(next.tempo_bpm) / 85.0).log2(), 0.3);
                let dark = bell((f(next.brightness) / 900.0).log2(), 0.9);
                let minor = if next.key.is_some_and(|key| key.minor) { 1.0 } else { 0.0 };
                0.35 * (1.0 - f(next.energy)) + 0.25 * slow + 0.2 * dark + 0.2 * minor
            }
            Self::Contrast => {
                0.4 * (1.0 - bell(tempo, 0.25)) + 0.3 * apart + 0.3 * (1.0 - bell(brighter, 0.7))
            }
        };
        0.02 + 0.96 / (1.0 + (-9.0 * (likes - 0.55)).exp())
    }
}

/// What a run of one user with one seed came to, per round.
struct Run {
    /// The probability that the top recommendation is accepted.
    learned: Vec<f64>,
    /// The same for the most compatible candidate.
    compatible: Vec<f64>,
    /// The same for the candidate that the user likes best.
    best: Vec<f64>,
}

fn simulate(user: User, seed: u64) -> Run {
    let mut random = Random(seed.wrapping_mul(7919) + user as u64);
    let mut models = AdaptiveModels::new(&AdaptConfig::default()).expect("the defaults are valid");
    let mut current = random.track();
    let mut run = Run { learned: vec![], compatible: vec![], best: vec![] };
    let later = USERS[(user as usize + 1) % USERS.len()];
    for round in 0..ROUNDS {
        let user = if round < CHANGE { user } else { later };
        let candidates: Vec<Candidate> = (0..CANDIDATES as u64)
            .map(|id| Candidate { id, features: random.track(), last_played: None })
            .collect();
        let accepts = |id: usize| user.accepts(&current, &candidates[id].features);
        let compatibility =
            |id: usize| Compatibility::between(&current, &candidates[id].features).score();
        let most = |worth: &dyn Fn(usize) -> f64| {
            (0..CANDIDATES).max_by(|a, b| worth(*a).total_cmp(&worth(*b))).expect("not empty")
        };
        let top = models.recommend(&current, &candidates, 5)[0].id as usize;
        run.learned.push(accepts(top));
        run.best.push(accepts(most(&accepts)));
        run.compatible.push(accepts(most(&compatibility)));
        let accepted = random.uniform() < accepts(top);
        let response = if accepted { Response::Accept } else { Response::Reject };
        let feedback = Feedback::new(response).after(&current);
        let now = round as f64;
        models.update(now, &candidates[top].features, Some(&feedback), None).expect("valid");
        // Who turns down what is offered plays something else.
        let other = (random.uniform() * CANDIDATES as f64) as usize;
        current = candidates[if accepted { top } else { other }].features.clone();
    }
    run
}

fn sum<'a>(runs: impl Iterator<Item = &'a Vec<f64>>, rounds: &Range<usize>) -> f64 {
    runs.flat_map(|run| &run[rounds.clone()]).sum()
}

/// Which share of what could be accepted was: of what was learned, and of what is compatible.
fn shares(runs: &[Run], rounds: Range<usize>) -> (f64, f64) {
    let best = sum(runs.iter().map(|run| &run.best), &rounds);
    let learned = sum(runs.iter().map(|run| &run.learned), &rounds);
    (learned / best, sum(runs.iter().map(|run| &run.compatible), &rounds) / best)
}

#[test]
fn tastes_are_learned_and_learned_anew() {
    let mut all = Vec::new();
    for user in USERS {
        let runs: Vec<Run> = (0..SEEDS).map(|seed| simulate(user, seed)).collect();
        report(&format!("{user:?}"), &runs);
        all.extend(runs);
    }
    report("all", &all);
    let (first, compatible) = shares(&all, 0..1);
    assert!(first >= compatible - 1e-9, "at first: {first}, compatibility alone {compatible}");
    let (cold, compatible) = shares(&all, 0..20);
    assert!(cold >= compatible, "cold start: {cold}, compatibility alone {compatible}");
    let (learned, _) = shares(&all, 100..CHANGE);
    assert!(learned >= 0.85, "after 100 rounds: {learned}");
    let (again, _) = shares(&all, CHANGE + 60..CHANGE + 90);
    let (later, _) = shares(&all, CHANGE + 90..ROUNDS);
    assert!(again >= 0.8 && later >= 0.85, "after a change: {again}, later {later}");
}

fn report(name: &str, runs: &[Run]) {
    let (cold, compatible) = shares(runs, 0..20);
    print!("{name:>8}: 1-20 {cold:.3} (compatibility {compatible:.3})");
    for rounds in [50..100, 100..150, 150..180, 180..210, 210..240, 240..300] {
        print!(", {}-{} {:.3}", rounds.start + 1, rounds.end, shares(runs, rounds.clone()).0);
    }
    println!();
}
