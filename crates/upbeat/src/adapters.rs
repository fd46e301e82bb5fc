//! What lets stages of different types stand in one plan: all emit slices of values.

use std::marker::PhantomData;

use upbeat_core::{BoxedStage, SampleIndex, Stage};

use crate::branch::PIECE;

/// `stage` on inputs that `input` turns into its own, its outputs flattened into `width` values.
pub(crate) fn adapt<I, S, P, F>(
    stage: S,
    input: P,
    width: usize,
    flatten: F,
) -> BoxedStage<I, [f32]>
where
    I: ?Sized + 'static,
    S: Stage + Send + 'static,
    P: Fn(&I) -> &S::In + Send + 'static,
    F: Fn(&S::Out, &mut [f32]) + Send + 'static,
{
    let values = vec![f32::NAN; width].into();
    Adapt { stage, input, flatten, values, takes: PhantomData::<fn(&I)> }.boxed()
}

/// A stage that emits one value.
pub(crate) fn scalar<I: ?Sized + 'static, S: Stage<In = I, Out = f32> + Send + 'static>(
    stage: S,
) -> BoxedStage<I, [f32]> {
    adapt(stage, |input| input, 1, |value, out| out[0] = *value)
}

/// What is not known, in a slice of values.
pub(crate) fn or_nan(value: Option<f32>) -> f32 {
    value.unwrap_or(f32::NAN)
}

struct Adapt<S, P, F, I> {
    stage: S,
    input: P,
    flatten: F,
    values: Box<[f32]>,
    takes: PhantomData<I>,
}

impl<I, S, P, F> Stage for Adapt<S, P, F, fn(&I)>
where
    I: ?Sized,
    S: Stage,
    P: Fn(&I) -> &S::In,
    F: Fn(&S::Out, &mut [f32]),
{
    type In = I;
    type Out = [f32];

    fn process(&mut self, at: SampleIndex, input: &I, mut emit: impl FnMut(SampleIndex, &[f32])) {
        let Self { stage, values, flatten, .. } = self;
        stage.process(at, (self.input)(input), |at, output| {
            flatten(output, values);
            emit(at, values);
        });
    }

    fn reset(&mut self) {
        self.stage.reset();
    }

    fn latency(&self) -> u64 {
        self.stage.latency()
    }
}

/// Says again, at the end of each block, what a stage that speaks more seldom has said last.
pub(crate) struct Latest {
    stage: BoxedStage<[f32], [f32]>,
    values: Box<[f32]>,
}

impl Latest {
    pub(crate) fn new(stage: BoxedStage<[f32], [f32]>, width: usize) -> Self {
        Self { stage, values: vec![f32::NAN; width].into() }
    }
}

impl Stage for Latest {
    type In = [f32];
    type Out = [f32];

    fn process(
        &mut self,
        at: SampleIndex,
        block: &[f32],
        mut emit: impl FnMut(SampleIndex, &[f32]),
    ) {
        let Self { stage, values } = self;
        stage.process(at, block, |_, output| values.copy_from_slice(output));
        emit(at, values);
    }

    fn reset(&mut self) {
        self.stage.reset();
        self.values.fill(f32::NAN);
    }
}

/// The first two channels of an interleaved stream, interleaved.
pub(crate) struct FirstTwo {
    channels: usize,
    pairs: Box<[f32]>,
}

impl FirstTwo {
    pub(crate) fn new(channels: usize) -> Self {
        Self { channels, pairs: vec![0.0; 2 * PIECE].into() }
    }
}

impl Stage for FirstTwo {
    type In = [f32];
    type Out = [f32];

    fn process(
        &mut self,
        at: SampleIndex,
        block: &[f32],
        mut emit: impl FnMut(SampleIndex, &[f32]),
    ) {
        let samples = block.len() / self.channels;
        let pairs = &mut self.pairs[..2 * samples];
        for (pair, all) in pairs.chunks_exact_mut(2).zip(block.chunks_exact(self.channels)) {
            pair.copy_from_slice(&all[..2]);
        }
        emit(at, pairs);
    }

    fn reset(&mut self) {}
}

/// Values times a factor.
pub(crate) struct Gain {
    factor: f32,
    values: Box<[f32]>,
}

impl Gain {
    /// For frames of `width` values.
    pub(crate) fn new(factor: f32, width: usize) -> Self {
        Self { factor, values: vec![0.0; width].into() }
    }
}

impl Stage for Gain {
    type In = [f32];
    type Out = [f32];

    fn process(
        &mut self,
        at: SampleIndex,
        values: &[f32],
        mut emit: impl FnMut(SampleIndex, &[f32]),
    ) {
        for (out, value) in self.values.iter_mut().zip(values) {
            *out = self.factor * value;
        }
        emit(at, &self.values);
    }

    fn reset(&mut self) {}
}
