//! Listens to a sound card, a file or the built-in demo, and shows what it hears while it hears it.
//!
//! ```sh
//! cargo run --release --example listen                                # the built-in demo, in real time
//! cargo run --release --example listen -- --file SONG.flac
//! cargo run --release --features device --example listen             # the default input
//! cargo run --release --features device --example listen -- --device "USB Audio"
//! cargo run --release --features device --example listen -- --system # what the computer plays
//! cargo run --release --example listen -- --jsonl | jq .             # one line per event, for pipes
//! cargo run --release --example listen -- --osc 127.0.0.1:9000       # beats to other programs, ahead of time
//! cargo run --release --features midi --example listen -- --midi Drums --nudge -20 # a MIDI clock, 20 ms earlier
//! ```
//!
//! Keys: `q` ends, space pauses, `1` to `4` choose a quality (LOW to MAXIMUM), `0` leaves it to the governor. If the
//! device is unplugged, it says so, keeps trying, and goes on when it comes back. Without a terminal there is a line
//! of text per second.

mod json;
#[path = "../common/sync.rs"]
mod sync;
mod view;

use std::error::Error;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::Parser;
use ratatui::crossterm::event::{self, Event as TerminalEvent, KeyCode, KeyEventKind};
use upbeat::core::SampleRate;
use upbeat::io::FileSource;
use upbeat::io::demo::DemoSource;
use upbeat::perf::QualityLevel;
use upbeat::pipeline::PipelineState;
use upbeat::{
    Event, Feature, FeatureFrame, FeatureSet, Input, Interests, Listener, Pipeline, PipelineConfig,
};
use view::View;

#[derive(Parser)]
#[command(about = "Listens to a sound card, a file or the built-in demo.")]
struct Options {
    /// Listen to this file, in real time.
    #[arg(long, value_name = "SONG")]
    file: Option<PathBuf>,
    /// Listen to this input: its id, or part of its name (with the feature `device`).
    #[arg(long, value_name = "NAME|ID")]
    device: Option<String>,
    /// Listen to what the computer plays, where the system allows it (with the feature `device`).
    #[arg(long)]
    system: bool,
    /// Listen to the built-in demo, although there may be a device.
    #[arg(long)]
    demo: bool,
    /// Print one line of JSON per event.
    #[arg(long)]
    jsonl: bool,
    /// End after so many seconds.
    #[arg(long)]
    seconds: Option<f64>,
    #[command(flatten)]
    sync: sync::SyncOptions,
}

/// What is computed: all that is shown.
const SHOWN: [Feature; 9] = [
    Feature::Rms,
    Feature::Peak,
    Feature::Loudness,
    Feature::LogMel,
    Feature::ChromaStft,
    Feature::OnsetStrength,
    Feature::Onset,
    Feature::Pitch,
    Feature::SpectralCentroid,
];

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let input = open(&options)?;
    let format = input.format();
    let mut config = PipelineConfig::new(&input);
    config.events.analyzer.features = FeatureSet::from(SHOWN);
    config.events.analyzer.n_mels = 64;
    let mut builder = Pipeline::builder(config);
    if let Some(out) = options.sync.open(format.sample_rate())? {
        builder = builder.listen("sync", out);
    }
    if options.jsonl {
        let pipeline = builder.listen("json", json::Lines::new(format)).start(input)?;
        return run_until_the_end(&pipeline, &options, |_| Ok(()));
    }
    let view = Arc::new(Mutex::new(View::new(format)));
    let pipeline = builder.listen("view", Shown(Arc::clone(&view))).start(input)?;
    if !std::io::stdout().is_terminal() {
        let mut last = Instant::now();
        return run_until_the_end(&pipeline, &options, |pipeline| {
            if last.elapsed() >= Duration::from_secs(1) {
                last = Instant::now();
                println!("{}", lock(&view).line(&pipeline.status()));
                std::io::stdout().flush()?;
            }
            Ok(())
        });
    }
    let mut terminal = ratatui::try_init()?;
    let shown = run_until_the_end(&pipeline, &options, |pipeline| {
        let status = pipeline.status();
        terminal.draw(|frame| lock(&view).draw(frame, &status))?;
        Ok(())
    });
    ratatui::restore();
    shown
}

