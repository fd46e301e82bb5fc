use std::fmt;

use crate::{ConfigError, SampleIndex};

/// A step of a pipeline: takes one stream, emits another.
///
/// # Contract
///
/// - `process` takes the index of the first sample its input refers to. Inputs come in order; where an
///   index is not the one expected, the samples between were lost (see [`Continuity`](crate::Continuity)).
/// - Outputs do not depend on how the input was cut into blocks, bit for bit.
/// - `process` neither allocates nor frees nor locks, and may be called on an audio thread.
/// - An output for index `i` is emitted before the sample `i + latency() + 1` is taken.
///
/// # Composition
///
/// [`then`](Self::then) chains stages whose types fit; [`tap`](Self::tap) looks at what passes;
/// [`Fork`] runs two on the same input. Where branches differ in type, write a struct that owns its
/// stages and implement `Stage` for it. For pipelines that are known only at run time, box stages
/// with [`boxed`](Self::boxed): a [`BoxedStage`] is a `Stage` again.
pub trait Stage {
    /// What comes in: `[f32]` for samples or bands, `f32` for one value per frame.
    type In: ?Sized;
    /// What goes out; borrowed for the time of the call.
    type Out: ?Sized;

    /// Takes `input`, whose first sample has index `at`, and emits what it completes.
    ///
    /// Called on the analysis or audio thread: implementations must not allocate, lock or block.
    fn process(
        &mut self,
        at: SampleIndex,
        input: &Self::In,
        emit: impl FnMut(SampleIndex, &Self::Out),
    );

    /// Forgets everything heard, as if new. Allocates nothing.
    fn reset(&mut self);

    /// How many samples per channel after the one an output refers to must have come before that
    /// output is emitted.
    fn latency(&self) -> u64 {
        0
    }

    /// Feeds this stage's outputs to `next`.
    fn then<S: Stage<In = Self::Out>>(self, next: S) -> Chain<Self, S>
    where
        Self: Sized,
    {
        Chain { first: self, second: next }
    }

    /// Shows each output to `look` and passes it on unchanged.
    fn tap<F: FnMut(SampleIndex, &Self::Out)>(self, look: F) -> Tap<Self, F>
    where
        Self: Sized,
    {
        Tap { stage: self, look }
    }

    /// Hides the type of this stage, so that a pipeline can be chosen at run time.
    fn boxed(self) -> BoxedStage<Self::In, Self::Out>
    where
        Self: Sized + Send + 'static,
    {
        Box::new(self)
    }
}

/// Two stages, one after the other; made by [`Stage::then`].
#[derive(Clone, Debug)]
pub struct Chain<A, B> {
    first: A,
    second: B,
}

impl<A: Stage, B: Stage<In = A::Out>> Stage for Chain<A, B> {
    type In = A::In;
    type Out = B::Out;

    fn process(
        &mut self,
        at: SampleIndex,
        input: &A::In,
        mut emit: impl FnMut(SampleIndex, &B::Out),
    ) {
        self.first.process(at, input, |at, between| self.second.process(at, between, &mut emit));
    }

    fn reset(&mut self) {
        self.first.reset();
        self.second.reset();
    }

    fn latency(&self) -> u64 {
        self.first.latency() + self.second.latency()
    }
}

/// A stage whose outputs are looked at; made by [`Stage::tap`].
#[derive(Clone)]
pub struct Tap<S, F> {
    stage: S,
    look: F,
}

impl<S: Stage, F: FnMut(SampleIndex, &S::Out)> Stage for Tap<S, F> {
    type In = S::In;
    type Out = S::Out;

    fn process(
        &mut self,
        at: SampleIndex,
        input: &S::In,
        mut emit: impl FnMut(SampleIndex, &S::Out),
    ) {
        self.stage.process(at, input, |at, output| {
            (self.look)(at, output);
            emit(at, output);
        });
    }

    fn reset(&mut self) {
        self.stage.reset();
    }

    fn latency(&self) -> u64 {
        self.stage.latency()
    }
}

impl<S: fmt::Debug, F> fmt::Debug for Tap<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tap").field("stage", &self.stage).finish_non_exhaustive()
    }
}

/// Two stages of the same types on the same input: for each input, first all outputs of the first
/// stage, then all of the second.
///
/// Latency is the larger of the two. The order of outputs from different stages within one `process`
/// call follows the block borders; each stage's own outputs do not.
#[derive(Clone, Debug)]
pub struct Fork<A, B>(pub A, pub B);

