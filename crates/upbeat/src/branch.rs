//! Trees of stages, whose outputs go to columns of a frame.

use std::ops::Range;
use std::time::Instant;

use upbeat_core::{BoxedStage, SampleIndex, Stage};
use upbeat_features::stft::Spectrum;

use crate::costs::PerFeature;
use crate::{Feature, FeatureSet};

/// The stages of an analyzer, by what they take.
#[derive(Default)]
pub(crate) struct Branches {
    /// Pieces of the interleaved stream.
    pub(crate) interleaved: Vec<Branch<[f32]>>,
    /// Pieces of the mean of all channels.
    pub(crate) mono: Vec<Branch<[f32]>>,
    /// Frames of that mean.
    pub(crate) frame: Vec<Branch<[f32]>>,
    /// Their spectra.
    pub(crate) spectrum: Vec<Branch<Spectrum>>,
}

impl Branches {
    pub(crate) fn reset(&mut self) {
        // From nothing to everything.
        self.wake(FeatureSet::EMPTY, FeatureSet::ALL);
    }

    /// Resets the stages that are needed for the features in `now`, but were not for those `before`.
    pub(crate) fn wake(&mut self, before: FeatureSet, now: FeatureSet) {
        for branches in [&mut self.interleaved, &mut self.mono, &mut self.frame] {
            for branch in branches {
                branch.wake(before, now);
            }
        }
        for branch in &mut self.spectrum {
            branch.wake(before, now);
        }
    }

    /// Whether any of the features `active` needs spectra.
    pub(crate) fn need_spectra(&self, active: FeatureSet) -> bool {
        self.spectrum.iter().any(|branch| branch.serves.meets(active))
    }

    /// Adds the time spent since the last call to the features it was spent for, in seconds. Returns the sum.
    pub(crate) fn collect(&mut self, active: FeatureSet, seconds: &mut PerFeature) -> f64 {
        let mut sum = 0.0;
        for branches in [&mut self.interleaved, &mut self.mono, &mut self.frame] {
            sum += branches.iter_mut().map(|b| b.collect(active, seconds)).sum::<f64>();
        }
        sum + self.spectrum.iter_mut().map(|b| b.collect(active, seconds)).sum::<f64>()
    }
}

/// How branches are to work on an input.
#[derive(Clone, Copy)]
pub(crate) struct Mode {
    /// The features wanted; stages that serve none of them rest.
    pub(crate) active: FeatureSet,
    /// Whether to measure how long each stage takes.
    pub(crate) timed: bool,
}

/// A stage, the columns its outputs go to, and the stages that use its outputs.
pub(crate) struct Branch<I: ?Sized> {
    stage: BoxedStage<I, [f32]>,
    /// Where its outputs go, one for each feature that it gives itself.
    outputs: Vec<Output>,
    next: Vec<Branch<[f32]>>,
    /// The features that need it, for its own outputs or for those of the stages behind it.
    serves: FeatureSet,
    /// Seconds spent in the stage itself, since they were collected.
    spent: f64,
}

struct Output {
    feature: Feature,
    /// The first of the stage's outputs that belongs to the feature.
    first: usize,
    /// The feature's columns.
    to: Range<usize>,
}

impl<I: ?Sized> Branch<I> {
    pub(crate) fn new(stage: BoxedStage<I, [f32]>) -> Self {
        Self { stage, outputs: Vec::new(), next: Vec::new(), serves: FeatureSet::EMPTY, spent: 0.0 }
    }

    /// Writes outputs from the one numbered `first` on to the `columns` of `feature`.
    pub(crate) fn write(&mut self, feature: Feature, first: usize, columns: Range<usize>) {
        self.serves.insert(feature);
        self.outputs.push(Output { feature, first, to: columns });
    }

    /// Feeds the outputs to `branch` as well.
    pub(crate) fn feed(&mut self, branch: Branch<[f32]>) {
        self.serves = self.serves.union(branch.serves);
        self.next.push(branch);
    }

    /// Passes `input` on to the stage, and what it emits to the columns and the next stages.
    pub(crate) fn process(&mut self, at: SampleIndex, input: &I, values: &mut [f32], mode: Mode) {
        let Self { stage, outputs, next, serves, spent } = self;
        if !serves.meets(mode.active) {
            return;
        }
        let start = mode.timed.then(Instant::now);
        let mut elsewhere = 0.0;
        stage.process(at, input, |at, output| {
            for Output { feature, first, to } in &*outputs {
                if mode.active.contains(*feature) {
                    values[to.clone()].copy_from_slice(&output[*first..][..to.len()]);
                }
            }
            if next.is_empty() {
                return;
            }
            let start = mode.timed.then(Instant::now);
            for branch in &mut *next {
                branch.process(at, output, values, mode);
            }
            elsewhere += seconds_since(start);
        });
        *spent += (seconds_since(start) - elsewhere).max(0.0);
    }

    fn wake(&mut self, before: FeatureSet, now: FeatureSet) {
        if self.serves.meets(now) && !self.serves.meets(before) {
            self.stage.reset();
        }
        for branch in &mut self.next {
            branch.wake_next(before, now);
        }
    }

