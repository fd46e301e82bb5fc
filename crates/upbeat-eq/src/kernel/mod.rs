//! The inner loops: two channels at a time through a cascade of second-order sections.
//!
//! All kernels compute the same: direct form I in `f64`, in which a section's memory is the last two
//! samples of the signal before it and of the signal after it. Neighbours share that memory, its values
//! are those of real signals whatever the coefficients did, and the path from one sample to the next is a
//! single multiply-add. They differ in rounding only, by fused multiply-adds.

/// Calls the function, compiled for as many sections as there are and for whether their coefficients move.
macro_rules! by_count {
    ($run:ident($sections:ident, $memory:ident, $block:ident, $end:ident): $($count:literal => $size:literal),+) => {
        match ($sections.now.len(), !$sections.step.is_empty()) {
            $(
                ($count, false) => $run::<$size, false>($sections, $memory, $block, $end),
                ($count, true) => $run::<$size, true>($sections, $memory, $block, $end),
            )+
            (count, _) => unreachable!("{count} sections in one pass"),
        }
    };
}

#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
mod samples;
mod scalar;
#[cfg(target_arch = "x86_64")]
mod x86;

use crate::Coefficients;

/// Which code runs an equalizer's inner loop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kernel {
    /// The fastest that the processor at hand can run.
    #[default]
    Auto,
    /// The definition, one section, channel and sample after the other; to hold the others against.
    Scalar,
    /// Two channels side by side, in code that compilers turn into SSE2 on `x86_64`.
    Portable,
    /// AVX2 with FMA: two channels of two sections at once. Taken for [`Portable`](Self::Portable) where
    /// the processor has none.
    Avx2,
    /// NEON: two channels of a section at once, the sections overlapping. Taken for
    /// [`Portable`](Self::Portable) where the processor is no `aarch64`.
    Neon,
}

impl Kernel {
    /// The one that will run on this processor: never [`Auto`](Self::Auto).
    #[must_use]
    pub fn resolve(self) -> Self {
        match self {
            Self::Auto | Self::Avx2 if has_avx2() => Self::Avx2,
            Self::Auto | Self::Neon if cfg!(target_arch = "aarch64") => Self::Neon,
            Self::Auto | Self::Avx2 | Self::Neon => Self::Portable,
            chosen => chosen,
        }
    }

    /// How many sections `bands` bands need, those beyond being ones that change nothing.
    pub(crate) fn sections(self, bands: usize) -> usize {
        if self == Self::Avx2 { bands.next_multiple_of(2) } else { bands }
    }
}

/// How the sections' coefficients go on during a block: by `step` before every sixteenth sample; in section `s`, before
/// those whose index plus `2 s` is a multiple of [`EVERY`], so that sections that work two samples behind one another go
/// on all at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sections<'a> {
    pub(crate) now: &'a [Coefficients],
    /// As many as `now`, or none where nothing moves.
    pub(crate) step: &'a [Coefficients],
    /// The index of the block's first sample, modulo [`EVERY`].
    pub(crate) phase: usize,
}

/// Samples from one step of the coefficients to the next.
pub(crate) const EVERY: usize = 16;

/// The last two samples of a signal, the newest first, on two channels.
pub(crate) type Memory = [[f64; 2]; 2];

/// Runs a block of two channels, at least one sample, through at most [`MAX_SECTIONS`] sections, as many as
/// [`Kernel::sections`] says.
///
/// `memory` is that of the signal before the first section and after each; `end` receives the
/// coefficients after the block. `kernel` must come from [`Kernel::resolve`].
pub(crate) fn run(
    kernel: Kernel,
    sections: Sections<'_>,
    memory: &mut [Memory],
    block: &mut [[f64; 2]],
    end: &mut [Coefficients],
) {
    match kernel {
        Kernel::Scalar => scalar::run(sections, memory, block, end),
        #[cfg(target_arch = "x86_64")]
        Kernel::Avx2 => x86::run(sections, memory, block, end),
        #[cfg(target_arch = "aarch64")]
        Kernel::Neon => neon::run(sections, memory, block, end),
        _ => portable::run(sections, memory, block, end),
    }
}

