//! The most likely path through pitch candidates, decided with a fixed delay.

use super::pyin::TrackedPitch;

/// An online Viterbi decoder over pitch bins that are each voiced (the first `n_bins` states) or unvoiced
/// (the others).
#[derive(Clone, Debug)]
pub(super) struct Track {
    /// Frequency of each bin's centre, in Hz.
    centres: Box<[f32]>,
    /// How many bins pitch can move per frame.
    reach: usize,
    /// Log probability of a move by `d − reach` bins, not yet normalised.
    moves: Box<[f32]>,
    /// Log of each bin's sum over its moves; those at the edges have fewer.
    norms: Box<[f32]>,
    log_stay: f32,
    log_switch: f32,
    delay: usize,

    /// Log probability of the best path to each state, relative to the best of all.
    scores: [Box<[f32]>; 2],
    /// The state that ends the best path.
    best: u16,
    /// Probability of each bin's candidate in the frame at hand.
    observed: Box<[f32]>,
    /// Scores by bin with room for moves beyond the edges; scratch.
    padded: Box<[f32]>,
    /// The best score by which each bin is reached within a voicing, and from how far; scratch.
    reached: [Box<[f32]>; 2],
    from: [Box<[i32]>; 2],

    /// Rings of the last `delay + 1` frames.
    previous: Box<[u16]>,
    frequencies: Box<[f32]>,
    voiced: Box<[f32]>,
    /// The row of the frame at hand.
    row: usize,
    /// Frames seen, at most `delay + 1`.
    seen: usize,
}

impl Track {
    pub(super) fn new(centres: Box<[f32]>, reach: usize, switch_prob: f64, delay: usize) -> Self {
        let n = centres.len();
        let weight = |distance: usize| (reach + 1 - distance) as f64 / (reach + 1) as f64;
        let norm = |bin: usize| -> f64 {
            (bin.saturating_sub(reach)..=(bin + reach).min(n - 1))
                .map(|to| weight(to.abs_diff(bin)))
                .sum()
        };
        let bins = || vec![0.0; n].into_boxed_slice();
        Self {
            reach,
            moves: (0..=2 * reach).map(|d| weight(d.abs_diff(reach)).ln() as f32).collect(),
            norms: (0..n).map(|bin| norm(bin).ln() as f32).collect(),
            log_stay: (1.0 - switch_prob).ln() as f32,
            log_switch: switch_prob.ln() as f32,
            delay,
            scores: [bins(), bins()],
            best: 0,
            observed: bins(),
            padded: vec![f32::NEG_INFINITY; n + 2 * reach].into(),
            reached: [bins(), bins()],
            from: [vec![0; n].into(), vec![0; n].into()],
            previous: vec![0; 2 * n * (delay + 1)].into(),
            frequencies: vec![0.0; n * (delay + 1)].into(),
            voiced: vec![0.0; delay + 1].into(),
            row: 0,
            seen: 0,
            centres,
        }
    }

    pub(super) const fn n_bins(&self) -> usize {
        self.centres.len()
    }

    /// Starts a frame, one without candidates so far.
    pub(super) fn begin(&mut self) {
        let n = self.n_bins();
        self.row = (self.row + 1) % (self.delay + 1);
        self.frequencies[self.row * n..][..n].copy_from_slice(&self.centres);
        self.observed.fill(0.0);
    }

    /// Adds a candidate to the frame; of several in one bin the last one counts.
    pub(super) fn observe(&mut self, bin: usize, hz: f32, probability: f32) {
        let row = self.row * self.n_bins();
        self.observed[bin] = probability;
        self.frequencies[row + bin] = hz;
    }

