//! Delta features: how features change over time.

use upbeat_core::{ConfigError, Continuity, FrameSpec, SampleIndex, Stage};

/// Settings of [`Delta`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeltaConfig {
    /// How the frames follow one another.
    pub frames: FrameSpec,
    /// Values in each frame, at least 1.
    pub n_values: usize,
    /// Frames that the polynomial is fitted to, odd, from 3 to 255. Default: 9.
    pub width: usize,
    /// Which derivative. Default: the first.
    pub order: DeltaOrder,
}

/// Which derivative a [`Delta`] takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeltaOrder {
    /// Velocity: the slope of a straight line through the frames.
    First,
    /// Acceleration: twice the curvature of a parabola through the frames.
    Second,
}

impl DeltaConfig {
    /// librosa's settings, for frames of `n_values` values.
    #[must_use]
    pub const fn new(frames: FrameSpec, n_values: usize) -> Self {
        Self { frames, n_values, width: 9, order: DeltaOrder::First }
    }
}

/// The derivative of each value over time, per frame, by a least-squares fit over `width` frames.
///
/// First order: `d[t] = Σ_i i · x[t + i] / Σ_i i²`; second order, with `q[i] = i² − mean(i²)`:
/// `d[t] = 2 Σ_i q[i] · x[t + i] / Σ_i q[i]²`, both over `i` from `−width/2` to `width/2`. That is the
/// Savitzky–Golay filter of `librosa.feature.delta(order=…)`. It needs frames on both sides: the value for
/// a frame comes `width / 2` (rounded down) frames later, which is the latency, and the first and last
/// such frames of a stream get none (librosa extrapolates the polynomial there).
///
/// # Examples
///
/// ```
/// use upbeat_core::{FrameSpec, SampleIndex, SampleRate, Stage};
/// use upbeat_features::delta::{Delta, DeltaConfig};
///
/// let frames = FrameSpec::new(1024, 256, SampleRate::new(16_000)?)?;
/// let mut config = DeltaConfig::new(frames, 1);
/// config.width = 3;
/// let mut delta = Delta::new(&config)?;
/// let mut seen = Vec::new();
/// for (t, value) in [(0, 1.0), (1, 3.0), (2, 7.0), (3, 7.0)] {
///     delta.process(SampleIndex(256 * t), &[value], |at, slope| seen.push((at.0, slope[0])));
/// }
/// assert_eq!(seen, [(256, 3.0), (512, 2.0)]);
/// assert_eq!(delta.latency(), 256);
/// # Ok::<(), upbeat_core::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Delta {
    frames: FrameSpec,
    n_values: usize,
    weights: Box<[f32]>,
    /// The last `width` frames, a ring of rows.
    history: Box<[f32]>,
    /// How many frames came since the start or a gap.
    seen: u64,
    slope: Box<[f32]>,
    continuity: Continuity,
}

impl Delta {
    /// Computes the weights and allocates the history.
    ///
    /// # Errors
    ///
    /// If a setting is out of its range.
    pub fn new(config: &DeltaConfig) -> Result<Self, ConfigError> {
        let DeltaConfig { frames, n_values, width, order } = *config;
        let values = 1..=1 << 16;
        ConfigError::require(values.contains(&n_values), "n_values", "from 1 to 65536", n_values)?;
        let odd = (3..=255).contains(&width) && width % 2 == 1;
        ConfigError::require(odd, "width", "odd, from 3 to 255", width)?;
        Ok(Self {
            frames,
            n_values,
            weights: weights(width, order),
            history: vec![0.0; width * n_values].into(),
            seen: 0,
            slope: vec![0.0; n_values].into(),
            continuity: Continuity::default(),
        })
    }
}

impl Stage for Delta {
    type In = [f32];
    type Out = [f32];

