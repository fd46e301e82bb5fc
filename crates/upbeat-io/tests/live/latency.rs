//! The round trip of devices whose delay is known.

use super::support::{id, mono, ms, rate};
use upbeat_io::StreamFormat;
use upbeat_io::live::{
    Backend, Direction, LatencyConfig, LatencyMeter, LatencyReport, LatencyVerdict, MockBackend,
    MockDevice, RoundTrip,
};

const IN: &str = "mock:in";
const OUT: &str = "mock:out";

fn config() -> LatencyConfig {
    let mut config = LatencyConfig::new(id(IN), id(OUT));
    config.longest = ms(120);
    config
}

fn measure(mock: &MockBackend, config: &LatencyConfig) -> LatencyReport {
    let mut meter = LatencyMeter::start(mock, config).expect("both can be opened");
    let until = mock.now() + meter.duration() + ms(1000);
    while !meter.poll() && mock.now() < until {
        mock.advance(ms(10));
    }
    meter.report()
}

fn found(report: &LatencyReport) -> RoundTrip {
    match report.verdict {
        LatencyVerdict::Found(found) => found,
        _ => panic!("{report:?}"),
    }
}

#[test]
fn a_known_delay_is_measured_to_a_tenth_of_a_millisecond() {
    for (hz, block_in, block_out, delay) in [
        (48_000, 256, 256, 0),
        (48_000, 64, 480, 1000),
        (44_100, 441, 100, 4410),
        (96_000, 1024, 1024, 9601),
    ] {
        let mock = MockBackend::new();
        let format = StreamFormat::stereo(rate(hz));
        mock.plug(MockDevice::input(IN, format).block(block_in));
        mock.plug(MockDevice::output(OUT, format).block(block_out));
        mock.wire(&id(OUT), &id(IN), delay);
        mock.advance(ms(137)); // the streams shall not begin at the devices' first sample
        let report = measure(&mock, &config());
        let known = 1e3 * delay as f64 / f64::from(hz);
        let trip = found(&report);
        println!("{hz} Hz, delay {known:.4} ms: {trip:?}, drift {:?}", report.drift_ppm);
        assert!((trip.path - known).abs() < 0.1, "{known}: {report:?}");
        assert!(trip.spread < 0.01);
        assert_eq!(report.paths.len(), 10);
        assert!(report.drift_ppm.unwrap().abs() < 1.0);
        let blocks = 1e3 * (block_in + block_out) as f64 / 2.0 / f64::from(hz);
        assert!((trip.total() - known - blocks).abs() < 0.1, "{report:?}");
    }
}

#[test]
fn late_callbacks_do_not_change_it() {
    let mock = MockBackend::new();
    mock.plug(MockDevice::input(IN, mono(48_000)));
    mock.plug(MockDevice::output(OUT, mono(48_000)));
    mock.wire(&id(OUT), &id(IN), 480);
    mock.set_jitter(&id(IN), ms(4));
    mock.set_jitter(&id(OUT), ms(2));
    let trip = found(&measure(&mock, &config()));
    assert!((trip.path - 10.0).abs() < 0.1, "{trip:?}");
}

#[test]
fn no_loop_is_no_number() {
    let mock = MockBackend::new();
    mock.plug(MockDevice::input(IN, mono(48_000)).signal(|n, _| {
        let z = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        ((z ^ (z >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40) as f32 / 8_388_608.0 - 1.0
    }));
    mock.plug(MockDevice::output(OUT, mono(48_000)));
    let mut config = config();
    config.repeats = 5;
    let report = measure(&mock, &config);
    assert_eq!(report.verdict, LatencyVerdict::NoLoop, "noise: {report:?}");
    mock.wire(&id("mock:elsewhere"), &id(IN), 0);
    assert_eq!(measure(&mock, &config).verdict, LatencyVerdict::NoLoop, "silence");
    // Longer than what is looked for, and than the interval between codes.
    for delay in [5800, 6000, 8000, 20_000] {
        mock.wire(&id(OUT), &id(IN), delay);
        let report = measure(&mock, &config);
        assert!(!matches!(report.verdict, LatencyVerdict::Found(_)), "{delay}: {report:?}");
    }
}

#[test]
fn a_stream_that_dies_gives_no_number() {
    let mock = MockBackend::new();
    mock.plug(MockDevice::input(IN, mono(48_000)));
    mock.plug(MockDevice::output(OUT, mono(48_000)));
    mock.wire(&id(OUT), &id(IN), 480);
    let meter = LatencyMeter::start(&mock, &config()).unwrap();
    mock.advance(ms(1800));
    mock.unplug(&id(IN));
    mock.advance(ms(5000));
    assert_eq!(meter.report().verdict, LatencyVerdict::NoLoop);
}

#[test]
fn the_drift_of_two_clocks_is_measured() {
    for ppm in [-200.0, 50.0] {
        let mock = MockBackend::new();
        mock.plug(MockDevice::input(IN, mono(48_000)).clock(ppm));
        mock.plug(MockDevice::output(OUT, mono(48_000)));
        mock.wire(&id(OUT), &id(IN), 480);
        let report = measure(&mock, &config());
        let drift = report.drift_ppm.unwrap();
        println!("{ppm} ppm: {drift}");
        assert!((drift - ppm).abs() < 10.0, "{ppm}: {report:?}");
    }
}

#[test]
fn impossible_measurements_are_refused() {
    let mock = MockBackend::new();
    mock.plug(MockDevice::input(IN, mono(44_100)));
    mock.plug(MockDevice::output(OUT, mono(48_000)));
    let why = LatencyMeter::start(&mock, &config()).unwrap_err().to_string();
    assert!(why.contains("44100 Hz"), "{why}");
    let mut quiet = config();
    quiet.level = f32::NAN;
    assert!(LatencyMeter::start(&mock, &quiet).unwrap_err().to_string().contains("level"));
    assert_eq!(mock.open_streams(), 0);
    assert_eq!(mock.default_device(Direction::Input).unwrap(), Some(id(IN)));
}
