/// A place of a [`TempoMap`]: at this time there is this beat.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Anchor {
    /// In seconds.
    pub time: f64,
    /// The number of the beat, from 0, the first one; a beat that is missing is counted.
    pub beat: f64,
}

/// The beats of a whole song in few numbers: anchors between which the tempo is constant.
///
/// Made of beats that were tracked ([`from_beats`](Self::from_beats)). Not for the audio thread: it allocates.
///
/// # Examples
///
/// ```
/// use upbeat_predict::beats::TempoMap;
///
/// let beats = [0.0, 0.5, 1.0, 1.5, 2.0, 2.6, 3.2, 3.8];
/// let map = TempoMap::from_beats(&beats, 0.02);
/// assert_eq!(map.anchors().len(), 3); // the start, the change, the end
/// assert!((map.time_of(6.0) - 3.2).abs() < 0.02);
/// assert!((map.bpm_at(0.7).expect("within the song") - 120.0).abs() < 1.0);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TempoMap {
    anchors: Vec<Anchor>,
}

impl TempoMap {
    /// The fewest anchors, taken greedily from the start, that keep each beat within `tolerance` seconds.
    ///
    /// Times that do not increase, or are not finite, are passed over. A pause of more than 1.8 usual intervals
    /// counts as so many beats as fit best.
    #[must_use]
    pub fn from_beats(seconds: &[f64], tolerance: f64) -> Self {
        let mut points: Vec<Anchor> = Vec::new();
        let mut usual: Option<f64> = None;
        for time in seconds.iter().copied().filter(|t| t.is_finite()) {
            let Some(last) = points.last().copied() else {
                points.push(Anchor { time, beat: 0.0 });
                continue;
            };
            let step = time - last.time;
            if step <= 0.0 {
                continue;
            }
            let beats = usual
                .map_or(1.0, |usual| if step > 1.8 * usual { (step / usual).round() } else { 1.0 });
            usual = Some(usual.map_or(step, |usual| usual + 0.2 * (step / beats - usual)));
            points.push(Anchor { time, beat: last.beat + beats });
        }
        let mut anchors: Vec<Anchor> = points.first().copied().into_iter().collect();
        let mut start = 0;
        while start + 1 < points.len() {
            let fits = |end: &usize| fits(&points[start..=*end], tolerance);
            // The farthest point that a straight line reaches, not just the last before the first failure.
            let mut end = start + 1;
            let mut misses = 0;
            for candidate in start + 2..points.len() {
                if fits(&candidate) {
                    (end, misses) = (candidate, 0);
                } else {
                    misses += 1;
                    if misses > 8 {
                        break;
                    }
                }
            }
            anchors.push(points[end]);
            start = end;
        }
        Self { anchors }
    }

    /// The anchors, in order; none without beats.
    #[must_use]
    pub fn anchors(&self) -> &[Anchor] {
        &self.anchors
    }

    /// When beat number `beat` is, in seconds; before the first anchor and after the last, the tempo stays as it
    /// is there. 0 if there are fewer than two anchors.
    #[must_use]
    pub fn time_of(&self, beat: f64) -> f64 {
        self.span(|anchor| anchor.beat <= beat)
            .map_or(0.0, |(a, b)| a.time + (beat - a.beat) * (b.time - a.time) / (b.beat - a.beat))
    }

    /// Which beat is at `time`, with its fraction; the inverse of [`time_of`](Self::time_of).
    #[must_use]
    pub fn beat_at(&self, time: f64) -> f64 {
        self.span(|anchor| anchor.time <= time)
            .map_or(0.0, |(a, b)| a.beat + (time - a.time) * (b.beat - a.beat) / (b.time - a.time))
    }

    /// The tempo at `time`, in beats per minute; `None` outside of the song.
    #[must_use]
    pub fn bpm_at(&self, time: f64) -> Option<f64> {
        let (first, last) = (self.anchors.first()?, self.anchors.last()?);
        let inside = time >= first.time && time <= last.time;
        let (a, b) = self.span(|anchor| anchor.time <= time)?;
        inside.then(|| 60.0 * (b.beat - a.beat) / (b.time - a.time))
    }

    /// The two neighbours of a place, before which all anchors are `before`.
    fn span(&self, before: impl Fn(&Anchor) -> bool) -> Option<(Anchor, Anchor)> {
        let last = self.anchors.len().checked_sub(2)?;
        let at = self.anchors.partition_point(before).saturating_sub(1).min(last);
        Some((self.anchors[at], self.anchors[at + 1]))
    }
}

/// Whether a line from the first point to the last one misses none by more than `tolerance`.
fn fits(points: &[Anchor], tolerance: f64) -> bool {
    let (a, b) = (points[0], points[points.len() - 1]);
    let slope = (b.time - a.time) / (b.beat - a.beat);
    points.iter().all(|p| (a.time + (p.beat - a.beat) * slope - p.time).abs() <= tolerance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_beat_is_farther_off_than_allowed(
            steps in proptest::collection::vec(0.25_f64..0.4, 2..60),
            tolerance in 0.001_f64..0.05,
        ) {
            let beats: Vec<f64> = steps.iter().scan(0.0, |t, s| { *t += s; Some(*t) }).collect();
            let map = TempoMap::from_beats(&beats, tolerance);
            for (n, time) in beats.iter().enumerate() {
                prop_assert!((map.time_of(n as f64) - time).abs() <= tolerance + 1e-9);
                prop_assert!((map.beat_at(map.time_of(n as f64)) - n as f64).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn a_steady_song_needs_two_anchors_also_with_a_pause() {
        let beats: Vec<f64> =
            (0..40).filter(|n| !(10..14).contains(n)).map(|n| f64::from(n) * 0.5).collect();
        let map = TempoMap::from_beats(&beats, 0.01);
        assert_eq!(map.anchors().len(), 2);
        assert_eq!(map.anchors()[1].beat, 39.0);
        assert!((map.bpm_at(6.0).unwrap() - 120.0).abs() < 1e-9);
        assert_eq!(map.bpm_at(20.0), None);
    }

    #[test]
    fn without_beats_there_is_no_tempo() {
        for beats in [&[][..], &[1.0], &[f64::NAN]] {
            let map = TempoMap::from_beats(beats, 0.02);
            assert_eq!((map.bpm_at(1.0), map.time_of(3.0)), (None, 0.0));
        }
    }
}
