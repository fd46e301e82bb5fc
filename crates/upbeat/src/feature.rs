//! Names of features, and sets of them.

use std::fmt;
use std::str::FromStr;

use upbeat_core::ConfigError;

/// A feature that [`Analyzer`](crate::Analyzer) can compute; its documentation is that of the stage behind it.
///
/// The [`name`](Self::name)s are librosa's where librosa has the feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "String", into = "&'static str")
)]
#[non_exhaustive]
pub enum Feature {
    /// Root mean square of the frame; [`Rms`](upbeat_features::level::Rms).
    Rms,
    /// Largest magnitude of the frame; [`Peak`](upbeat_features::level::Peak).
    Peak,
    /// Peak over RMS; [`CrestFactor`](upbeat_features::level::Crest).
    CrestFactor,
    /// Sum of squares of the frame; [`Energy`](upbeat_features::level::Energy).
    Energy,
    /// Share of samples whose sign changes; [`ZeroCrossingRate`](upbeat_features::level::ZeroCrossingRate).
    ZeroCrossingRate,
    /// 1 in silence, else 0; [`Silence`](upbeat_features::level::Silence).
    Silence,
    /// Momentary, short-term and integrated loudness, in LUFS, as of the last whole tenth
    /// of a second; [`LoudnessMeter`](upbeat_features::loudness::LoudnessMeter).
    Loudness,
    /// Centre of mass of the spectrum, in Hz.
    SpectralCentroid,
    /// Standard deviation of the spectrum about its centroid, in Hz.
    SpectralBandwidth,
    /// Skewness of the spectrum about its centroid.
    SpectralSkewness,
    /// Kurtosis of the spectrum about its centroid.
    SpectralKurtosis,
    /// Frequency below which 85 % of the magnitude lies, in Hz.
    SpectralRolloff,
    /// Geometric over arithmetic mean of the power spectrum.
    SpectralFlatness,
    /// Shannon entropy of the spectrum, 0 to 1.
    SpectralEntropy,
    /// Slope of a line through the magnitudes, per Hz.
    SpectralSlope,
    /// Peak-to-valley difference in seven octave bands, in dB.
    SpectralContrast,
    /// Rise of the normalised spectrum since the last frame.
    SpectralFlux,
    /// Power in mel bands.
    Melspectrogram,
    /// Power in mel bands, in dB.
    LogMel,
    /// Mel-frequency cepstral coefficients.
    Mfcc,
    /// First differences of the MFCCs over nine frames; refers to four hops ago.
    MfccDelta,
    /// Per-channel energy normalisation of the mel bands.
    Pcen,
    /// Power per pitch class from the STFT, from C.
    ChromaStft,
    /// Magnitudes of the constant-Q transform, twelve bins per octave, six octaves from C2.
    Cqt,
    /// Chroma from the constant-Q transform.
    ChromaCqt,
    /// Six tonal centroids of the STFT's chroma.
    Tonnetz,
    /// How much the mel bands have risen, in dB.
    OnsetStrength,
    /// The strength of an onset at the frame it is found in; none elsewhere.
    Onset,
    /// Fundamental frequency by YIN in Hz, and its confidence; none where unvoiced.
    Pitch,
    /// Fundamental frequency by pYIN in Hz, and the probability of voice; refers to the past.
    Pyin,
    /// Share of percussive energy, 0 to 1.
    Percussiveness,
    /// Width, correlation and balance of the first two channels.
    Stereo,
}

