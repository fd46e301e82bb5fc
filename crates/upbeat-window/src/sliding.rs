use upbeat_core::{ConfigError, Continuity, FrameSpec, SampleIndex, SampleRate};

use crate::clean::{copy_clean, count_bad};

/// Settings of [`SlidingWindow`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlidingWindowConfig {
    /// How many samples are kept, from 1 to 2²⁵ (12 minutes at 48 kHz).
    pub length: usize,
    /// The rate of the samples.
    pub sample_rate: SampleRate,
}

impl SlidingWindowConfig {
    /// Keeps the newest `length` samples.
    #[must_use]
    pub const fn new(length: usize, sample_rate: SampleRate) -> Self {
        Self { length, sample_rate }
    }

    /// Keeps the newest `seconds`.
    #[must_use]
    pub fn seconds(seconds: f64, sample_rate: SampleRate) -> Self {
        let length = usize::try_from(sample_rate.samples(seconds)).unwrap_or(usize::MAX);
        Self::new(length, sample_rate)
    }
}

/// The newest samples of a stream, any stretch of them as one slice.
///
/// Keeps up to `length` samples without a gap between them: after a gap it starts anew. Samples that
/// cannot be sound count as 0 (see [`sanitize`](upbeat_core::sanitize())). A slice comes with the index
/// of its first sample, and costs nothing: every sample is written twice, half the buffer apart, so that
/// any stretch lies in one piece.
///
/// # Examples
///
/// ```
/// use upbeat_core::{FrameSpec, SampleIndex, SampleRate};
/// use upbeat_window::{SlidingWindow, SlidingWindowConfig};
///
/// let rate = SampleRate::new(10)?;
/// let mut window = SlidingWindow::new(&SlidingWindowConfig::seconds(0.5, rate))?;
/// window.push(SampleIndex(0), &[0.0, 0.1, 0.2, 0.3]);
/// window.push(SampleIndex(4), &[0.4, 0.5, 0.6]);
///
/// assert_eq!(window.newest(2), (SampleIndex(5), &[0.5, 0.6][..]));
/// assert_eq!(window.newest_seconds(0.3), (SampleIndex(4), &[0.4, 0.5, 0.6][..]));
/// assert_eq!(window.before(SampleIndex(4), 2), Some((SampleIndex(2), &[0.2, 0.3][..])));
/// assert_eq!(window.before(SampleIndex(4), 9), Some((SampleIndex(2), &[0.2, 0.3][..]))); // 2 are left
///
/// let pairs = FrameSpec::new(2, 1, rate)?;
/// let last_two: Vec<_> = window.last_frames(2, pairs).collect();
/// assert_eq!(last_two, [(SampleIndex(4), &[0.4, 0.5][..]), (SampleIndex(5), &[0.5, 0.6][..])]);
/// # Ok::<(), upbeat_core::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct SlidingWindow {
    sample_rate: SampleRate,
    /// Two halves with the same samples.
    buffer: Box<[f32]>,
    /// Where in a half the next sample goes.
    write: usize,
    /// How many samples are kept now.
    held: usize,
    /// Index of the sample to come.
    end: SampleIndex,
    continuity: Continuity,
    sanitized: u64,
}

impl SlidingWindow {
    /// The most samples kept.
    pub const MAX_LENGTH: usize = 1 << 25;

    /// Allocates all that will ever be needed.
    ///
    /// # Errors
    ///
    /// If `length` is 0 or above [`MAX_LENGTH`](Self::MAX_LENGTH).
    pub fn new(config: &SlidingWindowConfig) -> Result<Self, ConfigError> {
        let SlidingWindowConfig { length, sample_rate } = *config;
        ConfigError::require(length >= 1, "length", "at least 1", length)?;
        ConfigError::require(length <= Self::MAX_LENGTH, "length", "at most 33554432", length)?;
        Ok(Self {
            sample_rate,
            buffer: vec![0.0; 2 * length].into(),
            write: 0,
            held: 0,
            end: SampleIndex(0),
            continuity: Continuity::default(),
            sanitized: 0,
        })
    }

    /// Takes the next samples, the first of which has index `at`; the oldest make room.
    pub fn push(&mut self, at: SampleIndex, samples: &[f32]) {
        if self.continuity.advance(at, samples.len() as u64).is_some() {
            self.held = 0;
        }
        self.end = at + samples.len() as u64;
        let length = self.length();
        let (passing, mut kept) = samples.split_at(samples.len().saturating_sub(length));
        self.sanitized += count_bad(passing);
        self.held = (self.held + samples.len()).min(length);
        let (first, second) = self.buffer.split_at_mut(length);
        while !kept.is_empty() {
            let (run, rest) = kept.split_at(kept.len().min(length - self.write));
            let place = self.write..self.write + run.len();
            self.sanitized += copy_clean(run, &mut first[place.clone()]);
            second[place.clone()].copy_from_slice(&first[place.clone()]);
            self.write = if place.end == length { 0 } else { place.end };
            kept = rest;
        }
    }

    /// Forgets all samples.
    pub fn reset(&mut self) {
        self.held = 0;
        self.end = SampleIndex(0);
        self.continuity = Continuity::default();
    }

    /// The newest `length` samples; fewer where fewer are kept.
    #[must_use]
    pub fn newest(&self, length: usize) -> (SampleIndex, &[f32]) {
        self.ending(0, length)
    }

    /// The newest `seconds` of samples; less where less is kept.
    #[must_use]
    pub fn newest_seconds(&self, seconds: f64) -> (SampleIndex, &[f32]) {
        self.newest(usize::try_from(self.sample_rate.samples(seconds)).unwrap_or(usize::MAX))
    }

