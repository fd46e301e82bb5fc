//! The binary messages that carry audio.
//!
//! *Plain*: nothing but interleaved samples. *Framed*: 28 bytes, then interleaved samples. All numbers are
//! little-endian:
//!
//! | Bytes | Type | What |
//! |---|---|---|
//! | 0–1 | 2 bytes | `UB` |
//! | 2 | `u8` | version, 1 |
//! | 3 | `u8` | format of the samples: 0 for `f32`, 1 for `i16` |
//! | 4–5 | `u16` | channels |
//! | 6–7 | `u16` | 0 |
//! | 8–11 | `u32` | stream: a number that the client chooses and keeps |
//! | 12–15 | `u32` | sequence number of the message; what acknowledgements name |
//! | 16–23 | `u64` | index of the first sample, per channel; below 2⁵³ |
//! | 24–27 | `u32` | samples per second and channel |

use serde::{Deserialize, Serialize};

/// How samples are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SampleFormat {
    /// 32-bit floating point, full scale ±1.
    #[default]
    F32,
    /// 16-bit integers, full scale ±32 768.
    S16,
}

impl SampleFormat {
    /// Bytes of one sample.
    #[must_use]
    pub const fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::S16 => 2,
        }
    }

    /// Appends the samples that `bytes` stand for to `out`; bytes at the end that are no whole sample are left out.
    ///
    /// What is not finite stays so: the analysis counts it, and takes it for 0.
    pub fn decode(self, bytes: &[u8], out: &mut Vec<f32>) {
        match self {
            Self::F32 => {
                let (values, _) = bytes.as_chunks::<4>();
                out.extend(values.iter().map(|v| f32::from_le_bytes(*v)));
            }
            Self::S16 => {
                let (values, _) = bytes.as_chunks::<2>();
                out.extend(values.iter().map(|v| f32::from(i16::from_le_bytes(*v)) / 32_768.0));
            }
        }
    }
}

/// A message of the framed format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The client's number for the stream.
    pub stream: u32,
    /// The message's number.
    pub sequence: u32,
    /// The index of the first sample, per channel.
    pub first_sample: u64,
    /// Samples per second and channel.
    pub sample_rate: u32,
    /// Interleaved channels, at least 1.
    pub channels: u16,
    /// How the samples are written.
    pub format: SampleFormat,
    /// The samples: a whole number of each channel.
    pub payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Bytes before the samples.
    pub const HEADER: usize = 28;
    /// The version of the format.
    pub const VERSION: u8 = 1;
    /// Indices are below this, so that JSON numbers hold them exactly.
    pub const MAX_SAMPLE: u64 = 1 << 53;

    /// Reads a message.
    ///
    /// # Errors
    ///
    /// If it is no frame; the error says what is wrong.
    pub fn parse(message: &'a [u8]) -> Result<Self, FrameError> {
        let short = FrameError::Short { length: message.len() };
        let (header, payload) = message.split_first_chunk::<28>().ok_or(short)?;
        let u16_at = |i: usize| u16::from_le_bytes([header[i], header[i + 1]]);
        let u32_at = |i: usize| u32::from(u16_at(i)) | u32::from(u16_at(i + 2)) << 16;
        if header[..2] != *b"UB" {
            return Err(FrameError::Magic);
        }
        if header[2] != Self::VERSION {
            return Err(FrameError::Version { got: header[2] });
        }
        let format = match header[3] {
            0 => SampleFormat::F32,
            1 => SampleFormat::S16,
            got => return Err(FrameError::Format { got }),
        };
        let (channels, reserved) = (u16_at(4), u16_at(6));
        if channels == 0 || reserved != 0 {
            return Err(FrameError::Channels { channels, reserved });
        }
        let size = usize::from(channels) * format.size();
        if !payload.len().is_multiple_of(size) {
            return Err(FrameError::PartialSample { length: payload.len(), size });
        }
        let first_sample = u64::from(u32_at(16)) | u64::from(u32_at(20)) << 32;
        let samples = (payload.len() / size) as u64;
        // `samples` is at most 2⁶³ / 2, so that the sum cannot overflow once the first is below 2⁵³.
        if first_sample >= Self::MAX_SAMPLE || first_sample + samples >= Self::MAX_SAMPLE {
            return Err(FrameError::Index { got: first_sample });
        }
        Ok(Self {
            stream: u32_at(8),
            sequence: u32_at(12),
            first_sample,
            sample_rate: u32_at(24),
            channels,
            format,
            payload,
        })
    }

    /// Samples per channel.
    #[must_use]
    pub const fn samples(&self) -> u64 {
        (self.payload.len() / (self.channels as usize * self.format.size())) as u64
    }

    /// The message, as a client sends it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::HEADER + self.payload.len());
        bytes.extend(*b"UB");
        bytes.extend([Self::VERSION, u8::from(self.format == SampleFormat::S16)]);
        bytes.extend(self.channels.to_le_bytes());
        bytes.extend([0, 0]);
        bytes.extend(self.stream.to_le_bytes());
        bytes.extend(self.sequence.to_le_bytes());
        bytes.extend(self.first_sample.to_le_bytes());
        bytes.extend(self.sample_rate.to_le_bytes());
        bytes.extend(self.payload);
        bytes
    }
}

