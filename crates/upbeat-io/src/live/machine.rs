use std::collections::VecDeque;
use std::time::Duration;

use super::{DeviceError, DeviceId, FaultKind};

/// Which device to run on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Policy {
    /// The default device, also when it becomes another one.
    #[default]
    FollowDefault,
    /// This device, and no other.
    Pin(DeviceId),
}

/// How fast a supervisor reacts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How often to look for a missing device. Default: 150 ms, so that a device that is back is heard within 500 ms.
    pub poll: Duration,
    /// How often to ask for the default device while running. Default: 200 ms.
    pub watch: Duration,
    /// How long to wait after the first failed attempt to open a device that is present; doubled by each. Default: 250 ms.
    pub min_backoff: Duration,
    /// The longest such wait. Default: 2 s.
    pub max_backoff: Duration,
    /// A stream from which nothing comes for so long, and for ten blocks, is dead. Default: 500 ms; below 250 ms
    /// an ordinary busy computer looks like a dead device.
    pub stall: Duration,
    /// How long a fresh stream may take to its first block. Default: 2.5 s.
    pub first_block: Duration,
    /// How long a call into the sound system may take, before it counts as failed. Default: 3 s.
    pub deadline: Duration,
    /// How long closing a stream may take before another is opened all the same. Default: 500 ms.
    pub close: Duration,
    /// How long to be without device before the fallback is opened, if there is one. Default: 3 s.
    pub fallback: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        let ms = Duration::from_millis;
        Self {
            poll: ms(150),
            watch: ms(200),
            min_backoff: ms(250),
            max_backoff: ms(2000),
            stall: ms(500),
            first_block: ms(2500),
            deadline: ms(3000),
            close: ms(500),
            fallback: ms(3000),
        }
    }
}

/// What a supervised stream is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StreamState {
    /// Nothing was opened yet.
    #[default]
    Opening,
    /// Samples flow from the device it began with.
    Running,
    /// Samples flow from another device: the default has changed, or the fallback stands in.
    Moved,
    /// The device is not there; it is looked for.
    Lost,
    /// The device is there, but cannot be opened; it is tried again.
    Retrying,
    /// The source has come to its end.
    Ended,
    /// It was told to stop.
    Stopped,
}

/// Why a stream was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LossReason {
    /// The host said so, in one way or another.
    Fault(FaultKind),
    /// Nothing came any more, without any error.
    Stalled,
}

/// What happened to a supervised stream.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum StreamEvent {
    /// Samples can flow from `device`.
    Opened {
        /// The device.
        device: DeviceId,
        /// Whether it is the fallback.
        is_fallback: bool,
        /// How long there was no device before; `None` at the beginning.
        after: Option<Duration>,
    },
    /// The stream is dead.
    Lost {
        /// The device it ran on.
        device: DeviceId,
        /// Why.
        reason: LossReason,
    },
    /// It goes on on another device.
    Moved {
        /// The device so far.
        from: DeviceId,
        /// The device from now on.
        to: DeviceId,
    },
    /// The device could not be opened.
    Failed {
        /// The device.
        device: DeviceId,
        /// Why.
        error: DeviceError,
        /// How many attempts in a row have failed.
        attempt: u32,
        /// How long until the next, unless the device goes and comes back before.
        wait: Duration,
    },
    /// The device runs at another rate than it says, by more than 1 %.
    WrongRate {
        /// The device.
        device: DeviceId,
        /// What it says, in Hz.
        stated: u32,
        /// What was measured, in Hz.
        measured: f64,
    },
    /// The source has come to its end.
    Ended,
}

/// What a [`Machine`] is told.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Signal {
    /// The answer to [`Command::Look`]: the device to be on, if it is there.
    Seen(Option<DeviceId>),
    /// The answer to [`Command::Open`] and [`Command::OpenFallback`].
    Opened(DeviceId),
    /// The other answer.
    OpenFailed(DeviceId, DeviceError),
    /// The open stream is alive: when its last block came, and how long blocks are.
    Alive {
        /// `None` where no block came yet.
        last_block: Option<Duration>,
        /// How long a block lasts.
        period: Duration,
    },
    /// The open stream is dead.
    Dead(FaultKind),
    /// The host says that the default device is another.
    DefaultChanged,
    /// The open stream has come to its end.
    Ended,
}

