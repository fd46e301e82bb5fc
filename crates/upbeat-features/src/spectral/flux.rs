use upbeat_core::{ConfigError, Continuity, FrameSpec, SampleIndex, Stage};

use crate::math;
use crate::stft::{Spectrum, require_n_fft};

/// Settings of [`SpectralFlux`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct SpectralFluxConfig {
    /// How the frames behind the spectra were cut.
    pub frames: FrameSpec,
    /// The length of their transform.
    pub n_fft: usize,
    /// Which changes count. Default: [`Changes::All`].
    pub changes: Changes,
    /// How the changes of the bins add up. Default: [`FluxNorm::Euclidean`].
    pub norm: FluxNorm,
}

/// Which changes of a bin count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changes {
    /// Rises and falls.
    All,
    /// Rises only, as for finding onsets.
    Rises,
}

/// How the changes of the bins add up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FluxNorm {
    /// `Σ |Δ|`.
    Sum,
    /// `√(Σ Δ²)`.
    Euclidean,
}

impl SpectralFluxConfig {
    /// Essentia's settings, for the spectra of frames cut like this.
    #[must_use]
    pub const fn new(frames: FrameSpec) -> Self {
        let n_fft = frames.frame_length();
        Self { frames, n_fft, changes: Changes::All, norm: FluxNorm::Euclidean }
    }
}

/// How much the magnitudes have changed since the frame before: `√(Σ_k (A[t, k] − A[t − 1, k])²)`.
///
/// In the unit of the magnitudes, not divided by the number of bins. 0 for the first frame, and for the
/// first one after a gap. With the default settings as `Flux` of Essentia (after Tzanetakis and Cook,
/// "Multifeature audio segmentation for browsing and annotation", WASPAA 1999, who normalise each
/// spectrum first); for onsets over mel bands in dB see librosa's `onset_strength`.
///
/// ```
/// use upbeat_core::{FrameSpec, SampleIndex, SampleRate, Stage};
/// use upbeat_features::spectral::{SpectralFlux, SpectralFluxConfig};
/// use upbeat_features::stft::Spectrum;
///
/// let frames = FrameSpec::new(4, 2, SampleRate::new(8000)?)?;
/// let mut flux = SpectralFlux::new(&SpectralFluxConfig::new(frames))?;
/// let mut seen = Vec::new();
/// for (at, magnitude) in [(0, [1.0, 0.0, 9.0]), (2, [4.0, 4.0, 9.0])] {
///     let spectrum = Spectrum::from_magnitude(4, &magnitude)?;
///     flux.process(SampleIndex(at), &spectrum, |_, flux| seen.push(*flux));
/// }
/// assert_eq!(seen, [0.0, 5.0]);
/// # Ok::<(), upbeat_core::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct SpectralFlux {
    config: SpectralFluxConfig,
    /// The magnitudes of the frame before, once there was one.
    before: Box<[f32]>,
    /// The change of each bin.
    change: Box<[f32]>,
    heard: bool,
    continuity: Continuity,
}

impl SpectralFlux {
    /// Allocates all that will ever be needed.
    ///
    /// # Errors
    ///
    /// If `n_fft` is outside its range.
    pub fn new(config: &SpectralFluxConfig) -> Result<Self, ConfigError> {
        require_n_fft(config.n_fft)?;
        let nothing: Box<[f32]> = vec![0.0; config.n_fft / 2 + 1].into();
        Ok(Self {
            config: *config,
            before: nothing.clone(),
            change: nothing,
            heard: false,
            continuity: Continuity::default(),
        })
    }
}

impl Stage for SpectralFlux {
    type In = Spectrum;
    type Out = f32;

    /// # Panics
    ///
    /// If the spectrum is of another `n_fft`.
    fn process(
        &mut self,
        at: SampleIndex,
        spectrum: &Spectrum,
        mut emit: impl FnMut(SampleIndex, &f32),
    ) {
        assert_eq!(spectrum.n_fft(), self.config.n_fft, "spectra are of the n_fft that was set");
        if self.continuity.advance(at, self.config.frames.hop_length() as u64).is_some() {
            self.heard = false;
        }
        let now = spectrum.magnitude();
        if !self.heard {
            self.before.copy_from_slice(now);
            self.heard = true;
        }
        for ((change, now), before) in self.change.iter_mut().zip(now).zip(&self.before) {
            *change = now - before;
        }
        if self.config.changes == Changes::Rises {
            for change in &mut self.change {
                *change = change.max(0.0);
            }
        }
        self.before.copy_from_slice(now);
        let flux = match self.config.norm {
            FluxNorm::Sum => math::sum_of(&self.change, f32::abs),
            FluxNorm::Euclidean => math::sum_of(&self.change, |change| change * change).sqrt(),
        };
        emit(at, &(flux as f32));
    }

    fn reset(&mut self) {
        self.heard = false;
        self.continuity = Continuity::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use upbeat_core::SampleRate;
    use upbeat_testkit::streaming::assert_streaming;
    use upbeat_testkit::{signal, streamed};
    use upbeat_window::Framer;

    use crate::stft::{Stft, StftConfig};

    fn config(n_fft: usize, hop: usize) -> SpectralFluxConfig {
        let rate = SampleRate::new(16_000).unwrap();
        SpectralFluxConfig::new(FrameSpec::new(n_fft, hop, rate).unwrap())
    }

    #[test]
    fn absurd_settings_are_refused_by_name() {
        assert_eq!(SpectralFlux::new(&config(1, 1)).unwrap_err().parameter(), "n_fft");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn flux_equals_its_definition(seed: u64, rises: bool, sum: bool) {
            let mut config = config(600, 10);
            config.changes = if rises { Changes::Rises } else { Changes::All };
            config.norm = if sum { FluxNorm::Sum } else { FluxNorm::Euclidean };
            let mut flux = SpectralFlux::new(&config).unwrap();
            let mut before: Option<Spectrum> = None;
            for t in 0..4 {
                let noise = signal::noise(1.0, seed.wrapping_add(t), 301);
                let now = Spectrum::from_magnitude(600, &noise).unwrap();
                let mut exact = 0.0;
                if let Some(before) = &before {
                    for (now, before) in now.magnitude().iter().zip(before.magnitude()) {
                        let change = f64::from(*now) - f64::from(*before);
                        let change = if rises && change < 0.0 { 0.0 } else { change.abs() };
                        exact += if sum { change } else { change * change };
                    }
                }
                let exact = if sum { exact } else { exact.sqrt() };
                let mut found = None;
                flux.process(SampleIndex(10 * t), &now, |_, flux| found = Some(*flux));
                prop_assert!((f64::from(found.unwrap()) - exact).abs() <= 1e-6 * exact);
                before = Some(now);
            }
        }

        #[test]
        fn any_split_gives_the_same(hop in 1_usize..100, seed: u64) {
            let config = config(64, hop);
            let stft = Stft::new(&StftConfig::new(64)).unwrap();
            let flux = SpectralFlux::new(&config).unwrap();
            let make = || streamed!(Framer::new(config.frames).then(stft.clone()).then(flux.clone()));
            assert_streaming(make, &signal::noise(1.0, seed, 500), 1, seed);
        }
    }
}