/// Why a message is no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// Shorter than the header.
    #[error("a frame has at least 28 bytes, this message has {length}")]
    Short {
        /// Bytes of the message.
        length: usize,
    },
    /// Does not begin as a frame.
    #[error("a frame begins with the letters UB; raw samples need framing=plain")]
    Magic,
    /// Of another version.
    #[error("a frame must be of version 1, got {got}")]
    Version {
        /// The version.
        got: u8,
    },
    /// Samples of an unknown format.
    #[error("the format must be 0 (f32) or 1 (s16), got {got}")]
    Format {
        /// The format.
        got: u8,
    },
    /// No channel, or bytes that must be 0 are not.
    #[error(
        "channels must be at least 1 and bytes 6 and 7 must be 0, got {channels} and {reserved}"
    )]
    Channels {
        /// Channels.
        channels: u16,
        /// Bytes 6 and 7.
        reserved: u16,
    },
    /// Ends in the middle of a sample of all channels.
    #[error("the samples must be a multiple of {size} bytes, got {length}")]
    PartialSample {
        /// Bytes after the header.
        length: usize,
        /// Bytes of a sample of all channels.
        size: usize,
    },
    /// An index beyond what JSON can say.
    #[error("sample indices must be below 2^53, got {got}")]
    Index {
        /// The index.
        got: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Frame<'_> = Frame {
        stream: 7,
        sequence: 0x0102_0304,
        first_sample: 0x000a_0b0c_0d0e_0f10,
        sample_rate: 48_000,
        channels: 2,
        format: SampleFormat::S16,
        payload: &[1, 0, 2, 0, 0xff, 0xff, 0, 0x80],
    };

    /// The documented layout, byte by byte.
    #[test]
    fn a_frame_is_written_as_documented() {
        let expected = [
            b'U', b'B', 1, 1, 2, 0, 0, 0, 7, 0, 0, 0, 4, 3, 2, 1, 0x10, 0x0f, 0x0e, 0x0d, 0x0c,
            0x0b, 0x0a, 0, 0x80, 0xbb, 0, 0, 1, 0, 2, 0, 0xff, 0xff, 0, 0x80,
        ];
        assert_eq!(FRAME.to_bytes(), expected);
        assert_eq!(Frame::parse(&expected), Ok(FRAME));
        assert_eq!(FRAME.samples(), 2);
        let mut samples = Vec::new();
        FRAME.format.decode(FRAME.payload, &mut samples);
        assert_eq!(samples, [1.0 / 32_768.0, 2.0 / 32_768.0, -1.0 / 32_768.0, -1.0]);
    }

    #[test]
    fn what_is_no_frame_is_told_why() {
        let change = |at: usize, to: u8| {
            let mut bytes = FRAME.to_bytes();
            bytes[at] = to;
            Frame::parse(&bytes).map(|_| ())
        };
        assert_eq!(change(1, b'b'), Err(FrameError::Magic));
        assert_eq!(change(2, 2), Err(FrameError::Version { got: 2 }));
        assert_eq!(change(3, 2), Err(FrameError::Format { got: 2 }));
        assert_eq!(change(4, 0), Err(FrameError::Channels { channels: 0, reserved: 0 }));
        assert_eq!(change(6, 1), Err(FrameError::Channels { channels: 2, reserved: 1 }));
        assert_eq!(change(4, 3), Err(FrameError::PartialSample { length: 8, size: 6 }));
        assert!(matches!(change(22, 0x20), Err(FrameError::Index { .. })));
        assert!(matches!(change(23, 0xff), Err(FrameError::Index { .. })));
        let bytes = FRAME.to_bytes();
        for length in 0..Frame::HEADER {
            assert_eq!(Frame::parse(&bytes[..length]), Err(FrameError::Short { length }));
        }
        assert_eq!(Frame::parse(&bytes[..Frame::HEADER]).unwrap().samples(), 0);
    }

    #[test]
    fn floats_are_taken_as_they_are() {
        let mut out = Vec::new();
        let mut bytes = Vec::new();
        for value in [0.5_f32, f32::NAN, f32::INFINITY] {
            bytes.extend(value.to_le_bytes());
        }
        bytes.push(1);
        SampleFormat::F32.decode(&bytes, &mut out);
        assert!(out[0] == 0.5 && out[1].is_nan() && out[2].is_infinite() && out.len() == 3);
    }
}
