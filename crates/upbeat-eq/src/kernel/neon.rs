//! NEON: two channels of a section in one register, all sections of a pass in one loop.
//!
//! Section `s` works one sample behind section `s − 1`, so that no section of a round waits for another: what
//! a section takes is what its predecessor made a round ago, which that one still holds as its own memory. Sections that
//! have no sample yet, or no more, rest.

use std::arch::aarch64::{
    float64x2_t, vaddq_f64, vdupq_n_f64, vfmaq_f64, vfmsq_f64, vgetq_lane_f64, vmulq_f64,
    vsetq_lane_f64,
};

use super::{EVERY, Memory, Sections};
use crate::Coefficients;

#[allow(unsafe_code, reason = "calls code that is compiled for a feature of the processor")]
pub(super) fn run(
    sections: Sections<'_>,
    memory: &mut [Memory],
    block: &mut [[f64; 2]],
    end: &mut [Coefficients],
) {
    // SAFETY: the functions need NEON, which every aarch64 processor that Rust compiles for has. They are
    // safe otherwise.
    unsafe {
        by_count!(cascade(sections, memory, block, end): 1 => 1, 2 => 2, 3 => 3, 4 => 4, 5 => 5, 6 => 6, 7 => 7, 8 => 8);
    }
}

#[target_feature(enable = "neon")]
fn cascade<const N: usize, const MOVING: bool>(
    sections: Sections<'_>,
    memory: &mut [Memory],
    block: &mut [[f64; 2]],
    end: &mut [Coefficients],
) {
    let mut lanes: [Section; N] = std::array::from_fn(|s| {
        let step = sections.step.get(s).unwrap_or(&Coefficients::NOTHING);
        Section::load(&sections.now[s], step, &memory[s], &memory[s + 1])
    });
    let (length, delay) = (block.len(), N - 1);
    for round in 0..length + delay {
        let phase = sections.phase + round;
        let input = block.get(round).copied().unwrap_or_default();
        if (delay..length).contains(&round) {
            turn::<N, MOVING>(&mut lanes, 0..N, phase, input);
        } else {
            let first = (round + 1).saturating_sub(length);
            turn::<N, MOVING>(&mut lanes, first..N.min(round + 1), phase, input);
        }
        if let Some(done) = round.checked_sub(delay) {
            block[done] = unpack(lanes[delay].y1);
        }
    }
    memory[0] = [unpack(lanes[0].x1), unpack(lanes[0].x2)];
    for (s, lanes) in lanes.iter().enumerate() {
        memory[s + 1] = [unpack(lanes.y1), unpack(lanes.y2)];
        let [b0, b1, b2, a1, a2] = lanes.c.map(|lanes| unpack(lanes)[0]);
        end[s] = Coefficients { b0, b1, b2, a1, a2 };
    }
}

/// One sample into each of the sections `working`, the first of which takes `input`, at `phase` modulo [`EVERY`].
#[inline]
#[target_feature(enable = "neon")]
fn turn<const N: usize, const MOVING: bool>(
    lanes: &mut [Section; N],
    working: std::ops::Range<usize>,
    phase: usize,
    input: [f64; 2],
) {
    // From the last to the first, whose old outputs the later ones take.
    for s in working.rev() {
        let x = if s == 0 { pack(input) } else { lanes[s - 1].y1 };
        lanes[s].push::<MOVING>((phase + s).is_multiple_of(EVERY), x);
    }
}

/// A section on two channels.
#[derive(Clone, Copy)]
struct Section {
    /// `b0, b1, b2, a1, a2`.
    c: [float64x2_t; 5],
    step: [float64x2_t; 5],
    x1: float64x2_t,
    x2: float64x2_t,
    y1: float64x2_t,
    y2: float64x2_t,
}

impl Section {
    #[inline]
    #[target_feature(enable = "neon")]
    fn load(now: &Coefficients, step: &Coefficients, before: &Memory, after: &Memory) -> Self {
        Self {
            c: now.to_array().map(|c| vdupq_n_f64(c)),
            step: step.to_array().map(|c| vdupq_n_f64(c)),
            x1: pack(before[0]),
            x2: pack(before[1]),
            y1: pack(after[0]),
            y2: pack(after[1]),
        }
    }

    #[inline]
    #[target_feature(enable = "neon")]
    fn push<const MOVING: bool>(&mut self, step: bool, x: float64x2_t) {
        if MOVING && step {
            for (c, step) in self.c.iter_mut().zip(self.step) {
                *c = vaddq_f64(*c, step);
            }
        }
        let [b0, b1, b2, a1, a2] = self.c;
        let past = vfmaq_f64(vmulq_f64(b1, self.x1), b2, self.x2);
        let past = vfmsq_f64(past, a2, self.y2);
        let y = vfmsq_f64(vfmaq_f64(past, b0, x), a1, self.y1);
        (self.x2, self.x1) = (self.x1, x);
        (self.y2, self.y1) = (self.y1, y);
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn pack([a, b]: [f64; 2]) -> float64x2_t {
    vsetq_lane_f64::<1>(b, vdupq_n_f64(a))
}

#[inline]
#[target_feature(enable = "neon")]
fn unpack(pair: float64x2_t) -> [f64; 2] {
    [vgetq_lane_f64::<0>(pair), vgetq_lane_f64::<1>(pair)]
}
