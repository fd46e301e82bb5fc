use upbeat_core::{ConfigError, SampleIndex, SampleRate, Stage};

use crate::math;
use crate::stft::{Spectrum, require_n_fft};

/// Settings of [`SpectralContrast`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct SpectralContrastConfig {
    /// The rate of the samples behind the spectra.
    pub sample_rate: SampleRate,
    /// The length of their transform.
    pub n_fft: usize,
    /// Octave bands above `fmin`, from 1 to 16. Default: 6.
    pub n_bands: usize,
    /// Where the first octave starts, in Hz, above 0; the one before the last must start below half the
    /// sample rate. Default: 200.
    pub fmin: f64,
    /// The share of a band's bins that its peak and its valley are means of, above 0 and below 1.
    /// Default: 0.02.
    pub quantile: f64,
    /// How peak and valley are compared. Default: [`ContrastScale::Decibels`].
    pub scale: ContrastScale,
}

/// How a band's peak and valley are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContrastScale {
    /// `10 log₁₀ max(peak, 1e-10) − 10 log₁₀ max(valley, 1e-10)`.
    Decibels,
    /// `peak − valley`.
    Linear,
}

impl SpectralContrastConfig {
    /// librosa's settings, for the spectra of `n_fft` samples at this rate.
    #[must_use]
    pub const fn new(sample_rate: SampleRate, n_fft: usize) -> Self {
        let (n_bands, fmin, quantile) = (6, 200.0, 0.02);
        Self { sample_rate, n_fft, n_bands, fmin, quantile, scale: ContrastScale::Decibels }
    }
}

/// How far the peaks of each octave stand out of its valleys: `n_bands + 1` values, of 0 Hz to `fmin` first,
/// then of each octave above it, the last one up to half the sample rate.
///
/// A band's peak is the mean of the magnitudes of its `quantile` strongest bins, its valley that of
/// the weakest, at least one bin each. As `librosa.feature.spectral_contrast`, but with no floor 80 dB
/// below the loudest of all frames: what is still to come cannot be known. 0 for silence. No memory.
///
/// Source: Jiang et al., "Music type classification by spectral contrast feature", ICME 2002; librosa takes
/// `10 log₁₀` of magnitudes where they take the logarithm of powers.
///
/// ```
/// use upbeat_core::{SampleIndex, SampleRate, Stage};
/// use upbeat_features::spectral::{SpectralContrast, SpectralContrastConfig};
/// use upbeat_features::stft::Spectrum;
///
/// let mut config = SpectralContrastConfig::new(SampleRate::new(1600)?, 16); // a bin every 100 Hz
/// config.n_bands = 2;
/// let mut contrast = SpectralContrast::new(&config)?;
/// let magnitude = [1.0, 1.0, 1.0, 1.0, 10.0, 1.0, 1.0, 1.0, 1.0]; // a line at 400 Hz
/// contrast.process(SampleIndex(0), &Spectrum::from_magnitude(16, &magnitude)?, |_, bands| {
///     assert_eq!(bands.len(), 3);
///     assert!(bands[0].abs() < 1e-5 && bands[1].abs() < 1e-5 && (bands[2] - 10.0).abs() < 1e-5);
/// });
/// # Ok::<(), upbeat_core::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct SpectralContrast {
    n_fft: usize,
    scale: ContrastScale,
    bands: Box<[Band]>,
    contrast: Box<[f32]>,
    /// Room to select in, for the widest band.
    room: Box<[f32]>,
}

impl SpectralContrast {
    /// Allocates all that will ever be needed.
    ///
    /// # Errors
    ///
    /// If a setting is outside its range, or a band is so narrow that it holds no bin.
    pub fn new(config: &SpectralContrastConfig) -> Result<Self, ConfigError> {
        let SpectralContrastConfig { sample_rate, n_fft, n_bands, fmin, quantile, scale } = *config;
        require_n_fft(n_fft)?;
        ConfigError::require((1..=16).contains(&n_bands), "n_bands", "from 1 to 16", n_bands)?;
        let last_start = fmin * 2.0_f64.powi(n_bands as i32 - 1);
        let holds = fmin > 0.0 && last_start < sample_rate.as_f64() / 2.0;
        let requirement = "above 0, with the last octave below half the sample rate";
        ConfigError::require(holds, "fmin", requirement, fmin)?;
        let holds = quantile > 0.0 && quantile < 1.0;
        ConfigError::require(holds, "quantile", "above 0 and below 1", quantile)?;

        let bands: Box<[Band]> = (0..=n_bands).map(|k| Band::new(config, k)).collect();
        let holds = bands.iter().all(|band| band.start < band.end);
        ConfigError::require(holds, "n_fft", "long enough for a bin in each band", n_fft)?;
        let widest = bands.iter().map(|band| band.end - band.start).max().unwrap_or(0);
        Ok(Self {
            n_fft,
            scale,
            contrast: vec![0.0; bands.len()].into(),
            bands,
            room: vec![0.0; room_for(widest)].into(),
        })
    }

