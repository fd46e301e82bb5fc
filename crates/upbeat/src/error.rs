/// What can go wrong in the umbrella crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting that cannot work.
    #[error(transparent)]
    Config(#[from] upbeat_core::ConfigError),
    /// A block that ends in the middle of a sample of all channels.
    #[error(
        "a block of {channels} interleaved channels must hold a multiple of {channels} values, got {values}"
    )]
    PartialSample {
        /// Values in the block.
        values: usize,
        /// Channels of the stream.
        channels: usize,
    },
    /// A source that cannot be read.
    #[error(transparent)]
    Io(#[from] upbeat_io::IoError),
    /// A setting of the governor that cannot work.
    #[error(transparent)]
    Perf(#[from] upbeat_perf::PerfError),
    /// No device could be opened.
    #[error("no sound device could be opened ({reason})")]
    NoDevice {
        /// Why the last one could not.
        reason: String,
    },
    /// The system refuses a thread or a file.
    #[error("the system refuses: {0}")]
    System(#[from] std::io::Error),
    /// A file that is no recorded session, or one of a later version.
    #[error("is not a session that this version can replay ({reason})")]
    Session {
        /// What was found.
        reason: String,
    },
}
