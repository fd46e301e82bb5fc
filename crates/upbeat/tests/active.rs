//! Features may come and go while the stream runs, and say what they cost.

use std::sync::Arc;

use upbeat::{Analyzer, AnalyzerConfig, Feature, FeatureSet};
use upbeat_testkit::signal;
use upbeat_testkit::streaming::Bits;

const RATE: u32 = 22_050;
const FRAME: usize = 2048;
const HOP: usize = 512;

fn analyzer() -> Analyzer {
    let config = AnalyzerConfig::new(RATE, 2).with_features(FeatureSet::ALL);
    Analyzer::new(&config).expect("valid settings")
}

fn song(seconds: f64) -> Vec<f32> {
    let length = (f64::from(RATE) * seconds) as usize;
    let mut left = signal::tone(196.0, 9, 0.3, RATE, length);
    signal::add(&mut left, &signal::clicks(RATE as usize / 5, length));
    let mut right = signal::sweep(80.0, 3000.0, 0.2, RATE, length);
    signal::add(&mut right, &signal::noise(0.05, 4, length));
    signal::interleave(&[&left, &right])
}

/// A frame: where it starts, and the bits of each feature.
type Frame = (u64, Vec<Vec<u32>>);

/// Analyses `song` in blocks of `block` samples, with other features from certain samples on.
fn run(song: &[f32], block: usize, changes: &[(usize, FeatureSet)]) -> Vec<Frame> {
    let mut analyzer = analyzer();
    let mut frames = Vec::new();
    let mut start = 0;
    let ends = changes.iter().map(|(at, _)| *at).chain([song.len() / 2]);
    let sets = [None].into_iter().chain(changes.iter().map(|(_, set)| Some(*set)));
    for (set, end) in sets.zip(ends) {
        if let Some(set) = set {
            analyzer.set_active(set);
        }
        for piece in song[2 * start..2 * end].chunks(2 * block) {
            analyzer
                .push(piece, |frame| {
                    let bits = |feature: &Feature| {
                        frame.values(*feature).iter().map(|value| value.to_bits()).collect()
                    };
                    frames.push((frame.at().0, Feature::ALL.iter().map(bits).collect()));
                })
                .expect("whole samples of both channels");
        }
        start = end;
    }
    frames
}

fn unknown(bits: &[u32]) -> bool {
    bits.iter().all(|bits| f32::from_bits(*bits).is_nan())
}

/// In the middle of a frame, at its end, and one sample later.
const CHANGES: [(usize, FeatureSet); 4] = [
    (10_000, FeatureSet::SPECTRAL),
    (FRAME + 30 * HOP, FeatureSet::EMPTY),
    (FRAME + 40 * HOP + 1, FeatureSet::DEFAULT),
    (30_000, FeatureSet::ALL),
];

#[test]
fn any_split_gives_the_same_bits_though_features_come_and_go() {
    let song = song(2.0);
    let whole = run(&song, usize::MAX / 4, &CHANGES);
    for block in [1, 7, HOP, 4096] {
        assert_eq!(run(&song, block, &CHANGES), whole, "blocks of {block}");
    }
}

#[test]
fn the_change_comes_with_the_next_frame_and_the_others_do_not_notice() {
    let song = song(2.0);
    let all = run(&song, 1000, &[]);
    let some = run(&song, 1000, &CHANGES);
    assert_eq!(all.len(), some.len());
    let mut compared = 0;
    for ((at, all), (_, some)) in all.iter().zip(&some) {
        let end = *at as usize + FRAME;
        // The set that held when the first sample after the frame before this one came in.
        let last = CHANGES.iter().rfind(|(change, _)| *change <= end - HOP);
        let active = last.map_or(FeatureSet::ALL, |(_, set)| *set);
        for feature in Feature::ALL {
            let (all, some) = (&all[*feature as usize], &some[*feature as usize]);
            if !active.contains(*feature) {
                assert!(unknown(some), "{feature} in the frame at {at} is not computed");
            } else if CHANGES[0].0 > end - HOP
                || FeatureSet::SPECTRAL.contains(*feature) && CHANGES[1].0 > end - HOP
            {
                assert_eq!(some, all, "{feature} in the frame at {at} has never rested");
                compared += usize::from(!unknown(some));
            }
        }
    }
    assert!(compared > 500, "{compared} values were known");
}

#[test]
fn what_is_computed_again_starts_anew() {
    let song = song(2.0);
    let rest = 4000;
    // A frame ends here, so that the next one is the first with all features.
    let wake = FRAME + 30 * HOP;
    let woken = run(&song, 1000, &[(rest, FeatureSet::EMPTY), (wake, FeatureSet::ALL)]);
    let first = wake - (FRAME - HOP);
    let fresh = run(&song[2 * first..], 1000, &[]);
    let woken: Vec<_> = woken.into_iter().filter(|(at, _)| *at as usize >= first).collect();
    assert_eq!(woken.len(), fresh.len());
    // These hear samples, not frames, so that they hear the first only when they are woken.
    let hear_samples =
        [Feature::Loudness, Feature::Cqt, Feature::ChromaCqt, Feature::Stereo, Feature::Pyin];
    for feature in FeatureSet::ALL.iter().filter(|feature| !hear_samples.contains(feature)) {
        for ((_, woken), (at, fresh)) in woken.iter().zip(&fresh) {
            let (woken, fresh) = (&woken[feature as usize], &fresh[feature as usize]);
            assert_eq!(woken, fresh, "{feature}, {at} samples after the start");
        }
    }
    for feature in hear_samples {
        let known = woken.iter().filter(|(_, frame)| !unknown(&frame[feature as usize])).count();
        assert!(known > 10, "{feature} is computed again: {known} frames");
    }
}

