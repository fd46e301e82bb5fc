//! The sample queue against a model, and between two threads.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic, too")]

use std::collections::VecDeque;
use std::ops::Range;
use std::thread;

use proptest::collection::vec;
use proptest::prelude::*;
use upbeat_core::SampleIndex;
use upbeat_testkit::signal::Random;
use upbeat_window::{QueueConfig, QueueReader, QueueWriter, sample_queue};

/// The value every test puts at channel `channel` of the sample with this index.
fn value(index: u64, channel: usize) -> f32 {
    ((index * 31 + channel as u64) % 16_777_213) as f32
}

fn block(from: u64, samples: usize, channels: usize) -> Vec<f32> {
    let indices = from..from + samples as u64;
    indices.flat_map(|index| (0..channels).map(move |c| value(index, c))).collect()
}

/// The indices of a piece, after checking that all its values are those of their indices.
fn indices(at: SampleIndex, piece: &[f32], channels: usize) -> Range<u64> {
    assert!(!piece.is_empty() && piece.len().is_multiple_of(channels));
    let samples = piece.len() / channels;
    assert_eq!(piece, block(at.0, samples, channels), "the piece at {at}");
    at.0..at.0 + samples as u64
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Write(usize),
    Skip(u64),
    Read(usize),
    ReadAvailable,
    DropTo(usize),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_usize..40).prop_map(Step::Write),
        1 => (0_u64..5).prop_map(Step::Skip),
        4 => (0_usize..20).prop_map(Step::Read),
        1 => Just(Step::ReadAvailable),
        1 => (0_usize..30).prop_map(Step::DropTo),
    ]
}

/// The queue, and what it should hold: an index for each sample.
struct Model {
    writer: QueueWriter,
    reader: QueueReader,
    config: QueueConfig,
    held: VecDeque<u64>,
    high_water: usize,
    next: u64,
    lost: u64,
    skipped: u64,
    read: u64,
    dropped: u64,
    overruns: u64,
    underruns: u64,
}

impl Model {
    fn new(config: QueueConfig) -> Self {
        let (writer, reader) = sample_queue(&config).unwrap();
        Self {
            writer,
            reader,
            config,
            held: VecDeque::new(),
            high_water: 0,
            next: config.start.0,
            lost: 0,
            skipped: 0,
            read: 0,
            dropped: 0,
            overruns: 0,
            underruns: 0,
        }
    }

