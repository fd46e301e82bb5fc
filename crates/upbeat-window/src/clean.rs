//! Samples that cannot be sound, in bulk: loops without branches, which compile to vector code.

use upbeat_core::sanitize;

/// Copies `from` to `to` of the same length, with 0 for samples that cannot be sound; returns how many
/// those were.
pub(crate) fn copy_clean(from: &[f32], to: &mut [f32]) -> u64 {
    let mut bad = 0;
    for (to, from) in to.iter_mut().zip(from) {
        let sound = sanitize(*from);
        *to = sound.unwrap_or(0.0);
        bad += Count::from(sound.is_none());
    }
    u64::from(bad)
}

/// How many of `samples` cannot be sound.
pub(crate) fn count_bad(samples: &[f32]) -> u64 {
    let count =
        |part: &[f32]| part.iter().map(|x| Count::from(sanitize(*x).is_none())).sum::<Count>();
    samples.chunks(LONGEST).map(|part| u64::from(count(part))).sum()
}

/// As wide as a sample, so that both fill vectors alike; no buffer of ours reaches 2³² samples.
type Count = u32;

/// A caller's block may be longer than any buffer.
const LONGEST: usize = 1 << 20;
