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
    /// What each view said at the last beats, the newest last.
    said: [[f64; VIEWS]; AHEAD],
    n_said: usize,
    /// How far off each view has been so far, and how many times, both fading.
    off: [f64; VIEWS],
    times: f64,
    /// The logarithms of the interval now and of the one `AHEAD` beats ahead.
    ahead: Option<(f64, f64)>,
}

const KEPT: usize = 32;
/// How far ahead the views are tried, in beats.
const AHEAD: usize = 4;
/// Means over so many intervals; one more view is that all stays as it is.
const SPANS: [usize; 6] = [1, 2, 4, 8, 16, 32];
const VIEWS: usize = SPANS.len() + 1;

impl TempoCourse {
    pub(crate) const fn new() -> Self {
        Self {
            intervals: [0.0; KEPT],
            ends: [0.0; KEPT],
            count: 0,
            settled: None,
            said: [[0.0; VIEWS]; AHEAD],
            n_said: 0,
            off: [0.0; VIEWS],
            times: 0.0,
            ahead: None,
        }
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

    /// After each beat: looks ahead from the intervals so far, where the interval now is `seconds`.
    ///
    /// Some players keep a new tempo, some come back to the old one, and some intervals are but noise; which of it is so
    /// shows in the music itself. There are several views: that all stays as it is, and means over spans of past
    /// intervals. Each is tried at every beat, and weighs the more the less it has been off lately: an
    /// exponentially weighted forecaster (Cesa-Bianchi and Lugosi, *Prediction, Learning, and Games*, 2006, ch. 2),
    /// whose losses fade and are counted relative to the best view's.
    pub(crate) fn look_ahead(&mut self, seconds: f64) {
        if self.count == 0 {
            return;
        }
        let newest = self.intervals[KEPT - 1];
        if self.n_said == AHEAD {
            for (off, said) in self.off.iter_mut().zip(&self.said[0]) {
                *off = FADING * *off + (said - newest).abs().min(FARTHEST);
            }
            self.times = FADING * self.times + 1.0;
        }
        let views = self.views(seconds.ln());
        self.said.rotate_left(1);
        self.said[AHEAD - 1] = views;
        self.n_said = (self.n_said + 1).min(AHEAD);

        // As if each had been off once already.
        let off = self.off.map(|off| (off + FIRST) / (self.times + 1.0));
        let best = off.iter().copied().fold(f64::INFINITY, f64::min);
        let weights = off.map(|off| (-STRICTNESS * (off / best - 1.0)).exp());
        let sum: f64 = weights.iter().zip(&views).map(|(weight, view)| weight * view).sum();
        self.ahead = Some((seconds.ln(), sum / weights.iter().sum::<f64>()));
    }

    /// What each view says, given the interval now. Intervals that are too far from that to be of the same tempo (from
    /// before a change of the octave, or where a beat was missed) do not count: more than four times the median
    /// distance of the last 16.
    fn views(&self, now: f64) -> [f64; VIEWS] {
        let kept = &self.intervals[KEPT - self.count..];
        let mut distances = [f64::INFINITY; 16];
        for (distance, interval) in distances.iter_mut().zip(kept.iter().rev()) {
            *distance = (interval - now).abs();
        }
        distances.sort_unstable_by(f64::total_cmp);
        let reach = (4.0 * distances[self.count.min(16) / 2]).clamp(NEAREST, FARTHEST);
        let mut views = [now; VIEWS];
        for (view, span) in views.iter_mut().zip(SPANS) {
            let near = kept.iter().rev().take(span).filter(|l| (*l - now).abs() < reach);
            let (sum, n) = near.fold((0.0, 0.0), |(sum, n), l| (sum + l, n + 1.0));
            if n > 0.0 {
                *view = sum / n;
            }
        }
        views
    }

    /// The interval `beats` beats ahead, and the rate at which the tempo changes: over the first four beats from
    /// the tempo now to what is expected, and no further.
    pub(crate) fn forecast(&self, beats: usize) -> Option<(f64, f64)> {
        let (now, ahead) = self.ahead.filter(|_| self.count >= 2)?;
        let part = beats.min(AHEAD) as f64 / AHEAD as f64;
        let n = self.count.min(8);
        let (l, t) = (&self.intervals[KEPT - n..], &self.ends[KEPT - n..]);
        let (ml, mt) = (l.iter().sum::<f64>() / n as f64, t.iter().sum::<f64>() / n as f64);
        let covariance: f64 = l.iter().zip(t).map(|(l, t)| (l - ml) * (t - mt)).sum();
        let variance: f64 = t.iter().map(|t| (t - mt) * (t - mt)).sum();
        Some(((now + part * (ahead - now)).exp(), -covariance / variance.max(1e-9)))
    }
}

/// Beats of one tempo that settle it.
const SETTLING: usize = 5;
/// How much the logarithms of those may differ from their mean.
const STEADY: f64 = 0.05;
/// How much the mean must differ from the settled one for a change.
const CHANGED: f64 = 0.04;
/// How much of what a view was off is left a beat later.
const FADING: f64 = 0.97;
/// How much the logarithms of intervals of one tempo may differ at least and at most; no view is off by more.
const NEAREST: f64 = 0.1;
const FARTHEST: f64 = 0.4;
/// How far each view is taken to have been off before it is tried.
const FIRST: f64 = 0.03;
/// A view that is off twice as far as the best one weighs this power of e less.
const STRICTNESS: f64 = 6.0;

#[cfg(test)]
mod tests {
    use super::*;
    use upbeat_testkit::signal::Random;

