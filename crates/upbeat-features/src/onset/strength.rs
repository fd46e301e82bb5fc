use upbeat_core::{ConfigError, Continuity, FrameSpec, SampleIndex, Stage};

/// Settings of [`OnsetStrength`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OnsetStrengthConfig {
    /// How the frames were cut.
    pub frames: FrameSpec,
    /// Bands in each frame, from 1 to 2²⁰.
    pub n_bands: usize,
    /// Frames between the two that are compared, from 1 to 4096. Default: 1.
    pub lag: usize,
    /// Neighbouring bands whose maximum is taken in the earlier frame, from 1 to `n_bands`: 1 for the plain
    /// spectral flux, 3 and more for `SuperFlux`, which does not mistake vibrato for onsets. Default: 1.
    pub max_size: usize,
}

impl OnsetStrengthConfig {
    /// Plain spectral flux from one frame of `n_bands` bands to the next, librosa's default.
    #[must_use]
    pub const fn new(frames: FrameSpec, n_bands: usize) -> Self {
        Self { frames, n_bands, lag: 1, max_size: 1 }
    }
}

/// Onset strength: how much the bands have risen.
///
/// Consumes frames of `n_bands` levels in dB, finite ones, such as the logarithmic mel spectrogram; emits for
/// each frame `t`, in dB,
///
/// ```text
/// mean over b of max(0, S[b, t] − R[b, t − lag])
/// R[b, t] = max of S[j, t] for j from b − ⌊max_size / 2⌋ to b + ⌊(max_size − 1) / 2⌋
/// ```
///
/// and 0 for the first `lag` frames, after a gap also. This is
/// `librosa.onset.onset_strength(S=…, center=False)`. A value refers to the start of its frame, as all
/// values of frames do; the rise itself is where the frame's last samples are.
/// [`OnsetPicker`](super::OnsetPicker) makes sample indices of it. Latency: 0.
///
/// Source: Böck and Widmer, "Maximum filter vibrato suppression for onset detection", `DAFx` 2013; librosa
/// 0.11. Left out of it: librosa's `detrend`.
///
/// # Examples
///
/// ```
/// use upbeat_core::{FrameSpec, SampleIndex, SampleRate, Stage};
/// use upbeat_features::onset::{OnsetStrength, OnsetStrengthConfig};
///
/// let frames = FrameSpec::new(2048, 512, SampleRate::new(44_100)?)?;
/// let mut onset = OnsetStrength::new(&OnsetStrengthConfig::new(frames, 2))?;
/// let mut strengths = Vec::new();
/// for (at, bands) in [(0, [-60.0, -60.0]), (512, [-20.0, -60.0])] {
///     onset.process(SampleIndex(at), &bands, |_, strength| strengths.push(*strength));
/// }
/// assert_eq!(strengths, [0.0, 20.0]); // one band of two rose by 40 dB
/// # Ok::<(), upbeat_core::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct OnsetStrength {
    n_bands: usize,
    hop_length: u64,
    max_size: usize,
    /// The references of the last `lag` frames, a ring of rows.
    history: Box<[f32]>,
    /// Where in `history` the oldest row starts.
    oldest: usize,
    continuity: Continuity,
}

impl OnsetStrength {
    /// Allocates all that will ever be needed.
    ///
    /// # Errors
    ///
    /// If a setting is out of the range it states, or `n_bands` times `lag` exceeds 2²².
    pub fn new(config: &OnsetStrengthConfig) -> Result<Self, ConfigError> {
        let OnsetStrengthConfig { frames, n_bands, lag, max_size } = *config;
        ConfigError::require(
            (1..=1 << 20).contains(&n_bands),
            "n_bands",
            "from 1 to 1048576",
            n_bands,
        )?;
        ConfigError::require((1..=4096).contains(&lag), "lag", "from 1 to 4096", lag)?;
        ConfigError::require(n_bands * lag <= 1 << 22, "lag", "at most 4194304 / n_bands", lag)?;
        ConfigError::require(
            (1..=n_bands).contains(&max_size),
            "max_size",
            "from 1 to n_bands",
            max_size,
        )?;
        Ok(Self {
            n_bands,
            hop_length: frames.hop_length() as u64,
            max_size,
            history: vec![NOTHING_YET; n_bands * lag].into(),
            oldest: 0,
            continuity: Continuity::default(),
        })
    }
}

impl Stage for OnsetStrength {
    type In = [f32];
    type Out = f32;

    /// # Panics
    ///
    /// If `bands` does not hold `n_bands` levels.
    fn process(&mut self, at: SampleIndex, bands: &[f32], mut emit: impl FnMut(SampleIndex, &f32)) {
        assert_eq!(bands.len(), self.n_bands, "a frame holds one level per band");
        if self.continuity.advance(at, self.hop_length).is_some() {
            self.history.fill(NOTHING_YET);
        }
        let past = &mut self.history[self.oldest..][..self.n_bands];
        let strength = rise(bands, past) / self.n_bands as f32;
        if self.max_size == 1 {
            past.copy_from_slice(bands);
        } else {
            max_filter(bands, self.max_size, past);
        }
        self.oldest = (self.oldest + self.n_bands) % self.history.len();
        emit(at, &strength);
    }

