//! Delta features: how fast other features change.

use std::sync::Arc;

use upbeat_core::{ConfigError, Continuity, FrameSpec, SampleIndex, Stage};

/// Settings of [`Delta`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct DeltaConfig {
    /// How the frames behind the features were cut.
    pub frames: FrameSpec,
    /// Values in each row of features, from 1 to 65536.
    pub n_values: usize,
    /// Rows that a polynomial is fitted to: odd, from 3 to 255. Default: 9.
    pub width: usize,
    /// Which derivative to emit, which is also the polynomial's degree: from 1 to 4, below `width`.
    /// Default: 1.
    pub order: usize,
}

impl DeltaConfig {
    /// librosa's settings, for rows of `n_values` features of frames cut like this.
    #[must_use]
    pub const fn new(frames: FrameSpec, n_values: usize) -> Self {
        Self { frames, n_values, width: 9, order: 1 }
    }
}

/// The derivative of each feature over time, per frame, of a polynomial fitted to `width` rows.
///
/// For order 1, `Δ[t] = Σ_k k · x[t + k] / Σ_k k²` with `k` from `−width / 2` to `width / 2`; in general
/// the derivative at the middle of the polynomial of degree `order` that fits best (least squares):
/// `librosa.feature.delta`, after Savitzky and Golay, "Smoothing and differentiation of data by
/// simplified least squares procedures", Anal. Chem. 1964.
///
/// A value refers to the row in the middle and comes `width / 2` hops after it. For the first and last
/// `width / 2` rows of a stream, and those about a gap, nothing is emitted: librosa extrapolates there
/// (`mode="interp"`); everywhere else the values are its.
///
/// Latency: `width / 2` hops (rounded down).
///
/// ```
/// use upbeat_core::{FrameSpec, SampleIndex, SampleRate, Stage};
/// use upbeat_features::delta::{Delta, DeltaConfig};
///
/// let frames = FrameSpec::new(2048, 512, SampleRate::new(44_100)?)?;
/// let mut config = DeltaConfig::new(frames, 1);
/// config.width = 3;
/// let mut delta = Delta::new(&config)?;
/// let mut seen = Vec::new();
/// for (at, value) in [(0, 1.0), (512, 2.0), (1024, 5.0), (1536, 5.0)] {
///     delta.process(SampleIndex(at), &[value], |at, change| seen.push((at.0, change[0])));
/// }
/// assert_eq!(seen, [(512, 2.0), (1024, 1.5)]);
/// # Ok::<(), upbeat_core::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Delta {
    frames: FrameSpec,
    n_values: usize,
    /// The weight of each row, the oldest first.
    weights: Arc<[f32]>,
    /// The last `width` rows, a ring.
    history: Box<[f32]>,
    /// How many rows there were since the stream began, or since the last gap.
    heard: usize,
    changes: Box<[f32]>,
    continuity: Continuity,
}

impl Delta {
    /// Allocates all that will ever be needed.
    ///
    /// # Errors
    ///
    /// If a setting is outside its range.
    pub fn new(config: &DeltaConfig) -> Result<Self, ConfigError> {
        let DeltaConfig { frames, n_values, width, order } = *config;
        let holds = (1..=1 << 16).contains(&n_values);
        ConfigError::require(holds, "n_values", "from 1 to 65536", n_values)?;
        let holds = (3..=255).contains(&width) && width % 2 == 1;
        ConfigError::require(holds, "width", "odd, from 3 to 255", width)?;
        let holds = (1..=4).contains(&order) && order < width;
        ConfigError::require(holds, "order", "from 1 to 4, below width", order)?;
        Ok(Self {
            frames,
            n_values,
            weights: weights(width, order).into_iter().map(|weight| weight as f32).collect(),
            history: vec![0.0; n_values * width].into(),
            heard: 0,
            changes: vec![0.0; n_values].into(),
            continuity: Continuity::default(),
        })
    }
}

impl Stage for Delta {
    type In = [f32];
    type Out = [f32];

