//! The analysis thread.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use upbeat_core::SampleIndex;

use super::delivery::Outlet;
use super::input::{Heard, Input};
use super::{ListenerStatus, PipelineState, PipelineStatus};
use crate::{Event, EventAnalyzer, FeatureFrame, Listener};

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
    error: OnceLock<String>,
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

    pub(super) fn status(&self, listeners: Vec<ListenerStatus>) -> PipelineStatus {
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
            error: self.error.get().cloned(),
            listeners,
        }
    }
}

/// What the analysis thread works with.
pub(super) struct Run {
    analyzer: EventAnalyzer,
    input: Input,
    outlets: Outlets,
    shared: Arc<Shared>,
    /// How long listeners are waited for when all ends.
    patience: Duration,
}

/// All listeners as one.
struct Outlets(Vec<Outlet>);

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

fn hear(analyzer: &mut EventAnalyzer, outlets: &mut Outlets, at: SampleIndex, block: &[f32]) {
    outlets.block(at, block);
    let result = analyzer.process(at, block, outlets);
    debug_assert!(result.is_ok(), "inputs give whole samples");
}

impl Run {
    pub(super) const fn new(
        analyzer: EventAnalyzer,
        input: Input,
        outlets: Vec<Outlet>,
        shared: Arc<Shared>,
        patience: Duration,
    ) -> Self {
        Self { analyzer, input, outlets: Outlets(outlets), shared, patience }
    }

    /// Analyses until the stream ends, fails or is stopped; then lets the listeners finish.
    pub(super) fn until_the_end(&mut self) {
        let shared = Arc::clone(&self.shared);
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

    fn step(&mut self) -> Result<Heard, upbeat_io::IoError> {
        let Self { analyzer, input, outlets, .. } = self;
        let heard = input.hear(|at, block| hear(analyzer, outlets, at, block))?;
        self.outlets.0.iter_mut().for_each(Outlet::wake);
        self.publish();
        Ok(heard)
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
