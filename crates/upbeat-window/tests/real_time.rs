//! Nothing here allocates or frees once it is made.

use upbeat_core::{FrameSpec, SampleIndex, SampleRate, Stage};
use upbeat_testkit::alloc::{CountingAllocator, count};
use upbeat_testkit::signal;
use upbeat_window::Framer;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

#[test]
fn the_framer() {
    let spec = FrameSpec::new(2048, 512, SampleRate::new(48_000).unwrap()).unwrap();
    let mut framer = Framer::new(spec);
    assert_stage(&mut framer);
}

/// Runs `stage` over blocks of many sizes, a gap and a reset, the first call included.
fn assert_stage<S: Stage<In = [f32]>>(stage: &mut S) {
    let samples = signal::noise(1.0, 3, 20_000);
    let mut outputs = 0;
    let counts = count(|| {
        for from in [0, 50_000, 3] {
            let mut at = SampleIndex(from);
            for block in [1, 300, 64, 0, 20_000, 7].map(|length| &samples[..length]) {
                stage.process(at, block, |_, _| outputs += 1);
                at += block.len() as u64;
            }
            stage.reset();
        }
    });
    assert!(counts.is_zero(), "{counts:?}");
    assert!(outputs > 0);
}
