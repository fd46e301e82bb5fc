//! The analysis thread.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use ringbuf::HeapCons;
use ringbuf::traits::Consumer;
use upbeat_core::SampleIndex;
use upbeat_io::IoError;
use upbeat_io::live::StreamStatus;
use upbeat_perf::alloc::count_alloc;
use upbeat_perf::{LoadMeter, QualitySettings, ThreadClass, set_thread_class};
use upbeat_window::latest::{Latest, Publisher};

use super::delivery::Outlet;
use super::input::{Heard, Input};
use super::{ListenerStatus, Performance, PipelineState, PipelineStatus};
use crate::{BeatCommand, Event, EventAnalyzer, FeatureFrame, Listener};

/// What the analysis thread and those who ask for the status know.
#[derive(Default)]
pub(super) struct Shared {
    paused: AtomicBool,
    stopped: AtomicBool,
    state: AtomicU8,
    heard: AtomicU64,
    samples: AtomicU64,
    frames: AtomicU64,
    gaps: AtomicU64,
    lost: AtomicU64,
    waiting: AtomicU64,
    /// Whether allocations are counted, and how many there were.
    watched: AtomicBool,
    allocations: AtomicU64,
    error: OnceLock<String>,
    priority: OnceLock<String>,
}

const RUNNING: u8 = 0;
const ENDED: u8 = 1;
const FAILED: u8 = 2;

impl Shared {
    pub(super) fn pause(&self, paused: bool) {
        self.paused.store(paused, Release);
    }

    pub(super) fn stop(&self) {
        self.stopped.store(true, Release);
    }

    /// Whether the stream has ended or shall end.
    pub(super) fn is_over(&self) -> bool {
        self.stopped.load(Acquire) || self.state.load(Acquire) != RUNNING
    }

    pub(super) fn heard(&self) -> SampleIndex {
        SampleIndex(self.heard.load(Relaxed))
    }

    pub(super) fn waiting(&self) -> u64 {
        self.waiting.load(Relaxed)
    }

    pub(super) fn status(
        &self,
        listeners: Vec<ListenerStatus>,
        performance: Performance,
        stream: Option<StreamStatus>,
    ) -> PipelineStatus {
        let read = |value: &AtomicU64| value.load(Relaxed);
        PipelineStatus {
            state: match self.state.load(Acquire) {
                RUNNING if self.paused.load(Relaxed) => PipelineState::Paused,
                RUNNING => PipelineState::Running,
                ENDED => PipelineState::Ended,
                _ => PipelineState::Failed,
            },
            heard: SampleIndex(read(&self.heard)),
            samples: read(&self.samples),
            frames: read(&self.frames),
            gaps: read(&self.gaps),
            lost: read(&self.lost),
            waiting: read(&self.waiting),
            allocations: self.watched.load(Relaxed).then(|| read(&self.allocations)),
            error: self.error.get().cloned(),
            priority: self.priority.get().cloned(),
            listeners,
            performance,
            stream,
        }
    }
}

/// What the analysis thread works with.
pub(super) struct Run {
    pub(super) analyzer: EventAnalyzer,
    pub(super) input: Input,
    pub(super) outlets: Outlets,
    pub(super) shared: Arc<Shared>,
    /// How long listeners are waited for when all ends.
    pub(super) patience: Duration,
    pub(super) class: ThreadClass,
    pub(super) meter: LoadMeter,
    /// From the control thread, and what it is told.
    pub(super) settings: Latest,
    pub(super) costs: Publisher,
    pub(super) commands: HeapCons<BeatCommand>,
    pub(super) watch: bool,
}

/// All listeners as one.
pub(super) struct Outlets(pub(super) Vec<Outlet>);

impl Listener for Outlets {
    fn event(&mut self, event: &Event) {
        self.0.iter_mut().for_each(|outlet| outlet.event(event));
    }

    fn frame(&mut self, frame: &FeatureFrame) {
        self.0.iter_mut().for_each(|outlet| outlet.frame(frame));
    }

