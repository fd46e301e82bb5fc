//! Which stages an analyzer needs, and where their outputs go.

use std::ops::Range;

use upbeat_core::{BoxedStage, ConfigError, FrameSpec, SampleRate, Stage};
use upbeat_features::chroma::{ChromaCqt, ChromaCqtConfig, ChromaStft, ChromaStftConfig, N_CHROMA};
use upbeat_features::cqt::{Cqt, CqtConfig};
use upbeat_features::delta::{Delta, DeltaConfig};
use upbeat_features::harmonic::{PercussiveShare, PercussiveShareConfig};
use upbeat_features::level::{
    Levels, Silence, SilenceConfig, ZeroCrossingRate, ZeroCrossingRateConfig,
};
use upbeat_features::loudness::LoudnessMeter;
use upbeat_features::mel::{LogMel, LogMelConfig, MelConfig, MelSpectrogram};
use upbeat_features::mfcc::{Mfcc, MfccConfig};
use upbeat_features::onset::{OnsetPicker, OnsetPickerConfig, OnsetStrength, OnsetStrengthConfig};
use upbeat_features::pcen::{Pcen, PcenConfig};
use upbeat_features::pitch::{Pyin, PyinConfig, Yin, YinConfig};
use upbeat_features::spectral::{
    Shape, SpectralBandwidth, SpectralCentroid, SpectralContrast, SpectralContrastConfig,
    SpectralEntropy, SpectralFlatness, SpectralFlux, SpectralFluxConfig, SpectralKurtosis,
    SpectralRolloff, SpectralShape, SpectralShapeConfig, SpectralSkewness, SpectralSlope,
};
use upbeat_features::stereo::Stereo;
use upbeat_features::stft::{Spectrum, Stft, StftConfig};
use upbeat_features::tonnetz::Tonnetz;
use upbeat_window::Framer;

use crate::adapters::{FirstTwo, Gain, Latest, adapt, or_nan, scalar};
use crate::branch::{Branch, Branches};
use crate::{AnalyzerConfig, Feature, FeatureLayout, FeatureSet};

/// The stages of an analyzer and the layout of its frames.
pub(crate) struct Plan {
    pub(crate) layout: FeatureLayout,
    pub(crate) stft: Option<Stft>,
    pub(crate) branches: Branches,
}

impl Plan {
    pub(crate) fn new(config: &AnalyzerConfig, spec: FrameSpec) -> Result<Self, ConfigError> {
        let mut planner = Planner {
            config,
            spec,
            layout: FeatureLayout::new(spec),
            branches: Branches::default(),
        };
        planner.levels()?;
        planner.loudness()?;
        planner.shapes()?;
        planner.bands()?;
        planner.chroma()?;
        planner.pitch()?;
        planner.rest()?;
        let Planner { layout, branches, .. } = planner;
        let n_fft = spec.frame_length();
        let spectral = !branches.spectrum.is_empty();
        let stft = spectral.then(|| Stft::new(&StftConfig::new(n_fft))).transpose()?;
        Ok(Self { layout, stft, branches })
    }
}

struct Planner<'a> {
    config: &'a AnalyzerConfig,
    spec: FrameSpec,
    layout: FeatureLayout,
    branches: Branches,
}