    /// How many gaps lie between the samples held.
    fn gaps_held(&self) -> usize {
        self.held.iter().zip(self.held.iter().skip(1)).filter(|(a, b)| **a + 1 != **b).count()
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Write(samples) => self.write(samples),
            Step::Skip(samples) => {
                self.writer.skip(samples);
                self.next += samples;
                self.skipped += samples;
            }
            Step::Read(samples) => {
                let read = self.read(|reader, take| reader.read(samples, take));
                assert_eq!(read, samples.min(self.held.len() + read));
                self.underruns += u64::from(read < samples);
            }
            Step::ReadAvailable => {
                self.read(|reader, take| reader.read_available(take));
                assert!(self.held.is_empty());
            }
            Step::DropTo(limit) => {
                let expected = self.held.len().saturating_sub(limit);
                assert_eq!(self.reader.drop_to_latency(limit), expected);
                self.held.drain(..expected);
                self.dropped += expected as u64;
            }
        }
        self.check_stats();
    }

    fn write(&mut self, samples: usize) {
        assert_eq!(self.writer.next(), SampleIndex(self.next));
        let room = self.config.capacity - self.held.len();
        assert_eq!(self.writer.room(), room);
        let written = self.writer.write(&block(self.next, samples, self.config.channels));
        if written != samples.min(room) {
            // Refused for one reason only: no more gaps can be told. The reader passes a gap when it
            // comes to it, so one more than those between the samples held may wait.
            assert_eq!(written, 0);
            assert!(self.gaps_held() + 1 >= self.config.max_gaps);
        }
        self.held.extend(self.next..self.next + written as u64);
        self.high_water = self.high_water.max(self.held.len());
        self.next += samples as u64;
        self.lost += (samples - written) as u64;
        self.overruns += u64::from(written < samples);
    }

    fn read(
        &mut self,
        read: impl FnOnce(&mut QueueReader, &mut dyn FnMut(SampleIndex, &[f32])) -> usize,
    ) -> usize {
        let (held, channels) = (&mut self.held, self.config.channels);
        let mut seen = 0;
        let read = read(&mut self.reader, &mut |at, piece| {
            for index in indices(at, piece, channels) {
                assert_eq!(held.pop_front(), Some(index));
                seen += 1;
            }
        });
        assert_eq!(read, seen);
        self.read += read as u64;
        read
    }

    fn check_stats(&self) {
        let stats = self.reader.stats();
        assert_eq!(stats, self.writer.stats());
        assert_eq!(stats, self.writer.monitor().stats());
        assert_eq!(self.reader.available(), self.held.len());
        assert_eq!(stats.capacity, self.config.capacity as u64);
        assert_eq!(stats.fill, self.held.len() as u64);
        assert_eq!(stats.high_water, self.high_water as u64);
        assert_eq!((stats.lost, stats.overruns), (self.lost, self.overruns));
        assert_eq!((stats.read, stats.dropped), (self.read, self.dropped));
        assert_eq!((stats.skipped, stats.underruns), (self.skipped, self.underruns));
        assert_eq!(stats.written, stats.read + stats.dropped + stats.fill);
        let position = self.config.start.0 + stats.written + stats.lost + stats.skipped;
        assert_eq!(position, self.next);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_sample_comes_out_once_with_its_index_or_is_counted(
        channels in 1_usize..5,
        capacity in 1_usize..60,
        max_gaps in prop_oneof![Just(256_usize), 1_usize..4],
        start in 0_u64..1000,
        steps in vec(any_step(), 0..200),
    ) {
        let mut config = QueueConfig::new(channels, capacity);
        config.max_gaps = max_gaps;
        config.start = SampleIndex(start);
        let mut model = Model::new(config);
        for step in steps {
            model.take(step);
        }
        model.take(Step::ReadAvailable);
    }
}

/// Two threads at full speed; the indices written must all be read or counted as dropped.
fn run_threads(config: QueueConfig, samples: u64, seed: u64) {
    let (mut writer, mut reader) = sample_queue(&config).unwrap();
    let channels = config.channels;

    let writing = thread::spawn(move || {
        let mut random = Random::new(seed);
        let mut written: Vec<Range<u64>> = Vec::new();
        while writer.next().0 < samples {
            let from = writer.next().0;
            let length = random.below(300);
            let fitted = writer.write(&block(from, length, channels)) as u64;
            written.push(from..from + fitted);
            match random.below(40) {
                0 => writer.skip(random.below(10) as u64),
                1..20 => thread::yield_now(),
                _ => {}
            }
        }
        (written, writer.next().0)
    });

    let mut random = Random::new(seed ^ 1);
    let mut read: Vec<Range<u64>> = Vec::new();
    loop {
        let ended = reader.is_abandoned();
        let before = read.len();
        match random.below(50) {
            0 => drop(reader.drop_to_latency(config.capacity / 4)),
            1..20 => drop(reader.read(random.below(500), |at, piece| {
                read.push(indices(at, piece, channels));
            })),
            20..35 => drop(reader.read_available(|at, piece| {
                read.push(indices(at, piece, channels));
            })),
            _ => thread::yield_now(),
        }
        if ended && reader.available() == 0 && read.len() == before {
            break;
        }
    }

    let (written, end) = writing.join().unwrap();
    let stats = reader.stats();
    let count = |ranges: &[Range<u64>]| ranges.iter().map(|r| r.end - r.start).sum::<u64>();
    assert_eq!(stats.written, count(&written));
    assert_eq!(stats.read, count(&read));
    assert_eq!(stats.written, stats.read + stats.dropped);
    assert_eq!(end, stats.written + stats.lost + stats.skipped);
    assert!(stats.lost > 0 && stats.dropped > 0 && stats.high_water == config.capacity as u64);

    // Both in order, and nothing was read that had not been written.
    assert!(read.windows(2).all(|pair| pair[0].end <= pair[1].start));
    let mut written = written.iter().peekable();
    for piece in &read {
        let mut from = piece.start;
        while from < piece.end {
            while written.peek().is_some_and(|w| w.end <= from) {
                written.next();
            }
            let within = written.peek().expect("what was read had been written");
            assert!(within.start <= from, "sample {from} was read but never written");
            from = within.end.min(piece.end);
        }
    }
}

