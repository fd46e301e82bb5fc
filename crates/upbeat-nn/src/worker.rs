use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ringbuf::traits::{Consumer, Observer, Producer, Split};
use ringbuf::{HeapCons, HeapProd, HeapRb};

use crate::{Model, ModelError};

/// Runs a [`Model`] on a thread of its own, for one that allocates or takes long.
///
/// Frames go to it and answers come back through two bounded queues; the end of both that is for the audio thread is the
/// [`WorkerPort`], which never waits, locks or allocates. Dropping the worker ends its thread; the port then gets no
/// more answers.
///
/// The thread looks for frames every 2 ms, and takes them all in order. A frame that the model fails on, or panics
/// on, has no answer, and the next one is the first of a new stream to it.
///
/// # Examples
///
/// ```
/// use upbeat_nn::{Activation, Dense, Layer, Network, Worker};
///
/// let double = Dense::new(1, 1, &[2.0], &[0.0])?;
/// let network = Network::new(vec![(Layer::Dense(double), Activation::None)])?;
/// let (worker, mut port) = Worker::spawn(Box::new(network), 16)?;
///
/// // On the audio thread:
/// assert!(port.send(&[21.0]));
/// let mut answer = [0.0];
/// while !port.receive(&mut answer) {
///     std::thread::yield_now(); // an audio thread would go on, and look again in its next block
/// }
/// assert_eq!(answer, [42.0]);
///
/// // On any other:
/// assert_eq!(worker.failures(), 0);
/// # Ok::<(), upbeat_nn::ModelError>(())
/// ```
#[derive(Debug)]
pub struct Worker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// The audio thread's end of a [`Worker`].
pub struct WorkerPort {
    input_length: usize,
    output_length: usize,
    /// Per frame: the stream it belongs to, whether it is a first one, and the frame.
    frames: HeapProd<f32>,
    /// Per answer: the stream it belongs to, and the answer.
    answers: HeapCons<f32>,
    /// Counted modulo [`STREAMS`].
    stream: u16,
    first: bool,
    dropped: u64,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    failures: AtomicU64,
    error: Mutex<Option<ModelError>>,
}

impl Worker {
    /// Starts the thread. Up to `queue` frames may wait for it, and as many answers for the audio thread.
    ///
    /// # Errors
    ///
    /// If `queue` is not 1 to 4096, or the system gives no thread.
    pub fn spawn(
        model: Box<dyn Model + Send>,
        queue: usize,
    ) -> Result<(Self, WorkerPort), ModelError> {
        ModelError::require((1..=4096).contains(&queue), "queue", "1 to 4096 frames", queue)?;
        let (input_length, output_length) = (model.input_length(), model.output_length());
        let (frames, waiting) = HeapRb::new(queue * (2 + input_length)).split();
        let (finished, answers) = HeapRb::new(queue * (1 + output_length)).split();
        let shared = Arc::new(Shared::default());
        let mut runner = Runner {
            shared: Arc::clone(&shared),
            input: vec![0.0; 2 + input_length].into(),
            output: vec![0.0; 1 + output_length].into(),
            model,
            waiting,
            finished,
        };
        let thread = thread::Builder::new()
            .name("upbeat-nn".into())
            .spawn(move || runner.run())
            .map_err(|error| ModelError::Backend { reason: error.to_string() })?;
        let port = WorkerPort {
            input_length,
            output_length,
            frames,
            answers,
            stream: 0,
            first: true,
            dropped: 0,
        };
        Ok((Self { shared, thread: Some(thread) }, port))
    }

    /// How many frames the model failed on.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.shared.failures.load(Ordering::Relaxed)
    }

    /// Why it failed last.
    #[must_use]
    pub fn last_error(&self) -> Option<ModelError> {
        self.shared.error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It catches what panics.
            let _ = thread.join();
        }
    }
}

impl WorkerPort {
    /// Numbers per frame taken.
    #[must_use]
    pub const fn input_length(&self) -> usize {
        self.input_length
    }

