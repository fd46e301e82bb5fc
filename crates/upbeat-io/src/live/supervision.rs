use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use upbeat_core::{ConfigError, SampleRate};

use super::duplex::DuplexPort;
use super::jobs::{Answer, Job, Jobs};
use super::port::{ClockShift, Port, PortStream, input_port, output_port};
use super::{
    Backend, Channels, Command, DeviceError, DeviceId, Direction, DuplexConfig, DuplexProcess,
    LiveInput, LiveOutput, Machine, OpenStream, Policy, Signal, StreamEvent, StreamHealth,
    StreamState, StreamStats, Timing,
};
use crate::{ResampleQuality, StreamFormat};

/// What a supervised stream shall be.
#[derive(Clone, Debug)]
pub struct SupervisorConfig {
    /// Which device. Default: the default one, whichever that is.
    pub policy: Policy,
    /// The stream's sample rate. Devices of another rate are converted. Default: that of the first device.
    pub sample_rate: Option<SampleRate>,
    /// The stream's channels. Default: those of the first device.
    pub channels: Channels,
    /// What converts rates. Default: [`ResampleQuality::Balanced`].
    pub quality: ResampleQuality,
    /// Samples per channel to ask the device for in a block; only a wish. Default: the device's own.
    pub block: Option<usize>,
    /// How much the queue between the device and the program holds. Default: 2 s.
    pub buffer: Duration,
    /// How fast to react.
    pub timing: Timing,
    /// Where to take samples from while there is no device: its default device is opened after
    /// [`Timing::fallback`]. Default: nowhere.
    pub fallback: Option<Arc<dyn Backend>>,
}

impl Default for SupervisorConfig {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            sample_rate: None,
            channels: Channels::default(),
            quality: ResampleQuality::default(),
            block: None,
            buffer: Duration::from_secs(2),
            timing: Timing::default(),
            fallback: None,
        }
    }
}

/// How a supervised stream stands.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct StreamStatus {
    /// What it is doing.
    pub state: StreamState,
    /// The open device.
    pub device: Option<DeviceId>,
    /// The open device's format; the stream's own never changes.
    pub device_format: Option<StreamFormat>,
    /// Samples per channel in a block of the open device, where the host says.
    pub block: Option<usize>,
    /// Whether the open device is the fallback.
    pub is_fallback: bool,
    /// What was counted on the open device, or the last one.
    pub stats: StreamStats,
    /// How many times a device was opened.
    pub opened: u64,
    /// How many times one was lost.
    pub losses: u64,
    /// Why the last attempt to open a device failed, until one succeeds.
    pub last_error: Option<DeviceError>,
    /// The host's words for the last loss.
    pub last_message: Option<String>,
    /// How many events were dropped because nobody took them.
    pub dropped_events: u64,
}

/// A supervised stream without a thread of its own: does its work when [`step`](Self::step) is called.
///
/// For tests, and for programs that have a loop anyway; others take a [`StreamSupervisor`](super::StreamSupervisor).
pub struct StreamSupervision {
    backend: Arc<dyn Backend>,
    fallback: Option<Arc<dyn Backend>>,
    port: Option<Arc<dyn Port>>,
    policy: Policy,
    direction: Direction,
    timing: Timing,
    machine: Machine,
    jobs: Jobs,
    looking: Option<Job<Option<DeviceId>>>,
    opening: Option<(DeviceId, Job<Result<Opened, DeviceError>>)>,
    /// To be opened once the stream before is closed.
    queued: Option<Target>,
    closing: Option<Job<()>>,
    open: Option<Open>,
    shared: Arc<Shared>,
}

/// What the outside sees of a supervision.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    status: Mutex<StreamStatus>,
    events: Mutex<VecDeque<StreamEvent>>,
    dropped: AtomicU64,
}

struct Opened {
    stream: PortStream,
    health: Arc<StreamHealth>,
}

/// What to open.
enum Target {
    Device(DeviceId),
    Fallback,
}

struct Open {
    stream: Box<dyn OpenStream>,
    health: Arc<StreamHealth>,
    /// Of all streams that must live, this one's first.
    watched: Vec<Watched>,
    is_rate_checked: bool,
}

/// A stream, and what was seen of it.
struct Watched {
    health: Arc<StreamHealth>,
    /// How many blocks had come, and when the last one was seen to.
    blocks: u64,
    last_block: Option<Duration>,
}

impl StreamSupervision {
    /// An input, and the end of it that samples come out of. All calls into the sound system are made within
    /// [`step`](Self::step).
    ///
    /// # Errors
    ///
    /// If a setting is out of its range.
    pub fn input(
        backend: Arc<dyn Backend>,
        config: SupervisorConfig,
    ) -> Result<(Self, LiveInput), ConfigError> {
        let (port, live) = input_port(&config)?;
        Ok((Self::new(backend, config, Direction::Input, port, Jobs::Inline), live))
    }

    /// An output, and the end of it that samples go into.
    ///
    /// # Errors
    ///
    /// If a setting is out of its range.
    pub fn output(
        backend: Arc<dyn Backend>,
        config: SupervisorConfig,
    ) -> Result<(Self, LiveOutput), ConfigError> {
        let (port, live) = output_port(&config)?;
        Ok((Self::new(backend, config, Direction::Output, port, Jobs::Inline), live))
    }