    /// The `length` samples just before the one at `at`, or fewer where the older ones are not kept.
    ///
    /// `None` if nothing is known about that point: it lies before what is kept, or in the future.
    #[must_use]
    pub fn before(&self, at: SampleIndex, length: usize) -> Option<(SampleIndex, &[f32])> {
        let back = usize::try_from(self.end.0.wrapping_sub(at.0)).ok()?;
        (back <= self.held).then(|| self.ending(back, length))
    }

    /// The last `count` frames, oldest first, the last of which ends with the newest sample; fewer where
    /// samples of the older ones are not kept.
    #[must_use]
    pub fn last_frames(
        &self,
        count: usize,
        spec: FrameSpec,
    ) -> impl DoubleEndedIterator<Item = (SampleIndex, &[f32])> + ExactSizeIterator {
        let whole = usize::try_from(spec.frames_in(self.held as u64)).unwrap_or(usize::MAX);
        let back = move |frame: usize| (frame - 1) * spec.hop_length();
        let count = count.min(whole);
        (0..count).map(move |n| self.ending(back(count - n), spec.frame_length()))
    }

    /// How many samples are kept now.
    #[must_use]
    pub const fn held(&self) -> usize {
        self.held
    }

    /// How many samples are kept at most.
    #[must_use]
    pub const fn length(&self) -> usize {
        self.buffer.len() / 2
    }

    /// How many samples could not be sound and counted as 0, since construction.
    #[must_use]
    pub const fn sanitized(&self) -> u64 {
        self.sanitized
    }

    /// At most `length` samples, the last of which is followed by `back` more; `back ≤ held`.
    fn ending(&self, back: usize, length: usize) -> (SampleIndex, &[f32]) {
        let length = length.min(self.held - back);
        let end = self.write + self.length() - back;
        let at = SampleIndex(self.end.0.wrapping_sub((back + length) as u64));
        (at, &self.buffer[end - length..end])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    fn rate() -> SampleRate {
        SampleRate::new(100).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn every_stretch_is_that_of_the_whole_stream(
            length in 1_usize..50,
            start: u64,
            pushes in vec((0_usize..80, prop_oneof![9 => Just(0_u64), 1 => 1_u64..9]), 1..20),
            asked in 0_usize..60,
            frame_length in 1_usize..20,
            hop_length in 1_usize..20,
        ) {
            let mut window = SlidingWindow::new(&SlidingWindowConfig::new(length, rate())).unwrap();
            let mut at = SampleIndex(start);
            let mut stream: Vec<(SampleIndex, f32)> = Vec::new(); // since the last gap
            for (n, gap) in pushes {
                if gap > 0 {
                    stream.clear();
                    at += gap;
                }
                let value = |n| f32::from((at + n).0 as u16);
                let samples: Vec<f32> = (0..n as u64).map(value).collect();
                window.push(at, &samples);
                stream.extend((0..).zip(&samples).map(|(n, x)| (at + n, *x)));
                at += n as u64;

                stream.drain(..stream.len().saturating_sub(length));
                let kept = stream.len();
                prop_assert_eq!(window.held(), kept);
                let stretch = |from: usize, to: usize| {
                    let index = stream.get(from).map_or(at, |(index, _)| *index);
                    (index, stream[from..to].iter().map(|(_, x)| *x).collect::<Vec<f32>>())
                };
                let owned = |(at, samples): (SampleIndex, &[f32])| (at, samples.to_vec());

                let newest = stretch(kept.saturating_sub(asked), kept);
                prop_assert_eq!(owned(window.newest(asked)), newest.clone());
                prop_assert_eq!(owned(window.newest_seconds(asked as f64 / 100.0)), newest);
                for point in 0..=kept {
                    let index = SampleIndex(at.0.wrapping_sub((kept - point) as u64));
                    let context = stretch(point.saturating_sub(asked), point);
                    prop_assert_eq!(window.before(index, asked).map(owned), Some(context));
                }
                prop_assert_eq!(window.before(at + 1, asked), None);
                let older = SampleIndex(at.0.wrapping_sub(kept as u64 + 1));
                prop_assert_eq!(window.before(older, asked), None);

                let spec = FrameSpec::new(frame_length, hop_length, rate()).unwrap();
                let mut frames: Vec<_> = (0..asked)
                    .filter_map(|k| kept.checked_sub(k * hop_length + frame_length))
                    .map(|from| stretch(from, from + frame_length))
                    .collect();
                frames.reverse();
                prop_assert_eq!(window.last_frames(asked, spec).len(), frames.len());
                prop_assert!(window.last_frames(asked, spec).map(owned).eq(frames));
            }
        }
    }

    #[test]
    fn what_cannot_be_sound_is_zero_and_counted_even_if_it_is_not_kept() {
        let mut window = SlidingWindow::new(&SlidingWindowConfig::new(2, rate())).unwrap();
        window.push(SampleIndex(0), &[f32::NAN, 1.0, f32::INFINITY]);
        assert_eq!(window.newest(9), (SampleIndex(1), &[1.0, 0.0][..]));
        assert_eq!(window.sanitized(), 2);
        window.reset();
        assert_eq!(window.newest(9), (SampleIndex(0), &[][..]));
    }

    #[test]
    fn absurd_lengths_are_refused() {
        for length in [0, usize::MAX] {
            let config = SlidingWindowConfig::new(length, rate());
            assert_eq!(SlidingWindow::new(&config).unwrap_err().parameter(), "length");
        }
        for seconds in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(SlidingWindow::new(&SlidingWindowConfig::seconds(seconds, rate())).is_err());
        }
    }
}
