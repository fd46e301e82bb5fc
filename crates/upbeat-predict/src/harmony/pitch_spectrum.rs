use upbeat_core::{ConfigError, Continuity, FrameSpec, SampleIndex, SampleRate, Stage};
use upbeat_features::stft::Spectrum;

/// Settings of [`PitchSpectrum`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct PitchSpectrumConfig {
    /// How the spectra's frames lie; `frame_length` is the transform's length.
    pub spec: FrameSpec,
    /// How long loudness is remembered, in seconds: the time in which the level that the spectrum is
    /// divided by falls by half. Default: 4.
    pub level_half_life: f64,
    /// The same for the tuning. Default: 8.
    pub tuning_half_life: f64,
}

impl PitchSpectrumConfig {
    /// The usual settings for spectra of frames cut like `spec`.
    #[must_use]
    pub const fn new(spec: FrameSpec) -> Self {
        Self { spec, level_half_life: 4.0, tuning_half_life: 8.0 }
    }
}

/// How strong each pitch is: a spectrum on a logarithmic frequency axis, three bands per semitone from
/// C1 (32.7 Hz) to B7 (3951 Hz), whatever the tuning and the level of the recording.
///
/// The magnitudes are gathered by triangles, one band to either side of a band's centre and at least
/// one bin of the transform, whose weights sum to 1; `x_b = ln(1 + 8 m_b / level)`, where `level` is
/// the mean of the `m_b` or, if larger, what is left of earlier ones. The tuning is the phase of
/// `Σ x_b exp(2πi b / 3)`, averaged over the past; the `x_b` are read off by linear interpolation at
/// the tuned bands, so that the middle band of each three lies on the semitone (the method of Mauch
/// and Dixon, "Approximate note transcription for the improved identification of difficult chords",
/// ISMIR 2010, made causal).
///
/// Emits [`BANDS`](Self::BANDS) values for each spectrum, from the lowest pitch on; all 0 for silence. There is
/// no latency beside the frame's. Bands beyond the Nyquist frequency are 0.
#[derive(Clone, Debug)]
pub struct PitchSpectrum {
    hop_length: u64,
    n_bins: usize,
    triangles: Triangles,
    level_decay: f32,
    tuning_decay: f32,
    level: f32,
    tuning: (f32, f32),
    /// One band more on either side, for the interpolation.
    bands: Box<[f32]>,
    out: Box<[f32]>,
    continuity: Continuity,
}

impl PitchSpectrum {
    /// Bands per semitone.
    pub const PER_SEMITONE: usize = 3;
    /// Semitones, from C1 to B7.
    pub const SEMITONES: usize = 84;
    /// Bands emitted.
    pub const BANDS: usize = Self::PER_SEMITONE * Self::SEMITONES;

    /// Allocates all that will ever be needed.
    ///
    /// # Errors
    ///
    /// If the frame is shorter than 4 samples, or a half-life is not above 0 s.
    pub fn new(config: &PitchSpectrumConfig) -> Result<Self, ConfigError> {
        let PitchSpectrumConfig { spec, level_half_life, tuning_half_life } = *config;
        let n_fft = spec.frame_length();
        ConfigError::require(n_fft >= 4, "spec.frame_length", "at least 4", n_fft)?;
        let half_lives =
            [("level_half_life", level_half_life), ("tuning_half_life", tuning_half_life)];
        for (name, seconds) in half_lives {
            ConfigError::require(seconds > 0.0, name, "above 0 s", seconds)?;
        }
        let decay = |half_life: f64| 0.5_f64.powf(1.0 / (half_life * spec.frame_rate())) as f32;
        let triangles = Triangles::new(spec);
        Ok(Self {
            hop_length: spec.hop_length() as u64,
            n_bins: n_fft / 2 + 1,
            bands: vec![0.0; Self::BANDS + 2].into(),
            triangles,
            level_decay: decay(level_half_life),
            tuning_decay: decay(tuning_half_life),
            level: 0.0,
            tuning: (0.0, 0.0),
            out: vec![0.0; Self::BANDS].into(),
            continuity: Continuity::default(),
        })
    }

    /// How far the music's semitones lie from those of a' = 440 Hz, in semitones from −0.5 to 0.5.
    #[must_use]
    pub fn tuning(&self) -> f32 {
        let (re, im) = self.tuning;
        if re == 0.0 && im == 0.0 { 0.0 } else { im.atan2(re) / std::f32::consts::TAU }
    }