impl Planner<'_> {
    fn levels(&mut self) -> Result<(), ConfigError> {
        const LEVELS: [Feature; 4] =
            [Feature::Rms, Feature::Peak, Feature::CrestFactor, Feature::Energy];
        if LEVELS.iter().any(|feature| self.wants(*feature)) {
            let mut levels = Branch::new(adapt(
                Levels,
                |frame| frame,
                4,
                |level, out| {
                    out.copy_from_slice(&[level.rms, level.peak, level.crest, level.energy]);
                },
            ));
            for (i, feature) in LEVELS.into_iter().enumerate() {
                if self.wants(feature) {
                    levels.write(feature, i, self.columns(feature, 1, 0));
                }
            }
            self.branches.frame.push(levels);
        }
        if self.wants(Feature::ZeroCrossingRate) {
            let stage = ZeroCrossingRate::new(&ZeroCrossingRateConfig::new())?;
            let branch = self.leaf(Feature::ZeroCrossingRate, scalar(stage), 1, 0);
            self.branches.frame.push(branch);
        }
        if self.wants(Feature::Silence) {
            let stage = Silence::new(&SilenceConfig::new(self.spec))?;
            let stage = adapt(stage, |frame| frame, 1, |silent, out| out[0] = f32::from(*silent));
            let branch = self.leaf(Feature::Silence, stage, 1, 0);
            self.branches.frame.push(branch);
        }
        Ok(())
    }

    fn loudness(&mut self) -> Result<(), ConfigError> {
        let channels = self.config.channels;
        if self.wants(Feature::Loudness) {
            let meter = LoudnessMeter::new(self.rate(), channels)?;
            let latency = meter.latency();
            let meter = adapt(
                meter,
                |block| block,
                3,
                |loudness, out| {
                    let known = [loudness.momentary, loudness.short_term, loudness.integrated];
                    out.copy_from_slice(&known.map(or_nan));
                },
            );
            let columns = self.layout.push(Feature::Loudness, 3, latency);
            let mut branch = Branch::new(Latest::new(meter, 3).boxed());
            branch.write(Feature::Loudness, 0, columns);
            self.branches.interleaved.push(branch);
        }
        Ok(())
    }

    fn shapes(&mut self) -> Result<(), ConfigError> {
        type Single = fn(&SpectralShapeConfig) -> Result<BoxedStage<Spectrum, [f32]>, ConfigError>;
        type Field = fn(&Shape) -> f32;
        const SHAPES: [(Feature, Field, Single); 8] = [
            (Feature::SpectralCentroid, |s| s.centroid, |c| SpectralCentroid::new(c).map(scalar)),
            (
                Feature::SpectralBandwidth,
                |s| s.bandwidth,
                |c| SpectralBandwidth::new(c).map(scalar),
            ),
            (Feature::SpectralSkewness, |s| s.skewness, |c| SpectralSkewness::new(c).map(scalar)),
            (Feature::SpectralKurtosis, |s| s.kurtosis, |c| SpectralKurtosis::new(c).map(scalar)),
            (Feature::SpectralRolloff, |s| s.rolloff, |c| SpectralRolloff::new(c).map(scalar)),
            (Feature::SpectralFlatness, |s| s.flatness, |c| SpectralFlatness::new(c).map(scalar)),
            (Feature::SpectralEntropy, |s| s.entropy, |c| SpectralEntropy::new(c).map(scalar)),
            (Feature::SpectralSlope, |s| s.slope, |c| SpectralSlope::new(c).map(scalar)),
        ];
        let (rate, n_fft) = (self.rate(), self.spec.frame_length());
        let config = SpectralShapeConfig::new(rate, n_fft);
        let wanted = SHAPES.iter().filter(|(feature, ..)| self.wants(*feature)).count();
        if wanted > 2 {
            // All at once, since they share their sums.
            let stage = SpectralShape::new(&config)?;
            let mut branch = Branch::new(adapt(
                stage,
                |spectrum| spectrum,
                SHAPES.len(),
                |shape, out| {
                    for (out, (_, field, _)) in out.iter_mut().zip(&SHAPES) {
                        *out = field(shape);
                    }
                },
            ));
            for (i, (feature, ..)) in SHAPES.into_iter().enumerate() {
                if self.wants(feature) {
                    branch.write(feature, i, self.columns(feature, 1, 0));
                }
            }
            self.branches.spectrum.push(branch);
        } else {
            for (feature, _, single) in SHAPES {
                if self.wants(feature) {
                    let branch = self.leaf(feature, single(&config)?, 1, 0);
                    self.branches.spectrum.push(branch);
                }
            }
        }
        if self.wants(Feature::SpectralContrast) {
            let mut config = SpectralContrastConfig::new(rate, n_fft);
            // The octave bands above what the rate can hold are left out.
            let octaves = (rate.as_f64() / 2.0 / config.fmin).log2().floor();
            config.n_bands = config.n_bands.min(octaves.max(1.0) as usize);
            let stage = SpectralContrast::new(&config)?.boxed();
            let branch = self.leaf(Feature::SpectralContrast, stage, config.n_bands + 1, 0);
            self.branches.spectrum.push(branch);
        }
        if self.wants(Feature::SpectralFlux) {
            let stage = SpectralFlux::new(&SpectralFluxConfig::new(self.spec))?;
            let branch = self.leaf(Feature::SpectralFlux, scalar(stage), 1, 0);
            self.branches.spectrum.push(branch);
        }
        Ok(())
    }

    /// The mel bands and all that is made of them.
    fn bands(&mut self) -> Result<(), ConfigError> {
        const OF_LEVELS: [Feature; 5] = [
            Feature::LogMel,
            Feature::Mfcc,
            Feature::MfccDelta,
            Feature::OnsetStrength,
            Feature::Onset,
        ];
        let of_levels = OF_LEVELS.iter().any(|feature| self.wants(*feature));
        if !(of_levels || self.wants(Feature::Melspectrogram) || self.wants(Feature::Pcen)) {
            return Ok(());
        }
        let n_mels = self.config.n_mels;
        let mut config = MelConfig::new(self.rate(), self.spec.frame_length());
        config.n_mels = n_mels;
        let mut mel = Branch::new(MelSpectrogram::new(&config)?.boxed());
        if self.wants(Feature::Melspectrogram) {
            mel.write(Feature::Melspectrogram, 0, self.columns(Feature::Melspectrogram, n_mels, 0));
        }
        if of_levels {
            let mut levels = Branch::new(LogMel::new(&LogMelConfig::new(n_mels))?.boxed());
            if self.wants(Feature::LogMel) {
                levels.write(Feature::LogMel, 0, self.columns(Feature::LogMel, n_mels, 0));
            }
            self.cepstrum(&mut levels)?;
            self.onsets(&mut levels)?;
            mel.feed(levels);
        }
        if self.wants(Feature::Pcen) {
            let stage = Pcen::new(&PcenConfig::new(self.spec, n_mels))?;
            // Sound of full scale 1 to the scale of 32-bit samples, which PCEN's settings are made for.
            let stage = Gain::new(2_f32.powi(31), n_mels).then(stage);
            mel.feed(self.leaf(Feature::Pcen, stage.boxed(), n_mels, 0));
        }
        self.branches.spectrum.push(mel);
        Ok(())
    }

    fn cepstrum(&mut self, levels: &mut Branch<[f32]>) -> Result<(), ConfigError> {
        if self.wants(Feature::Mfcc) || self.wants(Feature::MfccDelta) {
            let n_mfcc = self.config.n_mfcc;
            let mut config = MfccConfig::new(self.config.n_mels);
            config.n_mfcc = n_mfcc;
            let mut mfcc = Branch::new(Mfcc::new(&config)?.boxed());
            if self.wants(Feature::Mfcc) {
                mfcc.write(Feature::Mfcc, 0, self.columns(Feature::Mfcc, n_mfcc, 0));
            }
            if self.wants(Feature::MfccDelta) {
                let delta = Delta::new(&DeltaConfig::new(self.spec, n_mfcc))?;
                let latency = delta.latency();
                mfcc.feed(self.leaf(Feature::MfccDelta, delta.boxed(), n_mfcc, latency));
            }
            levels.feed(mfcc);
        }
        Ok(())
    }

    fn onsets(&mut self, levels: &mut Branch<[f32]>) -> Result<(), ConfigError> {
        if self.wants(Feature::OnsetStrength) || self.wants(Feature::Onset) {
            let config = OnsetStrengthConfig::new(self.spec, self.config.n_mels);
            let mut strength = Branch::new(scalar(OnsetStrength::new(&config)?));
            if self.wants(Feature::OnsetStrength) {
                strength.write(
                    Feature::OnsetStrength,
                    0,
                    self.columns(Feature::OnsetStrength, 1, 0),
                );
            }
            if self.wants(Feature::Onset) {
                let picker = OnsetPicker::new(&OnsetPickerConfig::new(self.spec))?;
                let latency = picker.latency();
                let stage = adapt(
                    picker,
                    |values: &[f32]| &values[0],
                    1,
                    |onset, out| out[0] = onset.strength,
                );
                // The attack is in the hop that the frame has more than the one before.
                let (frame, hop) = (self.spec.frame_length(), self.spec.hop_length());
                let latency = latency + (frame - frame.saturating_sub(hop)) as u64 - 1;
                let mut branch = Branch::new(stage);
                branch.write(Feature::Onset, 0, self.layout.push(Feature::Onset, 1, latency));
                strength.feed(branch);
            }
            levels.feed(strength);
        }
        Ok(())
    }

    fn chroma(&mut self) -> Result<(), ConfigError> {
        if self.wants(Feature::ChromaStft) || self.wants(Feature::Tonnetz) {
            let config = ChromaStftConfig::new(self.rate(), self.spec.frame_length());
            let stage = ChromaStft::new(&config)?;
            let stage = adapt(stage, |s| s, N_CHROMA, |chroma, out| out.copy_from_slice(chroma));
            let mut chroma = Branch::new(stage);
            if self.wants(Feature::ChromaStft) {
                chroma.write(
                    Feature::ChromaStft,
                    0,
                    self.columns(Feature::ChromaStft, N_CHROMA, 0),
                );
            }
            if self.wants(Feature::Tonnetz) {
                let stage = adapt(Tonnetz::new(), twelve, 6, |axes, out| out.copy_from_slice(axes));
                chroma.feed(self.leaf(Feature::Tonnetz, stage, 6, 0));
            }
            self.branches.spectrum.push(chroma);
        }
        if self.wants(Feature::Cqt) || self.wants(Feature::ChromaCqt) {
            let config = self.cqt();
            let length = config.frame_length()?;
            let frames = FrameSpec::new(length, self.spec.hop_length(), self.rate())?;
            let chain = Framer::new(frames).then(Cqt::new(&config)?);
            // Its frames are longer, so that they end up to a hop before those they come with.
            let early = (self.spec.frame_length() as i64 - length as i64)
                .rem_euclid(self.spec.hop_length() as i64);
            let latency = chain.latency() + early as u64;
            let mut cqt = Branch::new(chain.boxed());
            if self.wants(Feature::Cqt) {
                cqt.write(Feature::Cqt, 0, self.layout.push(Feature::Cqt, config.n_bins, latency));
            }
            if self.wants(Feature::ChromaCqt) {
                let stage = ChromaCqt::new(&ChromaCqtConfig::new(&config))?;
                let stage =
                    adapt(stage, |m| m, N_CHROMA, |chroma, out| out.copy_from_slice(chroma));
                let mut chroma = Branch::new(stage);
                chroma.write(
                    Feature::ChromaCqt,
                    0,
                    self.layout.push(Feature::ChromaCqt, N_CHROMA, latency),
                );
                cqt.feed(chroma);
            }
            self.branches.mono.push(cqt);
        }
        Ok(())
    }

    /// As many of the six octaves from C2 on as the rate can hold. (Another octave below would double
    /// memory and latency.)
    fn cqt(&self) -> CqtConfig {
        let mut config = CqtConfig::new(self.rate());
        config.fmin = PITCH_FMIN as f32;
        config.n_bins = 72;
        while config.n_bins > 1 && config.frequency(config.n_bins) >= self.rate().as_f64() / 2.0 {
            config.n_bins -= 1;
        }
        config
    }

    fn pitch(&mut self) -> Result<(), ConfigError> {
        let rate = self.rate().as_f64();
        // Two periods must fit into a frame; a little more, so that rounding cannot undo it.
        let lowest = 2.0 * rate / (self.spec.frame_length() as f64 - 4.0).max(1.0);
        let fmin = self.config.pitch_fmin.map_or(PITCH_FMIN.max(lowest), f64::from);
        let fmax = self.config.pitch_fmax.map_or(PITCH_FMAX.min(rate / 4.0), f64::from);
        if self.wants(Feature::Pitch) {
            let mut config = YinConfig::new(self.spec);
            (config.fmin, config.fmax) = (fmin, fmax);
            let stage = adapt(
                Yin::new(&config)?,
                |frame| frame,
                2,
                |pitch, out| {
                    let confidence = (1.0 - pitch.aperiodicity).clamp(0.0, 1.0);
                    out.copy_from_slice(&[or_nan(pitch.frequency), confidence]);
                },
            );
            let branch = self.leaf(Feature::Pitch, stage, 2, 0);
            self.branches.frame.push(branch);
        }
        if self.wants(Feature::Pyin) {
            let mut config = PyinConfig::new(self.spec);
            (config.fmin, config.fmax) = (fmin, fmax);
            let stage = Pyin::new(&config)?;
            let latency = stage.latency();
            let stage = adapt(
                stage,
                |frame| frame,
                2,
                |pitch, out| {
                    out.copy_from_slice(&[or_nan(pitch.frequency), pitch.voiced_probability]);
                },
            );
            let branch = self.leaf(Feature::Pyin, stage, 2, latency);
            self.branches.frame.push(branch);
        }
        Ok(())
    }

    fn rest(&mut self) -> Result<(), ConfigError> {
        if self.wants(Feature::Percussiveness) {
            let stage = PercussiveShare::new(&PercussiveShareConfig::new(self.spec))?;
            let stage = adapt(stage, |s| s, 1, |share, out| out[0] = or_nan(*share));
            let branch = self.leaf(Feature::Percussiveness, stage, 1, 0);
            self.branches.spectrum.push(branch);
        }
        if self.wants(Feature::Stereo) {
            let columns = self.columns(Feature::Stereo, 3, 0);
            // One channel has no width: its columns stay unknown.
            if self.config.channels >= 2 {
                let stage = adapt(
                    Stereo::new(self.spec)?,
                    |pairs| pairs,
                    3,
                    |image, out| {
                        let known = [image.width, image.correlation, image.balance];
                        out.copy_from_slice(&known.map(or_nan));
                    },
                );
                let mut branch =
                    Branch::new(FirstTwo::new(self.config.channels).then(stage).boxed());
                branch.write(Feature::Stereo, 0, columns);
                self.branches.interleaved.push(branch);
            }
        }
        Ok(())
    }

    const fn wants(&self, feature: Feature) -> bool {
        let features: FeatureSet = self.config.features;
        features.contains(feature)
    }

    const fn rate(&self) -> SampleRate {
        self.spec.sample_rate()
    }

    /// Columns for a feature of frames, whose stages have this latency beside the frame's own.
    fn columns(&mut self, feature: Feature, columns: usize, latency: u64) -> Range<usize> {
        let frame = self.spec.frame_length() as u64 - 1;
        self.layout.push(feature, columns, frame + latency)
    }

    /// A branch that ends in the columns of one feature.
    fn leaf<I: ?Sized>(
        &mut self,
        feature: Feature,
        stage: BoxedStage<I, [f32]>,
        columns: usize,
        latency: u64,
    ) -> Branch<I> {
        let mut branch = Branch::new(stage);
        branch.write(feature, 0, self.columns(feature, columns, latency));
        branch
    }
}

fn twelve(values: &[f32]) -> &[f32; N_CHROMA] {
    values.first_chunk().expect("chroma has twelve pitch classes")
}

/// The notes C2 and C7, in Hz.
const PITCH_FMIN: f64 = 65.406;
const PITCH_FMAX: f64 = 2093.0;
