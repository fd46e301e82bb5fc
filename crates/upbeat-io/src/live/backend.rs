use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use upbeat_core::{ConfigError, SampleRate};

use super::{DeviceError, StreamHealth};
use crate::StreamFormat;

/// What names a device: the same between runs and for as long as the host calls the device the same.
///
/// Written `host:name`, as in `alsa:hw:CARD=PCH,DEV=0`; meant to be stored in settings.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceId(Arc<str>);

impl DeviceId {
    /// The id written as `id`.
    pub fn new(id: impl AsRef<str>) -> Self {
        Self(id.as_ref().into())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for DeviceId {
    fn from(id: &str) -> Self {
        Self::new(id)
    }
}

/// Where samples go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the device to the program.
    Input,
    /// From the program to the device.
    Output,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Input => "input",
            Self::Output => "output",
        })
    }
}

/// How a device represents a sample. All are converted from and to `f32`, full scale ±1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names say it: I signed, U unsigned, F float, and the bits")]
pub enum Encoding {
    I8,
    I16,
    I24,
    I32,
    I64,
    U8,
    U16,
    U24,
    U32,
    U64,
    F32,
    F64,
}

/// Formats that a device offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormatRange {
    /// The number of channels.
    pub channels: usize,
    /// The lowest sample rate, in Hz.
    pub min_rate: u32,
    /// The highest sample rate, in Hz.
    pub max_rate: u32,
    /// How samples are represented.
    pub encoding: Encoding,
    /// The smallest and the largest block, in samples per channel, where the host says.
    pub block: Option<(u32, u32)>,
}

/// What is known of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// What to open it by.
    pub id: DeviceId,
    /// The sound system it belongs to.
    pub host: String,
    /// Its name for people.
    pub name: String,
    /// What else the host says about it: manufacturer, driver, address.
    pub description: Vec<String>,
    /// Formats in which it can be heard; empty if it is no input.
    pub inputs: Vec<FormatRange>,
    /// Formats in which it can play; empty if it is no output.
    pub outputs: Vec<FormatRange>,
    /// The format in which it is heard where none is asked for.
    pub default_input: Option<StreamFormat>,
    /// The format in which it plays where none is asked for.
    pub default_output: Option<StreamFormat>,
    /// Whether it is the default input of its host.
    pub is_default_input: bool,
    /// Whether it is the default output of its host.
    pub is_default_output: bool,
}

/// What to ask a device for; what is `None`, or not on offer, the device chooses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamRequest {
    /// The sample rate.
    pub sample_rate: Option<SampleRate>,
    /// The number of channels.
    pub channels: Option<usize>,
    /// Samples per channel in a block. Only a wish: blocks of any size may come.
    pub block: Option<usize>,
}

/// What is true of one block of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallbackInfo {
    /// When the callback was made, by [`Backend::now`]. The last sample of an input block is not younger.
    pub time: Duration,
    /// How many samples per channel were lost before the block, as far as the host knows.
    pub lost: u64,
    /// Whether the host reported that a callback came too late since the block before.
    pub xrun: bool,
    /// How long ago the first sample of an input block was in the air, or when that of an output block will be, as far
    /// as the host says.
    pub latency: Option<Duration>,
}

impl CallbackInfo {
    /// The information on a block at `time`, with nothing lost.
    #[must_use]
    pub const fn at(time: Duration) -> Self {
        Self { time, lost: 0, xrun: false, latency: None }
    }
}

/// Takes the samples of an input, on the audio thread: may not allocate, lock, block or panic.
pub trait InputSink: Send {
    /// A block of samples, interleaved.
    fn data(&mut self, info: &CallbackInfo, interleaved: &[f32]);

    /// How many samples per channel can be taken now. Devices do not care; a file read faster than real time waits.
    fn room(&self) -> usize {
        usize::MAX
    }
}

/// Gives the samples of an output, on the audio thread: may not allocate, lock, block or panic.
pub trait OutputFill: Send {
    /// Fills all of `interleaved`.
    fn fill(&mut self, info: &CallbackInfo, interleaved: &mut [f32]);
}

/// Makes the receiver of an input's samples, once its format is known.
pub type ConnectInput =
    Box<dyn FnOnce(StreamFormat) -> Result<Box<dyn InputSink>, ConfigError> + Send>;

/// Makes the giver of an output's samples, once its format is known.
pub type ConnectOutput =
    Box<dyn FnOnce(StreamFormat) -> Result<Box<dyn OutputFill>, ConfigError> + Send>;

/// A stream that runs until it is dropped. Dropping may block where the host does.
pub trait OpenStream: Send {
    /// What the device was opened with.
    fn format(&self) -> StreamFormat;

    /// Samples per channel in a block, where the host says.
    fn block(&self) -> Option<usize> {
        None
    }
}

/// A way to devices.
///
/// All methods are for control threads and may block for as long as the sound system does; a
/// [`StreamSupervisor`](super::StreamSupervisor) calls them on threads that it can do without.
///
/// An implementation calls [`StreamHealth::beat`] before each block it hands on, [`StreamHealth::fault`] for each error
/// of an open stream and [`StreamHealth::end`] where a stream ends by itself. It prints nothing, and nothing panics once a
/// stream is open.
pub trait Backend: Send + Sync + fmt::Debug {
    /// A short name, for people.
    fn name(&self) -> &str;

    /// All devices there are now.
    ///
    /// # Errors
    ///
    /// If the sound system cannot be asked.
    fn devices(&self) -> Result<Vec<DeviceInfo>, DeviceError>;

    /// The default device, if there is one.
    ///
    /// # Errors
    ///
    /// If the sound system cannot be asked.
    fn default_device(&self, direction: Direction) -> Result<Option<DeviceId>, DeviceError>;

    /// Whether `device` could be opened now. Asked several times a second while a device is missing.
    fn is_present(&self, device: &DeviceId, direction: Direction) -> bool;

    /// Opens and starts an input.
    ///
    /// # Errors
    ///
    /// If the device cannot be opened or `connect` refuses its format.
    fn open_input(
        &self,
        device: &DeviceId,
        request: &StreamRequest,
        health: Arc<StreamHealth>,
        connect: ConnectInput,
    ) -> Result<Box<dyn OpenStream>, DeviceError>;

    /// Opens and starts an output.
    ///
    /// # Errors
    ///
    /// If the device cannot be opened or `connect` refuses its format.
    fn open_output(
        &self,
        device: &DeviceId,
        request: &StreamRequest,
        health: Arc<StreamHealth>,
        connect: ConnectOutput,
    ) -> Result<Box<dyn OpenStream>, DeviceError>;

    /// The time that [`CallbackInfo::time`] is told in; never goes back. Default: [`monotonic`].
    fn now(&self) -> Duration {
        monotonic()
    }
}

/// The time since this was first called in the process.
#[must_use]
pub fn monotonic() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

/// How long `samples` at `rate` samples per second last, to the nearest nanosecond.
pub(crate) fn duration_of(samples: u64, rate: u32) -> Duration {
    let nanos = (u128::from(samples) * NANOS + u128::from(rate / 2)) / u128::from(rate.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// How many samples at `rate` samples per second last `duration`, to the nearest.
pub(crate) fn samples_in(duration: Duration, rate: u32) -> u64 {
    let samples = (duration.as_nanos() * u128::from(rate) + NANOS / 2) / NANOS;
    u64::try_from(samples).unwrap_or(u64::MAX)
}

const NANOS: u128 = 1_000_000_000;
