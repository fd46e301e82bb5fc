//! Nothing here allocates or frees once it is made.

use upbeat_core::{SampleIndex, SampleRate, Stage};
use upbeat_eq::{AdaptiveConfig, AdaptiveEqualizer, Band, Equalizer, EqualizerConfig, Kernel};
use upbeat_testkit::alloc::{CountingAllocator, count};
use upbeat_testkit::signal;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

#[test]
fn the_equalizer_at_rest_and_on_the_move() {
    for kernel in [Kernel::Scalar, Kernel::Portable, Kernel::Avx2, Kernel::Neon] {
        let rate = SampleRate::new(48_000).unwrap();
        let mut config = EqualizerConfig::new(rate, 3, &[Band::off(); 9]);
        config.kernel = kernel;
        let (mut equalizer, mut handle) = Equalizer::with_handle(&config).unwrap();
        let mut samples = signal::noise(0.5, 3, 3 * 20_000);
        for (round, from) in [0, 50_000, 3].into_iter().enumerate() {
            handle.set_band(round, Band::peak(900.0, 6.0, 1.0)).unwrap();
            let mut emitted = 0;
            let counts = count(|| {
                let mut at = SampleIndex(from);
                for length in [1, 300, 64, 0, 20_000, 7] {
                    let block = &mut samples[..3 * length];
                    equalizer.process_in_place(at, block);
                    at += length as u64;
                    equalizer.process(at, block, |_, piece| emitted += piece.len());
                    at += length as u64;
                }
                equalizer.reset();
            });
            assert!(counts.is_zero(), "{kernel:?}: {counts:?}");
            assert_eq!(emitted, 3 * 20_372);
        }
    }
}

#[test]
fn the_adaptive_equalizer_while_it_hears_and_is_told() {
    let rate = SampleRate::new(44_100).unwrap();
    let mut config = AdaptiveConfig::new(rate, 2);
    config.words = Some("bright".into());
    let (mut equalizer, mut handle) = AdaptiveEqualizer::new(&config).unwrap();
    let tone = signal::tone(110.0, 40, 0.5, 44_100, 88_200);
    let mut samples = signal::interleave(&[&tone, &tone]);
    let mut at = SampleIndex(0);
    for round in 0..4 {
        match round {
            1 => handle.set_words("dark").unwrap(),
            2 => handle.set_bypassed(true),
            3 => at += 1000, // a gap
            _ => handle.set_band(0, Band::peak(900.0, 6.0, 1.0)).unwrap(),
        }
        let counts = count(|| {
            for block in samples.chunks_mut(2 * 700) {
                equalizer.process_in_place(at, block);
                at += (block.len() / 2) as u64;
            }
            equalizer.process(at, &samples[..4000], |_, _| {});
            at += 2000;
        });
        assert!(counts.is_zero(), "{round}: {counts:?}");
        assert!(handle.status().unwrap().heard.is_some(), "nothing was heard, and little tested");
    }
}
