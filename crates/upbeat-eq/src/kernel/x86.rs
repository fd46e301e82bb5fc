//! AVX2 and FMA: two channels of two sections in one register, all sections of a pass in one loop.
//!
//! Section `s` works two samples behind section `s − 1`, so that all of them work at once: what a section
//! takes is what its predecessor made two rounds ago, which that one still holds as its own memory. A
//! section's lanes are loaded when its first sample is due and stored after its last one.

use std::arch::x86_64::{
    __m128d, __m256d, _mm_cvtsd_f64, _mm_set_pd, _mm_unpackhi_pd, _mm256_add_pd,
    _mm256_castpd128_pd256, _mm256_castpd256_pd128, _mm256_extractf128_pd, _mm256_fmadd_pd,
    _mm256_fnmadd_pd, _mm256_insertf128_pd, _mm256_mul_pd, _mm256_permute2f128_pd,
    _mm256_setzero_pd,
};

use super::{MAX_SECTIONS, Memory, Sections};
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
    let moving = !sections.step.is_empty();
    // SAFETY: the functions need AVX2 and FMA, which the processor has: asserted above. They are safe
    // otherwise.
    unsafe {
        match (sections.now.len(), moving) {
            (2, false) => cascade::<1, false>(sections, memory, block, end),
            (4, false) => cascade::<2, false>(sections, memory, block, end),
            (6, false) => cascade::<3, false>(sections, memory, block, end),
            (8, false) => cascade::<4, false>(sections, memory, block, end),
            (2, true) => cascade::<1, true>(sections, memory, block, end),
            (4, true) => cascade::<2, true>(sections, memory, block, end),
            (6, true) => cascade::<3, true>(sections, memory, block, end),
            (8, true) => cascade::<4, true>(sections, memory, block, end),
            (count, _) => unreachable!("{count} sections in one pass"),
        }
    }
}

#[target_feature(enable = "avx2,fma")]
fn cascade<const P: usize, const MOVING: bool>(
    sections: Sections<'_>,
    memory: &mut [Memory],
    block: &mut [[f64; 2]],
    end: &mut [Coefficients],
) {
    let length = block.len();
    // Sections that are stored early must not change what later ones are loaded from.
    let mut before = [[[0.0; 2]; 2]; MAX_SECTIONS + 1];
    before[..=2 * P].copy_from_slice(&memory[..=2 * P]);

    let mut lanes = Lanes::<P>::new();
    if MOVING {
        for s in 0..2 * P {
            lanes.load_step(s, &sections.step[s]);
        }
    }
    let delay = 4 * P - 2; // of the last section behind the first
    let mut even = !sections.odd;
    let mut round = 0;
    while round < length + delay {
        if round == delay + 1 && round + 1 < length {
            // Nothing is loaded or stored in the middle of a long block.
            lanes.steady::<MOVING>(&mut block[1..], delay, even);
            even ^= (length - 1 - round) % 2 == 1;
            round = length - 1;
        }
        if round.is_multiple_of(2) && round / 2 < 2 * P {
            lanes.load(round / 2, &sections.now[round / 2], &before);
        }
        if MOVING && even {
            lanes.advance();
        }
        even = !even;
        let out = lanes.round(block.get(round).copied().unwrap_or([0.0; 2]));
        if round >= delay {
            block[round - delay] = out;
        }
        round += 1;
        if let Some(late) = round.checked_sub(length)
            && late.is_multiple_of(2)
            && late / 2 < 2 * P
        {
            lanes.store(late / 2, &mut end[late / 2], memory);
        }
    }
}

/// Lanes 0 and 1 of pair `p` are the two channels of section `2 p`, lanes 2 and 3 those of `2 p + 1`.
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

    /// Takes all of `block` but its first `delay` and its last samples, and puts what comes `delay`
    /// samples before.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn steady<const MOVING: bool>(&mut self, block: &mut [[f64; 2]], delay: usize, even: bool) {
        // A copy of which no address is taken stays in registers.
        let mut lanes = *self;
        let mut even = even;
        for k in delay..block.len() - 1 {
            if MOVING && even {
                lanes.advance();
            }
            even = !even;
            block[k - delay] = lanes.round(block[k]);
        }
        *self = lanes;
    }

    /// One sample into the first section; what comes is one out of the last.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn round(&mut self, input: [f64; 2]) -> [f64; 2] {
        // From the last pair to the first, whose old outputs the later pair takes.
        for p in (0..P).rev() {
            let x = if p == 0 {
                let own = _mm256_castpd256_pd128(self.y2[0]);
                _mm256_insertf128_pd::<1>(_mm256_castpd128_pd256(pack(input)), own)
            } else {
                _mm256_permute2f128_pd::<0x21>(self.y2[p - 1], self.y2[p])
            };
            let [b0, b1, b2, a1, a2] = self.coefficients[p];
            let past = _mm256_fmadd_pd(b2, self.x2[p], _mm256_mul_pd(b1, self.x1[p]));
            let past = _mm256_fnmadd_pd(a2, self.y2[p], past);
            let y = _mm256_fnmadd_pd(a1, self.y1[p], _mm256_fmadd_pd(b0, x, past));
            (self.x2[p], self.x1[p]) = (self.x1[p], x);
            (self.y2[p], self.y1[p]) = (self.y1[p], y);
        }
        unpack(_mm256_extractf128_pd::<1>(self.y1[P - 1]))
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
        let p = section / 2;
        for (lanes, value) in self.coefficients[p].iter_mut().zip(c.to_array()) {
            *lanes = with_half(*lanes, section, [value, value]);
        }
        self.x1[p] = with_half(self.x1[p], section, memory[section][0]);
        self.x2[p] = with_half(self.x2[p], section, memory[section][1]);
        self.y1[p] = with_half(self.y1[p], section, memory[section + 1][0]);
        self.y2[p] = with_half(self.y2[p], section, memory[section + 1][1]);
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn load_step(&mut self, section: usize, step: &Coefficients) {
        for (lanes, value) in self.step[section / 2].iter_mut().zip(step.to_array()) {
            *lanes = with_half(*lanes, section, [value, value]);
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn store(&self, section: usize, c: &mut Coefficients, memory: &mut [Memory]) {
        let p = section / 2;
        let half =
            |lanes: __m256d| if section.is_multiple_of(2) { low(lanes) } else { high(lanes) };
        *c = Coefficients::from_array(self.coefficients[p].map(|lanes| half(lanes)[0]));
        if section == 0 {
            memory[0] = [half(self.x1[0]), half(self.x2[0])];
        }
        memory[section + 1] = [half(self.y1[p]), half(self.y2[p])];
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn with_half(lanes: __m256d, section: usize, value: [f64; 2]) -> __m256d {
    if section.is_multiple_of(2) {
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
