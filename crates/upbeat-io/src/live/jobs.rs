use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant};

use super::DeviceError;

/// How calls that may block are made.
#[derive(Clone, Debug)]
pub(crate) enum Jobs {
    /// At once, on the thread that asks.
    Inline,
    /// On a thread of their own that is left behind if it does not come back. Counts those that run.
    Threads(Arc<AtomicUsize>),
}

/// A call that was made.
#[derive(Debug)]
pub(crate) enum Job<T> {
    Done(T),
    Runs { answer: Receiver<T>, since: Instant, running: Arc<AtomicUsize> },
}

/// What became of a call.
#[derive(Debug)]
pub(crate) enum Answer<T> {
    Here(T),
    NotYet(Job<T>),
    /// It did not come back within the deadline, or broke down.
    Never,
}

impl Jobs {
    pub(crate) fn threads() -> Self {
        Self::Threads(Arc::default())
    }

    /// Makes the call `work`. Its answer is dropped where nobody waits for it any more, on the thread that made it.
    pub(crate) fn start<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Job<T>, DeviceError> {
        let running = match self {
            Self::Inline => return Ok(Job::Done(work())),
            Self::Threads(running) => Arc::clone(running),
        };
        let (sender, answer) = channel();
        running.fetch_add(1, Ordering::Relaxed);
        let guard = Guard(Arc::clone(&running));
        std::thread::Builder::new()
            .name("upbeat-device".into())
            .spawn(move || {
                let _guard = guard;
                let _ = sender.send(work());
            })
            .map_err(|error| DeviceError::Backend(format!("no thread can be started: {error}")))?;
        Ok(Job::Runs { answer, since: Instant::now(), running })
    }
}

impl<T> Job<T> {
    /// Looks for the answer, without waiting. Past the `deadline` the thread is left behind, unless too many were: then
    /// it is waited for.
    pub(crate) fn poll(self, deadline: Duration) -> Answer<T> {
        match self {
            Self::Done(answer) => Answer::Here(answer),
            Self::Runs { answer, since, running } => match answer.try_recv() {
                Ok(answer) => Answer::Here(answer),
                Err(TryRecvError::Disconnected) => Answer::Never,
                Err(TryRecvError::Empty) => {
                    let may_leave = running.load(Ordering::Relaxed) <= MAX_LEFT_BEHIND;
                    if since.elapsed() > deadline && may_leave {
                        Answer::Never
                    } else {
                        Answer::NotYet(Self::Runs { answer, since, running })
                    }
                }
            },
        }
    }
}

struct Guard(Arc<AtomicUsize>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many threads may hang in the sound system at once.
const MAX_LEFT_BEHIND: usize = 4;
