//! The real way through the operating system's sound, on a virtual sound card:
//!
//! ```text
//! .ci/with-audio cargo test -p upbeat-io --features device --test sound_card -- --test-threads=1
//! ```
//!
//! Where no card is reached every test fails; none is skipped. One at a time, since they share the card and one pulls
//! it out. On a busy machine samples may be lost for a moment, so what is heard gets three attempts.

use std::f64::consts::TAU;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use upbeat_core::SampleRate;
use upbeat_io::StreamFormat;
use upbeat_io::live::{
    Backend, CallbackInfo, CardBackend, Channels, ConnectInput, ConnectOutput, DeviceError,
    DeviceId, DeviceInfo, Direction, LatencyConfig, LatencyReport, LatencyVerdict, LiveInput,
    LiveOutput, OpenStream, OutputFill, Policy, StreamEvent, StreamHealth, StreamRequest,
    StreamState, StreamSupervisor, SupervisorConfig, measure_latency,
};

const SINK: &str = "rate=48000 channels=2 format=float32le";

/// The backend, once it is sure that the virtual card is there.
fn card() -> Arc<CardBackend> {
    assert!(
        std::env::var_os("UPBEAT_VIRTUAL_CARD").is_some(),
        "no virtual sound card: run this under .ci/with-audio"
    );
    Arc::new(CardBackend::host("alsa").expect("ALSA is there"))
}

fn config(device: &str) -> SupervisorConfig {
    SupervisorConfig {
        policy: Policy::Pin(DeviceId::new(device)),
        sample_rate: Some(SampleRate::new(48_000).expect("a rate")),
        channels: Channels::Count(2),
        block: Some(1024),
        ..SupervisorConfig::default()
    }
}

fn input(device: &str) -> (StreamSupervisor, LiveInput) {
    let (supervisor, live) = StreamSupervisor::input(card(), config(device)).expect("settings");
    assert!(
        supervisor.wait_running(Duration::from_secs(10)),
        "{device}: {:?}",
        supervisor.status()
    );
    (supervisor, live)
}

/// Plays `hz` on `device` until dropped.
struct Tone {
    stop: Arc<std::sync::atomic::AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Tone {
    fn play(device: &str, hz: f64) -> Self {
        let (supervisor, live) =
            StreamSupervisor::output(card(), config(device)).expect("settings");
        assert!(
            supervisor.wait_running(Duration::from_secs(10)),
            "{device}: {:?}",
            supervisor.status()
        );
        let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = std::thread::spawn(move || run_tone(supervisor, live, hz, &told));
        Self { stop, thread: Some(thread) }
    }
}

fn run_tone(
    supervisor: StreamSupervisor,
    mut live: LiveOutput,
    hz: f64,
    stop: &std::sync::atomic::AtomicBool,
) {
    let mut n = 0_u64;
    let mut block = [0.0; 2 * 480];
    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
        for pair in block.chunks_exact_mut(2) {
            pair.fill((0.5 * (TAU * hz * n as f64 / 48_000.0).sin()) as f32);
            n += 1;
        }
        let mut rest = &block[..];
        while !rest.is_empty() && !stop.load(std::sync::atomic::Ordering::Relaxed) {
            let taken = if live.queued() < 9600 { live.write(rest) } else { 0 };
            rest = &rest[2 * taken..];
            if taken == 0 {
                std::thread::sleep(Duration::from_millis(3));
            }
        }
    }
    supervisor.stop();
}

