use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use upbeat_core::{ConfigError, SampleRate};
use upbeat_window::{QueueConfig, QueueReader, sample_queue};

use super::port::{ClockShift, Port, PortStream};
use super::{
    Backend, CallbackInfo, DeviceError, DeviceId, Direction, InputSink, OpenStream, OutputFill,
    Policy, StreamHealth, StreamRequest,
};
use crate::StreamFormat;

/// What a supervised duplex stream does with the sound on its way from input to output.
pub trait DuplexProcess: Send {
    /// Called on a control thread each time devices were opened, before the first block; may allocate.
    fn prepare(&mut self, format: StreamFormat);

    /// Changes a block in place, on the audio thread: may not allocate, lock, block or panic. Blocks are of any length.
    fn process(&mut self, interleaved: &mut [f32]);
}

/// What a supervised duplex stream shall be.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DuplexConfig {
    /// Which input. Default: the default one; found anew whenever the stream is opened.
    pub input: Policy,
    /// Which output. The stream moves when this does. Default: the default one.
    pub output: Policy,
    /// What to ask both devices for. They must have one rate between them; channels are those of the output, to which those
    /// of the input are fitted.
    pub request: StreamRequest,
    /// How much sound waits between input and output. Less is heard sooner, more survives more jitter. Where two
    /// clocks drift apart it is kept between half and twice of this, by leaving out samples or by silence, both
    /// counted. Default: 10 ms.
    pub cushion: Duration,
}

impl Default for DuplexConfig {
    fn default() -> Self {
        Self {
            input: Policy::default(),
            output: Policy::default(),
            request: StreamRequest::default(),
            cushion: Duration::from_millis(10),
        }
    }
}

/// Opens an input and an output, with a process in between.
pub(crate) struct DuplexPort {
    config: DuplexConfig,
    /// Where the process is while no stream has it.
    home: Home,
}

type Home = Arc<Mutex<Option<Box<dyn DuplexProcess>>>>;

impl DuplexPort {
    pub(crate) fn new(
        config: DuplexConfig,
        process: Box<dyn DuplexProcess>,
    ) -> Result<Self, ConfigError> {
        let cushion = config.cushion;
        let in_range = (Duration::from_millis(1)..=Duration::from_secs(1)).contains(&cushion);
        ConfigError::require(in_range, "cushion", "from 1 ms to 1 s", format!("{cushion:?}"))?;
        Ok(Self { config, home: Arc::new(Mutex::new(Some(process))) })
    }
}

impl Port for DuplexPort {
    fn open(
        &self,
        backend: &dyn Backend,
        device: &DeviceId,
        health: &Arc<StreamHealth>,
        _: ClockShift,
    ) -> Result<PortStream, DeviceError> {
        let input = match &self.config.input {
            Policy::Pin(input) => input.clone(),
            Policy::FollowDefault => backend
                .default_device(Direction::Input)?
                .ok_or(DeviceError::NoDefault(Direction::Input))?,
        };
        let reader = Arc::new(Mutex::new(None));
        let (slot, cushion) = (Arc::clone(&reader), self.config.cushion);
        let connect = move |format: StreamFormat| {
            let cushion = format.sample_rate().samples(cushion.as_secs_f64()).max(1) as usize;
            // Room for blocks much longer than the cushion.
            let capacity = 2 * cushion + format.sample_rate().samples(0.5) as usize;
            let queue = QueueConfig::new(format.channels(), capacity);
            let (writer, reader) = sample_queue(&queue)?;
            *lock(&slot) = Some((reader, format, cushion));
            Ok(Box::new(InputEnd { writer, channels: format.channels() }) as Box<dyn InputSink>)
        };
        let input_health = Arc::new(StreamHealth::new());
        let request = self.config.request;
        let heard =
            backend.open_input(&input, &request, Arc::clone(&input_health), Box::new(connect))?;
        let rate = heard.format().sample_rate();
        let missing = || DeviceError::Backend("the input was opened without a format".into());
        let (reader, from, cushion) = lock(&reader).take().ok_or_else(missing)?;
        let (home, output_health) = (Arc::clone(&self.home), Arc::clone(health));
        let refused = Arc::new(Mutex::new(None));
        let why = Arc::clone(&refused);
        let connect = move |to: StreamFormat| {
            if to.sample_rate() != rate {
                *lock(&why) = Some(rates(rate, to.sample_rate()));
                return Err(ConfigError::new("sample_rate", "that of the input", to.sample_rate()));
            }
            let Some(mut process) = lock(&home).take() else {
                // It is on a stream that did not close in time.
                *lock(&why) = Some(DeviceError::Busy("the stream before still runs".into()));
                return Err(ConfigError::new("stream", "closed before it is opened anew", "open"));
            };
            process.prepare(to);
            let most = from.channels().max(1) * PIECE;
            Ok(Box::new(OutputEnd {
                reader,
                health: output_health,
                process: Some(process),
                home,
                from: from.channels(),
                to: to.channels(),
                cushion,
                piece: vec![0.0; most].into(),
                is_primed: false,
                has_begun: false,
            }) as Box<dyn OutputFill>)
        };
        let request = StreamRequest { sample_rate: Some(rate), ..request };
        let played = backend
            .open_output(device, &request, Arc::clone(health), Box::new(connect))
            .map_err(|error| lock(&refused).take().unwrap_or(error))?;
        Ok(PortStream {
            stream: Box::new(Both { played, _heard: heard }),
            companions: vec![input_health],
            hand_over: Box::new(|| {}),
        })
    }
}