    fn collect(&mut self, active: FeatureSet, seconds: &mut PerFeature) -> f64 {
        let spent = std::mem::take(&mut self.spent);
        // What several features need is paid by all of them alike.
        let payers = self.serves.intersection(active);
        for feature in payers.iter() {
            seconds[feature as usize] += spent / payers.len() as f64;
        }
        spent + self.next.iter_mut().map(|b| b.collect_next(active, seconds)).sum::<f64>()
    }
}

/// So that the compiler need not think of branches of branches of other inputs.
impl Branch<[f32]> {
    fn wake_next(&mut self, before: FeatureSet, now: FeatureSet) {
        self.wake(before, now);
    }

    fn collect_next(&mut self, active: FeatureSet, seconds: &mut PerFeature) -> f64 {
        self.collect(active, seconds)
    }
}

/// 0 where nothing is timed.
pub(crate) fn seconds_since(start: Option<Instant>) -> f64 {
    start.map_or(0.0, |start| start.elapsed().as_secs_f64())
}

/// Samples taken at once, so that short scratch serves blocks of any size.
pub(crate) const PIECE: usize = 512;

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    use super::*;

    /// Emits how many inputs it has seen since it was reset; tells how many calls it got in all.
    struct Counts {
        since_reset: f32,
        calls: Arc<AtomicU32>,
    }

    impl Stage for Counts {
        type In = [f32];
        type Out = [f32];

        fn process(
            &mut self,
            at: SampleIndex,
            _: &[f32],
            mut emit: impl FnMut(SampleIndex, &[f32]),
        ) {
            self.calls.fetch_add(1, Relaxed);
            self.since_reset += 1.0;
            emit(at, &[self.since_reset]);
        }

        fn reset(&mut self) {
            self.since_reset = 0.0;
        }
    }

    fn counts(feature: Feature, column: usize) -> (Branch<[f32]>, Arc<AtomicU32>) {
        let calls = Arc::new(AtomicU32::new(0));
        let stage = Counts { since_reset: 0.0, calls: Arc::clone(&calls) };
        let mut branch = Branch::new(stage.boxed());
        branch.write(feature, 0, column..column + 1);
        (branch, calls)
    }

    #[test]
    fn stages_rest_while_nobody_needs_them_and_then_start_anew() {
        let (mut mel, mel_calls) = counts(Feature::Melspectrogram, 0);
        let (mfcc, mfcc_calls) = counts(Feature::Mfcc, 1);
        mel.feed(mfcc);
        let mut branches = Branches { mono: vec![mel], ..Branches::default() };

        let mut active = FeatureSet::EMPTY;
        let mut run = |features: &[Feature]| {
            let now = features.iter().copied().collect();
            branches.wake(active, now);
            active = now;
            let mut values = [f32::NAN; 2];
            let mode = Mode { active, timed: false };
            branches.mono[0].process(SampleIndex(0), &[], &mut values, mode);
            let calls = (mel_calls.load(Relaxed), mfcc_calls.load(Relaxed));
            (calls, values.map(|value| (!value.is_nan()).then_some(value)))
        };
        let (mel, mfcc) = (Feature::Melspectrogram, Feature::Mfcc);
        assert_eq!(run(&[mel, mfcc]), ((1, 1), [Some(1.0), Some(1.0)]));
        assert_eq!(run(&[mel, mfcc]), ((2, 2), [Some(2.0), Some(2.0)]));
        assert_eq!(run(&[mel]), ((3, 2), [Some(3.0), None]));
        // What feeds it goes on, unheard.
        assert_eq!(run(&[mfcc]), ((4, 3), [None, Some(1.0)]));
        assert_eq!(run(&[Feature::Rms]), ((4, 3), [None, None]));
        assert_eq!(run(&[mel, mfcc]), ((5, 4), [Some(1.0), Some(1.0)]));
    }

    #[test]
    fn time_is_divided_among_those_who_need_it() {
        let (mut mel, _) = counts(Feature::Melspectrogram, 0);
        let (mfcc, _) = counts(Feature::Mfcc, 1);
        mel.feed(mfcc);
        let mut branches = Branches { mono: vec![mel], ..Branches::default() };
        let mut collect = |active: &[Feature]| {
            (branches.mono[0].spent, branches.mono[0].next[0].spent) = (6.0, 1.0);
            let mut seconds = [0.0; crate::costs::N];
            let sum = branches.collect(active.iter().copied().collect(), &mut seconds);
            assert_eq!(branches.collect(FeatureSet::ALL, &mut seconds), 0.0, "collected once");
            let [mel, mfcc] = [Feature::Melspectrogram, Feature::Mfcc].map(|f| seconds[f as usize]);
            (sum, mel, mfcc)
        };
        assert_eq!(collect(&[Feature::Melspectrogram, Feature::Mfcc]), (7.0, 3.0, 4.0));
        assert_eq!(collect(&[Feature::Mfcc, Feature::Rms]), (7.0, 0.0, 7.0));
    }
}
