//! Thirty short tracks made by code, in five styles, so that the example needs no music.

use std::f64::consts::TAU;
use std::fs;
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use lofty::config::WriteOptions;
use lofty::tag::{Accessor, Tag, TagExt, TagType};
use upbeat_core::{SampleIndex, SampleRate};
use upbeat_io::{Source, SynthSource, WavEncoding, WavSink};

const RATE: u32 = 44_100;
const SECONDS: u64 = 40;

/// What a style sounds like: name, artist, tempo, loudness of drums, of hats and of chords, how bright chords are.
const STYLES: [(&str, &str, f64, [f64; 3], f64); 5] = [
    ("House", "The Made-Ups", 122.0, [0.5, 0.08, 0.12], 0.25),
    ("Techno", "Carrier Wave", 132.0, [0.6, 0.15, 0.06], 0.5),
    ("Drum and bass", "Sixteenth", 172.0, [0.5, 0.2, 0.1], 0.4),
    ("Hip hop", "MC Sine", 92.0, [0.45, 0.05, 0.1], 0.12),
    ("Ambient", "Slow Phase", 104.0, [0.05, 0.01, 0.25], 0.08),
];

/// The folder with the tracks, which are made where they are missing.
pub(crate) fn tracks(folder: &Path) -> Result<PathBuf, Box<dyn std::error::Error>> {
    fs::create_dir_all(folder)?;
    println!("30 made-up tracks: {}", folder.display());
    let bar = ProgressBar::new(30);
    for number in 0..30_u32 {
        let (style, artist, base, levels, bright) = STYLES[number as usize % 5];
        let title = format!("{style} {}", number / 5 + 1);
        let path = folder.join(format!("{:02} {title}.wav", number + 1));
        if !path.exists() {
            // Tempi near each other and keys all round the circle of fifths.
            let tempo = base + f64::from(number / 5) * 0.7;
            let song = Song {
                tempo,
                tonic: f64::from(number * 7 % 12),
                minor: number % 3 != 0,
                levels,
                bright: bright * (1.0 + 0.1 * f64::from(number / 5)),
            };
            // Whole or not at all, also if the program is stopped in the middle.
            let part = path.with_extension("part");
            write(&part, song)?;
            let mut tag = Tag::new(TagType::RiffInfo);
            tag.set_title(title);
            tag.set_artist(artist.into());
            fs::rename(&part, &path)?;
            tag.save_to_path(&path, WriteOptions::default())?;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(folder.to_owned())
}

fn write(path: &Path, mut song: Song) -> Result<(), Box<dyn std::error::Error>> {
    let rate = SampleRate::new(RATE)?;
    let mut low = 0.0;
    let mut source = SynthSource::mono(rate, Some(SECONDS * u64::from(RATE)), move |at| {
        song.sample(at, &mut low)
    });
    let mut sink = WavSink::create(path, source.format(), WavEncoding::Int16)?;
    let mut buffer = vec![0.0; 8192];
    while let Some(block) = source.read(&mut buffer)? {
        sink.write(block.interleaved)?;
    }
    sink.finish()?;
    Ok(())
}

#[derive(Clone, Copy)]
struct Song {
    tempo: f64,
    /// Semitones above C.
    tonic: f64,
    minor: bool,
    /// Of drums, hats and chords.
    levels: [f64; 3],
    /// How much of the chords' treble passes, 0 to 1.
    bright: f64,
}

impl Song {
    fn sample(&mut self, at: SampleIndex, low: &mut f64) -> f32 {
        let Self { tempo, tonic, minor, levels: [drums, hats, chords], bright } = *self;
        let seconds = at.0 as f64 / f64::from(RATE);
        let beats = seconds * tempo / 60.0;
        let since = |division: f64| (beats * division).fract() / division * 60.0 / tempo;

        // A sine that falls on each beat; noise on each second half beat, and between, softer.
        let t = since(1.0);
        let kick = (TAU * (50.0 * t + 4.0 * (1.0 - (-t * 40.0).exp()))).sin() * (-t * 9.0).exp();
        let t = since(2.0);
        let offbeat = if (beats * 2.0) as u64 % 2 == 1 { 1.0 } else { 0.5 };
        let hat = noise(at.0) * (-t * 60.0).exp() * offbeat;

        // I-vi-IV-V, or i-VI-iv-v, a bar each: root, third and fifth of saws, through a low pass.
        let bar = (beats / 4.0) as usize % 4;
        let (steps, third): ([f64; 4], [f64; 4]) = if minor {
            ([0.0, 8.0, 5.0, 7.0], [3.0, 4.0, 3.0, 3.0])
        } else {
            ([0.0, 9.0, 5.0, 7.0], [4.0, 3.0, 4.0, 4.0])
        };
        let root = 48.0 + (tonic + steps[bar]) % 12.0;
        let saw = |note: f64| {
            let frequency = 440.0 * ((note - 69.0) / 12.0).exp2();
            2.0 * (frequency * seconds).fract() - 1.0
        };
        let chord = saw(root) + saw(root + third[bar]) + saw(root + 7.0) + saw(root - 12.0);
        *low += (bright * bright).clamp(0.005, 1.0) * (chord - *low);
        (drums * kick + hats * hat + chords * *low) as f32
    }
}

/// White noise, the same for each index.
fn noise(at: u64) -> f64 {
    let mut z = at.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (z >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}
