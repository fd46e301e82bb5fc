/// The largest magnitude taken for a sample: 2³⁰, 180 dB above full scale.
///
/// Beyond it the power of a spectrum leaves the range of `f32`.
pub const MAX_SAMPLE: f32 = (1 << 30) as f32;

/// The sample itself, or `None` for one that cannot be sound: not finite, or beyond [`MAX_SAMPLE`].
///
/// A stage that takes samples counts those as 0, so that one bad value cannot stay in its memory.
///
/// ```
/// use upbeat_core::sanitize;
///
/// assert_eq!(sanitize(-0.5), Some(-0.5));
/// assert_eq!(sanitize(f32::NAN), None);
/// assert_eq!(sanitize(f32::INFINITY), None);
/// assert_eq!(sanitize(1e30), None);
/// ```
#[must_use]
#[inline]
pub fn sanitize(sample: f32) -> Option<f32> {
    (sample.abs() <= MAX_SAMPLE).then_some(sample)
}
