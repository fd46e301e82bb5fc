//! Pipelines tell what an event analyzer tells, whatever listeners and sources do.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use upbeat::core::{SampleIndex, SampleRate};
use upbeat::io::{Block, IoError, MemorySource, Source, StreamFormat, SynthSource, demo};
use upbeat::pipeline::{
    ListenerState, PipelineState, PipelineStatus, Pipelines, Session, SessionWriter,
};
use upbeat::window::{QueueConfig, QueueWriter, sample_queue};
use upbeat::{
    Error, Event, EventAnalyzer, EventConfig, EventKind, FeatureFrame, Input, Interests, Listener,
    Pipeline, PipelineConfig,
};
use upbeat_testkit::signal::Random;

const RATE: u32 = 22_050;

/// What a listener was told, as text: equal text is equal bits, as floats are written so that they can be
/// read back; of frames, a hash of all bits.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<String>>>);

impl Told {
    fn add(&self, text: String) {
        self.0.lock().expect("no listener panics here").push(text);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().expect("no listener panics here"))
    }
}

impl Listener for Told {
    fn event(&mut self, event: &Event) {
        self.add(format!("{event:?}"));
    }

    fn frame(&mut self, frame: &FeatureFrame) {
        let mut hasher = DefaultHasher::new();
        frame.as_slice().iter().for_each(|value| value.to_bits().hash(&mut hasher));
        self.add(format!("frame {} {} {:x}", frame.at().0, frame.lost(), hasher.finish()));
    }

    fn end(&mut self) {
        self.add("end".to_owned());
    }

    fn interests(&self) -> Interests {
        Interests { blocks: false, ..Interests::ALL }
    }
}

fn song() -> MemorySource {
    let rate = SampleRate::new(RATE).expect("a usual rate");
    let song = demo::song(rate).expect("a usual rate");
    MemorySource::new(song.interleaved, StreamFormat::stereo(rate)).expect("stereo")
}

fn samples() -> Vec<f32> {
    let rate = SampleRate::new(RATE).expect("a usual rate");
    demo::song(rate).expect("a usual rate").interleaved
}

/// What an event analyzer tells of `blocks`.
fn analysed<'a>(blocks: impl IntoIterator<Item = (u64, &'a [f32])>) -> Vec<String> {
    let mut analyzer = EventAnalyzer::new(&EventConfig::new(RATE, 2)).expect("usual settings");
    let mut told = Told::default();
    for (at, block) in blocks {
        analyzer.process(SampleIndex(at), block, &mut told).expect("whole samples");
    }
    analyzer.finish(&mut told);
    told.end();
    told.take()
}

fn queue(capacity: usize) -> (QueueWriter, Input) {
    let (writer, reader) = sample_queue(&QueueConfig::new(2, capacity)).expect("usual settings");
    let rate = SampleRate::new(RATE).expect("a usual rate");
    (writer, Input::queue(reader, StreamFormat::stereo(rate)))
}

/// Settings with which no load of this machine interferes.
fn settings(input: &Input) -> PipelineConfig {
    let mut config = PipelineConfig::new(input);
    config.governor = None;
    config
}

fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < deadline, "{what} did not happen within a minute");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A listener that lets nothing pass until it is let go.
fn stubborn() -> (Sender<()>, impl Listener + Send + 'static) {
    let (go, wait): (_, Receiver<()>) = channel();
    let listener = move |_: &Event| {
        // An error means that nobody holds it any more.
        let _ = wait.recv();
    };
    (go, listener)
}

#[test]
fn events_are_the_same_however_the_stream_is_cut() {
    let samples = &samples()[..2 * 150_000];
    // The second part comes 7000 samples late, the third a little earlier than where that ended.
    let (one, rest) = samples.split_at(2 * 60_001);
    let (two, three) = rest.split_at(2 * 50_000);
    let parts = [(0_u64, one), (67_001, two), (117_000, three)];
    let whole = analysed(parts);
    let gaps = whole.iter().filter(|told| told.contains("Gap")).count();
    assert_eq!(gaps, 2);
    for kind in ["Onset", "Pitch", "Energy", "Chord"] {
        assert!(whole.iter().any(|told| told.contains(kind)), "no {kind}");
    }

    let mut random = Random::new(7);
    for most in [3, 700, 5000] {
        let mut blocks = Vec::new();
        for (at, part) in parts {
            let (mut at, mut part) = (at, part);
            while !part.is_empty() {
                let length = (1 + random.below(most)).min(part.len() / 2);
                let (block, after) = part.split_at(2 * length);
                blocks.push((at, block));
                (at, part) = (at + length as u64, after);
            }
        }
        let cut = analysed(blocks);
        for (a, b) in whole.iter().zip(&cut) {
            assert_eq!(a, b, "blocks of at most {most}");
        }
        assert_eq!(whole.len(), cut.len());
    }
}

