//! What a track sounds like, from its samples.

use std::sync::atomic::{AtomicBool, Ordering};

use upbeat::{Analyzer, AnalyzerConfig, Feature, FeatureFrame};
use upbeat_core::{SampleRate, Stage, sanitize};
use upbeat_io::{IoError, Source};
use upbeat_predict::harmony::{ChordConfig, ChordRecognizer, Key, Triad};

use crate::tempo::{self, OnsetCurve};
use crate::{LibraryError, TrackAnalysis, TrackKey};

/// The version of what [`analyse_track`] computes, stored with every track; a scan analyses tracks of another version
/// again.
pub const FEATURE_VERSION: u32 = 1;

/// Analyses a whole source, in memory that grows by 350 bytes per second of it.
///
/// Frames are about 46 ms long (a power of two), four to a length. Features are means over all frames that are not
/// silent, see [`TrackAnalysis`]; the tempo is found off-line from the whole curve of onset strength, see
/// `docs/library.md`; the key is that of [`ChordRecognizer`], averaged. What cannot be known of so short or so silent a
/// sound is `None`.
///
/// # Errors
///
/// If the source breaks off within its first second, or has no sample at all. If it breaks off later, what came before
/// is analysed, and [`damage`](TrackAnalysis::damage) says so.
///
/// # Examples
///
/// ```
/// use upbeat_core::SampleRate;
/// use upbeat_io::demo::DemoSource;
///
/// let mut song = DemoSource::new(SampleRate::new(22_050)?)?;
/// let analysis = upbeat_library::analyse_track(&mut song)?;
/// assert_eq!(analysis.duration, 16.0);
/// assert!((analysis.tempo.expect("a beat").bpm - 120.0).abs() < 0.5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn analyse_track(source: &mut dyn Source) -> Result<TrackAnalysis, LibraryError> {
    let go_on = AtomicBool::new(true);
    analyse_while(source, &go_on).map(Option::unwrap_or_default)
}

/// [`analyse_track`], or `None` once `go_on` is false.
pub(crate) fn analyse_while(
    source: &mut dyn Source,
    go_on: &AtomicBool,
) -> Result<Option<TrackAnalysis>, LibraryError> {
    let format = source.format();
    let (rate, channels) = (format.sample_rate(), format.channels());
    let mut analyst = Analyst::new(rate, channels)?;
    let mut buffer = vec![0.0; BLOCK * channels];
    let mut mono = Vec::with_capacity(BLOCK);
    let mut end = 0;
    while go_on.load(Ordering::Relaxed) {
        let damage = match source.read(&mut buffer) {
            Ok(Some(block)) => {
                mono.clear();
                mono.extend(block.interleaved.chunks_exact(channels).map(|all| {
                    all.iter().map(|x| sanitize(*x).unwrap_or(0.0)).sum::<f32>() / channels as f32
                }));
                analyst.hear(block.at, block.interleaved, &mono);
                end = block.at.0 + mono.len() as u64;
                continue;
            }
            Ok(None) if end == 0 => return Err(IoError::NoAudio.into()),
            Ok(None) => None,
            Err(error) if rate.seconds(end) < 1.0 => return Err(error.into()),
            Err(error) => Some(error.to_string()),
        };
        return Ok(Some(analyst.conclude(rate.seconds(end), damage)));
    }
    Ok(None)
}

/// The RMS level below which a frame is silent, −70 dB.
const SILENCE: f32 = 3.162e-4;

/// Samples per channel read at once.
const BLOCK: usize = 8192;

/// What listens.
struct Analyst {
    analyzer: Analyzer,
    chords: Option<ChordRecognizer>,
    means: Means,
    onsets: OnsetCurve,
    n_onsets: u64,
    loudness: Option<f32>,
    keys: [f64; 24],
    n_keys: u64,
}

impl Analyst {
    fn new(rate: SampleRate, channels: usize) -> Result<Self, LibraryError> {
        let mut config = AnalyzerConfig::new(rate.hz(), channels).with_features([
            Feature::Rms,
            Feature::ZeroCrossingRate,
            Feature::Loudness,
            Feature::SpectralCentroid,
            Feature::SpectralBandwidth,
            Feature::SpectralRolloff,
            Feature::SpectralContrast,
            Feature::Mfcc,
            Feature::OnsetStrength,
            Feature::Onset,
        ]);
        // 46 ms, rounded to the nearest power of two in octaves.
        let length = (rate.as_f64() * 2048.0 / 44_100.0).log2().round().clamp(6.0, 15.0);
        config.frame_length = 1 << length as u32;
        config.hop_length = config.frame_length / 4;
        let analyzer = Analyzer::new(&config)?;
        let frames = rate.as_f64() / config.hop_length as f64;
        Ok(Self {
            analyzer,
            // Not at rates no music has.
            chords: ChordRecognizer::new(&ChordConfig::new(rate)).ok(),
            means: Means::default(),
            onsets: OnsetCurve::new(frames),
            n_onsets: 0,
            loudness: None,
            keys: [0.0; 24],
            n_keys: 0,
        })
    }

