use super::{EVERY, Memory, Sections};
use crate::Coefficients;

/// All sections sample by sample, two channels side by side: two lanes of SSE2 or NEON.
pub(super) fn run(
    sections: Sections<'_>,
    memory: &mut [Memory],
    block: &mut [[f64; 2]],
    end: &mut [Coefficients],
) {
    by_count!(cascade(sections, memory, block, end): 1 => 1, 2 => 2, 3 => 3, 4 => 4, 5 => 5, 6 => 6, 7 => 7, 8 => 8);
}

/// A number on both channels.
type Lanes = [f64; 2];

fn cascade<const N: usize, const MOVING: bool>(
    sections: Sections<'_>,
    memory: &mut [Memory],
    block: &mut [Lanes],
    end: &mut [Coefficients],
) {
    let spread = |c: &Coefficients| c.to_array().map(|x| [x, x]);
    let mut c: [[Lanes; 5]; N] = std::array::from_fn(|s| spread(&sections.now[s]));
    let step: [[Lanes; 5]; N] =
        std::array::from_fn(|s| sections.step.get(s).map_or([[0.0; 2]; 5], spread));
    // One more than there are sections, which an array's length cannot say: the first is apart.
    let [mut x1, mut x2] = memory[0];
    let mut y1: [Lanes; N] = std::array::from_fn(|s| memory[s + 1][0]);
    let mut y2: [Lanes; N] = std::array::from_fn(|s| memory[s + 1][1]);

    for (n, sample) in block.iter_mut().enumerate() {
        if MOVING {
            for s in 0..N {
                if (sections.phase + n + 2 * s).is_multiple_of(EVERY) {
                    c[s] = std::array::from_fn(|k| add(c[s][k], step[s][k]));
                }
            }
        }
        let (mut x, mut before1, mut before2) = (*sample, x1, x2);
        (x2, x1) = (x1, x);
        for s in 0..N {
            let [b0, b1, b2, a1, a2] = c[s];
            let past = multiply_add(b2, before2, multiply(b1, before1));
            // What comes from the section before comes last: it is what the next one waits for.
            let past = less_product(a1, y1[s], less_product(a2, y2[s], past));
            let y = multiply_add(b0, x, past);
            (before2, before1) = (y2[s], y1[s]);
            (y2[s], y1[s]) = (y1[s], y);
            x = y;
        }
        *sample = x;
    }

    memory[0] = [x1, x2];
    for s in 0..N {
        memory[s + 1] = [y1[s], y2[s]];
        end[s] = Coefficients::from_array(c[s].map(|lanes| lanes[0]));
    }
}

#[inline]
fn add(a: Lanes, b: Lanes) -> Lanes {
    [a[0] + b[0], a[1] + b[1]]
}

#[inline]
fn multiply(a: Lanes, b: Lanes) -> Lanes {
    [a[0] * b[0], a[1] * b[1]]
}

/// `a b + c`, fused where every processor of the kind can do that.
#[inline]
fn multiply_add(a: Lanes, b: Lanes, c: Lanes) -> Lanes {
    if cfg!(target_arch = "aarch64") {
        [a[0].mul_add(b[0], c[0]), a[1].mul_add(b[1], c[1])]
    } else {
        [a[0] * b[0] + c[0], a[1] * b[1] + c[1]]
    }
}

/// `c − a b`, likewise.
#[inline]
fn less_product(a: Lanes, b: Lanes, c: Lanes) -> Lanes {
    multiply_add([-a[0], -a[1]], b, c)
}
