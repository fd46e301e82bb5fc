//! A table with a row per second, and a summary, of the features of one song.

use std::fmt::Write as _;

use upbeat::core::{Decibels, SampleRate};
use upbeat::{Feature, FeatureFrame, FeatureLayout, FeatureSet};

/// What the table shows unless asked for something else.
pub(crate) const DEFAULT_FEATURES: &str =
    "rms,peak,loudness,spectral_centroid,pitch,chroma_stft,onset";

/// Gathers frames into rows of one second and, over the whole song, into a summary.
pub(crate) struct Table {
    rate: SampleRate,
    columns: Vec<(Feature, Reading)>,
    /// Features with many values per frame, which have no place in a table.
    untold: Vec<&'static str>,
    second: Gathered,
    song: Gathered,
    rows: String,
    next_row: u64,
}

/// How a feature is read over many frames.
#[derive(Clone, Copy, PartialEq)]
enum Reading {
    /// Root mean square, in dB.
    Level,
    /// Largest value, in dB.
    Peak,
    /// Mean momentary loudness of a second, integrated loudness of a song.
    Loudness,
    /// Mean of the values known.
    Mean,
    /// Median of the values known, as the name of a note.
    Note,
    /// Largest pitch classes of the sum.
    PitchClasses,
    /// How many frames have a value.
    Count,
}

impl Reading {
    fn of(feature: Feature, columns: usize) -> Option<Self> {
        match feature {
            Feature::Rms => Some(Self::Level),
            Feature::Peak => Some(Self::Peak),
            Feature::Loudness => Some(Self::Loudness),
            Feature::Pitch | Feature::Pyin => Some(Self::Note),
            Feature::ChromaStft | Feature::ChromaCqt => Some(Self::PitchClasses),
            Feature::Onset => Some(Self::Count),
            _ => (columns == 1).then_some(Self::Mean),
        }
    }
}

impl Table {
    /// An empty table for frames of this layout.
    pub(crate) fn new(layout: &FeatureLayout) -> Self {
        let (mut columns, mut untold) = (Vec::new(), Vec::new());
        for feature in layout.features() {
            match Reading::of(feature, layout.columns(feature).len()) {
                Some(reading) => columns.push((feature, reading)),
                None => untold.push(feature.name()),
            }
        }
        let mut rows = format!("{:>7}", "second");
        for (feature, reading) in &columns {
            let _ = write!(rows, " {:>WIDTH$}", heading(*feature, *reading));
        }
        rows.push('\n');
        Self {
            rate: layout.spec().sample_rate(),
            second: Gathered::new(columns.len(), Span::Second),
            song: Gathered::new(columns.len(), Span::Song),
            columns,
            untold,
            rows,
            next_row: 1,
        }
    }

    /// Takes the next frame.
    pub(crate) fn push(&mut self, frame: &FeatureFrame) {
        let second = frame.seconds() as u64;
        if second >= self.next_row {
            self.end_row();
            self.next_row = second + 1;
        }
        self.second.push(frame, &self.columns);
        self.song.push(frame, &self.columns);
    }

    /// The rows and the summary of a song of `samples` samples.
    pub(crate) fn finish(mut self, samples: u64) -> String {
        self.end_row();
        let mut text = self.rows;
        let _ = writeln!(text, "\n  {:<22} {:.2} s", "duration", self.rate.seconds(samples));
        for (i, (feature, reading)) in self.columns.iter().enumerate() {
            let _ = writeln!(
                text,
                "  {:<22} {}",
                title(*feature),
                self.song.tell(i, *feature, *reading)
            );
        }
        if !self.untold.is_empty() {
            let _ = writeln!(
                text,
                "  ({}: many values per frame; see them with --format csv, jsonl or npz)",
                self.untold.join(", ")
            );
        }
        text
    }

    fn end_row(&mut self) {
        if self.second.frames > 0 {
            let _ = write!(self.rows, "{:>7}", self.next_row - 1);
            for (i, (feature, reading)) in self.columns.iter().enumerate() {
                let cell = self.second.tell(i, *feature, *reading);
                let _ = write!(self.rows, " {cell:>WIDTH$}");
            }
            self.rows.push('\n');
        }
        self.second = Gathered::new(self.columns.len(), Span::Second);
    }
}

/// What is gathered over: it decides which of the three loudnesses is told.
#[derive(Clone, Copy)]
enum Span {
    Second,
    Song,
}

/// Frames seen, per column of the table.
struct Gathered {
    span: Span,
    frames: u64,
    columns: Vec<Column>,
}

#[derive(Clone, Default)]
struct Column {
    known: u64,
    sum: f64,
    squares: f64,
    max: f32,
    integrated: Option<f32>,
    /// Frames per semitone (MIDI number).
    notes: Vec<u32>,
    classes: [f64; 12],
}

impl Gathered {
    fn new(columns: usize, span: Span) -> Self {
        Self { span, frames: 0, columns: vec![Column::default(); columns] }
    }

