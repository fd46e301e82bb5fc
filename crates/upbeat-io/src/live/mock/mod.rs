use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use super::backend::samples_in;
use super::{
    Backend, ConnectInput, ConnectOutput, DeviceError, DeviceId, DeviceInfo, Direction, Encoding,
    FaultKind, FormatRange, OpenStream, StreamHealth, StreamRequest,
};
use crate::StreamFormat;
use state::{Device, End, Shared, State, Stream, Wire, stretch};

mod state;

/// Devices that exist only in memory, driven by hand: for tests of what is built on devices.
///
/// It has a clock of its own, which only [`advance`](Self::advance) moves; while it moves, all open streams are called as
/// the devices would call them, on the thread that advances. A device goes on counting its samples while nobody
/// listens: sample `n` is the one at `n / sample_rate` seconds. Unless told otherwise an input's samples tell their
/// number, see [`counting`], so that a test can see which samples it got and which are missing.
///
/// Clones are handles of the same devices.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use upbeat_core::SampleRate;
/// use upbeat_io::StreamFormat;
/// use upbeat_io::live::{MockBackend, MockDevice, StreamSupervision, SupervisorConfig};
///
/// let mock = MockBackend::new();
/// let format = StreamFormat::mono(SampleRate::new(48_000)?);
/// mock.plug(MockDevice::input("mock:mic", format));
/// let (mut supervision, mut live) =
///     StreamSupervision::input(Arc::new(mock.clone()), SupervisorConfig::default())?;
/// for _ in 0..10 {
///     supervision.step(); // opens the device
///     mock.advance(Duration::from_millis(10));
/// }
/// let mut samples = 0;
/// live.read(|block| samples += block.interleaved.len());
/// assert!(samples > 4000);
/// # Ok::<(), upbeat_core::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct MockBackend {
    shared: Arc<Shared>,
}

/// A device for [`MockBackend::plug`].
#[derive(Clone)]
pub struct MockDevice {
    id: DeviceId,
    format: StreamFormat,
    direction: Direction,
    block: usize,
    /// How much faster than it says the device's clock runs.
    speed: f64,
    signal: Signal,
}

type Signal = Arc<dyn Fn(u64, usize) -> f32 + Send + Sync>;

impl MockDevice {
    /// An input with blocks of 256 samples, which tell their number.
    #[must_use]
    pub fn input(id: &str, format: StreamFormat) -> Self {
        Self::new(id, format, Direction::Input)
    }

    /// An output with blocks of 256 samples.
    #[must_use]
    pub fn output(id: &str, format: StreamFormat) -> Self {
        Self::new(id, format, Direction::Output)
    }

    /// Sets how many samples per channel a block has.
    #[must_use]
    pub fn block(mut self, samples: usize) -> Self {
        self.block = samples.max(1);
        self
    }

    /// Lets the device's clock run faster than it says, by `ppm` millionths: sample `n` is then the one at
    /// `n / sample_rate / (1 + ppm · 10⁻⁶)` seconds.
    #[must_use]
    pub fn clock(mut self, ppm: f64) -> Self {
        self.speed = 1.0 + 1e-6 * ppm;
        self
    }

    /// Sets what an input hears: a function of the number of the sample and the channel.
    #[must_use]
    pub fn signal(mut self, signal: impl Fn(u64, usize) -> f32 + Send + Sync + 'static) -> Self {
        self.signal = Arc::new(signal);
        self
    }

    fn new(id: &str, format: StreamFormat, direction: Direction) -> Self {
        let signal = Arc::new(|n, _| counting(n));
        Self { id: id.into(), format, direction, block: 256, speed: 1.0, signal }
    }
}

/// The sample that tells its number: `(n mod 2²⁴) / 2²⁴`, which is exact.
#[must_use]
pub fn counting(n: u64) -> f32 {
    (n & 0xff_ffff) as f32 / 16_777_216.0
}

impl MockBackend {
    /// No devices, at time 0.
    #[must_use]
    pub fn new() -> Self {
        Self { shared: Arc::new(Shared::default()) }
    }