    /// How many values are emitted for each frame, `n_bands + 1`.
    #[must_use]
    pub const fn n_values(&self) -> usize {
        self.bands.len()
    }
}

impl Stage for SpectralContrast {
    type In = Spectrum;
    type Out = [f32];

    /// # Panics
    ///
    /// If the spectrum is of another `n_fft`.
    fn process(
        &mut self,
        at: SampleIndex,
        spectrum: &Spectrum,
        mut emit: impl FnMut(SampleIndex, &[f32]),
    ) {
        assert_eq!(spectrum.n_fft(), self.n_fft, "spectra are of the n_fft that was set");
        for (contrast, band) in self.contrast.iter_mut().zip(&self.bands) {
            let magnitude = &spectrum.magnitude()[band.start..band.end];
            let peak = mean_of_largest(magnitude, 1.0, band.count, &mut self.room);
            let valley = -mean_of_largest(magnitude, -1.0, band.count, &mut self.room);
            *contrast = match self.scale {
                ContrastScale::Decibels => {
                    math::power_to_db(peak.max(AMIN)) - math::power_to_db(valley.max(AMIN))
                }
                ContrastScale::Linear => peak - valley,
            };
        }
        emit(at, &self.contrast);
    }

    fn reset(&mut self) {}
}

/// The bins of a band, and how many of them make its peak.
#[derive(Clone, Copy, Debug)]
struct Band {
    start: usize,
    end: usize,
    count: usize,
}

impl Band {
    /// Band `k`, with the borders that librosa gives it.
    fn new(config: &SpectralContrastConfig, k: usize) -> Self {
        let SpectralContrastConfig { sample_rate, n_fft, n_bands, fmin, quantile, .. } = *config;
        let frequency = |bin: usize| bin as f64 * sample_rate.as_f64() / n_fft as f64;
        let first_from = |hz: f64| (0..=n_fft / 2).find(|bin| frequency(*bin) >= hz);
        let last_to = |hz: f64| (0..=n_fft / 2).rev().find(|bin| frequency(*bin) <= hz);
        let low = if k == 0 { 0.0 } else { fmin * 2.0_f64.powi(k as i32 - 1) };
        let high = fmin * 2.0_f64.powi(k as i32);

        // The bins within, and the one below. Of all but the last band, the highest bin counts for the
        // quantile, but is not looked at.
        let start = first_from(low).map_or(n_fft / 2 + 1, |bin| bin.saturating_sub(1));
        let last = if k == n_bands { n_fft / 2 } else { last_to(high).unwrap_or(0) };
        let n_bins = (last + 1).saturating_sub(start);
        let end = if k == n_bands { last + 1 } else { last };
        let count = (quantile * n_bins as f64).round_ties_even() as usize;
        Self { start, end, count: count.clamp(1, end.saturating_sub(start).max(1)) }
    }
}

