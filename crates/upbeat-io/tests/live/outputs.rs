//! Outputs and duplex streams on devices driven by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::support::{id, mono, ms, rate};
use upbeat_io::StreamFormat;
use upbeat_io::live::{
    Channels, DuplexConfig, DuplexProcess, LiveInput, MockBackend, MockDevice, StreamState,
    StreamSupervision, SupervisorConfig, Timing,
};

const IN: &str = "mock:in";
const OUT: &str = "mock:out";

/// An output that is wired to an input without delay.
fn wired(format: StreamFormat) -> MockBackend {
    let mock = MockBackend::new();
    mock.plug(MockDevice::input(IN, format).block(240));
    mock.plug(MockDevice::output(OUT, format).block(480));
    mock.wire(&id(OUT), &id(IN), 0);
    mock
}

fn heard(live: &mut LiveInput) -> Vec<f32> {
    let mut all = Vec::new();
    live.read(|block| all.extend_from_slice(block.interleaved));
    all
}

#[test]
fn what_is_written_is_played_and_what_is_missing_is_silence() {
    let mock = wired(mono(48_000));
    let backend = || Arc::new(mock.clone());
    let (mut output, mut to) =
        StreamSupervision::output(backend(), SupervisorConfig::default()).unwrap();
    let (mut input, mut from) =
        StreamSupervision::input(backend(), SupervisorConfig::default()).unwrap();
    assert_eq!(to.write(&[0.5; 10]), 0, "no device is open");
    output.step();
    input.step();
    mock.advance(ms(30)); // silence before the beginning is no underrun
    assert_eq!(output.status().stats.underruns, 0);
    let ramp: Vec<f32> = (1..=1000).map(|n| n as f32).collect();
    assert_eq!(to.write(&ramp), 1000);
    assert_eq!(to.queued(), 1000);
    mock.advance(ms(100));
    output.step();
    let all = heard(&mut from);
    let start = all.iter().position(|x| *x != 0.0).expect("something was played");
    assert_eq!(all[start..start + 1000], ramp);
    assert!(all[start + 1000..].iter().all(|x| *x == 0.0));
    let stats = output.status().stats;
    // 1000 samples fill 2 blocks of 480 and 40 of the third; each block from then on is missing.
    assert!(stats.underruns >= 3, "{stats:?}");
    assert_eq!(stats.silence % 480, 440);
    drop(to);
    mock.advance(ms(100));
    output.step();
    assert_eq!(output.status().stats.underruns, stats.underruns, "an end is no underrun");
}

#[test]
fn a_full_queue_takes_no_more_and_loses_nothing() {
    let mock = wired(mono(48_000));
    let config = SupervisorConfig { buffer: ms(20), ..SupervisorConfig::default() };
    let (mut output, mut to) = StreamSupervision::output(Arc::new(mock.clone()), config).unwrap();
    let (mut input, mut from) =
        StreamSupervision::input(Arc::new(mock.clone()), SupervisorConfig::default()).unwrap();
    output.step();
    input.step();
    let mut next = 1 + to.write(&(1..=800).map(|n| n as f32).collect::<Vec<_>>());
    let mut all = Vec::new();
    for _ in 0..200 {
        let block: Vec<f32> = (next..next + 300).map(|n| n as f32).collect();
        next += to.write(&block);
        assert!(to.queued() <= 960);
        mock.advance(ms(5));
        all.extend(heard(&mut from));
    }
    let start = all.iter().position(|x| *x != 0.0).unwrap();
    for (n, x) in (1..).zip(&all[start..]) {
        assert_eq!(*x, n as f32);
    }
    assert!(all.len() > 40_000);
}

#[test]
fn an_output_of_another_rate_plays_the_same_sound() {
    let sine = |n: usize| (std::f64::consts::TAU * 440.0 * n as f64 / 44_100.0).sin() as f32;
    let mock = wired(StreamFormat::stereo(rate(48_000)));
    let config = SupervisorConfig {
        sample_rate: Some(rate(44_100)),
        channels: Channels::Mono,
        ..SupervisorConfig::default()
    };
    let (mut output, mut to) = StreamSupervision::output(Arc::new(mock.clone()), config).unwrap();
    let (mut input, mut from) =
        StreamSupervision::input(Arc::new(mock.clone()), SupervisorConfig::default()).unwrap();
    output.step();
    input.step();
    assert_eq!(to.write(&[]), 0);
    assert_eq!(to.format(), Some(mono(44_100)));
    let block: Vec<f32> = (0..44_100).map(sine).collect();
    assert_eq!(to.write(&block), 44_100);
    mock.advance(ms(900));
    let all = heard(&mut from);
    for (n, pair) in all.chunks_exact(2).enumerate().skip(500).take(40_000) {
        let truth = (std::f64::consts::TAU * 440.0 * n as f64 / 48_000.0).sin() as f32;
        assert!(
            (pair[0] - truth).abs() < 0.001 && pair[0] == pair[1],
            "{n}: {pair:?}, not {truth}"
        );
    }
}

#[test]
fn an_output_that_was_lost_plays_on() {
    let mock = wired(mono(48_000));
    let (mut output, mut to) =
        StreamSupervision::output(Arc::new(mock.clone()), SupervisorConfig::default()).unwrap();
    output.step();
    for time in 0..300 {
        if time == 100 {
            mock.unplug(&id(OUT));
        }
        if time == 150 {
            mock.plug(MockDevice::output(OUT, mono(44_100)));
        }
        let block = vec![0.5; 480.min(to.room())];
        to.write(&block);
        mock.advance(ms(10));
        output.step();
        if (110..150).contains(&time) {
            assert_eq!((to.room(), output.status().state), (0, StreamState::Lost));
        }
    }
    assert_eq!(output.status().state, StreamState::Running);
    assert_eq!(to.format(), Some(mono(48_000)));
    assert!(to.written() > 100_000);
}

