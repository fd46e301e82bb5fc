//! The difference function that YIN and pYIN share.

use std::fmt;
use std::sync::Arc;

use upbeat_core::{ConfigError, FrameSpec};
use upbeat_fft::{Complex, ComplexToReal, RealToComplex};

/// What the difference function takes for the partners that samples near a frame's end do not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Edges {
    /// Zeros: `d(k) = Σ_{m<N} (y[m] − y[m + k])²`, as librosa does. The longer the period, the shallower
    /// the trough and the more it leans to short periods: a pure tone with `p` periods in the frame is
    /// found sharp by up to 80 / p cents (16 for five periods, 4 for twenty).
    #[default]
    Zeros,
    /// Only pairs within the frame count, more the fewer they are:
    /// `d(k) = N / (N − k) · Σ_{m<N−k} (y[m] − y[m + k])²`. For low pitches; not librosa's numbers.
    Pairs,
}

/// The cumulative mean normalised difference of a frame, for the lags of a range of pitches.
#[derive(Clone)]
pub(super) struct Difference {
    sample_rate: f64,
    edges: Edges,
    frame_length: usize,
    min_period: usize,
    max_period: usize,
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
    /// The frame and zeros behind it; then its autocorrelation.
    padded: Box<[f32]>,
    spectrum: Box<[Complex<f32>]>,
    scratch: Box<[Complex<f32>]>,
    /// d′ of lags 1, 2, … up to at least `max_period`.
    normalized: Box<[f32]>,
}

impl Difference {
    /// Plans the lags of the pitches from `fmin` to `fmax`, in Hz.
    pub(super) fn new(
        spec: FrameSpec,
        fmin: f64,
        fmax: f64,
        edges: Edges,
    ) -> Result<Self, ConfigError> {
        let (frame_length, sample_rate) = (spec.frame_length(), spec.sample_rate().as_f64());
        ConfigError::require(
            frame_length <= MAX_FRAME,
            "frame_length",
            "at most 1048576",
            frame_length,
        )?;
        ConfigError::require(fmin > 0.0, "fmin", "above 0 Hz", fmin)?;
        ConfigError::require(fmax > fmin, "fmax", "above fmin", fmax)?;
        ConfigError::require(
            fmax <= sample_rate / 2.0,
            "fmax",
            &format!("at most half the sample rate of {}", spec.sample_rate()),
            fmax,
        )?;
        // A period too long for `usize` saturates, and does not fit into any frame.
        let max_period = (sample_rate / fmin).ceil() as usize;
        ConfigError::require(
            max_period <= frame_length / 2,
            "fmin",
            &format!(
                "at least {:.2} Hz where two periods must fit into a frame of {frame_length} samples at {}; \
                 for the fmin asked for, frame_length must be at least {}",
                sample_rate / (frame_length / 2) as f64,
                spec.sample_rate(),
                max_period.saturating_mul(2),
            ),
            fmin,
        )?;
        let min_period = (sample_rate / fmax) as usize;

        let fft_length = fast_length(frame_length + max_period + 1);
        let forward = upbeat_fft::plan_forward(fft_length);
        let inverse = upbeat_fft::plan_inverse(fft_length);
        let scratch = forward.get_scratch_len().max(inverse.get_scratch_len());
        Ok(Self {
            sample_rate,
            edges,
            frame_length,
            min_period,
            max_period,
            padded: vec![0.0; fft_length].into(),
            spectrum: forward.make_output_vec().into(),
            scratch: vec![Complex::default(); scratch].into(),
            normalized: vec![0.0; max_period.next_multiple_of(LANES)].into(),
            forward,
            inverse,
        })
    }

    /// Takes a frame; false where there is no sound in it, and nothing to look at.
    pub(super) fn update(&mut self, frame: &[f32]) -> bool {
        assert_eq!(frame.len(), self.frame_length, "a frame holds frame_length samples");
        self.autocorrelate(frame);
        let energy = self.padded[0];
        if !(energy > SILENCE && energy < f32::INFINITY) {
            return false;
        }

        match self.edges {
            Edges::Zeros => self.normalize(frame, |difference, _, _| difference),
            Edges::Pairs => {
                let length = frame.len() as f32;
                self.normalize(frame, |difference, tail, lag| {
                    (difference - tail).max(0.0) * length / (length - lag)
                });
            }
        }
        true
    }

    /// Fills in d′; `at_edge` makes the difference of d that takes zeros beyond the frame, the energy of
    /// the last samples, those without a partner, and their number, the lag.
    fn normalize(&mut self, frame: &[f32], at_edge: impl Fn(f32, f32, f32) -> f32) {
        let energy = self.padded[0];
        let floor = ROUNDING * energy;
        let (mut head, mut tail, mut sum) = (0.0, 0.0, 0.0);
        let rows = self.normalized.as_chunks_mut::<LANES>().0.iter_mut();
        let lags = self.padded[1..].as_chunks::<LANES>().0;
        let first = frame.as_chunks::<LANES>().0;
        let last = frame.as_rchunks::<LANES>().1.iter().rev();
        let mut lag = [1.0, 2.0, 3.0, 4.0];
        for (((row, correlations), first), [d, c, b, a]) in rows.zip(lags).zip(first).zip(last) {
            let heads = prefix_sums(head, first.map(|x| x * x));
            let tails = prefix_sums(tail, [a, b, c, d].map(|x| x * x));
            let mut differences = [0.0; LANES];
            for i in 0..LANES {
                // Rounding can push a difference of nearly 0 below it.
                let zeros_beyond = (2.0 * (energy - correlations[i]) - heads[i]).max(0.0);
                differences[i] = at_edge(zeros_beyond, tails[i], lag[i]);
            }
            let sums = prefix_sums(sum, differences);
            for i in 0..LANES {
                row[i] = (differences[i] + floor) * lag[i] / (sums[i] + floor * lag[i]);
                lag[i] += LANES as f32;
            }
            (head, tail, sum) = (heads[LANES - 1], tails[LANES - 1], sums[LANES - 1]);
        }
    }

