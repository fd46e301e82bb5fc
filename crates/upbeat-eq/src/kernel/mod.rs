//! The inner loops: two channels at a time through a cascade of second-order sections.
//!
//! All kernels compute the same: direct form I in `f64`, in which a section's memory is the last two
//! samples of the signal before it and of the signal after it. Neighbours share that memory, its values
//! are those of real signals whatever the coefficients did, and the path from one sample to the next is a
//! single multiply-add. They differ in rounding only, by fused multiply-adds.

mod portable;
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
    /// Two channels side by side, in code that compilers turn into SSE2 on `x86_64` and NEON on
    /// `aarch64`.
    Portable,
    /// AVX2 with FMA: two channels of two sections at once. Taken for [`Portable`](Self::Portable) where
    /// the processor has none.
    Avx2,
}

impl Kernel {
    /// The one that will run on this processor: never [`Auto`](Self::Auto).
    #[must_use]
    pub fn resolve(self) -> Self {
        match self {
            Self::Auto | Self::Avx2 if has_avx2() => Self::Avx2,
            Self::Auto | Self::Avx2 => Self::Portable,
            chosen => chosen,
        }
    }
}

/// How the sections' coefficients go on during a block: on before every even sample by `step`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sections<'a> {
    pub(crate) now: &'a [Coefficients],
    /// As many as `now`, or none where nothing moves.
    pub(crate) step: &'a [Coefficients],
    /// Whether the block's first sample has an odd index.
    pub(crate) odd: bool,
}

/// The last two samples of a signal, the newest first, on two channels.
pub(crate) type Memory = [[f64; 2]; 2];

/// Runs a block of two channels, at least one sample, through at most [`MAX_SECTIONS`] sections, an even number of them.
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
        _ => portable::run(sections, memory, block, end),
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
            pairs in 1_usize..=MAX_SECTIONS / 2,
            length in 1_usize..80,
            odd: bool,
            moving: bool,
            seed: u64,
        ) {
            let count = 2 * pairs;
            let mut random = Random::new(seed);
            let now = sections(&mut random, count);
            let target = sections(&mut random, count);
            let step: Vec<Coefficients> =
                now.iter().zip(&target).map(|(now, to)| now.step_to(to, 40.0)).collect();
            let sections =
                Sections { now: &now, step: if moving { &step } else { &[] }, odd };
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
            for kernel in [Kernel::Portable, Kernel::Avx2] {
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