#[test]
fn a_choice_holds_through_gaps_and_resets_and_is_of_what_is_configured() {
    let config = AnalyzerConfig::new(RATE, 2).with_features([Feature::Rms, Feature::Mfcc]);
    let mut analyzer = Analyzer::new(&config).unwrap();
    let configured: FeatureSet = [Feature::Rms, Feature::Mfcc].into();
    assert_eq!(analyzer.active(), configured);
    analyzer.set_active([Feature::Rms, Feature::Pitch]);
    let rms: FeatureSet = [Feature::Rms].into();
    assert_eq!(analyzer.active(), rms, "at once, and of what is configured");
    let song = song(0.5);
    let mut frames = 0;
    let mut check = |frame: &upbeat::FeatureFrame| {
        frames += 1;
        assert!(frame.value(Feature::Rms).is_some() && frame.value(Feature::Mfcc).is_none());
    };
    analyzer.push(&song, &mut check).unwrap();
    analyzer.process(upbeat::core::SampleIndex(1 << 30), &song, &mut check).unwrap();
    analyzer.reset();
    analyzer.push(&song, &mut check).unwrap();
    assert_eq!((analyzer.active(), frames), (rms, 3 * 18));
    analyzer.set_active(FeatureSet::ALL);
    assert_eq!(analyzer.active(), rms, "not in the middle of a frame");
    analyzer.reset();
    assert_eq!(analyzer.active(), configured);
}

#[test]
fn costs_are_known_once_measured_and_stay_known() {
    let song = song(2.0);
    let mut analyzer = analyzer();
    let mut bits = Vec::new();
    analyzer.push(&song, |frame| frame.as_slice().bits(&mut bits)).unwrap();
    assert_eq!((analyzer.costs().iter().count(), analyzer.costs().shared()), (0, None));

    analyzer.reset();
    analyzer.measure_costs(true);
    let mut measured = Vec::new();
    analyzer.push(&song, |frame| frame.as_slice().bits(&mut measured)).unwrap();
    assert_eq!(bits, measured, "measuring changes no value");
    let costs = *analyzer.costs();
    assert_eq!(costs.iter().count(), Feature::ALL.len());
    let cost = |feature| costs.get(feature).unwrap();
    assert!(costs.iter().all(|(_, seconds)| (0.0..10.0).contains(&seconds)), "{costs:?}");
    assert!(costs.shared().unwrap() > 0.0);
    // A Viterbi search over hundreds of pitches against a sum of squares, whatever the machine.
    assert!(cost(Feature::Pyin) > 5.0 * cost(Feature::Rms), "{costs:?}");

    analyzer.set_active([Feature::Rms]);
    analyzer.push(&song, |_| ()).unwrap();
    let later = analyzer.costs();
    assert_eq!(later.get(Feature::Pyin), costs.get(Feature::Pyin), "as measured last");
    assert_ne!(later.get(Feature::Rms), costs.get(Feature::Rms));
}

#[test]
fn a_governor_leaves_out_what_costs_most() {
    use upbeat::perf::{Governor, GovernorConfig, GovernorInput, QualityLevel};

    let song = song(2.0);
    let mut analyzer = analyzer();
    analyzer.measure_costs(true);
    analyzer.push(&song, |_| ()).unwrap();
    let costs = *analyzer.costs();
    let sum = |features: FeatureSet| features.iter().filter_map(|f| costs.get(f)).sum::<f64>();

    let mut governor = Governor::new(&GovernorConfig::default()).unwrap();
    governor.set_costs(&costs.items()).unwrap();
    assert_eq!(FeatureSet::from(governor.settings().items), FeatureSet::ALL);
    let mut last = FeatureSet::ALL;
    for (level, budget) in
        [(QualityLevel::High, 0.8), (QualityLevel::Medium, 0.5), (QualityLevel::Low, 0.25)]
    {
        governor.set_level(Some(level));
        governor.update(&GovernorInput::at(0.0));
        analyzer.set_active(governor.settings().items);
        analyzer.push(&song[..20_000], |_| ()).unwrap();
        let left = analyzer.active();
        assert_eq!(
            left.intersection(last),
            left,
            "{level} computes nothing that was left out above"
        );
        assert!(left.contains(Feature::Rms) && left.contains(Feature::Onset), "{level}: {left:?}");
        let share = sum(left) / sum(FeatureSet::ALL);
        println!("{level}: {} features, {:.0} % of the cost", left.len(), 100.0 * share);
        assert!(share <= budget, "{level}: {share}");
        last = left;
    }
    assert!(!last.contains(Feature::Pyin) && !last.contains(Feature::Cqt), "{last:?}");
}

#[test]
fn values_that_stand_are_those_of_the_frame_they_were_computed_in() {
    let stream = signal::sweep(100.0, 4000.0, 0.5, 44_100, 44_100);
    let config = AnalyzerConfig::new(44_100, 1);
    let frames = |reuse| {
        let mut analyzer = Analyzer::new(&config).unwrap();
        analyzer.set_reuse(reuse);
        let mut frames: Vec<Vec<u32>> = Vec::new();
        let layout = Arc::clone(analyzer.layout());
        analyzer
            .push(&stream, |frame| {
                frames.push(frame.as_slice().iter().map(|x| x.to_bits()).collect());
            })
            .unwrap();
        (layout, frames)
    };
    let (layout, every) = frames(1);
    let (_, reused) = frames(3);
    assert_eq!(every.len(), reused.len());
    for (n, frame) in reused.iter().enumerate() {
        for feature in layout.features() {
            let source = if FeatureSet::LASTING.contains(feature) { n - n % 3 } else { n };
            let columns = layout.columns(feature);
            assert_eq!(frame[columns.clone()], every[source][columns], "{feature} in frame {n}");
        }
    }
}
