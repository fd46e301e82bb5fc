use upbeat_core::{Continuity, FrameSpec, SampleIndex, Stage};

use crate::clean::{copy_clean, count_bad};

/// Cuts a stream of samples into frames: blocks of any size in, frames of `frame_length` samples every
/// `hop_length` samples out.
///
/// Frame `k` holds the samples `from + k · hop_length …` of a stream that began at the index `from`,
/// and refers to its first sample (librosa's `center=False`); it comes as soon as its last sample has
/// come, and the first one not before: nothing is padded. Where the hop is longer than the frame, the
/// samples between frames are passed over. After a gap, framing starts anew at the sample after it.
/// Samples that cannot be sound count as 0 (see [`sanitize`](upbeat_core::sanitize())).
///
/// Latency: `frame_length − 1` samples.
///
/// # Examples
///
/// ```
/// use upbeat_core::{FrameSpec, SampleIndex, SampleRate, Stage};
/// use upbeat_window::Framer;
///
/// let mut framer = Framer::new(FrameSpec::new(4, 2, SampleRate::new(48_000)?)?);
/// let mut frames = Vec::new();
/// framer.process(SampleIndex(0), &[0.0, 0.1, 0.2], |at, frame| frames.push((at.0, frame.to_vec())));
/// framer.process(SampleIndex(3), &[0.3, 0.4, 0.5], |at, frame| frames.push((at.0, frame.to_vec())));
/// assert_eq!(frames, [(0, vec![0.0, 0.1, 0.2, 0.3]), (2, vec![0.2, 0.3, 0.4, 0.5])]);
/// # Ok::<(), upbeat_core::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Framer {
    spec: FrameSpec,
    /// Room for twice what a frame needs: samples move to the front once per frame length at most.
    buffer: Box<[f32]>,
    /// Where in `buffer` the next frame starts.
    start: usize,
    /// Where in `buffer` the samples heard end.
    end: usize,
    /// How many samples to pass over before the next frame starts.
    skip: usize,
    /// Index of the next frame's first sample.
    frame_at: SampleIndex,
    continuity: Continuity,
    sanitized: u64,
}

impl Framer {
    /// Allocates all that will ever be needed.
    #[must_use]
    pub fn new(spec: FrameSpec) -> Self {
        Self {
            spec,
            buffer: vec![0.0; 2 * spec.frame_length().max(MIN_ROOM)].into(),
            start: 0,
            end: 0,
            skip: 0,
            frame_at: SampleIndex(0),
            continuity: Continuity::default(),
            sanitized: 0,
        }
    }

    /// How the stream is cut.
    #[must_use]
    pub const fn spec(&self) -> FrameSpec {
        self.spec
    }

    /// How many samples could not be sound and counted as 0, since construction.
    #[must_use]
    pub const fn sanitized(&self) -> u64 {
        self.sanitized
    }

    /// Drops what is buffered; the next frame starts at `at`.
    fn restart(&mut self, at: SampleIndex) {
        (self.start, self.end, self.skip) = (0, 0, 0);
        self.frame_at = at;
    }

    /// Passes over those of `samples` that lie between two frames, and returns the others.
    fn pass_over<'a>(&mut self, samples: &'a [f32]) -> &'a [f32] {
        let (skipped, rest) = samples.split_at(self.skip.min(samples.len()));
        self.skip -= skipped.len();
        self.sanitized += count_bad(skipped);
        rest
    }

    /// Buffers as many of `samples` as there is room for, and returns the others.
    fn fill<'a>(&mut self, samples: &'a [f32]) -> &'a [f32] {
        if self.end == self.buffer.len() {
            self.buffer.copy_within(self.start.., 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let room = &mut self.buffer[self.end..];
        let (taken, rest) = samples.split_at(room.len().min(samples.len()));
        self.end += taken.len();
        self.sanitized += copy_clean(taken, &mut room[..taken.len()]);
        rest
    }
}

impl Stage for Framer {
    type In = [f32];
    type Out = [f32];

