//! AVX2 and FMA: two channels of two sections in one register, all sections of a pass in one loop.
//!
//! Section `s` works two samples behind section `s − 1`, so that all of them work at once: what a section
//! takes is what its predecessor made two rounds ago, which that one still holds as its own memory. A
//! section's lanes are loaded when its first sample is due and stored after its last one.
//!
//! In the middle of a block, all that a section's output depends on but its last output is summed up a round ahead. So
//! the way from one output to the next, which nothing can shorten, is a single multiply-add.

use std::arch::x86_64::{
    __m128d, __m256d, _mm_cvtsd_f64, _mm_set_pd, _mm_unpackhi_pd, _mm256_add_pd,
    _mm256_castpd128_pd256, _mm256_castpd256_pd128, _mm256_extractf128_pd, _mm256_fmadd_pd,
    _mm256_fnmadd_pd, _mm256_insertf128_pd, _mm256_mul_pd, _mm256_setzero_pd,
};
use std::ops::Range;

use super::{EVERY, MAX_SECTIONS, Memory, Sections, samples};
use crate::Coefficients;

/// Whether this processor has AVX2 and FMA; found out once and remembered by the standard library.
pub(super) fn is_supported() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

/// # Panics
///
/// If the processor has no AVX2 and FMA.
#[allow(unsafe_code, reason = "calls code that not every x86_64 processor can run")]
pub(super) fn run(
    sections: Sections<'_>,
    memory: &mut [Memory],
    block: &mut [[f64; 2]],
    end: &mut [Coefficients],
) {
    assert!(is_supported(), "Kernel::resolve() chooses this only where it can run");
    // SAFETY: the functions need AVX2 and FMA, which the processor has: asserted above. They are safe
    // otherwise.
    unsafe { by_count!(cascade(sections, memory, block, end): 2 => 1, 4 => 2, 6 => 3, 8 => 4) }
}

/// As [`super::read`].
///
/// # Panics
///
/// If the processor has no AVX2 and FMA.
#[allow(unsafe_code, reason = "calls code that not every x86_64 processor can run")]
pub(super) fn read(
    interleaved: &[f32],
    channels: usize,
    first: usize,
    block: &mut [[f64; 2]],
) -> u64 {
    #[target_feature(enable = "avx2,fma")]
    fn compiled(samples: &[f32], channels: usize, first: usize, block: &mut [[f64; 2]]) -> u64 {
        samples::read(samples, channels, first, block)
    }
    assert!(is_supported(), "Kernel::resolve() chooses this only where it can run");
    // SAFETY: the function needs AVX2 and FMA, which the processor has: asserted above. It is safe otherwise.
    unsafe { compiled(interleaved, channels, first, block) }
}

/// As [`super::write`].
///
/// # Panics
///
/// If the processor has no AVX2 and FMA.
#[allow(unsafe_code, reason = "calls code that not every x86_64 processor can run")]
pub(super) fn write(block: &[[f64; 2]], interleaved: &mut [f32], channels: usize, first: usize) {
    #[target_feature(enable = "avx2,fma")]
    fn compiled(block: &[[f64; 2]], samples: &mut [f32], channels: usize, first: usize) {
        samples::write(block, samples, channels, first);
    }
    assert!(is_supported(), "Kernel::resolve() chooses this only where it can run");
    // SAFETY: the function needs AVX2 and FMA, which the processor has: asserted above. It is safe otherwise.
    unsafe { compiled(block, interleaved, channels, first) }
}