    /// Ends the frame, and decides about the one `delay` frames ago, if there is one.
    pub(super) fn decide(&mut self) -> Option<TrackedPitch> {
        let n = self.n_bins();
        let voiced = self.observed.iter().sum::<f32>().clamp(0.0, 1.0);
        self.voiced[self.row] = voiced;
        if self.seen == 0 {
            // Every state is as likely as any other before the first frame.
            self.scores.iter_mut().for_each(|scores| scores.fill(0.0));
        } else {
            self.transition();
        }
        let [voiced_scores, unvoiced_scores] = &mut self.scores;
        for (score, probability) in voiced_scores.iter_mut().zip(&self.observed) {
            *score += if *probability > 0.0 { probability.ln().max(LOG_TINY) } else { LOG_TINY };
        }
        let unvoiced = ((1.0 - voiced) / n as f32).ln().max(LOG_TINY);
        unvoiced_scores.iter_mut().for_each(|score| *score += unvoiced);

        let (best, top) = position_of_max(self.scores.iter().flatten());
        self.best = best as u16;
        self.scores.iter_mut().flatten().for_each(|score| *score -= top);
        self.seen = (self.seen + 1).min(self.delay + 1);
        (self.seen > self.delay).then(|| self.look_back())
    }

    pub(super) fn reset(&mut self) {
        self.seen = 0;
    }

    /// Moves every path on by one frame.
    fn transition(&mut self) {
        let n = self.n_bins();
        for voicing in 0..2 {
            let inner = &mut self.padded[self.reach..][..n];
            for ((padded, score), norm) in
                inner.iter_mut().zip(&self.scores[voicing]).zip(&self.norms)
            {
                *padded = score - norm;
            }
            let (reached, from) = (&mut self.reached[voicing], &mut self.from[voicing]);
            reached.fill(f32::NEG_INFINITY);
            for (offset, weight) in self.moves.iter().enumerate() {
                let sources = &self.padded[offset..][..n];
                for ((best, from), source) in reached.iter_mut().zip(from.iter_mut()).zip(sources) {
                    // Selections, not branches, so that this becomes vector code.
                    let score = source + weight;
                    let better = score > *best;
                    *best = if better { score } else { *best };
                    *from = if better { offset as i32 } else { *from };
                }
            }
        }

        let rows = self.previous[self.row * 2 * n..][..2 * n].chunks_exact_mut(n);
        for (to, (scores, previous)) in self.scores.iter_mut().zip(rows).enumerate() {
            let log = |from: usize| if from == to { self.log_stay } else { self.log_switch };
            let (log_voiced, log_unvoiced) = (log(0), log(1));
            for bin in 0..n {
                let voiced = self.reached[0][bin] + log_voiced;
                let unvoiced = self.reached[1][bin] + log_unvoiced;
                let (mut score, voicing) =
                    if voiced >= unvoiced { (voiced, 0) } else { (unvoiced, 1) };
                let mut state = voicing * n + bin + self.from[voicing][bin] as usize - self.reach;
                // Nothing is quite impossible: from the best path of all one can get anywhere.
                if LOG_TINY > score {
                    (score, state) = (LOG_TINY, self.best.into());
                }
                scores[bin] = score;
                previous[bin] = state as u16;
            }
        }
    }

    /// Follows the best path back to the frame `delay` frames ago.
    fn look_back(&self) -> TrackedPitch {
        let (n, rows) = (self.n_bins(), self.delay + 1);
        let (mut state, mut row) = (usize::from(self.best), self.row);
        for _ in 0..self.delay {
            state = self.previous[row * 2 * n..][state].into();
            row = (row + rows - 1) % rows;
        }
        TrackedPitch {
            frequency: (state < n).then(|| self.frequencies[row * n + state]),
            voiced_probability: self.voiced[row],
        }
    }
}

/// Where the largest value is, the first of them, and the value.
fn position_of_max<'a>(values: impl Iterator<Item = &'a f32>) -> (usize, f32) {
    let mut best = (0, f32::NEG_INFINITY);
    for (i, value) in values.enumerate() {
        if *value > best.1 {
            best = (i, *value);
        }
    }
    best
}

/// The logarithm of what counts as impossible: the smallest normal number of `f64`.
const LOG_TINY: f32 = -708.396_4;

#[cfg(test)]
mod tests {
    use super::*;
    use upbeat_testkit::signal::Random;

    const BINS: usize = 9;
    const REACH: usize = 2;
    const SWITCH: f64 = 0.03;

