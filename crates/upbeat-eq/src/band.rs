use std::fmt;

use upbeat_core::ConfigError;

/// What one band of an equalizer does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BandKind {
    /// Nothing: the signal passes unchanged, bit for bit.
    #[default]
    Off,
    /// The same gain at all frequencies.
    Gain,
    /// A bell of `gain` dB at `frequency`; `q` is the frequency over the width at half the gain in dB.
    Peak,
    /// `gain` dB well below `frequency`, half of it there.
    LowShelf,
    /// `gain` dB well above `frequency`, half of it there.
    HighShelf,
    /// Second order: −12 dB per octave above `frequency`; `q` is the amplitude there.
    LowPass,
    /// Second order: −12 dB per octave below `frequency`; `q` is the amplitude there.
    HighPass,
    /// Nothing at `frequency` itself; `q` is the frequency over the width at −3 dB.
    Notch,
    /// First order: `−gain / 2` dB well below `frequency`, `+gain / 2` dB well above, 0 dB there.
    Tilt,
}

/// One band of an equalizer: its kind and where it stands.
///
/// ```
/// use upbeat_eq::Band;
///
/// let presence = Band::peak(3_000.0, 4.5, 1.2);
/// presence.validate()?;
/// assert_eq!(Band::peak(3_000.0, f64::NAN, 1.2).validate().unwrap_err().parameter(), "gain");
/// # Ok::<(), upbeat_core::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Band {
    /// What it does.
    pub kind: BandKind,
    /// Where, in Hz: 1 to 200 000. It may lie above half the sample rate; what reaches below is heard.
    pub frequency: f64,
    /// How much, in dB: −40 to 40. Passes and the notch have none.
    pub gain: f64,
    /// How narrow: 0.05 to 100. The tilt and the plain gain have none.
    pub q: f64,
}

impl Band {
    /// The lowest and the highest frequency accepted, in Hz.
    pub const FREQUENCIES: [f64; 2] = [1.0, 200_000.0];
    /// The lowest and the highest gain accepted, in dB.
    pub const GAINS: [f64; 2] = [-40.0, 40.0];
    /// The lowest and the highest Q accepted.
    pub const QS: [f64; 2] = [0.05, 100.0];
    /// A Q without overshoot or resonance, `1/√2`.
    pub const BUTTERWORTH: f64 = std::f64::consts::FRAC_1_SQRT_2;

    /// A band of any kind; what the kind has no use for is ignored.
    #[must_use]
    pub const fn new(kind: BandKind, frequency: f64, gain: f64, q: f64) -> Self {
        Self { kind, frequency, gain, q }
    }

    /// A band that does nothing.
    #[must_use]
    pub const fn off() -> Self {
        Self::new(BandKind::Off, 1000.0, 0.0, Self::BUTTERWORTH)
    }

    /// [`BandKind::Gain`].
    #[must_use]
    pub const fn gain(gain: f64) -> Self {
        Self::new(BandKind::Gain, 1000.0, gain, Self::BUTTERWORTH)
    }

    /// [`BandKind::Peak`].
    #[must_use]
    pub const fn peak(frequency: f64, gain: f64, q: f64) -> Self {
        Self::new(BandKind::Peak, frequency, gain, q)
    }

    /// [`BandKind::LowShelf`] with a Q of `1/√2`.
    #[must_use]
    pub const fn low_shelf(frequency: f64, gain: f64) -> Self {
        Self::new(BandKind::LowShelf, frequency, gain, Self::BUTTERWORTH)
    }

    /// [`BandKind::HighShelf`] with a Q of `1/√2`.
    #[must_use]
    pub const fn high_shelf(frequency: f64, gain: f64) -> Self {
        Self::new(BandKind::HighShelf, frequency, gain, Self::BUTTERWORTH)
    }

    /// [`BandKind::LowPass`] with a Q of `1/√2`.
    #[must_use]
    pub const fn low_pass(frequency: f64) -> Self {
        Self::new(BandKind::LowPass, frequency, 0.0, Self::BUTTERWORTH)
    }

    /// [`BandKind::HighPass`] with a Q of `1/√2`.
    #[must_use]
    pub const fn high_pass(frequency: f64) -> Self {
        Self::new(BandKind::HighPass, frequency, 0.0, Self::BUTTERWORTH)
    }

    /// [`BandKind::Notch`].
    #[must_use]
    pub const fn notch(frequency: f64, q: f64) -> Self {
        Self::new(BandKind::Notch, frequency, 0.0, q)
    }

    /// [`BandKind::Tilt`].
    #[must_use]
    pub const fn tilt(frequency: f64, gain: f64) -> Self {
        Self::new(BandKind::Tilt, frequency, gain, Self::BUTTERWORTH)
    }

    /// Whether an equalizer takes this band.
    ///
    /// # Errors
    ///
    /// If `frequency`, `gain` or `q` is not in its range; also where the kind ignores it.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let within = |x: f64, [low, high]: [f64; 2]| x >= low && x <= high;
        let frequency = within(self.frequency, Self::FREQUENCIES);
        ConfigError::require(frequency, "frequency", "1 to 200000 Hz", self.frequency)?;
        let gain = within(self.gain, Self::GAINS);
        ConfigError::require(gain, "gain", "-40 to 40 dB", self.gain)?;
        ConfigError::require(within(self.q, Self::QS), "q", "0.05 to 100", self.q)
    }
}

impl Default for Band {
    fn default() -> Self {
        Self::off()
    }
}

impl fmt::Display for Band {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, frequency, gain, q } = self;
        match kind {
            BandKind::Off => write!(f, "off"),
            BandKind::Gain => write!(f, "gain {gain:+.1} dB"),
            BandKind::Peak => write!(f, "peak {gain:+.1} dB at {frequency:.0} Hz, Q {q:.2}"),
            BandKind::LowShelf => write!(f, "low shelf {gain:+.1} dB at {frequency:.0} Hz"),
            BandKind::HighShelf => write!(f, "high shelf {gain:+.1} dB at {frequency:.0} Hz"),
            BandKind::LowPass => write!(f, "low pass at {frequency:.0} Hz, Q {q:.2}"),
            BandKind::HighPass => write!(f, "high pass at {frequency:.0} Hz, Q {q:.2}"),
            BandKind::Notch => write!(f, "notch at {frequency:.0} Hz, Q {q:.2}"),
            BandKind::Tilt => write!(f, "tilt {gain:+.1} dB around {frequency:.0} Hz"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setting_out_of_range_is_named() {
        for (band, parameter) in [
            (Band::peak(0.5, 0.0, 1.0), "frequency"),
            (Band::peak(f64::INFINITY, 0.0, 1.0), "frequency"),
            (Band::peak(f64::NAN, 0.0, 1.0), "frequency"),
            (Band::low_shelf(100.0, 41.0), "gain"),
            (Band::notch(100.0, 0.0), "q"),
            (Band::notch(100.0, f64::NAN), "q"),
        ] {
            assert_eq!(band.validate().unwrap_err().parameter(), parameter, "{band:?}");
        }
        assert!(Band::default().validate().is_ok());
    }
}
