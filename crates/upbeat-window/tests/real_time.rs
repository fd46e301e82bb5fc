//! Nothing here allocates or frees once it is made.

use upbeat_core::{FrameSpec, SampleIndex, SampleRate, Stage};
use upbeat_testkit::alloc::{CountingAllocator, count};
use upbeat_testkit::signal;
use upbeat_window::{
    Framer, OverlapAdd, OverlapAddConfig, QueueConfig, SlidingStatistic, SlidingWindow,
    SlidingWindowConfig, Statistic, sample_queue,
};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

#[test]
fn the_framer_and_overlap_add() {
    let spec = spec(2048, 512);
    assert_stage(
        &mut Framer::new(spec).then(OverlapAdd::new(&OverlapAddConfig::new(spec)).unwrap()),
    );
    assert_stage(&mut Framer::new(self::spec(3, 700)));
}

#[test]
fn the_statistics() {
    for statistic in
        [Statistic::Mean, Statistic::Rms, Statistic::Min, Statistic::Max, Statistic::Median]
    {
        assert_stage(&mut SlidingStatistic::new(statistic, spec(300, 7)));
    }
}

#[test]
fn the_sliding_window() {
    let config = SlidingWindowConfig::new(3000, spec(1, 1).sample_rate());
    let mut window = SlidingWindow::new(&config).unwrap();
    let samples = signal::noise(1.0, 3, 4000);
    let mut heard = 0;
    let counts = count(|| {
        let mut at = SampleIndex(9);
        for length in [1, 700, 3001, 4000, 64] {
            window.push(at, &samples[..length]);
            at += length as u64;
            heard += window.newest(500).1.len();
            heard +=
                window.last_frames(5, spec(100, 50)).map(|(_, frame)| frame.len()).sum::<usize>();
        }
        window.push(at + 1, &samples);
        window.reset();
    });
    assert!(counts.is_zero(), "{counts:?}");
    assert!(heard > 0);
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

fn spec(frame_length: usize, hop_length: usize) -> FrameSpec {
    let rate = SampleRate::new(48_000).expect("48 kHz is a rate");
    FrameSpec::new(frame_length, hop_length, rate).expect("the lengths are in range")
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
