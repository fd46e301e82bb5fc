use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::backend::{duration_of, monotonic};
use super::{
    Backend, CallbackInfo, ConnectInput, ConnectOutput, DeviceError, DeviceId, DeviceInfo,
    Direction, Encoding, FaultKind, FormatRange, InputSink, OpenStream, StreamHealth,
    StreamRequest,
};
use crate::{FileSource, IoError, Source, StreamFormat};

/// How fast a [`SourceBackend`] gives its samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Pace {
    /// As a device would: a second takes a second.
    #[default]
    RealTime,
    /// As fast as they are taken: waits where there is no room, so nothing is lost.
    Fast,
}

/// A [`Source`] as an input device: a file, a synthetic signal, the demo song.
///
/// There is one device, the default input. It is opened anew, from its beginning, each time a stream is opened, and a
/// stream ends where the source does.
pub struct SourceBackend {
    id: DeviceId,
    name: String,
    pace: Pace,
    block: usize,
    make: Make,
}

type Make = Box<dyn Fn() -> Result<Box<dyn Source>, IoError> + Send + Sync>;

impl SourceBackend {
    /// The sound file at `path`; opened when a stream is.
    pub fn file(path: impl Into<PathBuf>, pace: Pace) -> Self {
        let path = path.into();
        let id = format!("file:{}", path.display());
        Self::new(&id, pace, move || Ok(Box::new(FileSource::open(&path)?) as Box<dyn Source>))
    }

    /// Any source, made by `make` for each stream. `id` is the device's, as in `synth:sine`.
    pub fn new(
        id: &str,
        pace: Pace,
        make: impl Fn() -> Result<Box<dyn Source>, IoError> + Send + Sync + 'static,
    ) -> Self {
        Self { id: id.into(), name: id.into(), pace, block: 512, make: Box::new(make) }
    }

    /// Sets how many samples per channel a block has where none is asked for. Default: 512.
    #[must_use]
    pub fn block(mut self, samples: usize) -> Self {
        self.block = samples.max(1);
        self
    }

    fn source(&self) -> Result<Box<dyn Source>, DeviceError> {
        (self.make)().map_err(|error| DeviceError::Source(error.to_string()))
    }
}

impl Backend for SourceBackend {
    fn name(&self) -> &str {
        &self.name
    }

    fn devices(&self) -> Result<Vec<DeviceInfo>, DeviceError> {
        let format = self.source()?.format();
        let rate = format.sample_rate().hz();
        let range = FormatRange {
            channels: format.channels(),
            min_rate: rate,
            max_rate: rate,
            encoding: Encoding::F32,
            block: None,
        };
        Ok(vec![DeviceInfo {
            id: self.id.clone(),
            host: "source".into(),
            name: self.name.clone(),
            description: vec![],
            inputs: vec![range],
            outputs: vec![],
            default_input: Some(format),
            default_output: None,
            is_default_input: true,
            is_default_output: false,
        }])
    }

    fn default_device(&self, direction: Direction) -> Result<Option<DeviceId>, DeviceError> {
        Ok((direction == Direction::Input).then(|| self.id.clone()))
    }

    fn is_present(&self, device: &DeviceId, direction: Direction) -> bool {
        direction == Direction::Input && *device == self.id
    }

    fn open_input(
        &self,
        device: &DeviceId,
        request: &StreamRequest,
        health: Arc<StreamHealth>,
        connect: ConnectInput,
    ) -> Result<Box<dyn OpenStream>, DeviceError> {
        if *device != self.id {
            return Err(DeviceError::NotFound(device.clone()));
        }
        let source = self.source()?;
        let format = source.format();
        health.opened(format);
        let sink = connect(format)?;
        let block = request.block.unwrap_or(self.block).max(1);
        let stop = Arc::new(AtomicBool::new(false));
        let player =
            Player { source, sink, health, stop: Arc::clone(&stop), pace: self.pace, block };
        let thread = std::thread::Builder::new()
            .name("upbeat-source".into())
            .spawn(move || player.run())
            .map_err(|error| DeviceError::Backend(format!("no thread can be started: {error}")))?;
        Ok(Box::new(Playing { format, block, stop, thread: Some(thread) }))
    }

    fn open_output(
        &self,
        device: &DeviceId,
        _: &StreamRequest,
        _: Arc<StreamHealth>,
        _: ConnectOutput,
    ) -> Result<Box<dyn OpenStream>, DeviceError> {
        Err(DeviceError::Unsupported(format!("{device} is an input")))
    }
}

impl fmt::Debug for SourceBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceBackend")
            .field("id", &self.id)
            .field("pace", &self.pace)
            .finish_non_exhaustive()
    }
}

/// What plays a source, on a thread of its own.
struct Player {
    source: Box<dyn Source>,
    sink: Box<dyn InputSink>,
    health: Arc<StreamHealth>,
    stop: Arc<AtomicBool>,
    pace: Pace,
    block: usize,
}

impl Player {
    fn run(mut self) {
        let format = self.source.format();
        let mut buffer = vec![0.0; self.block * format.channels()];
        let start = Instant::now();
        let mut next = 0;
        loop {
            let block = match self.source.read(&mut buffer) {
                Ok(Some(block)) => block,
                Ok(None) => break self.health.end(),
                Err(error) => {
                    // What could be read was; the rest of a damaged file is no reason to try again.
                    self.health.fault(FaultKind::Backend, &error.to_string());
                    break self.health.end();
                }
            };
            let samples = block.interleaved.len() / format.channels();
            let until = block.at.0 + samples as u64;
            let due = start + duration_of(until, format.sample_rate().hz());
            while !self.stop.load(Ordering::Acquire) {
                let wait = match self.pace {
                    Pace::RealTime => due.saturating_duration_since(Instant::now()),
                    Pace::Fast if self.sink.room() >= samples => Duration::ZERO,
                    Pace::Fast => NO_ROOM,
                };
                if wait.is_zero() {
                    break;
                }
                std::thread::sleep(wait.min(LONGEST_SLEEP));
            }
            if self.stop.load(Ordering::Acquire) {
                return;
            }
            let now = monotonic();
            let lost = block.at.0.saturating_sub(next);
            let info = CallbackInfo { lost, ..CallbackInfo::at(now) };
            self.health.beat(&info, samples);
            self.sink.data(&info, block.interleaved);
            next = until;
        }
    }
}

struct Playing {
    format: StreamFormat,
    block: usize,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl OpenStream for Playing {
    fn format(&self) -> StreamFormat {
        self.format
    }

    fn block(&self) -> Option<usize> {
        Some(self.block)
    }
}

impl Drop for Playing {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// How long to wait for the consumer to make room.
const NO_ROOM: Duration = Duration::from_micros(200);
/// How long a stream that is told to stop may take.
const LONGEST_SLEEP: Duration = Duration::from_millis(20);