    /// # Panics
    ///
    /// If there are not `n_values` values.
    fn process(
        &mut self,
        at: SampleIndex,
        values: &[f32],
        mut emit: impl FnMut(SampleIndex, &[f32]),
    ) {
        assert_eq!(values.len(), self.n_values, "a frame holds n_values values");
        if self.continuity.advance(at, self.frames.hop_length() as u64).is_some() {
            self.seen = 0;
        }
        let width = self.weights.len();
        let newest = (self.seen % width as u64) as usize;
        self.history[newest * self.n_values..][..self.n_values].copy_from_slice(values);
        self.seen += 1;
        if self.seen < width as u64 {
            return;
        }
        self.slope.fill(0.0);
        for (i, weight) in self.weights.iter().enumerate() {
            let row = (newest + 1 + i) % width;
            let row = &self.history[row * self.n_values..][..self.n_values];
            for (slope, value) in self.slope.iter_mut().zip(row) {
                *slope += weight * value;
            }
        }
        emit(SampleIndex(at.0.wrapping_sub(self.latency())), &self.slope);
    }

    fn reset(&mut self) {
        self.seen = 0;
        self.continuity = Continuity::default();
    }

    fn latency(&self) -> u64 {
        (self.weights.len() / 2 * self.frames.hop_length()) as u64
    }
}

/// The weight of each frame, oldest first.
fn weights(width: usize, order: DeltaOrder) -> Box<[f32]> {
    let places = (0..width).map(|i| i as f64 - (width / 2) as f64);
    let shape: Vec<f64> = match order {
        DeltaOrder::First => places.collect(),
        DeltaOrder::Second => {
            let mean = places.clone().map(|i| i * i).sum::<f64>() / width as f64;
            places.map(|i| i * i - mean).collect()
        }
    };
    let factor = match order {
        DeltaOrder::First => 1.0,
        DeltaOrder::Second => 2.0,
    };
    let norm: f64 = shape.iter().map(|w| w * w).sum();
    shape.iter().map(|w| (factor * w / norm) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use upbeat_core::SampleRate;
    use upbeat_testkit::streaming::assert_streaming;
    use upbeat_testkit::{signal, streamed};
    use upbeat_window::Framer;

    fn config(width: usize, order: DeltaOrder) -> DeltaConfig {
        let frames = FrameSpec::new(4, 2, SampleRate::new(8000).unwrap()).unwrap();
        let mut config = DeltaConfig::new(frames, 4);
        (config.width, config.order) = (width, order);
        config
    }

    #[test]
    fn a_parabola_has_the_derivatives_of_a_parabola() {
        for (order, derivative) in
            [(DeltaOrder::First, [3.0, 5.0]), (DeltaOrder::Second, [2.0, 2.0])]
        {
            let mut delta = Delta::new(&config(9, order)).unwrap();
            let mut seen = Vec::new();
            for t in 0..10_u16 {
                let x = f32::from(t) - 3.0; // t² − 6t + 9: slope 2t − 6, which is 2 at frame 4
                delta.process(SampleIndex(u64::from(t) * 2), &[x * x + x; 4], |at, d| {
                    seen.push((at.0, d[0]));
                });
            }
            assert_eq!(seen.len(), 2);
            for (n, ((at, found), expected)) in seen.iter().zip(derivative).enumerate() {
                assert_eq!(*at, 8 + 2 * n as u64);
                assert!((found - expected).abs() < 1e-4, "{order:?} {found} {expected}");
            }
        }
    }

    #[test]
    fn settings_out_of_range_are_named() {
        for width in [0, 1, 8, 257] {
            let error = Delta::new(&config(width, DeltaOrder::First)).unwrap_err();
            assert_eq!(error.parameter(), "width");
        }
        let mut none = config(9, DeltaOrder::First);
        none.n_values = 0;
        assert_eq!(Delta::new(&none).unwrap_err().parameter(), "n_values");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn any_split_gives_the_same(half in 1_usize..6, second: bool, seed: u64) {
            let order = if second { DeltaOrder::Second } else { DeltaOrder::First };
            let config = config(2 * half + 1, order);
            let delta = Delta::new(&config).unwrap();
            let make = || streamed!(Framer::new(config.frames).then(delta.clone()));
            assert_streaming(make, &signal::noise(1.0, seed, 300), 1, seed);
        }
    }
}
