//! Beats to the rest of the room, in real time.

use std::thread::sleep;
use std::time::{Duration, Instant};

use upbeat::core::{SampleIndex, SampleRate};
use upbeat::predict::beats::{BarPosition, BeatEstimate};
use upbeat::sync::{Bar, Beat, Cue, SyncOut};

pub(crate) struct Room {
    out: SyncOut,
    rate: SampleRate,
    start: Instant,
    /// The tempo told last.
    told: Option<f64>,
}

impl Room {
    pub(crate) fn new(out: SyncOut, rate: SampleRate) -> Self {
        Self { out, rate, start: Instant::now(), told: None }
    }

    /// Waits until a song that began with this would have been played so far.
    pub(crate) fn wait(&mut self, end: SampleIndex) {
        let due = Duration::from_secs_f64(end.seconds(self.rate));
        sleep(due.saturating_sub(self.start.elapsed()));
        self.out.hear(end);
    }

    pub(crate) fn tell(&mut self, heard: SampleIndex, estimate: &BeatEstimate) {
        let bpm = estimate.tempo;
        let same = match (self.told, bpm) {
            (Some(told), Some(bpm)) => (bpm / told - 1.0).abs() < 0.02,
            (told, bpm) => told.is_some() == bpm.is_some(),
        };
        if !same {
            self.told = bpm;
            self.out.tell(heard, heard, &Cue::Tempo { bpm });
        }
        if let Some(beat) = estimate.beat {
            let bar = beat.bar_position.map(|BarPosition { beat, metre, confidence }| Bar {
                beat,
                beats: metre.beats(),
                confidence,
            });
            let (confidence, std_dev) = (beat.confidence, beat.std_dev);
            let cue = Cue::Beat(Beat { bpm, confidence, std_dev, bar });
            self.out.tell(beat.at, heard, &cue);
        }
    }
}