    /// Each frame's candidates: bin and probability.
    fn frames(seed: u64, count: usize) -> Vec<Vec<(usize, f64)>> {
        let mut random = Random::new(seed);
        (0..count)
            .map(|_| {
                let candidates = [0, 0, 1, 2][random.below(4)];
                (0..candidates).map(|_| (random.below(BINS), 0.45 * random.unit())).collect()
            })
            .collect()
    }

    /// The probability of a transition, by its definition.
    fn transition(from: usize, to: usize) -> f64 {
        let weight = |a: usize, b: usize| (REACH + 1).saturating_sub(a.abs_diff(b)) as f64;
        let (bin, next) = (from % BINS, to % BINS);
        let all: f64 = (0..BINS).map(|other| weight(bin, other)).sum();
        let switch = if from / BINS == to / BINS { 1.0 - SWITCH } else { SWITCH };
        switch * weight(bin, next) / all
    }

    /// The probability of the best path and that path, over whole `frames`, in `f64`.
    fn viterbi(frames: &[Vec<(usize, f64)>]) -> Vec<usize> {
        let log = |p: f64| (p + f64::MIN_POSITIVE).ln();
        let mut scores = vec![0.0; 2 * BINS];
        let mut back: Vec<Vec<usize>> = Vec::new();
        for (t, candidates) in frames.iter().enumerate() {
            let mut observed = [0.0; BINS];
            for (bin, p) in candidates {
                observed[*bin] = *p;
            }
            let unvoiced = (1.0 - observed.iter().sum::<f64>()) / BINS as f64;
            let best = |to: usize| {
                let score = |from: usize| scores[from] + log(transition(from, to));
                (0..2 * BINS).max_by(|a, b| score(*a).total_cmp(&score(*b))).unwrap()
            };
            let from: Vec<usize> = (0..2 * BINS).map(best).collect();
            let next = |to: usize| {
                let moved = scores[from[to]] + log(transition(from[to], to));
                let before = if t == 0 { 0.0 } else { moved };
                before + log(if to < BINS { observed[to] } else { unvoiced })
            };
            scores = (0..2 * BINS).map(next).collect();
            back.push(from);
        }
        let last = (0..2 * BINS).max_by(|a, b| scores[*a].total_cmp(&scores[*b])).unwrap();
        let mut path = vec![last];
        for from in back[1..].iter().rev() {
            path.push(from[path[path.len() - 1]]);
        }
        path.reverse();
        path
    }

    #[test]
    fn each_decision_is_that_of_the_best_path_so_far() {
        for (seed, delay) in [(1, 0), (2, 1), (3, 3), (4, 7), (5, 7), (6, 12)] {
            let frames = frames(seed, 60);
            let centres = (0..BINS).map(|bin| bin as f32 + 1.0).collect();
            let mut track = Track::new(centres, REACH, SWITCH, delay);
            for (t, candidates) in frames.iter().enumerate() {
                track.begin();
                for (bin, p) in candidates {
                    track.observe(*bin, *bin as f32 + 1.0, *p as f32);
                }
                let decided = track.decide();
                assert_eq!(decided.is_some(), t >= delay);
                if let Some(pitch) = decided {
                    let state = viterbi(&frames[..=t])[t - delay];
                    let expected = (state < BINS).then_some(state as f32 + 1.0);
                    assert_eq!(pitch.frequency, expected, "seed {seed}, frame {t}");
                }
            }
        }
    }

    #[test]
    fn nothing_is_impossible() {
        // A clean tone that jumps further than pitch can move.
        let mut track = Track::new((0..40).map(|bin| bin as f32).collect(), 1, 0.01, 2);
        let mut found = Vec::new();
        for t in 0..12 {
            let bin = if t < 6 { 3 } else { 35 };
            track.begin();
            track.observe(bin, bin as f32, 1.0);
            found.extend(track.decide().and_then(|pitch| pitch.frequency));
        }
        assert_eq!(found, [3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 35.0, 35.0, 35.0, 35.0]);
    }
}