fn rates(input: SampleRate, output: SampleRate) -> DeviceError {
    DeviceError::Unsupported(format!(
        "the input runs at {input}, the output at {output}; choose a rate that both have"
    ))
}

/// The input's end of the queue.
struct InputEnd {
    writer: upbeat_window::QueueWriter,
    channels: usize,
}

impl InputSink for InputEnd {
    fn data(&mut self, _: &CallbackInfo, interleaved: &[f32]) {
        let whole = interleaved.len() / self.channels * self.channels;
        self.writer.write(&interleaved[..whole]);
    }
}

/// The output's end of the queue.
struct OutputEnd {
    reader: QueueReader,
    health: Arc<StreamHealth>,
    /// Gone home only when this is dropped.
    process: Option<Box<dyn DuplexProcess>>,
    home: Home,
    from: usize,
    to: usize,
    cushion: usize,
    piece: Box<[f32]>,
    /// Whether there was enough to begin with since the last silence.
    is_primed: bool,
    has_begun: bool,
}

impl OutputFill for OutputEnd {
    fn fill(&mut self, _: &CallbackInfo, interleaved: &mut [f32]) {
        let wanted = interleaved.len() / self.to;
        // Beyond what the block itself needs, between half the cushion and twice.
        if self.reader.available() > wanted + 2 * self.cushion {
            let dropped = self.reader.drop_to_latency(wanted + self.cushion);
            self.health.lose(dropped as u64);
        }
        self.is_primed |= self.reader.available() >= wanted + self.cushion / 2;
        let mut filled = 0;
        while self.is_primed && filled < wanted {
            let most = (wanted - filled).min(PIECE);
            let (mut got, piece) = (0, &mut self.piece);
            let samples = self.reader.read(most, |_, block| {
                piece[got..got + block.len()].copy_from_slice(block);
                got += block.len();
            });
            let place = &mut interleaved[filled * self.to..(filled + samples) * self.to];
            fit(&self.piece[..got], self.from, place, self.to);
            filled += samples;
            self.has_begun = true;
            if samples < most {
                self.is_primed = false;
            }
        }
        interleaved[filled * self.to..].fill(0.0);
        if filled < wanted && self.has_begun {
            self.health.underrun((wanted - filled) as u64);
        }
        if let Some(process) = &mut self.process {
            process.process(interleaved);
        }
    }
}

impl Drop for OutputEnd {
    fn drop(&mut self) {
        *lock(&self.home) = self.process.take();
    }
}

/// Channels of `from` as channels of `to`: see [`Channels::Count`](super::Channels::Count).
fn fit(samples: &[f32], from: usize, place: &mut [f32], to: usize) {
    let both = from.min(to);
    for (place, sample) in place.chunks_exact_mut(to).zip(samples.chunks_exact(from)) {
        match (from, to) {
            (1, _) => place.fill(sample[0]),
            (_, 1) => place[0] = sample.iter().sum::<f32>() / from as f32,
            _ => {
                place[..both].copy_from_slice(&sample[..both]);
                place[both..].fill(0.0);
            }
        }
    }
}

/// Two streams as one; the output goes first, since it takes from the other.
struct Both {
    played: Box<dyn OpenStream>,
    _heard: Box<dyn OpenStream>,
}

impl OpenStream for Both {
    fn format(&self) -> StreamFormat {
        self.played.format()
    }

    fn block(&self) -> Option<usize> {
        self.played.block()
    }
}

fn lock<T>(slot: &Mutex<T>) -> MutexGuard<'_, T> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Samples per channel moved at once.
const PIECE: usize = 256;
