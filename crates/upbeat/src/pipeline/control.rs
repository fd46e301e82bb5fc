//! The control thread: it watches the load, governs the quality, and passes on what becomes of the device.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use upbeat_core::SampleRate;
use upbeat_io::live::{StreamStatus, StreamSupervisor};
use upbeat_perf::{
    Cost, Governor, GovernorInput, LoadMonitor, LoadStats, PerfError, QualityLevel, Reason,
    Strategy, StrategyMode, SystemLoad, SystemProbe,
};
use upbeat_window::latest::{Latest, Publisher};

use super::delivery::Outlet;
use super::run::Shared;
use crate::{Event, EventKind};

/// How often the device is looked after.
const TICK: Duration = Duration::from_millis(10);
/// How often the load is judged.
const JUDGE: Duration = Duration::from_millis(100);

/// What is known of the load, and why the quality is what it is; see [`PipelineStatus`](super::PipelineStatus).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Performance {
    /// Processing time over the time that the blocks last, since the start.
    pub load: LoadStats,
    /// Processor and memory.
    pub system: SystemLoad,
    /// How much is computed.
    pub level: QualityLevel,
    /// Why.
    pub reason: Reason,
}

/// What the control thread and those who ask or command know.
#[derive(Default)]
pub(super) struct Board {
    state: Mutex<State>,
}

#[derive(Clone, Default)]
struct State {
    performance: Performance,
    stream: Option<StreamStatus>,
    by_hand: Option<QualityLevel>,
    strategies: Vec<(Strategy, StrategyMode)>,
}

impl Board {
    pub(super) fn performance(&self) -> (Performance, Option<StreamStatus>) {
        let state = self.lock();
        (state.performance, state.stream.clone())
    }

    pub(super) fn set_level(&self, level: Option<QualityLevel>) {
        self.lock().by_hand = level;
    }

    pub(super) fn set_strategy(&self, strategy: Strategy, mode: StrategyMode) {
        self.lock().strategies.push((strategy, mode));
    }

    /// A panic under the lock leaves nothing half done.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the control thread works with.
pub(super) struct Control {
    pub(super) shared: Arc<Shared>,
    pub(super) board: Arc<Board>,
    pub(super) outlets: Vec<Outlet>,
    pub(super) supervisor: Option<StreamSupervisor>,
    pub(super) governed: Option<Governed>,
    pub(super) monitor: LoadMonitor,
    pub(super) rate: SampleRate,
}

/// What is needed to govern.
pub(super) struct Governed {
    pub(super) governor: Governor,
    /// What may be left out; what it costs comes from the analysis thread.
    pub(super) items: Vec<Cost>,
    pub(super) costs: Latest,
    /// To the analysis thread.
    pub(super) settings: Publisher,
}

impl Control {
    /// Until the analysis has ended or was told to stop.
    pub(super) fn until_the_end(mut self) {
        let start = Instant::now();
        let mut probe = SystemProbe::new();
        let mut judged = start;
        while !self.shared.is_over() {
            self.pass_on_stream_events();
            if judged.elapsed() >= JUDGE {
                judged = Instant::now();
                self.judge(start.elapsed().as_secs_f64(), probe.measure());
            }
            thread::park_timeout(TICK);
        }
        self.board.lock().performance.load = self.monitor.total();
        // Closing the device may take a while.
        if let Some(supervisor) = self.supervisor.take() {
            supervisor.stop();
        }
    }

    fn pass_on_stream_events(&mut self) {
        let Some(supervisor) = &self.supervisor else { return };
        while let Some(event) = supervisor.event() {
            tell(&mut self.outlets, &self.shared, EventKind::Stream(event));
        }
        self.board.lock().stream = Some(supervisor.status());
    }

    fn judge(&mut self, time: f64, system: SystemLoad) {
        let Self { shared, board, outlets, governed, monitor, rate, .. } = self;
        let interval = monitor.interval();
        let mut performance =
            Performance { load: monitor.total(), system, ..Performance::default() };
        if let Some(Governed { governor, items, costs, settings }) = governed {
            let mut state = board.lock();
            let (by_hand, strategies) = (state.by_hand, std::mem::take(&mut state.strategies));
            drop(state);
            governor.set_level(by_hand);
            for (strategy, mode) in strategies {
                governor.set_strategy(strategy, mode);
            }
            if let Some(measured) = costs.take() {
                items.iter_mut().zip(measured).for_each(|(item, seconds)| item.seconds = seconds);
                // They were accepted when all began; only what they cost has changed.
                let _: Result<(), PerfError> = governor.set_costs(items);
            }
            let waiting = rate.seconds(shared.waiting());
            let input = GovernorInput::at(time)
                .with_load(&interval)
                .with_system(&system)
                .with_latency(waiting);
            for event in governor.update(&input) {
                tell(outlets, shared, EventKind::Governor(*event));
            }
            settings.publish(governor.settings().words());
            (performance.level, performance.reason) = (governor.level(), governor.reason());
        }
        board.lock().performance = performance;
    }
}

fn tell(outlets: &mut [Outlet], shared: &Shared, kind: EventKind) {
    let heard = shared.heard();
    let event = Event { at: heard, heard, kind };
    for outlet in outlets {
        outlet.event(&event);
        outlet.wake();
    }
}
