//! Pipelines on devices that come and go, and on machines that cannot keep up.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use upbeat::core::SampleRate;
use upbeat::io::live::{
    DeviceId, MockBackend, MockDevice, StreamEvent, StreamSupervisor, SupervisorConfig,
};
use upbeat::io::{MemorySource, StreamFormat, demo};
use upbeat::perf::alloc::NoAlloc;
use upbeat::perf::{
    GovernorConfig, GovernorEvent, QualityLevel, QualitySettings, Reason, Resource, Thresholds,
};
use upbeat::pipeline::{PipelineState, Session, SessionWriter};
use upbeat::window::{QueueConfig, sample_queue};
use upbeat::{
    Error, Event, EventAnalyzer, EventConfig, EventKind, Feature, FeatureFrame, FeatureSet, Input,
    Interests, Listener, Pipeline, PipelineConfig,
};

#[global_allocator]
static ALLOCATOR: NoAlloc = NoAlloc::system();

const RATE: u32 = 22_050;

fn stereo() -> StreamFormat {
    StreamFormat::stereo(SampleRate::new(RATE).expect("a usual rate"))
}

fn song() -> Vec<f32> {
    demo::song(stereo().sample_rate()).expect("a usual rate").interleaved
}

/// Keeps all events, and how many frames came between.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<Event>>>, Arc<Mutex<Vec<Vec<f32>>>>);

impl Kept {
    fn find<T>(&self, find: impl Fn(&Event) -> Option<T>) -> Option<T> {
        self.0.lock().expect("no listener panics here").iter().find_map(find)
    }

    fn wait_for<T>(&self, what: &str, find: impl Fn(&Event) -> Option<T>) -> T {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(found) = self.find(&find) {
                return found;
            }
            assert!(Instant::now() < deadline, "{what} did not come within a minute");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Listener for Kept {
    fn event(&mut self, event: &Event) {
        self.0.lock().expect("no test panics with it").push(event.clone());
    }

    fn frame(&mut self, frame: &FeatureFrame) {
        self.1.lock().expect("no test panics with it").push(frame.as_slice().to_vec());
    }

    fn interests(&self) -> Interests {
        Interests { blocks: false, ..Interests::ALL }
    }
}

/// Lets a mock's time pass as real time does, until dropped.
struct Driver(Arc<AtomicBool>, Option<JoinHandle<()>>);

impl Driver {
    fn new(mock: &MockBackend) -> Self {
        let (stop, mock) = (Arc::new(AtomicBool::new(false)), mock.clone());
        let told = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut last = Instant::now();
            while !told.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(2));
                let now = Instant::now();
                mock.advance(now - last);
                last = now;
            }
        });
        Self(stop, Some(thread))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        if let Some(thread) = self.1.take() {
            let _ = thread.join();
        }
    }
}

#[test]
fn a_device_that_is_unplugged_comes_back_and_the_gap_is_told() {
    let mock = MockBackend::new();
    let mic = || {
        let song = song();
        MockDevice::input("mic", stereo())
            .signal(move |n, channel| song[2 * (n as usize % (song.len() / 2)) + channel])
    };
    mock.plug(mic());
    let _driver = Driver::new(&mock);
    let config = SupervisorConfig::default();
    let (supervisor, live) = StreamSupervisor::input(Arc::new(mock.clone()), config).unwrap();
    let input = Input::live(supervisor, live, Duration::from_secs(20)).unwrap();
    assert_eq!(input.format(), stereo());
    let kept = Kept::default();
    let pipeline = Pipeline::builder(PipelineConfig::new(&input))
        .listen("kept", kept.clone())
        .start(input)
        .unwrap();
    kept.wait_for("an energy", |event| {
        matches!(event.kind, EventKind::Energy(energy) if energy.loudness.is_some()).then_some(())
    });

    mock.unplug(&DeviceId::new("mic"));
    kept.wait_for("the loss", |event| {
        matches!(&event.kind, EventKind::Stream(StreamEvent::Lost { device, .. }) if device.as_str() == "mic").then_some(())
    });
    mock.plug(mic());
    kept.wait_for("the return", |event| {
        matches!(&event.kind, EventKind::Stream(StreamEvent::Opened { after: Some(_), .. }))
            .then_some(())
    });
    let (at, lost) = kept.wait_for("the gap", |event| match event.kind {
        EventKind::Gap { lost } => Some((event.at, lost)),
        _ => None,
    });
    assert!(lost > 0);
    // Analysis goes on behind the gap.
    kept.wait_for("an energy after the gap", |event| {
        (matches!(event.kind, EventKind::Energy(_)) && event.at.0 > at.0 + lost).then_some(())
    });
    let status = pipeline.stop();
    assert_eq!(status.state, PipelineState::Ended);
    assert_eq!((status.gaps, status.lost), (1, lost));
    let stream = status.stream.unwrap();
    assert_eq!((stream.opened, stream.losses), (2, 1));
}

