use crate::ModelError;
use crate::linear::{MAX_SIZE, Matrix};

/// A convolution over this frame and past ones, with all channels mixed.
///
/// `y[t] = b + Σ_k W_k x[t − (kernel − 1 − k) · dilation]`, with zeros before the first frame: what
/// `PyTorch`'s `Conv1d` computes on an input padded with zeros on the left only.
#[derive(Clone, Debug)]
pub struct CausalConv {
    /// One matrix per tap, the oldest first.
    taps: Box<[Matrix]>,
    bias: Box<[f32]>,
    past: Past,
}

impl CausalConv {
    /// `weights` is `[outputs, inputs, kernel]`, as in `PyTorch`'s `Conv1d`; `bias` is `[outputs]`.
    ///
    /// # Errors
    ///
    /// If there are not as many weights as that, or a size is 0 or absurd.
    pub fn new(
        inputs: usize,
        outputs: usize,
        kernel: usize,
        dilation: usize,
        weights: &[f32],
        bias: &[f32],
    ) -> Result<Self, ModelError> {
        let past = Past::new(inputs, kernel, dilation)?;
        ModelError::require_length("length of the bias", bias.len(), outputs)?;
        let wanted = outputs.saturating_mul(inputs).saturating_mul(kernel);
        ModelError::require_length("number of weights", weights.len(), wanted)?;
        let taps = (0..kernel).map(|k| {
            let tap: Vec<f32> = weights.iter().skip(k).step_by(kernel).copied().collect();
            Matrix::of_rows(outputs, inputs, &tap)
        });
        Ok(Self { taps: taps.collect::<Result<_, _>>()?, bias: bias.into(), past })
    }

    /// Takes the next frame, and writes the outputs for it.
    ///
    /// # Panics
    ///
    /// If `input` or `output` has another length than this layer.
    pub fn forward(&mut self, input: &[f32], output: &mut [f32]) {
        self.past.push(input);
        output.copy_from_slice(&self.bias);
        for (k, tap) in self.taps.iter().enumerate() {
            tap.multiply_add(self.past.tap(k), output);
        }
    }

    /// Forgets all earlier frames.
    pub fn reset(&mut self) {
        self.past.frames.fill(0.0);
    }

    pub(crate) fn lengths(&self) -> [usize; 2] {
        [self.past.channels, self.bias.len()]
    }
}

/// A convolution over this frame and past ones, each channel by itself.
///
/// Followed by a [`CausalConv`] of kernel 1, or a [`Dense`](crate::Dense), it is a depthwise-separable
/// convolution: nearly as capable as a full one at a fraction of the cost.
#[derive(Clone, Debug)]
pub struct DepthwiseConv {
    /// `[kernel, channels]`, the oldest tap first.
    taps: Box<[f32]>,
    bias: Box<[f32]>,
    past: Past,
}

impl DepthwiseConv {
    /// `weights` is `[channels, 1, kernel]`, as in `PyTorch`'s `Conv1d` with as many groups as channels;
    /// `bias` is `[channels]`.
    ///
    /// # Errors
    ///
    /// If there are not as many weights as that, or a size is 0 or absurd.
    pub fn new(
        channels: usize,
        kernel: usize,
        dilation: usize,
        weights: &[f32],
        bias: &[f32],
    ) -> Result<Self, ModelError> {
        let past = Past::new(channels, kernel, dilation)?;
        ModelError::require_length("length of the bias", bias.len(), channels)?;
        ModelError::require_length("number of weights", weights.len(), channels * kernel)?;
        let taps = (0..kernel).flat_map(|k| weights.iter().skip(k).step_by(kernel).copied());
        Ok(Self { taps: taps.collect(), bias: bias.into(), past })
    }

    /// Takes the next frame, and writes the outputs for it.
    ///
    /// # Panics
    ///
    /// If `input` or `output` has another length than this layer.
    pub fn forward(&mut self, input: &[f32], output: &mut [f32]) {
        self.past.push(input);
        output.copy_from_slice(&self.bias);
        for (k, tap) in self.taps.chunks_exact(self.bias.len()).enumerate() {
            for ((y, w), x) in output.iter_mut().zip(tap).zip(self.past.tap(k)) {
                *y += w * x;
            }
        }
    }

    /// Forgets all earlier frames.
    pub fn reset(&mut self) {
        self.past.frames.fill(0.0);
    }

    pub(crate) fn lengths(&self) -> [usize; 2] {
        [self.past.channels; 2]
    }
}

/// The frames that a convolution reaches back to: a ring of `(kernel − 1) · dilation + 1`.
#[derive(Clone, Debug)]
struct Past {
    frames: Box<[f32]>,
    channels: usize,
    dilation: usize,
    newest: usize,
}

