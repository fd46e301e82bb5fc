//! Any samples, cut in any way, with gaps anywhere, through everything that takes a stream of samples:
//! the outputs must not depend on the cuts, and nothing may panic.

#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use upbeat_core::{FrameSpec, SampleIndex, SampleRate, Stage, sanitize};
use upbeat_window::{
    Framer, OverlapAdd, OverlapAddConfig, QueueConfig, SlidingStatistic, SlidingWindow,
    SlidingWindowConfig, Statistic, sample_queue,
};

#[derive(Arbitrary, Debug)]
struct Input {
    frame_length: u8,
    hop_length: u8,
    start: u64,
    pieces: Vec<Piece>,
}

/// Samples lost, then samples that come in two blocks.
#[derive(Arbitrary, Debug)]
struct Piece {
    lost: u8,
    samples: Vec<f32>,
    cut: u8,
}

fuzz_target!(|input: Input| {
    let rate = SampleRate::new(48_000).expect("48 kHz is a rate");
    let lengths = (usize::from(input.frame_length) + 1, usize::from(input.hop_length) + 1);
    let spec = FrameSpec::new(lengths.0, lengths.1, rate).expect("the lengths are in range");

    check_frames(spec, &input);
    assert_cuts_do_not_matter(
        || Framer::new(spec),
        &input,
        |frame, bits| {
            bits.extend(frame.iter().map(|x| x.to_bits()));
        },
    );
    if let Ok(overlap_add) = OverlapAdd::new(&OverlapAddConfig::new(spec)) {
        assert_cuts_do_not_matter(
            || Framer::new(spec).then(overlap_add.clone()),
            &input,
            |block, bits| bits.extend(block.iter().map(|x| x.to_bits())),
        );
    }
    for statistic in
        [Statistic::Mean, Statistic::Rms, Statistic::Min, Statistic::Max, Statistic::Median]
    {
        assert_cuts_do_not_matter(
            || SlidingStatistic::new(statistic, spec),
            &input,
            |value, bits| bits.push(value.to_bits()),
        );
    }
    check_window_and_queue(&input);
});

/// Each stretch between two gaps gives the frames of its definition.
fn check_frames(spec: FrameSpec, input: &Input) {
    let mut framer = Framer::new(spec);
    let mut at = SampleIndex(input.start);
    let mut stretch: Vec<f32> = Vec::new();
    let mut frames = 0;
    for piece in &input.pieces {
        if piece.lost > 0 {
            at += u64::from(piece.lost);
            stretch.clear();
            frames = 0;
        }
        stretch.extend(piece.samples.iter().map(|x| sanitize(*x).unwrap_or(0.0)));
        let stretch_at =
            SampleIndex((at + piece.samples.len() as u64).0.wrapping_sub(stretch.len() as u64));
        framer.process(at, &piece.samples, |at, frame| {
            let from = frames * spec.hop_length();
            assert_eq!(at, stretch_at + from as u64);
            assert_eq!(frame, &stretch[from..from + spec.frame_length()]);
            frames += 1;
        });
        assert_eq!(frames as u64, spec.frames_in(stretch.len() as u64));
        at += piece.samples.len() as u64;
    }
}

fn assert_cuts_do_not_matter<S: Stage<In = [f32]>>(
    make: impl Fn() -> S,
    input: &Input,
    bits_of: impl Fn(&S::Out, &mut Vec<u32>),
) {
    let (mut whole, mut cut) = (make(), make());
    let mut at = SampleIndex(input.start);
    for Piece { lost, samples, cut: place } in &input.pieces {
        at += u64::from(*lost);
        let mut expected = Vec::new();
        whole.process(at, samples, |at, output| {
            let mut bits = Vec::new();
            bits_of(output, &mut bits);
            expected.push((at, bits));
        });
        let mut found = Vec::new();
        let (first, second) = samples.split_at(samples.len().min(usize::from(*place)));
        for (at, block) in [(at, first), (at + first.len() as u64, second)] {
            cut.process(at, block, |at, output| {
                let mut bits = Vec::new();
                bits_of(output, &mut bits);
                found.push((at, bits));
            });
        }
        assert_eq!(found, expected);
        at += samples.len() as u64;
    }
}

/// The newest samples are those that came, and the queue gives out what went in, where it went in.
fn check_window_and_queue(input: &Input) {
    let rate = SampleRate::new(48_000).expect("48 kHz is a rate");
    let length = usize::from(input.frame_length) + 1;
    let mut window = SlidingWindow::new(&SlidingWindowConfig::new(length, rate)).expect("in range");
    let mut config = QueueConfig::new(1, usize::from(input.hop_length) + 1);
    config.max_gaps = 2;
    config.start = SampleIndex(input.start);
    let (mut writer, mut reader) = sample_queue(&config).expect("in range");

    let mut heard: Vec<(SampleIndex, u32)> = Vec::new();
    let mut sent: Vec<(SampleIndex, u32)> = Vec::new();
    let mut at = SampleIndex(input.start);
    for Piece { lost, samples, cut } in &input.pieces {
        at += u64::from(*lost);
        writer.skip(u64::from(*lost));
        window.push(at, samples);
        let (newest_at, newest) = window.newest(samples.len());
        assert_eq!(newest_at + newest.len() as u64, at + samples.len() as u64);
        let clean = samples.iter().rev().map(|x| sanitize(*x).unwrap_or(0.0));
        assert!(newest.iter().rev().zip(clean).all(|(a, b)| a.to_bits() == b.to_bits()));

        let written = writer.write(samples);
        let indices = (0..).map(|n| at + n);
        sent.extend(indices.zip(samples[..written].iter().map(|x| x.to_bits())));
        if *cut % 4 == 3 {
            let dropped = reader.drop_to_latency(usize::from(*cut));
            let kept = sent.len() - heard.len() - dropped;
            let oldest = sent.len() - kept;
            sent.drain(heard.len()..oldest);
        }
        reader.read(usize::from(*cut), |at, piece| {
            let indices = (0..).map(|n| at + n);
            heard.extend(indices.zip(piece.iter().map(|x| x.to_bits())));
        });
        at += samples.len() as u64;
    }
    reader.read_available(|at, piece| {
        heard.extend((0..).map(|n| at + n).zip(piece.iter().map(|x| x.to_bits())));
    });
    assert_eq!(heard, sent);
    let stats = reader.stats();
    assert_eq!(stats.written, stats.read + stats.dropped);
    assert_eq!(writer.next(), at);
}
