//! Analyses songs: a table with a row per second and a summary, or all frames as CSV, JSON lines or npz.
//!
//! ```sh
//! cargo run --release --example analyze                                  # the built-in demo
//! cargo run --release --example analyze -- SONG.mp3 OTHER.flac           # tables
//! cargo run --release --example analyze -- *.wav --format npz --out out  # out/NAME.npz for NumPy
//! cargo run --release --example analyze -- SONG.ogg --format csv --features mfcc,pitch
//! ```
//!
//! Files that cannot be read are named at the end with the reason, and the exit code is 1 then; the
//! others are analysed all the same. Memory does not grow with the length of a song.

#[path = "../common/row.rs"]
mod row;
mod table;
mod writers;

use std::collections::HashSet;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use clap::{Parser, ValueEnum};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use table::Table;
use upbeat::core::SampleRate;
use upbeat::io::demo::DemoSource;
use upbeat::io::{Damage, FileSource, Source};
use upbeat::{Analyzer, AnalyzerConfig, Feature, FeatureSet};
use writers::{Csv, FrameWriter, JsonLines, Npz, WholeFile};

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Parser)]
#[command(about = "Analyses songs; without a file, the built-in demo.")]
struct Options {
    /// Songs: wav, flac, mp3, ogg, m4a, aiff.
    songs: Vec<PathBuf>,
    /// Analyse the built-in demo too.
    #[arg(long)]
    demo: bool,
    /// Features and groups, separated by commas; `--features help` lists them.
    #[arg(long, value_name = "LIST")]
    features: Option<String>,
    /// What to write.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Write one file per song into this folder, instead of everything to standard output.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Samples per frame.
    #[arg(long, default_value_t = 2048)]
    frame_length: usize,
    /// Samples from frame to frame.
    #[arg(long, default_value_t = 512)]
    hop_length: usize,
    /// Songs to analyse at the same time [default: one per core].
    #[arg(long)]
    jobs: Option<usize>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Format {
    Table,
    Csv,
    Jsonl,
    Npz,
}

impl Format {
    fn extension(self) -> &'static str {
        match self {
            Self::Table => "txt",
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
            Self::Npz => "npz",
        }
    }
}

/// A song, and the file its results go to; standard output if there is none.
struct Job {
    song: Song,
    output: Option<PathBuf>,
}

enum Song {
    Demo,
    File(PathBuf),
}

impl Song {
    fn name(&self) -> String {
        match self {
            Self::Demo => "demo".into(),
            Self::File(path) => path.display().to_string(),
        }
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    if options.features.as_deref() == Some("help") {
        println!("{}", features_help());
        return ExitCode::SUCCESS;
    }
    match run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

/// Analyses all songs; whether none failed.
fn run(options: &Options) -> Result<bool, Failure> {
    let features = match options.format {
        Format::Table => table::features(options.features.as_deref()),
        _ => options.features.as_deref().unwrap_or("default").parse(),
    }?;
    let jobs = jobs(options)?;
    let progress = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = options.jobs.unwrap_or(cores).clamp(1, jobs.len());

    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(error) = analyze(job, options, features, &progress) {
                        failures
                            .lock()
                            .expect("no thread panics with it")
                            .push((job.song.name(), error));
                    }
                }
            });
        }
    });

    let failures = failures.into_inner()?;
    for (name, error) in &failures {
        eprintln!("{name}: {error}");
    }
    if !failures.is_empty() {
        eprintln!("{} of {} songs could not be analysed", failures.len(), jobs.len());
    }
    Ok(failures.is_empty())
}