/// The mean of the `count` largest of `sign · values`, which are no fewer; `room` has [`room_for`] them.
fn mean_of_largest(values: &[f32], sign: f32, count: usize, room: &mut [f32]) -> f32 {
    let descending = |a: &f32, b: &f32| b.total_cmp(a);
    let columns = values.len() / ROWS;
    let (room, all) = room.split_at_mut(values.len());
    let mut kept = 0;
    if count <= columns {
        // With the values as a table of rows, `count` columns have a maximum of at least the `count`-th
        // largest maximum: what is sought is at least that, and lies in few other columns.
        let (largest, ordered) = all[..2 * columns].split_at_mut(columns);
        largest.fill(f32::NEG_INFINITY);
        for row in values.chunks_exact(columns).take(ROWS) {
            for (largest, value) in largest.iter_mut().zip(row) {
                let value = sign * value;
                *largest = if value > *largest { value } else { *largest };
            }
        }
        ordered.copy_from_slice(largest);
        let (_, bound, _) = ordered.select_nth_unstable_by(count - 1, descending);
        let bound = *bound;
        let mut keep = |value: f32| {
            room[kept] = sign * value;
            kept += usize::from(sign * value >= bound);
        };
        for column in (0..columns).filter(|column| largest[*column] >= bound) {
            for row in 0..ROWS {
                keep(values[row * columns + column]);
            }
        }
        // Less than a row is left over.
        for value in &values[ROWS * columns..] {
            keep(*value);
        }
    } else {
        for (room, value) in room.iter_mut().zip(values) {
            *room = sign * value;
        }
        kept = values.len();
    }
    let kept = &mut room[..kept];
    kept.select_nth_unstable_by(count - 1, descending);
    let sum: f64 = kept[..count].iter().map(|value| f64::from(*value)).sum();
    (sum / count as f64) as f32
}

/// The room to select in that so many values need.
const fn room_for(values: usize) -> usize {
    values + 2 * (values / ROWS)
}

/// Rows of the table in [`mean_of_largest`].
const ROWS: usize = 8;
/// The magnitude that weaker peaks and valleys are taken for, librosa's.
const AMIN: f32 = 1e-10;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};
    use upbeat_core::FrameSpec;
    use upbeat_testkit::streaming::assert_streaming;
    use upbeat_testkit::{signal, streamed};
    use upbeat_window::Framer;

    use crate::stft::{Stft, StftConfig};

    fn config(n_fft: usize) -> SpectralContrastConfig {
        SpectralContrastConfig::new(SampleRate::new(16_000).unwrap(), n_fft)
    }

    #[test]
    fn silence_has_no_contrast() {
        let mut contrast = SpectralContrast::new(&config(2048)).unwrap();
        let silence = Spectrum::from_magnitude(2048, &[0.0; 1025]).unwrap();
        contrast.process(SampleIndex(0), &silence, |_, bands| assert_eq!(bands, [0.0; 7]));
    }

    #[test]
    fn absurd_settings_are_refused_by_name() {
        let refused = |change: fn(&mut SpectralContrastConfig)| {
            let mut config = config(2048);
            change(&mut config);
            SpectralContrast::new(&config).unwrap_err().parameter()
        };
        assert_eq!(refused(|c| c.n_bands = 0), "n_bands");
        assert_eq!(refused(|c| c.n_bands = usize::MAX), "n_bands");
        assert_eq!(refused(|c| c.n_bands = 7), "fmin");
        assert_eq!(refused(|c| c.fmin = f64::NAN), "fmin");
        assert_eq!(refused(|c| c.fmin = 1e-300), "n_fft");
        assert_eq!(refused(|c| c.quantile = f64::NAN), "quantile");
        assert_eq!(refused(|c| c.n_fft = 16), "n_fft");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn selection_equals_sorting(
            values in vec(0_u8..50, 1..600),
            share in 0.0_f64..1.0,
            valley: bool,
        ) {
            let values: Vec<f32> = values.into_iter().map(f32::from).collect();
            let count = ((values.len() as f64 * share * share) as usize).max(1);
            let mut sorted = values.clone();
            sorted.sort_by(f32::total_cmp);
            let expected: f32 = if valley {
                -sorted[..count].iter().sum::<f32>()
            } else {
                sorted[values.len() - count..].iter().sum()
            };
            let sign = if valley { -1.0 } else { 1.0 };
            let mut room = vec![f32::NAN; room_for(values.len())];
            let found = mean_of_largest(&values, sign, count, &mut room);
            prop_assert!((found - expected / count as f32).abs() < 1e-5);
        }

        #[test]
        fn any_split_gives_the_same(hop in 1_usize..100, seed: u64) {
            let spec = FrameSpec::new(256, hop, SampleRate::new(16_000).unwrap()).unwrap();
            let stft = Stft::new(&StftConfig::new(256)).unwrap();
            let contrast = SpectralContrast::new(&config(256)).unwrap();
            let make = || streamed!(Framer::new(spec).then(stft.clone()).then(contrast.clone()));
            assert_streaming(make, &signal::noise(1.0, seed, 700), 1, seed);
        }
    }
}