    /// An input that goes through `process` to an output.
    ///
    /// # Errors
    ///
    /// If a setting is out of its range.
    pub fn duplex(
        backend: Arc<dyn Backend>,
        config: DuplexConfig,
        timing: Timing,
        process: Box<dyn DuplexProcess>,
    ) -> Result<Self, ConfigError> {
        let policy = config.output.clone();
        let port = Arc::new(DuplexPort::new(config, process)?);
        let config = SupervisorConfig { policy, timing, ..SupervisorConfig::default() };
        Ok(Self::new(backend, config, Direction::Output, port, Jobs::Inline))
    }

    pub(crate) fn new(
        backend: Arc<dyn Backend>,
        config: SupervisorConfig,
        direction: Direction,
        port: Arc<dyn Port>,
        jobs: Jobs,
    ) -> Self {
        let SupervisorConfig { policy, timing, fallback, .. } = config;
        let now = backend.now();
        Self {
            machine: Machine::new(policy.clone(), timing, fallback.is_some(), now),
            backend,
            fallback,
            port: Some(port),
            policy,
            direction,
            timing,
            jobs,
            looking: None,
            opening: None,
            queued: None,
            closing: None,
            open: None,
            shared: Arc::default(),
        }
    }

    /// Does what is to be done now. Call it every 10 ms or so.
    pub fn step(&mut self) {
        let now = self.backend.now();
        self.answers(now);
        self.observe(now);
        for _ in 0..MAX_COMMANDS {
            let Some(command) = self.machine.command(now) else { break };
            self.carry_out(command);
            self.answers(now);
        }
        self.publish();
    }

    /// How the stream stands.
    #[must_use]
    pub fn status(&self) -> StreamStatus {
        self.shared.status()
    }

    /// The oldest event that was not taken. Of events that nobody takes, the newest 256 are kept.
    #[must_use]
    pub fn event(&self) -> Option<StreamEvent> {
        self.shared.event()
    }

    /// Closes the stream for good. The other end sees what was in the queue, then the end.
    pub fn stop(&mut self) {
        self.machine.stop();
        self.queued = None;
        self.opening = None;
        self.step();
        self.port = None;
    }

