use upbeat_core::{ConfigError, Continuity, FrameSpec, SampleIndex, Stage};

use crate::{Symmetry, WindowFunction};

/// Whether shifted copies of `window`, `hop_length` apart, add up to a constant (constant overlap-add):
/// `Σ_k w[n + k · hop_length]` is within 1e-10 of its median for all `n`.
///
/// The same as `scipy.signal.check_COLA`. Then frames that were tapered by `window` add up to the signal
/// they came from, but for a factor.
///
/// # Errors
///
/// If `window` is empty, or `hop_length` is 0 or longer than it.
///
/// ```
/// use upbeat_window::{Symmetry, WindowFunction, check_cola};
///
/// let hann = WindowFunction::Hann.table_f64(512, Symmetry::Periodic)?;
/// assert!(check_cola(&hann, 256)? && check_cola(&hann, 128)? && !check_cola(&hann, 200)?);
/// # Ok::<(), upbeat_core::ConfigError>(())
/// ```
pub fn check_cola(window: &[f64], hop_length: usize) -> Result<bool, ConfigError> {
    check_lengths(window.len(), hop_length)?;
    let sums = shifted_sums(window.iter().copied(), hop_length);
    let mut sorted = sums.clone();
    sorted.sort_by(f64::total_cmp);
    let middle = f64::midpoint(sorted[(hop_length - 1) / 2], sorted[hop_length / 2]);
    Ok(sums.iter().all(|sum| (sum - middle).abs() < TOLERANCE))
}

/// Whether shifted copies of the squared `window`, `hop_length` apart, leave no place at zero (nonzero
/// overlap-add): `Σ_k w²[n + k · hop_length] > 1e-10` for all `n`.
///
/// The same as `scipy.signal.check_NOLA`. Then frames that were tapered by `window` can be put together
/// again, with `window` once more for synthesis.
///
/// # Errors
///
/// If `window` is empty, or `hop_length` is 0 or longer than it.
pub fn check_nola(window: &[f64], hop_length: usize) -> Result<bool, ConfigError> {
    check_lengths(window.len(), hop_length)?;
    let sums = shifted_sums(window.iter().map(|w| w * w), hop_length);
    Ok(sums.iter().all(|sum| *sum > TOLERANCE))
}

/// Settings of [`OverlapAdd`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct OverlapAddConfig {
    /// How the frames overlap; the hop must not exceed the frame.
    pub spec: FrameSpec,
    /// The periodic window that the frames were multiplied by. Default: Hann.
    pub analysis: WindowFunction,
    /// The periodic window they are multiplied by once more, which hides the seams between frames that
    /// were changed. Default: Hann; [`WindowFunction::Rectangular`] for none.
    pub synthesis: WindowFunction,
}

impl OverlapAddConfig {
    /// Hann windows for analysis and synthesis, as in librosa's `istft`.
    #[must_use]
    pub const fn new(spec: FrameSpec) -> Self {
        Self { spec, analysis: WindowFunction::Hann, synthesis: WindowFunction::Hann }
    }
}

/// Puts overlapping frames together again: frames in, samples out; the way back from
/// [`Framer`](crate::Framer).
///
/// With `a` the analysis window, `s` the synthesis window, `y_k` the frame at `k · hop_length`:
///
/// ```text
/// x[n] = Σ_k s[n − k·hop] y_k[n − k·hop] / Σ_k a[n − k·hop] s[n − k·hop]
/// ```
///
/// which is the signal itself where `y_k` are its frames times `a`. Each frame completes the `hop_length`
/// samples from its own first one on, which are emitted as one block. The sum below the line is that of a
/// stream without beginning: the first `frame_length − hop_length` samples after a start or a gap lack the
/// frames before, and fade in as the windows do. Samples of the last frames that wait for more when the
/// stream ends or breaks off are not emitted.
///
/// Latency: 0 after the frame; behind a [`Framer`](crate::Framer), its `frame_length − 1` samples.
///
/// # Examples
///
/// ```
/// use upbeat_core::{FrameSpec, SampleIndex, SampleRate, Stage};
/// use upbeat_window::{Framer, OverlapAdd, OverlapAddConfig, WindowFunction};
///
/// let spec = FrameSpec::new(4, 2, SampleRate::new(48_000)?)?;
/// let mut config = OverlapAddConfig::new(spec);
/// config.analysis = WindowFunction::Rectangular; // the frames come as the framer cuts them
/// config.synthesis = WindowFunction::Hann;
///
/// let mut chain = Framer::new(spec).then(OverlapAdd::new(&config)?);
/// let mut out = Vec::new();
/// chain.process(SampleIndex(0), &[0.1, 0.2, 0.3, 0.4, 0.5, 0.6], |_, samples| {
///     out.extend_from_slice(samples);
/// });
/// assert_eq!(out, [0.0, 0.1, 0.3, 0.4]); // exact from sample `frame_length - hop_length` on
/// # Ok::<(), upbeat_core::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct OverlapAdd {
    spec: FrameSpec,
    /// The synthesis window, divided by the sum of overlapping windows.
    window: Box<[f64]>,
    /// The frames added up so far, from the newest one's first sample on.
    sum: Box<[f64]>,
    done: Box<[f32]>,
    continuity: Continuity,
}