#[target_feature(enable = "avx2,fma")]
fn cascade<const P: usize, const MOVING: bool>(
    sections: Sections<'_>,
    memory: &mut [Memory],
    block: &mut [[f64; 2]],
    end: &mut [Coefficients],
) {
    // Sections that are stored early must not change what later ones are loaded from.
    let mut before = [[[0.0; 2]; 2]; MAX_SECTIONS + 1];
    before[..=2 * P].copy_from_slice(&memory[..=2 * P]);

    let mut lanes = Lanes::<P>::new();
    if MOVING {
        for s in 0..2 * P {
            lanes.load_step(s, &sections.step[s]);
        }
    }
    let (length, phase) = (block.len(), sections.phase);
    let delay = 4 * P - 2; // of the last section behind the first
    if length <= delay {
        // Sections begin while others end.
        for round in 0..=length + delay {
            if round.is_multiple_of(2) && round / 2 < 2 * P {
                lanes.load(round / 2, &sections.now[round / 2], &before);
            }
            if let Some(late) = round.checked_sub(length)
                && late.is_multiple_of(2)
                && late / 2 < 2 * P
            {
                lanes.store(late / 2, &mut end[late / 2], memory);
            }
            let out =
                lanes.turn::<MOVING>(block.get(round).copied().unwrap_or_default(), phase + round);
            if let Some(done) = round.checked_sub(delay)
                && done < length
            {
                block[done] = out;
            }
        }
        return;
    }
    for s in 0..2 * P {
        lanes.load(s, &sections.now[s], &before);
        if s + 1 < 2 * P {
            for round in [2 * s, 2 * s + 1] {
                lanes.turn::<MOVING>(block[round], phase + round);
            }
        }
    }
    lanes.steady::<MOVING>(block, delay, phase);
    #[allow(clippy::needless_range_loop, reason = "as written, all of it is unrolled")]
    for s in 0..2 * P {
        lanes.store(s, &mut end[s], memory);
        if s + 1 < 2 * P {
            for late in [2 * s, 2 * s + 1] {
                block[length - delay + late] =
                    lanes.turn::<MOVING>([0.0; 2], phase + length + late);
            }
        }
    }
}

/// Lanes 0 and 1 of pair `p` are the two channels of section `p`, lanes 2 and 3 those of `P + p`: so most pairs take what
/// the pair before them made, as it is.
#[derive(Clone, Copy)]
struct Lanes<const P: usize> {
    /// `b0, b1, b2, a1, a2`.
    coefficients: [[__m256d; 5]; P],
    step: [[__m256d; 5]; P],
    x1: [__m256d; P],
    x2: [__m256d; P],
    y1: [__m256d; P],
    y2: [__m256d; P],
}

impl<const P: usize> Lanes<P> {
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn new() -> Self {
        let none = _mm256_setzero_pd();
        Self {
            coefficients: [[none; 5]; P],
            step: [[none; 5]; P],
            x1: [none; P],
            x2: [none; P],
            y1: [none; P],
            y2: [none; P],
        }
    }

