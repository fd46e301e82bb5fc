use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::time::{Duration, Instant};

use upbeat_core::{ConfigError, SampleRate};

use super::input::{Segment, SegmentConfig};
use super::output::OutputSegment;
use super::{
    Backend, Channels, DeviceError, DeviceId, LiveInput, LiveOutput, OpenStream, StreamHealth,
    StreamRequest, SupervisorConfig,
};
use crate::{ResampleQuality, StreamFormat};

/// A kind of stream that can be supervised.
pub(crate) trait Port: Send + Sync {
    /// Opens `device`.
    fn open(
        &self,
        backend: &dyn Backend,
        device: &DeviceId,
        health: &Arc<StreamHealth>,
        clock: ClockShift,
    ) -> Result<PortStream, DeviceError>;
}

/// A stream that a [`Port`] has opened.
pub(crate) struct PortStream {
    pub(crate) stream: Box<dyn OpenStream>,
    /// Of other streams that belong to it, and without which it is dead too.
    pub(crate) companions: Vec<Arc<StreamHealth>>,
    /// Makes the stream known to its user, once it is sure to be wanted.
    pub(crate) hand_over: Box<dyn FnOnce() + Send>,
}

/// From the clock of one backend to that of another, by what both showed at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClockShift {
    pub(crate) reference: Duration,
    pub(crate) own: Duration,
}

impl ClockShift {
    pub(crate) fn apply(self, time: Duration) -> Duration {
        (time + self.reference).saturating_sub(self.own)
    }
}

/// An input that is opened again and again, and its consumer.
pub(crate) fn input_port(
    config: &SupervisorConfig,
) -> Result<(Arc<dyn Port>, LiveInput), ConfigError> {
    let SupervisorConfig { sample_rate, channels, quality, block, buffer, .. } = *config;
    check(config)?;
    let (sender, segments) = mpsc::channel();
    let format = Arc::new(OnceLock::new());
    let port = InputPort {
        request: StreamRequest { sample_rate, channels: wanted(channels), block },
        sample_rate,
        config: SegmentConfig { channels, quality, buffer },
        format: Arc::clone(&format),
        sender,
    };
    Ok((Arc::new(port), LiveInput::new(segments, format)))
}

struct InputPort {
    request: StreamRequest,
    sample_rate: Option<SampleRate>,
    config: SegmentConfig,
    format: Arc<OnceLock<StreamFormat>>,
    sender: mpsc::Sender<Segment>,
}

impl Port for InputPort {
    fn open(
        &self,
        backend: &dyn Backend,
        device: &DeviceId,
        health: &Arc<StreamHealth>,
        clock: ClockShift,
    ) -> Result<PortStream, DeviceError> {
        let made = Arc::new(Mutex::new(None));
        let (slot, config, format) = (Arc::clone(&made), self.config, Arc::clone(&self.format));
        let (rate, for_segment) = (self.sample_rate, Arc::clone(health));
        let connect = move |from: StreamFormat| {
            let rate = rate.unwrap_or(from.sample_rate());
            let first = StreamFormat::new(rate, config.channels.of(from.channels()))?;
            let (feed, segment) =
                config.connect(from, *format.get_or_init(|| first), for_segment, clock)?;
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(segment);
            Ok(Box::new(feed) as _)
        };
        // Later devices are asked for the rate there is, which saves converting.
        let known = self.format.get().map(|format| format.sample_rate());
        let request = StreamRequest { sample_rate: self.sample_rate.or(known), ..self.request };
        let health = Arc::clone(health);
        let stream = backend.open_input(device, &request, health, Box::new(connect))?;
        let sender = self.sender.clone();
        let hand_over = move || {
            if let Some(segment) = made.lock().unwrap_or_else(PoisonError::into_inner).take() {
                let _ = sender.send(segment);
            }
        };
        Ok(PortStream { stream, companions: vec![], hand_over: Box::new(hand_over) })
    }
}

/// An output that is opened again and again, and its producer.
pub(crate) fn output_port(
    config: &SupervisorConfig,
) -> Result<(Arc<dyn Port>, LiveOutput), ConfigError> {
    let SupervisorConfig { sample_rate, channels, quality, block, buffer, .. } = *config;
    check(config)?;
    let (sender, segments) = mpsc::channel();
    let format = Arc::new(OnceLock::new());
    let port = OutputPort {
        request: StreamRequest { sample_rate, channels: wanted(channels), block },
        channels,
        quality,
        buffer,
        format: Arc::clone(&format),
        sender,
    };
    Ok((Arc::new(port), LiveOutput::new(segments, format)))
}

struct OutputPort {
    request: StreamRequest,
    channels: Channels,
    quality: ResampleQuality,
    buffer: Duration,
    format: Arc<OnceLock<StreamFormat>>,
    sender: mpsc::Sender<OutputSegment>,
}

impl Port for OutputPort {
    fn open(
        &self,
        backend: &dyn Backend,
        device: &DeviceId,
        health: &Arc<StreamHealth>,
        _: ClockShift,
    ) -> Result<PortStream, DeviceError> {
        let made = Arc::new(Mutex::new(None));
        let (slot, format) = (Arc::clone(&made), Arc::clone(&self.format));
        let Self { channels, quality, buffer, request, .. } = *self;
        let for_feed = Arc::clone(health);
        let connect = move |to: StreamFormat| {
            let rate = request.sample_rate.unwrap_or(to.sample_rate());
            let first = StreamFormat::new(rate, channels.of(to.channels()))?;
            let from = *format.get_or_init(|| first);
            let (feed, segment) = OutputSegment::connect(from, to, quality, buffer, for_feed)?;
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(segment);
            Ok(Box::new(feed) as _)
        };
        let known = self.format.get().map(|format| format.sample_rate());
        let request = StreamRequest { sample_rate: request.sample_rate.or(known), ..request };
        let stream =
            backend.open_output(device, &request, Arc::clone(health), Box::new(connect))?;
        let sender = self.sender.clone();
        let hand_over = move || {
            if let Some(segment) = made.lock().unwrap_or_else(PoisonError::into_inner).take() {
                let _ = sender.send(segment);
            }
        };
        Ok(PortStream { stream, companions: vec![], hand_over: Box::new(hand_over) })
    }
}

fn check(config: &SupervisorConfig) -> Result<(), ConfigError> {
    if let Channels::Count(count) = config.channels {
        StreamFormat::new(config.sample_rate.unwrap_or(SampleRate::new(48_000)?), count)?;
    }
    let buffer = config.buffer;
    let in_range = (Duration::from_millis(10)..=Duration::from_secs(60)).contains(&buffer);
    ConfigError::require(in_range, "buffer", "from 10 ms to 60 s", format!("{buffer:?}"))
}

const fn wanted(channels: Channels) -> Option<usize> {
    match channels {
        Channels::Count(count) => Some(count),
        Channels::AsDevice | Channels::Mono | Channels::Only(_) => None,
    }
}

/// Waits for the first device to give a stream its format, at most `timeout`.
pub(super) fn wait_format(
    format: &OnceLock<StreamFormat>,
    timeout: Duration,
) -> Option<StreamFormat> {
    let until = Instant::now() + timeout;
    while format.get().is_none() && Instant::now() < until {
        std::thread::sleep(LOOK);
    }
    format.get().copied()
}

/// How often those look who wait for a callback or a device.
pub(super) const LOOK: Duration = Duration::from_millis(1);
