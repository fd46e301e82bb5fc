//! Lists of beats held against a reference: the measures of `mir_eval` 0.8 (Raffel et al., ISMIR 2014), and when
//! a tracker has found the beat.
//!
//! All times are in seconds and ascending. The first seconds are left out by the caller, with [`from`].

/// The beats from `start` on, without those that repeat the one before within 0.1 ms.
#[must_use]
pub fn from(start: f64, beats: &[f64]) -> Vec<f64> {
    let mut kept: Vec<f64> = beats.iter().copied().filter(|t| *t >= start).collect();
    kept.sort_by(f64::total_cmp);
    let mut before = f64::NEG_INFINITY;
    kept.retain(|t| *t - std::mem::replace(&mut before, *t) > 1e-4);
    kept
}

/// F-measure: the harmonic mean of the share of `found` that lies within ±`tolerance` of the reference and of the share
/// of the reference that was found; every beat counts for one other at most. 0 if either list is empty.
#[must_use]
pub fn f_measure(reference: &[f64], found: &[f64], tolerance: f64) -> f64 {
    if reference.is_empty() || found.is_empty() {
        return 0.0;
    }
    // Of two ascending lists, taking the first pair that fits gives the most pairs.
    let (mut r, mut f, mut hits) = (0, 0, 0);
    while r < reference.len() && f < found.len() {
        if (reference[r] - found[f]).abs() <= tolerance {
            (r, f, hits) = (r + 1, f + 1, hits + 1);
        } else if reference[r] < found[f] {
            r += 1;
        } else {
            f += 1;
        }
    }
    2.0 * f64::from(hits) / (reference.len() + found.len()) as f64
}

/// The beats at other metrical levels that listeners may tap: as they are, at double tempo, and every other one, of both
/// phases.
#[must_use]
pub fn levels(beats: &[f64]) -> [Vec<f64>; 4] {
    let halves = |phase: usize| beats.iter().copied().skip(phase).step_by(2).collect();
    let mut double: Vec<f64> =
        beats.windows(2).flat_map(|pair| [pair[0], f64::midpoint(pair[0], pair[1])]).collect();
    double.extend(beats.last());
    [beats.to_vec(), double, halves(0), halves(1)]
}

/// The metrical level that `found` fits best (by [`f_measure`]), and how well.
#[must_use]
pub fn best_level(reference: &[f64], found: &[f64], tolerance: f64) -> (Vec<f64>, f64) {
    let mut best = (reference.to_vec(), f_measure(reference, found, tolerance));
    for level in levels(reference).into_iter().skip(1) {
        let f = f_measure(&level, found, tolerance);
        if f > best.1 {
            best = (level, f);
        }
    }
    best
}

/// `AMLt`: the share of beats that are continued rightly at the metrical level where most are (as annotated, off the
/// beat, double, or half tempo of either phase). A beat is right where it and the interval before it are off by less
/// than 17.5 % of the annotated interval. 0 for fewer than two beats.
///
/// After Hainsworth and Davies, with all details of `mir_eval.beat.continuity`.
#[must_use]
pub fn amlt(reference: &[f64], found: &[f64]) -> f64 {
    if reference.len() < 2 || found.len() < 2 {
        return 0.0;
    }
    let [same, double, even, odd] = levels(reference);
    let between: Vec<f64> = double.iter().copied().skip(1).step_by(2).collect();
    [same, between, double, even, odd]
        .iter()
        .map(|level| continued(level, found))
        .fold(0.0, f64::max)
}

fn continued(level: &[f64], found: &[f64]) -> f64 {
    const NEAR: f64 = 0.175;
    if level.len() < 2 {
        return 0.0;
    }
    let mut used = vec![false; level.len()];
    let mut right = 0;
    for (n, time) in found.iter().enumerate() {
        let place = nearest(level, *time);
        if used[place] {
            continue;
        }
        // The first look forward, the others back.
        let first = n == 0 || place == 0;
        let step = |list: &[f64], n: usize| {
            let end = if first && n + 1 < list.len() { n + 1 } else { n };
            list[end] - list[end - 1]
        };
        let (due, came) = (step(level, place), step(found, n));
        if (time - level[place]).abs() / due < NEAR && (1.0 - came / due).abs() < NEAR {
            used[place] = true;
            right += 1;
        }
    }
    f64::from(right) / level.len().max(found.len()) as f64
}

