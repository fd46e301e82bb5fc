//! A supervised stream on devices driven by hand.

use std::sync::Arc;
use std::time::Duration;

use super::support::{Rig, id, mono, ms, rate};
use upbeat_io::StreamFormat;
use upbeat_io::live::{
    Channels, DeviceError, Direction, FaultKind, GapCause, LossReason, MockBackend, MockDevice,
    Policy, StreamEvent, StreamState, StreamSupervisor, SupervisorConfig, Timing, counting,
};

const A: &str = "mock:a";
const B: &str = "mock:b";

fn one(device: MockDevice) -> MockBackend {
    let mock = MockBackend::new();
    mock.plug(device);
    mock
}

fn rig(device: MockDevice) -> Rig {
    Rig::new(one(device), SupervisorConfig::default())
}

#[test]
fn an_unplugged_device_leaves_a_gap_of_just_its_absence() {
    let mut rig = rig(MockDevice::input(A, mono(48_000)));
    rig.run(ms(1000));
    rig.mock.unplug(&id(A));
    rig.run(ms(2000));
    assert_eq!(rig.supervision.status().state, StreamState::Lost);
    rig.mock.plug(MockDevice::input(A, mono(48_000)));
    rig.run(ms(500));
    assert_eq!(rig.supervision.status().state, StreamState::Running, "back within 500 ms");
    let [(at, gap)] = rig.gaps[..] else { panic!("one gap: {:?}", rig.gaps) };
    assert_eq!(gap.cause, GapCause::Reopened);
    assert!((2.0..2.3).contains(&gap.seconds), "{gap:?}");
    assert!(rig.heard.last().unwrap().0 > at + 4800, "and heard for a while");
    for (at, value) in &rig.heard {
        assert_eq!(*value, counting(*at));
    }
    rig.assert_accounted();
    let status = rig.supervision.status();
    assert_eq!((status.opened, status.losses), (2, 1));
    assert!(matches!(
        rig.events[..],
        [
            StreamEvent::Opened { after: None, .. },
            StreamEvent::Lost { reason: LossReason::Fault(FaultKind::DeviceLost), .. },
            StreamEvent::Opened { after: Some(_), is_fallback: false, .. }
        ]
    ));
}

#[test]
fn a_device_that_is_not_there_at_first_is_waited_for() {
    let mock = MockBackend::new();
    let mut rig = Rig::new(mock, SupervisorConfig::default());
    rig.run(ms(5000));
    assert_eq!(rig.supervision.status().state, StreamState::Lost);
    rig.mock.plug(MockDevice::input(A, mono(8000)));
    rig.run(ms(500));
    assert_eq!(rig.heard[0].0, 0, "the stream begins with its first sample");
    assert_eq!(rig.gaps, []);
}

#[test]
fn another_rate_and_other_channels_do_not_change_the_stream() {
    let hz = 48_000;
    let sine = |rate: u32| {
        move |n: u64, _: usize| {
            (std::f64::consts::TAU * 440.0 * n as f64 / f64::from(rate)).sin() as f32
        }
    };
    let mut rig = rig(MockDevice::input(A, mono(hz)).signal(sine(hz)));
    rig.run(ms(1000));
    let stereo = StreamFormat::stereo(rate(44_100));
    rig.mock.unplug(&id(A));
    rig.run(ms(300));
    rig.mock.plug(MockDevice::input(A, stereo).signal(sine(44_100)));
    rig.run(ms(2000));
    assert_eq!(rig.live.format(), Some(mono(hz)), "the format stays");
    assert_eq!(rig.supervision.status().device_format, Some(stereo));
    assert_eq!(rig.gaps.len(), 1);
    rig.assert_accounted();
    // The devices hear the same 440 Hz by the same clock, so the converted samples must fit the same sine, but for half
    // a sample by which the gap is rounded.
    let after = rig.gaps[0].0 + 500;
    let end = rig.heard.last().unwrap().0 - 500;
    for (at, value) in rig.heard.iter().filter(|(at, _)| (after..end).contains(at)) {
        let truth = sine(hz)(*at, 0);
        assert!((value - truth).abs() < 0.045, "{at}: {value}, not {truth}");
    }
}

#[test]
fn a_stream_has_the_rate_and_channels_that_were_asked_for() {
    let config = SupervisorConfig {
        sample_rate: Some(rate(16_000)),
        channels: Channels::Mono,
        ..SupervisorConfig::default()
    };
    let device = MockDevice::input(A, StreamFormat::stereo(rate(48_000))).signal(|_, c| c as f32);
    let mut rig = Rig::new(one(device), config);
    rig.run(ms(1000));
    assert_eq!(rig.live.format(), Some(mono(16_000)));
    assert!((15_500..=16_000).contains(&rig.heard.len()), "{}", rig.heard.len());
    assert!((rig.heard[8000].1 - 0.5).abs() < 1e-4, "the mean of 0 and 1: {}", rig.heard[8000].1);
}

