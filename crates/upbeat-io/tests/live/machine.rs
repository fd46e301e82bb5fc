//! The supervisor's rules, without threads, devices or clocks.

use std::time::Duration;

use super::support::{id, ms};
use proptest::prelude::*;
use upbeat_io::live::{
    Command, DeviceError, DeviceId, FaultKind, LossReason, Machine, Policy, Signal, StreamEvent,
    StreamState, Timing,
};

const PROBE: Command = Command::Look { probe: true };
const WATCH: Command = Command::Look { probe: false };

fn seen(name: &str) -> Signal {
    Signal::Seen(Some(id(name)))
}

fn open(name: &str) -> Command {
    Command::Open(id(name))
}

fn alive(last: u64) -> Signal {
    Signal::Alive { last_block: Some(ms(last)), period: ms(10) }
}

/// A machine that runs on `a` since time 0.
fn running(policy: Policy) -> Machine {
    let mut machine = Machine::new(policy, Timing::default(), false, ms(0));
    assert_eq!(machine.command(ms(0)), Some(PROBE));
    machine.signal(ms(0), seen("a"));
    assert_eq!(machine.command(ms(0)), Some(open("a")));
    machine.signal(ms(0), Signal::Opened(id("a")));
    assert_eq!(machine.state(), StreamState::Running);
    events(&mut machine);
    machine
}

fn events(machine: &mut Machine) -> Vec<StreamEvent> {
    std::iter::from_fn(|| machine.event()).collect()
}

#[test]
fn a_lost_device_is_looked_for_and_opened_as_soon_as_it_is_seen() {
    let mut machine = running(Policy::Pin(id("a")));
    machine.signal(ms(1000), Signal::Dead(FaultKind::DeviceLost));
    assert_eq!(machine.state(), StreamState::Lost);
    assert_eq!(machine.command(ms(1000)), Some(Command::Close));
    assert_eq!(machine.command(ms(1000)), Some(PROBE));
    assert_eq!(machine.command(ms(1000)), None, "one question at a time");
    machine.signal(ms(1010), Signal::Seen(None));
    assert_eq!(machine.command(ms(1020)), None);
    assert_eq!(machine.command(ms(1160)), Some(PROBE));
    machine.signal(ms(1170), seen("a"));
    assert_eq!(machine.command(ms(1170)), Some(open("a")));
    machine.signal(ms(1200), Signal::Opened(id("a")));
    assert_eq!(machine.state(), StreamState::Running);
    let lost =
        StreamEvent::Lost { device: id("a"), reason: LossReason::Fault(FaultKind::DeviceLost) };
    let opened = StreamEvent::Opened { device: id("a"), is_fallback: false, after: Some(ms(200)) };
    assert_eq!(events(&mut machine), [lost, opened]);
}

#[test]
fn attempts_back_off_until_the_device_goes_and_comes_back() {
    let mut machine = Machine::new(Policy::FollowDefault, Timing::default(), false, ms(0));
    let mut opened_at = Vec::new();
    let mut now = 0;
    let busy = || Signal::OpenFailed(id("a"), DeviceError::Busy("x".into()));
    while now < 9000 {
        match machine.command(ms(now)) {
            Some(Command::Open(_)) => {
                opened_at.push(now);
                machine.signal(ms(now), busy());
                assert_eq!(machine.state(), StreamState::Retrying);
            }
            Some(Command::Look { .. }) => machine.signal(ms(now), seen("a")),
            None => now += 10,
            other => panic!("{other:?}"),
        }
    }
    let waits: Vec<u64> = opened_at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    for (wait, expected) in waits.iter().zip([250, 500, 1000, 2000, 2000]) {
        assert!((expected..expected + 160).contains(wait), "{waits:?}");
    }
    assert!(waits.len() >= 5);

    // It goes away and is back: no waiting for the rest of the 2 s.
    while machine.command(ms(now)) != Some(PROBE) {
        now += 10;
    }
    machine.signal(ms(now), Signal::Seen(None));
    assert_eq!(machine.state(), StreamState::Lost);
    while machine.command(ms(now)) != Some(PROBE) {
        now += 10;
    }
    machine.signal(ms(now), seen("a"));
    assert_eq!(machine.command(ms(now)), Some(open("a")));
}

