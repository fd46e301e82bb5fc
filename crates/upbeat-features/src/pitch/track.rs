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