    /// Takes the intervals, and returns the mean relative errors of the tempo four beats ahead: of the forecast, of
    /// "as it is" and of "like the last interval".
    fn errors(intervals: &[f64]) -> [f64; 3] {
        let (mut course, mut at, mut errors, mut count) = (TempoCourse::new(), 0.0, [0.0; 3], 0.0);
        for (n, interval) in intervals.iter().enumerate() {
            at += interval;
            course.push(*interval, at);
            let now = course.steady_interval().unwrap();
            course.look_ahead(now);
            if n >= 16
                && let Some(then) = intervals.get(n + 4)
            {
                let forecast = course.forecast(4).unwrap().0;
                for (error, said) in errors.iter_mut().zip([forecast, now, *interval]) {
                    *error += (then / said - 1.0).abs();
                }
                count += 1.0;
            }
        }
        errors.map(|error| error / count)
    }

    fn gauss(random: &mut Random) -> f64 {
        (0..12).map(|_| random.unit()).sum::<f64>() - 6.0
    }

    #[test]
    fn players_who_come_back_to_their_tempo_are_foretold_better() {
        let mut random = Random::new(1);
        let intervals: Vec<f64> =
            (0..400).map(|_| 0.5 * (0.1 * gauss(&mut random)).exp()).collect();
        let [forecast, now, last] = errors(&intervals);
        // The best there is, the true mean, would be off by 0.080; the last interval by √2 times that.
        assert!(
            forecast < 0.98 * now && forecast < 0.76 * last && forecast < 0.084,
            "{forecast} {now} {last}"
        );
    }

    #[test]
    fn a_tempo_that_drifts_is_not_expected_back() {
        let mut random = Random::new(2);
        let mut interval = 0.5_f64;
        let intervals: Vec<f64> = (0..400)
            .map(|_| {
                interval *= (0.02 * gauss(&mut random)).exp();
                interval
            })
            .collect();
        let [forecast, now, last] = errors(&intervals);
        // The best there is, is the last interval.
        assert!(forecast < 0.96 * now && forecast < 1.08 * last, "{forecast} {now} {last}");
    }

    #[test]
    fn a_steady_tempo_is_foretold_as_steady_whatever_was_before() {
        let mut course = TempoCourse::new();
        for n in 0..20 {
            course.push(1.0, f64::from(n));
            course.look_ahead(1.0);
        }
        assert!((course.forecast(4).unwrap().0 - 1.0).abs() < 1e-9);
        // Twice as fast from here on.
        for n in 0..3 {
            course.push(0.5, 20.0 + 0.5 * f64::from(n));
            course.look_ahead(0.5);
            let (interval, _) = course.forecast(4).unwrap();
            assert!((interval - 0.5).abs() < 1e-9, "{interval}");
        }
        // A beat is missed.
        course.push(1.0, 22.5);
        course.look_ahead(0.5);
        assert!((course.forecast(4).unwrap().0 - 0.5).abs() < 1e-9);
        assert_eq!(course.forecast(0).unwrap().0, 0.5);
    }
}
