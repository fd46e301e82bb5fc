use std::sync::Arc;
use std::time::Duration;

use upbeat_core::SampleRate;
use upbeat_io::StreamFormat;
use upbeat_io::live::{
    DeviceId, LiveInput, MockBackend, StreamEvent, StreamGap, StreamSupervision, SupervisorConfig,
};

pub(crate) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(crate) fn rate(hz: u32) -> SampleRate {
    SampleRate::new(hz).expect("a rate above 0")
}

pub(crate) fn mono(hz: u32) -> StreamFormat {
    StreamFormat::mono(rate(hz))
}

pub(crate) fn id(id: &str) -> DeviceId {
    DeviceId::new(id)
}

/// A supervised input of a mock, and all that came out of it.
pub(crate) struct Rig {
    pub(crate) mock: MockBackend,
    pub(crate) supervision: StreamSupervision,
    pub(crate) live: LiveInput,
    /// Index and value of each sample of the first channel.
    pub(crate) heard: Vec<(u64, f32)>,
    pub(crate) gaps: Vec<(u64, StreamGap)>,
    pub(crate) events: Vec<StreamEvent>,
}

impl Rig {
    pub(crate) fn new(mock: MockBackend, config: SupervisorConfig) -> Self {
        let (mut supervision, live) = StreamSupervision::input(Arc::new(mock.clone()), config)
            .expect("the settings are possible");
        supervision.step();
        Self { mock, supervision, live, heard: vec![], gaps: vec![], events: vec![] }
    }

    /// Lets `time` pass in steps of 10 ms.
    pub(crate) fn run(&mut self, time: Duration) {
        let mut left = time;
        while !left.is_zero() {
            let step = left.min(ms(10));
            left -= step;
            self.mock.advance(step);
            self.supervision.step();
            self.events.extend(std::iter::from_fn(|| self.supervision.event()));
            self.read();
        }
    }

    pub(crate) fn read(&mut self) {
        let Self { live, heard, gaps, .. } = self;
        live.read(|block| {
            gaps.extend(block.gap.map(|gap| (block.at.0, gap)));
            let samples = block.interleaved.chunks_exact(block.format.channels());
            heard.extend((block.at.0..).zip(samples.map(|sample| sample[0])));
        });
    }

    /// Holds the books: every index is heard once or lies in one gap.
    pub(crate) fn assert_accounted(&self) {
        let mut next = 0;
        let mut gaps = self.gaps.iter();
        for (at, _) in &self.heard {
            if *at != next {
                let (gap_at, gap) = gaps.next().expect("a jump without a gap");
                assert_eq!((*gap_at, gap.samples), (*at, at - next), "the gap before {at}");
                let seconds = self.live.format().expect("heard").sample_rate().seconds(gap.samples);
                assert_eq!(gap.seconds, seconds);
            }
            next = at + 1;
        }
        assert_eq!(gaps.next(), None, "a gap without a jump");
        let stats = self.live.stats();
        assert_eq!(stats.next.0, next);
        assert_eq!(stats.read, self.heard.len() as u64);
        assert_eq!(stats.next.0, stats.read + stats.missing);
        assert_eq!(stats.gaps, self.gaps.len() as u64);
    }
}
