//! Files and synthetic signals as devices.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::support::{id, mono, ms, rate};
use upbeat_core::SampleIndex;
use upbeat_io::live::{
    Backend, Direction, GapCause, Pace, Policy, SourceBackend, StreamEvent, StreamHealth,
    StreamRequest, StreamState, StreamSupervisor, SupervisorConfig,
};
use upbeat_io::{Block, IoError, MemorySource, Source, StreamFormat, SynthSource};

fn ramp(length: u64, pace: Pace) -> SourceBackend {
    SourceBackend::new("synth:ramp", pace, move || {
        Ok(Box::new(SynthSource::mono(rate(48_000), Some(length), |at| at.0 as f32)))
    })
}

#[test]
fn a_fast_source_loses_nothing_however_slowly_it_is_read() {
    let config = SupervisorConfig { buffer: ms(20), ..SupervisorConfig::default() };
    let (supervisor, mut live) =
        StreamSupervisor::input(Arc::new(ramp(100_000, Pace::Fast)), config).unwrap();
    let mut next = 0;
    while !live.has_ended() {
        live.wait(ms(100));
        live.read(|block| {
            assert_eq!((block.gap, block.at.0), (None, next));
            assert!(block.interleaved.iter().zip(next..).all(|(x, n)| *x == n as f32));
            next += block.interleaved.len() as u64;
        });
    }
    assert_eq!(next, 100_000);
    assert_eq!(supervisor.status().state, StreamState::Ended);
    let events: Vec<_> = std::iter::from_fn(|| supervisor.event()).collect();
    assert!(matches!(events[..], [StreamEvent::Opened { .. }, StreamEvent::Ended]), "{events:?}");
}

#[test]
fn real_time_takes_its_time() {
    let (_supervisor, mut live) = StreamSupervisor::input(
        Arc::new(ramp(14_400, Pace::RealTime)),
        SupervisorConfig::default(),
    )
    .unwrap();
    let start = Instant::now();
    let mut samples = 0;
    while !live.has_ended() {
        live.wait(ms(100));
        samples += live.read(|_| {});
    }
    assert_eq!(samples, 14_400);
    assert!(start.elapsed() > ms(280), "0.3 s of sound took {:?}", start.elapsed());
}

/// A source that loses samples and then breaks down.
struct Damaged(u64);

impl Source for Damaged {
    fn format(&self) -> StreamFormat {
        mono(8000)
    }

    fn length(&self) -> Option<u64> {
        None
    }

    fn read<'b>(&mut self, buffer: &'b mut [f32]) -> Result<Option<Block<'b>>, IoError> {
        self.0 += 100;
        if self.0 > 500 {
            return Err(IoError::Decoder { at: SampleIndex(self.0) });
        }
        Ok(Some(Block { at: SampleIndex(self.0), interleaved: &buffer[..40] }))
    }
}

#[test]
fn damage_in_a_file_is_a_gap_and_breaking_down_is_an_end() {
    let backend = SourceBackend::new("synth:damaged", Pace::Fast, || Ok(Box::new(Damaged(0))));
    let (_supervisor, mut live) =
        StreamSupervisor::input(Arc::new(backend), SupervisorConfig::default()).unwrap();
    let mut blocks = Vec::new();
    while !live.has_ended() {
        live.wait(ms(100));
        live.read(|block| {
            let gap = block.gap.expect("before each");
            assert_eq!(gap.cause, GapCause::Dropout);
            blocks.push((block.at.0, gap.samples));
        });
    }
    assert_eq!(blocks, [(100, 100), (200, 60), (300, 60), (400, 60), (500, 60)]);
}

#[test]
fn a_file_that_is_missing_is_told_of() {
    let backend = SourceBackend::file("/nowhere/at-all.wav", Pace::Fast);
    assert!(backend.devices().is_err());
    let (supervisor, live) =
        StreamSupervisor::input(Arc::new(backend), SupervisorConfig::default()).unwrap();
    assert_eq!(live.wait_format(ms(200)), None);
    let status = supervisor.status();
    assert_eq!(status.state, StreamState::Retrying);
    assert!(status.last_error.unwrap().to_string().contains("no such file"));
}

#[test]
fn a_source_is_one_input_and_no_output() {
    let backend = SourceBackend::new("memory:four", Pace::Fast, || {
        Ok(Box::new(MemorySource::new(vec![0.5; 8], StreamFormat::stereo(rate(8000)))?))
    });
    let devices = backend.devices().unwrap();
    assert_eq!((devices.len(), devices[0].is_default_input), (1, true));
    assert_eq!(backend.default_device(Direction::Output).unwrap(), None);
    let open = backend.open_output(
        &id("memory:four"),
        &StreamRequest::default(),
        Arc::new(StreamHealth::new()),
        Box::new(|_| unreachable!()),
    );
    assert!(open.is_err());
    let config =
        SupervisorConfig { policy: Policy::Pin(id("memory:other")), ..SupervisorConfig::default() };
    let (supervisor, _live) = StreamSupervisor::input(Arc::new(backend), config).unwrap();
    std::thread::sleep(Duration::from_millis(60));
    assert_eq!(supervisor.status().state, StreamState::Lost);
}