/// What a [`Machine`] wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// Find the device to be on. `probe`: and whether it can be opened.
    Look {
        /// Not while a stream runs, since some devices can be opened only once.
        probe: bool,
    },
    /// Open this device.
    Open(DeviceId),
    /// Open the fallback.
    OpenFallback,
    /// Close the open stream. Needs no answer.
    Close,
}

/// Decides what to do about a stream: all rules of a [`StreamSupervisor`](super::StreamSupervisor), without threads
/// and with the time given from outside, so that the same signals always give the same commands.
///
/// Tell it what happened with [`signal`](Self::signal), then carry out what [`command`](Self::command) gives until
/// that is `None`. Every command but `Close` is answered by one signal; until then no other comes.
#[derive(Clone, Debug)]
pub struct Machine {
    policy: Policy,
    timing: Timing,
    has_fallback: bool,
    state: StreamState,
    /// The device that is open.
    device: Option<DeviceId>,
    is_fallback: bool,
    /// The first device there was.
    home: Option<DeviceId>,
    /// The last device there was, for events.
    last: Option<DeviceId>,
    /// What the last look saw.
    seen: Option<DeviceId>,
    /// Open this next.
    wanted: Option<DeviceId>,
    close: bool,
    /// What waits for its answer.
    asked: Option<Command>,
    attempt: u32,
    next_look: Duration,
    next_open: Duration,
    next_fallback: Duration,
    opened_at: Duration,
    /// Since when there is no device.
    without: Option<Duration>,
    events: VecDeque<StreamEvent>,
}

impl Machine {
    /// One that will look for a device at once.
    #[must_use]
    pub fn new(policy: Policy, timing: Timing, has_fallback: bool, now: Duration) -> Self {
        Self {
            policy,
            timing,
            has_fallback,
            state: StreamState::Opening,
            device: None,
            is_fallback: false,
            home: None,
            last: None,
            seen: None,
            wanted: None,
            close: false,
            asked: None,
            attempt: 0,
            next_look: now,
            next_open: now,
            next_fallback: now + timing.fallback,
            opened_at: now,
            without: Some(now),
            events: VecDeque::new(),
        }
    }

    /// What the stream is doing.
    #[must_use]
    pub const fn state(&self) -> StreamState {
        self.state
    }

    /// The device that is open.
    #[must_use]
    pub const fn device(&self) -> Option<&DeviceId> {
        self.device.as_ref()
    }

    /// Whether the open device is the fallback.
    #[must_use]
    pub const fn is_fallback(&self) -> bool {
        self.is_fallback
    }

    /// The oldest event not yet taken.
    pub fn event(&mut self) -> Option<StreamEvent> {
        self.events.pop_front()
    }

    /// Takes note of what happened.
    pub fn signal(&mut self, now: Duration, signal: Signal) {
        match signal {
            Signal::Seen(seen) => self.seen(now, seen),
            Signal::Opened(device) => self.opened(now, device),
            Signal::OpenFailed(device, error) => self.failed(now, device, error),
            Signal::Alive { last_block, period } => self.watch(now, last_block, period),
            Signal::Dead(fault) => self.lose(now, LossReason::Fault(fault)),
            Signal::DefaultChanged => self.next_look = now,
            Signal::Ended if self.device.is_some() => {
                self.drop_device(StreamState::Ended);
                self.events.push_back(StreamEvent::Ended);
            }
            Signal::Ended => {}
        }
    }

    /// Ends it all; closes what is open.
    pub fn stop(&mut self) {
        if self.state != StreamState::Ended {
            self.drop_device(StreamState::Stopped);
        }
    }

    /// What to do now, if anything.
    pub fn command(&mut self, now: Duration) -> Option<Command> {
        if std::mem::take(&mut self.close) {
            return Some(Command::Close);
        }
        if self.asked.is_some() || matches!(self.state, StreamState::Ended | StreamState::Stopped) {
            return None;
        }
        let is_without = self.device.is_none();
        let command = if let Some(device) = self.wanted.take() {
            Command::Open(device)
        } else if self.has_fallback && is_without && now >= self.next_fallback {
            Command::OpenFallback
        } else if now >= self.next_look && (is_without || self.may_move()) {
            Command::Look { probe: is_without || self.is_fallback }
        } else {
            return None;
        };
        self.asked = Some(command.clone());
        Some(command)
    }