    pub(crate) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// Whether a stream is being closed.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.is_some()
    }

    fn answers(&mut self, now: Duration) {
        if let Some(job) = self.closing.take() {
            match job.poll(self.timing.close) {
                Answer::NotYet(job) => self.closing = Some(job),
                Answer::Here(()) | Answer::Never => {}
            }
        }
        if self.closing.is_none()
            && let Some(target) = self.queued.take()
        {
            self.open(target);
        }
        if let Some(job) = self.looking.take() {
            match job.poll(self.timing.deadline) {
                Answer::NotYet(job) => self.looking = Some(job),
                Answer::Here(seen) => self.machine.signal(now, Signal::Seen(seen)),
                Answer::Never => self.machine.signal(now, Signal::Seen(None)),
            }
        }
        if let Some((device, job)) = self.opening.take() {
            match job.poll(self.timing.deadline) {
                Answer::NotYet(job) => self.opening = Some((device, job)),
                Answer::Here(Ok(opened)) => self.opened(now, device, opened),
                Answer::Here(Err(error)) => self.failed(now, device, error),
                Answer::Never => {
                    let limit = u64::try_from(self.timing.deadline.as_millis()).unwrap_or(u64::MAX);
                    self.failed(now, device, DeviceError::TimedOut(limit));
                }
            }
        }
    }

    /// Looks at the open stream.
    fn observe(&mut self, now: Duration) {
        let Some(open) = &mut self.open else { return };
        let health = Arc::clone(&open.health);
        let stats = health.stats();
        let (mut death, mut last_block, mut period) = (None, Some(now), Duration::ZERO);
        for watched in &mut open.watched {
            let blocks = watched.health.stats().callbacks;
            // By this clock, whichever the stream's own times are told in.
            if blocks != watched.blocks {
                (watched.blocks, watched.last_block) = (blocks, Some(now));
            }
            // The one that is silent longest counts; `None`, nothing yet, is the least.
            last_block = last_block.min(watched.last_block);
            period = period.max(watched.health.period());
            death = death.or(watched.health.death());
        }
        let stated = open.stream.format().sample_rate().hz();
        if let Some(measured) = stats.measured_rate
            && !open.is_rate_checked
            && stats.samples > RATE_CHECK * u64::from(stated)
        {
            open.is_rate_checked = true;
            let is_wrong = (measured / f64::from(stated) - 1.0).abs() > WRONG_RATE;
            if let Some(device) = self.machine.device().filter(|_| is_wrong).cloned() {
                self.shared.tell(StreamEvent::WrongRate { device, stated, measured });
            }
        }
        if health.take_default_changed() {
            self.machine.signal(now, Signal::DefaultChanged);
        }
        let signal = if health.has_ended() {
            Signal::Ended
        } else if let Some(fault) = death {
            Signal::Dead(fault)
        } else {
            Signal::Alive { last_block, period }
        };
        self.machine.signal(now, signal);
    }

    fn carry_out(&mut self, command: Command) {
        match command {
            Command::Close => self.close(),
            Command::Look { probe } => self.look(probe),
            Command::Open(device) => self.queued = Some(Target::Device(device)),
            Command::OpenFallback => self.queued = Some(Target::Fallback),
        }
    }

    fn look(&mut self, probe: bool) {
        let (backend, policy, direction) =
            (Arc::clone(&self.backend), self.policy.clone(), self.direction);
        let look = move || {
            let device = match policy {
                Policy::FollowDefault => backend.default_device(direction).ok().flatten()?,
                Policy::Pin(device) => device,
            };
            (!probe || backend.is_present(&device, direction)).then_some(device)
        };
        self.looking = Some(self.jobs.start(look).unwrap_or(Job::Done(None)));
    }

    fn open(&mut self, target: Target) {
        let Some(port) = self.port.clone() else { return };
        let direction = self.direction;
        let (backend, device) = match (target, &self.fallback) {
            (Target::Device(device), _) => (Arc::clone(&self.backend), device),
            (Target::Fallback, Some(fallback)) => match fallback.default_device(direction) {
                Ok(Some(device)) => (Arc::clone(fallback), device),
                Ok(None) => return self.no_fallback(DeviceError::NoDefault(direction)),
                Err(error) => return self.no_fallback(error),
            },
            (Target::Fallback, None) => {
                return self.no_fallback(DeviceError::NoDefault(direction));
            }
        };
        let health = Arc::new(StreamHealth::new());
        let (id, reference) = (device.clone(), Arc::clone(&self.backend));
        let open = move || {
            let clock = ClockShift { reference: reference.now(), own: backend.now() };
            let stream = port.open(&*backend, &device, &health, clock)?;
            Ok(Opened { stream, health })
        };
        let job = self.jobs.start(open).unwrap_or_else(|error| Job::Done(Err(error)));
        self.opening = Some((id, job));
    }

    fn no_fallback(&mut self, error: DeviceError) {
        self.opening = Some((DeviceId::new("fallback"), Job::Done(Err(error))));
    }

    fn opened(&mut self, now: Duration, device: DeviceId, opened: Opened) {
        let Opened { stream: PortStream { stream, companions, hand_over }, health } = opened;
        hand_over();
        {
            let mut status = self.shared.lock();
            status.opened += 1;
            status.last_error = None;
            status.device_format = Some(stream.format());
            status.block = stream.block();
        }
        let all = std::iter::once(Arc::clone(&health)).chain(companions);
        let watched = all.map(|health| Watched { health, blocks: 0, last_block: None }).collect();
        self.open = Some(Open { stream, health, watched, is_rate_checked: false });
        self.machine.signal(now, Signal::Opened(device));
    }

    fn failed(&mut self, now: Duration, device: DeviceId, error: DeviceError) {
        self.shared.lock().last_error = Some(error.clone());
        self.machine.signal(now, Signal::OpenFailed(device, error));
    }

    /// Drops the open stream, on a thread that can be left behind.
    fn close(&mut self) {
        let Some(open) = self.open.take() else { return };
        let ended = open.health.has_ended();
        {
            let mut status = self.shared.lock();
            status.stats = open.health.stats();
            status.last_message = open.health.first_message();
            status.device_format = None;
            status.block = None;
        }
        let stream = open.stream;
        // Nothing can be left behind where no thread can be started: then this one does it.
        self.closing = self.jobs.start(move || drop(stream)).ok();
        if ended {
            self.port = None;
        }
    }

    fn publish(&mut self) {
        while let Some(event) = self.machine.event() {
            if matches!(event, StreamEvent::Lost { .. }) {
                self.shared.lock().losses += 1;
            }
            self.shared.tell(event);
        }
        let mut status = self.shared.lock();
        status.state = self.machine.state();
        status.device = self.machine.device().cloned();
        status.is_fallback = self.machine.is_fallback();
        if let Some(open) = &self.open {
            status.stats = open.health.stats();
        }
    }
}

impl fmt::Debug for StreamSupervision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamSupervision")
            .field("backend", &self.backend)
            .field("machine", &self.machine)
            .finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn status(&self) -> StreamStatus {
        let dropped_events = self.dropped.load(Ordering::Relaxed);
        StreamStatus { dropped_events, ..self.lock().clone() }
    }

    pub(crate) fn event(&self) -> Option<StreamEvent> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    fn lock(&self) -> MutexGuard<'_, StreamStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, event: StreamEvent) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        if events.len() == MAX_EVENTS {
            events.pop_front();
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        events.push_back(event);
    }
}

/// Of events that nobody takes, so many are kept.
const MAX_EVENTS: usize = 256;
/// The most commands carried out in one step.
const MAX_COMMANDS: usize = 8;
/// The rate is checked after so many seconds.
const RATE_CHECK: u64 = 3;
/// More than any clock is wrong by.
const WRONG_RATE: f64 = 0.01;