    /// Plugs `device` in; the first of its direction becomes the default.
    pub fn plug(&self, device: MockDevice) {
        let mut state = self.state();
        let default = state.default_mut(device.direction);
        if default.is_none() {
            *default = Some(device.id.clone());
        }
        let id = device.id.clone();
        state.devices.insert(
            id,
            Device { plugged: device, jitter: Duration::ZERO, stalled: false, refused: None },
        );
    }

    /// Pulls the device out. Its streams are told so and hear nothing more. It stays the default if it was.
    pub fn unplug(&self, id: &DeviceId) {
        let mut state = self.state();
        state.devices.remove(id);
        for stream in state.of(id) {
            stream.health.fault(FaultKind::DeviceLost, "unplugged");
            stream.dead = true;
        }
    }

    /// Makes `id` the default device of `direction`, or none. Streams are not told.
    pub fn set_default(&self, direction: Direction, id: Option<&DeviceId>) {
        *self.state().default_mut(direction) = id.cloned();
    }

    /// Gives the device another format: its streams become invalid.
    pub fn set_format(&self, id: &DeviceId, format: StreamFormat) {
        let mut state = self.state();
        if let Some(device) = state.devices.get_mut(id) {
            device.plugged.format = format;
        }
        for stream in state.of(id) {
            stream.health.fault(FaultKind::Invalidated, "the format has changed");
            stream.dead = true;
        }
    }

    /// Lets the device fall silent, without any error, or speak again: then it delivers at once what it has heard
    /// meanwhile, to those who still listen.
    pub fn stall(&self, id: &DeviceId, stalled: bool) {
        let mut state = self.state();
        let now = state.now;
        if let Some(device) = state.devices.get_mut(id) {
            device.stalled = stalled;
        }
        // A stream that was opened meanwhile begins now.
        for stream in state.of(id).filter(|stream| stream.health.last_beat().is_none()) {
            stream.next = samples_in(now, stream.format.sample_rate().hz());
        }
    }

    /// Lets callbacks come up to `jitter` late, in a way that is the same each time.
    pub fn set_jitter(&self, id: &DeviceId, jitter: Duration) {
        if let Some(device) = self.state().devices.get_mut(id) {
            device.jitter = jitter;
        }
    }

    /// Lets the device lose its next `samples` per channel, and say so.
    pub fn lose(&self, id: &DeviceId, samples: u64) {
        for stream in self.state().of(id) {
            stream.lost += samples;
        }
    }

    /// Reports `fault` to the device's streams, `times` times.
    pub fn fault(&self, id: &DeviceId, fault: FaultKind, times: u32) {
        for stream in self.state().of(id) {
            for _ in 0..times {
                stream.health.fault(fault, "injected");
            }
        }
    }

    /// Lets every attempt to open the device fail, until told `None`.
    pub fn refuse(&self, id: &DeviceId, error: Option<DeviceError>) {
        if let Some(device) = self.state().devices.get_mut(id) {
            device.refused = error;
        }
    }

    /// Lets all calls of the backend, and the dropping of streams, block until told otherwise.
    pub fn freeze(&self, frozen: bool) {
        self.state().frozen = frozen;
        self.shared.thawed.notify_all();
    }

    /// Connects an output to an input: what is played is heard `delay` samples later. Both need the same format.
    pub fn wire(&self, output: &DeviceId, input: &DeviceId, delay: u64) {
        self.state().wire = Some(Wire {
            output: output.clone(),
            input: input.clone(),
            delay,
            played: BTreeMap::new(),
        });
    }

    /// How many streams are open.
    #[must_use]
    pub fn open_streams(&self) -> usize {
        self.state().streams.len()
    }

    /// Lets time pass: every block that is due meanwhile is delivered.
    pub fn advance(&self, time: Duration) {
        let mut state = self.state();
        let until = state.now + time;
        while let Some(due) = state.next_due().filter(|(_, at)| *at <= until) {
            state.now = state.now.max(due.1);
            state.deliver(due.0);
        }
        state.now = until;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while frozen.
    fn thawed(&self) -> MutexGuard<'_, State> {
        let wait = self.shared.thawed.wait_while(self.state(), |state| state.frozen);
        wait.unwrap_or_else(PoisonError::into_inner)
    }