    fn seen(&mut self, now: Duration, seen: Option<DeviceId>) {
        self.asked = None;
        let before = std::mem::replace(&mut self.seen, seen.clone());
        let running = self.device.is_some();
        self.next_look = now + if running { self.timing.watch } else { self.timing.poll };
        match (seen, running) {
            (Some(device), false) => {
                // A device that comes back is tried at once, whatever the attempts before it.
                let is_back = before.as_ref() != Some(&device);
                if is_back {
                    self.attempt = 0;
                }
                if is_back || now >= self.next_open {
                    self.wanted = Some(device);
                } else {
                    self.state = StreamState::Retrying;
                }
            }
            (Some(device), true) if self.is_due(now, &device, before.as_ref()) => {
                self.drop_device(StreamState::Retrying);
                self.without = Some(now);
                self.next_fallback = now + self.timing.fallback;
                self.wanted = Some(device);
            }
            (None, false) => self.state = StreamState::Lost,
            _ => {}
        }
    }

    fn opened(&mut self, now: Duration, device: DeviceId) {
        let is_fallback = self.asked.take() == Some(Command::OpenFallback);
        let home = self.home.get_or_insert_with(|| device.clone());
        let at_home = *home == device && !is_fallback;
        self.state = if at_home { StreamState::Running } else { StreamState::Moved };
        let after = self.last.as_ref().and(self.without).map(|since| now.saturating_sub(since));
        if let Some(from) = self.last.replace(device.clone()).filter(|from| *from != device) {
            self.events.push_back(StreamEvent::Moved { from, to: device.clone() });
        }
        self.events.push_back(StreamEvent::Opened { device: device.clone(), is_fallback, after });
        self.device = Some(device);
        self.is_fallback = is_fallback;
        self.opened_at = now;
        self.without = None;
        self.next_look = now + self.timing.watch;
        if !is_fallback {
            self.attempt = 0;
        }
    }

    fn failed(&mut self, now: Duration, device: DeviceId, error: DeviceError) {
        let is_fallback = self.asked.take() == Some(Command::OpenFallback);
        self.state = StreamState::Retrying;
        let Timing { min_backoff, max_backoff, poll, .. } = self.timing;
        let wait = min_backoff.saturating_mul(1 << self.attempt.min(16)).min(max_backoff);
        self.attempt += 1;
        self.next_open = now + wait;
        self.next_look = now + poll.min(wait);
        if is_fallback {
            self.next_fallback = now + self.timing.fallback;
        }
        let attempt = self.attempt;
        self.events.push_back(StreamEvent::Failed { device, error, attempt, wait });
    }

    fn watch(&mut self, now: Duration, last_block: Option<Duration>, period: Duration) {
        let Timing { stall, first_block, .. } = self.timing;
        let (since, patience) = match last_block {
            Some(last) => (last, stall.max(period.saturating_mul(10))),
            None => (self.opened_at, first_block),
        };
        if self.device.is_some() && now > since + patience {
            self.lose(now, LossReason::Stalled);
        }
    }

    fn lose(&mut self, now: Duration, reason: LossReason) {
        let Some(device) = self.device.clone() else { return };
        self.drop_device(StreamState::Lost);
        self.events.push_back(StreamEvent::Lost { device, reason });
        self.attempt = 0;
        self.without = Some(now);
        self.seen = None;
        (self.next_look, self.next_open) = (now, now);
        self.next_fallback = now + self.timing.fallback;
    }

    fn drop_device(&mut self, state: StreamState) {
        self.close |= self.device.take().is_some();
        self.is_fallback = false;
        self.wanted = None;
        self.state = state;
    }

    /// Whether the stream might go on on another device.
    fn may_move(&self) -> bool {
        self.is_fallback || self.policy == Policy::FollowDefault
    }

    /// Whether to leave the open device for `device`, which is there now.
    fn is_due(&self, now: Duration, device: &DeviceId, before: Option<&DeviceId>) -> bool {
        if self.is_fallback {
            // A device that is there but could not be opened shall not interrupt the fallback all the time.
            before != Some(device) || now >= self.opened_at + FALLBACK_RETRY
        } else {
            self.device.as_ref() != Some(device)
        }
    }
}

/// How long to stay on the fallback before a device that is there is tried again.
const FALLBACK_RETRY: Duration = Duration::from_secs(20);