    /// Takes all of `block`, whose first sample has the index `phase` modulo [`EVERY`], but its first `delay`
    /// samples, and puts what comes `delay` samples before.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn steady<const MOVING: bool>(&mut self, block: &mut [[f64; 2]], delay: usize, phase: usize) {
        let end = block.len();
        let mut from = delay;
        while from < end {
            let mut to = end;
            if MOVING {
                let since = (phase + from) % EVERY;
                if since == 0 {
                    self.advance();
                }
                to = end.min(from + EVERY - since);
            }
            self.stretch(block, delay, from..to);
            from = to;
        }
    }

    /// The samples `range` of `block` with the same coefficients.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn stretch(&mut self, block: &mut [[f64; 2]], delay: usize, range: Range<usize>) {
        // Of what changes, a copy of which no address is taken stays in registers.
        let (mut x1, mut y1) = (self.x1, self.y1);
        let mut x = inputs(self.y2, block[range.start]);
        let mut sum = self.sums(x, x1, self.x2, self.y2);
        let last = range.end - 1;
        for k in range.start..last {
            let y = self.outputs(sum, y1);
            let next = inputs(y1, block[k + 1]);
            sum = self.sums(next, x, x1, y1);
            (x1, x, y1) = (x, next, y);
            block[k - delay] = high(y[P - 1]);
        }
        (self.x2, self.x1) = (x1, x);
        (self.y2, self.y1) = (y1, self.outputs(sum, y1));
        block[last - delay] = high(self.y1[P - 1]);
    }

    /// One sample into the first section, at `phase` modulo [`EVERY`]; what comes is one out of the last.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn turn<const MOVING: bool>(&mut self, input: [f64; 2], phase: usize) -> [f64; 2] {
        if MOVING && phase.is_multiple_of(EVERY) {
            self.advance();
        }
        let x = inputs(self.y2, input);
        let y = self.outputs(self.sums(x, self.x1, self.x2, self.y2), self.y1);
        (self.x2, self.x1) = (self.x1, x);
        (self.y2, self.y1) = (self.y1, y);
        high(y[P - 1])
    }

    /// `b0 x + b1 x1 + b2 x2 − a2 y2` of each pair.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn sums(
        &self,
        x: [__m256d; P],
        x1: [__m256d; P],
        x2: [__m256d; P],
        y2: [__m256d; P],
    ) -> [__m256d; P] {
        std::array::from_fn(|p| {
            let [b0, b1, b2, _, a2] = self.coefficients[p];
            let past = _mm256_fmadd_pd(b2, x2[p], _mm256_mul_pd(b1, x1[p]));
            _mm256_fmadd_pd(b0, x[p], _mm256_fnmadd_pd(a2, y2[p], past))
        })
    }

    /// `sum − a1 y1` of each pair.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn outputs(&self, sum: [__m256d; P], y1: [__m256d; P]) -> [__m256d; P] {
        std::array::from_fn(|p| _mm256_fnmadd_pd(self.coefficients[p][3], y1[p], sum[p]))
    }

    /// Lets all coefficients go on by one step.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn advance(&mut self) {
        let all = self.coefficients.as_flattened_mut();
        for (c, step) in all.iter_mut().zip(self.step.as_flattened()) {
            *c = _mm256_add_pd(*c, *step);
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn load(&mut self, section: usize, c: &Coefficients, memory: &[Memory]) {
        let p = section % P;
        for (lanes, value) in self.coefficients[p].iter_mut().zip(c.to_array()) {
            *lanes = with_half(*lanes, section / P, [value, value]);
        }
        self.x1[p] = with_half(self.x1[p], section / P, memory[section][0]);
        self.x2[p] = with_half(self.x2[p], section / P, memory[section][1]);
        self.y1[p] = with_half(self.y1[p], section / P, memory[section + 1][0]);
        self.y2[p] = with_half(self.y2[p], section / P, memory[section + 1][1]);
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn load_step(&mut self, section: usize, step: &Coefficients) {
        for (lanes, value) in self.step[section % P].iter_mut().zip(step.to_array()) {
            *lanes = with_half(*lanes, section / P, [value, value]);
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn store(&self, section: usize, c: &mut Coefficients, memory: &mut [Memory]) {
        let p = section % P;
        let half = |lanes: __m256d| if section < P { low(lanes) } else { high(lanes) };
        *c = Coefficients::from_array(self.coefficients[p].map(|lanes| half(lanes)[0]));
        if section == 0 {
            memory[0] = [half(self.x1[0]), half(self.x2[0])];
        }
        memory[section + 1] = [half(self.y1[p]), half(self.y2[p])];
    }
}

/// What each section takes: `input`, or what the one before made two rounds ago.
#[inline]
#[target_feature(enable = "avx2")]
fn inputs<const P: usize>(y2: [__m256d; P], input: [f64; 2]) -> [__m256d; P] {
    std::array::from_fn(|p| {
        if p == 0 {
            let middle = _mm256_castpd256_pd128(y2[P - 1]);
            _mm256_insertf128_pd::<1>(_mm256_castpd128_pd256(pack(input)), middle)
        } else {
            y2[p - 1]
        }
    })
}

#[inline]
#[target_feature(enable = "avx2")]
fn with_half(lanes: __m256d, half: usize, value: [f64; 2]) -> __m256d {
    if half == 0 {
        _mm256_insertf128_pd::<0>(lanes, pack(value))
    } else {
        _mm256_insertf128_pd::<1>(lanes, pack(value))
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn low(lanes: __m256d) -> [f64; 2] {
    unpack(_mm256_castpd256_pd128(lanes))
}

#[inline]
#[target_feature(enable = "avx2")]
fn high(lanes: __m256d) -> [f64; 2] {
    unpack(_mm256_extractf128_pd::<1>(lanes))
}

#[inline]
#[target_feature(enable = "avx2")]
fn pack([a, b]: [f64; 2]) -> __m128d {
    _mm_set_pd(b, a)
}

#[inline]
#[target_feature(enable = "avx2")]
fn unpack(pair: __m128d) -> [f64; 2] {
    [_mm_cvtsd_f64(pair), _mm_cvtsd_f64(_mm_unpackhi_pd(pair, pair))]
}
