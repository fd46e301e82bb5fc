use std::fmt;

use super::chord::{Chord, ChordLabel, PitchClass, Quality, Triad};
use super::filter::ChordFilter;
use super::key::{KeyEstimate, KeyFilter};
use super::net::{ChordNet, NO_CHORD, QUALITIES};
use super::pitch_spectrum::{PitchSpectrum, PitchSpectrumConfig, frame_spec};
use upbeat_core::{Chain, ConfigError, Continuity, SampleIndex, SampleRate, Stage};
use upbeat_features::stft::{Stft, StftConfig};
use upbeat_window::Framer;

/// Settings of [`ChordRecognizer`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct ChordConfig {
    /// The rate of the samples.
    pub sample_rate: SampleRate,
    /// How long the filter waits before it decides, in steps of 0.1 s, from 0 to 20; the delay is 0.69 s
    /// more. Default: 3, which makes a delay of 0.99 s.
    pub lag: usize,
    /// How long a chord lasts on average, in seconds, from 0.2 on. Default: 1.5.
    pub mean_duration: f64,
}

impl ChordConfig {
    /// The usual settings for samples of this rate.
    #[must_use]
    pub const fn new(sample_rate: SampleRate) -> Self {
        Self { sample_rate, lag: 3, mean_duration: 1.5 }
    }
}

/// What chord sounds, ten times a second, and in which key.
///
/// Takes samples (mono), and emits a [`ChordEstimate`] for every 0.1 s, at the sample in the middle of
/// the 0.37 s that it looks at most. A [`PitchSpectrum`] feeds a small network that commutes with
/// transposition and looks 0.5 s ahead; a hidden Markov model smooths what it says. The delay is
/// stated by [`latency`](Stage::latency): 0.99 s by default.
///
/// The network was trained on rendered pop songs (POP909, MIT licence): `training/harmony/README.md`
/// says how, `docs/accuracy-harmony.md` how well it does on other songs, and what is not known.
///
/// # Examples
///
/// ```
/// use upbeat_core::{SampleIndex, SampleRate, Stage};
/// use upbeat_predict::harmony::{ChordConfig, ChordRecognizer};
///
/// let rate = SampleRate::new(22_050)?;
/// let mut chords = ChordRecognizer::new(&ChordConfig::new(rate))?;
/// assert!(rate.seconds(chords.latency()) < 1.0);
/// let mut labels = Vec::new();
/// chords.process(SampleIndex(0), &[0.0; 44_100], |_, estimate| {
///     labels.push(estimate.label().to_string());
/// });
/// assert!(labels.iter().all(|label| label == "N")); // silence has no chord
/// # Ok::<(), upbeat_core::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct ChordRecognizer {
    front: Chain<Chain<Framer, Stft>, PitchSpectrum>,
    back: Back,
    latency: u64,
}

/// What follows the front end.
#[derive(Clone)]
struct Back {
    net: ChordNet,
    filter: ChordFilter,
    keys: KeyFilter,
    hop_length: u64,
    /// From the first sample of the newest frame back to the middle of the frame that is decided.
    before: u64,
    middle: u64,
    continuity: Continuity,
}

impl ChordRecognizer {
    /// Plans the transform, reads the weights, and allocates all that will ever be needed.
    ///
    /// # Errors
    ///
    /// If the rate is below 40 Hz or above 11 MHz, `lag` exceeds 20, or `mean_duration` is not from 0.2 s to
    /// 1 hour.
    pub fn new(config: &ChordConfig) -> Result<Self, ConfigError> {
        let ChordConfig { sample_rate, lag, mean_duration } = *config;
        ConfigError::require(lag <= 20, "lag", "at most 20", lag)?;
        let sound = (0.2..=3600.0).contains(&mean_duration);
        ConfigError::require(sound, "mean_duration", "from 0.2 to 3600 s", mean_duration)?;
        let spec = frame_spec(sample_rate)?;
        let hop_length = spec.hop_length() as u64;
        let hop = sample_rate.seconds(hop_length);
        let middle = spec.frame_length() as u64 / 2;
        let before = (ChordNet::AHEAD + lag) as u64 * hop_length;
        let front = Framer::new(spec)
            .then(Stft::new(&StftConfig::new(spec.frame_length()))?)
            .then(PitchSpectrum::new(&PitchSpectrumConfig::new(spec))?);
        Ok(Self {
            latency: front.latency() - middle + before,
            front,
            back: Back {
                net: ChordNet::new()?,
                filter: ChordFilter::new(lag, (mean_duration / hop) as f32)?,
                keys: KeyFilter::new(hop)?,
                hop_length,
                before,
                middle,
                continuity: Continuity::default(),
            },
        })
    }
}