#[test]
fn without_a_device_the_reason_is_told() {
    let config = SupervisorConfig::default();
    let backend = Arc::new(MockBackend::new());
    let (supervisor, live) = StreamSupervisor::input(backend, config).unwrap();
    let error = Input::live(supervisor, live, Duration::from_millis(50)).unwrap_err();
    assert!(matches!(error, Error::NoDevice { .. }), "{error}");
}

#[test]
fn quality_by_hand_leaves_out_what_is_advanced_and_replays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.session");
    let (mut writer, reader) = sample_queue(&QueueConfig::new(2, 1 << 20)).unwrap();
    let input = Input::queue(reader, stereo());
    let mut config = PipelineConfig::new(&input);
    config.events.analyzer.features = [Feature::Rms, Feature::Cqt, Feature::Onset].into();
    let events = config.events.clone();
    // No load of this machine is to interfere.
    config.governor = Some(lenient());
    let (kept, song) = (Kept::default(), song());
    let pipeline = Pipeline::builder(config)
        .listen("recorder", SessionWriter::create(&path, input.format()).unwrap())
        .listen("kept", kept.clone())
        .start(input)
        .unwrap();
    writer.write(&song[..2 * 40_000]);
    kept.wait_for("the first chord", |event| {
        matches!(event.kind, EventKind::Chord { .. }).then_some(())
    });
    pipeline.set_quality(Some(QualityLevel::Low));
    kept.wait_for("the level", |event| match event.kind {
        EventKind::Governor(GovernorEvent::LevelChanged { to, reason, .. }) => {
            assert_eq!((to, reason), (QualityLevel::Low, Reason::ByHand));
            Some(())
        }
        _ => None,
    });
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut rest = song[2 * 40_000..].chunks(2 * 2000);
    let changed = loop {
        assert!(Instant::now() < deadline, "the quality did not change");
        writer.write(rest.next().expect("it changes before the song ends"));
        std::thread::sleep(Duration::from_millis(20));
        let quality = |event: &Event| {
            matches!(event.kind, EventKind::Quality(s) if s.level == QualityLevel::Low)
                .then_some(event.at)
        };
        if let Some(at) = kept.find(quality) {
            break at;
        }
    };
    writer.write(&song[..2 * 20_000]);
    let status = pipeline.stop();
    assert_eq!(status.performance.level, QualityLevel::Low);
    assert!(status.listeners.iter().all(|listener| listener.dropped == 0));

    let live = kept.0.lock().unwrap().clone();
    let chord_after =
        |event: &Event| matches!(event.kind, EventKind::Chord { .. }) && event.heard.0 > changed.0;
    assert!(!live.iter().any(chord_after), "chords are advanced");
    let mut analyzer = EventAnalyzer::new(&events).unwrap();
    let columns = |feature| analyzer.analyzer().layout().columns(feature);
    let (rms, cqt) = (columns(Feature::Rms), columns(Feature::Cqt));
    let frames = kept.1.lock().unwrap().clone();
    assert!(frames.iter().any(|frame| frame[cqt.clone()].iter().all(|x| !x.is_nan())));
    let last = &frames[frames.len() - 1];
    assert!(last[cqt].iter().all(|x| x.is_nan()) && !last[rms][0].is_nan());

    let mut replayed = Kept::default();
    Session::open(&path).unwrap().replay(&mut analyzer, &mut replayed).unwrap();
    let told_by_analysis = |event: &&Event| !matches!(event.kind, EventKind::Governor(_));
    let live: Vec<_> = live.iter().filter(told_by_analysis).collect();
    let again = replayed.0.lock().unwrap().clone();
    assert_eq!(live, again.iter().collect::<Vec<_>>());
    let bits =
        |frames: &[Vec<f32>]| frames.concat().iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    assert!(bits(&frames) == bits(&replayed.1.lock().unwrap()), "frames differ");
}