    fn block(&mut self, at: SampleIndex, interleaved: &[f32]) {
        self.0.iter_mut().for_each(|outlet| outlet.block(at, interleaved));
    }
}

impl Outlets {
    fn have_room(&self) -> bool {
        self.0.iter().all(Outlet::has_room)
    }
}

impl Run {
    /// Analyses until the stream ends, fails or is stopped; then lets the listeners finish.
    pub(super) fn until_the_end(&mut self) {
        let shared = Arc::clone(&self.shared);
        shared.watched.store(self.watch, Relaxed);
        if self.class != ThreadClass::Normal
            && let Err(error) = set_thread_class(self.class)
        {
            let _ = shared.priority.set(error.to_string());
        }
        let state = loop {
            if shared.stopped.load(Acquire) {
                self.drain();
                break ENDED;
            }
            let idle = if shared.paused.load(Acquire) {
                self.input.skip()
            } else if self.input.waits() && !self.outlets.have_room() {
                Duration::from_millis(1)
            } else {
                match self.step() {
                    Ok(Heard::Blocks) => continue,
                    Ok(Heard::Nothing(idle)) => idle,
                    Ok(Heard::End) => break ENDED,
                    Err(error) => {
                        let _ = shared.error.set(error.to_string());
                        break FAILED;
                    }
                }
            };
            thread::park_timeout(idle);
        };
        self.analyzer.finish(&mut self.outlets);
        self.publish();
        self.shared.state.store(state, Release);
        self.outlets.0.clear();
    }

    /// What has come before the stop is analysed, as far as listeners take it in time.
    fn drain(&mut self) {
        let deadline = Instant::now() + self.patience;
        let mut left = self.input.waiting();
        while left > 0 {
            while !self.outlets.have_room() && Instant::now() < deadline {
                thread::park_timeout(Duration::from_millis(1));
            }
            if !matches!(self.step(), Ok(Heard::Blocks)) {
                return;
            }
            left = left.saturating_sub(Input::AT_ONCE);
        }
    }

    fn step(&mut self) -> Result<Heard, IoError> {
        if let Some(words) = self.settings.take_array() {
            self.analyzer.set_quality(&QualitySettings::from_words(words), &mut self.outlets);
        }
        while let Some(command) = self.commands.try_pop() {
            self.analyzer.steer(command, &mut self.outlets);
        }
        let before = self.analyzer.stats().samples;
        let start = Instant::now();
        let heard = if self.watch {
            let (heard, counts) = count_alloc(|| self.hear());
            let asked = counts.allocations + counts.frees;
            self.shared.allocations.fetch_add(asked, Relaxed);
            heard?
        } else {
            self.hear()?
        };
        // What waits for its frame to end is counted with that frame.
        let samples = self.analyzer.stats().samples - before;
        if samples > 0 {
            let rate = self.input.format().sample_rate();
            self.meter.record(start.elapsed().as_secs_f64(), rate.seconds(samples));
            self.costs.publish(self.analyzer.items().map(|item| item.seconds));
        }
        self.outlets.0.iter_mut().for_each(Outlet::wake);
        self.publish();
        Ok(heard)
    }

    fn hear(&mut self) -> Result<Heard, IoError> {
        let Self { analyzer, input, outlets, .. } = self;
        input.hear(|at, block| {
            outlets.block(at, block);
            let result = analyzer.process(at, block, outlets);
            debug_assert!(result.is_ok(), "inputs give whole samples");
        })
    }

    fn publish(&self) {
        let stats = self.analyzer.stats();
        let values = [
            (&self.shared.samples, stats.samples),
            (&self.shared.frames, stats.frames),
            (&self.shared.gaps, stats.gaps),
            (&self.shared.lost, stats.lost),
            (&self.shared.heard, self.analyzer.heard().0),
            (&self.shared.waiting, self.input.waiting() as u64),
        ];
        for (shared, value) in values {
            shared.store(value, Relaxed);
        }
    }
}
