//! Moves a song towards a word: warm, bright, clear, "0.6 warm + 0.4 airy", …
//!
//! ```sh
//! cargo run --release --example eq                                             # the built-in demo, made warm
//! cargo run --release --example eq -- IN.mp3 OUT.wav --word bright --intensity 0.7 --plot out.png
//! cargo run --release --features device --example eq -- --live --word dark       # from the sound card, to it
//! cargo run --release --example eq -- words                                    # the vocabulary
//! cargo run --release --example eq -- curve warm --intensity 1 --format csv    # what a word asks for
//! cargo run --release --example eq -- estimate SONG.ogg --format csv           # what a song sounds like
//! cargo run --release --example eq -- measure SONGS/*.ogg                      # the tables of docs/adaptive-eq.md
//! cargo run --release --example eq -- compare STATISTICS.json                  # the words' curves with other people's
//! ```
//!
//! The result is written as 32-bit floats, so that nothing is clipped. Live, mind the feedback: use headphones.

mod compare;
#[cfg(feature = "device")]
#[path = "../common/keys.rs"]
mod keys;
mod latency;
mod live;
mod measure;
mod plot;
mod song;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use plot::Picture;
use song::Song;
use upbeat::core::{SampleIndex, SampleRate, Stage};
use upbeat::eq::{
    AdaptiveConfig, AdaptiveEqualizer, Direction, Profile, ToneCurve, ToneEar, ToneEarConfig,
    ToneModel, Vocabulary,
};
use upbeat::io::{WavEncoding, WavSink};

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Parser)]
#[command(
    about = "Moves a song towards a word; without a file, the built-in demo.",
    args_conflicts_with_subcommands = true
)]
struct Options {
    #[command(subcommand)]
    task: Option<Task>,
    #[command(flatten)]
    render: Render,
}

#[derive(Subcommand)]
enum Task {
    /// List the vocabulary.
    Words,
    /// Print what a word or a blend of words asks for, at 128 frequencies.
    Curve {
        word: String,
        #[arg(long, default_value_t = 1.0)]
        intensity: f64,
        #[arg(long, value_enum, default_value = "csv")]
        format: Format,
    },
    /// Print the tone that a song is estimated to have, at 128 frequencies.
    Estimate {
        song: PathBuf,
        #[arg(long, value_enum, default_value = "csv")]
        format: Format,
    },
    /// Measure adaptivity, leak and direction on songs and on the demo.
    Measure {
        songs: Vec<PathBuf>,
        /// Seconds of each song to use.
        #[arg(long, default_value_t = 20.0)]
        seconds: f64,
        /// Another tone model than the built-in one.
        #[arg(long, value_name = "SAFETENSORS")]
        model: Option<PathBuf>,
    },
    /// Compare the words' curves with what others set: a JSON file with `frequency_hz` and, per word of `words`,
    /// `n` and `mean_curve_db`.
    Compare { statistics: PathBuf },
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// `frequency_hz,gain_db`.
    Csv,
    /// A list of objects.
    Json,
}