#[test]
fn a_new_default_is_followed_within_500_ms() {
    let mock = one(MockDevice::input(A, mono(48_000)).signal(|_, _| 0.25));
    mock.plug(MockDevice::input(B, mono(48_000)).signal(|_, _| 0.75));
    let mut rig = Rig::new(mock, SupervisorConfig::default());
    rig.run(ms(1000));
    rig.mock.set_default(Direction::Input, Some(&id(B)));
    rig.run(ms(500));
    assert_eq!(rig.heard.last().unwrap().1, 0.75);
    assert_eq!(rig.supervision.status().state, StreamState::Moved);
    assert!(rig.events.contains(&StreamEvent::Moved { from: id(A), to: id(B) }));
    rig.assert_accounted();

    // One that is pinned stays.
    let mock = rig.mock.clone();
    let config = SupervisorConfig { policy: Policy::Pin(id(B)), ..SupervisorConfig::default() };
    let mut pinned = Rig::new(mock, config);
    pinned.run(ms(300));
    pinned.mock.set_default(Direction::Input, Some(&id(A)));
    pinned.run(ms(1000));
    assert!(pinned.heard.iter().all(|(_, value)| *value == 0.75));
}

#[test]
fn a_stalled_device_is_opened_anew_and_a_short_stall_is_waited_for() {
    let mut rig = rig(MockDevice::input(A, mono(48_000)));
    rig.run(ms(1000));
    rig.mock.stall(&id(A), true);
    rig.run(ms(400));
    rig.mock.stall(&id(A), false);
    rig.run(ms(100));
    assert_eq!((rig.supervision.status().losses, rig.gaps.len()), (0, 0));
    rig.mock.stall(&id(A), true);
    rig.run(ms(700));
    rig.mock.stall(&id(A), false);
    rig.run(ms(300));
    assert_eq!(rig.supervision.status().losses, 1);
    assert!(
        rig.events
            .iter()
            .any(|event| matches!(event, StreamEvent::Lost { reason: LossReason::Stalled, .. }))
    );
    rig.assert_accounted();
    assert!(rig.heard.iter().all(|(at, value)| *value == counting(*at)));
}

#[test]
fn samples_not_read_in_time_are_a_gap_and_no_reason_to_open_anew() {
    let config = SupervisorConfig { buffer: ms(100), ..SupervisorConfig::default() };
    let mut rig = Rig::new(one(MockDevice::input(A, mono(48_000))), config);
    rig.run(ms(500));
    rig.mock.advance(ms(300));
    rig.run(ms(500));
    // And at the very end, where no sample follows to show it.
    rig.mock.advance(ms(300));
    rig.mock.unplug(&id(A));
    rig.mock.plug(MockDevice::input(A, mono(48_000)));
    rig.run(ms(1000));
    assert_eq!(rig.gaps[0].1.cause, GapCause::Dropout);
    assert!((0.15..0.25).contains(&rig.gaps[0].1.seconds));
    assert!(rig.gaps[1].1.seconds > 0.2, "what did not fit counts too: {:?}", rig.gaps);
    rig.assert_accounted();
    assert!(rig.heard.iter().all(|(at, value)| *value == counting(*at)));
}

#[test]
fn what_is_lost_before_the_first_block_counts_once() {
    let mut rig = rig(MockDevice::input(A, mono(48_000)));
    rig.run(ms(100));
    rig.mock.unplug(&id(A));
    rig.run(ms(100));
    rig.mock.plug(MockDevice::input(A, mono(48_000)).block(4800));
    while rig.mock.open_streams() == 0 {
        rig.run(ms(10));
    }
    rig.mock.lose(&id(A), 3000);
    rig.run(ms(1000));
    rig.assert_accounted();
    assert!(rig.heard.iter().all(|(at, value)| *value == counting(*at)));
}

#[test]
fn the_fallback_is_taken_only_when_asked_for() {
    let steady = || {
        let fallback = one(MockDevice::input("mock:spare", mono(48_000)).signal(|_, _| 0.5));
        (
            fallback.clone(),
            SupervisorConfig { fallback: Some(Arc::new(fallback)), ..SupervisorConfig::default() },
        )
    };
    let (spare, config) = steady();
    let mut with = Rig::new(one(MockDevice::input(A, mono(48_000))), config);
    let mut without = rig(MockDevice::input(A, mono(48_000)));
    for rig in [&mut with, &mut without] {
        rig.run(ms(500));
        rig.mock.unplug(&id(A));
        for _ in 0..600 {
            spare.advance(ms(10));
            rig.run(ms(10));
        }
    }
    assert_eq!(without.supervision.status().state, StreamState::Lost);
    let status = with.supervision.status();
    assert!(status.is_fallback && status.state == StreamState::Moved, "{status:?}");
    assert_eq!(with.heard.last().unwrap().1, 0.5);
    with.mock.plug(MockDevice::input(A, mono(48_000)));
    with.run(ms(500));
    let status = with.supervision.status();
    assert!(!status.is_fallback && status.state == StreamState::Running, "{status:?}");
    with.assert_accounted();
}