    /// d′ of the lags from the shortest period on.
    pub(super) fn normalized(&self) -> &[f32] {
        &self.normalized[self.min_period - 1..self.max_period]
    }

    /// The indices into [`normalized`](Self::normalized) of its local minima, from short periods to
    /// long ones.
    pub(super) fn troughs(&self) -> impl Iterator<Item = usize> {
        let values = self.normalized();
        let last = values.len() - 1;
        (0..=last).filter(move |&i| {
            let falls = i == 0 || values[i] < values[i - 1];
            let rises = match i {
                0 => values[0] < values[1],
                i if i == last => true,
                i => values[i] <= values[i + 1],
            };
            falls && rises
        })
    }

    /// The frequency in Hz of the trough at `index`, refined by a parabola through its neighbours.
    pub(super) fn frequency(&self, index: usize) -> f64 {
        let values = self.normalized();
        let shift = if index == 0 || index + 1 == values.len() {
            0.0
        } else {
            let curvature = values[index + 1] + values[index - 1] - 2.0 * values[index];
            let slope = (values[index + 1] - values[index - 1]) / 2.0;
            if slope.abs() >= curvature.abs() { 0.0 } else { -slope / curvature }
        };
        self.sample_rate / ((self.min_period + index) as f64 + f64::from(shift))
    }

    /// How little the frame resembles itself one period later, the period being that of `index`.
    ///
    /// 1 − r, where r is the correlation of the samples that have a partner with their partners, so that
    /// long periods are not at a disadvantage as they are in d′. From 0, periodic, to 2.
    pub(super) fn aperiodicity(&self, frame: &[f32], index: usize) -> f32 {
        let period = self.min_period + index;
        let energy = self.padded[0];
        let head = energy_of(&frame[..period]);
        let tail = energy_of(&frame[frame.len() - period..]);
        let mean = energy - f32::midpoint(head, tail);
        // Where all the energy is in the margins, there is no period to see.
        if mean > ROUNDING * energy {
            (1.0 - self.padded[period] / mean).clamp(0.0, 2.0)
        } else {
            1.0
        }
    }

    fn autocorrelate(&mut self, frame: &[f32]) {
        let (filled, zeros) = self.padded.split_at_mut(self.frame_length);
        filled.copy_from_slice(frame);
        zeros.fill(0.0);
        // The transforms fail on wrong lengths only, and the lengths are the plans' own.
        let done = self.forward.process_with_scratch(
            &mut self.padded,
            &mut self.spectrum,
            &mut self.scratch[..self.forward.get_scratch_len()],
        );
        debug_assert!(done.is_ok());
        let scale = 1.0 / self.padded.len() as f32;
        for bin in &mut self.spectrum {
            *bin = Complex::new(bin.norm_sqr() * scale, 0.0);
        }
        let done = self.inverse.process_with_scratch(
            &mut self.spectrum,
            &mut self.padded,
            &mut self.scratch[..self.inverse.get_scratch_len()],
        );
        debug_assert!(done.is_ok());
    }
}

impl fmt::Debug for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Difference")
            .field("frame_length", &self.frame_length)
            .field("periods", &(self.min_period..=self.max_period))
            .finish_non_exhaustive()
    }
}

/// The shortest length of at least `length` whose transforms are fast: a small number times a power of 2.
fn fast_length(length: usize) -> usize {
    let unit = (length.next_power_of_two() / 16).max(1);
    [9, 10, 11, 12, 14, 16]
        .map(|m| m * unit)
        .into_iter()
        .find(|&n| n >= length)
        .unwrap_or(16 * unit)
}

/// `sum` and the values so far, after each value. One addition deep, not four, from chunk to chunk.
fn prefix_sums(sum: f32, [a, b, c, d]: [f32; LANES]) -> [f32; LANES] {
    let ab = a + b;
    [sum + a, sum + ab, sum + (ab + c), sum + (ab + (c + d))]
}

/// The sum of squares, over eight accumulators so that it becomes vector code.
fn energy_of(samples: &[f32]) -> f32 {
    let (chunks, rest) = samples.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for chunk in chunks {
        for (sum, x) in sums.iter_mut().zip(chunk) {
            *sum += x * x;
        }
    }
    sums.iter().sum::<f32>() + rest.iter().map(|x| x * x).sum::<f32>()
}

/// Lags handled at once.
const LANES: usize = 4;
/// The longest frame accepted, in samples: 22 s at 48 kHz.
const MAX_FRAME: usize = 1 << 20;
/// A frame with less energy than this, 200 dB below a full-scale sample, is silent.
const SILENCE: f32 = 1e-20;
/// What rounding may leave of the frame's energy where it cancels, with room. Added to d above and below,
/// it makes d′ 1 where d is nothing but rounding, as for a constant.
const ROUNDING: f32 = 1e-5;
