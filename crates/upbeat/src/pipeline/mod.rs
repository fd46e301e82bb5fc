//! Analysis on threads: a source, an analysis thread, and listeners that cannot disturb it.

mod control;
mod delivery;
mod input;
mod registry;
mod run;
mod session;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ringbuf::traits::{Producer, Split};
use ringbuf::{HeapProd, HeapRb};
use upbeat_core::{ConfigError, SampleIndex};
use upbeat_io::live::StreamStatus;
use upbeat_perf::alloc::NoAlloc;
use upbeat_perf::{
    Governor, GovernorConfig, QualityLevel, QualitySettings, Strategy, StrategyMode, ThreadClass,
    load_meter,
};
use upbeat_window::latest::latest;

use crate::{BeatCommand, Error, EventAnalyzer, EventConfig, FeatureFrame, Listener};
pub use control::Performance;
use control::{Board, Control, Governed};
use delivery::{Capacity, Delivery, deliver};
pub use delivery::{ListenerState, ListenerStatus};
pub use input::Input;
pub use registry::{PipelineId, Pipelines};
use run::{Outlets, Run, Shared};
pub use session::{Recorded, Session, SessionWriter};

/// Settings of [`Pipeline`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PipelineConfig {
    /// What is analysed. The rate and the channels are those of the input.
    pub events: EventConfig,
    /// How many seconds of events, frames and blocks wait for a slow listener before it misses any;
    /// from 0.1 to 60. Default: 2.
    pub listener_seconds: f64,
    /// How long [`Pipeline::stop`] waits for threads that do not come to an end, in seconds from 0 to 60.
    /// Default: 2.
    pub stop_seconds: f64,
    /// When to compute less, so that the deadline is kept. Default: the governor's own, for inputs in real time;
    /// `None`, which is never, for those at full speed.
    pub governor: Option<GovernorConfig>,
    /// How the system is to schedule the analysis thread; [`PipelineStatus::priority`] says if it refuses.
    /// Default: as any other.
    pub thread_class: ThreadClass,
    /// For debugging: counts what the analysis thread asks of the allocator while it analyses, see
    /// [`PipelineStatus::allocations`]. The program's global allocator must be
    /// [`NoAlloc`]. Default: no.
    pub watch_allocations: bool,
}

impl PipelineConfig {
    /// The usual settings for this input.
    #[must_use]
    pub fn new(input: &Input) -> Self {
        let format = input.format();
        Self {
            events: EventConfig::new(format.sample_rate().hz(), format.channels()),
            listener_seconds: 2.0,
            stop_seconds: 2.0,
            governor: (!input.waits()).then(GovernorConfig::default),
            thread_class: ThreadClass::Normal,
            watch_allocations: false,
        }
    }
}

/// What a [`Pipeline`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PipelineState {
    /// It analyses what comes.
    Running,
    /// What comes is not analysed; a file waits.
    Paused,
    /// The stream has ended, or was stopped.
    Ended,
    /// The source failed; see [`PipelineStatus::error`].
    Failed,
}

/// How a [`Pipeline`] fares.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PipelineStatus {
    /// What it does.
    pub state: PipelineState,
    /// Up to where the stream was analysed.
    pub heard: SampleIndex,
    /// Samples per channel analysed.
    pub samples: u64,
    /// Frames analysed.
    pub frames: u64,
    /// Places where samples were lost.
    pub gaps: u64,
    /// Samples per channel lost there.
    pub lost: u64,
    /// Samples per channel that have come and wait to be analysed.
    pub waiting: u64,
    /// What the analysis thread asked of the allocator while it analysed; `None` if that is not
    /// [watched](PipelineConfig::watch_allocations). 0 while one device runs; opening it anew allocates.
    pub allocations: Option<u64>,
    /// Why the source failed.
    pub error: Option<String>,
    /// Why the system refused the [class](PipelineConfig::thread_class) of the analysis thread.
    pub priority: Option<String>,
    /// The load, and the quality.
    pub performance: Performance,
    /// The device, where a supervisor keeps it going.
    pub stream: Option<StreamStatus>,
    /// The listeners, in the order they were added.
    pub listeners: Vec<ListenerStatus>,
}

/// A pipeline about to start; see [`Pipeline::builder`].
#[must_use = "nothing runs before `start`"]
pub struct PipelineBuilder {
    config: PipelineConfig,
    listeners: Vec<(String, Box<dyn Listener + Send>)>,
}