/// The songs asked for, each with an output file of its own.
fn jobs(options: &Options) -> Result<Vec<Job>, Failure> {
    if options.out.is_none() && options.format == Format::Npz {
        return Err("npz is written to files: say where with --out DIR".into());
    }
    if options.out.is_none() && options.format != Format::Table && options.songs.len() > 1 {
        return Err(
            "the frames of several songs go to a file each: say where with --out DIR".into()
        );
    }
    if let Some(folder) = &options.out {
        std::fs::create_dir_all(folder)
            .map_err(|error| format!("cannot make the folder {}: {error}", folder.display()))?;
    }
    let mut songs: Vec<_> = options.songs.iter().cloned().map(Song::File).collect();
    if options.demo || songs.is_empty() {
        songs.push(Song::Demo);
    }
    let mut taken = HashSet::new();
    let job = |song: Song| {
        let output = options.out.as_deref().map(|folder| {
            let extension = options.format.extension();
            // Songs of the same name from different folders must not overwrite each other.
            (1..=u32::MAX)
                .map(|n| folder.join(file_name(&song, n, extension)))
                .find(|path| taken.insert(path.clone()))
                .expect("numbers do not run out")
        });
        Job { song, output }
    };
    Ok(songs.into_iter().map(job).collect())
}

fn file_name(song: &Song, n: u32, extension: &str) -> std::ffi::OsString {
    let mut name = match song {
        Song::Demo => "demo".into(),
        Song::File(path) => path.file_stem().unwrap_or(path.as_os_str()).to_os_string(),
    };
    if n > 1 {
        name.push(format!("-{n}"));
    }
    name.push(format!(".{extension}"));
    name
}

fn analyze(
    job: &Job,
    options: &Options,
    features: FeatureSet,
    progress: &MultiProgress,
) -> Result<(), Failure> {
    let song = Analysis { job, options, features, progress };
    match &job.song {
        Song::Demo => {
            let analyzed = song.of(&mut DemoSource::new(SampleRate::new(DEMO_RATE)?)?)?;
            song.tell(analyzed, &[])
        }
        Song::File(path) => {
            let mut file = FileSource::open(path)?;
            let analyzed = song.of(&mut file)?;
            song.tell(analyzed, &damages(file.damage()))
        }
    }
}

/// What was wrong with a file that could be decoded all the same.
fn damages(damage: Damage) -> Vec<String> {
    let mut notes = Vec::new();
    if damage.truncated {
        notes.push("the file ends before its header says: analysed as far as it goes".into());
    }
    if damage.skipped_packets > 0 {
        notes.push(format!("{} damaged packets were skipped", damage.skipped_packets));
    }
    notes
}

/// One song on its way.
struct Analysis<'a> {
    job: &'a Job,
    options: &'a Options,
    features: FeatureSet,
    progress: &'a MultiProgress,
}

/// All frames of a song, on their way out.
struct Analyzed {
    output: Output,
    samples: u64,
    notes: Vec<String>,
}

impl Analysis<'_> {
    fn of(&self, source: &mut dyn Source) -> Result<Analyzed, Failure> {
        let Self { job, options, features, progress } = *self;
        let format = source.format();
        let mut config = AnalyzerConfig::new(format.sample_rate().hz(), format.channels())
            .with_features(features);
        config.frame_length = options.frame_length;
        config.hop_length = options.hop_length;
        let mut analyzer = Analyzer::new(&config)?;

        let bar = progress.add(progress_bar(source.length(), &job.song.name()));
        let mut output = Output::new(job, options.format, &analyzer)?;
        let mut buffer = vec![0.0; BLOCK * format.channels()];
        let mut samples = 0;
        while let Some(block) = source.read(&mut buffer)? {
            let mut written = Ok(());
            analyzer.process(block.at, block.interleaved, |frame| {
                if written.is_ok() {
                    written = output.push(frame);
                }
            })?;
            written?;
            samples = block.at.0 + (block.interleaved.len() / format.channels()) as u64;
            bar.set_position(samples);
        }
        bar.finish_and_clear();
        progress.remove(&bar);
        Ok(Analyzed { output, samples, notes: notes(&analyzer) })
    }

    fn tell(&self, analyzed: Analyzed, more_notes: &[String]) -> Result<(), Failure> {
        let Analyzed { output, samples, mut notes } = analyzed;
        notes.extend_from_slice(more_notes);
        output.finish(self.job, samples, &notes, self.progress)
    }
}

