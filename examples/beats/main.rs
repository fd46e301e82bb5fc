//! Beats, before they happen.
//!
//! ```sh
//! cargo run --release --example beats                                  # the built-in demo
//! cargo run --release --example beats -- SONG.mp3 --click clicked.wav  # hear the predicted beats
//! cargo run --release --example beats -- *.wav --out out               # out/STEM.txt, a line per beat
//! cargo run --release --example beats -- SONG.ogg --out out --format jams
//! cargo run --release --example beats -- SONG.ogg --osc 127.0.0.1:9000 # beats to other programs, in real time
//! ```
//!
//! Prints, when each beat is announced: when it will be, its place in the bar, how sure that is, the tempo and its
//! likeliest alternatives. The files hold time (as announced), the stream's time when it was announced, the
//! place in the bar (`-` where it is unknown) and the confidence, separated by tabs; or the same as JSON lines or JAMS.
//! Songs are heard as fast as the machine can, but with `--osc` or `--midi` in real time, without being played.

#[path = "../common/mod.rs"]
mod common;
mod output;
mod room;
#[path = "../common/sync.rs"]
mod sync;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser;
use common::Song;
use output::{Beat, Format};
use room::Room;
use upbeat::core::{Mix, Stage};
use upbeat::predict::beats::{
    BeatConfig, BeatTracker, FrontEnd, Horizon, TempoCandidate, TempoMap,
};

#[derive(Parser)]
#[command(about = "Predicts the beats of songs; without a file, of the built-in demo.")]
struct Options {
    /// Songs: wav, flac, mp3, ogg, m4a, aiff.
    songs: Vec<PathBuf>,
    /// Write the beats of each song into this folder.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// What the files hold.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Write the song with clicks at the predicted beats; of one song only.
    #[arg(long, value_name = "OUT.wav")]
    click: Option<PathBuf>,
    /// Hear onsets only, without the network.
    #[arg(long)]
    onsets_only: bool,
    /// The slowest tempo.
    #[arg(long, default_value_t = 40.0)]
    min_tempo: f64,
    /// The fastest tempo.
    #[arg(long, default_value_t = 220.0)]
    max_tempo: f64,
    /// How long before it happens a beat is announced, in seconds.
    #[arg(long, default_value_t = 0.25)]
    lead: f64,
    /// Print nothing but errors.
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    sync: sync::SyncOptions,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    if let Some(out) = &options.out {
        fs::create_dir_all(out).map_err(|error| format!("{}: {error}", out.display()))?;
    }
    if options.click.is_some() && options.songs.len() > 1 {
        return Err("--click takes one song".into());
    }
    for song in common::open(&options.songs)? {
        listen(song, &options)?;
    }
    Ok(())
}

fn listen(mut song: Song, options: &Options) -> Result<(), Box<dyn Error>> {
    let format = song.source.format();
    let rate = format.sample_rate();
    let mut config = BeatConfig::new(rate);
    (config.min_tempo, config.max_tempo) = (options.min_tempo, options.max_tempo);
    config.lead = options.lead;
    if options.onsets_only {
        config.front_end = FrontEnd::Onset;
    }
    let mut tracker = BeatTracker::new(&config)?;
    let mut mono = Mix::down(format.channels())?;
    if !options.quiet {
        println!("{}", song.name);
    }

    let mut room = options.sync.open(rate)?.map(|out| Room::new(out, rate));
    // For others, in pieces of 10 ms, as a sound card would give them.
    let piece = if room.is_some() { rate.samples(0.01) as usize } else { usize::MAX };
    let mut beats = Vec::new();
    let mut sound = Vec::new();
    let mut length = 0;
    song.hear(|at, block| {
        length = at.0 + (block.len() / format.channels()) as u64;
        if options.click.is_some() {
            sound.extend_from_slice(block);
        }
        mono.process(at, block, |mut at, samples| {
            let before = beats.len();
            for samples in samples.chunks(piece) {
                if let Some(room) = &mut room {
                    room.wait(at + samples.len() as u64);
                }
                tracker.process(at, samples, |now, estimate| {
                    if let Some(room) = &mut room {
                        room.tell(now + 1, estimate);
                    }
                    if let Some(beat) = estimate.beat {
                        let reported_at = (now + 1).seconds(rate);
                        beats.push(Beat::new(&beat, reported_at, estimate.tempo, rate));
                    }
                    if let Some(change) = estimate.tempo_change.filter(|_| !options.quiet) {
                        let at = change.at.seconds(rate);
                        println!("{at:9.2} s  tempo {:.1} becomes {:.1}", change.from, change.to);
                    }
                });
                at += samples.len() as u64;
            }
            if beats.len() > before && !options.quiet {
                print(&beats[beats.len() - 1], &tracker);
            }
        });
    })?;
    let duration = rate.seconds(length);
    beats.retain(|beat| beat.time < duration);

    if !options.quiet {
        summarise(&beats, &tracker);
    }
    if let Some(out) = &options.out {
        let stem = Path::new(&song.name).file_stem().ok_or("a song has a name")?;
        let path = out.join(stem).with_extension(options.format.extension());
        output::write(&path, options.format, &beats, duration, &config)
            .map_err(|error| format!("{}: {error}", path.display()))?;
    }
    if let Some(path) = &options.click {
        output::add_clicks(&mut sound, format, &beats);
        output::write_wav(path, format, &sound)
            .map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

fn print(beat: &Beat, tracker: &BeatTracker) {
    let place = match (beat.bar_position, &beat.metre) {
        (Some(place), Some(metre)) => format!("beat {place} of {metre}"),
        _ => "beat".into(),
    };
    let text = |c: TempoCandidate| format!("  {} {:.0} %", c.relation, 100.0 * c.share);
    let others: String = tracker.tempo_candidates().skip(1).take(2).map(text).collect();
    println!(
        "{:9.2} s  {place:13} {:3.0} % sure, ±{:.0} ms, said {:.0} ms ahead   {:6.1} bpm{others}",
        beat.time,
        100.0 * beat.confidence,
        1000.0 * beat.std_dev,
        1000.0 * (beat.time - beat.reported_at),
        beat.tempo.unwrap_or(f64::NAN),
    );
}

fn summarise(beats: &[Beat], tracker: &BeatTracker) {
    let times: Vec<f64> = beats.iter().map(|beat| beat.time).collect();
    let map = TempoMap::from_beats(&times, 0.03);
    println!(
        "{} beats, {} anchors of a tempo map hold them within 30 ms",
        beats.len(),
        map.anchors().len()
    );
    for (name, horizon) in [
        ("next beat", Horizon::Next),
        ("1 s ahead", Horizon::OneSecond),
        ("2 s ahead", Horizon::TwoSeconds),
    ] {
        let score = tracker.score(horizon).score();
        if let (Some(share), Some(bias)) = (score.accuracy(), score.bias) {
            let (percent, bias) = (100.0 * share, 1000.0 * bias);
            println!(
                "  {name}: something was heard there in {percent:.0} % of {} (bias {bias:+.0} ms)",
                score.made
            );
        }
    }
}
