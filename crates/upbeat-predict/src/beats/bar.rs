use std::fmt;

/// How many beats a bar has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Metre {
    /// Two beats to the bar (2/4, 2/2; also 6/8 felt in two).
    Two,
    /// Three (3/4).
    Three,
    /// Four (4/4; also 12/8 felt in four).
    Four,
    /// Six (6/8 or 6/4 felt in six).
    Six,
}

impl Metre {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Two, Self::Three, Self::Four, Self::Six];

    /// Beats per bar.
    #[must_use]
    pub const fn beats(self) -> u8 {
        match self {
            Self::Two => 2,
            Self::Three => 3,
            Self::Four => 4,
            Self::Six => 6,
        }
    }
}

impl fmt::Display for Metre {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Two => "2/4",
            Self::Three => "3/4",
            Self::Four => "4/4",
            Self::Six => "6/8",
        })
    }
}

/// Where in its bar a beat lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BarPosition {
    /// Which beat of the bar, from 1, the downbeat.
    pub beat: u8,
    /// The bar's metre.
    pub metre: Metre,
    /// The belief in just this beat of just this metre.
    pub confidence: f32,
}

/// The belief in metre and place in the bar, moved on from beat to beat.
///
/// A hidden Markov model whose state is the metre and the beat of the bar. From beat to beat the place
/// moves on by one, but for a few per cent of the time, when a beat was missed or added; at the bar line
/// the metre may change. Each beat that has been heard tells how likely it was a downbeat.
#[derive(Clone, Debug)]
pub(crate) struct BarTracker {
    belief: [f32; STATES],
}

const STATES: usize = 2 + 3 + 4 + 6;
const BEGINS: [usize; 4] = [0, 2, 5, 9];
/// How common each metre is, to begin with and after a change.
const PRIOR: [f32; 4] = [0.06, 0.16, 0.76, 0.02];

impl BarTracker {
    pub(crate) fn new() -> Self {
        let mut tracker = Self { belief: [0.0; STATES] };
        tracker.reset();
        tracker
    }

    pub(crate) fn reset(&mut self) {
        self.belief = fresh();
    }

    /// The next beat comes.
    pub(crate) fn advance(&mut self) {
        self.belief = next(&self.belief);
    }

    /// How much likelier this beat is if it is a downbeat than if it is not.
    pub(crate) fn observe(&mut self, ratio: f32) {
        for begin in BEGINS {
            self.belief[begin] *= ratio;
        }
        let sum: f32 = self.belief.iter().sum();
        self.belief.iter_mut().for_each(|p| *p /= sum);
    }

    /// The likeliest place `beats` after the one advanced to last.
    pub(crate) fn ahead(&self, beats: usize) -> BarPosition {
        let mut belief = self.belief;
        for _ in 0..beats {
            belief = next(&belief);
        }
        // The metre first, so that the places of one metre are not split between those of others.
        let of = |m: usize| &belief[BEGINS[m]..BEGINS[m] + usize::from(Metre::ALL[m].beats())];
        let metre = largest((0..4).map(|m| of(m).iter().sum()));
        let beat = largest(of(metre).iter().copied());
        BarPosition {
            beat: beat as u8 + 1,
            metre: Metre::ALL[metre],
            confidence: of(metre)[beat].clamp(0.0, 1.0),
        }
    }
}

fn fresh() -> [f32; STATES] {
    let mut belief = [0.0; STATES];
    for ((begin, metre), p) in BEGINS.iter().zip(Metre::ALL).zip(PRIOR) {
        let beats = usize::from(metre.beats());
        belief[*begin..begin + beats].fill(p / beats as f32);
    }
    belief
}

fn next(belief: &[f32; STATES]) -> [f32; STATES] {
    let mut after = [0.0; STATES];
    let mut changing = 0.0;
    for (begin, metre) in BEGINS.iter().zip(Metre::ALL) {
        let beats = usize::from(metre.beats());
        for beat in 0..beats {
            let p = belief[begin + beat];
            let to = |steps: usize| begin + (beat + steps) % beats;
            after[to(0)] += p * SLIP / 2.0;
            after[to(2)] += p * SLIP / 2.0;
            let on = p * (1.0 - SLIP);
            if beat + 1 == beats {
                after[to(1)] += on * (1.0 - CHANGE);
                changing += on * CHANGE;
            } else {
                after[to(1)] += on;
            }
        }
    }
    for (begin, p) in BEGINS.iter().zip(PRIOR) {
        after[*begin] += changing * p;
    }
    let start = fresh();
    for (a, s) in after.iter_mut().zip(start) {
        *a = *a * (1.0 - FORGET) + FORGET * s;
    }
    after
}

/// The first of the largest.
pub(crate) fn largest(values: impl Iterator<Item = f32>) -> usize {
    let none = (0, f32::NEG_INFINITY);
    values.enumerate().fold(none, |best, now| if now.1 > best.1 { now } else { best }).0
}

/// How often a beat is missed or added.
const SLIP: f32 = 0.01;
/// How often a bar is the last one of its metre.
const CHANGE: f32 = 0.01;
/// How much of the belief starts anew with each beat.
const FORGET: f32 = 0.002;

#[cfg(test)]
mod tests {
    use super::*;

    fn play(tracker: &mut BarTracker, beats_per_bar: usize, beats: usize) {
        for beat in 0..beats {
            tracker.advance();
            tracker.observe(if beat % beats_per_bar == 0 { 3.0 } else { 0.6 });
        }
    }

    #[test]
    fn the_metre_and_the_place_in_the_bar_are_found() {
        for (beats_per_bar, metre) in [(3, Metre::Three), (4, Metre::Four)] {
            let mut tracker = BarTracker::new();
            play(&mut tracker, beats_per_bar, 6 * beats_per_bar + 1);
            // The last beat was a downbeat.
            for ahead in 0..8 {
                let place = tracker.ahead(ahead);
                assert_eq!(place.metre, metre);
                assert_eq!(usize::from(place.beat), ahead % beats_per_bar + 1);
                assert!(place.confidence > 0.5, "{place:?}");
            }
        }
    }

    #[test]
    fn what_is_not_known_is_not_claimed() {
        let mut tracker = BarTracker::new();
        for _ in 0..50 {
            tracker.advance();
            tracker.observe(1.0);
        }
        assert!(tracker.ahead(1).confidence < 0.25);
        let sum: f32 = tracker.belief.iter().sum();
        assert!((sum - 1.0).abs() < 1e-5);
    }

    #[test]
    fn a_beat_too_many_is_recovered_from() {
        let mut tracker = BarTracker::new();
        play(&mut tracker, 4, 24);
        tracker.advance();
        tracker.observe(1.0);
        play(&mut tracker, 4, 17); // now bars begin a beat later
        assert_eq!(tracker.ahead(0).beat, 1);
    }
}