/// Analysis on a thread of its own, from an input to listeners.
///
/// The analysis thread takes blocks from the [`Input`], feeds an [`EventAnalyzer`], and puts what comes out into
/// a bounded queue for each [`Listener`]. Each listener has a thread of its own: one that is slow misses
/// events, which are counted, and one that panics is not called again; neither the analysis nor another
/// listener notices. Once started, the analysis thread neither allocates nor locks.
///
/// ```
/// use std::sync::atomic::{AtomicUsize, Ordering};
/// use std::sync::{Arc, Mutex, PoisonError};
///
/// use upbeat::io::demo::DemoSource;
/// use upbeat::{Event, EventKind, Input, Pipeline, PipelineConfig};
///
/// let input = Input::at_full_speed(DemoSource::new(22_050.try_into()?)?);
/// let chords = Arc::new(AtomicUsize::new(0));
/// let count = Arc::clone(&chords);
/// let mut pipeline = Pipeline::builder(PipelineConfig::new(&input))
///     .listen("chords", move |event: &Event| {
///         if matches!(event.kind, EventKind::Chord { .. }) {
///             count.fetch_add(1, Ordering::Relaxed);
///         }
///     })
///     .start(input)?;
/// let status = pipeline.wait();
/// assert!(status.listeners[0].dropped == 0 && chords.load(Ordering::Relaxed) > 5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Pipeline {
    shared: Arc<Shared>,
    board: Arc<Board>,
    control: Option<JoinHandle<()>>,
    commands: Mutex<HeapProd<BeatCommand>>,
    thread: Option<JoinHandle<()>>,
    deliveries: Vec<Delivery>,
    patience: Duration,
}

impl PipelineBuilder {
    /// Adds a listener; its name is that of its thread, and appears in the status.
    pub fn listen(mut self, name: &str, listener: impl Listener + Send + 'static) -> Self {
        self.listeners.push((name.to_owned(), Box::new(listener)));
        self
    }

    /// Starts the threads.
    ///
    /// # Errors
    ///
    /// If a setting cannot work, the input has not the rate and the channels of the settings, or the system
    /// refuses a thread.
    pub fn start(self, input: Input) -> Result<Pipeline, Error> {
        let PipelineConfig { events, listener_seconds, stop_seconds, governor, .. } = &self.config;
        let PipelineConfig { thread_class: class, watch_allocations: watch, .. } = self.config;
        let in_range = (0.1..=60.0).contains(listener_seconds);
        let allowed = "from 0.1 to 60 s";
        ConfigError::require(in_range, "listener_seconds", allowed, listener_seconds)?;
        let in_range = (0.0..=60.0).contains(stop_seconds);
        ConfigError::require(in_range, "stop_seconds", "from 0 to 60 s", stop_seconds)?;
        let format = input.format();
        let rate = events.analyzer.sample_rate;
        ConfigError::require(
            format.sample_rate().hz() == rate,
            "sample_rate",
            "the input's",
            rate,
        )?;
        let channels = events.analyzer.channels;
        ConfigError::require(format.channels() == channels, "channels", "the input's", channels)?;

        let is_watched = !watch || NoAlloc::is_installed();
        let allowed = "false, as `NoAlloc` is not the global allocator";
        ConfigError::require(is_watched, "watch_allocations", allowed, watch)?;

        let analyzer = EventAnalyzer::new(events)?;
        let governor = governor.as_ref().map(Governor::new).transpose()?;
        let layout = analyzer.analyzer().layout();
        let frames = listener_seconds * layout.spec().frame_rate();
        let columns = layout.len();
        let shared = Arc::new(Shared::default());
        let (mut outlets, mut controls, mut deliveries) = (Vec::new(), Vec::new(), Vec::new());
        for (name, listener) in self.listeners {
            let interests = listener.interests();
            // In a second, 25 events come beside those of frames: energy, chords, and so on.
            let messages = 2.0 * frames + 25.0 * listener_seconds + 64.0;
            let samples = listener_seconds * format.sample_rate().as_f64() * channels as f64;
            let mut values = 1.0;
            values += if interests.frames { (frames + 8.0) * columns as f64 } else { 0.0 };
            values += if interests.blocks { samples + 65_536.0 } else { 0.0 };
            let capacity = Capacity { messages: messages as usize, values: values as usize };
            let blank = FeatureFrame::new(Arc::clone(layout));
            let ([outlet, control], delivery) = deliver(&name, listener, capacity, blank)?;
            outlets.push(outlet);
            controls.push(control);
            deliveries.push(delivery);
        }
        let patience = Duration::from_secs_f64(*stop_seconds);
        let board = Arc::new(Board::default());
        let items: Vec<_> = analyzer.items().collect();
        let (meter, monitor) = load_meter();
        let (publish_settings, settings) = latest(QualitySettings::WORDS);
        let (costs, latest_costs) = latest(items.len());
        let (commands, commands_out) = HeapRb::new(64).split();
        let mut input = input;
        let control = Control {
            shared: Arc::clone(&shared),
            board: Arc::clone(&board),
            outlets: controls,
            supervisor: input.supervisor.take(),
            governed: governor.map(|governor| Governed {
                governor,
                items,
                costs: latest_costs,
                settings: publish_settings,
            }),
            monitor,
            rate: format.sample_rate(),
        };
        let outlets = Outlets(outlets);
        let theirs = Arc::clone(&shared);
        let mut run = Run {
            analyzer,
            input,
            outlets,
            shared: theirs,
            patience,
            class,
            meter,
            settings,
            costs,
            commands: commands_out,
            watch,
        };
        let thread = |name: &str| std::thread::Builder::new().name(name.to_owned());
        let analysis = thread("upbeat-analysis").spawn(move || run.until_the_end())?;
        let control = thread("upbeat-control").spawn(move || control.until_the_end());
        if control.is_err() {
            shared.stop();
        }
        let (control, thread) = (Some(control?), Some(analysis));
        let commands = Mutex::new(commands);
        Ok(Pipeline { shared, board, control, commands, thread, deliveries, patience })
    }
}