#[test]
fn silence_without_error_is_a_loss_after_half_a_second_or_ten_blocks() {
    let mut machine = running(Policy::Pin(id("a")));
    machine.signal(ms(2490), Signal::Alive { last_block: None, period: ms(0) });
    assert_eq!(machine.state(), StreamState::Running, "the first block may take 2.5 s");
    machine.signal(ms(3000), alive(2500));
    assert_eq!(machine.state(), StreamState::Running);
    machine.signal(ms(3200), Signal::Alive { last_block: Some(ms(2500)), period: ms(100) });
    assert_eq!(machine.state(), StreamState::Running, "blocks of 100 ms");
    machine.signal(ms(3001), alive(2500));
    assert_eq!(machine.state(), StreamState::Lost);
    let [StreamEvent::Lost { reason: LossReason::Stalled, .. }] = events(&mut machine)[..] else {
        panic!("stalled")
    };

    let mut never = running(Policy::Pin(id("a")));
    never.signal(ms(2501), Signal::Alive { last_block: None, period: ms(0) });
    assert_eq!(never.state(), StreamState::Lost);
}

#[test]
fn the_default_is_followed_and_a_pinned_device_is_not_left() {
    let mut machine = running(Policy::FollowDefault);
    assert_eq!(machine.command(ms(190)), None);
    assert_eq!(machine.command(ms(200)), Some(WATCH));
    machine.signal(ms(200), seen("a"));
    assert_eq!(machine.command(ms(300)), None);
    machine.signal(ms(310), Signal::DefaultChanged);
    assert_eq!(machine.command(ms(310)), Some(WATCH), "the host said so");
    machine.signal(ms(310), seen("b"));
    assert_eq!(machine.command(ms(310)), Some(Command::Close));
    assert_eq!(machine.command(ms(310)), Some(open("b")));
    machine.signal(ms(350), Signal::Opened(id("b")));
    assert_eq!(machine.state(), StreamState::Moved);
    assert_eq!(events(&mut machine)[0], StreamEvent::Moved { from: id("a"), to: id("b") });
    // No default for a moment is no reason to stop what runs.
    assert_eq!(machine.command(ms(550)), Some(WATCH));
    machine.signal(ms(550), Signal::Seen(None));
    assert_eq!(machine.state(), StreamState::Moved);
    // Home again.
    assert_eq!(machine.command(ms(750)), Some(WATCH));
    machine.signal(ms(750), seen("a"));
    assert_eq!(machine.command(ms(750)), Some(Command::Close));
    assert_eq!(machine.command(ms(750)), Some(open("a")));
    machine.signal(ms(760), Signal::Opened(id("a")));
    assert_eq!(machine.state(), StreamState::Running);

    let mut pinned = running(Policy::Pin(id("a")));
    assert_eq!(pinned.command(ms(10_000)), None, "nothing to ask");
}

#[test]
fn the_fallback_stands_in_only_where_there_is_one_and_leaves_when_the_device_is_back() {
    let mut without = running(Policy::Pin(id("a")));
    let mut with = Machine::new(Policy::Pin(id("a")), Timing::default(), true, ms(0));
    for machine in [&mut without, &mut with] {
        machine.signal(ms(0), Signal::Dead(FaultKind::Backend));
    }
    let answer = |machine: &mut Machine, now| match machine.command(now) {
        Some(Command::Look { .. }) => {
            machine.signal(now, Signal::Seen(None));
            None
        }
        other => other,
    };
    let mut fell_back = None;
    for now in (0..6000).step_by(10).map(ms) {
        let command = answer(&mut without, now);
        assert!(matches!(command, None | Some(Command::Close)), "{command:?}");
        if answer(&mut with, now) == Some(Command::OpenFallback) {
            fell_back.get_or_insert(now);
            with.signal(now, Signal::Opened(id("file:song")));
        }
    }
    assert_eq!(fell_back, Some(ms(3000)));
    assert!(with.is_fallback());
    assert_eq!(with.state(), StreamState::Moved);
    let now = ms(6200);
    assert_eq!(with.command(now), Some(PROBE));
    with.signal(now, seen("a"));
    assert_eq!(with.command(now), Some(Command::Close));
    assert_eq!(with.command(now), Some(open("a")));
    with.signal(now, Signal::Opened(id("a")));
    assert!(!with.is_fallback());
}

