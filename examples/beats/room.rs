//! Beats to the rest of the room, in real time.

use std::thread::sleep;
use std::time::{Duration, Instant};

use upbeat::core::{SampleIndex, SampleRate};
use upbeat::predict::beats::{BeatEstimate, Prediction};
use upbeat::sync::SyncOut;
use upbeat::{Event, EventKind, Listener};

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
        if estimate.has_new_tempo(self.told) {
            self.told = bpm;
            self.out.event(&Event::new(heard, heard, EventKind::Tempo { bpm }));
        }
        if let Some(Prediction { at, std_dev, confidence, bar_position, .. }) = estimate.beat {
            let tempi = [None; 3];
            let kind = EventKind::Beat { std_dev, confidence, bar_position, bpm, tempi };
            self.out.event(&Event::new(at, heard, kind));
        }
    }
}
