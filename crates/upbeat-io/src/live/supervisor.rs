use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use upbeat_core::ConfigError;

use super::duplex::DuplexPort;
use super::jobs::Jobs;
use super::port::{Port, input_port, output_port};
use super::supervision::Shared;
use super::{
    Backend, Direction, DuplexConfig, DuplexProcess, LiveInput, LiveOutput, StreamEvent,
    StreamState, StreamStatus, StreamSupervision, SupervisorConfig, Timing,
};

/// Keeps a stream going on a thread of its own, whatever becomes of the device: opens it, watches it, finds it again.
///
/// The thread wakes every 10 ms and never waits for the sound system: calls into it are made on helper threads, which
/// are left behind if they do not come back. Dropping the supervisor stops the stream.
///
/// The [module](super) shows how samples are taken out.
pub struct StreamSupervisor {
    shared: Arc<Shared>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl StreamSupervisor {
    /// Starts an input, and returns at once: the device is opened in the background.
    ///
    /// # Errors
    ///
    /// If a setting is out of its range.
    ///
    /// # Panics
    ///
    /// If the operating system has no thread to give.
    pub fn input(
        backend: Arc<dyn Backend>,
        config: SupervisorConfig,
    ) -> Result<(Self, LiveInput), ConfigError> {
        let (port, live) = input_port(&config)?;
        Ok((Self::start(backend, config, Direction::Input, port), live))
    }

    /// Starts an output, and returns at once.
    ///
    /// # Errors
    ///
    /// If a setting is out of its range.
    ///
    /// # Panics
    ///
    /// If the operating system has no thread to give.
    pub fn output(
        backend: Arc<dyn Backend>,
        config: SupervisorConfig,
    ) -> Result<(Self, LiveOutput), ConfigError> {
        let (port, live) = output_port(&config)?;
        Ok((Self::start(backend, config, Direction::Output, port), live))
    }

    /// Starts an input that goes through `process` to an output, and returns at once.
    ///
    /// # Errors
    ///
    /// If a setting is out of its range.
    ///
    /// # Panics
    ///
    /// If the operating system has no thread to give.
    pub fn duplex(
        backend: Arc<dyn Backend>,
        config: DuplexConfig,
        timing: Timing,
        process: Box<dyn DuplexProcess>,
    ) -> Result<Self, ConfigError> {
        let policy = config.output.clone();
        let port = Arc::new(DuplexPort::new(config, process)?);
        let config = SupervisorConfig { policy, timing, ..SupervisorConfig::default() };
        Ok(Self::start(backend, config, Direction::Output, port))
    }

    /// How the stream stands.
    #[must_use]
    pub fn status(&self) -> StreamStatus {
        self.shared.status()
    }

    /// The oldest event that was not taken. Of events that nobody takes, the newest 256 are kept.
    #[must_use]
    pub fn event(&self) -> Option<StreamEvent> {
        self.shared.event()
    }

    /// Waits until samples flow, at most `timeout`; whether they do.
    #[must_use]
    pub fn wait_running(&self, timeout: Duration) -> bool {
        let until = Instant::now() + timeout;
        loop {
            let status = self.status();
            let runs = matches!(status.state, StreamState::Running | StreamState::Moved);
            if runs && status.stats.callbacks > 0 || status.state == StreamState::Ended {
                return true;
            }
            if Instant::now() >= until {
                return false;
            }
            std::thread::sleep(TICK);
        }
    }

    /// Closes the stream and waits for the thread, which takes as long as closing the device does, at most
    /// [`Timing::close`](super::Timing::close).
    pub fn stop(mut self) {
        self.join();
    }

    fn start(
        backend: Arc<dyn Backend>,
        config: SupervisorConfig,
        direction: Direction,
        port: Arc<dyn Port>,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut supervision =
            StreamSupervision::new(backend, config, direction, port, Jobs::threads());
        let shared = supervision.shared();
        let told = Arc::clone(&stop);
        let run = move || {
            while !told.load(Ordering::Acquire) {
                supervision.step();
                std::thread::park_timeout(TICK);
            }
            supervision.stop();
            while supervision.is_closing() {
                std::thread::sleep(Duration::from_millis(1));
                supervision.step();
            }
        };
        let thread = std::thread::Builder::new()
            .name("upbeat-supervisor".into())
            .spawn(run)
            .expect("a thread can be started");
        Self { shared, stop, thread: Some(thread) }
    }

    fn join(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

impl Drop for StreamSupervisor {
    fn drop(&mut self) {
        self.join();
    }
}

impl fmt::Debug for StreamSupervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamSupervisor").field("status", &self.status()).finish_non_exhaustive()
    }
}

/// How often the thread looks after the stream.
const TICK: Duration = Duration::from_millis(10);
