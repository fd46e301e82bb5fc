use std::marker::PhantomData;

use super::Window;

/// An associative operation over the samples of a window.
pub(super) trait Operation {
    /// The fold of no samples.
    const NOTHING: f64;
    /// One sample as a value to fold.
    fn of(sample: f32) -> f64;
    fn join(earlier: f64, later: f64) -> f64;
    /// The statistic, from the fold of `length` samples.
    fn statistic(fold: f64, length: usize) -> f64;
}

#[derive(Clone, Debug)]
pub(super) struct Mean;

impl Operation for Mean {
    const NOTHING: f64 = 0.0;

    fn of(sample: f32) -> f64 {
        f64::from(sample)
    }

    fn join(earlier: f64, later: f64) -> f64 {
        earlier + later
    }

    fn statistic(fold: f64, length: usize) -> f64 {
        fold / length as f64
    }
}

#[derive(Clone, Debug)]
pub(super) struct Rms;

impl Operation for Rms {
    const NOTHING: f64 = 0.0;

    fn of(sample: f32) -> f64 {
        f64::from(sample) * f64::from(sample)
    }

    fn join(earlier: f64, later: f64) -> f64 {
        earlier + later
    }

    fn statistic(fold: f64, length: usize) -> f64 {
        (fold / length as f64).sqrt()
    }
}

#[derive(Clone, Debug)]
pub(super) struct Min;

impl Operation for Min {
    const NOTHING: f64 = f64::INFINITY;

    fn of(sample: f32) -> f64 {
        f64::from(sample)
    }

    // Not `f64::min`, which may give either of 0 and −0.
    fn join(earlier: f64, later: f64) -> f64 {
        if later < earlier { later } else { earlier }
    }

    fn statistic(fold: f64, _length: usize) -> f64 {
        fold
    }
}

#[derive(Clone, Debug)]
pub(super) struct Max;

impl Operation for Max {
    const NOTHING: f64 = f64::NEG_INFINITY;

    fn of(sample: f32) -> f64 {
        f64::from(sample)
    }

    fn join(earlier: f64, later: f64) -> f64 {
        if later > earlier { later } else { earlier }
    }

    fn statistic(fold: f64, _length: usize) -> f64 {
        fold
    }
}

/// Folds a sliding window without ever undoing an operation.
///
/// The stream is cut into blocks as long as the window, which therefore is the end of one block and the
/// beginning of the next: the fold of the first part comes from a pass backwards over the block when it was
/// complete, that of the second is kept up sample by sample.
#[derive(Clone, Debug)]
pub(super) struct Fold<O> {
    /// Up to `position` the values of the current block; from there on, for each value of the block before
    /// it, the fold from that value to the block's end.
    values: Box<[f64]>,
    position: usize,
    /// The fold of the current block so far.
    current: f64,
    operation: PhantomData<O>,
}

impl<O: Operation> Fold<O> {
    pub(super) fn new(length: usize) -> Self {
        let values = vec![O::NOTHING; length].into();
        Self { values, position: 0, current: O::NOTHING, operation: PhantomData }
    }
}

impl<O: Operation> Window for Fold<O> {
    fn clear(&mut self) {
        // Values left from before are overwritten before a full window has need of them.
        self.position = 0;
        self.current = O::NOTHING;
    }

    fn push(&mut self, sample: f32) {
        let value = O::of(sample);
        self.values[self.position] = value;
        self.current = O::join(self.current, value);
        self.position += 1;
        if self.position == self.values.len() {
            let mut fold = O::NOTHING;
            for value in self.values.iter_mut().rev() {
                fold = O::join(*value, fold);
                *value = fold;
            }
            self.position = 0;
            self.current = O::NOTHING;
        }
    }

    fn value(&self) -> f32 {
        let fold = O::join(self.values[self.position], self.current);
        O::statistic(fold, self.values.len()) as f32
    }
}
