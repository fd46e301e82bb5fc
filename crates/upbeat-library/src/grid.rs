use std::path::PathBuf;

use upbeat_predict::harmony::Key;

use crate::{Tags, Track};

/// Where the beats of a track are: from each anchor on they follow at its tempo, up to the next anchor.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BeatGrid {
    /// The anchors, in order of time; few by design. A track of steady tempo has one.
    pub anchors: Vec<GridAnchor>,
}

/// A beat, and the tempo from there on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GridAnchor {
    /// When the beat is, in seconds since the first sample.
    pub seconds: f64,
    /// Beats per minute.
    pub bpm: f64,
    /// Beats in a bar.
    pub beats_per_bar: u8,
    /// Which beat of the bar it is, from 1; `None` where it is not known.
    pub beat: Option<u8>,
}

impl BeatGrid {
    /// The grid of a track of steady tempo: its first beat. Empty if its tempo or first beat is not known.
    ///
    /// Bars are taken to have four beats; which one the first is, the library does not know.
    #[must_use]
    pub fn of(track: &Track) -> Self {
        let tempo = track.analysis.tempo.as_ref();
        let anchor = tempo.and_then(|tempo| {
            let (seconds, bpm) = (tempo.first_beat?, f64::from(tempo.bpm));
            Some(GridAnchor { seconds, bpm, beats_per_bar: 4, beat: None })
        });
        Self { anchors: anchor.into_iter().collect() }
    }

    /// The same grid, `seconds` later.
    ///
    /// Times in the library count from the first sample that is to be heard. Other programs may count what an MP3
    /// encoder puts before it, too, often 26 ms or 50 ms, which file by file depends on its header; where their grids
    /// come out early by that much, shift ours before writing them.
    #[must_use]
    pub fn shifted(&self, seconds: f64) -> Self {
        let anchors = self.anchors.iter();
        let anchors =
            anchors.map(|anchor| GridAnchor { seconds: anchor.seconds + seconds, ..*anchor });
        Self { anchors: anchors.collect() }
    }

    /// The times of all beats from the first anchor on and before `end`, in seconds.
    ///
    /// # Panics
    ///
    /// If a tempo is not above 0.
    #[must_use]
    pub fn beats(&self, end: f64) -> Vec<f64> {
        let mut beats = Vec::new();
        for (index, anchor) in self.anchors.iter().enumerate() {
            assert!(anchor.bpm > 0.0, "a tempo is above 0, not {}", anchor.bpm);
            let next = self.anchors.get(index + 1).map_or(end, |next| next.seconds.min(end));
            // A beat that is the next anchor but for rounding is not counted twice.
            let before = next - 0.1 * 60.0 / anchor.bpm;
            let period = 60.0 / anchor.bpm;
            let last = if index + 1 < self.anchors.len() { before } else { end };
            let times = (0..).map(|i| anchor.seconds + period * f64::from(i));
            beats.extend(times.take_while(|time| *time < last.min(end)));
        }
        beats
    }
}

/// A track as other programs' collections hold it.
#[derive(Clone, Debug, PartialEq)]
pub struct GridTrack {
    /// Where its file is.
    pub path: PathBuf,
    /// What its tags say.
    pub tags: Tags,
    /// Its length in seconds.
    pub duration: Option<f64>,
    /// Its key.
    pub key: Option<Key>,
    /// Where its beats are.
    pub grid: BeatGrid,
}

impl From<&Track> for GridTrack {
    fn from(track: &Track) -> Self {
        Self {
            path: track.path.clone(),
            tags: track.tags.clone(),
            duration: Some(track.analysis.duration),
            key: track.analysis.key.map(|key| key.key),
            grid: BeatGrid::of(track),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beats_follow_each_anchor_up_to_the_next() {
        let anchor = |seconds, bpm| GridAnchor { seconds, bpm, beats_per_bar: 4, beat: None };
        let grid = BeatGrid { anchors: vec![anchor(0.25, 120.0), anchor(1.25, 60.0)] };
        assert_eq!(grid.beats(4.0), [0.25, 0.75, 1.25, 2.25, 3.25]);
        assert_eq!(grid.beats(0.5), [0.25]);
        assert_eq!(grid.shifted(-0.125).beats(0.5), [0.125]);
        assert_eq!(BeatGrid::default().beats(9.0), [0.0; 0]);
    }
}
