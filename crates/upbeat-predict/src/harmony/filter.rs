use super::net::{CLASSES, NO_CHORD, QUALITIES};
use super::tensors::Tensors;
use upbeat_core::ConfigError;

/// A hidden Markov model over the chords that the network tells apart, with a fixed lag.
///
/// Each row, the chord stays, or changes to one that followed such a chord in the training songs.
/// The network's probabilities, tempered, are the likelihoods; dividing by how frequent each chord is
/// would make it worse (major/minor accuracy .860 instead of .873). The posterior of a row is given
/// `lag` rows later: the forward probabilities times the backward ones over those rows.
///
/// Rows overlap and are no independent evidence, which makes that posterior overconfident: .97 on
/// average where .88 are right. What decides is the posterior; how sure to be is told by what the
/// network itself gives the choice, whose calibration error is .016.
#[derive(Clone, Debug)]
pub(crate) struct ChordFilter {
    lag: usize,
    /// By chord before, padded to whole vectors; the padding is 0.
    transitions: Box<[States]>,
    /// Forward probabilities and likelihoods of the last `lag + 1` rows.
    forward: Box<[States]>,
    likelihood: Box<[States]>,
    /// The network's own probabilities of those rows.
    own: Box<[States]>,
    newest: usize,
    seen: usize,
    backward: Box<States>,
    posterior: Box<States>,
}

/// One value per chord.
type States = [f32; WIDTH];

impl ChordFilter {
    /// Reads the table that ships with the crate; `mean_rows` is how long a chord lasts on average.
    pub(crate) fn new(lag: usize, mean_rows: f32) -> Result<Self, ConfigError> {
        let tensors = Tensors::read(include_bytes!("../../weights/chords.safetensors"))?;
        let change = tensors.of::<f32>("change", (QUALITIES + 1) * (12 * QUALITIES + 1))?;
        Ok(Self {
            lag,
            transitions: transitions(&change, 1.0 / mean_rows),
            forward: vec![[0.0; WIDTH]; lag + 1].into(),
            likelihood: vec![[0.0; WIDTH]; lag + 1].into(),
            own: vec![[0.0; WIDTH]; lag + 1].into(),
            newest: 0,
            seen: 0,
            backward: Box::new([0.0; WIDTH]),
            posterior: Box::new([0.0; WIDTH]),
        })
    }

    /// Takes the logits of the next row; from row `lag` on returns the posterior of the row `lag`
    /// before it, and the network's own probabilities of that row.
    pub(crate) fn push(&mut self, logits: &[f32; CLASSES]) -> Option<(&[f32], &[f32])> {
        let past = self.newest;
        self.newest = (past + 1) % (self.lag + 1);
        self.measure(logits);
        let mut ahead = [0.0; WIDTH];
        if self.seen == 0 {
            ahead[..CLASSES].fill(1.0);
        } else {
            for (from, row) in self.forward[past][..CLASSES].iter().zip(&self.transitions) {
                for (a, t) in ahead.iter_mut().zip(row) {
                    *a += from * t;
                }
            }
        }
        for ((out, a), e) in
            self.forward[self.newest].iter_mut().zip(ahead).zip(&self.likelihood[self.newest])
        {
            *out = a * e;
        }
        normalise(&mut self.forward[self.newest]);
        self.seen += 1;
        (self.seen > self.lag).then(|| self.look_back())
    }

    pub(crate) fn reset(&mut self) {
        self.seen = 0;
    }

    fn measure(&mut self, logits: &[f32; CLASSES]) {
        let (own, likelihood) = (&mut self.own[self.newest], &mut self.likelihood[self.newest]);
        let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        for ((own, likelihood), logit) in own.iter_mut().zip(likelihood.iter_mut()).zip(logits) {
            *own = (logit - highest).exp();
            *likelihood = (LOGIT_EXPONENT * (logit - highest)).exp();
        }
        normalise(own);
    }

    fn look_back(&mut self) -> (&[f32], &[f32]) {
        let rows = self.lag + 1;
        self.backward[..CLASSES].fill(1.0);
        for back in 0..self.lag {
            let row = (self.newest + rows - back) % rows;
            for (b, e) in self.backward.iter_mut().zip(&self.likelihood[row]) {
                *b *= e;
            }
            let mut before = [0.0; WIDTH];
            for (out, row) in before.iter_mut().zip(&self.transitions) {
                *out = dot(row, &self.backward);
            }
            *self.backward = before;
            normalise(&mut *self.backward);
        }
        let decided = (self.newest + 1) % rows;
        let oldest = &self.forward[decided];
        for ((p, f), b) in self.posterior.iter_mut().zip(oldest).zip(&*self.backward) {
            *p = f * b;
        }
        normalise(&mut *self.posterior);
        (&self.posterior[..CLASSES], &self.own[decided][..CLASSES])
    }
}