    fn process(
        &mut self,
        at: SampleIndex,
        samples: &[f32],
        mut emit: impl FnMut(SampleIndex, &[f32]),
    ) {
        let starts = self.continuity.next().is_none();
        if self.continuity.advance(at, samples.len() as u64).is_some() || starts {
            self.restart(at);
        }
        let (frame_length, hop_length) = (self.spec.frame_length(), self.spec.hop_length());
        let mut rest = samples;
        while !rest.is_empty() {
            rest = self.pass_over(rest);
            rest = self.fill(rest);
            while self.end - self.start >= frame_length {
                emit(self.frame_at, &self.buffer[self.start..][..frame_length]);
                self.frame_at += hop_length as u64;
                let held = self.end - self.start;
                self.skip = hop_length.saturating_sub(held);
                self.start += hop_length.min(held);
            }
        }
    }

    fn reset(&mut self) {
        self.continuity = Continuity::default();
    }

    fn latency(&self) -> u64 {
        self.spec.frame_length() as u64 - 1
    }
}

/// Short frames share one move of samples to the front among this many.
const MIN_ROOM: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use upbeat_core::SampleRate;
    use upbeat_testkit::{signal, streamed, streaming::assert_streaming};

    fn framer(frame_length: usize, hop_length: usize) -> Framer {
        let rate = SampleRate::new(48_000).unwrap();
        Framer::new(FrameSpec::new(frame_length, hop_length, rate).unwrap())
    }

    /// Frames as the definition has them, read off a whole recording.
    fn naive(samples: &[f32], frame_length: usize, hop_length: usize) -> Vec<(u64, Vec<f32>)> {
        let starts = (0..samples.len()).step_by(hop_length);
        starts
            .filter(|start| start + frame_length <= samples.len())
            .map(|start| (start as u64, samples[start..start + frame_length].to_vec()))
            .collect()
    }

    fn stream(framer: &mut Framer, from: u64, samples: &[f32]) -> Vec<(u64, Vec<f32>)> {
        let mut frames = Vec::new();
        framer.process(SampleIndex(from), samples, |at, frame| {
            frames.push((at.0, frame.to_vec()));
        });
        frames
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn frames_are_those_of_the_definition(
            frame_length in 1_usize..400,
            hop_length in 1_usize..900,
            length in 0_usize..3000,
        ) {
            let samples = signal::noise(1.0, 1, length);
            let expected = naive(&samples, frame_length, hop_length);
            let mut framer = framer(frame_length, hop_length);
            prop_assert_eq!(framer.spec().frames_in(length as u64), expected.len() as u64);
            prop_assert_eq!(stream(&mut framer, 0, &samples), expected);
        }

        #[test]
        fn any_split_gives_the_same_frames(
            frame_length in 1_usize..200,
            hop_length in 1_usize..300,
            seed: u64,
        ) {
            let mut samples = signal::noise(1.0, seed, 2000);
            samples[100] = f32::NAN;
            assert_streaming(|| streamed!(framer(frame_length, hop_length)), &samples, 1, seed);
        }
    }

    #[test]
    fn what_cannot_be_sound_is_zero_and_counted_wherever_it_is() {
        let mut framer = framer(2, 3);
        let bad = [f32::NAN, 1.0, f32::INFINITY, -2.0, f32::NEG_INFINITY, 1e30, 3.0];
        let frames = stream(&mut framer, 0, &bad);
        assert_eq!(frames, [(0, vec![0.0, 1.0]), (3, vec![-2.0, 0.0])]);
        assert_eq!(framer.sanitized(), 4);
        framer.reset();
        assert_eq!(framer.sanitized(), 4);
    }

    #[test]
    fn nothing_is_glued_together_across_a_gap() {
        let mut framer = framer(3, 2);
        assert!(stream(&mut framer, 5, &[1.0, 2.0]).is_empty());
        assert_eq!(stream(&mut framer, 8, &[4.0, 5.0, 6.0]), [(8, vec![4.0, 5.0, 6.0])]);
        assert!(stream(&mut framer, 11, &[7.0]).is_empty());
        assert!(stream(&mut framer, 13, &[]).is_empty());
        assert_eq!(stream(&mut framer, 13, &[9.0, 10.0, 11.0]), [(13, vec![9.0, 10.0, 11.0])]);
    }

    #[test]
    fn an_index_at_the_end_of_its_range_wraps() {
        let mut framer = framer(2, 2);
        let frames = stream(&mut framer, u64::MAX - 1, &[1.0, 2.0, 3.0, 4.0]);
        assert_eq!(frames, [(u64::MAX - 1, vec![1.0, 2.0]), (0, vec![3.0, 4.0])]);
    }
}
