//! Trees of stages, whose outputs go to columns of a frame.

use std::ops::Range;

use upbeat_core::{BoxedStage, SampleIndex, Stage};
use upbeat_features::stft::Spectrum;

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
        for branches in [&mut self.interleaved, &mut self.mono, &mut self.frame] {
            branches.iter_mut().for_each(Branch::reset);
        }
        self.spectrum.iter_mut().for_each(Branch::reset);
    }
}

/// A stage, the columns its outputs go to, and the stages that use its outputs.
pub(crate) struct Branch<I: ?Sized> {
    stage: BoxedStage<I, [f32]>,
    /// Where its outputs go: (first output, columns), one pair per feature that they serve.
    columns: Vec<(usize, Range<usize>)>,
    next: Vec<Branch<[f32]>>,
}

impl<I: ?Sized> Branch<I> {
    pub(crate) fn new(stage: BoxedStage<I, [f32]>) -> Self {
        Self { stage, columns: Vec::new(), next: Vec::new() }
    }

    /// Writes outputs from the one numbered `first` on to `columns`.
    pub(crate) fn write(&mut self, first: usize, columns: Range<usize>) {
        self.columns.push((first, columns));
    }

    /// Feeds the outputs to `branch` as well.
    pub(crate) fn feed(&mut self, branch: Branch<[f32]>) {
        self.next.push(branch);
    }

    /// Passes `input` on to the stage, and what it emits to the columns and the next stages.
    pub(crate) fn process(&mut self, at: SampleIndex, input: &I, values: &mut [f32]) {
        let Self { stage, columns, next } = self;
        stage.process(at, input, |at, output| {
            for (first, columns) in &*columns {
                values[columns.clone()].copy_from_slice(&output[*first..][..columns.len()]);
            }
            for branch in &mut *next {
                branch.process(at, output, values);
            }
        });
    }

    fn reset(&mut self) {
        self.stage.reset();
        self.next.iter_mut().for_each(Self::reset_next);
    }

    fn reset_next(branch: &mut Branch<[f32]>) {
        branch.reset();
    }
}

/// Samples taken at once, so that short scratch serves blocks of any size.
pub(crate) const PIECE: usize = 512;
