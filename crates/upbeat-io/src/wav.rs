use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Seek, Write};
use std::path::Path;

use hound::{SampleFormat, WavSpec, WavWriter};
use upbeat_core::{ConfigError, sanitize};

use crate::{IoError, StreamFormat};

/// How a WAV file stores samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WavEncoding {
    /// 16-bit integers, rounded to the nearest; beyond full scale clipped.
    Int16,
    /// 24-bit integers, rounded to the nearest; beyond full scale clipped.
    Int24,
    /// 32-bit floats, the samples as they are.
    Float32,
}

/// Writes interleaved samples to a WAV file.
///
/// The header says how long the file is, so it is complete after [`flush`](Self::flush) and
/// [`finish`](Self::finish): a program that is killed leaves a file that is readable up to the last `flush`. Dropping a
/// sink finishes it too, but hides errors.
///
/// Samples that cannot be sound (see [`sanitize`](upbeat_core::sanitize())) are written as 0 and counted.
///
/// # Examples
///
/// ```
/// use upbeat_core::SampleRate;
/// use upbeat_io::{FileSource, Source, StreamFormat, WavEncoding, WavSink};
///
/// let directory = tempfile::tempdir()?;
/// let path = directory.path().join("pair.wav");
/// let format = StreamFormat::stereo(SampleRate::new(44_100)?);
/// let mut sink = WavSink::create(&path, format, WavEncoding::Int16)?;
/// sink.write(&[0.5, -0.5, 0.25, 2.0])?;
/// sink.finish()?;
///
/// let mut file = FileSource::open(&path)?;
/// let mut buffer = [0.0; 8];
/// let block = file.read(&mut buffer)?.expect("two samples");
/// assert_eq!(block.interleaved, [0.5, -0.5, 0.25, 32_767.0 / 32_768.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct WavSink<W: Write + Seek = BufWriter<File>> {
    writer: WavWriter<W>,
    format: StreamFormat,
    encoding: WavEncoding,
    sanitized: u64,
}

impl WavSink {
    /// Creates the file at `path`, or empties the one that is there.
    ///
    /// # Errors
    ///
    /// If the file cannot be created or written.
    pub fn create(
        path: impl AsRef<Path>,
        format: StreamFormat,
        encoding: WavEncoding,
    ) -> Result<Self, IoError> {
        Self::new(BufWriter::new(File::create(path)?), format, encoding)
    }
}

impl<W: Write + Seek> WavSink<W> {
    /// Writes a WAV file to `writer`, from where it stands.
    ///
    /// # Errors
    ///
    /// If the header cannot be written.
    pub fn new(writer: W, format: StreamFormat, encoding: WavEncoding) -> Result<Self, IoError> {
        let (bits_per_sample, sample_format) = match encoding {
            WavEncoding::Int16 => (16, SampleFormat::Int),
            WavEncoding::Int24 => (24, SampleFormat::Int),
            WavEncoding::Float32 => (32, SampleFormat::Float),
        };
        let spec = WavSpec {
            channels: format.channels() as u16, // at most 1024
            sample_rate: format.sample_rate().hz(),
            bits_per_sample,
            sample_format,
        };
        let writer = WavWriter::new(writer, spec).map_err(hound_error)?;
        Ok(Self { writer, format, encoding, sanitized: 0 })
    }

    /// Appends `interleaved` samples.
    ///
    /// # Errors
    ///
    /// If the file cannot be written, or would grow beyond the 4 GiB a WAV file can have; then nothing of
    /// `interleaved` is written. If the number of samples is no multiple of the number of channels.
    pub fn write(&mut self, interleaved: &[f32]) -> Result<(), IoError> {
        let whole = interleaved.len().is_multiple_of(self.format.channels());
        ConfigError::require(
            whole,
            "interleaved",
            "of a length that is a multiple of the number of channels",
            interleaved.len(),
        )?;
        if self.writer.len() as usize + interleaved.len() > self.max_samples() {
            return Err(IoError::WavFull);
        }
        for sample in interleaved {
            let sample = sanitize(*sample).unwrap_or_else(|| {
                self.sanitized += 1;
                0.0
            });
            match self.encoding {
                WavEncoding::Int16 => self.writer.write_sample(quantize(sample, 15)),
                WavEncoding::Int24 => self.writer.write_sample(quantize(sample, 23)),
                WavEncoding::Float32 => self.writer.write_sample(sample),
            }
            .map_err(hound_error)?;
        }
        Ok(())
    }

    /// Writes all that is buffered, and the header: from here on the file is valid.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn flush(&mut self) -> Result<(), IoError> {
        self.writer.flush().map_err(hound_error)
    }

    /// Completes the file.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn finish(self) -> Result<(), IoError> {
        self.writer.finalize().map_err(hound_error)
    }

    /// Samples per channel written so far.
    #[must_use]
    pub fn written(&self) -> u64 {
        u64::from(self.writer.duration())
    }

    /// How many samples were written as 0 because they cannot be sound.
    #[must_use]
    pub const fn sanitized(&self) -> u64 {
        self.sanitized
    }

    /// How many samples of all channels fit into the data chunk, whose size has 32 bits, as has that of the file.
    fn max_samples(&self) -> usize {
        let bytes = match self.encoding {
            WavEncoding::Int16 => 2,
            WavEncoding::Int24 => 3,
            WavEncoding::Float32 => 4,
        };
        (u32::MAX as usize - HEADER) / bytes
    }
}

impl<W: Write + Seek> fmt::Debug for WavSink<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WavSink")
            .field("format", &self.format)
            .field("encoding", &self.encoding)
            .field("written", &self.written())
            .finish_non_exhaustive()
    }
}

/// The integer of `bits` bits and a sign that is nearest to `sample`.
fn quantize(sample: f32, bits: u32) -> i32 {
    let scale = (1_i32 << bits) as f32;
    // The largest value of 23 bits is exact in f32.
    (sample * scale).round().clamp(-scale, scale - 1.0) as i32
}

fn hound_error(error: hound::Error) -> IoError {
    match error {
        hound::Error::IoError(error) => error.into(),
        error => IoError::Io(io::Error::other(error)),
    }
}

/// More than the bytes of a file before its data.
const HEADER: usize = 128;
