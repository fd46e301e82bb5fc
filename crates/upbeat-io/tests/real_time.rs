//! The way from a callback to the analysis neither allocates nor frees while one device runs, nor does a storm of errors.

use std::sync::Arc;
use std::time::Duration;

use upbeat_core::{SampleIndex, SampleRate};
use upbeat_io::live::{
    CallbackInfo, Channels, DeviceId, DuplexConfig, DuplexProcess, FaultKind, MockBackend,
    MockDevice, StreamHealth, StreamSupervision, SupervisorConfig, Timing,
};
use upbeat_io::{ResampleQuality, Resampler, StreamFormat};
use upbeat_testkit::alloc::{CountingAllocator, count};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

fn stereo() -> StreamFormat {
    StreamFormat::stereo(SampleRate::new(48_000).expect("a rate"))
}

#[test]
fn an_input_of_any_rate_and_channels() {
    for hz in [48_000, 44_100, 16_000] {
        let mock = MockBackend::new();
        mock.plug(MockDevice::input("mock:a", stereo()).signal(|n, _| (n % 100) as f32 * 0.01));
        let config = SupervisorConfig {
            sample_rate: Some(SampleRate::new(hz).unwrap()),
            channels: Channels::Mono,
            ..SupervisorConfig::default()
        };
        let (mut supervision, mut live) =
            StreamSupervision::input(Arc::new(mock.clone()), config).unwrap();
        supervision.step();
        mock.advance(Duration::from_millis(100));
        live.read(|_| {});
        let (mut samples, device) = (0, DeviceId::new("mock:a"));
        let counts = count(|| {
            for _ in 0..200 {
                mock.advance(Duration::from_millis(10));
                live.read(|block| samples += block.interleaved.len());
            }
            // Losses and a queue that was not read in time are nothing special.
            mock.lose(&device, 100);
            mock.advance(Duration::from_secs(3));
            live.read(|block| samples += block.interleaved.len());
        });
        assert!(counts.is_zero(), "{hz} Hz: {counts:?}");
        assert!(samples > 3 * hz as usize, "{samples}");
    }
}

struct Louder;

impl DuplexProcess for Louder {
    fn prepare(&mut self, _: StreamFormat) {}

    fn process(&mut self, interleaved: &mut [f32]) {
        for x in interleaved {
            *x *= 1.5;
        }
    }
}

#[test]
fn an_output_and_a_duplex_stream() {
    let mock = MockBackend::new();
    mock.plug(MockDevice::input("mock:in", stereo()));
    mock.plug(MockDevice::output("mock:out", stereo()));
    let backend = || Arc::new(mock.clone());
    let config = SupervisorConfig {
        sample_rate: SampleRate::new(44_100).ok(),
        ..SupervisorConfig::default()
    };
    let (mut output, mut live) = StreamSupervision::output(backend(), config).unwrap();
    let mut duplex = StreamSupervision::duplex(
        backend(),
        DuplexConfig::default(),
        Timing::default(),
        Box::new(Louder),
    )
    .unwrap();
    output.step();
    duplex.step();
    let block = [0.25; 2 * 441];
    live.write(&block);
    mock.advance(Duration::from_millis(50));
    let counts = count(|| {
        for _ in 0..200 {
            live.write(&block);
            mock.advance(Duration::from_millis(10));
        }
        mock.advance(Duration::from_millis(200)); // runs empty
    });
    assert!(counts.is_zero(), "{counts:?}");
}

#[test]
fn the_resampler_through_gaps_and_resets() {
    let mut resampler =
        Resampler::new(stereo(), SampleRate::new(44_100).unwrap(), ResampleQuality::Best).unwrap();
    let block = [0.5; 2 * 700];
    let mut samples = 0;
    let counts = count(|| {
        for at in [0, 700, 1400, 9000, 9700] {
            resampler.process(SampleIndex(at), &block, |_, out| samples += out.len());
        }
        resampler.finish(|_, out| samples += out.len());
        resampler.reset();
    });
    assert!(counts.is_zero(), "{counts:?}");
    assert!(samples > 6000);
}

#[test]
fn a_storm_of_errors() {
    let health = StreamHealth::new();
    health.opened(stereo());
    let counts = count(|| {
        for n in 0..100_000 {
            health.fault(FaultKind::Backend, "the device is gone, as it was before");
            health.beat(&CallbackInfo::at(Duration::from_millis(n)), 480);
        }
        health.fault(FaultKind::DeviceLost, "gone");
    });
    assert!(counts.is_zero(), "{counts:?}");
}