#[derive(Args)]
struct Render {
    /// The song: wav, flac, mp3, ogg, m4a, aiff.
    song: Option<PathBuf>,
    /// The WAV file to write; without it, nothing is written.
    output: Option<PathBuf>,
    /// A word or a blend of words.
    #[arg(long, default_value = "warm")]
    word: String,
    /// How far to go: 0, not at all, to 1, all the way, to 2.
    #[arg(long, default_value_t = 0.7)]
    intensity: f64,
    /// The largest gain or cut, in dB.
    #[arg(long, default_value_t = 9.0)]
    depth: f64,
    /// Draw what was heard and done into this PNG file.
    #[arg(long, value_name = "PNG")]
    plot: Option<PathBuf>,
    /// From the default input to the default output, until `q`; needs the feature `device`.
    #[arg(long, conflicts_with_all = ["song", "output", "plot"])]
    live: bool,
    /// A JSON file that says what words mean to you.
    #[arg(long, value_name = "JSON")]
    profile: Option<PathBuf>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let done = match options.task {
        None if options.render.live => live::run(&options.render),
        None => render(&options.render),
        Some(Task::Words) => {
            words();
            Ok(())
        }
        Some(Task::Curve { word, intensity, format }) => curve(&word, intensity, format),
        Some(Task::Estimate { song, format }) => estimate(&song, format),
        Some(Task::Measure { songs, seconds, model }) => {
            measure::run(&songs, seconds, model.as_deref())
        }
        Some(Task::Compare { statistics }) => compare::run(&statistics),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

impl Render {
    fn config(&self, rate: SampleRate, channels: usize) -> Result<AdaptiveConfig, Failure> {
        let mut config = AdaptiveConfig::new(rate, channels);
        config.words = Some(self.word.clone());
        (config.intensity, config.depth) = (self.intensity, self.depth);
        if let Some(path) = &self.profile {
            config.profile = Profile::from_json(&std::fs::read_to_string(path)?)?;
        }
        Ok(config)
    }
}

fn render(options: &Render) -> Result<(), Failure> {
    let song = Song::open(options.song.as_deref(), None)?;
    let (rate, channels) = (song.format.sample_rate(), song.format.channels());
    let config = options.config(rate, channels)?;
    let (mut equalizer, mut handle) = AdaptiveEqualizer::new(&config)?;
    let mut sink = match &options.output {
        Some(path) => Some(WavSink::create(path, song.format, WavEncoding::Float32)?),
        None => None,
    };
    let bar = ProgressBar::new(song.samples.len() as u64)
        .with_style(ProgressStyle::with_template("{msg} {wide_bar} {percent} % ({eta} left)")?);
    bar.set_message(song.name.clone());
    let mut history = Vec::new();
    let mut samples = song.samples.clone();
    let mut at = SampleIndex(0);
    for block in samples.chunks_mut(BLOCK * channels) {
        equalizer.process_in_place(at, block);
        at += (block.len() / channels) as u64;
        if let Some(sink) = &mut sink {
            sink.write(block)?;
        }
        if let Some(status) = handle.status()
            && history.last().is_none_or(|(last, _)| *last != status.at.seconds(rate))
        {
            history.push((status.at.seconds(rate), status.applied));
        }
        bar.inc(block.len() as u64);
    }
    bar.finish_and_clear();
    if let Some(sink) = sink {
        sink.finish()?;
    }
    let Some(explanation) = handle.explain() else {
        return Err(
            format!("{}: half a second of music is needed to tell its tone", song.name).into()
        );
    };
    println!("{}, towards {} at intensity {}:", song.name, options.word, options.intensity);
    println!("{explanation}");
    if let Some(status) = handle.status() {
        println!(
            "estimated tone: {:+.2} dB per octave, applied: {:+.2}; {:+.1} dB in loudness",
            status.heard.unwrap_or_default().tilt(),
            status.applied.tilt(),
            status.louder
        );
    }
    println!("\n{}", latency::measure(&song)?);
    if let Some(path) = &options.plot {
        let tone = whole_tone(&song)?;
        let target = handle.target().map(|target| *target.curve()).unwrap_or_default();
        let picture = Picture {
            title: format!("{}: {} at {}", song.name, options.word, options.intensity),
            input: tone.input,
            estimated: tone.estimated,
            target,
            applied: history,
        };
        picture.draw(path)?;
        println!("{}", path.display());
    }
    if let Some(path) = &options.output {
        println!("{}", path.display());
    }
    Ok(())
}

/// What a whole song sounds like.
struct Tone {
    /// Frequency in Hz and level above music on average in dB, per mel band.
    input: Vec<(f64, f64)>,
    estimated: ToneCurve,
}

fn whole_tone(song: &Song) -> Result<Tone, Failure> {
    let mut config = ToneEarConfig::new(song.format.sample_rate());
    config.memory = 600.0;
    let mut ear = ToneEar::new(&config)?;
    let mut model = ToneModel::builtin();
    ear.process(SampleIndex(0), &song.mono(), |_, _| {});
    let Some(tone) = ear.tone(model.programme()) else {
        return Err(
            format!("{}: half a second of music is needed to tell its tone", song.name).into()
        );
    };
    let latent = model.hear(&tone);
    let input = tone.iter().enumerate().map(|(b, db)| (ToneEar::centre(b), f64::from(*db)));
    Ok(Tone { input: input.collect(), estimated: model.decode(&latent).timbre() })
}

fn words() {
    println!("{:<10} {:>13}  source", "word", "tilt dB/oct");
    for word in Vocabulary::builtin().words() {
        let direction = match word.direction {
            Direction::Falls => "falls",
            Direction::Rises => "rises",
            _ => "",
        };
        println!("{:<10} {direction:<6} {:>+6.2}  {}", word.name, word.curve.tilt(), word.source);
    }
    println!("Blends: \"0.6 warm + 0.4 clear\"; opposites: \"-bright\".");
}

fn curve(word: &str, intensity: f64, format: Format) -> Result<(), Failure> {
    if !(0.0..=AdaptiveConfig::MAX_INTENSITY).contains(&intensity) {
        return Err("intensity must be 0 to 2".into());
    }
    let target = Vocabulary::builtin().target(word)?;
    print_curve(&(*target.curve() * intensity), format);
    Ok(())
}

fn estimate(path: &std::path::Path, format: Format) -> Result<(), Failure> {
    let song = Song::open(Some(path), None)?;
    print_curve(&whole_tone(&song)?.estimated, format);
    Ok(())
}

fn print_curve(curve: &ToneCurve, format: Format) {
    let points = ToneCurve::frequencies().zip(curve.gains());
    match format {
        Format::Csv => {
            println!("frequency_hz,gain_db");
            for (frequency, gain) in points {
                println!("{frequency:.2},{gain:.4}");
            }
        }
        Format::Json => {
            let rows: Vec<_> = points
                .map(|(frequency, gain)| serde_json::json!({"frequency_hz": frequency, "gain_db": gain}))
                .collect();
            println!("{}", serde_json::Value::from(rows));
        }
    }
}

const BLOCK: usize = 512;
