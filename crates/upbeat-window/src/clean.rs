//! Samples that cannot be sound, in bulk.

use upbeat_core::sanitize;

/// Copies `from` to `to` of the same length, with 0 for samples that cannot be sound; returns how many
/// those were.
///
/// One pass without branches, which compiles to vector code.
pub(crate) fn copy_clean(from: &[f32], to: &mut [f32]) -> u64 {
    let mut bad = 0_u32; // no buffer of ours reaches 2³² samples
    for (to, from) in to.iter_mut().zip(from) {
        let sound = sanitize(*from);
        *to = sound.unwrap_or(0.0);
        bad += u32::from(sound.is_none());
    }
    u64::from(bad)
}

/// How many of `samples` cannot be sound.
pub(crate) fn count_bad(samples: &[f32]) -> u64 {
    samples.iter().filter(|sample| sanitize(**sample).is_none()).count() as u64
}