impl<A: Stage, B: Stage<In = A::In, Out = A::Out>> Stage for Fork<A, B> {
    type In = A::In;
    type Out = A::Out;

    fn process(
        &mut self,
        at: SampleIndex,
        input: &A::In,
        mut emit: impl FnMut(SampleIndex, &A::Out),
    ) {
        self.0.process(at, input, &mut emit);
        self.1.process(at, input, &mut emit);
    }

    fn reset(&mut self) {
        self.0.reset();
        self.1.reset();
    }

    fn latency(&self) -> u64 {
        self.0.latency().max(self.1.latency())
    }
}

/// A [`Stage`] behind a pointer; implemented for every stage.
///
/// At frame rate the indirect call costs nothing one can see; inside per-sample loops prefer the
/// static form.
pub trait DynStage<I: ?Sized, O: ?Sized> {
    /// [`Stage::process`].
    fn dyn_process(&mut self, at: SampleIndex, input: &I, emit: &mut dyn FnMut(SampleIndex, &O));
    /// [`Stage::reset`].
    fn dyn_reset(&mut self);
    /// [`Stage::latency`].
    fn dyn_latency(&self) -> u64;
}

impl<S: Stage> DynStage<S::In, S::Out> for S {
    fn dyn_process(
        &mut self,
        at: SampleIndex,
        input: &S::In,
        emit: &mut dyn FnMut(SampleIndex, &S::Out),
    ) {
        self.process(at, input, emit);
    }

    fn dyn_reset(&mut self) {
        self.reset();
    }

    fn dyn_latency(&self) -> u64 {
        self.latency()
    }
}

/// A stage whose type is known only at run time; a [`Stage`] itself.
pub type BoxedStage<I, O> = Box<dyn DynStage<I, O> + Send>;

impl<I: ?Sized, O: ?Sized> Stage for BoxedStage<I, O> {
    type In = I;
    type Out = O;

    fn process(&mut self, at: SampleIndex, input: &I, mut emit: impl FnMut(SampleIndex, &O)) {
        (**self).dyn_process(at, input, &mut emit);
    }

    fn reset(&mut self) {
        (**self).dyn_reset();
    }

    fn latency(&self) -> u64 {
        (**self).dyn_latency()
    }
}

/// The same stage once for every channel of a planar block.
///
/// ```
/// use upbeat_core::{Mix, PerChannel, SampleIndex};
///
/// // Any mono stage will do; this one copies its input.
/// let mut per_channel = PerChannel::new(2, || Mix::down(1))?;
/// let mut seen = Vec::new();
/// per_channel.process(SampleIndex(0), &[&[0.1, 0.2], &[0.3, 0.4]], |channel, _, samples| {
///     seen.push((channel, samples.to_vec()));
/// });
/// assert_eq!(seen, [(0, vec![0.1, 0.2]), (1, vec![0.3, 0.4])]);
/// # Ok::<(), upbeat_core::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct PerChannel<S> {
    stages: Box<[S]>,
}

impl<S: Stage> PerChannel<S> {
    /// One stage from `make` for each of `channels` channels.
    ///
    /// # Errors
    ///
    /// If `channels` is 0, and whatever `make` returns.
    pub fn new(
        channels: usize,
        make: impl FnMut() -> Result<S, ConfigError>,
    ) -> Result<Self, ConfigError> {
        ConfigError::require(channels >= 1, "channels", "at least 1", channels)?;
        let stages = std::iter::repeat_with(make).take(channels).collect::<Result<_, _>>()?;
        Ok(Self { stages })
    }

    /// Takes one block per channel; `emit` gets the channel beside what [`Stage::process`] gives.
    ///
    /// # Panics
    ///
    /// If there are not as many blocks as channels.
    pub fn process(
        &mut self,
        at: SampleIndex,
        channels: &[&S::In],
        mut emit: impl FnMut(usize, SampleIndex, &S::Out),
    ) {
        assert_eq!(channels.len(), self.stages.len(), "a planar block has one slice per channel");
        for (channel, (stage, input)) in self.stages.iter_mut().zip(channels).enumerate() {
            stage.process(at, input, |at, output| emit(channel, at, output));
        }
    }

