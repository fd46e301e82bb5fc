use std::collections::BinaryHeap;
use std::fmt;

use upbeat_predict::harmony::Mode;

use crate::{Library, LibraryError, TrackAnalysis, TrackId};

/// Finds the tracks that sound most like another: exact nearest neighbours, by looking at all.
///
/// Each track is a vector of [`DIMENSIONS`](Self::DIMENSIONS) numbers in six groups: tempo (as an angle, so that half and
/// double tempo are the same), key (as an angle on the circle of fifths, where relative keys are neighbours; and its
/// mode), dynamics (loudness, energy, onset rate, tempo stability), spectrum (logarithms of brightness, roll-off and
/// bandwidth; zero-crossing rate), contrast, timbre (MFCC means but for the first, which is loudness). Over all tracks
/// each number is brought to mean 0 and variance 1, then divided by the square root of its group's size, so that all
/// groups count alike; what is not known is 0, the mean. The distance is Euclidean. Made anew when the library has changed; 100 000 tracks take
/// 16 MB.
///
/// # Examples
///
/// ```
/// use upbeat_library::{SimilarTracks, TrackAnalysis, TrackId};
///
/// let of = |loudness| TrackAnalysis { loudness: Some(loudness), ..TrackAnalysis::default() };
/// let tracks = [-8.0, -20.0, -9.0].map(of);
/// let index = SimilarTracks::new((0..).map(TrackId).zip(&tracks));
/// assert_eq!(index.to(TrackId(0), 1)[0].track, TrackId(2));
/// ```
#[derive(Clone)]
pub struct SimilarTracks {
    ids: Vec<TrackId>,
    /// One row per track, in the order of `ids`, which is ascending.
    rows: Vec<Row>,
    mean: Row,
    /// What each number is multiplied with.
    scale: Row,
}

/// A track that is like another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Similar {
    /// The track.
    pub track: TrackId,
    /// How far away it is: 0 is the same in everything that is known, two tracks at random are 3.5 apart or so.
    pub distance: f32,
}

type Row = [f32; SimilarTracks::DIMENSIONS];

impl SimilarTracks {
    /// Numbers per track.
    pub const DIMENSIONS: usize = 40;

    /// Prepares to search these tracks; where one comes twice, one of the two counts.
    pub fn new<'a>(tracks: impl IntoIterator<Item = (TrackId, &'a TrackAnalysis)>) -> Self {
        let mut raw: Vec<(TrackId, Row)> =
            tracks.into_iter().map(|(id, analysis)| (id, raw(analysis))).collect();
        raw.sort_unstable_by_key(|(id, _)| *id);
        raw.dedup_by_key(|(id, _)| *id);

        let (mut mean, mut scale) = ([0.0; Self::DIMENSIONS], [0.0; Self::DIMENSIONS]);
        for (column, size) in group_sizes().enumerate() {
            let known =
                || raw.iter().map(|(_, row)| f64::from(row[column])).filter(|x| x.is_finite());
            let n = known().count().max(1) as f64;
            let average = known().sum::<f64>() / n;
            let variance = known().map(|x| (x - average).powi(2)).sum::<f64>() / n;
            mean[column] = average as f32;
            if variance > 1e-12 {
                scale[column] = (1.0 / (variance * size as f64).sqrt()) as f32;
            }
        }
        let mut index =
            Self { ids: raw.iter().map(|(id, _)| *id).collect(), rows: Vec::new(), mean, scale };
        index.rows = raw.iter().map(|(_, row)| index.place(row)).collect();
        index
    }

    /// The `n` tracks most like this one, the nearest first, itself left out; none if it is not among them.
    #[must_use]
    pub fn to(&self, track: TrackId, n: usize) -> Vec<Similar> {
        match self.ids.binary_search(&track) {
            Ok(at) => self.nearest(&self.rows[at], n, Some(track)),
            Err(_) => Vec::new(),
        }
    }

    /// The `n` tracks most like what was analysed, the nearest first.
    #[must_use]
    pub fn to_analysis(&self, analysis: &TrackAnalysis, n: usize) -> Vec<Similar> {
        self.nearest(&self.place(&raw(analysis)), n, None)
    }

    /// How far two tracks are from each other; `None` if one is not among them.
    #[must_use]
    pub fn distance(&self, a: TrackId, b: TrackId) -> Option<f32> {
        let row = |id| self.ids.binary_search(&id).ok().map(|at| &self.rows[at]);
        Some(square(row(a)?, row(b)?).sqrt())
    }

    /// How many tracks there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    fn place(&self, raw: &Row) -> Row {
        let mut row = [0.0; Self::DIMENSIONS];
        for (column, x) in row.iter_mut().enumerate() {
            let value = (raw[column] - self.mean[column]) * self.scale[column];
            *x = if value.is_finite() { value } else { 0.0 };
        }
        row
    }

    fn nearest(&self, to: &Row, n: usize, except: Option<TrackId>) -> Vec<Similar> {
        // The farthest of the best on top. Squares are not negative, so their bits are ordered as they are.
        let mut best: BinaryHeap<(u32, TrackId)> = BinaryHeap::with_capacity(n.min(self.len()) + 1);
        let mut farthest = u32::MAX;
        for (id, row) in self.ids.iter().zip(&self.rows) {
            let bits = square(to, row).to_bits();
            if (bits < farthest || best.len() < n) && Some(*id) != except {
                best.push((bits, *id));
                if best.len() > n {
                    best.pop();
                }
                farthest = best.peek().map_or(u32::MAX, |(bits, _)| *bits);
            }
        }
        let sorted = best.into_sorted_vec().into_iter();
        sorted
            .map(|(bits, track)| Similar { track, distance: f32::from_bits(bits).sqrt() })
            .collect()
    }
}