#[test]
fn a_device_in_use_is_tried_again() {
    let mock = one(MockDevice::input(A, mono(48_000)));
    mock.refuse(&id(A), Some(DeviceError::Busy("another".into())));
    let mut rig = Rig::new(mock, SupervisorConfig::default());
    rig.run(ms(3000));
    let status = rig.supervision.status();
    assert_eq!(status.state, StreamState::Retrying);
    assert_eq!(status.last_error, Some(DeviceError::Busy("another".into())));
    rig.mock.refuse(&id(A), None);
    rig.run(ms(2200));
    assert_eq!(rig.supervision.status().state, StreamState::Running);
    assert_eq!(rig.supervision.status().last_error, None);
}

#[test]
fn late_callbacks_cost_no_sample() {
    let mut rig = rig(MockDevice::input(A, mono(48_000)));
    rig.mock.set_jitter(&id(A), ms(40));
    rig.run(ms(3000));
    assert_eq!((rig.gaps.len(), rig.supervision.status().losses), (0, 0));
    assert!(rig.supervision.status().stats.max_jitter > ms(10));
    assert!(rig.heard.iter().all(|(at, value)| *value == counting(*at)));
}

#[test]
fn events_that_nobody_takes_are_dropped_and_counted() {
    let mut rig = rig(MockDevice::input(A, mono(8000)));
    for _ in 0..300 {
        rig.mock.fault(&id(A), FaultKind::Invalidated, 1);
        rig.supervision.step();
        rig.mock.advance(ms(200));
    }
    let status = rig.supervision.status();
    let kept = std::iter::from_fn(|| rig.supervision.event()).count() as u64;
    assert_eq!(kept, 256);
    assert!(status.dropped_events > 100);
}

#[test]
fn impossible_settings_are_refused() {
    let mock = || Arc::new(MockBackend::new());
    let refused = |config| StreamSupervisor::input(mock(), config).unwrap_err().parameter();
    let default = SupervisorConfig::default;
    assert_eq!(refused(SupervisorConfig { buffer: Duration::ZERO, ..default() }), "buffer");
    assert_eq!(refused(SupervisorConfig { channels: Channels::Count(0), ..default() }), "channels");
}

/// With its thread, on a sound system that hangs: nothing that is asked of the supervisor takes long, and it finds
/// back.
#[test]
fn a_frozen_sound_system_freezes_nobody() {
    let mock = one(MockDevice::input(A, mono(48_000)));
    let timing = Timing { deadline: ms(100), close: ms(50), ..Timing::default() };
    let config = SupervisorConfig { timing, ..SupervisorConfig::default() };
    let (supervisor, mut live) = StreamSupervisor::input(Arc::new(mock.clone()), config).unwrap();
    let until = |wanted: StreamState, what: &str| {
        for _ in 0..2000 {
            mock.advance(ms(5));
            if supervisor.status().state == wanted {
                return;
            }
            std::thread::sleep(ms(2));
        }
        panic!("{what}: {:?}", supervisor.status());
    };
    until(StreamState::Running, "opens");
    mock.freeze(true);
    mock.stall(&id(A), true);
    until(StreamState::Lost, "notices");
    // Long enough for more calls than may be left behind.
    for _ in 0..100 {
        mock.advance(ms(50));
        std::thread::sleep(ms(10));
    }
    mock.stall(&id(A), false);
    mock.freeze(false);
    until(StreamState::Running, "finds back");
    live.read(|_| {});
    mock.advance(ms(100));
    assert!(live.read(|_| {}) > 1000, "samples flow");
    mock.freeze(true);
    let told = std::time::Instant::now();
    supervisor.stop();
    assert!(told.elapsed() < Duration::from_secs(5), "the stop did not wait for the frozen device");
    mock.freeze(false);
}

#[test]
fn a_stop_ends_the_stream_after_what_was_heard() {
    let mut rig = rig(MockDevice::input(A, mono(48_000)));
    rig.run(ms(100));
    rig.mock.advance(ms(100));
    let before = rig.heard.len();
    rig.supervision.stop();
    assert!(!rig.live.has_ended());
    rig.read();
    assert!(rig.heard.len() >= before + 4000, "what waited in the queue was heard");
    assert!(rig.live.has_ended());
    assert_eq!(rig.supervision.status().state, StreamState::Stopped);
    assert_eq!(rig.mock.open_streams(), 0);
}