impl OverlapAdd {
    /// Allocates all that will ever be needed.
    ///
    /// # Errors
    ///
    /// If the hop is longer than the frame, a window's parameter is out of its range, or the windows leave
    /// samples that no frame holds (`Σ_k a s` must be above 1e-10 everywhere, as in [`check_nola`]).
    pub fn new(config: &OverlapAddConfig) -> Result<Self, ConfigError> {
        let OverlapAddConfig { spec, analysis, synthesis } = *config;
        let (frame_length, hop_length) = (spec.frame_length(), spec.hop_length());
        check_lengths(frame_length, hop_length)?;
        let analysis = analysis.table_f64(frame_length, Symmetry::Periodic)?;
        let mut window = synthesis.table_f64(frame_length, Symmetry::Periodic)?;
        let products = analysis.iter().zip(&window).map(|(a, s)| a * s);
        let sums = shifted_sums(products, hop_length);
        let least = sums.iter().copied().fold(f64::INFINITY, f64::min);
        let requirement = "short enough for the windows to overlap above zero everywhere";
        ConfigError::require(least > TOLERANCE, "hop_length", requirement, hop_length)?;
        for (weight, sum) in window.iter_mut().zip(sums.iter().cycle()) {
            *weight /= sum;
        }
        Ok(Self {
            spec,
            window: window.into(),
            sum: vec![0.0; frame_length].into(),
            done: vec![0.0; hop_length].into(),
            continuity: Continuity::default(),
        })
    }

    /// How the frames overlap.
    #[must_use]
    pub const fn spec(&self) -> FrameSpec {
        self.spec
    }
}

impl Stage for OverlapAdd {
    type In = [f32];
    type Out = [f32];

    /// # Panics
    ///
    /// If `frame` does not hold `frame_length` samples.
    fn process(
        &mut self,
        at: SampleIndex,
        frame: &[f32],
        mut emit: impl FnMut(SampleIndex, &[f32]),
    ) {
        assert_eq!(frame.len(), self.window.len(), "a frame holds frame_length samples");
        let hop_length = self.spec.hop_length();
        if self.continuity.advance(at, hop_length as u64).is_some() {
            self.sum.fill(0.0);
        }
        for ((sum, sample), weight) in self.sum.iter_mut().zip(frame).zip(&self.window) {
            *sum += f64::from(*sample) * weight;
        }
        for (done, sum) in self.done.iter_mut().zip(&self.sum) {
            *done = *sum as f32;
        }
        self.sum.copy_within(hop_length.., 0);
        let kept = self.sum.len() - hop_length;
        self.sum[kept..].fill(0.0);
        emit(at, &self.done);
    }

    fn reset(&mut self) {
        self.sum.fill(0.0);
        self.continuity = Continuity::default();
    }
}

fn check_lengths(frame_length: usize, hop_length: usize) -> Result<(), ConfigError> {
    ConfigError::require(frame_length >= 1, "frame_length", "at least 1", frame_length)?;
    ConfigError::require(hop_length >= 1, "hop_length", "at least 1", hop_length)?;
    ConfigError::require(hop_length <= frame_length, "hop_length", "at most the frame", hop_length)
}

/// `Σ_k w[n + k · hop_length]` for `n` below `hop_length`.
fn shifted_sums(window: impl Iterator<Item = f64>, hop_length: usize) -> Vec<f64> {
    let mut sums = vec![0.0; hop_length];
    for (n, value) in window.enumerate() {
        sums[n % hop_length] += value;
    }
    sums
}

/// scipy's.
const TOLERANCE: f64 = 1e-10;