    fn push(&mut self, frame: &FeatureFrame, columns: &[(Feature, Reading)]) {
        self.frames += 1;
        for (column, (feature, reading)) in self.columns.iter_mut().zip(columns) {
            let values = frame.values(*feature);
            match reading {
                Reading::PitchClasses => {
                    for (sum, value) in column.classes.iter_mut().zip(values) {
                        *sum += f64::from(*value);
                    }
                }
                Reading::Loudness => {
                    column.integrated = known(values.last()).or(column.integrated);
                    if let Some(momentary) = known(values.first()) {
                        column.known += 1;
                        column.sum += 10_f64.powf(f64::from(momentary) / 10.0);
                    }
                }
                _ => {
                    let Some(value) = known(values.first()) else { continue };
                    column.known += 1;
                    column.sum += f64::from(value);
                    column.squares += f64::from(value).powi(2);
                    column.max = column.max.max(value);
                    if *reading == Reading::Note {
                        let note = (69.0 + 12.0 * (value / 440.0).log2()).round().clamp(0.0, 127.0);
                        column.notes.resize(128, 0);
                        column.notes[note as usize] += 1;
                    }
                }
            }
        }
    }

    fn tell(&self, i: usize, feature: Feature, reading: Reading) -> String {
        let column = &self.columns[i];
        let mean = (column.known > 0).then(|| column.sum / column.known as f64);
        match reading {
            Reading::Count => column.known.to_string(),
            Reading::Level if column.known > 0 => {
                let level = Decibels::from_power((column.squares / column.known as f64) as f32);
                format!("{:.1} dB", level.0)
            }
            Reading::Peak if column.known > 0 => {
                format!("{:.1} dB", Decibels::from_amplitude(column.max).0)
            }
            Reading::Loudness => {
                let lufs = match self.span {
                    Span::Second => mean.map(|mean| 10.0 * mean.log10()),
                    Span::Song => column.integrated.map(f64::from),
                };
                lufs.map_or(UNKNOWN.into(), |lufs| format!("{lufs:.1} LUFS"))
            }
            Reading::Note => median_note(&column.notes).unwrap_or(UNKNOWN.into()),
            Reading::PitchClasses => largest_classes(&column.classes).unwrap_or(UNKNOWN.into()),
            _ => mean.map_or(UNKNOWN.into(), |mean| format_value(feature, mean)),
        }
    }
}

/// A frequency's usual name, such as `A4`, for the note in the middle of all counted.
fn median_note(notes: &[u32]) -> Option<String> {
    let total: u32 = notes.iter().sum();
    let mut before = 0;
    notes
        .iter()
        .position(|count| {
            before += count;
            *count > 0 && before * 2 >= total
        })
        .map(|note| format!("{}{}", PITCH_CLASSES[note % 12], note as i32 / 12 - 1))
}

/// The three largest pitch classes, largest first.
fn largest_classes(sums: &[f64; 12]) -> Option<String> {
    let mut order: Vec<usize> = (0..12).filter(|class| sums[*class] > 0.0).collect();
    order.sort_by(|a, b| sums[*b].total_cmp(&sums[*a]));
    let names: Vec<_> = order.iter().take(3).map(|class| PITCH_CLASSES[*class]).collect();
    (!names.is_empty()).then(|| names.join(" "))
}

fn known(value: Option<&f32>) -> Option<f32> {
    value.copied().filter(|value| value.is_finite())
}

fn format_value(feature: Feature, value: f64) -> String {
    match feature {
        Feature::SpectralCentroid | Feature::SpectralBandwidth | Feature::SpectralRolloff => {
            format!("{value:.0} Hz")
        }
        _ => format!("{value:.4}"),
    }
}

fn heading(feature: Feature, reading: Reading) -> String {
    match (feature, reading) {
        (Feature::Rms, _) => "level".into(),
        (Feature::SpectralCentroid, _) => "brightness".into(),
        (Feature::ChromaStft | Feature::ChromaCqt, _) => "classes".into(),
        (Feature::Onset, _) => "onsets".into(),
        _ => {
            feature.name().chars().rev().take(WIDTH).collect::<Vec<_>>().into_iter().rev().collect()
        }
    }
}

fn title(feature: Feature) -> &'static str {
    match feature {
        Feature::Rms => "level (RMS)",
        Feature::Loudness => "loudness (integrated)",
        Feature::SpectralCentroid => "brightness (centroid)",
        Feature::ChromaStft | Feature::ChromaCqt => "main pitch classes",
        Feature::Pitch | Feature::Pyin => "median pitch",
        Feature::Onset => "onsets",
        _ => feature.name(),
    }
}

/// The features that a table shows when `list` is what was asked for.
pub(crate) fn features(list: Option<&str>) -> Result<FeatureSet, upbeat::core::ConfigError> {
    list.unwrap_or(DEFAULT_FEATURES).parse()
}

const WIDTH: usize = 11;
const UNKNOWN: &str = "-";
const PITCH_CLASSES: [&str; 12] = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"];
