//! How good the beats are: announced beats held against annotated ones.
//!
//! ```sh
//! cargo run --release --example score_beats                       # 40 generated grooves
//! cargo run --release --example score_beats -- CLIPS/*.wav        # the annotation of X.wav is X.beats beside it
//! cargo run --release --example score_beats -- CLIPS/*.wav --front-end network,onset --per-clip
//! cargo run --release --example score_beats -- CLIPS/*.wav --trial cuts   # found again after a cut to another song
//! cargo run --release --example score_beats -- CLIPS/*.wav --trial rates  # the same clips at five sample rates
//! cargo run --release --example score_beats -- --trial jumps      # grooves whose tempo jumps by 10 %
//! ```
//!
//! An annotation holds a line for each beat: its time in seconds and, after a tab, its place in the bar (1 for downbeats,
//! 0 where it is unknown). Clips without one have no beat, and are scored by the share of time in which none is
//! claimed. Clips belong to a set: their name up to the last `_` (`real_…` all to *real*). The tables are Markdown.
//!
//! Everything is causal: a beat counts where it was announced. The first 5 s are left out, except for lock, tempo and
//! the share of time without beat. Hits lie within ±70 ms; F and `AMLt` are those of `mir_eval`.

mod clip;
mod heard;
mod score;
mod tables;
mod trials;

use std::error::Error;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use clap::{Parser, ValueEnum};
use clip::Clip;
use heard::Settings;
use score::Score;
use upbeat::predict::beats::FrontEnd;

/// What goes wrong ends the program with a message; it crosses threads.
type Failure = Box<dyn Error + Send + Sync>;

#[derive(Parser)]
#[command(about = "Scores predicted beats; without a file, those of 40 generated grooves.")]
struct Options {
    /// Songs, each with its annotation STEM.beats beside it; those without one have no beat.
    clips: Vec<PathBuf>,
    /// What the tracker listens with, one or more.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "network")]
    front_end: Vec<Ears>,
    /// A row for each clip instead of each set.
    #[arg(long)]
    per_clip: bool,
    /// Also how often beats of each confidence came true.
    #[arg(long)]
    reliability: bool,
    /// Another trial instead.
    #[arg(long, value_enum)]
    trial: Option<Trial>,
    /// How many grooves there are, without a file.
    #[arg(long, default_value_t = 40)]
    grooves: u64,
    /// The slowest tempo.
    #[arg(long, default_value_t = 40.0)]
    min_tempo: f64,
    /// The fastest tempo.
    #[arg(long, default_value_t = 220.0)]
    max_tempo: f64,
    /// How long before it happens a beat is announced, in seconds.
    #[arg(long, default_value_t = 0.25)]
    lead: f64,
    /// How sure it must be that there is a beat before any is announced; 0 for always.
    #[arg(long, default_value_t = 0.55)]
    threshold: f64,
    /// How many clips are heard at a time; by default one per processor.
    #[arg(long)]
    jobs: Option<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Ears {
    /// The network and onsets together.
    Network,
    /// Onsets alone.
    Onset,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Trial {
    /// 30 s of each clip, then 30 s of the next one of its set.
    Cuts,
    /// Grooves whose tempo jumps by 10 %, up and down.
    Jumps,
    /// Each clip at 16, 22.05, 44.1, 48 and 96 kHz.
    Rates,
}

fn main() -> Result<(), Failure> {
    let options = Options::parse();
    let jumps = options.trial == Some(Trial::Jumps);
    if jumps && !options.clips.is_empty() {
        return Err("the trial `jumps` takes no clips, it makes its own".into());
    }
    let clips = clip::all(&options.clips, options.grooves, jumps);
    for ears in &options.front_end {
        let (name, front_end) = match ears {
            Ears::Network => ("network", FrontEnd::Network),
            Ears::Onset => ("onsets", FrontEnd::Onset),
        };
        let Options { min_tempo, max_tempo, lead, threshold, .. } = options;
        println!("\nFront end: {name}");
        run(&options, &clips, &Settings { front_end, min_tempo, max_tempo, lead, threshold })?;
    }
    Ok(())
}

fn run(options: &Options, clips: &[Clip], settings: &Settings) -> Result<(), Failure> {
    let processors = || thread::available_parallelism().map_or(1, usize::from);
    let jobs = options.jobs.unwrap_or_else(processors);
    let per_clip = options.per_clip;
    match options.trial {
        None => {
            let score = |clip: &Clip| Score::new(&clip.load()?, settings);
            let found = group(clips, per_clip, in_parallel(jobs, clips, score)?);
            tables::scores(&found);
            if options.reliability {
                tables::reliability(&found);
            }
        }
        Some(Trial::Cuts) => {
            let (first, second) = trials::pairs(clips);
            let pairs: Vec<_> = first.iter().zip(&second).collect();
            let cut = |pair: &(&Clip, &Clip)| trials::cut(pair.0, pair.1, settings);
            tables::locks(&group(&first, per_clip, in_parallel(jobs, &pairs, cut)?));
        }
        Some(Trial::Jumps) => {
            let jump = |clip: &Clip| trials::jump(clip, settings);
            tables::locks(&group(clips, per_clip, in_parallel(jobs, clips, jump)?));
        }
        Some(Trial::Rates) => {
            let rates = |clip: &Clip| trials::rates(&clip.load()?, settings);
            tables::rates(&group(clips, per_clip, in_parallel(jobs, clips, rates)?));
        }
    }
    Ok(())
}

/// What came of the clips of each set (or of each clip), by name.
type Groups<T> = Vec<(String, Vec<T>)>;

fn group<T>(clips: &[Clip], per_clip: bool, found: Vec<T>) -> Groups<T> {
    let mut groups: Groups<T> = Vec::new();
    for (clip, found) in clips.iter().zip(found) {
        let name = if per_clip { clip.name() } else { clip.set() };
        match groups.iter_mut().find(|group| group.0 == name) {
            Some(group) => group.1.push(found),
            None => groups.push((name, vec![found])),
        }
    }
    groups
}

/// Applies `work` to all items, on several threads; the results are in the items' order.
fn in_parallel<T: Sync, R: Send>(
    jobs: usize,
    items: &[T],
    work: impl Fn(&T) -> Result<R, Failure> + Sync,
) -> Result<Vec<R>, Failure> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut done = Vec::new();
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(n) else { return done };
            done.push((n, work(item)));
        }
    };
    let mut done: Vec<(usize, Result<R, Failure>)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs.max(1)).map(|_| scope.spawn(worker)).collect();
        let join = |worker: thread::ScopedJoinHandle<'_, _>| {
            worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        workers.into_iter().flat_map(join).collect()
    });
    done.sort_by_key(|(n, _)| *n);
    done.into_iter().map(|(_, result)| result).collect()
}
