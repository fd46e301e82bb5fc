//! What this process and the whole machine use.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sysinfo::{
    MINIMUM_CPU_UPDATE_INTERVAL, MemoryRefreshKind, Pid, ProcessRefreshKind, ProcessesToUpdate,
    System,
};
use upbeat_core::ConfigError;

use crate::PerfError;

/// Use of processor and memory; `None` is what the system does not tell, or not yet.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct SystemLoad {
    /// Processor time of this process over the last second, as a share of all cores: 0 to 1.
    pub own_cpu: Option<f64>,
    /// The same in cores: 1 is one core fully used.
    pub own_cores: Option<f64>,
    /// Share of all cores that all processes together use: 0 to 1.
    pub system_cpu: Option<f64>,
    /// Memory of this process that is in RAM (resident set), in bytes.
    pub own_memory: Option<u64>,
    /// Memory that all processes together use, in bytes.
    pub system_memory: Option<u64>,
    /// Memory there is, in bytes.
    pub total_memory: Option<u64>,
}

/// Measures [`SystemLoad`] when asked. Makes system calls and allocates: not for the audio thread.
///
/// ```
/// let mut probe = upbeat_perf::SystemProbe::new();
/// let load = probe.measure();
/// if let (Some(own), Some(total)) = (load.own_memory, load.total_memory) {
///     assert!(own < total);
/// }
/// assert_eq!(load.own_cpu, None); // known from the second measurement on
/// ```
pub struct SystemProbe {
    system: System,
    pid: Option<Pid>,
    /// When, and how much processor time in milliseconds this process had used; of the last second.
    used: VecDeque<(Instant, u64)>,
    first: Option<Instant>,
}

impl SystemProbe {
    /// A probe that has not measured yet.
    #[must_use]
    pub fn new() -> Self {
        let pid = sysinfo::get_current_pid().ok();
        Self { system: System::new(), pid, used: VecDeque::new(), first: None }
    }

    /// What is used now.
    ///
    /// Processor time is counted by the system in steps (10 ms on Linux), so `own_cpu` is an average over the last
    /// second, or over the time since the first measurement. `system_cpu` is renewed every 200 ms at most.
    pub fn measure(&mut self) -> SystemLoad {
        let now = Instant::now();
        self.system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
        self.system.refresh_cpu_usage();
        let first = *self.first.get_or_insert(now);
        let total_memory = Some(self.system.total_memory()).filter(|bytes| *bytes > 0);
        // The first value of the system's share is no share of a known time.
        let system_cpu = (now > first + MINIMUM_CPU_UPDATE_INTERVAL)
            .then(|| f64::from(self.system.global_cpu_usage()) / 100.0)
            .filter(|share| share.is_finite())
            .map(|share| share.clamp(0.0, 1.0));
        let (own_memory, own_cores) = self.own(now).unzip();
        let own_cores = own_cores.flatten();
        let cores = self.system.cpus().len().max(1) as f64;
        SystemLoad {
            own_cpu: own_cores.map(|own: f64| (own / cores).min(1.0)),
            own_cores,
            system_cpu,
            own_memory,
            system_memory: total_memory.map(|_| self.system.used_memory()),
            total_memory,
        }
    }

    /// Memory in bytes, and cores used over the last second.
    fn own(&mut self, now: Instant) -> Option<(u64, Option<f64>)> {
        let pid = self.pid?;
        self.system.refresh_processes_specifics(
            ProcessesToUpdate::Some(&[pid]),
            false,
            ProcessRefreshKind::nothing().with_cpu().with_memory().without_tasks(),
        );
        let process = self.system.process(pid)?;
        let used = process.accumulated_cpu_time();
        while self.used.len() > 1 && self.used[1].0 + WINDOW <= now {
            self.used.pop_front();
        }
        let cores = self.used.front().and_then(|(then, before)| {
            let seconds = now.duration_since(*then).as_secs_f64();
            (seconds > 0.0).then(|| used.saturating_sub(*before) as f64 / 1000.0 / seconds)
        });
        if self.used.len() < MOST_KEPT {
            self.used.push_back((now, used));
        }
        Some((process.memory(), cores))
    }
}

impl Default for SystemProbe {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for SystemProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SystemProbe").field("pid", &self.pid).finish_non_exhaustive()
    }
}

/// Settings of [`SystemMonitor`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct SystemMonitorConfig {
    /// Time from one measurement to the next, 1 ms to 1 hour. Default: 100 ms.
    pub interval: Duration,
}

impl Default for SystemMonitorConfig {
    fn default() -> Self {
        Self { interval: Duration::from_millis(100) }
    }
}

/// Measures [`SystemLoad`] again and again on a thread of its own, which ends when this is dropped.
///
/// ```
/// use upbeat_perf::{SystemMonitor, SystemMonitorConfig};
///
/// let monitor = SystemMonitor::start(&SystemMonitorConfig::default())?;
/// let load = monitor.latest(); // as of the last tenth of a second
/// println!("{:?} of all cores", load.own_cpu);
/// # Ok::<(), upbeat_perf::PerfError>(())
/// ```
#[derive(Debug)]
pub struct SystemMonitor {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    stopping: Condvar,
}

#[derive(Debug, Default)]
struct State {
    stop: bool,
    measured: u64,
    latest: SystemLoad,
}

impl SystemMonitor {
    /// Starts to measure; the first measurement is made at once.
    ///
    /// # Errors
    ///
    /// If the interval is out of its range, or no thread can be started.
    pub fn start(config: &SystemMonitorConfig) -> Result<Self, PerfError> {
        let interval = config.interval;
        let fits = (Duration::from_millis(1)..=Duration::from_secs(3600)).contains(&interval);
        let (parameter, requirement) = ("interval", "from 1 ms to 1 hour");
        ConfigError::require(fits, parameter, requirement, format_args!("{interval:?}"))?;
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("upbeat system monitor".into())
            .spawn(move || theirs.run(interval))
            .map_err(PerfError::Thread)?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// The last measurement; nothing is known before the first.
    ///
    /// Takes a lock that is held for no longer than copying it: for control threads, not for the audio thread.
    #[must_use]
    pub fn latest(&self) -> SystemLoad {
        self.shared.lock().latest
    }

    /// How many measurements were made.
    #[must_use]
    pub fn measured(&self) -> u64 {
        self.shared.lock().measured
    }
}

impl Drop for SystemMonitor {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.stopping.notify_all();
        if let Some(thread) = self.thread.take() {
            // It cannot panic but through sysinfo, and what it leaves behind is not used again.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn run(&self, interval: Duration) {
        let mut probe = SystemProbe::new();
        loop {
            let load = probe.measure();
            let mut state = self.lock();
            state.latest = load;
            state.measured += 1;
            let (state, _) = self
                .stopping
                .wait_timeout_while(state, interval, |state| !state.stop)
                .unwrap_or_else(PoisonError::into_inner);
            if state.stop {
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Over how long the process's own processor time is averaged.
const WINDOW: Duration = Duration::from_secs(1);
/// More measurements than this in one second are not kept for the average.
const MOST_KEPT: usize = 64;