/// Calls `show` every now and then, until the stream ends, the time is over, or somebody wants to leave.
fn run_until_the_end(
    pipeline: &Pipeline,
    options: &Options,
    mut show: impl FnMut(&Pipeline) -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let keys = std::io::stdout().is_terminal() && !options.jsonl;
    while !pipeline.is_finished() {
        show(pipeline)?;
        if options.seconds.is_some_and(|seconds| start.elapsed().as_secs_f64() >= seconds) {
            break;
        }
        if !keys {
            std::thread::sleep(Duration::from_millis(20));
        } else if event::poll(Duration::from_millis(40))?
            && let TerminalEvent::Key(key) = event::read()?
            && key.kind == KeyEventKind::Press
        {
            match key.code {
                KeyCode::Char('q') | KeyCode::Esc => break,
                KeyCode::Char(' ') if pipeline.status().state == PipelineState::Paused => {
                    pipeline.resume();
                }
                KeyCode::Char(' ') => pipeline.pause(),
                KeyCode::Char('0') => pipeline.set_quality(None),
                KeyCode::Char(digit @ '1'..='4') => {
                    pipeline.set_quality(Some(QualityLevel::ALL[digit as usize - '1' as usize]));
                }
                _ => {}
            }
        }
    }
    let status = pipeline.status();
    match status.error {
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}

/// Keeps the view up to date.
struct Shown(Arc<Mutex<View>>);

impl Listener for Shown {
    fn event(&mut self, event: &Event) {
        lock(&self.0).event(event);
    }

    fn frame(&mut self, frame: &FeatureFrame) {
        lock(&self.0).frame(frame);
    }

    fn interests(&self) -> Interests {
        Interests { blocks: false, ..Interests::ALL }
    }
}

fn lock(view: &Mutex<View>) -> std::sync::MutexGuard<'_, View> {
    view.lock().unwrap_or_else(PoisonError::into_inner)
}

fn open(options: &Options) -> Result<Input, Box<dyn Error>> {
    let wants_device = options.device.is_some() || options.system;
    let wants_song = options.file.is_some() || options.demo;
    if wants_device || (!wants_song && cfg!(feature = "device")) {
        return device(options);
    }
    match &options.file {
        Some(path) => {
            let file = FileSource::open(path);
            Ok(Input::real_time(file.map_err(|error| format!("{}: {error}", path.display()))?))
        }
        None => Ok(Input::real_time(DemoSource::new(SampleRate::new(44_100)?)?)),
    }
}

#[cfg(not(feature = "device"))]
fn device(_: &Options) -> Result<Input, Box<dyn Error>> {
    Err("sound cards need the feature: cargo run --release --features device --example listen"
        .into())
}

#[cfg(feature = "device")]
fn device(options: &Options) -> Result<Input, Box<dyn Error>> {
    use upbeat::io::live::{Backend, CardBackend, Policy, StreamSupervisor, SupervisorConfig};

    let backend = CardBackend::new();
    let mut config = SupervisorConfig::default();
    let wanted = options.device.as_deref();
    if wanted.is_some() || options.system {
        let mut inputs = backend.devices()?;
        inputs.retain(|device| !device.inputs.is_empty());
        let names = |words: &[&str], text: &str| {
            words.iter().any(|word| text.to_lowercase().contains(&word.to_lowercase()))
        };
        // What these systems call an input that hears the output.
        let system = ["monitor", "loopback", "stereo mix", "blackhole"];
        let words = wanted.map_or(system.to_vec(), |name| vec![name]);
        let found = inputs.iter().find(|device| wanted == Some(device.id.as_str())).or_else(|| {
            inputs.iter().find(|d| names(&words, &d.name) || names(&words, d.id.as_str()))
        });
        let found = found.ok_or_else(|| match wanted {
            Some(name) => format!("no input is called {name}; the example `devices` lists them"),
            None => "this system offers no input that hears what it plays; with PulseAudio, set PULSE_SOURCE to the monitor of the output".to_owned(),
        })?;
        config.policy = Policy::Pin(found.id.clone());
    }
    let (supervisor, live) = StreamSupervisor::input(Arc::new(backend), config)?;
    Ok(Input::live(supervisor, live, Duration::from_secs(10))?)
}
