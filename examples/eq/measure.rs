//! The measurements of `docs/adaptive-eq.md` on recordings: adaptivity, leak, direction.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use upbeat::core::{SampleIndex, Stage};
use upbeat::eq::{
    AdaptiveConfig, AdaptiveEqualizer, Band, Direction, Equalizer, EqualizerConfig, ToneCurve,
    ToneEar, ToneEarConfig, ToneModel, Vocabulary, Word,
};

use crate::Failure;
use crate::song::{Song, mono};

/// Words whose adaptivity is measured.
const WORDS: [&str; 8] = ["warm", "bright", "dark", "mellow", "deep", "harsh", "crisp", "tinny"];

/// How much of the word is there already.
const SHARES: [f64; 6] = [-1.0, -0.5, 0.0, 0.5, 1.0, 1.5];

/// Updates before this many seconds are left out.
const SETTLED: f64 = 5.0;

/// What one song gave.
struct Row {
    name: String,
    /// RMS of the tone estimated of the song as it is, in dB.
    leak: f64,
    /// Per word, share by share.
    produced: Vec<[f64; SHARES.len()]>,
    /// Per word with a known direction, change of tilt in dB per octave.
    tilts: Vec<f64>,
}

pub(crate) fn run(paths: &[PathBuf], seconds: f64, model: Option<&Path>) -> Result<(), Failure> {
    let model = match model {
        Some(path) => ToneModel::read(&std::fs::read(path)?)?,
        None => ToneModel::builtin(),
    };
    let mut songs = vec![Song::open(None, Some(seconds))?];
    for path in paths {
        songs.push(Song::open(Some(path), Some(seconds))?);
    }
    let vocabulary = Vocabulary::builtin();
    let adaptive: Vec<&Word> =
        WORDS.iter().map(|word| vocabulary.word(word)).collect::<Result<_, _>>()?;
    let directed: Vec<&Word> =
        vocabulary.words().iter().filter(|word| word.direction != Direction::Open).collect();

    let next = AtomicUsize::new(0);
    let rows = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(song) = songs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let row = measure(song, &model, &adaptive, &directed);
                    rows.lock().expect("no thread panics with it").push(row);
                }
            });
        }
    });
    let rows = rows.into_inner()?.into_iter().collect::<Result<Vec<Row>, Failure>>()?;
    tell(&rows, &directed);
    Ok(())
}