/// Takes channels `first` and `first + 1`, which may not exist, of interleaved samples; returns how many were not sound.
/// `kernel` must come from [`Kernel::resolve`].
pub(crate) fn read(
    kernel: Kernel,
    interleaved: &[f32],
    channels: usize,
    first: usize,
    block: &mut [[f64; 2]],
) -> u64 {
    match kernel {
        #[cfg(target_arch = "x86_64")]
        Kernel::Avx2 => x86::read(interleaved, channels, first, block),
        _ => samples::read(interleaved, channels, first, block),
    }
}

/// Puts them back, no larger than [`MAX_SAMPLE`](upbeat_core::MAX_SAMPLE).
pub(crate) fn write(
    kernel: Kernel,
    block: &[[f64; 2]],
    interleaved: &mut [f32],
    channels: usize,
    first: usize,
) {
    match kernel {
        #[cfg(target_arch = "x86_64")]
        Kernel::Avx2 => x86::write(block, interleaved, channels, first),
        _ => samples::write(block, interleaved, channels, first),
    }
}

/// As many sections as one pass over a block can hold in registers and first-level cache.
pub(crate) const MAX_SECTIONS: usize = 8;

fn has_avx2() -> bool {
    #[cfg(target_arch = "x86_64")]
    return x86::is_supported();
    #[cfg(not(target_arch = "x86_64"))]
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Band, Design};
    use proptest::prelude::*;
    use upbeat_core::SampleRate;
    use upbeat_testkit::signal::Random;

    fn sections(random: &mut Random, count: usize) -> Vec<Coefficients> {
        let rate = SampleRate::new(48_000).unwrap();
        (0..count)
            .map(|_| {
                let frequency = 20.0 * 1000_f64.powf(random.unit());
                let band =
                    Band::peak(frequency, 24.0 * random.unit() - 12.0, 0.3 + 5.0 * random.unit());
                Coefficients::of(&band, rate, Design::Matched)
            })
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn every_kernel_computes_the_definition(
            count in 1_usize..=MAX_SECTIONS,
            length in 1_usize..80,
            phase in 0..EVERY,
            moving: bool,
            seed: u64,
        ) {
            let mut random = Random::new(seed);
            let now = sections(&mut random, count);
            let target = sections(&mut random, count);
            let step: Vec<Coefficients> =
                now.iter().zip(&target).map(|(now, to)| now.step_to(to, 20.0)).collect();
            let sections =
                Sections { now: &now, step: if moving { &step } else { &[] }, phase };
            let mut number = || random.unit() - 0.5;
            let block: Vec<[f64; 2]> = (0..length).map(|_| [number(), number()]).collect();
            let memory: Vec<Memory> =
                (0..=count).map(|_| [[number(), number()], [number(), number()]]).collect();

            let run = |kernel: Kernel| {
                let (mut memory, mut block) = (memory.clone(), block.clone());
                let mut end = vec![Coefficients::IDENTITY; count];
                run(kernel.resolve(), sections, &mut memory, &mut block, &mut end);
                (memory, block, end)
            };
            let expected = run(Kernel::Scalar);
            for kernel in [Kernel::Portable, Kernel::Avx2, Kernel::Neon] {
                if kernel.resolve().sections(count) != count {
                    continue;
                }
                let found = run(kernel);
                let close = |a: &[f64; 2], b: &[f64; 2]| {
                    (0..2).all(|c| (a[c] - b[c]).abs() < 1e-9 * (1.0 + a[c].abs()))
                };
                prop_assert!(found.1.iter().zip(&expected.1).all(|(a, b)| close(a, b)), "{kernel:?}");
                let memories = found.0.as_flattened().iter().zip(expected.0.as_flattened());
                prop_assert!(memories.clone().all(|(a, b)| close(a, b)), "{kernel:?}");
                prop_assert_eq!(&found.2, &expected.2, "{:?}", kernel);
            }
        }
    }
}
