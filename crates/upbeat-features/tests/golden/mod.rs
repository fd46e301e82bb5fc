//! The values that librosa computed (`golden.npz`, made by `make.py`), and how ours are held against them.

use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;

use npyz::NpyFile;
use zip::ZipArchive;

/// One way of framing and one rate, at which every signal is analysed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) rate: u32,
    pub(crate) n_fft: usize,
    pub(crate) hop_length: usize,
}

/// One stored frame of one feature.
pub(crate) struct Stored {
    pub(crate) case: Case,
    /// Which signal of [`signals`].
    pub(crate) signal: usize,
    /// Which frame of the signal.
    pub(crate) frame: usize,
    /// The feature's values, one for each stored row.
    pub(crate) expected: Vec<f64>,
}

/// A signal of the golden file.
pub(crate) struct Signal {
    pub(crate) name: String,
    pub(crate) samples: Vec<f32>,
}

/// The signals, in the order of [`Stored::signal`].
pub(crate) fn signals() -> Vec<Signal> {
    let mut archive = open("golden.npz");
    let names: Vec<u8> = read(&mut archive, "names").1.into_iter().map(|c| c as u8).collect();
    let names = String::from_utf8(names).expect("names are ASCII");
    let (shape, values) = read(&mut archive, "signals");
    let all: Vec<f32> = values.into_iter().map(|sample| sample as f32 / 32768.0).collect();
    let each = all.chunks(shape[1]).map(<[f32]>::to_vec);
    names.split(',').zip(each).map(|(n, samples)| Signal { name: n.into(), samples }).collect()
}

/// All stored frames of `feature`, at all rates and sizes.
pub(crate) fn stored(feature: &str) -> Vec<Stored> {
    let mut archive = open("golden.npz");
    let mut all = Vec::new();
    for rate in RATES {
        for (n_fft, hop_length) in SIZES {
            let size = format!("{n_fft}-{hop_length}");
            let kind = if feature.starts_with("delta") { "interior" } else { "frames" };
            let (_, mut frames) = read(&mut archive, &format!("{size}-{kind}"));
            if feature == "stft" {
                frames.truncate(1);
            }
            let any_rate = ["rms", "zcr", "flatness", "stft"].contains(&feature);
            let rate_prefix = if any_rate { String::new() } else { format!("{rate}-") };
            let (shape, values) = read(&mut archive, &format!("{rate_prefix}{size}-{feature}"));
            let (n_signals, n_frames) = (shape[0], frames.len());
            let n_rows = values.len() / n_signals / n_frames;
            for signal in 0..n_signals {
                for (t, frame) in frames.iter().enumerate() {
                    let at = |row| values[(signal * n_rows + row) * n_frames + t];
                    all.push(Stored {
                        case: Case { rate, n_fft, hop_length },
                        signal,
                        frame: *frame as usize,
                        expected: (0..n_rows).map(at).collect(),
                    });
                }
            }
        }
    }
    all
}

/// Compares a feature with librosa's at all rates, sizes and signals, and prints the worst error.
///
/// `compute` gives all frames of a signal, each with all rows; where fewer rows are stored, every
/// third. The error is relative to the feature's range, the span of librosa's values for all
/// signals at the same rate and size.
///
/// # Panics
///
/// If an error exceeds `bound` of the range.
pub(crate) fn check(feature: &str, bound: f64, compute: impl Fn(Case, &[f32]) -> Vec<Vec<f32>>) {
    let signals = signals();
    let stored = stored(feature);
    let mut computed: HashMap<_, Vec<Vec<f32>>> = HashMap::new();
    let mut spans: HashMap<_, Span> = HashMap::new();
    for Stored { case, signal, expected, .. } in &stored {
        let span = spans.entry((case.rate, case.n_fft)).or_default();
        for value in expected {
            span.add(*value);
        }
        computed
            .entry((case.rate, case.n_fft, *signal))
            .or_insert_with(|| compute(*case, &signals[*signal].samples));
    }
    let (mut worst, mut place) = (0.0, String::new());
    for Stored { case, signal, frame, expected } in &stored {
        let found = &computed[&(case.rate, case.n_fft, *signal)][*frame];
        let range = spans[&(case.rate, case.n_fft)].width();
        let step = if found.len() > expected.len() { BAND_STEP } else { 1 };
        assert_eq!(found.len().div_ceil(step), expected.len(), "{feature}: rows");
        for (row, (found, expected)) in found.iter().step_by(step).zip(expected).enumerate() {
            let error = (f64::from(*found) - expected).abs() / range;
            assert!(error.is_finite(), "{feature}: {found} where {expected} is expected");
            if error > worst {
                worst = error;
                place = format!(
                    "{found} for {expected}, {} at {} Hz, {}/{}, frame {frame}, row {row}",
                    signals[*signal].name, case.rate, case.n_fft, case.hop_length,
                );
            }
        }
    }
    println!("{feature:>10} {worst:9.1e}  {place}");
    assert!(worst <= bound, "{feature}: {worst:.1e} of the range exceeds {bound:.0e}: {place}");
}

/// The array of this name, as its shape and values.
pub(crate) fn read(
    archive: &mut ZipArchive<BufReader<File>>,
    name: &str,
) -> (Vec<usize>, Vec<f64>) {
    let file =
        archive.by_name(&format!("{name}.npy")).unwrap_or_else(|_| panic!("no array {name}"));
    let array = NpyFile::new(file).expect(SOUND);
    let shape = array.shape().iter().map(|n| *n as usize).collect();
    let values = match array.dtype().descr().as_str() {
        "'<f8'" => array.into_vec().expect(SOUND),
        "'<f4'" => floats(array.into_vec::<f32>().expect(SOUND)),
        "'<i2'" => floats(array.into_vec::<i16>().expect(SOUND)),
        "'|u1'" => floats(array.into_vec::<u8>().expect(SOUND)),
        "'<i8'" => array.into_vec::<i64>().expect(SOUND).into_iter().map(|x| x as f64).collect(),
        other => panic!("array {name} has type {other}"),
    };
    (shape, values)
}

/// An archive of this folder: `golden.npz`, `matlab.npz` or `fbank.npz`, made by the scripts beside them.
pub(crate) fn open(file: &str) -> ZipArchive<BufReader<File>> {
    let path = format!("{}/tests/golden/{file}", env!("CARGO_MANIFEST_DIR"));
    ZipArchive::new(BufReader::new(File::open(path).expect(SOUND))).expect(SOUND)
}

fn floats<T: Into<f64>>(values: Vec<T>) -> Vec<f64> {
    values.into_iter().map(Into::into).collect()
}

/// The smallest and the largest of some values.
struct Span(f64, f64);

impl Span {
    fn add(&mut self, value: f64) {
        *self = Self(self.0.min(value), self.1.max(value));
    }

    fn width(&self) -> f64 {
        self.1 - self.0
    }
}

impl Default for Span {
    fn default() -> Self {
        Self(f64::INFINITY, f64::NEG_INFINITY)
    }
}

const SOUND: &str = "the archive is sound";
const RATES: [u32; 4] = [16_000, 22_050, 44_100, 48_000];
const SIZES: [(usize, usize); 4] = [(2048, 512), (1024, 256), (4096, 1024), (512, 128)];
/// Which rows of mel, log-mel and PCEN are stored: every third.
const BAND_STEP: usize = 3;
