//! Chords, keys and what comes next, as they are heard.
//!
//! ```sh
//! cargo run --release --example chords                        # the built-in demo
//! cargo run --release --example chords -- SONG.mp3 --out out  # out/SONG.lab and out/SONG.key.lab as well
//! ```
//!
//! Prints each chord when it is announced, the key, and the distribution over the next chord. The files hold start,
//! end (in seconds) and label of each chord and key, separated by tabs. Everything is causal; the delay is printed first.

mod common;

use std::error::Error;
use std::fmt::Display;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::Parser;
use common::Song;
use upbeat::core::{Mix, SampleIndex, Stage};
use upbeat::predict::harmony::{
    ChordConfig, ChordLabel, ChordRecognizer, NextChord, NextChordConfig, Triad,
};

#[derive(Parser)]
#[command(
    about = "Chords, keys and the next chord of songs; without a file, of the built-in demo."
)]
struct Options {
    /// Songs: wav, flac, mp3, ogg, m4a, aiff.
    songs: Vec<PathBuf>,
    /// Write chords and keys of each song into this folder.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    if let Some(out) = &options.out {
        fs::create_dir_all(out).map_err(|error| format!("{}: {error}", out.display()))?;
    }
    for song in common::open(&options.songs)? {
        listen(song, options.out.as_deref())?;
    }
    Ok(())
}

fn listen(mut song: Song, out: Option<&Path>) -> Result<(), Box<dyn Error>> {
    let format = song.source.format();
    let rate = format.sample_rate();
    let recognizer = ChordRecognizer::new(&ChordConfig::new(rate))?;
    let delay = rate.seconds(recognizer.latency());
    println!("{}: each chord is told {delay:.2} s later", song.name);
    let mut recognizer = Mix::down(format.channels())?.then(recognizer);
    let mut next = NextChord::new(&NextChordConfig::new())?;

    // An estimate speaks for the tenth of a second around it.
    let (mut chords, mut keys) = (Spans::default(), Spans::default());
    let mut hear = |at: SampleIndex, block: &[f32]| {
        recognizer.process(at, block, |at, estimate| {
            let from = at.seconds(rate) - 0.05;
            keys.add(from, estimate.key().key().map_or("X".to_owned(), |key| key.to_string()));
            if !chords.add(from, estimate.label()) {
                return;
            }
            let (label, sure) = (estimate.label().to_string(), 100.0 * estimate.confidence());
            print!("{from:8.2}  {label:10} {sure:3.0} %");
            if let ChordLabel::Chord(chord) = estimate.label() {
                next.begin(chord.triad(), None);
                print!("   next:{}", likeliest(&next));
            }
            println!();
        });
    };
    let mut end = SampleIndex(0);
    song.hear(|at, block| {
        end = at + (block.len() / format.channels()) as u64;
        hear(at, block);
    })?;
    // What is still on its way when the song ends comes out with silence.
    hear(end, &vec![0.0; rate.samples(1.5) as usize * format.channels()]);

    if let Some(out) = out {
        let stem = Path::new(&song.name).file_stem().ok_or("a song has a name")?;
        let path = out.join(stem);
        chords.write(&path.with_extension("lab"), end.seconds(rate))?;
        keys.write(&path.with_extension("key.lab"), end.seconds(rate))?;
    }
    Ok(())
}

fn likeliest(next: &NextChord) -> String {
    let Some(probabilities) = next.probabilities() else { return String::new() };
    let mut order: Vec<usize> = (0..Triad::COUNT).collect();
    order.sort_by(|a, b| probabilities[*b].total_cmp(&probabilities[*a]));
    let text = |n: &usize| format!(" {} {:.0} %", Triad::from_index(*n), 100.0 * probabilities[*n]);
    order.iter().take(3).map(text).collect()
}

/// Labels one after the other, from the start of the song.
struct Spans<T>(Vec<(f64, T)>);

impl<T> Default for Spans<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: PartialEq + Display> Spans<T> {
    /// Whether the label is a new one.
    fn add(&mut self, from: f64, label: T) -> bool {
        let new = self.0.last().is_none_or(|(_, last)| *last != label);
        if new {
            self.0.push((if self.0.is_empty() { 0.0 } else { from }, label));
        }
        new
    }

    fn write(&self, path: &Path, end: f64) -> std::io::Result<()> {
        let mut file = BufWriter::new(File::create(path)?);
        for (n, (from, label)) in self.0.iter().enumerate() {
            let to = self.0.get(n + 1).map_or(end, |next| next.0).min(end);
            if to > *from {
                writeln!(file, "{from:.3}\t{to:.3}\t{label}")?;
            }
        }
        file.flush()
    }
}
