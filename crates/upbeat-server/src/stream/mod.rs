//! One stream: audio that waits, its analysis, and who is told.

mod engine;
mod input;
pub(crate) mod options;
mod outbox;
mod stats;
mod work;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::watch;
use upbeat::FeatureSet;
use upbeat::perf::{Cost, QualitySettings};

use crate::message::Problem;
use crate::pool::Scheduler;
use crate::sync::Lock;
use crate::wire::{Frame, SampleFormat};

pub(crate) use engine::{Engine, EngineConfig, Made};
pub(crate) use input::Input;
pub(crate) use options::{Framing, Options, Settings};
pub(crate) use outbox::{Next, Outbox};
pub(crate) use stats::{Measures, StreamStats};

/// A stream, shared by its connection, by the threads that analyse it, and by those who watch it.
pub(crate) struct Stream {
    pub(crate) id: String,
    pub(crate) settings: Settings,
    /// Who knows it may resume the stream.
    pub(crate) token: String,
    pub(crate) created: Instant,
    pub(crate) outbox: Arc<Outbox>,
    pool: Scheduler,
    quality: watch::Receiver<QualitySettings>,
    intake: Mutex<Intake>,
    engine: Mutex<Engine>,
    measures: Mutex<Measures>,
    /// Whether it waits for a thread, or has one.
    scheduled: AtomicBool,
    watchers: Mutex<Vec<Weak<Outbox>>>,
    attachment: Mutex<Attachment>,
    /// Counts connections: one that is not the newest has been replaced.
    generation: watch::Sender<u64>,
    ended: watch::Sender<bool>,
}

struct Intake {
    input: Input,
    /// Changes, and the index of the sample they come before.
    commands: VecDeque<(u64, Command)>,
    paused: bool,
    /// Set when no more audio is taken: how the connection is to be closed.
    ending: Option<(u16, &'static str)>,
    /// The client's number for the stream, once it is known.
    number: Option<u32>,
    /// Kept from message to message, so that nothing is allocated for it.
    decoded: Vec<f32>,
}

/// What changes the analysis, in order with the audio.
#[derive(Clone, Copy)]
pub(crate) enum Command {
    Reset,
    SetRate(f32),
    SetFeatures(FeatureSet),
}

enum Attachment {
    /// No connection has come yet: since when.
    Awaited(Instant),
    Attached,
    /// The connection is gone: since when.
    Lost(Instant),
}

impl Stream {
    pub(crate) fn new(
        id: &str,
        settings: Settings,
        token: String,
        buffer: Duration,
        pool: Scheduler,
        quality: watch::Receiver<QualitySettings>,
    ) -> Result<Self, Problem> {
        let engine = Engine::new(&settings.engine)
            .map_err(|error| Problem::new("invalid_setting", error.to_string()))?;
        let EngineConfig { rate, channels, .. } = settings.engine;
        let now = Instant::now();
        Ok(Self {
            id: id.to_owned(),
            settings,
            token,
            created: now,
            outbox: Arc::default(),
            pool,
            quality,
            intake: Mutex::new(Intake {
                input: Input::new(channels, rate.samples(buffer.as_secs_f64())),
                commands: VecDeque::new(),
                paused: false,
                ending: None,
                number: None,
                decoded: Vec::new(),
            }),
            engine: Mutex::new(engine),
            measures: Mutex::new(Measures::new()),
            scheduled: AtomicBool::new(false),
            watchers: Mutex::default(),
            attachment: Mutex::new(Attachment::Awaited(now)),
            generation: watch::Sender::new(0),
            ended: watch::Sender::new(false),
        })
    }

    /// Makes a new connection the stream's own, and returns its number; one that was there is replaced.
    ///
    /// Without the token, only a stream that nobody has connected to yet can be had.
    pub(crate) fn attach(&self, token: Option<&str>) -> Option<u64> {
        let mut attachment = self.attachment.hold();
        let known = token.is_some_and(|token| crate::access::same(token, &self.token));
        if !known && !matches!(*attachment, Attachment::Awaited(_)) {
            return None;
        }
        if matches!(*attachment, Attachment::Lost(_)) && self.settings.framing == Framing::Plain {
            // Nobody has counted what was not sent meanwhile: as much as there was time for.
            let mut intake = self.intake.hold();
            let away = intake.input.last_arrival().map_or(0.0, |last| last.elapsed().as_secs_f64());
            intake.input.skip(self.settings.engine.rate.samples(away), "reconnect");
        }
        *attachment = Attachment::Attached;
        let mut newest = 0;
        self.generation.send_modify(|generation| {
            *generation += 1;
            newest = *generation;
        });
        self.outbox.redirect(newest);
        Some(newest)
    }

