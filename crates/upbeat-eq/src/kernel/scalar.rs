use super::{EVERY, Memory, Sections};
use crate::Coefficients;

/// The definition: one section, one channel, one sample after the other.
pub(super) fn run(
    sections: Sections<'_>,
    memory: &mut [Memory],
    block: &mut [[f64; 2]],
    end: &mut [Coefficients],
) {
    // The memory of a signal is overwritten when its section is done, and the next one still needs it.
    let mut before = memory[0];
    remember(&mut memory[0], block);
    for (s, c) in sections.now.iter().enumerate() {
        let after = memory[s + 1];
        let mut ended = *c;
        for channel in 0..2 {
            let mut c = *c;
            let [mut x1, mut x2] = before.map(|sample| sample[channel]);
            let [mut y1, mut y2] = after.map(|sample| sample[channel]);
            for (n, sample) in block.iter_mut().enumerate() {
                if let Some(step) = sections.step.get(s)
                    && (sections.phase + n + 2 * s).is_multiple_of(EVERY)
                {
                    c.advance(step);
                }
                let x = sample[channel];
                let y = c.b0 * x + c.b1 * x1 + c.b2 * x2 - c.a1 * y1 - c.a2 * y2;
                (x2, x1, y2, y1) = (x1, x, y1, y);
                sample[channel] = y;
            }
            ended = c;
        }
        end[s] = ended;
        before = after;
        remember(&mut memory[s + 1], block);
    }
}

/// Keeps the last two samples of `block`.
fn remember(memory: &mut Memory, block: &[[f64; 2]]) {
    for sample in &block[block.len().saturating_sub(2)..] {
        *memory = [*sample, memory[0]];
    }
}
