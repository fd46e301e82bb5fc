//! Tonal centroids: chroma as a place in a space where fifths and thirds are near.

use std::f64::consts::PI;

use upbeat_core::{SampleIndex, Stage};

use crate::chroma::N_CHROMA;

/// Tonal centroid of each chroma frame, six coordinates.
///
/// The chroma vector, scaled to sum 1, is projected onto three circles: of fifths (radius 1), of minor
/// thirds (1) and of major thirds (½). In order: fifth x, fifth y, minor third x, minor third y, major
/// third x, major third y, where x is the sine and y the cosine of the class's angle
/// `π · l · s`, `s` = 7/6, 3/2, 2/3 for class `l` from C on. As `librosa.feature.tonnetz(chroma=…)`,
/// after Harte, Sandler and Gasser, "Detecting harmonic change in musical audio", AMCMM 2006. All 0 for
/// silence. There is no memory.
///
/// # Examples
///
/// ```
/// use upbeat_core::{SampleIndex, Stage};
/// use upbeat_features::tonnetz::Tonnetz;
///
/// let mut only_c = [0.0; 12];
/// only_c[0] = 1.0;
/// Tonnetz::new().process(SampleIndex(0), &only_c, |_, centroid| {
///     assert!((centroid[1] - 1.0).abs() < 1e-6 && (centroid[5] - 0.5).abs() < 1e-6);
/// });
/// ```
#[derive(Clone, Debug)]
pub struct Tonnetz {
    /// `basis[l][d]`: where pitch class `l` lies on axis `d`.
    basis: [[f32; 6]; N_CHROMA],
}

impl Tonnetz {
    /// Computes where each pitch class lies.
    #[must_use]
    pub fn new() -> Self {
        const CIRCLES: [(f64, f64); 3] = [(7.0 / 6.0, 1.0), (3.0 / 2.0, 1.0), (2.0 / 3.0, 0.5)];
        let place = |class: usize, axis: usize| {
            let (step, radius) = CIRCLES[axis / 2];
            let angle = PI * step * class as f64;
            (radius * if axis.is_multiple_of(2) { angle.sin() } else { angle.cos() }) as f32
        };
        let basis = std::array::from_fn(|class| std::array::from_fn(|axis| place(class, axis)));
        Self { basis }
    }
}

impl Default for Tonnetz {
    fn default() -> Self {
        Self::new()
    }
}

impl Stage for Tonnetz {
    type In = [f32; N_CHROMA];
    type Out = [f32; 6];

    fn process(
        &mut self,
        at: SampleIndex,
        chroma: &[f32; N_CHROMA],
        mut emit: impl FnMut(SampleIndex, &[f32; 6]),
    ) {
        let total: f32 = chroma.iter().map(|c| c.abs()).sum();
        let scale = if total >= f32::MIN_POSITIVE { 1.0 / total } else { 1.0 };
        let mut centroid = [0.0; 6];
        for (value, place) in chroma.iter().zip(&self.basis) {
            for (sum, coordinate) in centroid.iter_mut().zip(place) {
                *sum += value * scale * coordinate;
            }
        }
        emit(at, &centroid);
    }

    fn reset(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn centroid(classes: &[usize]) -> [f32; 6] {
        let mut chroma = [0.0; N_CHROMA];
        for class in classes {
            chroma[*class] = 0.7;
        }
        let mut found = [f32::NAN; 6];
        Tonnetz::new().process(SampleIndex(0), &chroma, |_, c| found = *c);
        found
    }

    fn distance(a: [f32; 6], b: [f32; 6]) -> f32 {
        a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt()
    }

    #[test]
    fn related_chords_are_nearer_than_distant_ones() {
        let c_major = centroid(&[0, 4, 7]);
        let g_major = centroid(&[7, 11, 2]);
        let f_sharp_major = centroid(&[6, 10, 1]);
        let a_minor = centroid(&[9, 0, 4]);
        assert!(distance(c_major, g_major) < 0.8 * distance(c_major, f_sharp_major));
        assert!(distance(c_major, a_minor) < 0.5 * distance(c_major, f_sharp_major));
    }

    #[test]
    fn circles_close() {
        // All minor thirds lie evenly on the second circle, all major thirds on the third.
        let diminished = centroid(&[0, 3, 6, 9]);
        assert!(
            diminished[4].hypot(diminished[5]) > 0.4 && diminished[2].hypot(diminished[3]) < 1e-6
        );
        let augmented = centroid(&[0, 4, 8]);
        assert!(augmented[2].hypot(augmented[3]) > 0.9 && augmented[4].hypot(augmented[5]) < 1e-6);
        assert_eq!(centroid(&[]), [0.0; 6]);
    }
}
