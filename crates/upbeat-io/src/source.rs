use std::fmt;

use upbeat_core::{ConfigError, Mix, SampleIndex, SampleRate};

use crate::IoError;

/// What every block of a stream has in common: its sample rate and its number of channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StreamFormat {
    sample_rate: SampleRate,
    channels: usize,
}

impl StreamFormat {
    /// The most channels accepted, those of [`Mix`].
    pub const MAX_CHANNELS: usize = Mix::MAX_CHANNELS;

    /// A stream of `channels` channels at `sample_rate`.
    ///
    /// # Errors
    ///
    /// If `channels` is 0 or above [`MAX_CHANNELS`](Self::MAX_CHANNELS).
    pub fn new(sample_rate: SampleRate, channels: usize) -> Result<Self, ConfigError> {
        ConfigError::require(channels >= 1, "channels", "at least 1", channels)?;
        ConfigError::require(channels <= Self::MAX_CHANNELS, "channels", "at most 1024", channels)?;
        Ok(Self { sample_rate, channels })
    }

    /// A stream of one channel.
    #[must_use]
    pub const fn mono(sample_rate: SampleRate) -> Self {
        Self { sample_rate, channels: 1 }
    }

    /// A stream of two channels, left and right.
    #[must_use]
    pub const fn stereo(sample_rate: SampleRate) -> Self {
        Self { sample_rate, channels: 2 }
    }

    /// Samples per second and channel.
    #[must_use]
    pub const fn sample_rate(self) -> SampleRate {
        self.sample_rate
    }

    /// How many samples belong to each instant, at least 1.
    #[must_use]
    pub const fn channels(self) -> usize {
        self.channels
    }
}

impl fmt::Display for StreamFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.channels == 1 { "" } else { "s" };
        write!(f, "{} channel{plural} at {}", self.channels, self.sample_rate)
    }
}

/// A piece of a stream: consecutive samples, and where they start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Block<'a> {
    /// The index of the first sample. Where it is not the end of the block before, samples are lost.
    pub at: SampleIndex,
    /// One sample of each channel after the other, full scale ±1; never empty.
    pub interleaved: &'a [f32],
}

/// Something that gives samples, until it ends.
///
/// # Examples
///
/// Any source is read in the same way, also behind `Box<dyn Source>`:
///
/// ```
/// use upbeat_core::{SampleIndex, SampleRate};
/// use upbeat_io::{MemorySource, Source, StreamFormat};
///
/// let format = StreamFormat::new(SampleRate::new(48_000)?, 2)?;
/// let mut source = MemorySource::new(vec![0.1, 0.2, 0.3, 0.4, 0.5, 0.6], format)?;
/// assert_eq!(source.length(), Some(3));
///
/// let mut buffer = [0.0; 4]; // two samples of two channels
/// let block = source.read(&mut buffer)?.expect("the first two");
/// assert_eq!((block.at, block.interleaved), (SampleIndex(0), &[0.1, 0.2, 0.3, 0.4][..]));
/// let block = source.read(&mut buffer)?.expect("the last one");
/// assert_eq!((block.at, block.interleaved), (SampleIndex(2), &[0.5, 0.6][..]));
/// assert_eq!(source.read(&mut buffer)?, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Source: Send {
    /// The format of all blocks; it never changes.
    fn format(&self) -> StreamFormat;

    /// Samples per channel of the whole stream, as far as it is known before reading it; `None` for an endless
    /// stream and where the source does not say.
    fn length(&self) -> Option<u64>;

    /// The next samples, at most as many as `buffer` holds, possibly fewer; `None` at the end, and ever after.
    ///
    /// After an error, what follows is the end.
    ///
    /// # Errors
    ///
    /// If the stream cannot go on. All samples before have been delivered.
    ///
    /// # Panics
    ///
    /// If `buffer` has no room for one sample of each channel.
    fn read<'b>(&mut self, buffer: &'b mut [f32]) -> Result<Option<Block<'b>>, IoError>;
}