impl Drop for Tone {
    fn drop(&mut self) {
        self.stop.store(true, std::sync::atomic::Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What is heard in the next `time`, the left channel.
fn listen(live: &mut LiveInput, time: Duration) -> Vec<f32> {
    let mut heard = Vec::new();
    let until = Instant::now() + time;
    while Instant::now() < until {
        live.wait(Duration::from_millis(20));
        live.read(|block| heard.extend(block.interleaved.iter().step_by(2)));
    }
    heard
}

/// Amplitude of the sine of `hz` in a window, and the root mean square of the rest.
fn fit(window: &[f32], hz: f64) -> (f64, f64) {
    let (mut re, mut im) = (0.0, 0.0);
    for (n, x) in window.iter().enumerate() {
        let phase = TAU * hz * n as f64 / 48_000.0;
        re += f64::from(*x) * phase.cos();
        im += f64::from(*x) * phase.sin();
    }
    let (re, im) = (2.0 * re / window.len() as f64, 2.0 * im / window.len() as f64);
    let rest: f64 = window
        .iter()
        .enumerate()
        .map(|(n, x)| {
            let phase = TAU * hz * n as f64 / 48_000.0;
            (f64::from(*x) - re * phase.cos() - im * phase.sin()).powi(2)
        })
        .sum();
    (re.hypot(im), (rest / window.len() as f64).sqrt())
}

/// Share of windows of 100 ms that are the sine of `hz` at half of full scale, 40 dB above everything else.
fn purity(heard: &[f32], hz: f64) -> f64 {
    let windows = heard.chunks_exact(4800);
    let all = windows.len().max(1) as f64;
    let good = windows.filter(|window| {
        let (amplitude, rest) = fit(window, hz);
        (amplitude - 0.5).abs() < 0.01 && rest < 0.005
    });
    good.count() as f64 / all
}

fn pactl(arguments: &[&str]) -> String {
    let output = Command::new("pactl").args(arguments).output().expect("pactl is there");
    assert!(output.status.success(), "pactl {arguments:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn unplug(sink: &str) {
    let modules = pactl(&["list", "short", "modules"]);
    let module = modules.lines().find(|line| line.contains(&format!("sink_name={sink} ")));
    let id = module.expect("the sink is plugged in").split_whitespace().next().expect("an id");
    pactl(&["unload-module", id]);
}

fn plug(sink: &str) {
    let name = format!("sink_name={sink}");
    let mut arguments = vec!["load-module", "module-null-sink", &name, "norewinds=1"];
    arguments.extend(SINK.split(' '));
    pactl(&arguments);
}

/// What a loop that was lost for a moment may be asked three times.
fn best_of_three(mut attempt: impl FnMut() -> Result<(), String>) {
    let mut told = Vec::new();
    for _ in 0..3 {
        match attempt() {
            Ok(()) => return,
            Err(why) => told.push(why),
        }
    }
    panic!("three attempts failed: {told:#?}");
}

#[test]
fn devices_are_listed_with_ids_that_open_them() {
    let card = card();
    let devices = card.devices().unwrap();
    let names: Vec<_> = devices.iter().map(|device| device.id.as_str()).collect();
    for expected in ["alsa:default", "alsa:loop_out", "alsa:loop_in", "alsa:quiet_in"] {
        assert!(names.contains(&expected), "{expected} is not in {names:?}");
    }
    let default = card.default_device(Direction::Input).unwrap().expect("a default");
    let info = devices.iter().find(|device| device.id == default).expect("listed");
    assert!(info.is_default_input && info.default_input.is_some());
    assert_eq!(info.default_input.unwrap().sample_rate().hz(), 48_000);
    assert!(!card.is_present(&DeviceId::new("alsa:nothing"), Direction::Input));
    assert_eq!(devices, card.devices().unwrap(), "the same when asked again");
}

#[test]
fn a_sine_is_heard_as_it_is_played() {
    let (supervisor, mut live) = input("alsa:loop_in");
    let tone = Tone::play("alsa:loop_out", 1000.0);
    best_of_three(|| {
        listen(&mut live, Duration::from_millis(300));
        let heard = listen(&mut live, Duration::from_millis(2500));
        let share = purity(&heard, 1000.0);
        let enough = heard.len() > 96_000;
        println!(
            "{} samples, {:.0} % pure, {:?}",
            heard.len(),
            100.0 * share,
            supervisor.status().stats
        );
        if enough && share >= 0.9 {
            Ok(())
        } else {
            Err(format!("{} samples, {share}", heard.len()))
        }
    });
    drop(tone);
    // And where nothing is played nothing is heard.
    listen(&mut live, Duration::from_millis(500));
    let silence = listen(&mut live, Duration::from_millis(500));
    assert!(silence.len() > 10_000 && silence.iter().all(|x| *x == 0.0));
}

#[test]
fn another_rate_is_converted() {
    let rate = SampleRate::new(16_000).unwrap();
    let (_supervisor, mut live) = StreamSupervisor::input(
        card(),
        SupervisorConfig {
            sample_rate: Some(rate),
            channels: Channels::Mono,
            ..config("alsa:loop_in")
        },
    )
    .unwrap();
    let _tone = Tone::play("alsa:loop_out", 1000.0);
    assert_eq!(live.wait_format(Duration::from_secs(10)).unwrap().sample_rate(), rate);
    best_of_three(|| {
        let mut heard = Vec::new();
        let until = Instant::now() + Duration::from_secs(2);
        while Instant::now() < until {
            live.wait(Duration::from_millis(20));
            live.read(|block| heard.extend_from_slice(block.interleaved));
        }
        // In windows of 100 ms, with the frequency as it looks at 48 kHz.
        let windows: Vec<_> = heard.chunks_exact(1600).map(|window| fit(window, 3000.0)).collect();
        let good =
            windows.iter().filter(|(a, rest)| (a - 0.5).abs() < 0.01 && *rest < 0.005).count();
        if good * 10 >= windows.len() * 8 && windows.len() > 15 {
            Ok(())
        } else {
            Err(format!("{windows:?}"))
        }
    });
}

/// The card, but what is played to it is late by so many samples per channel.
#[derive(Debug)]
struct Late(Arc<CardBackend>, usize);

impl Backend for Late {
    fn name(&self) -> &'static str {
        "late"
    }

    fn devices(&self) -> Result<Vec<DeviceInfo>, DeviceError> {
        self.0.devices()
    }

    fn default_device(&self, direction: Direction) -> Result<Option<DeviceId>, DeviceError> {
        self.0.default_device(direction)
    }

    fn is_present(&self, device: &DeviceId, direction: Direction) -> bool {
        self.0.is_present(device, direction)
    }

    fn open_input(
        &self,
        device: &DeviceId,
        request: &StreamRequest,
        health: Arc<StreamHealth>,
        connect: ConnectInput,
    ) -> Result<Box<dyn OpenStream>, DeviceError> {
        self.0.open_input(device, request, health, connect)
    }

    fn open_output(
        &self,
        device: &DeviceId,
        request: &StreamRequest,
        health: Arc<StreamHealth>,
        connect: ConnectOutput,
    ) -> Result<Box<dyn OpenStream>, DeviceError> {
        let late = self.1;
        let connect = move |format: StreamFormat| {
            let line = vec![0.0; late * format.channels()];
            Ok(Box::new(LateFill { inner: connect(format)?, line, at: 0 }) as Box<dyn OutputFill>)
        };
        self.0.open_output(device, request, health, Box::new(connect))
    }
}

struct LateFill {
    inner: Box<dyn OutputFill>,
    line: Vec<f32>,
    at: usize,
}

impl OutputFill for LateFill {
    fn fill(&mut self, info: &CallbackInfo, interleaved: &mut [f32]) {
        self.inner.fill(info, interleaved);
        if self.line.is_empty() {
            return;
        }
        for x in interleaved {
            std::mem::swap(x, &mut self.line[self.at]);
            self.at = (self.at + 1) % self.line.len();
        }
    }
}

fn round_trip(late: usize, input: &str) -> LatencyReport {
    let mut config = LatencyConfig::new(DeviceId::new(input), DeviceId::new("alsa:loop_out"));
    config.request.block = Some(1024);
    config.longest = Duration::from_millis(150);
    measure_latency(&Late(card(), late), &config).expect("the card is there")
}

#[test]
fn a_known_delay_more_is_measured_to_a_tenth_of_a_millisecond() {
    best_of_three(|| {
        let (plain, late) = (round_trip(0, "alsa:loop_in"), round_trip(960, "alsa:loop_in"));
        let (LatencyVerdict::Found(short), LatencyVerdict::Found(long)) =
            (plain.verdict, late.verdict)
        else {
            return Err(format!("{plain:?}, {late:?}"));
        };
        let more = long.path - short.path;
        println!(
            "{short:?}; 20 ms late: {long:?}, {more:.4} ms more; xruns {} {}",
            plain.xruns, late.xruns
        );
        // The loop itself has no delay; each direction of the server holds one block.
        let known = 2.0 * short.blocks;
        println!("the path is {:.4} ms, two blocks are {known:.4} ms", short.path);
        if (short.path - known).abs() < 0.1 && (more - 20.0).abs() < 0.1 {
            Ok(())
        } else {
            Err(format!("{} ms, {known} ms known; {more} ms more", short.path))
        }
    });
}

#[test]
fn where_nothing_comes_back_there_is_no_latency() {
    let report = round_trip(0, "alsa:quiet_in");
    assert_eq!(report.verdict, LatencyVerdict::NoLoop, "{report:?}");
    assert_eq!(report.played, 10);
}

#[test]
fn a_card_that_is_pulled_out_is_heard_again_within_500_ms_of_its_return() {
    best_of_three(|| {
        let (supervisor, mut live) = input("alsa:loop_in");
        listen(&mut live, Duration::from_millis(500));
        // The server moves streams to a card that is left, so none may be.
        unplug("quiet");
        unplug("loop");
        let pulled = Instant::now();
        while !matches!(supervisor.status().state, StreamState::Lost | StreamState::Retrying) {
            assert!(
                pulled.elapsed() < Duration::from_secs(5),
                "not noticed: {:?}",
                supervisor.status()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        let noticed = pulled.elapsed();
        std::thread::sleep(Duration::from_millis(1500));
        live.read(|_| {});
        plug("quiet");
        plug("loop");
        let back = Instant::now();
        pactl(&["set-default-sink", "loop"]);
        pactl(&["set-default-source", "loop.monitor"]);
        let mut gap = None;
        let recovered = loop {
            live.wait(Duration::from_millis(5));
            if live.read(|block| gap = gap.or(block.gap)) > 0 {
                break back.elapsed();
            }
            assert!(back.elapsed() < Duration::from_secs(20), "{:?}", supervisor.status());
        };
        let gap = gap.expect("the absence is a gap");
        println!(
            "noticed after {noticed:?}, heard again {recovered:?} after its return, gap {gap:?}"
        );
        let stats = live.stats();
        assert_eq!(stats.next.0, stats.read + stats.missing);
        let away = pulled.elapsed().as_secs_f64();
        assert!(gap.seconds > 1.4 && gap.seconds < away + 0.1, "{gap:?} of {away} s");
        let events: Vec<_> = std::iter::from_fn(|| supervisor.event()).collect();
        assert!(events.iter().any(|event| matches!(event, StreamEvent::Lost { .. })), "{events:?}");
        if recovered <= Duration::from_millis(500) { Ok(()) } else { Err(format!("{recovered:?}")) }
    });
}

#[test]
fn a_new_default_device_is_heard_within_500_ms() {
    let _low = Tone::play("alsa:loop_out", 500.0);
    let _high = Tone::play("alsa:quiet_out", 2000.0);
    best_of_three(|| {
        pactl(&["set-default-source", "loop.monitor"]);
        let config = SupervisorConfig { policy: Policy::FollowDefault, ..config("") };
        let (supervisor, mut live) = StreamSupervisor::input(card(), config).unwrap();
        assert!(supervisor.wait_running(Duration::from_secs(10)), "{:?}", supervisor.status());
        let before = listen(&mut live, Duration::from_millis(700));
        let (low, _) = fit(&before[before.len() - 4800..], 500.0);
        assert!(low > 0.4, "the first default is heard: {low}");
        pactl(&["set-default-source", "quiet.monitor"]);
        let changed = Instant::now();
        let mut recent = Vec::new();
        let heard = loop {
            recent.extend(listen(&mut live, Duration::from_millis(10)));
            let window = &recent[recent.len().saturating_sub(960)..];
            if window.len() == 960 && fit(window, 2000.0).0 > 0.4 {
                break changed.elapsed();
            }
            if changed.elapsed() > Duration::from_secs(5) {
                return Err(format!("never heard: {:?}", supervisor.status()));
            }
        };
        println!("the new default is heard after {heard:?}");
        if heard <= Duration::from_millis(500) { Ok(()) } else { Err(format!("{heard:?}")) }
    });
    pactl(&["set-default-source", "loop.monitor"]);
}
