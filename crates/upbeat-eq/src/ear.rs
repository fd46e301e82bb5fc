use upbeat_core::{ConfigError, Continuity, FrameSpec, SampleIndex, SampleRate, Stage};
use upbeat_features::mel::{MelConfig, MelFilterbank, MelScale};
use upbeat_features::stft::{Spectrum, Stft, StftConfig};
use upbeat_window::Framer;

use crate::ToneModel;
use crate::gate::{Gate, Verdict};

/// Settings of [`ToneEar`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct ToneEarConfig {
    /// Rate of the samples, 8 to 768 kHz.
    pub sample_rate: SampleRate,
    /// How long what was heard is remembered: the time constant in seconds, 0.1 to 600. Default: 4.
    pub memory: f64,
    /// How much must have been heard before there is a tone, in seconds, at most 60. Default: 0.5.
    pub patience: f64,
}

impl ToneEarConfig {
    /// The usual settings.
    #[must_use]
    pub const fn new(sample_rate: SampleRate) -> Self {
        Self { sample_rate, memory: 4.0, patience: 0.5 }
    }

    fn check(&self) -> Result<(), ConfigError> {
        let (rate, memory, patience) = (self.sample_rate.hz(), self.memory, self.patience);
        let fits = (8000..=768_000).contains(&rate);
        ConfigError::require(fits, "sample_rate", "8000 to 768000 Hz", rate)?;
        let fits = (0.1..=600.0).contains(&memory);
        ConfigError::require(fits, "memory", "0.1 to 600 seconds", memory)?;
        let fits = (0.0..=60.0).contains(&patience);
        ConfigError::require(fits, "patience", "0 to 60 seconds", patience)
    }
}

/// What a [`ToneEar`] knows after a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Heard {
    /// What the sound 0.2 s ago was, that came into the memory or not with this frame.
    pub verdict: Verdict,
    /// Seconds of music heard since the start.
    pub seconds: f64,
    /// Whether that is enough.
    pub enough: bool,
}

/// The long-term spectrum of a sound, in mel bands: what its tone is judged by.
///
/// Consumes samples of one channel. Frames of 23.2 ms every 11.6 ms (1024 and 512 samples at 44.1 kHz, the
/// nearest lengths that transform fast at other rates) become power densities in 64 mel bands up to 16 kHz
/// (Slaney's scale; at rates below 32 kHz the upper ones do not exist). Each frame of music enters a running
/// mean that weighs all alike at first and forgets with a time constant of [`memory`](ToneEarConfig::memory)
/// then. Frames of silence and of steady noise do not enter it; see [`Verdict`]. To see what is steady, each frame
/// waits for the 15 that follow it, 0.2 s.
///
/// Emits a [`Heard`] for each frame, from the first on; [`tone`](Self::tone) has the spectrum. Starts anew
/// after a gap.
///
/// # Examples
///
/// ```
/// use upbeat_core::{SampleIndex, SampleRate, Stage};
/// use upbeat_eq::{ToneEar, ToneEarConfig, ToneModel};
///
/// let mut ear = ToneEar::new(&ToneEarConfig::new(SampleRate::new(44_100)?))?;
/// let mut seconds = 0.0;
/// ear.process(SampleIndex(0), &vec![0.0; 44_100], |_, heard| seconds = heard.seconds);
/// assert_eq!(seconds, 0.0); // silence is no music
/// assert!(ear.tone(ToneModel::builtin().programme()).is_none());
/// # Ok::<(), upbeat_core::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ToneEar {
    framer: Framer,
    stft: Stft,
    continuity: Continuity,
    mean: Mean,
}

impl ToneEar {
    /// Allocates all that will ever be needed.
    ///
    /// # Errors
    ///
    /// If a setting is out of its range.
    pub fn new(config: &ToneEarConfig) -> Result<Self, ConfigError> {
        config.check()?;
        let rate = config.sample_rate;
        let hop_length = (rate.as_f64() * HOP).round() as usize;
        let n_fft = fast_length(rate.as_f64() * 2.0 * HOP);
        let spec = FrameSpec::new(n_fft, hop_length, rate)?;
        Ok(Self {
            framer: Framer::new(spec),
            stft: Stft::new(&StftConfig::new(n_fft))?,
            continuity: Continuity::default(),
            mean: Mean::new(config, spec)?,
        })
    }

    /// How the stream is cut.
    #[must_use]
    pub const fn spec(&self) -> FrameSpec {
        self.framer.spec()
    }

    /// How far the mean spectrum lies above `programme`, in dB per band, at level 0: without its mean over
    /// octaves between 100 Hz and 3.5 kHz, and within ±30 dB. Bands that the sample rate does not have
    /// count as 0. `None` until enough music has been heard.
    #[must_use]
    pub fn tone(&self, programme: &[f32; ToneModel::BANDS]) -> Option<[f32; ToneModel::BANDS]> {
        self.mean.tone(programme)
    }

    /// The mean power in each band, in no particular unit; 0 for bands that the sample rate does not have.
    #[must_use]
    pub(crate) const fn powers(&self) -> &[f64; ToneModel::BANDS] {
        &self.mean.powers
    }

    /// Where a band is highest, in Hz.
    #[must_use]
    pub fn centre(band: usize) -> f64 {
        edge(band + 1)
    }

    /// Half its breadth in Hz: what to multiply the power density with for the energy.
    pub(crate) fn width(band: usize) -> f64 {
        (edge(band + 2) - edge(band)) / 2.0
    }
}

impl Stage for ToneEar {
    type In = [f32];
    type Out = Heard;

