//! Proposes what to play next, says why, and learns from what you say.
//!
//! `cargo run --release -p upbeat-library --example dj -- MUSIC_DIR` scans your music (again only what has changed);
//! without a folder it makes up 30 short tracks and scans those. Answers are read line by line, so they may be piped:
//!
//! `printf 'y\nn 2\n0.8 3\nq\n' | cargo run --release -p upbeat-library --example dj`
//!
//! What you said is remembered in the library, a file named when the program starts; run it again to go on.

mod made_up;

use std::io::{self, BufRead, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use upbeat_library::playlist::{self, Entry};
use upbeat_library::{
    Library, MixConfig, MixSession, Opinion, Query, ScanConfig, ScanEvent, Track, TrackId,
};

/// Proposes what to play next, says why, and learns from what you say.
#[derive(Parser)]
struct Args {
    /// The folder with your music; without one, 30 tracks are made up.
    music: Option<PathBuf>,
    /// The library's file. Default: `upbeat-library.db` in the music's folder.
    #[arg(long)]
    library: Option<PathBuf>,
    /// How many files are analysed at once. Default: all cores.
    #[arg(long)]
    threads: Option<std::num::NonZeroUsize>,
    /// Words to find the first track by. Default: what was playing, or the first track there is.
    #[arg(long)]
    start: Option<String>,
}

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> Result<()> {
    let music = match args.music {
        Some(music) => music,
        None => made_up::tracks(&std::env::temp_dir().join("upbeat-dj"))?,
    };
    let path = args.library.unwrap_or_else(|| music.join("upbeat-library.db"));
    let mut library = Library::open(&path)?;
    println!("Library: {}", path.display());
    let mut config = ScanConfig::default();
    config.threads = args.threads;
    scan(&mut library, &music, &config)?;

    let (mut session, is_old) = match (library.open_session()?, &args.start) {
        (Some(open), None) if open.playing.is_some() => {
            (MixSession::resume(library, open, 0.0, &MixConfig::default())?, true)
        }
        (_, words) => {
            let query = Query::default().with_words(words.clone().unwrap_or_default());
            let first = library.search(&query)?.into_iter().next();
            let first = first.ok_or("there is no such track to start with")?;
            (MixSession::start(library, first.id, 0.0, &MixConfig::default())?, false)
        }
    };
    let status = session.models().status();
    if is_old || status.responses > 0 {
        println!("Welcome back: {} answers of yours are remembered.", status.responses);
    }
    println!("{HELP}");
    let began = Instant::now();
    let mut answers = 0.0;
    show(&session);
    let mut lines = io::stdin().lock().lines();
    loop {
        print!("> ");
        io::stdout().flush()?;
        let Some(line) = lines.next().transpose()? else { break };
        // Piped answers come at once; each of them stands for a second at least.
        answers += 1.0;
        let now = began.elapsed().as_secs_f64() + answers;
        match answer(&mut session, &line, now) {
            Ok(ControlFlow::Continue(())) => {}
            Ok(ControlFlow::Break(())) => break,
            Err(error) => println!("{error}"),
        }
    }
    println!("\nWhat you said is stored in {}.", path.display());
    Ok(())
}

const HELP: &str = "y [n]: play proposal n (1 if left out)   n [n]: not that one   0.0 to 1.0 [n]: how good it is
s: skip what plays   l: what sounds like it   w FILE: write what was proposed as a playlist   q: stop";

fn scan(library: &mut Library, music: &std::path::Path, config: &ScanConfig) -> Result<()> {
    let began = Instant::now();
    let style = "{bar:40} {pos}/{len} {msg} {eta}";
    let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template(style)?);
    let report = library.scan(&[music], config, |event| {
        match event {
            ScanEvent::Listed { to_do, .. } => bar.set_length(to_do as u64),
            ScanEvent::Analysed { path, .. }
            | ScanEvent::Recognised { path, .. }
            | ScanEvent::Failed { path, .. } => {
                bar.inc(1);
                bar.set_message(
                    path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
                );
            }
            _ => {}
        }
        ControlFlow::Continue(())
    })?;
    bar.finish_and_clear();
    for failure in &report.failures {
        println!("  {}: {}", failure.path.display(), failure.reason);
    }
    println!(
        "{} analysed, {} unchanged, {} recognised by content, {} gone, {} cannot be read",
        report.analysed,
        report.unchanged,
        report.recognised,
        report.missing,
        report.failures.len()
    );
    if report.analysed > 0 {
        let seconds = began.elapsed().as_secs_f64();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = config.threads.map_or(cores, usize::from).min(report.analysed);
        println!(
            "{:.0} s of sound in {seconds:.1} s on {threads} threads: {:.0} times real time per thread",
            report.seconds,
            report.seconds / seconds / threads as f64
        );
    }
    Ok(())
}