/// Sums in eight lanes, which vectorises.
fn dot(a: &States, b: &States) -> f32 {
    let mut lanes = [0.0; 8];
    for (a, b) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        for (lane, (a, b)) in lanes.iter_mut().zip(a.iter().zip(b)) {
            *lane += a * b;
        }
    }
    lanes.iter().sum()
}

fn transitions(change: &[f32], rate: f32) -> Box<[States]> {
    let row_length = 12 * QUALITIES + 1;
    let row = |from: usize| {
        let (quality, root) =
            if from == NO_CHORD { (QUALITIES, 0) } else { (from % QUALITIES, from / QUALITIES) };
        let relative = &change[quality * row_length..][..row_length];
        let mut row = [0.0; WIDTH];
        for (to, p) in row[..NO_CHORD].iter_mut().enumerate() {
            // From no chord, all roots are alike: the table holds them so.
            let interval = (to / QUALITIES + 12 - root) % 12;
            *p = rate * relative[interval * QUALITIES + to % QUALITIES];
        }
        row[NO_CHORD] = rate * relative[NO_CHORD];
        row[from] += 1.0 - rate;
        row
    };
    (0..CLASSES).map(row).collect()
}

fn normalise(p: &mut [f32]) {
    let sum: f32 = p.iter().sum();
    for p in p {
        *p /= sum;
    }
}

const WIDTH: usize = CLASSES.next_multiple_of(8);
const LOGIT_EXPONENT: f32 = 0.8;

#[cfg(test)]
mod tests {
    use super::*;
    use upbeat_testkit::signal::Random;

    /// The posterior of row `row` given the rows up to `row + lag`, by its definition.
    fn naive(filter: &ChordFilter, logits: &[[f32; CLASSES]], row: usize) -> Vec<f64> {
        let likelihood =
            |r: usize, state: usize| f64::from(LOGIT_EXPONENT * logits[r][state]).exp();
        let change = |from: usize, to: usize| f64::from(filter.transitions[from][to]);
        let mut forward: Vec<f64> = (0..CLASSES).map(|s| likelihood(0, s)).collect();
        for r in 1..=row {
            let ahead = |to| (0..CLASSES).map(|from| forward[from] * change(from, to)).sum::<f64>();
            forward = (0..CLASSES).map(|to| ahead(to) * likelihood(r, to)).collect();
        }
        let mut backward = vec![1.0; CLASSES];
        for r in (row + 1..=row + filter.lag).rev() {
            let behind = |from| {
                (0..CLASSES).map(|to| change(from, to) * likelihood(r, to) * backward[to]).sum()
            };
            backward = (0..CLASSES).map(behind).collect();
        }
        let product: Vec<f64> = forward.iter().zip(&backward).map(|(f, b)| f * b).collect();
        let sum: f64 = product.iter().sum();
        product.iter().map(|p| p / sum).collect()
    }

    #[test]
    fn equals_the_definition_for_any_lag() {
        let mut random = Random::new(7);
        let logits: Vec<[f32; CLASSES]> =
            (0..9).map(|_| std::array::from_fn(|_| (3.0 * random.unit()) as f32)).collect();
        for lag in [0, 1, 3] {
            let mut filter = ChordFilter::new(lag, 4.0).unwrap();
            for (newest, row) in logits.iter().enumerate() {
                let found =
                    filter.push(row).map(|(posterior, own)| (posterior.to_vec(), own.to_vec()));
                assert_eq!(found.is_some(), newest >= lag);
                let Some((posterior, own)) = found else { continue };
                let expected = naive(&filter, &logits, newest - lag);
                for (f, e) in posterior.iter().zip(&expected) {
                    assert!((f64::from(*f) - e).abs() < 1e-6, "{f}, not {e}");
                }
                let sum: f32 = logits[newest - lag].iter().map(|l| l.exp()).sum();
                for (f, logit) in own.iter().zip(&logits[newest - lag]) {
                    assert!((f - logit.exp() / sum).abs() < 1e-6);
                }
            }
        }
    }

    #[test]
    fn all_that_follows_a_chord_sums_to_1() {
        let filter = ChordFilter::new(0, 15.0).unwrap();
        for row in &filter.transitions {
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            assert!(row.iter().all(|p| *p >= 0.0));
        }
    }
}
