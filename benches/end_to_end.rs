//! How long it takes from a click in a callback's block to the event at a listener.
//!
//! `cargo bench --bench end_to_end`. A thread hands over blocks as a sound card would, in real time; a click sounds every
//! 0.3 s, somewhere in its block. The time runs from the moment the block with the click is handed over, and ends when
//! the listener is called. Analysis needs the click to lie in a frame, so one hop of waiting is inherent, and the
//! onset picker looks ahead for as long as it says.

use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use upbeat::core::{SampleIndex, SampleRate};
use upbeat::io::StreamFormat;
use upbeat::window::{QueueConfig, sample_queue};
use upbeat::{Event, EventKind, Feature, FeatureSet, Input, Pipeline, PipelineConfig};

const RATE: u32 = 48_000;

fn main() {
    // `cargo bench` says so; `cargo test --benches` does not.
    let quick = !std::env::args().any(|argument| argument == "--bench");
    let clicks = if quick { 3 } else { 60 };
    for block in if quick { vec![512] } else { vec![64, 256, 512, 1024] } {
        for (name, features) in
            [("onsets", FeatureSet::from([Feature::Onset])), ("all features", FeatureSet::ALL)]
        {
            let config = |input: &Input| {
                let mut config = PipelineConfig::new(input);
                config.events.analyzer.features = features;
                let everything = name != "onsets";
                config.events.beats = everything;
                (config.events.energy, config.events.chords) = (everything, everything);
                config
            };
            let (mut times, found) = measure(block, clicks, config);
            times.sort();
            let hop = Duration::from_secs_f64(512.0 / f64::from(RATE));
            let at = |share: f64| times[(share * (times.len() - 1) as f64).round() as usize];
            println!(
                "blocks of {block:4}, {name:12}: median {:5.1} ms, p99 {:5.1} ms, max {:5.1} ms over the block; hop {:.1} ms; {found} of {clicks} clicks",
                ms(at(0.5)),
                ms(at(0.99)),
                ms(at(1.0)),
                ms(hop),
            );
        }
    }
}

fn ms(time: Duration) -> f64 {
    1000.0 * time.as_secs_f64()
}

/// The time from block to event of each click that was found.
fn measure(
    block: usize,
    clicks: usize,
    config: impl Fn(&Input) -> PipelineConfig,
) -> (Vec<Duration>, usize) {
    let rate = SampleRate::new(RATE).expect("a usual rate");
    let (mut writer, reader) =
        sample_queue(&QueueConfig::new(1, RATE as usize)).expect("usual settings");
    let input = Input::queue(reader, StreamFormat::mono(rate));
    let config = config(&input);
    let (tell, told) = channel();
    let pipeline = Pipeline::builder(config)
        .listen("onsets", move |event: &Event| {
            if matches!(event.kind, EventKind::Onset { .. }) {
                // The other end is there until the pipeline has stopped.
                let _ = tell.send((event.at, Instant::now()));
            }
        })
        .start(input)
        .expect("usual settings");

    let period = rate.samples(0.3);
    // Not always at the same place of a block or a hop.
    let place = |n: u64| n * period + n * 37 % 512;
    let mut samples = vec![0.0; block];
    let mut handed = Vec::new();
    let (start, mut at) = (Instant::now(), 0);
    while handed.len() < clicks || at < place(clicks as u64) + period {
        samples.fill(0.0);
        let next = handed.len() as u64 + 1;
        let click = (place(next)..at + block as u64).next().filter(|_| handed.len() < clicks);
        if let Some(click) = click {
            // Ten milliseconds of a falling tone are heard as an onset; what crosses the block is cut.
            for (offset, sample) in (0..).zip(&mut samples[(click - at) as usize..]) {
                let time = f64::from(offset) / f64::from(RATE);
                *sample = 0.8 * (-300.0 * time).exp() as f32 * (time * 12_000.0).sin() as f32;
            }
            samples[(click - at) as usize] = 0.9;
        }
        at += block as u64;
        let due = start + Duration::from_secs_f64(rate.seconds(at));
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if let Some(click) = click {
            handed.push((SampleIndex(click), Instant::now()));
        }
        writer.write(&samples);
    }
    pipeline.stop();
    let events: Vec<(SampleIndex, Instant)> = told.iter().collect();
    let near = 4 * 2048;
    let times: Vec<Duration> = handed
        .iter()
        .filter_map(|(click, when)| {
            let event = events.iter().find(|(at, _)| at.0.abs_diff(click.0) < near)?;
            Some(event.1.saturating_duration_since(*when))
        })
        .collect();
    assert!(!times.is_empty(), "no click was heard");
    let found = times.len();
    (times, found)
}
