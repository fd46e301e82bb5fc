use crate::learn::{dot, logistic};
use crate::preference::inputs;
use crate::track::Known;
use crate::{
    Candidate, Compatibility, Context, Key, KeyRelation, MixingStyle, TrackFeatures, UserPreference,
};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::HashSet;
use std::fmt;

/// Says what to play next, and why.
///
/// A candidate's score is `taste × style × rest`: what the user is expected to make of it ([`UserPreference`], which starts from the
/// [`Compatibility`] with the current track and moves away from it as the user does), how much the transition is like the
/// user's own ([`MixingStyle`], from 0.5 to 1.5), and `1 − 2^(−t)` for a track last played `t` hours ago. The first of a list has the highest
/// score; the others are chosen one by one for their score less their likeness to those chosen already (maximal marginal
/// relevance, Carbonell and Goldstein, SIGIR 1998). In lists of three or more the last is there to try something out: the one that would be
/// best with luck, by [`LinUcb`](crate::learn::Strategy::LinUcb).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recommender {
    pub(crate) preference: UserPreference,
    pub(crate) style: MixingStyle,
    #[serde(skip)]
    context: Context,
}

/// A track to play next.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Recommendation {
    /// The candidate's number.
    pub id: u64,
    /// How much is to be said for it, from 0 to 1.5; comparable within one list.
    pub score: f64,
    /// The probability that the user likes it.
    pub probability: f64,
    /// Why it is here, what matters most first.
    pub reasons: Vec<Reason>,
}

impl Recommendation {
    /// The reasons in one line.
    #[must_use]
    pub fn explain(&self) -> String {
        let reasons: Vec<String> = self.reasons.iter().map(Reason::to_string).collect();
        reasons.join(", ")
    }
}

/// Why a track is recommended.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// The tempo differs by this share, once halved or doubled.
    Tempo {
        /// What its tempo is multiplied by: 0.5, 1 or 2.
        ratio: f64,
        /// Step up, as a share: 0.01 is 1 %.
        step: f64,
    },
    /// How the keys go together.
    Key {
        /// The current key.
        from: Key,
        /// The track's key.
        to: Key,
        /// How they are related.
        relation: KeyRelation,
    },
    /// The step in energy.
    Energy(f64),
    /// The step in brightness, in octaves.
    Brightness(f64),
    /// The distance in timbre, from 0 to 1.
    Timbre(f64),
    /// The user liked so many of so many tracks like it.
    Liked {
        /// How many.
        liked: usize,
        /// Of how many.
        of: usize,
    },
    /// What was learned of the user's taste speaks most for this about it, by that much.
    Taste {
        /// The group of features.
        group: String,
        /// What it adds to the expected response, from 0 to 1.
        adds: f64,
    },
    /// The transition is like the user's own.
    Style,
    /// To find out whether the user likes such.
    TryOut,
    /// It was played this many seconds ago.
    Played(f64),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tempo { ratio, step } => {
                let times = match *ratio {
                    ratio if ratio < 1.0 => "half its tempo",
                    ratio if ratio > 1.0 => "double its tempo",
                    _ => "tempo",
                };
                write!(f, "{times} within {:.1} %", step.abs() * 100.0)
            }
            Self::Key { from, to, .. } => write!(f, "{from} → {to}"),
            Self::Energy(step) => write!(f, "energy {step:+.1}"),
            Self::Brightness(octaves) if octaves.abs() < 0.1 => write!(f, "as bright"),
            Self::Brightness(octaves) if *octaves > 0.0 => write!(f, "brighter"),
            Self::Brightness(_) => write!(f, "darker"),
            Self::Timbre(distance) if *distance < 0.2 => write!(f, "sounds alike"),
            Self::Timbre(_) => write!(f, "sounds different"),
            Self::Liked { liked, of } => write!(f, "you liked {liked} of {of} like it"),
            Self::Taste { group, .. } => write!(f, "your taste in {group}"),
            Self::Style => write!(f, "the way you mix"),
            Self::TryOut => write!(f, "to find out whether you like such"),
            Self::Played(seconds) => write!(f, "played {:.0} min ago", seconds / 60.0),
        }
    }
}