/// Never satisfied by any load.
fn lenient() -> GovernorConfig {
    let mut config = GovernorConfig::default();
    let never = Thresholds::new(1e9, 2e9, 3e9);
    config.misses = u32::MAX;
    (config.load, config.cpu, config.latency) = (never, never, never);
    config.memory = Thresholds::new(1e15, 2e15, 3e15);
    config
}

#[test]
fn a_load_that_is_too_high_lowers_the_quality_step_by_step() {
    let (mut writer, reader) = sample_queue(&QueueConfig::new(2, 1 << 20)).unwrap();
    let input = Input::queue(reader, stereo());
    let mut config = PipelineConfig::new(&input);
    let mut governor = lenient();
    // Any load at all is too much.
    governor.load = Thresholds::new(1e-12, 2e-12, 3e-12);
    (governor.dwell, governor.patience) = (0.1, 0.0);
    (config.governor, config.events.analyzer.features) = (Some(governor), FeatureSet::ALL);
    let kept = Kept::default();
    let pipeline = Pipeline::builder(config).listen("kept", kept.clone()).start(input).unwrap();
    let song = song();
    let mut blocks = song.chunks(2 * 512).cycle();
    let deadline = Instant::now() + Duration::from_secs(60);
    while pipeline.status().performance.level > QualityLevel::Low {
        assert!(Instant::now() < deadline, "{:?}", pipeline.status());
        writer.write(blocks.next().expect("endless"));
        std::thread::sleep(Duration::from_millis(5));
    }
    let Reason::Overload(cause) = pipeline.status().performance.reason else {
        panic!("{:?}", pipeline.status().performance)
    };
    assert_eq!(cause.resource, Resource::Load);
    let load = pipeline.stop().performance.load;
    assert!(load.blocks > 0 && load.load.is_some_and(|load| load.p50 > 0.0));
}

#[test]
fn the_analysis_thread_can_be_watched_for_allocations() {
    // In real time, so that a listener which this machine starves is not waited for.
    let source = MemorySource::new(song()[..2 * 2 * 22_050].to_vec(), stereo()).unwrap();
    let input = Input::real_time(source);
    let mut config = PipelineConfig::new(&input);
    config.watch_allocations = true;
    config.events.analyzer.features = FeatureSet::ALL;
    let mut pipeline =
        Pipeline::builder(config).listen("events", |_: &Event| {}).start(input).unwrap();
    let status = pipeline.wait();
    assert_eq!((status.allocations, status.samples), (Some(0), 2 * 22_050));
}

#[test]
fn at_low_quality_frames_are_shorter_and_events_the_same_in_any_split() {
    let config = EventConfig::new(RATE, 2);
    let song = song();
    let run = |sizes: &[usize]| {
        let mut analyzer = EventAnalyzer::new(&config).unwrap();
        let mut kept = Kept::default();
        let mut sizes = sizes.iter().cycle();
        // The quality changes between frames, wherever blocks end.
        for (quality, part) in [
            (QualityLevel::Maximum, 0..40_000),
            (QualityLevel::Low, 40_000..90_000),
            (QualityLevel::Maximum, 90_000..130_000),
        ] {
            let mut settings = QualitySettings::recommended(quality);
            settings.level = quality;
            analyzer.set_quality(&settings, &mut kept);
            let mut rest = &song[2 * part.start..2 * part.end];
            while !rest.is_empty() {
                let (block, after) = rest.split_at((2 * sizes.next().unwrap()).min(rest.len()));
                analyzer.push(block, &mut kept).unwrap();
                rest = after;
            }
        }
        let stats = analyzer.stats();
        let frames = kept.1.lock().unwrap().iter().map(|f| f[0].to_bits()).collect::<Vec<_>>();
        let events = kept.0.lock().unwrap().clone();
        (stats, frames, events)
    };
    let (stats, frames, events) = run(&[700]);
    assert_eq!((run(&[1, 333, 4096]).0, run(&[1, 333, 4096]).1), (stats, frames.clone()));
    assert!(run(&[2048]).2 == events);
    // Each change starts anew: a full frame (2048) or half of one, then one frame per hop of 512.
    let first = (40_000 - 2048) / 512 + 1;
    let border = 2048 + (first - 1) * 512;
    let second = (90_000 - border - 1024) / 512 + 1;
    assert!(frames.len() > first + second, "{} frames", frames.len());
    // What comes after the last whole frame still waits.
    assert_eq!((stats.samples, stats.gaps), (2048 + (130_000 - 2048) / 512 * 512, 0));
}