    /// Numbers per answer.
    #[must_use]
    pub const fn output_length(&self) -> usize {
        self.output_length
    }

    /// Hands over the next frame; whether there was room for it. If not, it is lost and counted, and the next frame
    /// is the first of a new stream to the model, which must not take two sides of a gap for one. Audio thread.
    ///
    /// # Panics
    ///
    /// If `input` has another length than stated.
    pub fn send(&mut self, input: &[f32]) -> bool {
        assert_eq!(input.len(), self.input_length, "a frame holds one number per input");
        let fits = self.frames.vacant_len() >= 2 + input.len();
        if fits {
            let first = f32::from(u8::from(self.first));
            self.frames.push_slice(&[f32::from(self.stream), first]);
            self.frames.push_slice(input);
        } else {
            self.dropped += 1;
        }
        self.first = !fits;
        fits
    }

    /// Writes the oldest answer that was not taken yet to `output`; whether there is one. Audio thread.
    ///
    /// # Panics
    ///
    /// If `output` has another length than stated.
    pub fn receive(&mut self, output: &mut [f32]) -> bool {
        assert_eq!(output.len(), self.output_length, "there is one number per output");
        let mut stream = [0.0];
        while self.answers.occupied_len() > output.len() {
            self.answers.pop_slice(&mut stream);
            self.answers.pop_slice(output);
            if stream[0] == f32::from(self.stream) {
                return true;
            }
        }
        false
    }

    /// Forgets all frames sent so far: the next one is the first of a new stream, and what was not answered yet will not
    /// be. Audio thread.
    pub fn restart(&mut self) {
        self.stream = (self.stream + 1) % STREAMS;
        self.first = true;
    }

    /// How many frames were lost, because as many as fit were waiting.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }
}

impl std::fmt::Debug for WorkerPort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkerPort")
            .field("input_length", &self.input_length)
            .field("output_length", &self.output_length)
            .field("dropped", &self.dropped)
            .finish_non_exhaustive()
    }
}

/// What the thread owns.
struct Runner {
    shared: Arc<Shared>,
    model: Box<dyn Model + Send>,
    waiting: HeapCons<f32>,
    finished: HeapProd<f32>,
    input: Box<[f32]>,
    output: Box<[f32]>,
}

impl Runner {
    fn run(&mut self) {
        let mut failed = false;
        while !self.stopped() {
            if self.waiting.occupied_len() < self.input.len() {
                thread::park_timeout(LOOK);
                continue;
            }
            self.waiting.pop_slice(&mut self.input);
            let (head, frame) = self.input.split_at(2);
            let (stream, answer) = self.output.split_at_mut(1);
            stream[0] = head[0];
            let first = failed || head[1] != 0.0;
            let model = &mut self.model;
            let ran = catch_unwind(AssertUnwindSafe(|| {
                if first {
                    model.reset();
                }
                model.run(frame, answer)
            }));
            let ran = ran.unwrap_or_else(|_| {
                Err(ModelError::Backend { reason: "the model panicked".into() })
            });
            failed = ran.is_err();
            match ran {
                Ok(()) => self.answer(),
                Err(error) => {
                    self.shared.failures.fetch_add(1, Ordering::Relaxed);
                    let mut last = self.shared.error.lock().unwrap_or_else(PoisonError::into_inner);
                    *last = Some(error);
                }
            }
        }
    }

    /// Puts the answer into the queue, once there is room.
    fn answer(&mut self) {
        while self.finished.vacant_len() < self.output.len() {
            if self.stopped() {
                return;
            }
            thread::park_timeout(LOOK);
        }
        self.finished.push_slice(&self.output);
    }

    fn stopped(&self) -> bool {
        self.shared.stop.load(Ordering::Relaxed)
    }
}

/// How often the thread looks for something to do.
const LOOK: Duration = Duration::from_millis(2);

/// Streams told apart; more than can be under way at once.
const STREAMS: u16 = 1 << 14;
