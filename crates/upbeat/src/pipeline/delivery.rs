//! From the analysis thread to listeners on threads of their own, over bounded queues.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ringbuf::traits::{Consumer, Observer, Producer, Split};
use ringbuf::{HeapCons, HeapProd, HeapRb};
use upbeat_core::SampleIndex;

use crate::{Event, FeatureFrame, Interests, Listener};

/// How many of each a queue holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Capacity {
    pub(super) messages: usize,
    /// Values of frames and samples of blocks.
    pub(super) values: usize,
}

/// How a listener fares; see [`PipelineStatus`](super::PipelineStatus).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListenerStatus {
    /// The name it was given.
    pub name: String,
    /// Events, frames and blocks it got.
    pub delivered: u64,
    /// Events, frames and blocks it missed, because it was too slow and its queue was full.
    pub dropped: u64,
    /// Whether it is still told anything.
    pub state: ListenerState,
}

/// What became of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListenerState {
    /// It is told what comes.
    Listening,
    /// The stream has ended, and it was told everything.
    Done,
    /// It panicked with this message, and is told nothing more; nobody else is affected.
    Panicked(String),
}

enum Message {
    Event(Event),
    Frame { at: SampleIndex, lost: u64 },
    Block { at: SampleIndex, values: usize },
}

/// What both ends of a queue, and those who ask for the status, know.
struct Shared {
    name: String,
    delivered: AtomicU64,
    dropped: AtomicU64,
    state: AtomicU8,
    panic: OnceLock<String>,
    /// How many outlets there still are.
    open: AtomicUsize,
}

const LISTENING: u8 = 0;
const DONE: u8 = 1;
const PANICKED: u8 = 2;

/// The end of a queue that a thread with news has.
pub(super) struct Outlet {
    interests: Interests,
    /// Of the frames that listeners expect.
    frame_length: u64,
    messages: HeapProd<Message>,
    values: HeapProd<f32>,
    shared: Arc<Shared>,
    thread: thread::Thread,
    /// Whether something was put in since the listener was woken.
    news: bool,
}

/// The thread of a listener.
pub(super) struct Delivery {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

/// Starts the thread of `listener`, which gets what is put into either outlet: that of the analysis thread, and that
/// of the control thread, whose events are few.
///
/// `blank` is a frame to fill.
pub(super) fn deliver(
    name: &str,
    mut listener: Box<dyn Listener + Send>,
    capacity: Capacity,
    blank: FeatureFrame,
) -> std::io::Result<([Outlet; 2], Delivery)> {
    let interests = listener.interests();
    let shared = Arc::new(Shared {
        name: name.to_owned(),
        delivered: AtomicU64::new(0),
        dropped: AtomicU64::new(0),
        state: AtomicU8::new(LISTENING),
        panic: OnceLock::new(),
        open: AtomicUsize::new(2),
    });
    let (messages, messages_out) = HeapRb::new(capacity.messages).split();
    let (values, values_out) = HeapRb::new(capacity.values).split();
    // The control thread has events only, without values.
    let (control, control_out) = HeapRb::new(256).split();
    let (no_values, _) = HeapRb::new(1).split();
    let frame_length = blank.layout().spec().frame_length() as u64;
    let mut inlet = Inlet {
        messages: [messages_out, control_out],
        values: values_out,
        frame: blank,
        block: Vec::new(),
        shared: Arc::clone(&shared),
    };
    let thread = thread::Builder::new()
        .name(format!("upbeat-{name}"))
        .spawn(move || inlet.run(listener.as_mut()))?;
    let outlet = |messages, values| Outlet {
        interests,
        frame_length,
        messages,
        values,
        shared: Arc::clone(&shared),
        thread: thread.thread().clone(),
        news: false,
    };
    let outlets = [outlet(messages, values), outlet(control, no_values)];
    Ok((outlets, Delivery { shared, thread }))
}

impl Outlet {
    /// Whether there is room for as much again as waits, so that a block's worth of news will fit.
    pub(super) fn has_room(&self) -> bool {
        self.messages.vacant_len() >= self.messages.occupied_len()
            && self.values.vacant_len() >= self.values.occupied_len()
            || self.shared.state.load(Relaxed) != LISTENING
    }