    fn compress(&mut self) {
        let mean = self.bands.iter().sum::<f32>() / self.bands.len() as f32;
        self.level = (self.level * self.level_decay).max(mean);
        let scale = if self.level > SILENCE { 8.0 / self.level } else { 0.0 };
        for band in &mut *self.bands {
            *band = (*band * scale).ln_1p();
        }
    }

    fn tune(&mut self) {
        let (mut re, mut im) = (0.0, 0.0);
        let inner = &self.bands[1..=Self::BANDS];
        for three in inner.chunks_exact(Self::PER_SEMITONE) {
            // The bands lie a third of a semitone below, on, and above each semitone.
            re += three[1] - 0.5 * (three[0] + three[2]);
            im += HALF_ROOT_3 * (three[2] - three[0]);
        }
        self.tuning.0 = self.tuning.0 * self.tuning_decay + re;
        self.tuning.1 = self.tuning.1 * self.tuning_decay + im;
        let shift = self.tuning() * Self::PER_SEMITONE as f32;
        let whole = shift.floor();
        let (low, share) = (whole as isize, shift - whole);
        for (b, out) in self.out.iter_mut().enumerate() {
            let at =
                |b: isize| self.bands[(b + 1).clamp(0, self.bands.len() as isize - 1) as usize];
            let below = b as isize + low;
            *out = at(below) * (1.0 - share) + at(below + 1) * share;
        }
    }
}

impl Stage for PitchSpectrum {
    type In = Spectrum;
    type Out = [f32];

    /// # Panics
    ///
    /// If the spectrum is not one of a transform of `frame_length` samples.
    fn process(
        &mut self,
        at: SampleIndex,
        spectrum: &Spectrum,
        mut emit: impl FnMut(SampleIndex, &[f32]),
    ) {
        assert_eq!(spectrum.n_bins(), self.n_bins, "a spectrum of frame_length samples");
        if self.continuity.advance(at, self.hop_length).is_some() {
            self.forget();
        }
        self.triangles.gather(spectrum.magnitude(), &mut self.bands);
        self.compress();
        self.tune();
        emit(at, &self.out);
    }

    fn reset(&mut self) {
        self.forget();
        self.continuity = Continuity::default();
    }
}

impl PitchSpectrum {
    fn forget(&mut self) {
        self.level = 0.0;
        self.tuning = (0.0, 0.0);
    }
}

/// The bins that each band gathers, one band more on either side.
#[derive(Clone, Debug)]
struct Triangles {
    /// Where the bins of each band start, in the spectrum and in `weights`; and an end mark.
    starts: Box<[(usize, usize)]>,
    weights: Box<[f32]>,
}

impl Triangles {
    fn new(spec: FrameSpec) -> Self {
        let n_bins = spec.frame_length() / 2 + 1;
        let bin_hz = spec.sample_rate().as_f64() / spec.frame_length() as f64;
        let (mut starts, mut weights) = (Vec::new(), Vec::new());
        for band in 0..PitchSpectrum::BANDS + 2 {
            // Band 2 is C1: one extra band, then the one below the semitone.
            let steps = (band as f64 - 2.0) / PitchSpectrum::PER_SEMITONE as f64;
            let centre = C1 * (steps / 12.0).exp2();
            let width = (centre * STEP_RATIO_LESS_1).max(bin_hz);
            let first = ((centre - width) / bin_hz).ceil().max(0.0) as usize;
            let last = (((centre + width) / bin_hz).floor() as usize).min(n_bins - 1);
            starts.push((first.min(n_bins), weights.len()));
            let start = weights.len();
            if centre + width < spec.sample_rate().as_f64() / 2.0 {
                for bin in first..=last {
                    weights
                        .push((1.0 - (bin as f64 * bin_hz - centre).abs() / width).max(0.0) as f32);
                }
            }
            let sum: f32 = weights[start..].iter().sum();
            for weight in &mut weights[start..] {
                *weight /= sum;
            }
        }
        starts.push((n_bins, weights.len()));
        Self { starts: starts.into(), weights: weights.into() }
    }

    fn gather(&self, magnitude: &[f32], bands: &mut [f32]) {
        for (band, pair) in bands.iter_mut().zip(self.starts.windows(2)) {
            let weights = &self.weights[pair[0].1..pair[1].1];
            let bins = &magnitude[pair[0].0..][..weights.len()];
            *band = weights.iter().zip(bins).map(|(w, m)| w * m).sum();
        }
    }
}