#[test]
fn two_threads_lose_nothing_uncounted() {
    run_threads(QueueConfig::new(2, 700), 400_000, 1);
    let mut few_gaps = QueueConfig::new(1, 64);
    few_gaps.max_gaps = 1;
    run_threads(few_gaps, 200_000, 2);
}

#[test]
fn a_gap_is_seen_with_the_sample_behind_it_whatever_the_timing() {
    let (mut writer, mut reader) = sample_queue(&QueueConfig::new(1, 8)).unwrap();
    let writing = thread::spawn(move || {
        for _ in 0..100_000 {
            while writer.room() == 0 {
                thread::yield_now();
            }
            writer.write(&block(writer.next().0, 1, 1));
            writer.skip(1);
        }
    });
    let mut next = 0;
    while !(reader.is_abandoned() && reader.available() == 0) {
        let read = reader.read(8, |at, piece| {
            assert_eq!(indices(at, piece, 1), next..next + 1);
            next += 2;
        });
        if read == 0 {
            thread::yield_now();
        }
    }
    writing.join().unwrap();
    assert_eq!(next, 200_000);
}

#[test]
fn separate_losses_stay_separate() {
    let (mut writer, mut reader) = sample_queue(&QueueConfig::new(1, 100)).unwrap();
    for lost in 1..=5 {
        writer.write(&block(writer.next().0, 2, 1));
        writer.skip(lost);
    }
    writer.write(&block(writer.next().0, 1, 1));
    let mut pieces = Vec::new();
    reader.read_available(|at, piece| pieces.push(indices(at, piece, 1)));
    assert_eq!(pieces, [0..2, 3..5, 7..9, 12..14, 18..20, 25..26]);
}

#[test]
fn each_side_knows_when_the_other_is_gone() {
    let (mut writer, reader) = sample_queue(&QueueConfig::new(1, 4)).unwrap();
    assert!(!writer.is_abandoned() && !reader.is_abandoned());
    drop(reader);
    assert!(writer.is_abandoned());
    assert_eq!(writer.write(&[0.0; 6]), 4);

    let (mut writer, mut reader) = sample_queue(&QueueConfig::new(1, 4)).unwrap();
    writer.write(&[0.0; 3]);
    drop(writer);
    assert!(reader.is_abandoned());
    assert_eq!(reader.read_available(|_, _| {}), 3);
}

#[test]
fn absurd_settings_are_refused_by_name() {
    let refused = |channels, capacity, max_gaps| {
        let mut config = QueueConfig::new(channels, capacity);
        config.max_gaps = max_gaps;
        sample_queue(&config).unwrap_err().parameter()
    };
    assert_eq!(refused(0, 10, 1), "channels");
    assert_eq!(refused(usize::MAX, 10, 1), "channels");
    assert_eq!(refused(2, 0, 1), "capacity");
    assert_eq!(refused(2, usize::MAX, 1), "capacity");
    assert_eq!(refused(2, 10, 0), "max_gaps");
    assert_eq!(refused(2, 10, usize::MAX), "max_gaps");
}

#[test]
#[should_panic(expected = "samples of all channels")]
fn half_a_sample_is_the_callers_mistake() {
    let (mut writer, _reader) = sample_queue(&QueueConfig::new(2, 10)).unwrap();
    writer.write(&[0.0; 3]);
}