    fn reset(&mut self) {
        self.history.fill(NOTHING_YET);
        self.continuity = Continuity::default();
    }
}

/// `Σ max(0, now − then)`, over eight accumulators so that it becomes vector code.
fn rise(now: &[f32], then: &[f32]) -> f32 {
    let (now, now_rest) = now.as_chunks::<8>();
    let (then, then_rest) = then.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for (now, then) in now.iter().zip(then) {
        for i in 0..8 {
            sums[i] += (now[i] - then[i]).max(0.0);
        }
    }
    let rest = now_rest.iter().zip(then_rest).map(|(now, then)| (now - then).max(0.0));
    sums.iter().sum::<f32>() + rest.sum::<f32>()
}

/// The largest of the `size` values around each, as `scipy.ndimage.maximum_filter1d` places them.
fn max_filter(values: &[f32], size: usize, out: &mut [f32]) {
    out.copy_from_slice(values);
    let (before, after) = (size / 2, (size - 1) / 2);
    let raise = |out: &mut [f32], values: &[f32]| {
        for (max, value) in out.iter_mut().zip(values) {
            *max = max.max(*value);
        }
    };
    for distance in 1..=before {
        raise(&mut out[distance..], values);
    }
    for distance in 1..=after {
        raise(out, &values[distance..]);
    }
}

/// No level rises above this one, so that a stage with no past emits 0.
const NOTHING_YET: f32 = f32::INFINITY;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};
    use upbeat_core::SampleRate;
    use upbeat_testkit::streamed;
    use upbeat_testkit::streaming::assert_streaming;
    use upbeat_window::Framer;

    fn spec() -> FrameSpec {
        FrameSpec::new(5, 3, SampleRate::new(100).unwrap()).unwrap()
    }

    /// The definition, read off a whole recording at once.
    fn naive(frames: &[[f32; 5]], lag: usize, max_size: usize) -> Vec<f32> {
        let reference = |t: usize, b: usize| {
            let first = b.saturating_sub(max_size / 2);
            let last = (b + (max_size - 1) / 2).min(4);
            frames[t][first..=last].iter().fold(f32::NEG_INFINITY, |max, level| max.max(*level))
        };
        let rise = |t: usize, b: usize| (frames[t][b] - reference(t - lag, b)).max(0.0);
        let flux = |t| (0..5).map(|b| rise(t, b)).sum::<f32>() / 5.0;
        (0..frames.len()).map(|t| if t < lag { 0.0 } else { flux(t) }).collect()
    }

    fn stream(onset: &mut OnsetStrength, from: u64, frames: &[[f32; 5]]) -> Vec<f32> {
        let mut out = Vec::new();
        for (t, frame) in (0..).zip(frames) {
            onset.process(SampleIndex(from + 3 * t), frame, |_, strength| out.push(*strength));
        }
        out
    }

    #[test]
    fn settings_that_cannot_work_are_refused() {
        let refused = |n_bands, lag, max_size| {
            let config = OnsetStrengthConfig { frames: spec(), n_bands, lag, max_size };
            OnsetStrength::new(&config).unwrap_err().parameter()
        };
        assert_eq!(refused(0, 1, 1), "n_bands");
        assert_eq!(refused(usize::MAX, 1, 1), "n_bands");
        assert_eq!(refused(4, 0, 1), "lag");
        assert_eq!(refused(4, usize::MAX, 1), "lag");
        assert_eq!(refused(1 << 20, 5, 1), "lag");
        assert_eq!(refused(4, 1, 0), "max_size");
        assert_eq!(refused(4, 1, 5), "max_size");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn streaming_equals_the_definition_also_after_reset_and_gap(
            frames in vec(any::<[i8; 5]>().prop_map(|levels| levels.map(f32::from)), 0..24),
            lag in 1_usize..5,
            max_size in 1_usize..=5,
        ) {
            let config = OnsetStrengthConfig { frames: spec(), n_bands: 5, lag, max_size };
            let mut onset = OnsetStrength::new(&config).unwrap();
            let expected = naive(&frames, lag, max_size);
            prop_assert_eq!(stream(&mut onset, 7, &frames), expected.clone());
            onset.reset();
            prop_assert_eq!(stream(&mut onset, 1, &frames), expected.clone());
            prop_assert_eq!(stream(&mut onset, 1000, &frames), expected);
        }

        #[test]
        fn strength_does_not_depend_on_blocks(levels in vec(-80.0_f32..0.0, 40..120), seed: u64) {
            let mut config = OnsetStrengthConfig::new(spec(), 5);
            (config.lag, config.max_size) = (2, 3);
            let make = || Framer::new(spec()).then(OnsetStrength::new(&config).unwrap());
            assert_streaming(|| streamed!(make()), &levels, 1, seed);
        }
    }
}
