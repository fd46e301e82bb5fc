use super::gaussian::dot;
use super::{Learner, Mixture, assert_inputs, finite, is_finite};
use serde::{Deserialize, Serialize};

/// Linear regression by recursive least squares, that forgets as fast as it pays to.
///
/// Each of several copies minimises `Σ λᵗ⁻ˢ (yₛ − b − w·xₛ)² + ridge` over all observations `s` so far, with its own `λ`
/// from 1 (forgets nothing) to 0.9 (half in 7 observations); each also with a level that follows its errors (`l ← l + 0.3 (y − ŷ − l)`), and the last
/// target stands beside them. A [`Mixture`] trusts those that have been nearest of late. The ridge is a millionth of each input's mean square, and counts from the first observation, so that units and
/// origins of inputs and target do not matter: nothing need be normalised. The normal equations are solved
/// anew by Cholesky's method after each observation, `n³/6` multiplications per copy, which neither drifts nor blows up where
/// an input stands still (Ljung and Söderström, "Theory and practice of recursive identification", 1983, have the classic form,
/// which does both).
///
/// Before anything is learned the prediction is 0; then the first target.
///
/// # Examples
///
/// ```
/// use upbeat_adapt::learn::{Learner, RecursiveLeastSquares};
///
/// let mut model = RecursiveLeastSquares::new(1);
/// for step in 0..50 {
///     let x = f64::from(step * 7 % 10);
///     model.learn(&[x], 3.0 * x + 7.0);
/// }
/// assert!((model.predict(&[10.0]) - 37.0).abs() < 0.01);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecursiveLeastSquares {
    /// The first observation; all others are counted from it.
    origin: Option<(Vec<f64>, f64)>,
    n_inputs: usize,
    copies: Vec<LeastSquares>,
    last: f64,
    mixture: Mixture,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct LeastSquares {
    keep: f64,
    /// `Σ λ x xᵀ`, the lower triangle row by row, the constant last.
    squares: Vec<f64>,
    /// `Σ λ x y`.
    products: Vec<f64>,
    weights: Vec<f64>,
    /// By how much it was too low of late.
    level: f64,
}

impl RecursiveLeastSquares {
    /// A model of `n_inputs` numbers and a constant.
    #[must_use]
    pub fn new(n_inputs: usize) -> Self {
        let n = n_inputs + 1;
        let copies: Vec<LeastSquares> = KEEP
            .iter()
            .map(|&keep| LeastSquares {
                keep,
                squares: vec![0.0; n * (n + 1) / 2],
                products: vec![0.0; n],
                weights: vec![0.0; n],
                level: 0.0,
            })
            .collect();
        Self { origin: None, n_inputs, last: 0.0, mixture: Mixture::new(N_FORECASTS), copies }
    }

    /// Of each copy, without and with its level, and the last target.
    fn forecasts(&self, inputs: &[f64]) -> [f64; N_FORECASTS] {
        std::array::from_fn(|k| match self.copies.get(k / 2) {
            Some(copy) if k % 2 == 0 => copy.predict(inputs),
            Some(copy) => copy.predict(inputs) + copy.level,
            None => self.last,
        })
    }
}

impl Learner for RecursiveLeastSquares {
    fn n_inputs(&self) -> usize {
        self.n_inputs
    }

    fn predict(&self, inputs: &[f64]) -> f64 {
        assert_inputs(inputs, self.n_inputs);
        let Some((origin, first)) = &self.origin else { return 0.0 };
        let inputs: Vec<f64> = inputs.iter().zip(origin).map(|(x, o)| finite(x - o)).collect();
        first + self.mixture.mix(&self.forecasts(&inputs))
    }

    fn learn(&mut self, inputs: &[f64], target: f64) {
        assert_inputs(inputs, self.n_inputs);
        if !is_finite(inputs, target) {
            return;
        }
        let (origin, first) = self.origin.get_or_insert_with(|| (inputs.to_vec(), target));
        let inputs: Vec<f64> = inputs.iter().zip(&*origin).map(|(x, o)| x - o).collect();
        let target = target - *first;
        let forecasts = self.forecasts(&inputs);
        let mixed = self.mixture.mix(&forecasts);
        self.mixture.learn(&forecasts, mixed, target);
        self.last = target;
        for copy in &mut self.copies {
            copy.learn(&inputs, target);
        }
    }
}

impl LeastSquares {
    fn predict(&self, inputs: &[f64]) -> f64 {
        dot(&self.weights, inputs) + self.weights[inputs.len()]
    }

    fn learn(&mut self, inputs: &[f64], target: f64) {
        let input = |i: usize| inputs.get(i).copied().unwrap_or(1.0);
        let n = self.weights.len();
        self.level += LEVEL * (target - self.predict(inputs) - self.level);
        for row in 0..n {
            self.products[row] = self.keep * self.products[row] + input(row) * target;
            for column in 0..=row {
                let at = row * (row + 1) / 2 + column;
                self.squares[at] = self.keep * self.squares[at] + input(row) * input(column);
            }
        }
        self.solve();
    }

    /// Solves `(squares + ridge) weights = products`.
    fn solve(&mut self) {
        let n = self.weights.len();
        let at = |row: usize, column: usize| row * (row + 1) / 2 + column;
        let mut factor = self.squares.clone();
        for row in 0..n {
            for column in 0..row {
                let (done, open) = factor.split_at_mut(at(row, 0));
                let past = &done[at(column, 0)..];
                let sum: f64 = past[..column].iter().zip(&*open).map(|(a, b)| a * b).sum();
                open[column] = (open[column] - sum) / past[column];
            }
            let square = factor[at(row, row)];
            let sum: f64 = factor[at(row, 0)..][..row].iter().map(|a| a * a).sum();
            let ridge = RIDGE * square + f64::MIN_POSITIVE;
            factor[at(row, row)] = (square + ridge - sum).max(ridge).sqrt();
        }
        for row in 0..n {
            let known = &factor[at(row, 0)..][..row];
            let sum: f64 = known.iter().zip(&self.weights).map(|(a, b)| a * b).sum();
            self.weights[row] = (self.products[row] - sum) / factor[at(row, row)];
        }
        for row in (0..n).rev() {
            let sum: f64 = (row + 1..n).map(|i| factor[at(i, row)] * self.weights[i]).sum();
            self.weights[row] = (self.weights[row] - sum) / factor[at(row, row)];
        }
    }
}

/// Which share of what is known each copy keeps from one observation to the next.
const KEEP: [f64; 5] = [1.0, 0.998, 0.99, 0.96, 0.9];

/// Two of each copy, and one.
const N_FORECASTS: usize = 2 * KEEP.len() + 1;

/// How fast a copy's level follows its errors.
const LEVEL: f64 = 0.3;

/// Of each input's mean square.
const RIDGE: f64 = 1e-6;