/// In Hz.
const C1: f64 = 32.703_195_662_574_83;
/// A third of a semitone.
const STEP_RATIO_LESS_1: f64 = 0.019_440_643_702_144_83;
/// A mean magnitude below this is silence: about −120 dB for a frame of 2¹⁴ samples.
const SILENCE: f32 = 1e-4;
const HALF_ROOT_3: f32 = 0.866_025_4;

/// The frames of the harmony front end: 0.372 s every 0.1 s, of a length whose transform is fast.
///
/// # Errors
///
/// If `rate` is so low or high that no [`FrameSpec`] holds them (below 10 Hz, above 11 MHz).
pub fn frame_spec(rate: SampleRate) -> Result<FrameSpec, ConfigError> {
    let wanted = rate.samples(FRAME_SECONDS).clamp(4, FrameSpec::MAX_LENGTH as u64 + 1) as usize;
    let fast = |n: usize| {
        let mut rest = n;
        for factor in [2, 3, 5] {
            while rest.is_multiple_of(factor) {
                rest /= factor;
            }
        }
        rest == 1 && n.is_multiple_of(4)
    };
    let length = (wanted..=2 * wanted).find(|n| fast(*n)).unwrap_or(wanted);
    FrameSpec::new(length, rate.samples(HOP_SECONDS).max(1) as usize, rate)
}

const FRAME_SECONDS: f64 = 0.3715;
const HOP_SECONDS: f64 = 0.1;

#[cfg(test)]
mod tests {
    use super::*;
    use upbeat_features::stft::{Stft, StftConfig};
    use upbeat_testkit::signal;
    use upbeat_window::Framer;

    /// The tuning and the last frame of `samples`.
    fn listen(samples: &[f32], rate: u32) -> (f32, Vec<f32>) {
        let spec = frame_spec(SampleRate::new(rate).unwrap()).unwrap();
        let mut frames =
            Framer::new(spec).then(Stft::new(&StftConfig::new(spec.frame_length())).unwrap());
        let mut pitches = PitchSpectrum::new(&PitchSpectrumConfig::new(spec)).unwrap();
        let mut last = Vec::new();
        frames.process(SampleIndex(0), samples, |at, spectrum| {
            pitches.process(at, spectrum, |_, bands| last = bands.to_vec());
        });
        (pitches.tuning(), last)
    }

    fn strongest(bands: &[f32]) -> usize {
        (0..bands.len()).max_by(|a, b| bands[*a].total_cmp(&bands[*b])).unwrap()
    }

    #[test]
    fn a_tone_is_strongest_in_the_middle_of_its_semitone_at_any_rate_and_tuning() {
        for rate in [16_000, 22_050, 44_100, 48_000, 96_000] {
            for cents in [-40.0_f64, -15.0, 0.0, 30.0] {
                // a', 45 semitones above C1.
                let frequency = 440.0 * (cents / 1200.0).exp2();
                let (tuning, bands) =
                    listen(&signal::sine(frequency, 0.1, rate, rate as usize), rate);
                assert_eq!(strongest(&bands), 45 * 3 + 1, "{cents} cents at {rate} Hz");
                let off = f64::from(tuning) - cents / 100.0;
                assert!(off.abs() < 0.06, "{tuning} for {cents} cents at {rate} Hz");
            }
        }
    }

    #[test]
    fn the_level_does_not_matter_and_silence_is_0() {
        let loud = signal::tone(220.0, 6, 0.3, 16_000, 16_000);
        let soft: Vec<f32> = loud.iter().map(|x| x / 256.0).collect();
        assert_eq!(listen(&loud, 16_000), listen(&soft, 16_000));
        let (tuning, bands) = listen(&vec![0.0; 16_000], 16_000);
        assert_eq!((tuning, bands), (0.0, vec![0.0; PitchSpectrum::BANDS]));
    }

    #[test]
    fn frames_have_lengths_that_are_fast_to_transform() {
        for (rate, length) in [(22_050, 8192), (44_100, 16_384), (48_000, 18_000), (96_000, 36_000)]
        {
            let spec = frame_spec(SampleRate::new(rate).unwrap()).unwrap();
            assert_eq!((spec.frame_length(), spec.hop_length()), (length, rate as usize / 10));
        }
        assert!(frame_spec(SampleRate::new(u32::MAX).unwrap()).is_err());
    }
}