#[test]
fn every_listener_is_told_what_the_analyzer_says() {
    let (first, second) = (Told::default(), Told::default());
    let input = Input::at_full_speed(song());
    let mut pipeline = Pipeline::builder(settings(&input))
        .listen("first", first.clone())
        .listen("second", second.clone())
        .start(input)
        .unwrap();
    let status = pipeline.wait();
    assert_eq!(status.state, PipelineState::Ended);
    assert_eq!((status.samples, status.heard), (16 * 22_050, SampleIndex(16 * 22_050)));
    assert_eq!((status.gaps, status.lost, status.waiting), (0, 0, 0));
    let expected = analysed([(0, &samples()[..])]);
    for (told, status) in [first, second].iter().zip(&status.listeners) {
        assert_eq!(told.take(), expected);
        assert_eq!(status.delivered as usize, expected.len() - 1); // the end is no message
        assert_eq!((status.dropped, &status.state), (0, &ListenerState::Done));
    }
}

#[test]
fn a_slow_listener_misses_events_and_nobody_else_notices() {
    let (mut writer, input) = queue(1 << 20);
    let mut config = settings(&input);
    config.listener_seconds = 0.1;
    config.stop_seconds = 60.0;
    let told = Told::default();
    let (go, slow) = stubborn();
    let pipeline = Pipeline::builder(config)
        .listen("slow", slow)
        .listen("told", told.clone())
        .start(input)
        .unwrap();
    // Slowly enough for the quick one.
    for block in samples().chunks(2 * 512) {
        writer.write(block);
        wait_for("analysis", || writer.room() == 1 << 20);
    }
    drop(go);
    let PipelineStatus { listeners, .. } = pipeline.stop();
    assert!(listeners.iter().all(|listener| listener.state == ListenerState::Done));
    let events = analysed([(0, &samples()[..])]).iter().filter(|x| x.contains("Event")).count();
    assert_eq!((listeners[0].delivered + listeners[0].dropped) as usize, events);
    assert!(listeners[0].dropped > 50, "{listeners:?}");
    assert_eq!(listeners[1].dropped, 0);
    assert!(told.take().iter().filter(|x| x.contains("Event")).count() == events);
}

#[test]
fn a_listener_that_panics_is_left_alone_and_nobody_else_notices() {
    let told = Told::default();
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let input = Input::at_full_speed(song());
    let mut pipeline = Pipeline::builder(settings(&input))
        .listen("bad", move |_: &Event| {
            count.fetch_add(1, Ordering::Relaxed);
            panic!("no {} today", "events");
        })
        .listen("told", told.clone())
        .start(input)
        .unwrap();
    let status = pipeline.wait();
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    assert_eq!(status.listeners[0].state, ListenerState::Panicked("no events today".to_owned()));
    assert_eq!(told.take(), analysed([(0, &samples()[..])]));
}

#[test]
fn what_comes_during_a_pause_is_a_gap() {
    let (mut writer, input) = queue(1 << 16);
    let told = Told::default();
    let pipeline =
        Pipeline::builder(settings(&input)).listen("told", told.clone()).start(input).unwrap();
    let samples = samples();
    writer.write(&samples[..2 * 10_000]);
    wait_for("analysis", || pipeline.status().heard.0 == 10_000 - 10_000 % 512);
    pipeline.pause();
    assert_eq!(pipeline.status().state, PipelineState::Paused);
    // It may be in the middle of a block; after it, nothing is heard.
    std::thread::sleep(Duration::from_millis(30));
    writer.write(&samples[2 * 10_000..2 * 13_000]);
    wait_for("skipping", || writer.room() == 1 << 16);
    pipeline.resume();
    writer.write(&samples[2 * 13_000..2 * 20_000]);
    drop(writer);
    wait_for("the end", || pipeline.is_finished());
    assert_eq!((pipeline.status().gaps, pipeline.status().lost), (1, 3000));
    let parts = [(0, &samples[..2 * 10_000]), (13_000, &samples[2 * 13_000..2 * 20_000])];
    assert_eq!(told.take(), analysed(parts));
}

