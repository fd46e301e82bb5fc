//! Records to a WAV file, with the analysis beside it as JSON lines: `OUT.wav` and `OUT.jsonl`.
//!
//! ```sh
//! cargo run --release --example record -- take.wav                                  # the built-in demo, as it is played
//! cargo run --release --features device --example record -- take.wav --device default
//! cargo run --release --features device --example record -- take.wav --device ID --seconds 60
//! cargo run --release --example record -- take.wav --file SONG.mp3 --fast           # as fast as it goes
//! ```
//!
//! Both files are whole up to the last half second whenever the program ends, even if it is killed. Where a device is lost
//! the recording waits for it; what is missing is silence in the file, so that times agree with the analysis.

#[path = "common/row.rs"]
mod row;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use row::Row;
use upbeat::core::SampleRate;
use upbeat::io::demo::DemoSource;
use upbeat::io::live::{
    Backend, LiveInput, Pace, Policy, SourceBackend, StreamState, StreamSupervisor,
    SupervisorConfig,
};
use upbeat::io::{StreamFormat, WavEncoding, WavSink};
use upbeat::{Analyzer, AnalyzerConfig};

type Failure = Box<dyn std::error::Error>;

#[derive(Parser)]
#[command(about = "Records to a WAV file, with the analysis beside it as JSON lines.")]
struct Options {
    /// The WAV file to write.
    out: PathBuf,
    /// The sound card to record: an id, or `default`.
    #[arg(long, value_name = "ID", conflicts_with = "file")]
    device: Option<String>,
    /// A sound file to record instead.
    #[arg(long)]
    file: Option<PathBuf>,
    /// Do not wait for a file or the demo to be played.
    #[arg(long)]
    fast: bool,
    /// Stop after so many seconds of sound.
    #[arg(long)]
    seconds: Option<f64>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), Failure> {
    let (backend, policy) = source(options)?;
    let config = SupervisorConfig { policy, ..SupervisorConfig::default() };
    let (supervisor, mut live) = StreamSupervisor::input(backend, config)?;
    let format = loop {
        if let Some(format) = live.wait_format(Duration::from_secs(2)) {
            break format;
        }
        let status = supervisor.status();
        match (status.state, status.last_error) {
            (_, Some(error)) if options.device.is_none() => return Err(error.into()),
            (_, Some(error)) => eprintln!("waiting for the device: {error}"),
            (state, None) => eprintln!("waiting for the device: {state:?}"),
        }
    };
    eprintln!("recording {format} to {}", options.out.display());
    let mut recording = Recording::create(&options.out, format)?;
    let most = options.seconds.map(|seconds| format.sample_rate().samples(seconds));
    let mut state = StreamState::Opening;
    while !live.has_ended() && most.is_none_or(|most| recording.sink.written() < most) {
        live.wait(Duration::from_millis(50));
        recording.take(&mut live, most)?;
        let now = supervisor.status().state;
        if std::mem::replace(&mut state, now) != now {
            eprintln!("{now:?}");
        }
    }
    let seconds = format.sample_rate().seconds(recording.sink.written());
    let frames = recording.finish()?;
    eprintln!("{seconds:.3} s and {frames} frames of analysis are written");
    Ok(())
}

fn source(options: &Options) -> Result<(Arc<dyn Backend>, Policy), Failure> {
    if let Some(device) = &options.device {
        return card(device);
    }
    let pace = if options.fast { Pace::Fast } else { Pace::RealTime };
    let backend = match &options.file {
        Some(path) => SourceBackend::file(path, pace),
        None => SourceBackend::new("demo:song", pace, || {
            Ok(Box::new(DemoSource::new(SampleRate::new(44_100)?)?))
        }),
    };
    Ok((Arc::new(backend), Policy::FollowDefault))
}

#[cfg(feature = "device")]
fn card(device: &str) -> Result<(Arc<dyn Backend>, Policy), Failure> {
    let policy = match device {
        "default" => Policy::FollowDefault,
        id => Policy::Pin(id.into()),
    };
    if upbeat::io::live::CardBackend::hosts().is_empty() {
        return Err("this computer has no sound system".into());
    }
    Ok((Arc::new(upbeat::io::live::CardBackend::new()), policy))
}

#[cfg(not(feature = "device"))]
fn card(_: &str) -> Result<(Arc<dyn Backend>, Policy), Failure> {
    Err("this was built without sound cards; add `--features device`".into())
}

/// Two files that grow together.
struct Recording {
    sink: WavSink,
    analyzer: Analyzer,
    lines: BufWriter<File>,
    frames: u64,
    silence: Vec<f32>,
    flushed: Instant,
}

impl Recording {
    fn create(out: &Path, format: StreamFormat) -> Result<Self, Failure> {
        let config = AnalyzerConfig::new(format.sample_rate().hz(), format.channels());
        let mut new = Self {
            sink: WavSink::create(out, format, WavEncoding::Float32)?,
            analyzer: Analyzer::new(&config)?,
            lines: BufWriter::new(File::create(out.with_extension("jsonl"))?),
            frames: 0,
            silence: vec![0.0; 4096 * format.channels()],
            flushed: Instant::now(),
        };
        new.flush()?;
        Ok(new)
    }

    /// Writes what is there, up to `most` samples per channel in all.
    fn take(&mut self, live: &mut LiveInput, most: Option<u64>) -> Result<(), Failure> {
        let mut done = Ok(());
        live.read(|block| {
            if done.is_ok() {
                done = self.write(block, most);
            }
        });
        done?;
        // By the clock and not by what was heard, so that a file whose device is lost is whole too.
        if self.flushed.elapsed() >= FLUSH {
            self.flush()?;
        }
        Ok(())
    }

    fn write(
        &mut self,
        block: upbeat::io::live::LiveBlock<'_>,
        most: Option<u64>,
    ) -> Result<(), Failure> {
        let channels = block.format.channels();
        if let Some(gap) = block.gap {
            eprintln!("{:.3} s are missing ({:?})", gap.seconds, gap.cause);
            let mut left = (gap.samples as usize).saturating_mul(channels);
            while left > 0 {
                let piece = left.min(self.silence.len());
                self.sink.write(&self.silence[..piece])?;
                left -= piece;
            }
        }
        let room = most.map_or(u64::MAX, |most| most.saturating_sub(self.sink.written()));
        let samples = ((block.interleaved.len() / channels) as u64).min(room) as usize;
        let interleaved = &block.interleaved[..samples * channels];
        self.sink.write(interleaved)?;
        let Self { analyzer, lines, frames, .. } = self;
        let mut done = Ok(());
        analyzer.process(block.at, interleaved, |frame| {
            if done.is_ok() {
                *frames += 1;
                done = serde_json::to_writer(&mut *lines, &Row(frame))
                    .map_err(Failure::from)
                    .and_then(|()| Ok(writeln!(lines)?));
            }
        })?;
        done
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.sink.flush()?;
        self.lines.flush()?;
        self.flushed = Instant::now();
        Ok(())
    }

    fn finish(mut self) -> Result<u64, Failure> {
        self.flush()?;
        self.sink.finish()?;
        Ok(self.frames)
    }
}

/// How much is lost at most where the program is killed.
const FLUSH: Duration = Duration::from_millis(500);