impl Pipeline {
    /// A pipeline with these settings, to which listeners are added before it starts.
    pub const fn builder(config: PipelineConfig) -> PipelineBuilder {
        PipelineBuilder { config, listeners: Vec::new() }
    }

    /// Stops analysing until [`resume`](Self::resume): a file waits, what a device gives meanwhile is lost, and
    /// told as a gap.
    pub fn pause(&self) {
        self.shared.pause(true);
    }

    /// Goes on after [`pause`](Self::pause).
    pub fn resume(&self) {
        self.shared.pause(false);
    }

    /// How the pipeline fares.
    #[must_use]
    pub fn status(&self) -> PipelineStatus {
        let listeners = self.deliveries.iter().map(Delivery::status).collect();
        let (performance, stream) = self.board.performance();
        self.shared.status(listeners, performance, stream)
    }

    /// Corrects the beat tracker. Returns false if 64 corrections wait already; then this one is lost.
    pub fn steer(&self, command: BeatCommand) -> bool {
        // The analysis thread has the other end, and never takes this lock.
        let mut commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        commands.try_push(command).is_ok()
    }

    /// Computes as much as is recommended for this level, whatever the load; `None` leaves it to the governor again.
    pub fn set_quality(&self, level: Option<QualityLevel>) {
        self.board.set_level(level);
    }

    /// Sets how far the governor goes with one of its strategies.
    pub fn set_strategy(&self, strategy: Strategy, mode: StrategyMode) {
        self.board.set_strategy(strategy, mode);
    }

    /// Waits for the stream's end, and until the listeners were told everything.
    ///
    /// An endless stream never ends: [`stop`](Self::stop) it.
    pub fn wait(&mut self) -> PipelineStatus {
        while !self.is_finished() {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.status()
    }

    /// Ends the stream here, analyses what has come already, lets the listeners finish, and says how it went.
    ///
    /// Waits at most [`stop_seconds`](PipelineConfig::stop_seconds): a source that blocks, or a listener that
    /// does not return, is then left to itself, and its state in the status says that it has not ended.
    #[allow(clippy::must_use_candidate, reason = "most who stop do not ask how it went")]
    pub fn stop(mut self) -> PipelineStatus {
        self.end();
        self.status()
    }

    /// Whether the stream has ended and every listener was told everything.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        [&self.thread, &self.control].into_iter().flatten().all(JoinHandle::is_finished)
            && self.deliveries.iter().all(Delivery::is_finished)
    }

    fn end(&mut self) {
        self.shared.stop();
        for thread in [&self.thread, &self.control].into_iter().flatten() {
            thread.thread().unpark();
        }
        let deadline = Instant::now() + self.patience;
        while !self.is_finished() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
        // A thread that has not finished is not waited for any longer.
        for thread in [&mut self.thread, &mut self.control] {
            if let Some(thread) = thread.take_if(|thread| thread.is_finished()) {
                let _ = thread.join();
            }
        }
    }
}

impl Drop for Pipeline {
    /// As [`stop`](Self::stop).
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline").field("status", &self.status()).finish_non_exhaustive()
    }
}

impl fmt::Debug for PipelineBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.listeners.iter().map(|(name, _)| name).collect::<Vec<_>>();
        f.debug_struct("PipelineBuilder")
            .field("config", &self.config)
            .field("listeners", &names)
            .finish()
    }
}
