use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::time::Duration;

use upbeat_core::{ConfigError, SampleRate};

use super::input::{ClockShift, Segment, SegmentConfig};
use super::{
    Backend, Channels, DeviceError, DeviceId, LiveInput, OpenStream, StreamHealth, StreamRequest,
    SupervisorConfig,
};
use crate::StreamFormat;

/// A kind of stream that can be supervised.
pub(crate) trait Port: Send + Sync {
    /// Opens `device`. What it returns makes the stream known to its user, once it is sure to be wanted.
    fn open(
        &self,
        backend: &dyn Backend,
        device: &DeviceId,
        health: &Arc<StreamHealth>,
        clock: ClockShift,
    ) -> Result<(Box<dyn OpenStream>, HandOver), DeviceError>;
}

pub(crate) type HandOver = Box<dyn FnOnce() + Send>;

/// An input that is opened again and again, and its consumer.
pub(crate) fn input_port(
    config: &SupervisorConfig,
) -> Result<(Arc<dyn Port>, LiveInput), ConfigError> {
    let SupervisorConfig { sample_rate, channels, quality, block, buffer, .. } = *config;
    if let Channels::Count(count) = channels {
        StreamFormat::new(sample_rate.unwrap_or(SampleRate::new(48_000)?), count)?;
    }
    let in_range = (Duration::from_millis(10)..=Duration::from_secs(60)).contains(&buffer);
    ConfigError::require(in_range, "buffer", "from 10 ms to 60 s", format!("{buffer:?}"))?;
    let (sender, segments) = mpsc::channel();
    let format = Arc::new(OnceLock::new());
    let wanted = match channels {
        Channels::Count(count) => Some(count),
        Channels::AsDevice | Channels::Mono | Channels::Only(_) => None,
    };
    let port = InputPort {
        request: StreamRequest { sample_rate, channels: wanted, block },
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
    ) -> Result<(Box<dyn OpenStream>, HandOver), DeviceError> {
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
        Ok((stream, Box::new(hand_over)))
    }
}