    /// # Panics
    ///
    /// If the row does not hold `n_values` values.
    fn process(&mut self, at: SampleIndex, row: &[f32], mut emit: impl FnMut(SampleIndex, &[f32])) {
        assert_eq!(row.len(), self.n_values, "a row holds n_values values");
        if self.continuity.advance(at, self.frames.hop_length() as u64).is_some() {
            self.heard = 0;
        }
        let width = self.weights.len();
        let slot = self.heard % width;
        self.history[slot * self.n_values..][..self.n_values].copy_from_slice(row);
        self.heard += 1;
        if self.heard < width {
            return;
        }
        self.changes.fill(0.0);
        // The oldest row lies after the newest one.
        let (newer, older) = self.history.split_at((slot + 1) * self.n_values);
        let rows = older.chunks_exact(self.n_values).chain(newer.chunks_exact(self.n_values));
        for (row, weight) in rows.zip(&*self.weights) {
            for (change, x) in self.changes.iter_mut().zip(row) {
                *change += weight * x;
            }
        }
        emit(SampleIndex(at.0 - self.latency()), &self.changes);
    }

    fn reset(&mut self) {
        self.heard = 0;
        self.continuity = Continuity::default();
    }

    fn latency(&self) -> u64 {
        (self.weights.len() / 2 * self.frames.hop_length()) as u64
    }
}

/// The weights whose sum with `width` values is the derivative in the middle.
///
/// With the monic orthogonal polynomials `q` over the positions, the fit's leading coefficient is
/// `⟨q, x⟩ / ⟨q, q⟩`, and its derivative of that order `order!` times it.
fn weights(width: usize, order: usize) -> Vec<f64> {
    let half = (width / 2) as f64;
    let positions: Vec<f64> = (0..width).map(|i| i as f64 - half).collect();
    let square = |q: &[f64]| q.iter().map(|q| q * q).sum::<f64>();
    // q[j + 1] = x q[j] − (⟨q[j], q[j]⟩ / ⟨q[j − 1], q[j − 1]⟩) q[j − 1]; even and odd ones alternate.
    let mut before = vec![0.0; width];
    let mut q = vec![1.0; width];
    let mut factorial = 1.0;
    for j in 0..order {
        let ratio = if j == 0 { 0.0 } else { square(&q) / square(&before) };
        let next = (0..width).map(|i| positions[i] * q[i] - ratio * before[i]).collect();
        before = std::mem::replace(&mut q, next);
        factorial *= (j + 1) as f64;
    }
    let norm = factorial / square(&q);
    q.into_iter().map(|q| q * norm).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use upbeat_core::SampleRate;
    use upbeat_testkit::streaming::assert_streaming;
    use upbeat_testkit::{signal, streamed};
    use upbeat_window::Framer;

    fn frames(hop: usize) -> FrameSpec {
        FrameSpec::new(3, hop, SampleRate::new(16_000).unwrap()).unwrap()
    }

    #[test]
    fn absurd_settings_are_refused_by_name() {
        let refused = |change: fn(&mut DeltaConfig)| {
            let mut config = DeltaConfig::new(frames(1), 2);
            change(&mut config);
            Delta::new(&config).unwrap_err().parameter()
        };
        assert_eq!(refused(|c| c.n_values = 0), "n_values");
        assert_eq!(refused(|c| c.n_values = usize::MAX), "n_values");
        assert_eq!(refused(|c| c.width = 4), "width");
        assert_eq!(refused(|c| c.width = usize::MAX), "width");
        assert_eq!(refused(|c| c.order = 0), "order");
        assert_eq!(refused(|c| (c.width, c.order) = (3, 3)), "order");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// A polynomial of the fitted degree is its own best fit, whatever is added that is
        /// orthogonal to it.
        #[test]
        fn polynomials_have_their_derivatives(half in 2_usize..20, order in 1_usize..5, c in -3.0_f64..3.0) {
            let width = 2 * half + 1;
            prop_assume!(order < width);
            let weights = weights(width, order);
            let factorial = [1.0, 1.0, 2.0, 6.0, 24.0];
            for power in 0..=order {
                let value = |i: usize| c * (i as f64 - half as f64).powi(power as i32);
                let found: f64 = weights.iter().enumerate().map(|(i, w)| w * value(i)).sum();
                let expected = if power == order { c * factorial[order] } else { 0.0 };
                prop_assert!((found - expected).abs() < 1e-9 * (1.0 + c.abs()) * factorial[order]);
            }
        }

        #[test]
        fn any_split_gives_the_same(hop in 1_usize..20, half in 1_usize..6, seed: u64) {
            let mut config = DeltaConfig::new(frames(hop), 3);
            config.width = 2 * half + 1;
            let delta = Delta::new(&config).unwrap();
            let make = || streamed!(Framer::new(config.frames).then(delta.clone()));
            assert_streaming(make, &signal::noise(1.0, seed, 400), 1, seed);
        }
    }
}