fn answer(session: &mut MixSession, line: &str, now: f64) -> Result<ControlFlow<()>> {
    let mut words = line.split_whitespace();
    let Some(first) = words.next() else { return Ok(ControlFlow::Continue(())) };
    match first {
        "q" => return Ok(ControlFlow::Break(())),
        "l" => {
            let alike = session.library().similar_tracks()?;
            for similar in alike.to(session.current().id, 5) {
                let track = session.library().track(similar.track)?;
                println!("  {:.2} away: {}", similar.distance, describe(&track));
            }
        }
        "w" => {
            let file = words.next().ok_or("say which file to write")?;
            let mut entries = vec![Entry::from(session.current())];
            for proposal in session.proposals() {
                entries.push(Entry::from(&session.library().track(proposal.track)?));
            }
            std::fs::write(file, playlist::to_m3u8(&entries, None)?)?;
            println!("  {} tracks written to {file}", entries.len());
        }
        "s" => {
            let current = session.current().id;
            session.feedback(now, current, Opinion::Skipped(0.1))?;
            let next = proposed(session, None)?;
            session.play(now, next)?;
            show(session);
        }
        "y" => {
            let track = proposed(session, words.next())?;
            session.feedback(now, track, Opinion::Accepted)?;
            session.play(now, track)?;
            show(session);
        }
        "n" => {
            let track = proposed(session, words.next())?;
            session.feedback(now, track, Opinion::Rejected)?;
            show(session);
        }
        score => {
            let Ok(score) = score.parse() else {
                println!("{HELP}");
                return Ok(ControlFlow::Continue(()));
            };
            let track = proposed(session, words.next())?;
            session.feedback(now, track, Opinion::Score(score))?;
            show(session);
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// The track that a number stands for.
fn proposed(session: &MixSession, number: Option<&str>) -> Result<TrackId> {
    let number: usize = number.unwrap_or("1").parse()?;
    let place = number.checked_sub(1);
    let proposal = place.and_then(|place| session.proposals().get(place));
    Ok(proposal.ok_or_else(|| format!("there is no proposal {number}"))?.track)
}

fn show(session: &MixSession) {
    println!("\nPlaying {}", describe(session.current()));
    for (number, proposal) in (1..).zip(session.proposals()) {
        let chance = proposal.recommendation.probability * 100.0;
        println!(
            "  {number}. {} ({chance:.0} %)\n     {}",
            proposal.name,
            proposal.recommendation.explain()
        );
    }
    if session.proposals().is_empty() {
        println!("  There is nothing else to propose.");
    }
}

fn describe(track: &Track) -> String {
    let a = &track.analysis;
    let tempo = a.tempo.as_ref().map_or("no tempo".into(), |tempo| format!("{:.1} BPM", tempo.bpm));
    let key = a.key.map_or("no key".into(), |key| format!("{} ({})", key.key, key.key.camelot()));
    let energy = a.energy.map_or("-".into(), |energy| format!("{energy:.2}"));
    format!("{}: {tempo}, {key}, energy {energy}", track.name())
}