    /// A connection is gone; nothing happens if another one has replaced it.
    pub(crate) fn detach(&self, generation: u64) {
        let mut attachment = self.attachment.hold();
        if *self.generation.borrow() == generation {
            *attachment = Attachment::Lost(Instant::now());
        }
    }

    pub(crate) fn is_attached(&self) -> bool {
        matches!(*self.attachment.hold(), Attachment::Attached)
    }

    /// Whether nobody has come, or come back, for `patience`.
    pub(crate) fn is_abandoned(&self, patience: Duration) -> bool {
        match *self.attachment.hold() {
            Attachment::Attached => false,
            Attachment::Awaited(since) | Attachment::Lost(since) => since.elapsed() > patience,
        }
    }

    /// Changes when a connection is replaced by a newer one.
    pub(crate) fn generations(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    /// Becomes true when all audio is analysed after [`end`](Self::end).
    pub(crate) fn endings(&self) -> watch::Receiver<bool> {
        self.ended.subscribe()
    }

    /// Takes a binary message, in the stream's format.
    pub(crate) fn receive(self: &Arc<Self>, message: &[u8]) -> Result<(), Problem> {
        let arrived = Instant::now();
        let mut intake = self.intake.hold();
        let taken = match self.settings.framing {
            Framing::Plain => self.receive_plain(&mut intake, message, arrived),
            Framing::Framed => self.receive_frame(&mut intake, message, arrived),
        };
        drop(intake);
        let mut measures = self.measures.hold();
        measures.messages += 1;
        measures.bytes += message.len() as u64;
        match taken {
            Ok(samples) => measures.samples_in += samples,
            Err(_) => measures.invalid += 1,
        }
        drop(measures);
        self.schedule();
        taken.map(|_| ())
    }

    fn receive_plain(
        &self,
        intake: &mut Intake,
        message: &[u8],
        arrived: Instant,
    ) -> Result<u64, Problem> {
        let format = self.settings.format;
        let size = format.size() * self.settings.engine.channels;
        let samples = (message.len() / size) as u64;
        if !message.len().is_multiple_of(size) {
            intake.input.skip(samples, "invalid");
            let got = message.len();
            let message = format!("a message must hold a multiple of {size} bytes, got {got}");
            return Err(Problem::new("partial_sample", message));
        }
        if intake.paused || intake.ending.is_some() {
            intake.input.skip(samples, "paused");
            return Ok(0);
        }
        let at = intake.input.next();
        Self::push(intake, format, at, message, 0, arrived);
        Ok(samples)
    }

    fn receive_frame(
        &self,
        intake: &mut Intake,
        message: &[u8],
        arrived: Instant,
    ) -> Result<u64, Problem> {
        let frame = Frame::parse(message)
            .map_err(|error| Problem::new("invalid_frame", error.to_string()))?;
        let EngineConfig { rate, channels, .. } = self.settings.engine;
        if usize::from(frame.channels) != channels || frame.sample_rate != rate.hz() {
            let message = format!(
                "the stream has {channels} channels at {} Hz, this frame {} at {} Hz; start another stream",
                rate.hz(),
                frame.channels,
                frame.sample_rate
            );
            return Err(Problem::new("format_changed", message));
        }
        if *intake.number.get_or_insert(frame.stream) != frame.stream {
            return Err(Problem::new("wrong_stream", "the stream's number must not change"));
        }
        let next = intake.input.next();
        if frame.first_sample < next {
            let got = frame.first_sample;
            let message = format!("first_sample must be at least {next}, got {got}");
            return Err(Problem::new("out_of_order", message));
        }
        if intake.paused || intake.ending.is_some() {
            intake.input.skip(frame.first_sample + frame.samples() - next, "paused");
            return Ok(0);
        }
        let Frame { format, first_sample, payload, sequence, .. } = frame;
        Self::push(intake, format, first_sample, payload, sequence, arrived);
        Ok(frame.samples())
    }

    fn push(
        intake: &mut Intake,
        format: SampleFormat,
        at: u64,
        payload: &[u8],
        sequence: u32,
        arrived: Instant,
    ) {
        let Intake { input, decoded, .. } = intake;
        decoded.clear();
        format.decode(payload, decoded);
        input.push(at, decoded, sequence, arrived);
    }

    /// Audio that comes from now on is left out, until it is resumed; then there is a gap.
    pub(crate) fn pause(&self, paused: bool) {
        self.intake.hold().paused = paused;
    }

    /// Changes the analysis after the audio that has come so far.
    pub(crate) fn command(self: &Arc<Self>, command: Command) -> Result<(), Problem> {
        let mut intake = self.intake.hold();
        if intake.commands.len() >= 16 {
            return Err(Problem::new("busy", "too many changes wait; try again"));
        }
        intake.input.seal();
        let before = intake.input.next();
        intake.commands.push_back((before, command));
        drop(intake);
        self.schedule();
        Ok(())
    }

    /// No more audio is taken; what has come is analysed, then the stream ends.
    pub(crate) fn end(self: &Arc<Self>) {
        self.end_with(1000, "the stream has ended");
    }

    /// [`end`](Self::end), because the server ends: the client may find another one.
    pub(crate) fn go_away(self: &Arc<Self>) {
        self.end_with(1001, "the server ends");
    }

    fn end_with(self: &Arc<Self>, code: u16, reason: &'static str) {
        self.intake.hold().ending.get_or_insert((code, reason));
        self.schedule();
    }

    /// Ends the stream now; what waits is not analysed.
    pub(crate) fn abandon(self: &Arc<Self>) {
        self.intake.hold().input.clear();
        self.end();
    }

    /// Tells another connection, too, what happens.
    pub(crate) fn watch(&self, outbox: &Arc<Outbox>) {
        let mut watchers = self.watchers.hold();
        watchers.retain(|watcher| watcher.strong_count() > 0);
        let new = Arc::downgrade(outbox);
        if !watchers.iter().any(|watcher| watcher.ptr_eq(&new)) {
            watchers.push(new);
        }
    }

    fn schedule(self: &Arc<Self>) {
        if !self.scheduled.swap(true, Ordering::AcqRel) {
            self.pool.schedule(self.clone());
        }
    }

    fn tell(&self, made: Vec<Made>) {
        if made.is_empty() {
            return;
        }
        let mut watchers = self.watchers.hold();
        watchers.retain(|watcher| {
            let Some(watcher) = watcher.upgrade() else { return false };
            watcher.tell(made.iter().map(|made| Made { text: made.text.clone(), ..*made }));
            true
        });
        drop(watchers);
        self.outbox.tell(made.into_iter());
    }

    /// What the stream is, and where its next sample belongs, for the client's first message.
    pub(crate) fn describe(&self, resumed: bool) -> serde_json::Value {
        let intake = self.intake.hold();
        let mut started = json!({
            "type": "stream_started",
            "stream_id": self.id,
            "resumed": resumed,
            "resume_token": self.token,
            "next_sample": intake.input.next(),
            "buffer": intake.input.capacity(),
            "provides": ["features", "onsets", "pitch", "beats", "energy", "chords", "level"],
        });
        if self.settings.framing == Framing::Framed {
            started["credit"] = (intake.input.capacity() - intake.input.queued()).into();
        }
        started["settings"] = self.settings.describe();
        started
    }

    pub(crate) fn stats(&self) -> StreamStats {
        let intake = self.intake.hold();
        let Input { overflows, overflowed, .. } = intake.input;
        let (queued, paused) = (intake.input.queued(), intake.paused);
        drop(intake);
        let (messages_sent, messages_dropped) = self.outbox.counts();
        let mut stats = self.measures.hold().stats(self.settings.engine.rate);
        stats.stream_id.clone_from(&self.id);
        stats.age = self.created.elapsed().as_secs_f64();
        stats.connected = self.is_attached();
        (stats.overflows, stats.samples_overflowed) = (overflows, overflowed);
        (stats.samples_queued, stats.paused) = (queued, paused);
        (stats.messages_sent, stats.messages_dropped) = (messages_sent, messages_dropped);
        stats
    }

    /// Seconds of sound that have come and that were analysed, and the seconds that took.
    pub(crate) fn seconds(&self) -> (f64, f64, f64) {
        let rate = self.settings.engine.rate;
        let measures = self.measures.hold();
        let (received, analyzed) = (measures.samples_in, measures.samples_analyzed);
        (rate.seconds(received), rate.seconds(analyzed), measures.analysis.sum())
    }

    /// How long the oldest audio has waited.
    pub(crate) fn waiting(&self) -> Option<Duration> {
        self.intake.hold().input.oldest().map(|arrived| arrived.elapsed())
    }

    /// What the analysis costs, as far as it was measured; not while it is at work.
    pub(crate) fn costs(&self) -> Option<Vec<Cost>> {
        self.engine.try_lock().ok().map(|engine| engine.costs())
    }

    pub(crate) fn with_measures<R>(&self, look: impl FnOnce(&Measures) -> R) -> R {
        look(&self.measures.hold())
    }
}
