use std::io;

use upbeat_core::{ConfigError, SampleIndex};

use crate::StreamFormat;

/// Why a source or sink cannot be opened, read or written.
///
/// The messages name no path, since not every source has one: write them after it, as in
/// `format!("{}: {error}", path.display())`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IoError {
    /// Nothing is there.
    #[error("no such file")]
    NotFound,
    /// A directory where a file is needed.
    #[error("is a directory; name the files in it")]
    Directory,
    /// A pipe, socket or device.
    #[error("is not a regular file; sound can only be read from something that can be sought in")]
    NotAFile,
    /// A file of 0 bytes.
    #[error("is empty (0 bytes)")]
    Empty,
    /// The operating system refuses.
    #[error("permission denied; the file must be readable, a file to be written writable")]
    PermissionDenied,
    /// The content is of none of the known formats, whatever the name says.
    #[error(
        "is not a sound file of a known format; WAV, AIFF, FLAC, MP3, Ogg Vorbis and MP4/M4A are known"
    )]
    UnknownFormat,
    /// A known container with something in it that cannot be decoded.
    #[error(
        "cannot be decoded ({what}); known codecs are PCM, ADPCM, FLAC, MP3, Vorbis, AAC-LC and ALAC"
    )]
    UnsupportedCodec {
        /// What was found.
        what: String,
    },
    /// A container of a known format without any sound in it.
    #[error("has no audio track")]
    NoAudio,
    /// The file contradicts itself or breaks off before the first sample.
    #[error("has a damaged header ({reason})")]
    Header {
        /// What is wrong with it.
        reason: String,
    },
    /// A number of channels or a sample rate with which nothing can be done.
    #[error("has an impossible format: {0}")]
    Format(#[from] ConfigError),
    /// Decoding cannot go on from here. Everything before was delivered.
    #[error("is damaged from {at} on ({reason})")]
    Corrupt {
        /// The first sample that could not be decoded.
        at: SampleIndex,
        /// What is wrong with it.
        reason: String,
    },
    /// The stream goes on with another sample rate or number of channels. Everything before was delivered.
    #[error("changes from {from} to {to} at {at}; only one format per file can be read")]
    FormatChanged {
        /// The first sample of the new format.
        at: SampleIndex,
        /// The format so far.
        from: StreamFormat,
        /// The format from there on.
        to: StreamFormat,
    },
    /// The decoder itself broke down on this file. Everything before was delivered.
    #[error("is damaged from {at} on, in a way that breaks the decoder")]
    Decoder {
        /// The first sample that could not be decoded.
        at: SampleIndex,
    },
    /// WAV files hold at most 4 GiB.
    #[error("would exceed the 4 GiB that a WAV file can hold; start another file")]
    WavFull,
    /// The operating system's error.
    #[error(transparent)]
    Io(io::Error),
}

impl From<io::Error> for IoError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound,
            io::ErrorKind::PermissionDenied => Self::PermissionDenied,
            io::ErrorKind::IsADirectory => Self::Directory,
            _ => Self::Io(error),
        }
    }
}
