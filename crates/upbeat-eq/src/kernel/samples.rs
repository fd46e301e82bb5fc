//! In and out of the numbers that kernels compute with. Inlined into functions that are compiled for what a processor can
//! do.

#![allow(clippy::inline_always, reason = "otherwise they are compiled for any processor")]

use upbeat_core::{MAX_SAMPLE, sanitize};

/// Takes two channels, the second of which may not exist, and returns how many samples were not sound.
#[inline(always)]
pub(super) fn read(samples: &[f32], channels: usize, first: usize, block: &mut [[f64; 2]]) -> u64 {
    let mut bad = 0_u32; // blocks are short
    let mut sound = |sample: f32| {
        let sound = sanitize(sample);
        bad += u32::from(sound.is_none());
        f64::from(sound.unwrap_or(0.0))
    };
    if channels == 2 {
        for (x, sample) in block.as_flattened_mut().iter_mut().zip(samples) {
            *x = sound(*sample);
        }
    } else if first + 1 < channels {
        for (pair, all) in block.iter_mut().zip(samples.chunks_exact(channels)) {
            *pair = [sound(all[first]), sound(all[first + 1])];
        }
    } else {
        for (pair, all) in block.iter_mut().zip(samples.chunks_exact(channels)) {
            *pair = [sound(all[first]), 0.0];
        }
    }
    u64::from(bad)
}

/// Puts two channels back.
#[inline(always)]
pub(super) fn write(block: &[[f64; 2]], samples: &mut [f32], channels: usize, first: usize) {
    let limit = f64::from(MAX_SAMPLE);
    let sample = |x: f64| x.clamp(-limit, limit) as f32;
    if channels == 2 {
        for (x, out) in block.as_flattened().iter().zip(samples) {
            *out = sample(*x);
        }
    } else {
        let second = first + 1 < channels;
        for (pair, all) in block.iter().zip(samples.chunks_exact_mut(channels)) {
            all[first] = sample(pair[0]);
            if second {
                all[first + 1] = sample(pair[1]);
            }
        }
    }
}
