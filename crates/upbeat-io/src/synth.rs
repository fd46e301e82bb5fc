use std::fmt;

use upbeat_core::SampleIndex;

use crate::source::capacity;
use crate::{Block, IoError, Source, StreamFormat};

/// A signal made while it is read, by a closure.
///
/// The closure gets the index of the block's first sample and the interleaved samples to fill, and says how many
/// samples per channel it filled; fewer than there is room for end the stream.
///
/// # Examples
///
/// A second of a 440 Hz sine:
///
/// ```
/// use upbeat_core::{SampleIndex, SampleRate};
/// use upbeat_io::{Source, StreamFormat, SynthSource};
///
/// let rate = SampleRate::new(48_000)?;
/// let sine = move |at: SampleIndex| (440.0 * at.seconds(rate) * std::f64::consts::TAU).sin() as f32;
/// let mut source = SynthSource::mono(rate, Some(48_000), sine);
///
/// let mut buffer = [0.0; 1000];
/// let mut samples = 0;
/// while let Some(block) = source.read(&mut buffer)? {
///     samples += block.interleaved.len();
/// }
/// assert_eq!(samples, 48_000);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SynthSource<F> {
    fill: F,
    format: StreamFormat,
    length: Option<u64>,
    at: u64,
    ended: bool,
}

impl<F: FnMut(SampleIndex, &mut [f32]) -> usize + Send> SynthSource<F> {
    /// A stream of `length` samples per channel (`None`: until `fill` ends it), made by `fill`.
    #[must_use]
    pub const fn new(format: StreamFormat, length: Option<u64>, fill: F) -> Self {
        Self { fill, format, length, at: 0, ended: false }
    }
}

impl SynthSource<()> {
    /// A mono stream of `length` samples (`None`: endless), each made from its index.
    pub fn mono(
        sample_rate: upbeat_core::SampleRate,
        length: Option<u64>,
        mut sample: impl FnMut(SampleIndex) -> f32 + Send,
    ) -> impl Source {
        let fill = move |at: SampleIndex, block: &mut [f32]| {
            for (offset, x) in (0..).zip(&mut *block) {
                *x = sample(at + offset);
            }
            block.len()
        };
        SynthSource::new(StreamFormat::mono(sample_rate), length, fill)
    }
}

impl<F: FnMut(SampleIndex, &mut [f32]) -> usize + Send> Source for SynthSource<F> {
    fn format(&self) -> StreamFormat {
        self.format
    }

    fn length(&self) -> Option<u64> {
        self.length
    }

    /// # Panics
    ///
    /// If the closure says that it filled more than there is room for, or as the trait says.
    fn read<'b>(&mut self, buffer: &'b mut [f32]) -> Result<Option<Block<'b>>, IoError> {
        let channels = self.format.channels();
        let left = self.length.map_or(u64::MAX, |length| length - self.at);
        let room = usize::try_from(left)
            .map_or(usize::MAX, |left| left)
            .min(capacity(buffer, self.format));
        if self.ended || room == 0 {
            return Ok(None);
        }
        let at = SampleIndex(self.at);
        let block = &mut buffer[..room * channels];
        let samples = (self.fill)(at, block);
        assert!(samples <= room, "the closure filled {samples} samples of {room}");
        self.ended = samples < room;
        self.at += samples as u64;
        let interleaved = &block[..samples * channels];
        Ok((samples > 0).then_some(Block { at, interleaved }))
    }
}

impl<F> fmt::Debug for SynthSource<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SynthSource")
            .field("format", &self.format)
            .field("length", &self.length)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use upbeat_core::SampleRate;

    fn indices(source: &mut impl Source, buffer: &mut [f32]) -> Vec<f32> {
        let mut out = Vec::new();
        while let Some(block) = source.read(buffer).unwrap() {
            assert_eq!(block.at.0 as usize * source.format().channels(), out.len());
            out.extend_from_slice(block.interleaved);
        }
        assert_eq!(source.read(buffer).unwrap(), None, "the end is the end");
        out
    }

    #[test]
    fn the_closure_sees_each_index_once_whatever_the_blocks() {
        let rate = SampleRate::new(8000).unwrap();
        for size in [1, 3, 7, 10, 64] {
            let mut source = SynthSource::mono(rate, Some(10), |at| at.0 as f32);
            let expected: Vec<f32> = (0_u8..10).map(f32::from).collect();
            assert_eq!(indices(&mut source, &mut vec![0.0; size]), expected);
        }
    }

    #[test]
    fn the_closure_can_end_the_stream() {
        let format = StreamFormat::new(SampleRate::new(8000).unwrap(), 2).unwrap();
        let mut blocks = 0;
        let mut source = SynthSource::new(format, None, move |_, block| {
            blocks += 1;
            block.fill(blocks as f32);
            if blocks == 3 { 1 } else { block.len() / 2 }
        });
        assert_eq!(indices(&mut source, &mut [0.0; 5]), [1., 1., 1., 1., 2., 2., 2., 2., 3., 3.]);
    }
}