impl Stage for ChordRecognizer {
    type In = [f32];
    type Out = ChordEstimate;

    fn process(
        &mut self,
        at: SampleIndex,
        samples: &[f32],
        mut emit: impl FnMut(SampleIndex, &ChordEstimate),
    ) {
        let Self { front, back, .. } = self;
        front.process(at, samples, |at, bands| back.push(at, bands, &mut emit));
    }

    fn reset(&mut self) {
        self.front.reset();
        self.back.forget();
        self.back.continuity = Continuity::default();
    }

    fn latency(&self) -> u64 {
        self.latency
    }
}

impl Back {
    fn push(
        &mut self,
        at: SampleIndex,
        bands: &[f32],
        mut emit: impl FnMut(SampleIndex, &ChordEstimate),
    ) {
        if self.continuity.advance(at, self.hop_length).is_some() {
            self.forget();
        }
        let Some(logits) = self.net.push(bands) else { return };
        let Some((posterior, own)) = self.filter.push(logits) else { return };
        let mut estimate = ChordEstimate::read(posterior, own);
        estimate.key = *self.keys.push(&estimate.triads);
        emit(SampleIndex(at.0 - self.before) + self.middle, &estimate);
    }

    fn forget(&mut self) {
        self.net.reset();
        self.filter.reset();
        self.keys.reset();
    }
}

impl fmt::Debug for ChordRecognizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChordRecognizer").field("latency", &self.latency).finish_non_exhaustive()
    }
}

/// What [`ChordRecognizer`] thinks of one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChordEstimate {
    label: ChordLabel,
    confidence: f32,
    triads: [f32; Triad::COUNT],
    key: KeyEstimate,
}

impl ChordEstimate {
    /// The most likely triad with its most likely quality, in root position, or that there is no chord.
    #[must_use]
    pub const fn label(&self) -> ChordLabel {
        self.label
    }

    /// How likely the label's triad is right, its seventh or suspension aside; or that there is no chord.
    #[must_use]
    pub const fn confidence(&self) -> f32 {
        self.confidence
    }

    /// How likely each triad is, by [`Triad::index`]; what is missing to 1 is that there is no chord.
    #[must_use]
    pub const fn triads(&self) -> &[f32; Triad::COUNT] {
        &self.triads
    }

    /// The key up to here.
    #[must_use]
    pub const fn key(&self) -> &KeyEstimate {
        &self.key
    }

    /// Chooses by `posterior`, as sure as the network's `own` probabilities are.
    fn read(posterior: &[f32], own: &[f32]) -> Self {
        let (index, likeliest) = most(triads(posterior).into_iter());
        let triads = triads(own);
        let (label, confidence) = if posterior[NO_CHORD] > likeliest {
            (ChordLabel::NoChord, own[NO_CHORD])
        } else {
            let triad = Triad::from_index(index);
            let root = usize::from(triad.root.semitones());
            let qualities = &posterior[root * QUALITIES..][..QUALITIES];
            let of_mode = Quality::ALL.iter().zip(qualities);
            let (quality, _) =
                most(of_mode.map(|(q, p)| if q.mode() == triad.mode { *p } else { -1.0 }));
            (ChordLabel::Chord(Chord::new(triad.root, Quality::ALL[quality])), triads[index])
        };
        Self { label, confidence, triads, key: KeyEstimate::default() }
    }
}

/// The probabilities of the triads, whatever is added to them.
fn triads(classes: &[f32]) -> [f32; Triad::COUNT] {
    let mut triads = [0.0; Triad::COUNT];
    for (root, qualities) in classes[..NO_CHORD].chunks_exact(QUALITIES).enumerate() {
        for (quality, p) in Quality::ALL.iter().zip(qualities) {
            let root = PitchClass::new(root as u8);
            triads[Triad { root, mode: quality.mode() }.index()] += p;
        }
    }
    triads
}

/// The first of the largest values, and where it is.
fn most(values: impl Iterator<Item = f32>) -> (usize, f32) {
    let none = (0, f32::NEG_INFINITY);
    values.enumerate().fold(none, |best, now| if now.1 > best.1 { now } else { best })
}
