//! Levels, shapes and mel features neither allocate nor free in use, the first call included.

use upbeat_core::{FrameSpec, SampleIndex, SampleRate, Stage};
use upbeat_features::delta::{Delta, DeltaConfig};
use upbeat_features::level::{Levels, Silence, SilenceConfig};
use upbeat_features::level::{ZeroCrossingRate, ZeroCrossingRateConfig};
use upbeat_features::mel::{LogMel, LogMelConfig, MelConfig, MelSpectrogram};
use upbeat_features::mfcc::{Mfcc, MfccConfig};
use upbeat_features::pcen::{Pcen, PcenConfig};
use upbeat_features::spectral::{SpectralContrast, SpectralContrastConfig};
use upbeat_features::spectral::{SpectralFlux, SpectralFluxConfig};
use upbeat_features::spectral::{SpectralShape, SpectralShapeConfig};
use upbeat_features::stft::{Stft, StftConfig};
use upbeat_testkit::alloc::{CountingAllocator, count};
use upbeat_testkit::signal;
use upbeat_window::Framer;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

#[test]
fn no_stage_allocates_in_use() {
    let rate = SampleRate::new(44_100).unwrap();
    for n_fft in [2048, 1000, 997] {
        let spec = FrameSpec::new(n_fft, 512, rate).unwrap();
        check(Framer::new(spec).then(Levels));
        let crossings = ZeroCrossingRate::new(&ZeroCrossingRateConfig::new()).unwrap();
        check(Framer::new(spec).then(crossings));
        check(Framer::new(spec).then(Silence::new(&SilenceConfig::new(spec)).unwrap()));

        let spectra = || Framer::new(spec).then(Stft::new(&StftConfig::new(n_fft)).unwrap());
        let shape = SpectralShapeConfig::new(rate, n_fft);
        check(spectra().then(SpectralShape::new(&shape).unwrap()));
        let contrast = SpectralContrastConfig::new(rate, n_fft);
        check(spectra().then(SpectralContrast::new(&contrast).unwrap()));
        check(spectra().then(SpectralFlux::new(&SpectralFluxConfig::new(spec)).unwrap()));

        let mel = || spectra().then(MelSpectrogram::new(&MelConfig::new(rate, n_fft)).unwrap());
        check(mel().then(Pcen::new(&PcenConfig::new(spec, 128)).unwrap()));
        let log_mel = mel().then(LogMel::new(&LogMelConfig::new(128)).unwrap());
        let mfcc = log_mel.then(Mfcc::new(&MfccConfig::new(128)).unwrap());
        check(mfcc.then(Delta::new(&DeltaConfig::new(spec, 20)).unwrap()));
    }
}

/// Noise, silence, what cannot be sound, and a gap.
fn check(mut stage: impl Stage<In = [f32]>) {
    let mut samples = signal::noise(1.0, 1, 8192);
    samples[3000..6000].fill(0.0);
    samples[6100] = f32::NAN;
    let mut outputs = 0;
    let counts = count(|| {
        for at in [0, 8192, 100_000] {
            stage.process(SampleIndex(at), &samples, |_, _| outputs += 1);
        }
        stage.reset();
        stage.process(SampleIndex(0), &samples, |_, _| outputs += 1);
    });
    assert!(counts.is_zero() && outputs > 0, "{counts:?}, {outputs} outputs");
}