impl Past {
    fn new(channels: usize, kernel: usize, dilation: usize) -> Result<Self, ModelError> {
        ModelError::require((1..=MAX_SIZE).contains(&channels), "inputs", "1 to 65536", channels)?;
        ModelError::require((1..=MAX_KERNEL).contains(&kernel), "kernel", "1 to 1024", kernel)?;
        let fits = (1..=MAX_KERNEL).contains(&dilation);
        ModelError::require(fits, "dilation", "1 to 1024", dilation)?;
        let reach = (kernel - 1) * dilation + 1;
        let size = channels * reach;
        ModelError::require(size <= MAX_PAST, "memory of a convolution", "at most 2^24", size)?;
        Ok(Self { frames: vec![0.0; size].into(), channels, dilation, newest: 0 })
    }

    fn reach(&self) -> usize {
        self.frames.len() / self.channels
    }

    fn push(&mut self, frame: &[f32]) {
        assert_eq!(frame.len(), self.channels, "a frame holds one number per input");
        self.newest = (self.newest + 1) % self.reach();
        self.frames[self.newest * self.channels..][..self.channels].copy_from_slice(frame);
    }

    /// The frame of tap `k`, the oldest being tap 0.
    fn tap(&self, k: usize) -> &[f32] {
        // The slot after the newest is the oldest, which is as far back as tap 0 reaches.
        let slot = (self.newest + 1 + k * self.dilation) % self.reach();
        &self.frames[slot * self.channels..][..self.channels]
    }
}

const MAX_KERNEL: usize = 1024;

/// Numbers kept by one convolution: 64 MiB.
const MAX_PAST: usize = 1 << 24;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use upbeat_testkit::signal;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn streaming_equals_the_definition_also_after_reset(
            inputs in 1_usize..5,
            outputs in 1_usize..20,
            kernel in 1_usize..5,
            dilation in 1_usize..4,
            seed: u64,
        ) {
            let frames = signal::noise(1.0, seed, 12 * inputs);
            let weights = signal::noise(1.0, !seed, outputs * inputs * kernel);
            let bias = signal::noise(1.0, 3, outputs);
            let mut conv = CausalConv::new(inputs, outputs, kernel, dilation, &weights, &bias).unwrap();
            for _ in 0..2 {
                for t in 0..12 {
                    let mut y = vec![0.0; outputs];
                    conv.forward(&frames[t * inputs..][..inputs], &mut y);
                    for o in 0..outputs {
                        let mut sum = f64::from(bias[o]);
                        for (k, i) in (0..kernel).flat_map(|k| (0..inputs).map(move |i| (k, i))) {
                            if let Some(then) = t.checked_sub((kernel - 1 - k) * dilation) {
                                let w = weights[(o * inputs + i) * kernel + k];
                                sum += f64::from(w) * f64::from(frames[then * inputs + i]);
                            }
                        }
                        prop_assert!((sum - f64::from(y[o])).abs() < 1e-5);
                    }
                }
                conv.reset();
            }
        }

        #[test]
        fn depthwise_is_a_full_convolution_with_a_diagonal(
            channels in 1_usize..20,
            kernel in 1_usize..5,
            dilation in 1_usize..4,
            seed: u64,
        ) {
            let weights = signal::noise(1.0, seed, channels * kernel);
            let bias = signal::noise(1.0, 3, channels);
            let mut diagonal = vec![0.0; channels * channels * kernel];
            for c in 0..channels {
                diagonal[(c * channels + c) * kernel..][..kernel]
                    .copy_from_slice(&weights[c * kernel..][..kernel]);
            }
            let mut full =
                CausalConv::new(channels, channels, kernel, dilation, &diagonal, &bias).unwrap();
            let mut depthwise =
                DepthwiseConv::new(channels, kernel, dilation, &weights, &bias).unwrap();
            for t in 0..12 {
                let x = signal::noise(1.0, t, channels);
                let (mut a, mut b) = (vec![0.0; channels], vec![0.0; channels]);
                full.forward(&x, &mut a);
                depthwise.forward(&x, &mut b);
                prop_assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-5));
            }
        }
    }

    #[test]
    fn absurd_sizes_are_refused_before_anything_is_allocated() {
        for (inputs, kernel, dilation) in [
            (0, 1, 1),
            (1, 0, 1),
            (1, 1, 0),
            (usize::MAX, 1, 1),
            (1, usize::MAX, 1),
            (65_536, 1024, 1024),
        ] {
            assert!(CausalConv::new(inputs, 1, kernel, dilation, &[], &[0.0]).is_err());
            assert!(DepthwiseConv::new(inputs, kernel, dilation, &[], &[]).is_err());
        }
    }
}
