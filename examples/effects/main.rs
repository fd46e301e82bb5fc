//! Effects from input to output in real time, driven by what is heard.
//!
//! ```sh
//! cargo run --release --features device --example effects -- --compressor --agc
//! cargo run --release --example effects -- --file SONG.wav --out changed.wav --delay 0.3 --shaper 6
//! ```
//!
//! With the feature `device`, from the default input to the default output, until `q`; up and down turn the gain,
//! without clicks. Mind the feedback: use headphones. With `--out`, a file or the built-in demo goes through
//! the same effects into a WAV file, which is also how the effects are tested.

mod chain;
#[cfg(feature = "device")]
#[path = "../common/keys.rs"]
mod keys;

use std::error::Error;
use std::path::PathBuf;

use chain::{Chain, Settings};
use clap::Parser;
use upbeat::core::SampleRate;
use upbeat::io::demo::DemoSource;
use upbeat::io::{FileSource, Source, WavEncoding, WavSink};

#[derive(Parser)]
#[command(
    about = "Effects in real time: gain, delay, transient shaper, compressor, automatic gain."
)]
struct Options {
    /// Gain in dB, from -60 to 24.
    #[arg(long, default_value_t = 0.0, allow_negative_numbers = true)]
    gain: f32,
    /// Add an echo after so many seconds, up to 2.
    #[arg(long, value_name = "SECONDS")]
    delay: Option<f32>,
    /// Make attacks louder (or softer) by so many dB, from -12 to 12.
    #[arg(long, value_name = "DB", allow_negative_numbers = true)]
    shaper: Option<f32>,
    /// Compress what is louder than -24 dB by 4 to 1.
    #[arg(long)]
    compressor: bool,
    /// Bring the level to -20 dB, slowly.
    #[arg(long)]
    agc: bool,
    /// Read this file instead of an input.
    #[arg(long, value_name = "SONG")]
    file: Option<PathBuf>,
    /// Write the result into this WAV file instead of playing it.
    #[arg(long, value_name = "WAV")]
    out: Option<PathBuf>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let settings = Settings {
        gain: options.gain.clamp(-60.0, 24.0),
        delay: options.delay.map(|seconds| seconds.clamp(0.0, chain::MAX_DELAY)),
        shaper: options.shaper.map(|db| db.clamp(-12.0, 12.0)),
        compressor: options.compressor,
        agc: options.agc,
    };
    match (&options.out, &options.file) {
        (Some(out), file) => {
            let mut source: Box<dyn Source> = match file {
                Some(path) => Box::new(FileSource::open(path)?),
                None => Box::new(DemoSource::new(SampleRate::new(44_100)?)?),
            };
            render(source.as_mut(), out, &settings)
        }
        (None, Some(_)) => Err("--file needs --out".into()),
        (None, None) => play(&settings),
    }
}

/// A source through the effects into a file.
fn render(
    source: &mut dyn Source,
    out: &std::path::Path,
    settings: &Settings,
) -> Result<(), Box<dyn Error>> {
    let format = source.format();
    let (mut chain, _handle) = Chain::new(format, settings)?;
    let mut sink = WavSink::create(out, format, WavEncoding::Float32)?;
    let mut buffer = vec![0.0; 512 * format.channels()];
    let mut block = Vec::new();
    while let Some(read) = source.read(&mut buffer)? {
        block.clear();
        block.extend_from_slice(read.interleaved);
        chain.process(&mut block);
        sink.write(&block)?;
    }
    sink.finish()?;
    println!("{}", out.display());
    Ok(())
}

#[cfg(not(feature = "device"))]
fn play(_: &Settings) -> Result<(), Box<dyn Error>> {
    Err("sound cards need the feature: cargo run --release --features device --example effects; or give --out".into())
}

#[cfg(feature = "device")]
fn play(settings: &Settings) -> Result<(), Box<dyn Error>> {
    use std::io::IsTerminal;
    use std::sync::{Arc, Mutex, PoisonError};
    use std::time::Duration;

    use ratatui::crossterm::event::KeyCode;
    use upbeat::io::StreamFormat;
    use upbeat::io::live::{CardBackend, DuplexConfig, DuplexProcess, StreamSupervisor, Timing};

    /// The effects, made anew for each format, and the handle of the newest.
    struct Process {
        settings: Settings,
        chain: Option<Chain>,
        handle: Arc<Mutex<Option<chain::Handle>>>,
    }

    impl DuplexProcess for Process {
        fn prepare(&mut self, format: StreamFormat) {
            let made = Chain::new(format, &self.settings).ok();
            let (chain, handle) = made.unzip();
            self.chain = chain;
            *self.handle.lock().unwrap_or_else(PoisonError::into_inner) = handle;
        }

        fn process(&mut self, interleaved: &mut [f32]) {
            if let Some(chain) = &mut self.chain {
                chain.process(interleaved);
            }
        }
    }

    let handle = Arc::new(Mutex::new(None));
    let process = Process { settings: *settings, chain: None, handle: Arc::clone(&handle) };
    let backend = Arc::new(CardBackend::new());
    let supervisor = StreamSupervisor::duplex(
        backend,
        DuplexConfig::default(),
        Timing::default(),
        Box::new(process),
    )?;
    if !supervisor.wait_running(Duration::from_secs(5)) {
        let why = supervisor.status().last_error;
        return Err(why.map_or("no device".to_owned(), |error| error.to_string()).into());
    }
    if !std::io::stdout().is_terminal() {
        println!("{:?}", supervisor.status());
        std::thread::sleep(Duration::from_secs(3));
        println!("{:?}", supervisor.status());
        return Ok(());
    }
    let mut gain = settings.gain;
    keys::steer(&supervisor, |key| -> Result<String, Box<dyn Error>> {
        match key {
            Some(KeyCode::Up) => gain = (gain + 1.0).min(24.0),
            Some(KeyCode::Down) => gain = (gain - 1.0).max(-60.0),
            _ => {}
        }
        if key.is_some()
            && let Some(handle) = &mut *handle.lock().unwrap_or_else(PoisonError::into_inner)
        {
            handle.set_gain(gain);
        }
        let bar = "#".repeat((0.5 * gain + 30.0) as usize);
        Ok(format!("gain {gain:+5.1} dB {bar}  {:?}", supervisor.status().state))
    })
}