impl Feature {
    /// All features, in the order of their columns.
    pub const ALL: &'static [Self] = &[
        Self::Rms,
        Self::Peak,
        Self::CrestFactor,
        Self::Energy,
        Self::ZeroCrossingRate,
        Self::Silence,
        Self::Loudness,
        Self::SpectralCentroid,
        Self::SpectralBandwidth,
        Self::SpectralSkewness,
        Self::SpectralKurtosis,
        Self::SpectralRolloff,
        Self::SpectralFlatness,
        Self::SpectralEntropy,
        Self::SpectralSlope,
        Self::SpectralContrast,
        Self::SpectralFlux,
        Self::Melspectrogram,
        Self::LogMel,
        Self::Mfcc,
        Self::MfccDelta,
        Self::Pcen,
        Self::ChromaStft,
        Self::Cqt,
        Self::ChromaCqt,
        Self::Tonnetz,
        Self::OnsetStrength,
        Self::Onset,
        Self::Pitch,
        Self::Pyin,
        Self::Percussiveness,
        Self::Stereo,
    ];

    /// The name, in `snake_case`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rms => "rms",
            Self::Peak => "peak",
            Self::CrestFactor => "crest_factor",
            Self::Energy => "energy",
            Self::ZeroCrossingRate => "zero_crossing_rate",
            Self::Silence => "silence",
            Self::Loudness => "loudness",
            Self::SpectralCentroid => "spectral_centroid",
            Self::SpectralBandwidth => "spectral_bandwidth",
            Self::SpectralSkewness => "spectral_skewness",
            Self::SpectralKurtosis => "spectral_kurtosis",
            Self::SpectralRolloff => "spectral_rolloff",
            Self::SpectralFlatness => "spectral_flatness",
            Self::SpectralEntropy => "spectral_entropy",
            Self::SpectralSlope => "spectral_slope",
            Self::SpectralContrast => "spectral_contrast",
            Self::SpectralFlux => "spectral_flux",
            Self::Melspectrogram => "melspectrogram",
            Self::LogMel => "log_mel",
            Self::Mfcc => "mfcc",
            Self::MfccDelta => "mfcc_delta",
            Self::Pcen => "pcen",
            Self::ChromaStft => "chroma_stft",
            Self::Cqt => "cqt",
            Self::ChromaCqt => "chroma_cqt",
            Self::Tonnetz => "tonnetz",
            Self::OnsetStrength => "onset_strength",
            Self::Onset => "onset",
            Self::Pitch => "pitch",
            Self::Pyin => "pyin",
            Self::Percussiveness => "percussiveness",
            Self::Stereo => "stereo",
        }
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl From<Feature> for &'static str {
    fn from(feature: Feature) -> Self {
        feature.name()
    }
}

impl FromStr for Feature {
    type Err = ConfigError;

    fn from_str(name: &str) -> Result<Self, ConfigError> {
        Self::ALL.iter().copied().find(|feature| feature.name() == name).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|feature| feature.name()).collect();
            ConfigError::new(
                "features",
                format!("one of {}", names.join(", ")),
                format!("'{name}'"),
            )
        })
    }
}

impl TryFrom<String> for Feature {
    type Error = ConfigError;

    fn try_from(name: String) -> Result<Self, ConfigError> {
        name.parse()
    }
}

/// Which features to compute. Only those cost time.
///
/// ```
/// use upbeat::{Feature, FeatureSet};
///
/// let mut features: FeatureSet = "levels,mfcc".parse()?;
/// features.insert(Feature::Pitch);
/// assert!(features.contains(Feature::Rms) && features.contains(Feature::Mfcc));
/// assert_eq!(features, [FeatureSet::LEVELS, [Feature::Mfcc, Feature::Pitch].into()].into_iter().collect());
/// assert!("loudnes".parse::<FeatureSet>().unwrap_err().to_string().contains("loudness"));
/// # Ok::<(), upbeat::core::ConfigError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct FeatureSet(u64);

impl FeatureSet {
    /// No feature.
    pub const EMPTY: Self = Self(0);

    /// Levels: RMS, peak, crest factor, energy, silence.
    pub const LEVELS: Self = Self::of(&[
        Feature::Rms,
        Feature::Peak,
        Feature::CrestFactor,
        Feature::Energy,
        Feature::Silence,
    ]);

    /// All measures of the spectrum's shape.
    pub const SPECTRAL: Self = Self::of(&[
        Feature::SpectralCentroid,
        Feature::SpectralBandwidth,
        Feature::SpectralSkewness,
        Feature::SpectralKurtosis,
        Feature::SpectralRolloff,
        Feature::SpectralFlatness,
        Feature::SpectralEntropy,
        Feature::SpectralSlope,
        Feature::SpectralContrast,
        Feature::SpectralFlux,
    ]);

    /// What an analysis usually wants: levels, spectral shape, log-mel, MFCC, chroma, tonnetz, onset
    /// strength, zero-crossing rate and pitch.
    pub const DEFAULT: Self = Self(
        Self::LEVELS.0
            | Self::SPECTRAL.0
            | Self::of(&[
                Feature::ZeroCrossingRate,
                Feature::LogMel,
                Feature::Mfcc,
                Feature::ChromaStft,
                Feature::Tonnetz,
                Feature::OnsetStrength,
                Feature::Pitch,
            ])
            .0,
    );