    fn process(
        &mut self,
        at: SampleIndex,
        samples: &[f32],
        mut emit: impl FnMut(SampleIndex, &Heard),
    ) {
        let Self { framer, stft, continuity, mean } = self;
        if continuity.advance(at, samples.len() as u64).is_some() {
            mean.reset();
        }
        framer.process(at, samples, |at, frame| {
            stft.process(at, frame, |at, spectrum| emit(at, &mean.push(spectrum)));
        });
    }

    fn reset(&mut self) {
        self.framer.reset();
        self.continuity = Continuity::default();
        self.mean.reset();
    }

    fn latency(&self) -> u64 {
        self.framer.latency()
    }
}

/// The running mean, and the frames that wait to enter it.
#[derive(Clone, Debug)]
struct Mean {
    filterbank: MelFilterbank,
    gate: Gate,
    /// A ring of [`Gate::FRAMES`] frames.
    waiting: Box<[[f32; ToneModel::BANDS]]>,
    place: usize,
    powers: [f64; ToneModel::BANDS],
    /// Frames that have entered.
    entered: u64,
    /// Weight of a new frame once the mean is as long as the memory.
    share: f64,
    seconds_per_frame: f64,
    patience: f64,
}

impl Mean {
    fn new(config: &ToneEarConfig, spec: FrameSpec) -> Result<Self, ConfigError> {
        let half = config.sample_rate.as_f64() / 2.0;
        let n_mels = (1..=ToneModel::BANDS).take_while(|n| edge(n + 1) <= half).last();
        let mut mel = MelConfig::new(config.sample_rate, spec.frame_length());
        mel.n_mels = n_mels.unwrap_or(1);
        mel.fmax = edge(mel.n_mels + 1).min(half);
        let seconds_per_frame = spec.frame_rate().recip();
        Ok(Self {
            filterbank: MelFilterbank::new(&mel)?,
            gate: Gate::new(spec),
            waiting: vec![[0.0; ToneModel::BANDS]; Gate::FRAMES].into(),
            place: 0,
            powers: [0.0; ToneModel::BANDS],
            entered: 0,
            share: 1.0 - (-seconds_per_frame / config.memory).exp(),
            seconds_per_frame,
            patience: config.patience,
        })
    }

    fn push(&mut self, spectrum: &Spectrum) -> Heard {
        let n_mels = self.filterbank.n_mels();
        let oldest = self.waiting[self.place];
        let newest = &mut self.waiting[self.place][..n_mels];
        self.filterbank.apply(spectrum.power(), newest);
        let verdict = self.gate.push(spectrum.power(), newest);
        self.place = (self.place + 1) % Gate::FRAMES;
        if verdict == Verdict::Music {
            self.entered += 1;
            let share = self.share.max((self.entered as f64).recip());
            for (mean, power) in self.powers.iter_mut().zip(&oldest) {
                *mean += share * (f64::from(*power) - *mean);
            }
        }
        Heard { verdict, seconds: self.seconds(), enough: self.enough() }
    }

    fn seconds(&self) -> f64 {
        self.entered as f64 * self.seconds_per_frame
    }

    fn enough(&self) -> bool {
        self.entered > 0 && self.seconds() >= self.patience
    }

    fn tone(&self, programme: &[f32; ToneModel::BANDS]) -> Option<[f32; ToneModel::BANDS]> {
        if !self.enough() {
            return None;
        }
        let n_mels = self.filterbank.n_mels();
        let mut tone = [0.0_f32; ToneModel::BANDS];
        let mut level = 0.0;
        let mut weights = 0.0;
        for (band, tone) in tone[..n_mels].iter_mut().enumerate() {
            *tone = 10.0 * (self.powers[band].max(TINY) as f32).log10() - programme[band];
            if (LEVEL_FROM..=LEVEL_TO).contains(&ToneEar::centre(band)) {
                let width = (Self::octave(band + 1) - Self::octave(band.saturating_sub(1))) as f32;
                level += width * *tone;
                weights += width;
            }
        }
        for tone in &mut tone[..n_mels] {
            *tone = (*tone - level / weights).clamp(-CLAMP, CLAMP);
        }
        Some(tone)
    }

    fn octave(band: usize) -> f64 {
        ToneEar::centre(band).log2()
    }

    fn reset(&mut self) {
        self.gate.reset();
        self.waiting.fill([0.0; ToneModel::BANDS]);
        self.place = 0;
        self.powers.fill(0.0);
        self.entered = 0;
    }
}

/// Edge `n` of the mel bands in Hz: band `b` reaches from edge `b` to edge `b + 2`.
fn edge(n: usize) -> f64 {
    let top = MelScale::Slaney.mel(TOP);
    MelScale::Slaney.hz(top * n as f64 / (ToneModel::BANDS + 1) as f64)
}

/// The even number without prime factors above 5 that is nearest to `length`.
fn fast_length(length: f64) -> usize {
    let smooth = |n: usize| {
        [2, 3, 5].into_iter().fold(n, |mut n, prime| {
            while n.is_multiple_of(prime) {
                n /= prime;
            }
            n
        }) == 1
    };
    let wanted = (length / 2.0).round() as usize;
    let both = (0..wanted)
        .find_map(|step| [wanted + step, wanted - step].into_iter().find(|half| smooth(*half)));
    2 * both.unwrap_or(wanted)
}

/// Seconds from frame to frame.
const HOP: f64 = 512.0 / 44_100.0;

/// Where the highest band ends, in Hz.
const TOP: f64 = 16_000.0;

/// Level is the mean between these, in Hz.
const LEVEL_FROM: f64 = 100.0;
const LEVEL_TO: f64 = 3500.0;

/// In dB.
const CLAMP: f32 = 30.0;

/// A power that is nothing.
const TINY: f64 = 1e-30;

#[cfg(test)]
#[path = "ear_tests.rs"]
mod tests;