    fn hear(&mut self, at: upbeat_core::SampleIndex, interleaved: &[f32], mono: &[f32]) {
        let Self { analyzer, chords, means, onsets, n_onsets, loudness, keys, n_keys } = self;
        let heard = analyzer.process(at, interleaved, |frame| {
            if frame.lost() > 0 {
                onsets.skip_to(frame.seconds());
            }
            onsets.push(frame.seconds(), frame.value(Feature::OnsetStrength).unwrap_or(0.0));
            *n_onsets += u64::from(frame.value(Feature::Onset).is_some());
            // Momentary, short-term, integrated.
            *loudness = frame.values(Feature::Loudness).get(2).copied().filter(|x| x.is_finite());
            if frame.value(Feature::Rms).is_some_and(|rms| rms >= SILENCE) {
                means.add(frame);
            }
        });
        debug_assert!(heard.is_ok(), "blocks of a source are whole samples");
        if let Some(chords) = chords {
            chords.process(at, mono, |_, estimate| {
                *n_keys += 1;
                for (index, sum) in keys.iter_mut().enumerate() {
                    *sum += f64::from(estimate.key().probability(key(index)));
                }
            });
        }
    }

    fn conclude(self, duration: f64, damage: Option<String>) -> TrackAnalysis {
        let Self { means, onsets, n_onsets, loudness, keys, n_keys, .. } = self;
        let found = tempo::estimate(&onsets);
        let likeliest = (0..24).max_by(|a, b| keys[*a].total_cmp(&keys[*b])).unwrap_or(0);
        let confidence = (keys[likeliest] / n_keys.max(1) as f64) as f32;
        let heard = means.n > 0;
        let onset_rate = heard.then(|| (n_onsets as f64 / duration) as f32);
        let brightness = means.scalar(0);
        let energy = match (loudness, onset_rate, brightness) {
            (Some(loudness), Some(rate), Some(brightness)) => {
                TrackAnalysis::energy_of(loudness, rate, brightness)
            }
            _ => None,
        };
        TrackAnalysis {
            duration,
            tempo_stability: found.as_ref().and_then(|found| found.stability),
            tempo: found.map(|found| found.tempo),
            key: (heard && confidence > 0.5).then(|| TrackKey { key: key(likeliest), confidence }),
            loudness,
            energy,
            brightness,
            bandwidth: means.scalar(1),
            rolloff: means.scalar(2),
            zero_crossing_rate: means.scalar(3),
            onset_rate,
            contrast: means.of(&means.contrast),
            mfcc: means.of(&means.mfcc),
            damage,
            version: FEATURE_VERSION,
        }
    }
}

/// The key of the tonic triad with this number.
fn key(index: usize) -> Key {
    let Triad { root: tonic, mode } = Triad::from_index(index);
    Key { tonic, mode }
}

/// Sums over frames.
#[derive(Default)]
struct Means {
    scalars: [f64; 4],
    contrast: [f64; 7],
    mfcc: [f64; 20],
    n: u64,
}

impl Means {
    const SCALARS: [Feature; 4] = [
        Feature::SpectralCentroid,
        Feature::SpectralBandwidth,
        Feature::SpectralRolloff,
        Feature::ZeroCrossingRate,
    ];

    fn add(&mut self, frame: &FeatureFrame) {
        self.n += 1;
        for (sum, feature) in self.scalars.iter_mut().zip(Self::SCALARS) {
            *sum += f64::from(frame.value(feature).unwrap_or(f32::NAN));
        }
        add(&mut self.contrast, frame.values(Feature::SpectralContrast));
        add(&mut self.mfcc, frame.values(Feature::Mfcc));
    }

    /// The mean over all frames, unless some was not known in one of them.
    fn of<const N: usize>(&self, sums: &[f64; N]) -> Option<[f32; N]> {
        let means = sums.map(|sum| (sum / self.n as f64) as f32);
        means.iter().all(|mean| mean.is_finite()).then_some(means)
    }

    fn scalar(&self, index: usize) -> Option<f32> {
        self.of(&[self.scalars[index]]).map(|[mean]| mean)
    }
}

/// Adds the values to the sums; where there are fewer (low rates have fewer octaves), nothing is known.
fn add(sums: &mut [f64], values: &[f32]) {
    let unknown = std::iter::repeat(&f32::NAN);
    for (sum, value) in sums.iter_mut().zip(values.iter().chain(unknown)) {
        *sum += f64::from(*value);
    }
}
