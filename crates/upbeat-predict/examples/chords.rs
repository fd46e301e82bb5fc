//! Chords, keys and what comes next, as they are heard.
//!
//! `cargo run --release -p upbeat-predict --example chords -- SONG.wav… [--out DIR]` prints each chord when it is
//! announced, the key, and the distribution over the next chord. With `--out` it writes DIR/STEM.lab and
//! DIR/STEM.key.lab: start, end, label in seconds. Everything is causal; the delay is printed first.

use std::error::Error;
use std::fmt::Display;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use upbeat_core::{SampleIndex, SampleRate, Stage};
use upbeat_predict::harmony::{
    ChordConfig, ChordLabel, ChordRecognizer, NextChord, NextChordConfig, Triad,
};

fn main() -> Result<(), Box<dyn Error>> {
    let (mut songs, mut out) = (Vec::new(), None);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--out" {
            out = Some(PathBuf::from(arguments.next().ok_or("--out needs a folder")?));
        } else {
            songs.push(PathBuf::from(argument));
        }
    }
    if songs.is_empty() {
        return Err("usage: chords SONG.wav… [--out DIR]".into());
    }
    for song in songs {
        listen(&song, out.as_deref())?;
    }
    Ok(())
}

fn listen(song: &Path, out: Option<&Path>) -> Result<(), Box<dyn Error>> {
    let (samples, rate) = read(song)?;
    let mut recognizer = ChordRecognizer::new(&ChordConfig::new(rate))?;
    let mut next = NextChord::new(&NextChordConfig::new())?;
    let end = rate.seconds(samples.len() as u64);
    println!(
        "{}: each chord is told {:.2} s later",
        song.display(),
        rate.seconds(recognizer.latency())
    );

    // An estimate speaks for the tenth of a second around it.
    let (mut chords, mut keys) = (Spans::default(), Spans::default());
    let mut hear = |at: SampleIndex, block: &[f32]| {
        recognizer.process(at, block, |at, estimate| {
            let from = (at.seconds(rate) - 0.05).min(end);
            keys.add(from, estimate.key().key().map_or("X".to_owned(), |key| key.to_string()));
            if !chords.add(from, estimate.label()) {
                return;
            }
            print!(
                "{from:8.2}  {:10} {:3.0} %",
                estimate.label().to_string(),
                100.0 * estimate.confidence()
            );
            if let ChordLabel::Chord(chord) = estimate.label() {
                next.begin(chord.triad(), None);
                print!("   next:{}", likeliest(&next));
            }
            println!();
        });
    };
    hear(SampleIndex(0), &samples);
    // What is still on its way when the song ends comes out with silence.
    hear(SampleIndex(samples.len() as u64), &vec![0.0; rate.samples(1.5) as usize]);

    if let Some(out) = out {
        let stem = song.file_stem().ok_or("a song has a name")?;
        chords.write(&out.join(stem).with_extension("lab"), end)?;
        keys.write(&out.join(stem).with_extension("key.lab"), end)?;
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

fn read(song: &Path) -> Result<(Vec<f32>, SampleRate), Box<dyn Error>> {
    let mut reader = hound::WavReader::open(song)?;
    let spec = reader.spec();
    let full = (1_u64 << (spec.bits_per_sample - 1)) as f32;
    let samples: Vec<f32> = match spec.sample_format {
        hound::SampleFormat::Float => reader.samples().collect::<Result<_, _>>()?,
        hound::SampleFormat::Int => {
            reader.samples::<i32>().map(|s| s.map(|s| s as f32 / full)).collect::<Result<_, _>>()?
        }
    };
    let channels = usize::from(spec.channels);
    let mono = samples.chunks_exact(channels).map(|s| s.iter().sum::<f32>() / channels as f32);
    Ok((mono.collect(), SampleRate::new(spec.sample_rate)?))
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
            let to = self.0.get(n + 1).map_or(end, |next| next.0);
            if to > *from {
                writeln!(file, "{from:.3}\t{to:.3}\t{label}")?;
            }
        }
        file.flush()
    }
}