/// The place in `beats` (ascending, not empty) of the one nearest to `time`, the earlier of two.
fn nearest(beats: &[f64], time: f64) -> usize {
    let after = beats.partition_point(|t| *t < time).min(beats.len() - 1);
    let earlier = after > 0 && time - beats[after - 1] <= (beats[after] - time).abs();
    after - usize::from(earlier)
}

/// For each beat found, which of the reference it lies within ±`tolerance` of, if any.
#[must_use]
pub fn hits(reference: &[f64], found: &[f64], tolerance: f64) -> Vec<Option<usize>> {
    let hit = |time: &f64| {
        let place = (!reference.is_empty()).then(|| nearest(reference, *time))?;
        ((reference[place] - time).abs() <= tolerance).then_some(place)
    };
    found.iter().map(hit).collect()
}

/// When the beat was found: the first of four beats in a row that hit four beats of the reference in a row. It is known
/// in hindsight only.
#[must_use]
pub fn lock(reference: &[f64], found: &[f64], tolerance: f64) -> Option<f64> {
    let hits = hits(reference, found, tolerance);
    let in_a_row = |four: &[Option<usize>]| {
        four.windows(2).all(|pair| pair[0].is_some() && pair[0].map(|n| n + 1) == pair[1])
    };
    hits.windows(4).position(in_a_row).map(|n| found[n])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steady(start: f64, step: f64, count: usize) -> Vec<f64> {
        (0..count).map(|n| start + step * n as f64).collect()
    }

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    #[test]
    fn the_start_and_repetitions_are_left_out() {
        assert_eq!(from(5.0, &[4.9, 6.0, 5.0, 6.000_05, 6.2]), [5.0, 6.0, 6.2]);
    }

    #[test]
    fn each_beat_counts_once() {
        let reference = steady(5.0, 0.5, 10);
        assert!(near(f_measure(&reference, &reference, 0.07), 1.0));
        // Half of the beats: all right, half found.
        assert!(near(f_measure(&reference, &steady(5.0, 1.0, 5), 0.07), 2.0 / 3.0));
        // Two near one: one is wrong. Then the only pairing that fits both.
        assert!(near(f_measure(&[5.0], &[4.96, 5.03], 0.07), 2.0 / 3.0));
        assert!(near(f_measure(&[5.0, 5.1], &[4.95, 5.04], 0.07), 1.0));
        assert!(near(f_measure(&[5.0, 5.1], &[5.06, 5.16], 0.07), 1.0));
        assert!(near(f_measure(&reference, &steady(5.071, 0.5, 10), 0.07), 0.0));
        assert_eq!((f_measure(&[], &[1.0], 0.07), f_measure(&[1.0], &[], 0.07)), (0.0, 0.0));
    }

    #[test]
    fn other_metrical_levels_are_right_at_their_level_only() {
        let reference = steady(5.0, 0.5, 16);
        for (found, level) in
            [(steady(5.0, 0.25, 31), 1), (steady(5.0, 1.0, 8), 2), (steady(5.5, 1.0, 8), 3)]
        {
            assert!(f_measure(&reference, &found, 0.07) < 0.7);
            assert_eq!(levels(&reference)[level], found);
            let (best, f) = best_level(&reference, &found, 0.07);
            assert!(best == found && near(f, 1.0) && near(amlt(&reference, &found), 1.0));
        }
        // Off the beat is a level of its own to AMLt, but no level that is tapped.
        let off = steady(5.25, 0.5, 15);
        assert!(near(amlt(&reference, &off), 1.0));
        assert!(best_level(&reference, &off, 0.07).1 < 0.7);
        // Three in the time of two is no level at all.
        assert!(amlt(&reference, &steady(5.0, 1.0 / 3.0, 23)) < 0.1);
    }

    /// The values are those of `mir_eval` 0.8.2.
    #[test]
    fn what_mir_eval_says() {
        for (reference, found, f, level, total) in GOLDEN {
            let near = |a: f64, b: f64| (a - b).abs() < 1e-6;
            assert!(near(f_measure(reference, found, 0.07), *f), "{found:?}");
            assert!(near(best_level(reference, found, 0.07).1, *level), "{found:?}");
            assert!(near(amlt(reference, found), *total), "{found:?}");
        }
    }

    #[test]
    fn four_in_a_row_are_a_lock() {
        let reference = steady(0.0, 0.5, 40);
        assert_eq!(lock(&reference, &reference, 0.07), Some(0.0));
        // Off by a third until 5 s.
        let found: Vec<f64> =
            reference.iter().map(|t| if *t < 5.0 { t + 0.17 } else { t + 0.03 }).collect();
        assert_eq!(lock(&reference, &found, 0.07), Some(5.03));
        // Every other beat is none, and is one at its level.
        let half = steady(5.0, 1.0, 15);
        assert_eq!(lock(&reference, &half, 0.07), None);
        let (level, _) = best_level(&reference, &half, 0.07);
        assert_eq!(lock(&level, &half, 0.07), Some(5.0));
        // One that is missing, or one too many, breaks the row.
        assert_eq!(lock(&reference, &[0.0, 0.5, 1.0, 2.0, 2.5, 3.0], 0.07), None);
        assert_eq!(lock(&reference, &[0.0, 0.5, 1.0, 1.25, 1.5, 2.0, 2.5], 0.07), None);
        assert_eq!(lock(&[], &half, 0.07), None);
    }

    type Golden = (&'static [f64], &'static [f64], f64, f64, f64);
    const GOLDEN: &[Golden] = &[
        (
            &[
                5.708, 6.202, 6.713, 7.241, 7.744, 8.23, 8.71, 9.229, 9.77, 10.277, 10.746, 11.222,
                11.762, 12.267,
            ],
            &[
                5.674, 6.201, 6.689, 7.229, 7.734, 8.216, 8.721, 9.228, 9.758, 10.285, 10.763,
                11.189, 11.757, 12.247,
            ],
            1.0,
            1.0,
            1.0,
        ),
        (
            &[
                5.454, 5.955, 6.453, 6.941, 7.399, 7.883, 8.34, 8.785, 9.294, 9.75, 10.297, 10.826,
                11.246, 11.757,
            ],
            &[
                5.432, 5.955, 6.454, 6.901, 7.878, 8.359, 8.377, 8.762, 9.309, 9.728, 9.766,
                10.809, 11.275, 11.768,
            ],
            0.857_143,
            0.857_143,
            0.714_286,
        ),
        (
            &[
                5.465, 5.892, 6.284, 6.688, 7.088, 7.5, 7.892, 8.289, 8.694, 9.096, 9.479, 9.897,
                10.271, 10.647, 11.021, 11.441,
            ],
            &[5.458, 6.323, 7.183, 7.868, 8.071, 8.903, 10.606, 11.417],
            0.416_667,
            0.416_667,
            0.5,
        ),
        (
            &[5.587, 6.185, 6.825, 7.41, 7.972, 8.517, 9.111, 9.7, 10.308, 10.894],
            &[
                5.856, 6.143, 6.458, 6.75, 7.043, 7.356, 7.597, 7.822, 8.15, 8.381, 8.623, 8.942,
                9.204, 9.471, 9.752, 10.032, 10.145, 10.34, 10.638, 10.888,
            ],
            0.333_333,
            0.512_821,
            0.3,
        ),
        (
            &[
                5.614, 6.099, 6.546, 6.994, 7.494, 8.015, 8.489, 8.992, 9.528, 10.042, 10.586,
                11.109,
            ],
            &[5.874, 6.385, 6.808, 7.247, 7.758, 8.247, 8.732, 9.257, 9.79, 10.323, 10.836, 11.33],
            0.0,
            0.628_571,
            0.916_667,
        ),
        (&[5.0, 5.5], &[5.01, 5.52], 1.0, 1.0, 1.0),
        (&[5.0, 5.5, 6.0], &[5.74, 6.26], 0.0, 0.285_714, 0.5),
    ];
}
