//! One harness for the contract that every stage keeps: any split, reset, gaps, latency.

use crate::signal::Random;

/// A value that can be compared bit for bit.
pub trait Bits {
    /// Appends the bits of this value.
    fn bits(&self, into: &mut Vec<u64>);
}

/// One output of a stage: the index it refers to and its bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Index of the sample the output refers to.
    pub at: u64,
    /// The value, bit for bit.
    pub bits: Vec<u64>,
}

/// A stage as the harness sees it; [`streamed!`](crate::streamed!) makes one of any `Stage` on samples.
pub trait Streamed {
    /// Takes `block`, whose first sample has index `at`.
    fn push(&mut self, at: u64, block: &[f32], outputs: &mut Vec<Output>);
    /// Forgets everything heard.
    fn reset(&mut self);
    /// The stated latency, or `None` where outputs are not samples' (it is not checked then).
    fn latency(&self) -> Option<u64>;
}

/// Makes a [`Streamed`] of an expression that is an `upbeat_core::Stage<In = [f32]>`.
///
/// Its output type must implement [`Bits`].
#[macro_export]
macro_rules! streamed {
    ($stage:expr) => {{
        struct Adapter<S>(S);

        impl<S: upbeat_core::Stage<In = [f32]>> $crate::streaming::Streamed for Adapter<S>
        where
            S::Out: $crate::streaming::Bits,
        {
            fn push(
                &mut self,
                at: u64,
                block: &[f32],
                outputs: &mut Vec<$crate::streaming::Output>,
            ) {
                self.0.process(upbeat_core::SampleIndex(at), block, |at, output| {
                    let mut bits = Vec::new();
                    $crate::streaming::Bits::bits(output, &mut bits);
                    outputs.push($crate::streaming::Output { at: at.0, bits });
                });
            }

            fn reset(&mut self) {
                self.0.reset();
            }

            fn latency(&self) -> Option<u64> {
                Some(self.0.latency())
            }
        }

        Adapter($stage)
    }};
}

/// Holds a stage on `channels` interleaved channels to the streaming contract, on one input.
///
/// `make` makes the stage anew; `seed` chooses how the input is cut. Checked, bit for bit, against
/// the outputs for the whole input in one block:
///
/// 1. the input in pieces of random length, empty ones among them, gives the same;
/// 2. so does one sample at a time, and each output comes exactly when the stated latency says at
///    the latest; at least one uses that latency fully, so that it is not overstated;
/// 3. so does the same stage after `reset`, even where the index goes on;
/// 4. so does the same stage after a gap, with indices moved by it, and after a jump backwards.
///
/// # Panics
///
/// If any of these does not hold, or the whole input gave no output (nothing would be tested).
pub fn assert_streaming<S: Streamed>(
    make: impl Fn() -> S,
    input: &[f32],
    channels: usize,
    seed: u64,
) {
    let mut random = Random::new(seed);
    let whole = run(&mut make(), 0, input, channels, input.len() / channels);
    assert!(!whole.is_empty(), "the input must be long enough for the stage to emit something");

    let mut stage = make();
    assert_same(&run_split(&mut stage, 0, input, channels, &mut random), &whole, "random pieces");
    assert_same(&check_latency(&mut make(), input, channels), &whole, "one sample at a time");

    let length = (input.len() / channels) as u64;
    // After `reset` the index goes on as if nothing had been, so that only `reset` tells of it.
    for (from, what) in [
        (length, "after reset()"),
        (2 * length + 12_345, "after a gap"),
        (3, "after a jump backwards"),
    ] {
        if from == length {
            stage.reset();
        }
        let moved: Vec<Output> =
            whole.iter().map(|o| Output { at: o.at + from, bits: o.bits.clone() }).collect();
        let after = run_split(&mut stage, from, input, channels, &mut random);
        assert_same(&after, &moved, what);
    }
}

fn run<S: Streamed>(
    stage: &mut S,
    from: u64,
    input: &[f32],
    channels: usize,
    piece: usize,
) -> Vec<Output> {
    let mut outputs = Vec::new();
    let mut at = from;
    for block in input.chunks(piece.max(1) * channels) {
        stage.push(at, block, &mut outputs);
        at += (block.len() / channels) as u64;
    }
    outputs
}