fn measure(
    song: &Song,
    model: &ToneModel,
    adaptive: &[&Word],
    directed: &[&Word],
) -> Result<Row, Failure> {
    let mut leak = 0.0;
    let produced = adaptive
        .iter()
        .map(|word| {
            let unit = 3.0 / word.curve.timbre().rms();
            let mut row = [0.0; SHARES.len()];
            for (share, produced) in SHARES.iter().zip(&mut row) {
                let before = preset(song, word, unit * share)?;
                let outcome = adapt(song, before, model, &word.name, [1.0, 24.0])?;
                *produced = outcome.applied.share_of(&(word.curve * unit));
                if *share == 0.0 {
                    leak = outcome.heard;
                }
            }
            Ok(row)
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    let before = spectrum_tilt(song, &song.samples)?;
    let tilts = directed
        .iter()
        .map(|word| {
            let outcome = adapt(song, song.samples.clone(), model, &word.name, [0.5, 9.0])?;
            Ok(spectrum_tilt(song, &outcome.samples)? - before)
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    Ok(Row { name: song.name.clone(), leak, produced, tilts })
}

/// The song through a word's settings, gains times `factor`.
fn preset(song: &Song, word: &Word, factor: f64) -> Result<Vec<f32>, Failure> {
    let bands = word.settings.bands().map(|b| Band::new(b.kind, b.frequency, b.gain * factor, b.q));
    let config = EqualizerConfig::new(song.format.sample_rate(), song.format.channels(), &bands);
    let mut samples = song.samples.clone();
    Equalizer::new(&config)?.process_in_place(SampleIndex(0), &mut samples);
    Ok(samples)
}

struct Outcome {
    samples: Vec<f32>,
    /// Mean over updates.
    applied: ToneCurve,
    /// RMS over updates and frequencies, in dB.
    heard: f64,
}

fn adapt(
    song: &Song,
    mut samples: Vec<f32>,
    model: &ToneModel,
    word: &str,
    [intensity, depth]: [f64; 2],
) -> Result<Outcome, Failure> {
    let (rate, channels) = (song.format.sample_rate(), song.format.channels());
    let mut config = AdaptiveConfig::new(rate, channels);
    (config.words, config.model) = (Some(word.into()), model.clone());
    (config.intensity, config.depth) = (intensity, depth);
    let (mut equalizer, mut handle) = AdaptiveEqualizer::new(&config)?;
    let mut at = SampleIndex(0);
    let (mut sum, mut squares, mut count) = (ToneCurve::FLAT, 0.0, 0.0);
    let seconds = song.samples.len() as f64 / channels as f64 / rate.as_f64();
    let settled = SETTLED.min(seconds / 2.0);
    let length = equalizer.update_length() as usize * channels;
    for block in samples.chunks_mut(length) {
        equalizer.process_in_place(at, block);
        at += (block.len() / channels) as u64;
        if at.seconds(rate) > settled
            && let Some(status) = handle.status()
        {
            sum = sum + status.applied;
            squares += status.heard.unwrap_or_default().rms().powi(2);
            count += 1.0;
        }
    }
    if count == 0.0 {
        return Err(format!("{} is too short to measure", song.name).into());
    }
    Ok(Outcome { samples, applied: sum * (1.0 / count), heard: (squares / count).sqrt() })
}

/// The straight line nearest to the mean spectrum over octaves, 50 Hz to 10 kHz, in dB per octave.
fn spectrum_tilt(song: &Song, samples: &[f32]) -> Result<f64, Failure> {
    let mut config = ToneEarConfig::new(song.format.sample_rate());
    config.memory = 600.0;
    let mut ear = ToneEar::new(&config)?;
    ear.process(SampleIndex(0), &mono(samples, song.format.channels()), |_, _| {});
    let Some(tone) = ear.tone(&[0.0; 64]) else {
        return Err(format!("{} has no half second of music", song.name).into());
    };
    let top = 10_000_f64.min(0.45 * song.format.sample_rate().as_f64());
    let points: Vec<[f64; 3]> = (1..63)
        .filter(|b| (50.0..top).contains(&ToneEar::centre(*b)))
        .map(|b| {
            let octave = |b: usize| ToneEar::centre(b).log2();
            [octave(b), f64::from(tone[b]), octave(b + 1) - octave(b - 1)]
        })
        .collect();
    let weight: f64 = points.iter().map(|[_, _, w]| w).sum();
    let mean = |of: usize| points.iter().map(|p| p[of] * p[2]).sum::<f64>() / weight;
    let (x, y) = (mean(0), mean(1));
    let product: f64 = points.iter().map(|[px, py, w]| w * (px - x) * (py - y)).sum();
    Ok(product / points.iter().map(|[px, _, w]| w * (px - x).powi(2)).sum::<f64>())
}

fn tell(rows: &[Row], directed: &[&Word]) {
    println!("Adaptivity: slope of what is produced at intensity 1 on what is there already");
    println!("{:<10} {:>7} {:>16}", "word", "slope", "worst song");
    for (w, word) in WORDS.iter().enumerate() {
        let slopes: Vec<f64> = rows.iter().map(|row| slope(&row.produced[w])).collect();
        let mean = slopes.iter().sum::<f64>() / slopes.len() as f64;
        let worst = slopes.iter().copied().fold(f64::MIN, f64::max);
        println!("{word:<10} {mean:>+7.2} {worst:>+16.2}");
    }
    println!("\nLeak: RMS of the tone estimated of songs as they are");
    for row in rows {
        println!("{:>5.2} dB  {}", row.leak, row.name);
    }
    let squares = rows.iter().map(|row| row.leak.powi(2)).sum::<f64>();
    println!("{:>5.2} dB  all", (squares / rows.len() as f64).sqrt());

    println!("\nDirection: change of the output's tilt at intensity 0.5, in dB per octave");
    println!("{:<10} {:>6} {:>8} {:>8} {:>8}", "word", "way", "right", "least", "median");
    let mut right_of_all = [0, 0];
    for (w, word) in directed.iter().enumerate() {
        let rising = word.direction == Direction::Rises;
        let sign = if rising { 1.0 } else { -1.0 };
        let mut changes: Vec<f64> = rows.iter().map(|row| sign * row.tilts[w]).collect();
        changes.sort_by(f64::total_cmp);
        let right = changes.iter().filter(|change| **change > 0.0).count();
        right_of_all[0] += right;
        right_of_all[1] += changes.len();
        println!(
            "{:<10} {:>6} {right:>5}/{:<2} {:>+8.2} {:>+8.2}",
            word.name,
            if rising { "rises" } else { "falls" },
            changes.len(),
            sign * changes[0],
            sign * changes[changes.len() / 2]
        );
    }
    println!("all: {} of {}", right_of_all[0], right_of_all[1]);
}

/// Least squares over the shares.
fn slope(produced: &[f64; SHARES.len()]) -> f64 {
    let n = SHARES.len() as f64;
    let (x, y) = (SHARES.iter().sum::<f64>() / n, produced.iter().sum::<f64>() / n);
    let product: f64 = SHARES.iter().zip(produced).map(|(s, p)| (s - x) * (p - y)).sum();
    product / SHARES.iter().map(|s| (s - x).powi(2)).sum::<f64>()
}