    fn open(
        &self,
        id: &DeviceId,
        direction: Direction,
        health: Arc<StreamHealth>,
        connect: impl FnOnce(StreamFormat) -> Result<End, DeviceError>,
    ) -> Result<Box<dyn OpenStream>, DeviceError> {
        let mut state = self.thawed();
        let found = state.devices.get(id).filter(|device| device.plugged.direction == direction);
        let device = found.ok_or_else(|| DeviceError::NotFound(id.clone()))?;
        if let Some(error) = &device.refused {
            return Err(error.clone());
        }
        let (format, block, speed) =
            (device.plugged.format, device.plugged.block, device.plugged.speed);
        health.opened(format);
        let end = connect(format)?;
        let number = state.opened;
        state.opened += 1;
        let next = samples_in(stretch(state.now, speed), format.sample_rate().hz());
        let buffer = vec![0.0; block * format.channels()];
        let device = id.clone();
        state.streams.push(Stream {
            number,
            device,
            format,
            end,
            health,
            next,
            lost: 0,
            late: Duration::ZERO,
            dead: false,
            buffer,
        });
        Ok(Box::new(Open { mock: self.clone(), number, format, block }))
    }
}

impl Default for MockBackend {
    fn default() -> Self {
        Self::new()
    }
}

impl Backend for MockBackend {
    fn name(&self) -> &'static str {
        "mock"
    }

    fn devices(&self) -> Result<Vec<DeviceInfo>, DeviceError> {
        let state = self.thawed();
        let infos = state.devices.values().map(|Device { plugged: device, .. }| {
            let rate = device.format.sample_rate().hz();
            let range = FormatRange {
                channels: device.format.channels(),
                min_rate: rate,
                max_rate: rate,
                encoding: Encoding::F32,
                block: Some((device.block as u32, device.block as u32)),
            };
            let is = |direction| device.direction == direction;
            let of = |direction| if is(direction) { vec![range.clone()] } else { vec![] };
            DeviceInfo {
                id: device.id.clone(),
                host: "mock".into(),
                name: device.id.to_string(),
                description: vec![],
                inputs: of(Direction::Input),
                outputs: of(Direction::Output),
                default_input: is(Direction::Input).then_some(device.format),
                default_output: is(Direction::Output).then_some(device.format),
                is_default_input: state.default_input.as_ref() == Some(&device.id),
                is_default_output: state.default_output.as_ref() == Some(&device.id),
            }
        });
        Ok(infos.collect())
    }

    fn default_device(&self, direction: Direction) -> Result<Option<DeviceId>, DeviceError> {
        Ok(self.thawed().default_mut(direction).clone())
    }

    fn is_present(&self, device: &DeviceId, direction: Direction) -> bool {
        let state = self.thawed();
        state.devices.get(device).is_some_and(|device| device.plugged.direction == direction)
    }

    fn open_input(
        &self,
        device: &DeviceId,
        _: &StreamRequest,
        health: Arc<StreamHealth>,
        connect: ConnectInput,
    ) -> Result<Box<dyn OpenStream>, DeviceError> {
        let connect = |format| Ok(End::Input(connect(format)?));
        self.open(device, Direction::Input, health, connect)
    }

    fn open_output(
        &self,
        device: &DeviceId,
        _: &StreamRequest,
        health: Arc<StreamHealth>,
        connect: ConnectOutput,
    ) -> Result<Box<dyn OpenStream>, DeviceError> {
        let connect = |format| Ok(End::Output(connect(format)?));
        self.open(device, Direction::Output, health, connect)
    }

    fn now(&self) -> Duration {
        self.state().now
    }
}

impl fmt::Debug for MockBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("MockBackend")
            .field("now", &state.now)
            .field("devices", &state.devices.keys())
            .field("streams", &state.streams.len())
            .finish()
    }
}

impl fmt::Debug for MockDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MockDevice")
            .field("id", &self.id)
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

struct Open {
    mock: MockBackend,
    number: u64,
    format: StreamFormat,
    block: usize,
}

impl OpenStream for Open {
    fn format(&self) -> StreamFormat {
        self.format
    }

    fn block(&self) -> Option<usize> {
        Some(self.block)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.mock.thawed().streams.retain(|stream| stream.number != self.number);
    }
}