impl Default for Recommender {
    fn default() -> Self {
        Self::new()
    }
}

impl Recommender {
    /// One that knows nothing of the user yet, and goes by compatibility.
    #[must_use]
    pub fn new() -> Self {
        Self {
            preference: UserPreference::new(),
            style: MixingStyle::new(),
            context: Context::default(),
        }
    }

    /// Sets the circumstances that recommendations are for.
    pub fn set_context(&mut self, context: Context) {
        self.context = context;
    }

    /// What the user likes.
    #[must_use]
    pub fn preference(&self) -> &UserPreference {
        &self.preference
    }

    /// How the user mixes.
    #[must_use]
    pub fn style(&self) -> &MixingStyle {
        &self.style
    }

    /// The best `n` of `candidates` to play after `current`, best first, no number twice. Fewer if there are not as many; candidates
    /// that were played 0 seconds ago are left out. The same list each time, until something is learned.
    #[must_use]
    pub fn recommend(
        &self,
        current: &TrackFeatures,
        candidates: &[Candidate],
        n: usize,
    ) -> Vec<Recommendation> {
        let current = Known::of(current);
        let weights = self.preference.weights();
        let mut scored: Vec<Scored> = Vec::with_capacity(candidates.len());
        for (index, candidate) in candidates.iter().enumerate() {
            let rest = rest(candidate.last_played);
            if rest > 0.0 {
                let track = Known::of(&candidate.features);
                let pair = Compatibility::of(&current, &track);
                let taste = logistic(dot(&weights, &inputs(&pair, &track, self.context)));
                let others = (0.5 + self.style.score_pair(&pair)) * rest;
                scored.push(Scored { index, score: taste * others, others });
            }
        }
        let pool = (POOL * n.max(1)).max(POOL_LEAST).min(scored.len());
        if pool == 0 || n == 0 {
            return Vec::new();
        }
        let best_first = |a: &Scored, b: &Scored| {
            b.score.total_cmp(&a.score).then(candidates[a.index].id.cmp(&candidates[b.index].id))
        };
        if pool < scored.len() {
            scored.select_nth_unstable_by(pool - 1, best_first);
        }
        // Before the first response all is equally unsure, and the order is that of compatibility.
        let sure = if self.preference.responses() > 0 { pool } else { 0 };
        for s in &mut scored[..sure] {
            let track = Known::of(&candidates[s.index].features);
            let pair = Compatibility::of(&current, &track);
            s.score = self.preference.expected(&inputs(&pair, &track, self.context)) * s.others;
        }
        scored[..pool].sort_unstable_by(best_first);
        let mut seen = HashSet::new();
        let mut pool: Vec<Scored> =
            scored.drain(..pool).filter(|s| seen.insert(candidates[s.index].id)).collect();

        let mut chosen = Self::diverse(&mut pool, candidates, if n < 3 { n } else { n - 1 });
        let mut tried = None;
        if n >= 3 && chosen.len() == n - 1 {
            tried = self.worth_trying(&current, &pool, candidates);
            chosen.extend(tried.map(|at| pool[at]));
        }
        let last = chosen.len() - 1;
        let is_try_out = |place: usize| tried.is_some() && place == last;
        chosen
            .iter()
            .enumerate()
            .map(|(place, s)| self.explained(&current, s, &candidates[s.index], is_try_out(place)))
            .collect()
    }

