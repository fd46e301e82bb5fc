//! What becomes of the beats when the quality falls and rises.

use upbeat::core::{Mix, SampleIndex, SampleRate, Stage};
use upbeat::io::demo;
use upbeat::perf::{QualityLevel, QualitySettings};
use upbeat::predict::beats::{BeatConfig, BeatTracker, FrontEnd};
use upbeat::{Event, EventAnalyzer, EventConfig, EventKind};

const RATE: u32 = 22_050;
const HOP: usize = 512;

/// The demo, twice.
fn song() -> Vec<f32> {
    let rate = SampleRate::new(RATE).expect("not 0");
    demo::song(rate).expect("a usual rate").interleaved.repeat(2)
}

/// The beats that events tell of, as samples and confidences, with a level of quality from each of these hops on.
fn told(song: &[f32], levels: &[(usize, QualityLevel)], block: usize) -> Vec<(u64, f32)> {
    let mut config = EventConfig::new(RATE, 2);
    (config.energy, config.chords) = (false, false);
    config.analyzer.features = [upbeat::Feature::Rms].into();
    let frame = config.analyzer.frame_length;
    assert_eq!(config.analyzer.hop_length, HOP);
    let mut analyzer = EventAnalyzer::new(&config).expect("usual settings");
    let mut beats = Vec::new();
    let mut listener = |event: &Event| {
        if let EventKind::Beat { confidence, .. } = event.kind {
            beats.push((event.at.0, confidence));
        }
    };
    let ends = levels.iter().map(|(hop, _)| 2 * (frame + hop * HOP)).chain([song.len()]);
    let levels = [None].into_iter().chain(levels.iter().map(|(_, level)| Some(*level)));
    let mut start = 0;
    for (level, end) in levels.zip(ends) {
        if let Some(level) = level {
            analyzer.set_quality(&QualitySettings::recommended(level), &mut listener);
        }
        for piece in song[start..end].chunks(2 * block) {
            analyzer.push(piece, &mut listener).expect("whole samples");
        }
        start = end;
    }
    analyzer.finish(&mut listener);
    beats
}

#[test]
fn at_low_beats_are_followed_by_their_onsets_and_above_by_the_network() {
    let song = song();
    let levels = [(500, QualityLevel::Medium), (560, QualityLevel::Low), (860, QualityLevel::High)];
    let found = told(&song, &levels, 1000);

    let rate = SampleRate::new(RATE).unwrap();
    let mut tracker = BeatTracker::new(&BeatConfig::new(rate)).unwrap();
    let mut expected = Vec::new();
    let mut hear = |tracker: &mut BeatTracker, from: usize, to: usize| {
        let mut mono = Mix::down(2).unwrap();
        mono.process(SampleIndex(from as u64), &song[2 * from..2 * to], |at, mono| {
            tracker.process(at, mono, |_, estimate| {
                expected.extend(estimate.beat.map(|beat| (beat.at.0, beat.confidence)));
            });
        });
    };
    let [medium, low, high] = [500, 560, 860].map(|hop| 2048 + hop * HOP);
    hear(&mut tracker, 0, medium);
    tracker.set_prediction_interval(4);
    hear(&mut tracker, medium, low);
    tracker.set_front_end(FrontEnd::Onset);
    tracker.set_prediction_interval(8);
    hear(&mut tracker, low, high);
    tracker.set_front_end(FrontEnd::Network);
    tracker.set_prediction_interval(2);
    hear(&mut tracker, high, song.len() / 2);
    assert_eq!(found, expected);

    // The demo has 112 beats per minute; from 10 s on none is missing and none is doubled.
    let times: Vec<f64> = found.iter().map(|(at, _)| *at as f64 / f64::from(RATE)).collect();
    let late: Vec<f64> = times.into_iter().filter(|t| *t > 10.0).collect();
    assert!(late.len() > 30, "{late:?}");
    for pair in late.windows(2) {
        let interval = pair[1] - pair[0];
        assert!((0.4..0.65).contains(&interval), "{pair:?}");
    }
    assert_eq!(told(&song, &levels, 77), found, "however the stream is cut");
    assert_ne!(told(&song, &[], 1000), found);
}
