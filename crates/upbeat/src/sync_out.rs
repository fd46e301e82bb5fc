//! Events to others, by OSC and MIDI.

use upbeat_predict::beats::BarPosition;
use upbeat_predict::energy::EnergyKind;
use upbeat_sync::{Bar, Beat, Cue, SyncOut, Transition};

use crate::{Event, EventKind, Listener};

/// Tells beats, tempi and transitions; the other events say how far the stream has been heard. Meant for inputs in
/// real time.
impl Listener for SyncOut {
    fn event(&mut self, event: &Event) {
        match cue(&event.kind) {
            Some(cue) => self.tell(event.at, event.heard, &cue),
            None => self.hear(event.heard),
        }
    }

    fn end(&mut self) {
        self.finish();
    }
}

/// What is told of an event, if anything.
fn cue(kind: &EventKind) -> Option<Cue> {
    match *kind {
        EventKind::Beat { std_dev, confidence, bar_position, bpm, .. } => {
            let bar = bar_position.map(|BarPosition { beat, metre, confidence }| Bar {
                beat,
                beats: metre.beats(),
                confidence,
            });
            Some(Cue::Beat(Beat { bpm, confidence, std_dev, bar }))
        }
        EventKind::Tempo { bpm } => Some(Cue::Tempo { bpm }),
        EventKind::Transition(transition) => Some(Cue::Transition(Transition {
            kind: match transition.kind {
                EnergyKind::Build => "build",
                EnergyKind::Drop => "drop",
                EnergyKind::Rise => "rise",
                EnergyKind::Fall => "fall",
                EnergyKind::Stable => "stable",
            },
            change: transition.change,
            confidence: transition.confidence,
        })),
        _ => None,
    }
}
