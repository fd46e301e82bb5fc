//! Nothing here allocates or frees once it is made.

use upbeat_core::{FrameSpec, SampleIndex, SampleRate, Stage};
use upbeat_testkit::alloc::{CountingAllocator, count};
use upbeat_testkit::signal;
use upbeat_window::{Framer, QueueConfig, sample_queue};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

#[test]
fn the_framer() {
    let spec = FrameSpec::new(2048, 512, SampleRate::new(48_000).unwrap()).unwrap();
    let mut framer = Framer::new(spec);
    assert_stage(&mut framer);
}

#[test]
fn the_queue() {
    let (mut writer, mut reader) = sample_queue(&QueueConfig::new(2, 1000)).unwrap();
    let samples = signal::noise(1.0, 3, 1400);
    let mut heard = 0;
    let counts = count(|| {
        for round in 0..50 {
            writer.write(&samples);
            writer.skip(round % 3);
            reader.read(300, |_, piece| heard += piece.len());
            reader.drop_to_latency(600);
            writer.write(&samples[..200]);
        }
        reader.read_available(|_, piece| heard += piece.len());
    });
    assert!(counts.is_zero(), "{counts:?}");
    let stats = reader.stats();
    assert!(heard > 0 && stats.overruns > 0 && stats.dropped > 0, "{stats:?}");
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