#[test]
fn a_file_waits_during_a_pause() {
    let told = Told::default();
    let input = Input::at_full_speed(song());
    let mut pipeline =
        Pipeline::builder(settings(&input)).listen("told", told.clone()).start(input).unwrap();
    for _ in 0..5 {
        pipeline.pause();
        std::thread::sleep(Duration::from_millis(10));
        pipeline.resume();
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(pipeline.wait().gaps, 0);
    assert_eq!(told.take(), analysed([(0, &samples()[..])]));
}

#[test]
fn real_time_takes_as_long_as_the_sound() {
    let rate = SampleRate::new(RATE).unwrap();
    let input = Input::real_time(SynthSource::mono(rate, Some(RATE.into()), |_| 0.0));
    let start = Instant::now();
    let mut pipeline = Pipeline::builder(settings(&input)).start(input).unwrap();
    assert_eq!(pipeline.wait().samples, u64::from(RATE));
    // The last block is told when it begins.
    assert!(start.elapsed() > Duration::from_millis(950), "{:?}", start.elapsed());
}

#[test]
fn stopping_analyses_and_tells_all_that_has_come() {
    let (mut writer, input) = queue(1 << 20);
    let told = Told::default();
    let pipeline =
        Pipeline::builder(settings(&input)).listen("told", told.clone()).start(input).unwrap();
    pipeline.pause();
    std::thread::sleep(Duration::from_millis(30));
    pipeline.resume();
    let samples = samples();
    writer.write(&samples[..2 * 100_000]);
    let status = pipeline.stop();
    assert_eq!((status.samples, status.state), (100_000, PipelineState::Ended));
    assert_eq!(told.take(), analysed([(0, &samples[..2 * 100_000])]));
    assert!(writer.is_abandoned());
}

/// A source that never comes back from reading.
struct Stuck(Mutex<Receiver<()>>, Sender<()>);

impl Source for Stuck {
    fn format(&self) -> StreamFormat {
        StreamFormat::mono(SampleRate::new(RATE).expect("a usual rate"))
    }

    fn length(&self) -> Option<u64> {
        None
    }

    fn read<'b>(&mut self, _: &'b mut [f32]) -> Result<Option<Block<'b>>, IoError> {
        self.1.send(()).expect("the test waits");
        let _ = self.0.lock().expect("one thread").recv();
        Ok(None)
    }
}

#[test]
fn stopping_never_hangs() {
    let (release, wait) = channel();
    let (entered, reading) = channel();
    let input = Input::at_full_speed(Stuck(Mutex::new(wait), entered));
    let mut config = settings(&input);
    config.stop_seconds = 0.05;
    let pipeline = Pipeline::builder(config).start(input).unwrap();
    reading.recv().unwrap();
    let status = pipeline.stop();
    assert_eq!(status.state, PipelineState::Running);
    drop(release);

    let (go, stubborn) = stubborn();
    let input = Input::at_full_speed(song());
    let mut config = settings(&input);
    config.stop_seconds = 0.05;
    let pipeline = Pipeline::builder(config).listen("stubborn", stubborn).start(input).unwrap();
    wait_for("an event", || pipeline.status().heard.0 > 10_000);
    let status = pipeline.stop();
    assert_eq!(status.listeners[0].state, ListenerState::Listening);
    drop(go);
}

/// A source that breaks after a while.
struct Broken(MemorySource, usize);

impl Source for Broken {
    fn format(&self) -> StreamFormat {
        self.0.format()
    }

    fn length(&self) -> Option<u64> {
        self.0.length()
    }

    fn read<'b>(&mut self, buffer: &'b mut [f32]) -> Result<Option<Block<'b>>, IoError> {
        self.1 = self.1.checked_sub(1).ok_or(IoError::NotFound)?;
        self.0.read(buffer)
    }
}

#[test]
fn a_source_that_fails_ends_the_stream_and_says_why() {
    let told = Told::default();
    let input = Input::at_full_speed(Broken(song(), 100));
    let mut pipeline =
        Pipeline::builder(settings(&input)).listen("told", told.clone()).start(input).unwrap();
    let status = pipeline.wait();
    assert_eq!(status.state, PipelineState::Failed);
    assert_eq!(status.error.as_deref(), Some("no such file"));
    assert_eq!(told.take(), analysed([(0, &samples()[..2 * 51_200])]));
}

#[test]
fn a_session_replays_to_the_same_events() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.session");
    let samples = samples();
    let parts = [(0_u64, &samples[..2 * 50_000]), (51_234, &samples[2 * 50_000..2 * 90_000])];

    let (mut writer, input) = queue(1 << 20);
    let recorder = SessionWriter::create(&path, input.format()).unwrap();
    let config = settings(&input);
    let events = config.events.clone();
    let told = Told::default();
    let mut pipeline = Pipeline::builder(config)
        .listen("recorder", recorder)
        .listen("told", told.clone())
        .start(input)
        .unwrap();
    writer.write(parts[0].1);
    writer.skip(1234);
    writer.write(parts[1].1);
    drop(writer);
    pipeline.wait();
    let live = told.take();
    assert_eq!(live, analysed(parts));

    let mut replayed = Told::default();
    let mut analyzer = EventAnalyzer::new(&events).unwrap();
    Session::open(&path).unwrap().replay(&mut analyzer, &mut replayed).unwrap();
    replayed.end();
    assert_eq!(replayed.take(), live);

    // A recording that broke off is one of all blocks but the last.
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();
    analyzer.reset();
    Session::open(&path).unwrap().replay(&mut analyzer, &mut replayed).unwrap();
    let heard = analyzer.stats().samples;
    assert!(heard < 90_000 && heard > 80_000, "{heard}");
}