#[test]
fn an_end_and_a_stop_are_final() {
    for end in [true, false] {
        let mut machine = running(Policy::FollowDefault);
        if end {
            machine.signal(ms(100), Signal::Ended);
            assert_eq!(events(&mut machine), [StreamEvent::Ended]);
        } else {
            machine.stop();
        }
        let state = if end { StreamState::Ended } else { StreamState::Stopped };
        assert_eq!(machine.command(ms(100)), Some(Command::Close));
        machine.signal(ms(5000), alive(0));
        machine.signal(ms(5000), Signal::Dead(FaultKind::DeviceLost));
        assert_eq!((machine.command(ms(9000)), machine.state()), (None, state));
    }
}

/// A signal to try, and how much later.
fn anything() -> impl Strategy<Value = (u64, u8, bool)> {
    (0_u64..700, 0_u8..8, any::<bool>())
}

proptest! {
    /// Whatever happens in whatever order: there is never a question before the last is answered, nothing is opened
    /// while something is open, states tell the truth, and a device that stays is open in the end.
    #[test]
    fn no_order_of_events_confuses_it(steps in prop::collection::vec(anything(), 1..200), follow: bool) {
        let policy = if follow { Policy::FollowDefault } else { Policy::Pin(id("a")) };
        let mut machine = Machine::new(policy, Timing::default(), true, ms(0));
        let mut world = World { now: ms(0), asked: None, open: None };
        for (later, what, yes) in steps {
            world.now += ms(later);
            world.tell(&mut machine, what, yes, follow);
            world.settle(&mut machine)?;
        }
        // From here on `a` is there and can be opened.
        for _ in 0..600 {
            world.now += ms(100);
            world.answer(&mut machine, true, &id("a"));
            let last = Some(world.now);
            machine.signal(world.now, Signal::Alive { last_block: last, period: ms(10) });
            world.settle(&mut machine)?;
        }
        prop_assert_eq!(world.open, Some(id("a")));
    }
}

struct World {
    now: Duration,
    asked: Option<Command>,
    open: Option<DeviceId>,
}

impl World {
    fn tell(&mut self, machine: &mut Machine, what: u8, yes: bool, follow: bool) {
        match what {
            0 | 1 => self.answer(machine, yes, &id("a")),
            2 => self.answer(machine, yes, &id(if follow { "b" } else { "a" })),
            3 => machine.signal(self.now, Signal::Dead(FaultKind::Backend)),
            4 => machine.signal(self.now, Signal::DefaultChanged),
            5 => machine.signal(self.now, Signal::Alive { last_block: None, period: ms(5) }),
            _ => machine.signal(self.now, alive(self.now.as_millis() as u64)),
        }
    }

    fn answer(&mut self, machine: &mut Machine, yes: bool, device: &DeviceId) {
        let signal = match self.asked.take() {
            Some(Command::Look { .. }) => Signal::Seen(yes.then(|| device.clone())),
            Some(Command::Open(device)) if yes => Signal::Opened(device),
            Some(Command::OpenFallback) if yes => Signal::Opened(id("fallback")),
            Some(_) => Signal::OpenFailed(device.clone(), DeviceError::Busy("x".into())),
            None => return,
        };
        if let Signal::Opened(device) = &signal {
            self.open = Some(device.clone());
        }
        machine.signal(self.now, signal);
    }

    /// Takes the commands there are.
    fn settle(&mut self, machine: &mut Machine) -> Result<(), TestCaseError> {
        while let Some(command) = machine.command(self.now) {
            if command == Command::Close {
                prop_assert!(self.open.take().is_some(), "closed twice");
                continue;
            }
            prop_assert_eq!(self.asked.take(), None, "asked before the answer");
            if matches!(command, Command::Open(_) | Command::OpenFallback) {
                prop_assert_eq!(&self.open, &None, "opened on top");
            }
            self.asked = Some(command);
        }
        let runs = matches!(machine.state(), StreamState::Running | StreamState::Moved);
        prop_assert_eq!(runs, self.open.is_some());
        prop_assert_eq!(machine.device(), self.open.as_ref());
        Ok(())
    }
}