    /// Every feature.
    pub const ALL: Self = Self::of(Feature::ALL);

    /// Those that change slowly, depend on their own frame alone, and cost something: what
    /// [`Analyzer::set_reuse`](crate::Analyzer::set_reuse) lets stand for several frames.
    pub const LASTING: Self = Self::of(&[
        Feature::SpectralContrast,
        Feature::Mfcc,
        Feature::ChromaStft,
        Feature::Tonnetz,
        Feature::Pitch,
    ]);

    /// Names of sets that [`FromStr`] knows beside those of features.
    pub const GROUPS: &'static [(&'static str, Self)] = &[
        ("default", Self::DEFAULT),
        ("all", Self::ALL),
        ("levels", Self::LEVELS),
        ("spectral", Self::SPECTRAL),
    ];

    /// Whether `feature` is in the set.
    #[must_use]
    pub const fn contains(self, feature: Feature) -> bool {
        self.0 & Self::bit(feature) != 0
    }

    /// Whether the set is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Adds `feature`.
    pub fn insert(&mut self, feature: Feature) {
        self.0 |= Self::bit(feature);
    }

    /// Takes `feature` out.
    pub fn remove(&mut self, feature: Feature) {
        self.0 &= !Self::bit(feature);
    }

    /// How many features are in the set.
    #[must_use]
    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// The features in either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The features in both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The features in this set that are not in `other`.
    #[must_use]
    pub const fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether any feature is in both sets.
    pub(crate) const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The features in the set, in the order of [`Feature::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Feature> {
        Feature::ALL.iter().copied().filter(move |feature| self.contains(*feature))
    }

    const fn of(features: &[Feature]) -> Self {
        let mut bits = 0;
        let mut i = 0;
        while i < features.len() {
            bits |= Self::bit(features[i]);
            i += 1;
        }
        Self(bits)
    }

    const fn bit(feature: Feature) -> u64 {
        1 << feature as u32
    }
}

impl Default for FeatureSet {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl<const N: usize> From<[Feature; N]> for FeatureSet {
    fn from(features: [Feature; N]) -> Self {
        Self::of(&features)
    }
}

impl FromIterator<Feature> for FeatureSet {
    fn from_iter<I: IntoIterator<Item = Feature>>(features: I) -> Self {
        features.into_iter().map(|feature| Self::of(&[feature])).collect()
    }
}

impl FromIterator<Self> for FeatureSet {
    fn from_iter<I: IntoIterator<Item = Self>>(sets: I) -> Self {
        Self(sets.into_iter().fold(0, |bits, set| bits | set.0))
    }
}

impl FromStr for FeatureSet {
    type Err = ConfigError;

    /// A comma-separated list of feature names and [group](FeatureSet::GROUPS) names.
    fn from_str(list: &str) -> Result<Self, ConfigError> {
        list.split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .map(|name| match Self::GROUPS.iter().find(|(group, _)| *group == name) {
                Some((_, set)) => Ok(*set),
                None => name.parse().map(|feature| Self::of(&[feature])),
            })
            .collect()
    }
}

impl fmt::Debug for FeatureSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Feature::name)).finish()
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for FeatureSet {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for FeatureSet {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::<Feature>::deserialize(deserializer)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_feature_has_its_own_name_and_bit() {
        for feature in Feature::ALL {
            assert_eq!(feature.name().parse(), Ok(*feature));
        }
        assert_eq!(FeatureSet::ALL.iter().count(), Feature::ALL.len());
        // Items of a governor go by their place in the list.
        assert!(Feature::ALL.iter().enumerate().all(|(i, feature)| *feature as usize == i));
        assert_eq!(FeatureSet::ALL.0.count_ones() as usize, Feature::ALL.len());
    }

    #[test]
    fn sets_are_edited_feature_by_feature() {
        let mut set = FeatureSet::EMPTY;
        assert!(set.is_empty());
        set.insert(Feature::Rms);
        set.insert(Feature::Stereo);
        set.remove(Feature::Rms);
        assert_eq!(set.iter().collect::<Vec<_>>(), [Feature::Stereo]);
    }

    #[test]
    fn an_unknown_name_is_told_which_there_are() {
        let error = "rms, loudnes".parse::<FeatureSet>().unwrap_err();
        assert!(error.to_string().contains("loudness") && error.to_string().ends_with("'loudnes'"));
    }
}