/// Doubles everything and counts.
struct Double(Arc<AtomicU64>);

impl DuplexProcess for Double {
    fn prepare(&mut self, _: StreamFormat) {
        self.0.fetch_add(1 << 32, Ordering::Relaxed);
    }

    fn process(&mut self, interleaved: &mut [f32]) {
        self.0.fetch_add(interleaved.len() as u64, Ordering::Relaxed);
        for x in interleaved {
            *x *= 2.0;
        }
    }
}

#[test]
fn duplex_passes_every_sample_through_the_process() {
    let mock = MockBackend::new();
    mock.plug(MockDevice::input(IN, mono(48_000)).block(128).signal(|n, _| n as f32));
    mock.plug(MockDevice::output(OUT, StreamFormat::stereo(rate(48_000))).block(480));
    let counted = Arc::new(AtomicU64::new(0));
    let process = Box::new(Double(Arc::clone(&counted)));
    let mut duplex = StreamSupervision::duplex(
        Arc::new(mock.clone()),
        DuplexConfig::default(),
        Timing::default(),
        process,
    )
    .unwrap();
    // What is played is heard through a second input.
    mock.plug(MockDevice::input("mock:ear", StreamFormat::stereo(rate(48_000))));
    mock.wire(&id(OUT), &id("mock:ear"), 0);
    let pin = upbeat_io::live::Policy::Pin(id("mock:ear"));
    let config = SupervisorConfig { policy: pin, ..SupervisorConfig::default() };
    let (mut ear, mut live) = StreamSupervision::input(Arc::new(mock.clone()), config).unwrap();
    for _ in 0..100 {
        duplex.step();
        ear.step();
        mock.advance(ms(10));
    }
    let all = heard(&mut live);
    let start = all.iter().position(|x| *x != 0.0).unwrap();
    let first = all[start];
    for (n, pair) in (0..).zip(all[start..].chunks_exact(2)) {
        assert_eq!(pair, [first + 2.0 * n as f32; 2], "{n}");
    }
    assert!(all.len() - start > 90_000);
    assert_eq!(duplex.status().stats.underruns, 0);

    // Either end may be lost; the process comes along.
    for (lost, device) in [
        (IN, MockDevice::input(IN, mono(48_000)).signal(|_, _| 0.25)),
        (OUT, MockDevice::output(OUT, StreamFormat::stereo(rate(48_000)))),
    ] {
        mock.unplug(&id(lost));
        for _ in 0..50 {
            duplex.step();
            mock.advance(ms(10));
        }
        mock.plug(device);
        let before = counted.load(Ordering::Relaxed);
        for _ in 0..100 {
            duplex.step();
            mock.advance(ms(10));
        }
        assert_eq!(duplex.status().state, StreamState::Running, "{lost}: {:?}", duplex.status());
        let after = counted.load(Ordering::Relaxed);
        assert_eq!(after >> 32, (before >> 32) + 1, "prepared once more");
        assert!((after & 0xffff_ffff) > (before & 0xffff_ffff) + 40_000);
    }
}

#[test]
fn duplex_needs_one_rate_and_says_so() {
    let mock = MockBackend::new();
    mock.plug(MockDevice::input(IN, mono(44_100)));
    mock.plug(MockDevice::output(OUT, mono(48_000)));
    let process = || Box::new(Double(Arc::default()));
    let make = |config| {
        StreamSupervision::duplex(Arc::new(mock.clone()), config, Timing::default(), process())
    };
    let mut duplex = make(DuplexConfig::default()).unwrap();
    duplex.step();
    let why = duplex.status().last_error.expect("refused").to_string();
    assert!(why.contains("44100 Hz") && why.contains("48000 Hz"), "{why}");
    let mut config = DuplexConfig::default();
    config.cushion = Duration::ZERO;
    assert_eq!(make(config).unwrap_err().parameter(), "cushion");
}

#[test]
fn duplex_keeps_its_cushion() {
    let mock = MockBackend::new();
    mock.plug(MockDevice::input(IN, mono(48_000)).signal(|_, _| 0.5).block(480));
    mock.plug(MockDevice::output(OUT, mono(48_000)).block(480));
    let mut duplex = StreamSupervision::duplex(
        Arc::new(mock.clone()),
        DuplexConfig::default(),
        Timing::default(),
        Box::new(Double(Arc::default())),
    )
    .unwrap();
    let mut run = |time: Duration| {
        mock.advance(time);
        duplex.step();
        duplex.status().stats
    };
    run(ms(0));
    let steady = run(ms(500));
    assert_eq!((steady.lost, steady.silence), (0, 0));
    // The input delivers at once what it held back: the output went silent and then leaves out what is too much.
    mock.stall(&id(IN), true);
    let starved = run(ms(200));
    assert!((8_000..9_600).contains(&starved.silence), "{starved:?}");
    mock.stall(&id(IN), false);
    let caught_up = run(ms(500));
    assert!((7_000..9_600).contains(&caught_up.lost), "{caught_up:?}");
    assert_eq!(caught_up.silence, starved.silence, "and plays on");
}