#[test]
fn what_is_no_session_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.session");
    let format = StreamFormat::stereo(SampleRate::new(RATE).unwrap());
    SessionWriter::create(&path, format).unwrap();
    let good = std::fs::read(&path).unwrap();
    assert!(Session::open(&path).unwrap().read().unwrap().is_none());

    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    let cases = [
        (Vec::new(), "it is too short"),
        (good[..10].to_vec(), "it is too short"),
        (with(0, b'U'), "it does not begin as one"),
        (with(8, 9), "its version is 9, not 1"),
    ];
    for (bytes, reason) in cases {
        std::fs::write(&path, bytes).unwrap();
        let error = Session::open(&path).unwrap_err();
        assert!(matches!(&error, Error::Session { reason: r } if r == reason), "{error}");
    }
    // Three values are no whole samples of two channels.
    let block = [&good[..], &[0; 8], &[3, 0, 0, 0], &[0; 12]].concat();
    std::fs::write(&path, block).unwrap();
    assert!(matches!(Session::open(&path).unwrap().read(), Err(Error::Session { .. })));

    std::fs::write(&path, &good).unwrap();
    let mut mono = EventAnalyzer::new(&EventConfig::new(RATE, 1)).unwrap();
    let error = Session::open(&path).unwrap().replay(&mut mono, &mut |_: &Event| {});
    assert!(matches!(error, Err(Error::Session { .. })));
    assert!(matches!(Session::open(folder.path().join("none")), Err(Error::System(_))));
}

#[test]
fn many_pipelines_run_side_by_side() {
    let pipelines = Pipelines::new();
    let ids: Vec<_> = (0..6)
        .map(|_| {
            let input = Input::at_full_speed(song());
            let config = settings(&input);
            pipelines.add(Pipeline::builder(config).start(input).expect("threads"))
        })
        .collect();
    let last = ids[5];
    assert!(pipelines.with(last, Pipeline::pause).is_some());
    let mut finished = Vec::new();
    wait_for("five ends", || {
        finished.extend(pipelines.remove_finished());
        finished.iter().filter(|(id, _)| *id != last).count() == 5
    });
    finished.sort_by_key(|(id, _)| *id);
    assert_eq!(finished.iter().map(|(id, _)| *id).collect::<Vec<_>>()[..5], ids[..5]);
    assert!(finished[..5].iter().all(|(_, status)| status.samples == 16 * 22_050));
    assert!(finished[..5].iter().all(|(_, status)| status.state == PipelineState::Ended));
    if let Some(pipeline) = pipelines.remove(last) {
        pipeline.resume();
        pipeline.stop();
    }
    assert!(pipelines.statuses().is_empty() && pipelines.remove(last).is_none());
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let start = |change: fn(&mut PipelineConfig)| {
        let input = Input::at_full_speed(song());
        let mut config = settings(&input);
        change(&mut config);
        Pipeline::builder(config).start(input).map(drop).expect_err("refused").to_string()
    };
    assert!(start(|c| c.listener_seconds = f64::NAN).contains("listener_seconds"));
    assert!(start(|c| c.stop_seconds = -1.0).contains("stop_seconds"));
    assert!(start(|c| c.events.analyzer.sample_rate = 44_100).contains("sample_rate"));
    assert!(start(|c| c.events.analyzer.channels = 1).contains("channels"));
    assert!(start(|c| c.events.analyzer.hop_length = 0).contains("hop_length"));
}

/// Events carry when they were told: beats before they happen, all else after it was heard.
#[test]
fn events_say_how_far_the_stream_had_been_heard() {
    let mut analyzer = EventAnalyzer::new(&EventConfig::new(RATE, 2)).unwrap();
    let (mut last, mut late, mut beats) = (SampleIndex(0), 0, 0);
    let mut listener = |event: &Event| {
        let is_beat = matches!(event.kind, EventKind::Beat { .. });
        beats += i32::from(is_beat);
        assert!(event.heard >= last, "{event:?} after {last}");
        assert_eq!(event.at > event.heard, is_beat, "{event:?}");
        last = event.heard;
        if matches!(event.kind, EventKind::Chord { .. }) {
            late = late.max(event.heard - event.at);
        }
    };
    analyzer.push(&samples(), &mut listener).unwrap();
    let seconds = f64::from(late as u32) / f64::from(RATE);
    assert!(seconds > 0.9 && seconds < 1.1, "chords are told after {seconds} s");
    assert!(beats > 15, "{beats} of 32 beats");
}