impl Library {
    /// Prepares to search all tracks by sound.
    ///
    /// # Errors
    ///
    /// If the library cannot be read.
    pub fn similar_tracks(&self) -> Result<SimilarTracks, LibraryError> {
        let tracks = self.tracks()?;
        Ok(SimilarTracks::new(tracks.iter().map(|track| (track.id, &track.analysis))))
    }
}

impl fmt::Debug for SimilarTracks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimilarTracks").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// The square of the distance, in eight sums, so that it can be computed eight numbers at a time.
fn square(a: &Row, b: &Row) -> f32 {
    let mut sums = [0.0_f32; 8];
    for (a, b) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += (a - b) * (a - b);
        }
    }
    sums.iter().sum()
}

/// How many numbers each group has, and the size of its group for each number.
const GROUPS: [usize; 6] = [2, 3, 4, 4, 7, 19];

fn group_sizes() -> impl Iterator<Item = usize> {
    let sizes = GROUPS.into_iter().flat_map(|size| std::iter::repeat_n(size, size));
    // The last one is not used.
    sizes.chain(std::iter::once(1))
}

/// The numbers of a track before they are normalised; NaN where nothing is known.
fn raw(analysis: &TrackAnalysis) -> Row {
    let a = analysis;
    let known = |x: Option<f32>| x.unwrap_or(f32::NAN);
    let log = |x: Option<f32>| known(x.filter(|x| *x > 0.0).map(f32::log2));
    let tempo = a.tempo.as_ref().map_or(f32::NAN, |tempo| std::f32::consts::TAU * tempo.bpm.log2());
    let (fifths, mode) = a.key.map_or((f32::NAN, f32::NAN), |key| {
        let (major, mode) = match key.key.mode {
            Mode::Major => (key.key, 0.0),
            Mode::Minor => (key.key.relative(), 1.0),
        };
        (
            f32::from(u16::from(major.tonic.semitones()) * 7 % 12) / 12.0 * std::f32::consts::TAU,
            mode,
        )
    });
    let contrast = a.contrast.unwrap_or([f32::NAN; 7]);
    let mfcc = a.mfcc.unwrap_or([f32::NAN; 20]);
    let values = [tempo.cos(), tempo.sin(), fifths.cos(), fifths.sin(), mode]
        .into_iter()
        .chain([known(a.loudness), known(a.energy), known(a.onset_rate), known(a.tempo_stability)])
        .chain([log(a.brightness), log(a.rolloff), log(a.bandwidth), known(a.zero_crossing_rate)])
        .chain(contrast)
        .chain(mfcc.into_iter().skip(1));
    let mut row = [0.0; SimilarTracks::DIMENSIONS];
    for (slot, value) in row.iter_mut().zip(values) {
        *slot = value;
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Tempo, TrackKey};
    use upbeat_predict::harmony::{Key, PitchClass};
    use upbeat_testkit::signal::Random;

    pub(crate) fn random(random: &mut Random) -> TrackAnalysis {
        let mut some = |scale: f64| {
            (random.below(10) > 0).then_some(()).map(|()| (scale * (random.unit() + 0.1)) as f32)
        };
        let mode = if some(1.0).is_some_and(|x| x > 0.5) { Mode::Minor } else { Mode::Major };
        let tonic = PitchClass::new(some(11.0).unwrap_or(0.0) as u8);
        TrackAnalysis {
            tempo: some(150.0).map(|bpm| Tempo {
                bpm,
                confidence: 1.0,
                first_beat: None,
                alternatives: vec![],
            }),
            key: some(1.0).map(|confidence| TrackKey { key: Key { tonic, mode }, confidence }),
            loudness: some(-20.0),
            energy: some(1.0),
            onset_rate: some(8.0),
            brightness: some(4000.0),
            rolloff: some(8000.0),
            contrast: some(1.0).map(|_| std::array::from_fn(|_| some(30.0).unwrap_or(1.0))),
            mfcc: some(1.0).map(|_| std::array::from_fn(|_| some(100.0).unwrap_or(1.0))),
            ..TrackAnalysis::default()
        }
    }

    #[test]
    fn neighbours_are_those_that_sorting_all_distances_finds() {
        let mut generator = Random::new(5);
        let tracks: Vec<TrackAnalysis> = (0..300).map(|_| random(&mut generator)).collect();
        let index = SimilarTracks::new((0..).map(TrackId).zip(&tracks));
        for (from, n) in [(0, 1), (17, 10), (299, 400), (5, 0)] {
            let mut all: Vec<(f32, i64)> = (0..300)
                .filter(|other| *other != from)
                .map(|other| (index.distance(TrackId(from), TrackId(other)).unwrap(), other))
                .collect();
            all.sort_by(|a, b| a.partial_cmp(b).unwrap());
            let expected: Vec<f32> = all.iter().take(n).map(|(distance, _)| *distance).collect();
            let found: Vec<f32> = index.to(TrackId(from), n).iter().map(|s| s.distance).collect();
            assert_eq!(found, expected);
        }
        assert_eq!(index.to(TrackId(300), 5), []);
        // What is analysed anew is where it was.
        let again = index.to_analysis(&tracks[9], 1);
        assert_eq!((again[0].track, again[0].distance), (TrackId(9), 0.0));
    }

    #[test]
    fn groups_count_alike_and_nothing_known_is_the_mean() {
        assert_eq!(GROUPS.iter().sum::<usize>() + 1, SimilarTracks::DIMENSIONS);
        let mut generator = Random::new(6);
        let tracks: Vec<TrackAnalysis> = (0..2000).map(|_| random(&mut generator)).collect();
        let index = SimilarTracks::new((0..).map(TrackId).zip(&tracks));
        let spread = |columns: std::ops::Range<usize>| -> f32 {
            index.rows.iter().flat_map(|row| &row[columns.clone()]).map(|x| x * x).sum::<f32>()
                / 2000.0
        };
        // A tenth is not known, and counts as the mean.
        for columns in [0..2, 2..5, 13..20, 20..39] {
            let power = spread(columns.clone());
            assert!((power - 0.9).abs() < 0.05, "{columns:?}: {power}");
        }
        let nothing = TrackAnalysis { loudness: Some(f32::NAN), ..TrackAnalysis::default() };
        assert_eq!(index.place(&raw(&nothing)), [0.0; SimilarTracks::DIMENSIONS]);
        assert_eq!(SimilarTracks::new([]).to_analysis(&nothing, 3), []);
        let one = SimilarTracks::new([(TrackId(1), &nothing)]);
        assert_eq!(one.to_analysis(&tracks[0], 3)[0].distance, 0.0);
    }

    #[test]
    fn half_tempo_and_relative_key_are_near() {
        let of = |bpm, tonic, mode| TrackAnalysis {
            tempo: Some(Tempo { bpm, confidence: 1.0, first_beat: None, alternatives: vec![] }),
            key: Some(TrackKey {
                key: Key { tonic: PitchClass::new(tonic), mode },
                confidence: 1.0,
            }),
            ..TrackAnalysis::default()
        };
        let tracks = [
            of(120.0, 0, Mode::Major),
            of(60.0, 0, Mode::Major),
            of(90.0, 0, Mode::Major),
            of(120.0, 9, Mode::Minor),
            of(120.0, 6, Mode::Minor),
        ];
        let index = SimilarTracks::new((0..).map(TrackId).zip(&tracks));
        let from_first = |other| index.distance(TrackId(0), TrackId(other)).unwrap();
        assert!(from_first(1) < 1e-3);
        assert!(from_first(2) > 1.0);
        assert!(from_first(3) < from_first(4));
    }
}
