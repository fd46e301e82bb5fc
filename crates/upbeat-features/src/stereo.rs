//! How wide a stereo sound is, how alike its channels are, and where it leans.

use upbeat_core::{ConfigError, FrameSpec, SampleIndex, Stage};
use upbeat_window::Framer;

/// The stereo image of one frame; `None` where the frame gives no answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StereoImage {
    /// The side's share of the energy, `S / (M + S)` with mid `(l + r) / 2` and side `(l − r) / 2`:
    /// 0 for mono, 0.5 for unrelated channels, 1 for channels of opposite sign. `None` for silence.
    pub width: Option<f32>,
    /// The correlation of the channels, `Σ l r / √(Σ l² Σ r²)`, from −1 to 1. `None` where one is silent.
    pub correlation: Option<f32>,
    /// The right channel's energy less the left's over their sum, from −1, left, to 1, right. `None` for
    /// silence.
    pub balance: Option<f32>,
}

/// Width, correlation and balance of stereo sound, frame by frame.
///
/// Consumes interleaved samples of two channels in blocks of any size, and emits a [`StereoImage`] for each
/// frame of `frame_length` samples per channel, one every `hop_length`, at the index of the frame's first
/// sample; the first one when `frame_length` samples have come. After a gap framing starts anew. Samples
/// that cannot be sound count as 0. Silent is what has a mean energy below −160 dB.
///
/// Sums run over the frame anew each time, so that nothing drifts. Latency: `frame_length − 1` samples.
///
/// # Examples
///
/// ```
/// use upbeat_core::{FrameSpec, SampleIndex, SampleRate, Stage};
/// use upbeat_features::stereo::Stereo;
///
/// let mut stereo = Stereo::new(FrameSpec::new(4, 4, SampleRate::new(48_000)?)?)?;
/// stereo.process(SampleIndex(0), &[0.5, 0.0, -0.5, 0.0, 0.5, 0.0, -0.5, 0.0], |_, image| {
///     assert_eq!(image.balance, Some(-1.0)); // all on the left
///     assert_eq!(image.width, Some(0.5));
///     assert_eq!(image.correlation, None); // with silence
/// });
/// # Ok::<(), upbeat_core::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Stereo {
    /// Cuts the interleaved samples, two per sample index.
    framer: Framer,
    frame_length: usize,
}

impl Stereo {
    /// Allocates all that will ever be needed.
    ///
    /// # Errors
    ///
    /// If frame or hop is longer than half of [`FrameSpec::MAX_LENGTH`].
    pub fn new(frames: FrameSpec) -> Result<Self, ConfigError> {
        let (frame_length, hop_length) = (frames.frame_length(), frames.hop_length());
        let interleaved = FrameSpec::new(2 * frame_length, 2 * hop_length, frames.sample_rate())?;
        Ok(Self { framer: Framer::new(interleaved), frame_length })
    }
}

impl Stage for Stereo {
    type In = [f32];
    type Out = StereoImage;

    /// # Panics
    ///
    /// If the block does not hold as many left as right samples.
    fn process(
        &mut self,
        at: SampleIndex,
        interleaved: &[f32],
        mut emit: impl FnMut(SampleIndex, &StereoImage),
    ) {
        assert_eq!(interleaved.len() % 2, 0, "a block holds whole samples of both channels");
        self.framer.process(SampleIndex(2 * at.0), interleaved, |at, frame| {
            emit(SampleIndex(at.0 / 2), &image(frame));
        });
    }

    fn reset(&mut self) {
        self.framer.reset();
    }

    fn latency(&self) -> u64 {
        self.frame_length as u64 - 1
    }
}

fn image(interleaved: &[f32]) -> StereoImage {
    // Four pairs at a time, so that it becomes vector code; f64, so that two sums cancel where they should.
    let (mut left, mut right, mut product) = ([0.0; 4], [0.0; 4], [0.0; 4]);
    let (chunks, rest) = interleaved.as_chunks::<8>();
    for chunk in chunks {
        for i in 0..4 {
            let (l, r) = (f64::from(chunk[2 * i]), f64::from(chunk[2 * i + 1]));
            left[i] += l * l;
            right[i] += r * r;
            product[i] += l * r;
        }
    }
    for pair in rest.chunks_exact(2) {
        let (l, r) = (f64::from(pair[0]), f64::from(pair[1]));
        left[0] += l * l;
        right[0] += r * r;
        product[0] += l * r;
    }
    let [left, right, product] = [left, right, product].map(|sums| sums.iter().sum::<f64>());

    let silence = SILENCE * interleaved.len() as f64;
    let both = left + right;
    let heard = both > silence;
    StereoImage {
        // M + S is half of l² + r², S a quarter of l² + r² − 2 l r.
        width: heard.then(|| ((both - 2.0 * product) / (2.0 * both)).clamp(0.0, 1.0) as f32),
        correlation: (left > silence && right > silence)
            .then(|| (product / (left * right).sqrt()).clamp(-1.0, 1.0) as f32),
        balance: heard.then(|| ((right - left) / both) as f32),
    }
}

