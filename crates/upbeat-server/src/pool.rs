//! The threads that analyse.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crate::sync::Lock;

/// Work that is done piece by piece.
pub(crate) trait Job: Send + Sync {
    /// Does the next piece, of some milliseconds at most; whether there is more to do now.
    fn run(&self) -> bool;

    /// [`run`](Self::run) has panicked: it will not be called again.
    fn failed(&self);
}

/// A fixed number of threads, and one queue of jobs for all.
///
/// A job that has more to do goes to the end of the queue, so that each gets one piece in turn, however much
/// waits in it.
pub(crate) struct Pool {
    scheduler: Scheduler,
    threads: Mutex<Vec<JoinHandle<()>>>,
    count: usize,
}

/// Puts jobs into a pool's queue, and does not keep the pool alive: jobs hold it, and the last one may be dropped
/// on a thread of the pool, which cannot wait for itself.
#[derive(Clone)]
pub(crate) struct Scheduler(Arc<Shared>);

impl Scheduler {
    /// Puts a job at the end of the queue. A job must not be in the queue twice.
    pub(crate) fn schedule(&self, job: Arc<dyn Job>) {
        self.0.queue.hold().push_back(job);
        self.0.ready.notify_one();
    }
}

#[derive(Default)]
struct Shared {
    queue: Mutex<VecDeque<Arc<dyn Job>>>,
    ready: Condvar,
    stop: AtomicBool,
    /// Nanoseconds spent in jobs, by all threads.
    busy: AtomicU64,
    panics: AtomicU64,
}

impl Pool {
    pub(crate) fn new(count: usize) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let mut threads = Vec::with_capacity(count);
        for i in 0..count {
            let shared = shared.clone();
            let builder = thread::Builder::new().name(format!("analysis-{i}"));
            threads.push(builder.spawn(move || shared.work())?);
        }
        Ok(Self { scheduler: Scheduler(shared), threads: Mutex::new(threads), count })
    }

    pub(crate) fn scheduler(&self) -> Scheduler {
        self.scheduler.clone()
    }

    pub(crate) fn threads(&self) -> usize {
        self.count
    }

    /// Jobs that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.scheduler.0.queue.hold().len()
    }

    /// Seconds spent in jobs by all threads.
    pub(crate) fn busy(&self) -> f64 {
        self.scheduler.0.busy.load(Ordering::Relaxed) as f64 * 1e-9
    }

    pub(crate) fn panics(&self) -> u64 {
        self.scheduler.0.panics.load(Ordering::Relaxed)
    }

    /// Ends the threads after the pieces at hand; what waits is left undone.
    pub(crate) fn stop(&self) {
        self.scheduler.0.stop.store(true, Ordering::Relaxed);
        // Under the lock, so that no thread is between its look at `stop` and its wait.
        drop(self.scheduler.0.queue.hold());
        self.scheduler.0.ready.notify_all();
        self.scheduler.0.queue.hold().clear();
        for thread in self.threads.hold().drain(..) {
            // A panic of a job does not get here.
            let _ = thread.join();
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn work(&self) {
        while let Some(job) = self.next() {
            let start = Instant::now();
            let more = catch_unwind(AssertUnwindSafe(|| job.run()));
            self.busy.fetch_add(start.elapsed().as_nanos() as u64, Ordering::Relaxed);
            match more {
                Ok(true) => {
                    self.queue.hold().push_back(job);
                    self.ready.notify_one();
                }
                Ok(false) => {}
                Err(_) => {
                    self.panics.fetch_add(1, Ordering::Relaxed);
                    job.failed();
                }
            }
        }
    }

    fn next(&self) -> Option<Arc<dyn Job>> {
        let mut queue = self.queue.hold();
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return None;
            }
            if let Some(job) = queue.pop_front() {
                return Some(job);
            }
            queue = self.ready.wait(queue).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Sender, channel};

    struct Count {
        name: u32,
        left: AtomicU64,
        done: Sender<(u32, bool)>,
    }

    impl Job for Count {
        fn run(&self) -> bool {
            let left = self.left.fetch_sub(1, Ordering::Relaxed) - 1;
            assert!(self.name != 13, "an unlucky job");
            self.done.send((self.name, true)).unwrap();
            left > 0
        }

        fn failed(&self) {
            self.done.send((self.name, false)).unwrap();
        }
    }

    /// A gate keeps the only thread busy until all jobs are in the queue.
    struct Gate(Mutex<Option<std::sync::mpsc::Receiver<()>>>);

    impl Job for Gate {
        fn run(&self) -> bool {
            self.0.hold().take().unwrap().recv().unwrap();
            false
        }

        fn failed(&self) {}
    }

    #[test]
    fn each_job_gets_its_turn_and_a_panic_ends_only_itself() {
        let pool = Pool::new(1).unwrap();
        let (open, gate) = channel();
        pool.scheduler().schedule(Arc::new(Gate(Mutex::new(Some(gate)))));
        let (done, order) = channel();
        for (name, pieces) in [(1, 1000), (2, 2), (13, 5), (3, 1)] {
            let done = done.clone();
            pool.scheduler().schedule(Arc::new(Count { name, left: AtomicU64::new(pieces), done }));
        }
        drop(done);
        open.send(()).unwrap();
        let order: Vec<_> = order.iter().collect();
        let expected =
            [(1, true), (2, true), (13, false), (3, true), (1, true), (2, true), (1, true)];
        assert_eq!(order[..7], expected);
        assert_eq!(order.len(), 1000 + 2 + 1 + 1);
        assert_eq!(pool.panics(), 1);
    }
}
