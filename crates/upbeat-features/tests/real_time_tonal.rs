//! Pitch, chroma, onsets, harmony and loudness neither allocate nor free in use.

use upbeat_core::{FrameSpec, SampleIndex, SampleRate, Stage};
use upbeat_features::chroma::{ChromaCqt, ChromaCqtConfig, ChromaStft, ChromaStftConfig};
use upbeat_features::cqt::{Cqt, CqtConfig};
use upbeat_features::harmonic::{PercussiveShare, PercussiveShareConfig};
use upbeat_features::loudness::LoudnessMeter;
use upbeat_features::onset::{OnsetPicker, OnsetPickerConfig, OnsetStrength, OnsetStrengthConfig};
use upbeat_features::pitch::{Edges, Pyin, PyinConfig, Yin, YinConfig};
use upbeat_features::stereo::Stereo;
use upbeat_features::stft::{Stft, StftConfig};
use upbeat_features::tonnetz::Tonnetz;
use upbeat_testkit::alloc::{CountingAllocator, count};
use upbeat_testkit::signal::{add, noise, tone};
use upbeat_window::Framer;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Runs a stage over sound, a gap, a reset and silence, from its first call on.
fn assert_quiet<S: Stage<In = [f32]>>(name: &str, mut stage: S) {
    let mut signal = tone(110.0, 6, 0.3, 22_050, 22_050);
    add(&mut signal, &noise(0.1, 2, 15_000));
    signal.resize(signal.len() + 9000, 0.0);
    let mut outputs = 0;
    let counts = count(|| {
        for (n, block) in signal.chunks(250).enumerate() {
            let gap = if n > 60 { 777 } else { 0 };
            stage.process(SampleIndex(n as u64 * 250 + gap), block, |_, _| outputs += 1);
        }
        stage.reset();
        stage.process(SampleIndex(5), &signal, |_, _| outputs += 1);
    });
    assert!(outputs > 0, "{name} said nothing");
    assert!(counts.is_zero(), "{name}: {counts:?}");
}

#[test]
fn nothing_allocates_in_use() -> Result<(), upbeat_core::ConfigError> {
    let rate = SampleRate::new(22_050)?;
    let frames = FrameSpec::new(2048, 512, rate)?;
    let framer = || Framer::new(frames);
    let spectra = || Stft::new(&StftConfig::new(2048)).map(|stft| framer().then(stft));

    assert_quiet("yin", framer().then(Yin::new(&YinConfig::new(frames))?));
    let mut pyin = PyinConfig::new(frames);
    pyin.edges = Edges::Pairs;
    assert_quiet("pyin", framer().then(Pyin::new(&pyin)?));

    let chroma = ChromaStft::new(&ChromaStftConfig::new(rate, 2048))?;
    assert_quiet("chroma, tonnetz", spectra()?.then(chroma).then(Tonnetz::new()));
    let share = PercussiveShare::new(&PercussiveShareConfig::new(frames))?;
    assert_quiet("percussive share", spectra()?.then(share));

    let mut cqt = CqtConfig::new(rate);
    (cqt.fmin, cqt.n_bins) = (130.8, 48);
    let long = Framer::new(FrameSpec::new(cqt.frame_length()?, 512, rate)?);
    let chroma = ChromaCqt::new(&ChromaCqtConfig::new(&cqt))?;
    assert_quiet("cqt", long.then(Cqt::new(&cqt)?).then(chroma));

    let strength = OnsetStrength::new(&OnsetStrengthConfig::new(frames, 2048))?;
    let mut picker = OnsetPickerConfig::new(frames);
    picker.delta = 0.0;
    assert_quiet("onsets", framer().then(strength).then(OnsetPicker::new(&picker)?));

    assert_quiet("stereo", Stereo::new(frames)?);
    assert_quiet("loudness", LoudnessMeter::new(rate, 2)?);
    Ok(())
}
