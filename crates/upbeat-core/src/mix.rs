use crate::{ConfigError, SampleIndex, Stage};

/// Turns interleaved samples of several channels into one: a weighted sum over channels.
///
/// `y[n] = Σ_c w[c] · x[n][c]`. Samples that cannot be sound count as 0 (see
/// [`sanitize`](crate::sanitize())). Emits the mixed samples in pieces of at most
/// [`Mix::PIECE`], in order, whatever the length of the block.
///
/// ```
/// use upbeat_core::{Mix, SampleIndex, Stage};
///
/// let mut mono = Mix::down(2)?;
/// mono.process(SampleIndex(0), &[0.2, 0.4, -1.0, 1.0], |_, samples| {
///     assert_eq!(samples, [0.3, 0.0]);
/// });
/// # Ok::<(), upbeat_core::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Mix {
    weights: Box<[f32]>,
    piece: Box<[f32]>,
    sanitized: u64,
}

impl Mix {
    /// The most samples emitted at once.
    pub const PIECE: usize = 256;
    /// The most channels accepted.
    pub const MAX_CHANNELS: usize = 1024;

    /// The sum over channels with the given `weights`, one per channel.
    ///
    /// # Errors
    ///
    /// If there is no channel, more than [`MAX_CHANNELS`](Self::MAX_CHANNELS), or a weight that is
    /// not finite.
    pub fn new(weights: &[f32]) -> Result<Self, ConfigError> {
        let channels = weights.len();
        ConfigError::require(channels >= 1, "channels", "at least 1", channels)?;
        ConfigError::require(channels <= Self::MAX_CHANNELS, "channels", "at most 1024", channels)?;
        for weight in weights {
            ConfigError::require(weight.is_finite(), "weights", "finite", weight)?;
        }
        Ok(Self { weights: weights.into(), piece: vec![0.0; Self::PIECE].into(), sanitized: 0 })
    }

    /// The mean of all channels.
    ///
    /// # Errors
    ///
    /// If `channels` is 0 or above [`MAX_CHANNELS`](Self::MAX_CHANNELS).
    pub fn down(channels: usize) -> Result<Self, ConfigError> {
        Self::new(&vec![1.0 / channels as f32; channels.min(Self::MAX_CHANNELS + 1)])
    }

    /// One channel of `channels`, counted from 0.
    ///
    /// # Errors
    ///
    /// If there is no such channel.
    pub fn channel(channels: usize, channel: usize) -> Result<Self, ConfigError> {
        ConfigError::require(channel < channels, "channel", "below the channel count", channel)?;
        ConfigError::require(channels <= Self::MAX_CHANNELS, "channels", "at most 1024", channels)?;
        let mut weights = vec![0.0; channels];
        weights[channel] = 1.0;
        Self::new(&weights)
    }

    /// The middle of a stereo pair, `(left + right) / 2`.
    #[must_use]
    pub fn mid() -> Self {
        Self::fixed([0.5, 0.5])
    }

    /// The side of a stereo pair, `(left − right) / 2`.
    #[must_use]
    pub fn side() -> Self {
        Self::fixed([0.5, -0.5])
    }

    /// How many samples could not be sound and counted as 0, since construction.
    #[must_use]
    pub const fn sanitized(&self) -> u64 {
        self.sanitized
    }

    fn fixed(weights: [f32; 2]) -> Self {
        Self { weights: weights.into(), piece: vec![0.0; Self::PIECE].into(), sanitized: 0 }
    }
}

impl Stage for Mix {
    type In = [f32];
    type Out = [f32];

    /// # Panics
    ///
    /// If the block is not a whole number of samples of all channels.
    fn process(
        &mut self,
        at: SampleIndex,
        interleaved: &[f32],
        mut emit: impl FnMut(SampleIndex, &[f32]),
    ) {
        let channels = self.weights.len();
        assert_eq!(interleaved.len() % channels, 0, "a block holds whole samples of all channels");
        let mut at = at;
        for block in interleaved.chunks(Self::PIECE * channels) {
            let piece = &mut self.piece[..block.len() / channels];
            for (mixed, all) in piece.iter_mut().zip(block.chunks_exact(channels)) {
                *mixed = 0.0;
                for (weight, sample) in self.weights.iter().zip(all) {
                    match crate::sanitize(*sample) {
                        Some(sample) => *mixed += weight * sample,
                        None => self.sanitized += 1,
                    }
                }
            }
            emit(at, piece);
            at += piece.len() as u64;
        }
    }

    fn reset(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mix(stage: &mut Mix, block: &[f32]) -> Vec<f32> {
        let mut out = Vec::new();
        stage.process(SampleIndex(0), block, |at, samples| {
            assert_eq!(at.0, out.len() as u64);
            out.extend_from_slice(samples);
        });
        out
    }

    #[test]
    fn mid_and_side_give_left_and_right_back() {
        let stereo: Vec<f32> = (0..2000_u16).map(|n| (f32::from(n) * 0.37).sin()).collect();
        let (mid, side) = (mix(&mut Mix::mid(), &stereo), mix(&mut Mix::side(), &stereo));
        for ((m, s), pair) in mid.iter().zip(&side).zip(stereo.chunks(2)) {
            assert!((m + s - pair[0]).abs() < 1e-6 && (m - s - pair[1]).abs() < 1e-6);
        }
        assert_eq!(mid.len(), 1000);
    }

    #[test]
    fn a_bad_sample_silences_itself_only_and_is_counted() {
        let mut stage = Mix::new(&[1.0, 1.0]).unwrap();
        assert_eq!(mix(&mut stage, &[f32::NAN, 0.5, 1.0, f32::INFINITY]), [0.5, 1.0]);
        assert_eq!(stage.sanitized(), 2);
    }

    #[test]
    fn one_channel_of_many() {
        let mut third = Mix::channel(4, 2).unwrap();
        assert_eq!(mix(&mut third, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]), [3.0, 7.0]);
        assert_eq!(Mix::channel(4, 4).unwrap_err().parameter(), "channel");
        assert_eq!(Mix::down(0).unwrap_err().parameter(), "channels");
        assert_eq!(Mix::down(usize::MAX).unwrap_err().parameter(), "channels");
        assert_eq!(Mix::new(&[f32::NAN]).unwrap_err().parameter(), "weights");
    }
}