/// The mean square of what is silent: −160 dB.
const SILENCE: f64 = 1e-16;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use upbeat_core::SampleRate;
    use upbeat_testkit::signal::{interleave, noise, sine};
    use upbeat_testkit::streamed;
    use upbeat_testkit::streaming::{Bits, assert_streaming};

    impl Bits for StereoImage {
        fn bits(&self, into: &mut Vec<u64>) {
            [self.width, self.correlation, self.balance].bits(into);
        }
    }

    fn spec(frame_length: usize, hop_length: usize) -> FrameSpec {
        FrameSpec::new(frame_length, hop_length, SampleRate::new(48_000).unwrap()).unwrap()
    }

    fn image_of(left: &[f32], right: &[f32]) -> StereoImage {
        image(&interleave(&[left, right]))
    }

    fn assert_image(found: StereoImage, [width, correlation, balance]: [f32; 3], tolerance: f32) {
        for (found, expected) in
            [(found.width, width), (found.correlation, correlation), (found.balance, balance)]
        {
            assert!((found.unwrap() - expected).abs() <= tolerance, "{found:?} for {expected}");
        }
    }

    #[test]
    fn known_images() {
        let (a, b) = (noise(0.5, 1, 48_001), noise(0.5, 2, 48_001));
        let negative: Vec<f32> = a.iter().map(|x| -x).collect();
        let half: Vec<f32> = a.iter().map(|x| x / 2.0).collect();
        assert_image(image_of(&a, &a), [0.0, 1.0, 0.0], 1e-7);
        assert_image(image_of(&a, &negative), [1.0, -1.0, 0.0], 1e-7);
        assert_image(image_of(&a, &b), [0.5, 0.0, 0.0], 0.01);
        assert_image(image_of(&a, &half), [0.1, 1.0, -0.6], 1e-6);
        // A quarter of a period apart: r = cos 90°; an eighth: cos 45°.
        let tone = sine(480.0, 0.7, 48_000, 48_100);
        assert_image(image_of(&tone[..48_000], &tone[25..48_025]), [0.5, 0.0, 0.0], 1e-6);
        let r = std::f32::consts::FRAC_1_SQRT_2;
        let eighth = sine(600.0, 0.7, 48_000, 48_100);
        assert_image(
            image_of(&eighth[..48_000], &eighth[10..48_010]),
            [(1.0 - r) / 2.0, r, 0.0],
            1e-6,
        );
    }

    #[test]
    fn silence_has_no_image_and_a_silent_channel_no_correlation() {
        let (a, none) = (noise(0.5, 1, 64), vec![0.0; 64]);
        let nothing = StereoImage { width: None, correlation: None, balance: None };
        assert_eq!(image_of(&none, &none), nothing);
        assert_eq!(image_of(&[1e-30; 64], &[1e-30; 64]), nothing);
        let right = StereoImage { width: Some(0.5), correlation: None, balance: Some(1.0) };
        assert_eq!(image_of(&none, &a), right);
    }

    #[test]
    fn bad_samples_count_as_zero() {
        let mut stereo = Stereo::new(spec(2, 2)).unwrap();
        let mut seen = Vec::new();
        let block = [f32::NAN, 0.5, f32::INFINITY, 0.5];
        stereo.process(SampleIndex(0), &block, |_, image| seen.push(*image));
        assert_eq!(seen[0].balance, Some(1.0));
    }

    #[test]
    #[should_panic(expected = "both channels")]
    fn half_a_pair_is_a_callers_fault() {
        Stereo::new(spec(2, 2)).unwrap().process(SampleIndex(0), &[0.0; 3], |_, _| {});
    }

    #[test]
    fn a_frame_too_long_is_refused() {
        let frames = spec(FrameSpec::MAX_LENGTH, 512);
        assert_eq!(Stereo::new(frames).unwrap_err().parameter(), "frame_length");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn the_image_does_not_depend_on_blocks(
            seed: u64, frame_length in 1_usize..400, hop_length in 1_usize..500,
        ) {
            let input = noise(0.8, seed, 4000);
            let frames = spec(frame_length, hop_length);
            assert_streaming(|| streamed!(Stereo::new(frames).unwrap()), &input, 2, seed);
        }
    }
}
