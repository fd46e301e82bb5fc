use std::fmt;

use super::filter::TempoFilter;
use super::front::FRAME_RATE;
use upbeat_core::SampleIndex;

/// How one tempo lies to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Relation {
    /// The tempo followed.
    Same,
    /// Twice as fast.
    Double,
    /// Half as fast.
    Half,
    /// Three times as fast.
    Triple,
    /// A third as fast.
    Third,
    /// Three beats in the time of two.
    ThreeHalves,
    /// Two beats in the time of three.
    TwoThirds,
}

impl Relation {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Same,
        Self::Double,
        Self::Half,
        Self::Triple,
        Self::Third,
        Self::ThreeHalves,
        Self::TwoThirds,
    ];

    /// How many times as fast.
    #[must_use]
    pub const fn factor(self) -> f64 {
        match self {
            Self::Same => 1.0,
            Self::Double => 2.0,
            Self::Half => 0.5,
            Self::Triple => 3.0,
            Self::Third => 1.0 / 3.0,
            Self::ThreeHalves => 1.5,
            Self::TwoThirds => 2.0 / 3.0,
        }
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Same => "as followed",
            Self::Double => "×2",
            Self::Half => "×½",
            Self::Triple => "×3",
            Self::Third => "×⅓",
            Self::ThreeHalves => "×3/2",
            Self::TwoThirds => "×⅔",
        })
    }
}

/// A tempo that the music may have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TempoCandidate {
    /// In beats per minute.
    pub bpm: f64,
    /// How it lies to the tempo followed.
    pub relation: Relation,
    /// Its share of the belief in all candidates. It ranks them; it is not a calibrated probability.
    pub share: f32,
}

/// A tempo that has become another one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TempoChange {
    /// The beat since which the tempo has been another one.
    pub at: SampleIndex,
    /// The tempo before, in beats per minute.
    pub from: f64,
    /// The tempo now, in beats per minute.
    pub to: f64,
    /// How sure the beats of the new tempo are.
    pub confidence: f32,
}

/// The tempo some beats ahead.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TempoForecast {
    /// In beats per minute.
    pub bpm: f64,
    /// How fast the tempo has been changing over the last eight beats: by which share of itself per second,
    /// positive where it gets faster.
    pub rate: f64,
    /// How sure the beats that this comes from are.
    pub confidence: f32,
}

/// The belief in the tempo followed and in its relatives, most likely first.
///
/// The filter is far too sure: its observations of neighbouring frames are not independent. Its belief in
/// the tempi within 4 % of each candidate is therefore raised to the power 0.2.
pub(crate) fn candidates(filter: &TempoFilter, bpm: f64) -> [Option<TempoCandidate>; 7] {
    let mut found = Relation::ALL.map(|relation| {
        let bpm = bpm * relation.factor();
        let lag = 60.0 * FRAME_RATE / bpm;
        let near = |tempo: &usize| ((filter.lag(*tempo) as f64 / lag).ln()).abs() < 0.04;
        let (mut share, mut any) = (0.0, false);
        for tempo in (0..filter.tempi()).filter(near) {
            share += filter.mass()[tempo];
            any = true;
        }
        any.then_some(TempoCandidate { bpm, relation, share: share.max(1e-20).powf(0.2) })
    });
    let sum: f32 = found.iter().flatten().map(|candidate| candidate.share).sum();
    for candidate in found.iter_mut().flatten() {
        candidate.share /= sum;
    }
    // Those that are out of range last.
    found.sort_by(|a, b| {
        let share = |c: &Option<TempoCandidate>| c.map_or(-1.0, |c| c.share);
        share(b).total_cmp(&share(a))
    });
    found
}

/// Follows the time from beat to beat: where the tempo goes, and when it has changed.
#[derive(Clone, Debug)]
pub(crate) struct TempoCourse {
    /// Natural logarithms of the last intervals in seconds, the newest last, and where they end.
    intervals: [f64; KEPT],
    ends: [f64; KEPT],
    count: usize,
    /// The settled tempo, as an interval's logarithm.
    settled: Option<f64>,
}

const KEPT: usize = 16;

impl TempoCourse {
    pub(crate) const fn new() -> Self {
        Self { intervals: [0.0; KEPT], ends: [0.0; KEPT], count: 0, settled: None }
    }

    /// The interval of `seconds` that ends at `at`, in seconds. Returns since when, and from which
    /// interval to which, the tempo has changed if that is clear now.
    pub(crate) fn push(&mut self, seconds: f64, at: f64) -> Option<(f64, f64, f64)> {
        self.intervals.rotate_left(1);
        self.ends.rotate_left(1);
        self.intervals[KEPT - 1] = seconds.ln();
        self.ends[KEPT - 1] = at;
        self.count = (self.count + 1).min(KEPT);
        if self.count < SETTLING {
            return None;
        }
        let now = self.mean(SETTLING);
        let spread =
            self.intervals[KEPT - SETTLING..].iter().map(|l| (l - now).abs()).fold(0.0, f64::max);
        let Some(settled) = self.settled else {
            if spread < STEADY {
                self.settled = Some(now);
            }
            return None;
        };
        if spread > STEADY {
            return None;
        }
        if (now - settled).abs() < CHANGED {
            // Slow drift is no event.
            self.settled = Some(settled + 0.1 * (now - settled));
            return None;
        }
        self.settled = Some(now);
        Some((self.ends[KEPT - SETTLING] - seconds, settled.exp(), now.exp()))
    }

    /// The mean logarithm of the last `n` intervals, or of as many as there are.
    fn mean(&self, n: usize) -> f64 {
        let n = n.min(self.count).max(1);
        self.intervals[KEPT - n..].iter().sum::<f64>() / n as f64
    }

    /// The interval now: the mean over the last eight if they agree with the last four, else that over four.
    pub(crate) fn steady_interval(&self) -> Option<f64> {
        let (short, long) = (self.mean(4), self.mean(8));
        (self.count > 0).then(|| if (short - long).abs() < 0.02 { long.exp() } else { short.exp() })
    }

    /// The interval `beats` beats ahead, and the rate at which the tempo changes.
    ///
    /// Expressive playing comes back: what lies off the mean of the last 16 beats is forgotten by a quarter
    /// with every beat.
    pub(crate) fn forecast(&self, beats: usize) -> Option<(f64, f64)> {
        if self.count < 2 {
            return None;
        }
        let (now, mean) = (self.mean(2), self.mean(KEPT));
        let keep = RETURN.powi(beats as i32);
        let n = self.count.min(8);
        let (l, t) = (&self.intervals[KEPT - n..], &self.ends[KEPT - n..]);
        let (ml, mt) = (l.iter().sum::<f64>() / n as f64, t.iter().sum::<f64>() / n as f64);
        let covariance: f64 = l.iter().zip(t).map(|(l, t)| (l - ml) * (t - mt)).sum();
        let variance: f64 = t.iter().map(|t| (t - mt) * (t - mt)).sum();
        Some(((mean + keep * (now - mean)).exp(), -covariance / variance.max(1e-9)))
    }
}

/// Beats of one tempo that settle it.
const SETTLING: usize = 5;
/// How much the logarithms of those may differ from their mean.
const STEADY: f64 = 0.05;
/// How much the mean must differ from the settled one for a change.
const CHANGED: f64 = 0.04;
const RETURN: f64 = 0.75;