    /// Takes `n` from `pool`, the best first, the others not too much like those taken.
    fn diverse(pool: &mut Vec<Scored>, candidates: &[Candidate], n: usize) -> Vec<Scored> {
        let mut chosen: Vec<Scored> = Vec::with_capacity(n);
        let mut likeness = vec![0.0_f64; pool.len()];
        let highest = pool.first().map_or(1.0, |best| best.score.max(1e-9));
        while chosen.len() < n && !pool.is_empty() {
            let worth = |i: &usize| {
                let s = &pool[*i];
                (1.0 - DIVERSITY) * s.score / highest - DIVERSITY * likeness[*i]
            };
            let best = (0..pool.len()).max_by_key(|i| (Total(worth(i)), Reverse(*i))).unwrap_or(0);
            let taken = pool.remove(best);
            likeness.remove(best);
            let track = Known::of(&candidates[taken.index].features);
            for (s, most) in pool.iter().zip(&mut likeness) {
                let other = Known::of(&candidates[s.index].features);
                *most = most.max(Compatibility::of(&track, &other).score());
            }
            chosen.push(taken);
        }
        chosen
    }

    /// Which of `pool` would be best with luck.
    fn worth_trying(
        &self,
        current: &Known<'_>,
        pool: &[Scored],
        candidates: &[Candidate],
    ) -> Option<usize> {
        let weights = self.preference.weights();
        let value = |s: &Scored| {
            let track = Known::of(&candidates[s.index].features);
            let pair = Compatibility::of(current, &track);
            let inputs = inputs(&pair, &track, self.context);
            logistic(dot(&weights, &inputs) + self.preference.uncertainty(&inputs)) * s.others
        };
        (0..pool.len()).max_by_key(|i| (Total(value(&pool[*i])), Reverse(*i)))
    }

    fn explained(
        &self,
        current: &Known<'_>,
        scored: &Scored,
        candidate: &Candidate,
        try_out: bool,
    ) -> Recommendation {
        let track = Known::of(&candidate.features);
        let pair = Compatibility::of(current, &track);
        let inputs = inputs(&pair, &track, self.context);
        let mut reasons = Vec::new();
        if try_out {
            reasons.push(Reason::TryOut);
        }
        if let Some(step) = pair.tempo_step {
            reasons.push(Reason::Tempo { ratio: pair.tempo_ratio, step: step.exp2() - 1.0 });
        }
        if let (Some(from), Some(to), Some(relation)) = (current.key, track.key, pair.key) {
            reasons.push(Reason::Key { from, to, relation });
        }
        reasons.extend(pair.energy_step.map(Reason::Energy));
        reasons.extend(pair.brightness_step.map(Reason::Brightness));
        reasons.extend(pair.timbre_distance.map(Reason::Timbre));
        let (liked, of) = self.preference.liked_like(&candidate.features);
        if of > 0 {
            reasons.push(Reason::Liked { liked, of });
        }
        if self.preference.responses() > 0 {
            let groups = self.preference.contributions(&inputs).into_iter().skip(1);
            let most = groups.max_by(|a, b| a.1.total_cmp(&b.1));
            reasons.extend(
                most.filter(|(_, adds)| *adds > 0.05)
                    .map(|(group, adds)| Reason::Taste { group: group.into(), adds }),
            );
        }
        if self.style.score_pair(&pair) > 0.6 {
            reasons.push(Reason::Style);
        }
        reasons.extend(candidate.last_played.map(Reason::Played));
        let expected = self.preference.expected(&inputs);
        Recommendation {
            id: candidate.id,
            score: scored.score,
            probability: self.preference.calibrated(expected),
            reasons,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Scored {
    index: usize,
    score: f64,
    /// Style times rest.
    others: f64,
}

/// A number in its total order.
#[derive(Clone, Copy, PartialEq)]
struct Total(f64);

impl Eq for Total {}

impl PartialOrd for Total {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Total {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// From 0 for a track just played to 1 for one never played.
fn rest(last_played: Option<f64>) -> f64 {
    match last_played {
        Some(seconds) if seconds >= 0.0 => 1.0 - (-seconds / 3600.0).exp2(),
        _ => 1.0,
    }
}

/// The share of likeness, against that of the score, in the choice of all but the first.
const DIVERSITY: f64 = 0.2;

/// As many times more than asked for are looked at for diversity.
const POOL: usize = 4;
const POOL_LEAST: usize = 50;