    /// [`Stage::reset`] for every channel.
    pub fn reset(&mut self) {
        self.stages.iter_mut().for_each(Stage::reset);
    }

    /// [`Stage::latency`], the same for every channel.
    #[must_use]
    pub fn latency(&self) -> u64 {
        self.stages.iter().map(Stage::latency).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Emits the sum of every three inputs, at the index of the first of them.
    #[derive(Clone, Default)]
    struct SumOfThree {
        seen: Vec<f32>,
    }

    impl Stage for SumOfThree {
        type In = [f32];
        type Out = f32;

        fn process(
            &mut self,
            at: SampleIndex,
            input: &[f32],
            mut emit: impl FnMut(SampleIndex, &f32),
        ) {
            for (offset, x) in (0..).zip(input) {
                self.seen.push(*x);
                if self.seen.len() == 3 {
                    emit(SampleIndex((at + offset).0 - 2), &self.seen.drain(..).sum());
                }
            }
        }

        fn reset(&mut self) {
            self.seen.clear();
        }

        fn latency(&self) -> u64 {
            2
        }
    }

    /// Emits the negated input.
    #[derive(Clone, Debug, Default)]
    struct Negate;

    impl Stage for Negate {
        type In = f32;
        type Out = f32;

        fn process(
            &mut self,
            at: SampleIndex,
            input: &f32,
            mut emit: impl FnMut(SampleIndex, &f32),
        ) {
            emit(at, &-input);
        }

        fn reset(&mut self) {}
    }

    fn run(stage: &mut impl Stage<In = [f32], Out = f32>, blocks: &[&[f32]]) -> Vec<(u64, f32)> {
        let mut at = SampleIndex(0);
        let mut out = Vec::new();
        for block in blocks {
            stage.process(at, block, |at, value| out.push((at.0, *value)));
            at += block.len() as u64;
        }
        out
    }

    const BLOCKS: [&[f32]; 3] = [&[1.0, 2.0, 3.0, 4.0], &[], &[5.0, 6.0]];

    #[test]
    fn a_chain_feeds_the_second_stage_and_adds_latencies() {
        let mut chain = SumOfThree::default().then(Negate);
        assert_eq!(run(&mut chain, &BLOCKS), [(0, -6.0), (3, -15.0)]);
        assert_eq!(chain.latency(), 2);
        assert_eq!(SumOfThree::default().then(Negate).then(Negate).latency(), 2);
    }

    #[test]
    fn a_boxed_stage_is_a_stage_again() {
        let mut chain = SumOfThree::default().boxed().then(Negate.boxed());
        assert_eq!(run(&mut chain, &BLOCKS), [(0, -6.0), (3, -15.0)]);
        assert_eq!(chain.latency(), 2);
        run(&mut chain, &[&[1.0]]);
        chain.reset();
        assert_eq!(run(&mut chain, &BLOCKS), [(0, -6.0), (3, -15.0)]);
    }

    #[test]
    fn a_tap_sees_what_passes() {
        let mut seen = Vec::new();
        let mut tapped = SumOfThree::default().tap(|at, value| seen.push((at.0, *value)));
        let out = run(&mut tapped, &BLOCKS);
        assert_eq!(seen, out);
        assert_eq!(out, [(0, 6.0), (3, 15.0)]);
    }

    #[test]
    fn a_fork_runs_both_and_takes_the_longer_latency() {
        let mut fork = Fork(SumOfThree::default(), SumOfThree::default().then(Negate));
        assert_eq!(run(&mut fork, &BLOCKS), [(0, 6.0), (0, -6.0), (3, 15.0), (3, -15.0)]);
        assert_eq!(fork.latency(), 2);
    }

    #[test]
    fn channels_do_not_mix() {
        let mut per_channel = PerChannel::new(2, || Ok(SumOfThree::default())).unwrap();
        let mut out = Vec::new();
        per_channel.process(SampleIndex(7), &[&[1.0, 1.0, 1.0], &[2.0, 2.0, 2.0]], |c, at, v| {
            out.push((c, at.0, *v));
        });
        assert_eq!(out, [(0, 7, 3.0), (1, 7, 6.0)]);
        assert_eq!(per_channel.latency(), 2);
        let none = PerChannel::new(0, || Ok(Negate)).unwrap_err();
        assert_eq!(none.to_string(), "channels must be at least 1, got 0");
    }
}