/// What was odd about the samples of a song.
fn notes(analyzer: &Analyzer) -> Vec<String> {
    let stats = analyzer.stats();
    let mut notes = Vec::new();
    if stats.gaps > 0 {
        notes.push(format!("{} samples were lost in {} gaps", stats.lost, stats.gaps));
    }
    if stats.sanitized > 0 {
        notes.push(format!("{} samples were not finite and count as 0", stats.sanitized));
    }
    if stats.frames == 0 {
        let length = analyzer.layout().spec().frame_length();
        notes.push(format!("shorter than one frame of {length} samples: nothing to tell"));
    }
    notes
}

/// Where the frames of one song go.
enum Output {
    /// Told at the end, in one piece, so that songs analysed at the same time do not mix.
    Table(Table),
    File(Box<dyn FrameWriter>, WholeFile),
    Stdout(Box<dyn FrameWriter>),
}

impl Output {
    fn new(job: &Job, format: Format, analyzer: &Analyzer) -> Result<Self, Failure> {
        let layout = analyzer.layout();
        if format == Format::Table {
            return Ok(Self::Table(Table::new(layout)));
        }
        let Some(path) = &job.output else {
            let out = io::BufWriter::new(io::stdout());
            return Ok(Self::Stdout(match format {
                Format::Jsonl => Box::new(JsonLines(out)),
                _ => Box::new(Csv::new(out, layout)?),
            }));
        };
        let file = WholeFile::create(path)?;
        let out = file.writer()?;
        let writer: Box<dyn FrameWriter> = match format {
            Format::Npz => Box::new(Npz::new(out, layout)?),
            Format::Jsonl => Box::new(JsonLines(out)),
            _ => Box::new(Csv::new(out, layout)?),
        };
        Ok(Self::File(writer, file))
    }

    fn push(&mut self, frame: &upbeat::FeatureFrame) -> io::Result<()> {
        match self {
            Self::Table(table) => {
                table.push(frame);
                Ok(())
            }
            Self::File(writer, _) | Self::Stdout(writer) => writer.push(frame),
        }
    }

    fn finish(
        self,
        job: &Job,
        samples: u64,
        notes: &[String],
        progress: &MultiProgress,
    ) -> Result<(), Failure> {
        let name = job.song.name();
        let mut told = String::new();
        match (self, &job.output) {
            (Self::Table(table), output) => {
                let mut text = format!("{name}\n{}", table.finish(samples));
                for note in notes {
                    text = text + "  note: " + note + "\n";
                }
                match output {
                    Some(path) => {
                        let file = WholeFile::create(path)?;
                        file.writer()?.write_all(text.as_bytes())?;
                        file.keep(path)?;
                        told = format!("{name} -> {}", path.display());
                    }
                    None => progress.suspend(|| writeln!(io::stdout().lock(), "{text}"))?,
                }
            }
            (Self::File(writer, file), Some(path)) => {
                writer.finish()?;
                file.keep(path)?;
                told = format!("{name} -> {}", path.display());
            }
            (Self::File(writer, _) | Self::Stdout(writer), _) => writer.finish()?,
        }
        if !told.is_empty() {
            progress.suspend(|| writeln!(io::stdout().lock(), "{told}"))?;
        }
        for note in notes {
            progress.suspend(|| writeln!(io::stderr().lock(), "{name}: note: {note}"))?;
        }
        Ok(())
    }
}

fn progress_bar(length: Option<u64>, name: &str) -> ProgressBar {
    let template = "{bar:32} {percent:>3} % {elapsed} {msg}";
    let bar = match length {
        Some(length) => ProgressBar::new(length).with_style(
            ProgressStyle::with_template(template).expect("the template is well formed"),
        ),
        None => ProgressBar::new_spinner(),
    };
    bar.enable_steady_tick(Duration::from_millis(100));
    bar.with_message(name.to_string())
}

fn features_help() -> String {
    let groups = FeatureSet::GROUPS.iter().map(|(name, set)| {
        let names: Vec<_> = set.iter().map(Feature::name).collect();
        format!("{name}: {}", names.join(", "))
    });
    groups.collect::<Vec<_>>().join("\n\n")
}

/// The rate that the built-in demo is rendered at, in Hz.
const DEMO_RATE: u32 = 44_100;

/// Samples per channel read at once.
const BLOCK: usize = 8192;