    /// Wakes the listener if there is something new.
    pub(super) fn wake(&mut self) {
        if std::mem::take(&mut self.news) {
            self.thread.unpark();
        }
    }

    pub(super) fn block(&mut self, at: SampleIndex, interleaved: &[f32]) {
        if self.interests.blocks {
            self.put(interleaved, Message::Block { at, values: interleaved.len() });
        }
    }

    pub(super) fn event(&mut self, event: &Event) {
        if self.interests.events {
            self.put(&[], Message::Event(event.clone()));
        }
    }

    pub(super) fn frame(&mut self, frame: &FeatureFrame) {
        if self.interests.frames {
            // Shorter frames of lower quality end where the full ones would.
            let shorter = self.frame_length - frame.layout().spec().frame_length() as u64;
            let at = SampleIndex(frame.at().0.saturating_sub(shorter));
            let message = Message::Frame { at, lost: frame.lost() };
            self.put(frame.as_slice(), message);
        }
    }

    /// All or nothing: what does not fit is counted.
    fn put(&mut self, values: &[f32], message: Message) {
        if self.shared.state.load(Relaxed) != LISTENING {
            return;
        }
        if self.values.vacant_len() < values.len() || self.messages.is_full() {
            self.shared.dropped.fetch_add(1, Relaxed);
            return;
        }
        self.values.push_slice(values);
        // There is room, as only this thread puts anything in.
        let _ = self.messages.try_push(message);
        self.news = true;
    }
}

impl Drop for Outlet {
    /// Lets the listener finish what waits for it.
    fn drop(&mut self) {
        self.shared.open.fetch_sub(1, AcqRel);
        self.thread.unpark();
    }
}

/// The end of a queue that the listener's thread has.
struct Inlet {
    /// From the analysis thread, and from the control thread.
    messages: [HeapCons<Message>; 2],
    values: HeapCons<f32>,
    frame: FeatureFrame,
    block: Vec<f32>,
    shared: Arc<Shared>,
}

impl Inlet {
    fn run(&mut self, listener: &mut (dyn Listener + Send)) {
        let told = catch_unwind(AssertUnwindSafe(|| {
            while let Some(message) = self.wait() {
                self.tell(listener, message);
                self.shared.delivered.fetch_add(1, Relaxed);
            }
            listener.end();
        }));
        let state = match told {
            Ok(()) => DONE,
            Err(panic) => {
                let _ = self.shared.panic.set(text(&*panic));
                PANICKED
            }
        };
        self.shared.state.store(state, Release);
    }

    /// The next message; `None` when there will be no more.
    fn wait(&mut self) -> Option<Message> {
        loop {
            // In this order, so that nothing put in before the end is missed.
            let over = self.shared.open.load(Acquire) == 0;
            if let Some(message) = self.messages.iter_mut().find_map(Consumer::try_pop) {
                return Some(message);
            }
            if over {
                return None;
            }
            thread::park_timeout(Duration::from_millis(100));
        }
    }

    fn tell(&mut self, listener: &mut (dyn Listener + Send), message: Message) {
        match message {
            Message::Event(event) => listener.event(&event),
            Message::Frame { at, lost } => {
                (self.frame.at, self.frame.lost) = (at, lost);
                self.values.pop_slice(&mut self.frame.values);
                listener.frame(&self.frame);
            }
            Message::Block { at, values } => {
                self.block.resize(values, 0.0);
                self.values.pop_slice(&mut self.block);
                listener.block(at, &self.block);
            }
        }
    }
}

/// What a panic said.
fn text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

impl Delivery {
    pub(super) fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    pub(super) fn status(&self) -> ListenerStatus {
        let Shared { name, delivered, dropped, state, panic, .. } = &*self.shared;
        ListenerStatus {
            name: name.clone(),
            delivered: delivered.load(Relaxed),
            dropped: dropped.load(Relaxed),
            state: match state.load(Acquire) {
                LISTENING => ListenerState::Listening,
                DONE => ListenerState::Done,
                _ => ListenerState::Panicked(panic.get().cloned().unwrap_or_default()),
            },
        }
    }
}