impl<S: Source + ?Sized> Source for Box<S> {
    fn format(&self) -> StreamFormat {
        (**self).format()
    }

    fn length(&self) -> Option<u64> {
        (**self).length()
    }

    fn read<'b>(&mut self, buffer: &'b mut [f32]) -> Result<Option<Block<'b>>, IoError> {
        (**self).read(buffer)
    }
}

/// How many samples per channel fit into `buffer`.
pub(crate) fn capacity(buffer: &[f32], format: StreamFormat) -> usize {
    let samples = buffer.len() / format.channels();
    assert!(samples > 0, "the buffer must hold one sample of each channel");
    samples
}

/// Samples that are in memory already.
#[derive(Clone, Debug)]
pub struct MemorySource {
    interleaved: Vec<f32>,
    format: StreamFormat,
    /// Samples per channel read so far.
    read: usize,
}

impl MemorySource {
    /// A stream of `interleaved`, from its first sample to its last.
    ///
    /// # Errors
    ///
    /// If the number of samples is no multiple of the number of channels.
    pub fn new(interleaved: Vec<f32>, format: StreamFormat) -> Result<Self, ConfigError> {
        let whole = interleaved.len().is_multiple_of(format.channels());
        ConfigError::require(
            whole,
            "interleaved",
            "of a length that is a multiple of the number of channels",
            interleaved.len(),
        )?;
        Ok(Self { interleaved, format, read: 0 })
    }
}

impl Source for MemorySource {
    fn format(&self) -> StreamFormat {
        self.format
    }

    fn length(&self) -> Option<u64> {
        Some((self.interleaved.len() / self.format.channels()) as u64)
    }

    fn read<'b>(&mut self, buffer: &'b mut [f32]) -> Result<Option<Block<'b>>, IoError> {
        let channels = self.format.channels();
        let rest = &self.interleaved[self.read * channels..];
        let samples = capacity(buffer, self.format).min(rest.len() / channels);
        if samples == 0 {
            return Ok(None);
        }
        let interleaved = &mut buffer[..samples * channels];
        interleaved.copy_from_slice(&rest[..samples * channels]);
        let at = SampleIndex(self.read as u64);
        self.read += samples;
        Ok(Some(Block { at, interleaved }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_formats_are_refused() {
        let rate = SampleRate::new(44_100).unwrap();
        for channels in [0, StreamFormat::MAX_CHANNELS + 1, usize::MAX] {
            assert_eq!(StreamFormat::new(rate, channels).unwrap_err().parameter(), "channels");
        }
        let stereo = StreamFormat::new(rate, 2).unwrap();
        assert_eq!(stereo.to_string(), "2 channels at 44100 Hz");
        assert_eq!(MemorySource::new(vec![0.0; 3], stereo).unwrap_err().parameter(), "interleaved");
    }

    #[test]
    fn a_boxed_source_is_a_source() {
        let format = StreamFormat::new(SampleRate::new(8000).unwrap(), 1).unwrap();
        let mut source: Box<dyn Source> =
            Box::new(MemorySource::new(vec![1.0, 2.0, 3.0], format).unwrap());
        let mut out = Vec::new();
        let mut buffer = [0.0; 2];
        while let Some(block) = source.read(&mut buffer).unwrap() {
            assert_eq!(block.at, SampleIndex(out.len() as u64));
            out.extend_from_slice(block.interleaved);
        }
        assert_eq!((out, source.length(), source.format()), (vec![1.0, 2.0, 3.0], Some(3), format));
    }

    #[test]
    #[should_panic(expected = "one sample of each channel")]
    fn a_buffer_too_small_for_one_sample_is_a_bug_of_the_caller() {
        let format = StreamFormat::new(SampleRate::new(8000).unwrap(), 2).unwrap();
        let _ = MemorySource::new(vec![0.0; 4], format).unwrap().read(&mut [0.0]);
    }
}
