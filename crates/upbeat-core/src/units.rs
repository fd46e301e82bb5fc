use std::fmt;
use std::num::NonZeroU32;
use std::ops::{Add, AddAssign, Sub};

use crate::ConfigError;

/// Samples per second and channel, in Hz; at least 1 and never assumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "u32", into = "u32")
)]
pub struct SampleRate(NonZeroU32);

impl SampleRate {
    /// A rate of `hz` samples per second.
    ///
    /// # Errors
    ///
    /// If `hz` is 0.
    pub fn new(hz: u32) -> Result<Self, ConfigError> {
        NonZeroU32::new(hz)
            .map(Self)
            .ok_or_else(|| ConfigError::new("sample_rate", "at least 1 Hz", hz))
    }

    /// In Hz.
    #[must_use]
    pub const fn hz(self) -> u32 {
        self.0.get()
    }

    /// In Hz, for arithmetic.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        f64::from(self.hz())
    }

    /// How many samples `seconds` are, rounded to the nearest; 0 for negative or undefined durations.
    #[must_use]
    pub fn samples(self, seconds: f64) -> u64 {
        (seconds * self.as_f64()).round() as u64
    }

    /// How long `samples` last, in seconds.
    #[must_use]
    pub fn seconds(self, samples: u64) -> f64 {
        samples as f64 / self.as_f64()
    }
}

impl TryFrom<u32> for SampleRate {
    type Error = ConfigError;

    fn try_from(hz: u32) -> Result<Self, ConfigError> {
        Self::new(hz)
    }
}

impl From<SampleRate> for u32 {
    fn from(rate: SampleRate) -> Self {
        rate.hz()
    }
}

impl fmt::Display for SampleRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} Hz", self.hz())
    }
}

/// A position in a stream: samples per channel since its start.
///
/// It counts through dropouts, so two indices are always as far apart as the sounds they name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct SampleIndex(pub u64);

impl SampleIndex {
    /// Seconds since the start of the stream.
    #[must_use]
    pub fn seconds(self, rate: SampleRate) -> f64 {
        rate.seconds(self.0)
    }
}

impl Add<u64> for SampleIndex {
    type Output = Self;

    fn add(self, samples: u64) -> Self {
        Self(self.0.wrapping_add(samples))
    }
}

impl AddAssign<u64> for SampleIndex {
    fn add_assign(&mut self, samples: u64) {
        *self = *self + samples;
    }
}

impl Sub for SampleIndex {
    type Output = u64;

    /// The samples from `earlier` to `self`; 0 where `earlier` is the later one.
    fn sub(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for SampleIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sample {}", self.0)
    }
}

/// How a stream is cut into analysis frames: `frame_length` samples every `hop_length` samples.
///
/// ```
/// use upbeat_core::{FrameSpec, SampleRate};
///
/// let spec = FrameSpec::new(2048, 512, SampleRate::new(44_100)?)?;
/// assert_eq!(spec.frames_in(44_100), 83);
/// assert!((spec.frame_rate() - 86.13).abs() < 0.01);
/// assert_eq!(FrameSpec::new(2048, 0, spec.sample_rate()).unwrap_err().parameter(), "hop_length");
/// # Ok::<(), upbeat_core::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FrameSpec {
    frame_length: usize,
    hop_length: usize,
    sample_rate: SampleRate,
}

impl FrameSpec {
    /// The longest frame and hop accepted, in samples: 87 s at 48 kHz.
    pub const MAX_LENGTH: usize = 1 << 22;

    /// Frames of `frame_length` samples, one every `hop_length` samples; a hop may exceed the frame.
    ///
    /// # Errors
    ///
    /// If a length is 0 or exceeds [`MAX_LENGTH`](Self::MAX_LENGTH).
    pub fn new(
        frame_length: usize,
        hop_length: usize,
        sample_rate: SampleRate,
    ) -> Result<Self, ConfigError> {
        for (parameter, length) in [("frame_length", frame_length), ("hop_length", hop_length)] {
            ConfigError::require(length >= 1, parameter, "at least 1", length)?;
            ConfigError::require(length <= Self::MAX_LENGTH, parameter, "at most 4194304", length)?;
        }
        Ok(Self { frame_length, hop_length, sample_rate })
    }

    /// Samples per frame.
    #[must_use]
    pub const fn frame_length(self) -> usize {
        self.frame_length
    }

    /// Samples from one frame's start to the next one's.
    #[must_use]
    pub const fn hop_length(self) -> usize {
        self.hop_length
    }

    /// The rate of the samples in the frames.
    #[must_use]
    pub const fn sample_rate(self) -> SampleRate {
        self.sample_rate
    }

    /// Frames per second.
    #[must_use]
    pub fn frame_rate(self) -> f64 {
        self.sample_rate.as_f64() / self.hop_length as f64
    }

    /// How many whole frames `samples` hold.
    #[must_use]
    pub const fn frames_in(self, samples: u64) -> u64 {
        match samples.checked_sub(self.frame_length as u64) {
            Some(rest) => rest / self.hop_length as u64 + 1,
            None => 0,
        }
    }

    /// How many hops `seconds` are, rounded to the nearest.
    #[must_use]
    pub fn hops(self, seconds: f64) -> usize {
        (seconds * self.frame_rate()).round() as usize
    }
}

/// A level relative to full scale: 0 dB is an amplitude of 1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct Decibels(pub f32);

impl Decibels {
    /// `20 log10(amplitude)`; −∞ for 0.
    #[must_use]
    pub fn from_amplitude(amplitude: f32) -> Self {
        Self(20.0 * amplitude.log10())
    }

    /// `10 log10(power)`; −∞ for 0.
    #[must_use]
    pub fn from_power(power: f32) -> Self {
        Self(10.0 * power.log10())
    }

    /// The amplitude of this level.
    #[must_use]
    pub fn amplitude(self) -> f32 {
        10f32.powf(self.0 / 20.0)
    }
}

impl fmt::Display for Decibels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} dB", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_counted_from_the_first_whole_one() {
        let spec = FrameSpec::new(4, 3, SampleRate::new(10).unwrap()).unwrap();
        let counts: Vec<u64> = (0..12).map(|n| spec.frames_in(n)).collect();
        assert_eq!(counts, [0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3]);
    }

    #[test]
    fn seconds_and_samples_are_inverse() {
        for hz in [1, 8000, 44_100, 96_000] {
            let rate = SampleRate::new(hz).unwrap();
            for samples in [0, 1, 12_345, 1 << 40] {
                assert_eq!(rate.samples(rate.seconds(samples)), samples);
            }
        }
        let rate = SampleRate::new(48_000).unwrap();
        assert_eq!((rate.samples(-1.0), rate.samples(f64::NAN)), (0, 0));
    }

    #[test]
    fn levels_are_relative_to_full_scale() {
        assert_eq!(Decibels::from_amplitude(1.0).0, 0.0);
        assert!((Decibels::from_power(0.5).0 + 3.0103).abs() < 1e-4);
        assert!((Decibels(-6.0206).amplitude() - 0.5).abs() < 1e-5);
        assert_eq!(Decibels::from_amplitude(0.0).0, f32::NEG_INFINITY);
    }

    #[test]
    fn an_absurd_length_is_refused_before_anything_is_allocated() {
        let rate = SampleRate::new(48_000).unwrap();
        assert_eq!(FrameSpec::new(usize::MAX, 1, rate).unwrap_err().parameter(), "frame_length");
        assert_eq!(FrameSpec::new(1, usize::MAX, rate).unwrap_err().parameter(), "hop_length");
    }
}
