use upbeat_core::ConfigError;

use super::{DeviceId, Direction};

/// Why a device cannot be listed or opened.
///
/// Apart from [`IoError`](crate::IoError), which is about files: these can be copied, since they travel in events.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// No device has this id now.
    #[error(
        "there is no device {0}; it may be unplugged, or list the devices for the ids there are"
    )]
    NotFound(DeviceId),
    /// The host has no default device.
    #[error("there is no default {0} device; name one")]
    NoDefault(Direction),
    /// Another program has it for itself.
    #[error(
        "the device is in use by another program ({0}); close it there, or use the sound server's device"
    )]
    Busy(String),
    /// The device cannot do what is asked.
    #[error("the device does not support that ({0}); choose one of the formats it lists")]
    Unsupported(String),
    /// The operating system refuses.
    #[error("permission denied ({0}); allow the program to use the microphone or the audio group")]
    Denied(String),
    /// The sound system is not there.
    #[error("the sound system does not answer ({0}); is its service running?")]
    HostUnavailable(String),
    /// An error of the sound system that has no better name.
    #[error("the sound system reports: {0}")]
    Backend(String),
    /// The call did not come back in time.
    #[error("the sound system did not answer within {0} ms; it may be frozen")]
    TimedOut(u64),
    /// The source behind a file or synthetic device cannot be opened.
    #[error("the source cannot be opened: {0}")]
    Source(String),
    /// An impossible setting.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// What can go wrong with an open stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
#[non_exhaustive]
pub enum FaultKind {
    /// The device is gone.
    DeviceLost = 0,
    /// The stream cannot go on and must be opened anew, as after a change of the device's format.
    Invalidated = 1,
    /// An error that the host does not explain. Single ones are harmless; 50 in a row without samples in between
    /// mean that the stream is dead.
    Backend = 2,
    /// Samples were lost because a callback came too late.
    Xrun = 3,
    /// The default device is another one now.
    DefaultChanged = 4,
    /// The operating system does not grant real-time priority.
    RealtimeDenied = 5,
}

impl FaultKind {
    /// How many kinds there are.
    pub(crate) const COUNT: usize = 6;

    pub(crate) const fn from_index(index: usize) -> Option<Self> {
        Some(match index {
            0 => Self::DeviceLost,
            1 => Self::Invalidated,
            2 => Self::Backend,
            3 => Self::Xrun,
            4 => Self::DefaultChanged,
            5 => Self::RealtimeDenied,
            _ => return None,
        })
    }
}
