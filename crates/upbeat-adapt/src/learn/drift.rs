use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Notices when the mean of a stream of numbers in 0…1 has changed.
///
/// ADWIN2 of Bifet and Gavaldà, "Learning from time-changing data with adaptive windowing", SDM 2007: the window of past
/// numbers is cut where the means of its two parts differ by more than chance allows,
/// `√(2 v ln(2 ln n / δ) / m) + 2 ln(2 ln n / δ) / 3m` for the window's variance `v`, length `n`, and `1/m = 1/n₀ + 1/n₁`; `δ = 0.002` as in
/// the paper. The window is kept as sums over stretches whose lengths double, five of each, so that a million numbers
/// take 100 sums.
///
/// # Examples
///
/// ```
/// use upbeat_adapt::learn::Adwin;
///
/// let mut errors = Adwin::new();
/// assert!(!(0..500).any(|_| errors.learn(0.1)));
/// let noticed = (0..60).filter(|_| errors.learn(0.9)).count();
/// assert!(noticed > 0);
/// assert!(errors.mean().is_some_and(|mean| mean > 0.5), "and the old ones forgotten");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Adwin {
    /// Newest first.
    stretches: VecDeque<Stretch>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Stretch {
    n: f64,
    sum: f64,
    squares: f64,
}

impl Stretch {
    fn plus(self, other: Self) -> Self {
        Self {
            n: self.n + other.n,
            sum: self.sum + other.sum,
            squares: self.squares + other.squares,
        }
    }
}

impl Adwin {
    /// With nothing seen yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next number, held within 0 to 1, and says whether the mean has changed. Non-finite ones are passed over.
    pub fn learn(&mut self, value: f64) -> bool {
        if !value.is_finite() {
            return false;
        }
        let value = value.clamp(0.0, 1.0);
        self.stretches.push_front(Stretch { n: 1.0, sum: value, squares: value * value });
        self.merge();
        let mut changed = false;
        while self.cut() {
            self.stretches.pop_back();
            changed = true;
        }
        changed
    }

    /// The mean since the last change; `None` before the first number.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        let all = self.total();
        (all.n > 0.0).then(|| all.sum / all.n)
    }

    /// How many numbers there are since the last change.
    #[must_use]
    pub fn width(&self) -> u64 {
        self.total().n as u64
    }

    pub(crate) fn heap_size(&self) -> usize {
        self.stretches.capacity() * size_of::<Stretch>()
    }

    fn total(&self) -> Stretch {
        let none = Stretch { n: 0.0, sum: 0.0, squares: 0.0 };
        self.stretches.iter().fold(none, |sum, stretch| sum.plus(*stretch))
    }

    /// Joins the two oldest of more than `PER_LENGTH` stretches of one length, from the shortest on.
    fn merge(&mut self) {
        let mut start = 0;
        while start + PER_LENGTH < self.stretches.len() {
            let length = self.stretches[start].n;
            if self.stretches[start + PER_LENGTH].n > length {
                break;
            }
            let end = start + PER_LENGTH;
            let older = self.stretches.remove(end);
            if let Some(older) = older {
                self.stretches[end - 1] = self.stretches[end - 1].plus(older);
            }
            start = end - 1;
        }
    }

    /// Whether the oldest stretches, up to any border, differ from the rest.
    fn cut(&self) -> bool {
        let all = self.total();
        if all.n < 10.0 {
            return false;
        }
        let variance = (all.squares / all.n - (all.sum / all.n).powi(2)).max(0.0);
        let chance = (2.0 * all.n.ln() / DELTA).ln();
        let mut old = Stretch { n: 0.0, sum: 0.0, squares: 0.0 };
        self.stretches.iter().rev().take(self.stretches.len() - 1).any(|stretch| {
            old = old.plus(*stretch);
            let (n0, n1) = (old.n, all.n - old.n);
            if n0 < 5.0 || n1 < 5.0 {
                return false;
            }
            let inverse = 1.0 / n0 + 1.0 / n1;
            let bound = (2.0 * inverse * variance * chance).sqrt() + 2.0 / 3.0 * inverse * chance;
            (old.sum / n0 - (all.sum - old.sum) / n1).abs() > bound
        })
    }
}

/// How often chance alone may look like a change.
const DELTA: f64 = 0.002;

/// Stretches of one length.
const PER_LENGTH: usize = 5;