fn run_split<S: Streamed>(
    stage: &mut S,
    from: u64,
    input: &[f32],
    channels: usize,
    random: &mut Random,
) -> Vec<Output> {
    let mut outputs = Vec::new();
    let mut rest = input;
    let mut at = from;
    while !rest.is_empty() {
        let most = [1, 2, 17, 300, 5000][random.below(5)];
        let samples = random.below(most + 1).min(rest.len() / channels);
        let (block, after) = rest.split_at(samples * channels);
        stage.push(at, block, &mut outputs);
        at += samples as u64;
        rest = after;
    }
    outputs
}

fn check_latency<S: Streamed>(stage: &mut S, input: &[f32], channels: usize) -> Vec<Output> {
    let mut outputs = Vec::new();
    let mut worst = None;
    for (newest, sample) in (0..).zip(input.chunks(channels)) {
        let before = outputs.len();
        stage.push(newest, sample, &mut outputs);
        for output in &outputs[before..] {
            let delay = newest.checked_sub(output.at).expect("an output about the future");
            worst = worst.max(Some(delay));
        }
    }
    if let Some(latency) = stage.latency() {
        assert_eq!(worst, Some(latency), "the longest delay seen is not the stated latency()");
    }
    outputs
}

fn assert_same(found: &[Output], expected: &[Output], what: &str) {
    for (n, (f, e)) in found.iter().zip(expected).enumerate() {
        assert_eq!(f.at, e.at, "{what}: output {n} refers to another sample");
        let differs = f.bits.iter().zip(&e.bits).position(|(a, b)| a != b);
        assert!(
            differs.is_none() && f.bits.len() == e.bits.len(),
            "{what}: output {n} (at sample {}) differs in value {differs:?}",
            e.at,
        );
    }
    assert_eq!(found.len(), expected.len(), "{what}: number of outputs");
}

impl Bits for f32 {
    fn bits(&self, into: &mut Vec<u64>) {
        into.push(u64::from(self.to_bits()));
    }
}

impl Bits for f64 {
    fn bits(&self, into: &mut Vec<u64>) {
        into.push(self.to_bits());
    }
}

impl Bits for u64 {
    fn bits(&self, into: &mut Vec<u64>) {
        into.push(*self);
    }
}

impl Bits for bool {
    fn bits(&self, into: &mut Vec<u64>) {
        into.push(u64::from(*self));
    }
}

impl<T: Bits> Bits for [T] {
    fn bits(&self, into: &mut Vec<u64>) {
        into.push(self.len() as u64);
        for value in self {
            value.bits(into);
        }
    }
}

impl<T: Bits, const N: usize> Bits for [T; N] {
    fn bits(&self, into: &mut Vec<u64>) {
        for value in self {
            value.bits(into);
        }
    }
}

impl<T: Bits> Bits for Option<T> {
    fn bits(&self, into: &mut Vec<u64>) {
        into.push(u64::from(self.is_some()));
        if let Some(value) = self {
            value.bits(into);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    /// Emits the mean of every `n` samples, with faults one can switch on.
    #[derive(Clone, Default)]
    struct Means {
        sum: f32,
        seen: u64,
        next: Option<u64>,
        fault: &'static str,
    }

    impl Streamed for Means {
        fn push(&mut self, at: u64, block: &[f32], outputs: &mut Vec<Output>) {
            if self.next.replace(at + block.len() as u64) != Some(at) && self.fault != "glues gaps"
            {
                self.seen = 0;
                self.sum = 0.0;
            }
            if self.fault == "depends on blocks" {
                self.sum += 0.001;
            }
            for (index, x) in (at..).zip(block) {
                self.sum += x;
                self.seen += 1;
                if self.seen == 5 {
                    let at = index - if self.fault == "overstates latency" { 3 } else { 4 };
                    outputs.push(Output { at, bits: vec![u64::from((self.sum / 5.0).to_bits())] });
                    self.seen = 0;
                    self.sum = 0.0;
                }
            }
        }

        fn reset(&mut self) {
            if self.fault != "keeps state" {
                *self = Self { fault: self.fault, ..Self::default() };
            }
        }

        fn latency(&self) -> Option<u64> {
            Some(4)
        }
    }

    #[test]
    fn a_sound_stage_passes_and_each_planted_fault_is_found() {
        let input = crate::signal::noise(1.0, 7, 1003);
        assert_streaming(Means::default, &input, 1, 3);
        for fault in ["glues gaps", "depends on blocks", "overstates latency", "keeps state"] {
            let make = || Means { fault, ..Means::default() };
            let run = AssertUnwindSafe(|| assert_streaming(make, &input, 1, 3));
            assert!(catch_unwind(run).is_err(), "{fault} went unnoticed");
        }
    }
}
