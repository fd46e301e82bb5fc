//! Who plays what when.

use super::{Annotations, Chord, Instrument, Note};

/// The whole score.
pub(super) fn annotations() -> Annotations {
    let mut notes = Vec::new();
    for (bar, harmony) in (0..BARS).map(|bar| (bar, &HARMONIES[bar % HARMONIES.len()])) {
        let mut part = Part { bar, notes: &mut notes };
        part.drums();
        part.bass(harmony);
        part.pad(harmony);
        if bar >= BARS / 2 {
            part.lead(harmony);
        }
    }
    notes.sort_by(|a, b| a.start.total_cmp(&b.start));
    let mut onsets: Vec<f64> = notes.iter().map(|note| note.start).collect();
    onsets.dedup();
    let bar_start = |bar: usize| (bar * STEPS) as f64 * STEP;
    let chord = |bar: usize| {
        let harmony = &HARMONIES[bar % HARMONIES.len()];
        Chord {
            start: bar_start(bar),
            end: bar_start(bar + 1),
            label: harmony.label,
            root: harmony.bass % 12,
            is_minor: harmony.is_minor,
        }
    };
    Annotations {
        tempo: 60.0 / (STEP * STEPS_PER_BEAT as f64),
        duration: bar_start(BARS),
        beats: (0..BARS * STEPS / STEPS_PER_BEAT)
            .map(|beat| (beat * STEPS_PER_BEAT) as f64 * STEP)
            .collect(),
        downbeats: (0..BARS).map(bar_start).collect(),
        chords: (0..BARS).map(chord).collect(),
        notes,
        onsets,
    }
}

/// One bar's harmony.
struct Harmony {
    label: &'static str,
    is_minor: bool,
    /// The pitch of the bass.
    bass: u8,
    /// The pitches of the chord, close to those of its neighbours.
    chord: [u8; 3],
    /// The melody, in eighths.
    lead: [u8; 8],
}

/// One bar while it is written.
struct Part<'a> {
    bar: usize,
    notes: &'a mut Vec<Note>,
}

impl Part<'_> {
    /// Adds a note at `step` of the bar, `steps` long.
    fn play(
        &mut self,
        step: usize,
        steps: f64,
        instrument: Instrument,
        pitch: Option<u8>,
        velocity: f64,
    ) {
        let start = (self.bar * STEPS + step) as f64 * STEP;
        let duration = steps * STEP;
        self.notes.push(Note { start, instrument, pitch, duration, velocity });
    }

    fn drums(&mut self) {
        let second_half = self.bar >= BARS / 2;
        for (step, velocity) in [(0, 1.0), (8, 0.95), (10, 0.75)] {
            self.play(step, 1.0, Instrument::Kick, None, velocity);
        }
        for step in [4, 12] {
            self.play(step, 1.0, Instrument::Snare, None, 1.0);
        }
        for step in (0..STEPS).step_by(2) {
            let open = second_half && step == 14;
            let instrument = if open { Instrument::OpenHat } else { Instrument::ClosedHat };
            let velocity = if step % 4 == 0 { 1.0 } else { 0.7 };
            self.play(step, 1.0, instrument, None, velocity);
        }
        if self.bar == BARS / 2 {
            self.play(0, 1.0, Instrument::Crash, None, 1.0);
        }
        if self.bar == BARS - 1 {
            for (step, velocity) in [(13, 0.5), (14, 0.7), (15, 0.85)] {
                self.play(step, 1.0, Instrument::Snare, None, velocity);
            }
        }
    }

    fn bass(&mut self, harmony: &Harmony) {
        let Harmony { bass, .. } = *harmony;
        let line = [
            (0, 3.5, bass),
            (6, 1.5, bass),
            (8, 1.5, bass),
            (10, 3.5, bass + 12),
            (14, 1.5, bass + 7),
        ];
        for (step, steps, pitch) in line {
            self.play(step, steps, Instrument::Bass, Some(pitch), 1.0);
        }
    }

    fn pad(&mut self, harmony: &Harmony) {
        for pitch in harmony.chord {
            self.play(0, 15.0, Instrument::Pad, Some(pitch), 1.0);
        }
    }

    fn lead(&mut self, harmony: &Harmony) {
        for (eighth, pitch) in harmony.lead.into_iter().enumerate() {
            let velocity = if eighth % 2 == 0 { 1.0 } else { 0.8 };
            self.play(2 * eighth, 1.8, Instrument::Lead, Some(pitch), velocity);
        }
    }
}

const BARS: usize = 8;
/// Sixteenths in a bar.
const STEPS: usize = 16;
const STEPS_PER_BEAT: usize = 4;
/// A sixteenth at 120 beats per minute, in seconds; exact in binary, as are all sums of it.
const STEP: f64 = 0.125;

const HARMONIES: [Harmony; 4] = [
    Harmony {
        label: "A:min",
        is_minor: true,
        bass: 33,
        chord: [57, 60, 64],
        lead: [76, 72, 69, 72, 76, 81, 79, 76],
    },
    Harmony {
        label: "F:maj",
        is_minor: false,
        bass: 29,
        chord: [57, 60, 65],
        lead: [77, 72, 69, 72, 77, 81, 79, 77],
    },
    Harmony {
        label: "C:maj",
        is_minor: false,
        bass: 36,
        chord: [55, 60, 64],
        lead: [76, 72, 67, 72, 76, 79, 77, 76],
    },
    Harmony {
        label: "G:maj",
        is_minor: false,
        bass: 31,
        chord: [55, 59, 62],
        lead: [74, 71, 67, 71, 74, 79, 77, 74],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chord_of_a_bar_is_what_is_played_in_it() {
        let annotations = annotations();
        for chord in &annotations.chords {
            let third = if chord.is_minor { 3 } else { 4 };
            let triad = [chord.root, (chord.root + third) % 12, (chord.root + 7) % 12];
            let mut pads = 0;
            for note in &annotations.notes {
                let within = chord.start <= note.start && note.start < chord.end;
                let Some(pitch) = note.pitch.filter(|_| within) else { continue };
                pads += usize::from(note.instrument == Instrument::Pad);
                // The melody has passing notes.
                if note.instrument != Instrument::Lead {
                    assert!(triad.contains(&(pitch % 12)), "{pitch} is not in {}", chord.label);
                }
            }
            assert_eq!(pads, 3);
            let (root, kind) = chord.label.split_once(':').unwrap();
            assert_eq!(chord.is_minor, kind == "min");
            let names = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"];
            assert_eq!(names[usize::from(chord.root)], root);
        }
    }

    #[test]
    fn times_are_exact_and_in_order() {
        let annotations = annotations();
        assert_eq!((annotations.tempo, annotations.duration), (120.0, 16.0));
        let beats: Vec<f64> = (0_u8..32).map(|beat| f64::from(beat) / 2.0).collect();
        assert_eq!(annotations.beats, beats);
        assert_eq!(annotations.downbeats, [0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0]);
        assert!(annotations.onsets.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(annotations.beats.iter().all(|beat| annotations.onsets.contains(beat)));
        assert!(annotations.chords.windows(2).all(|pair| pair[0].end == pair[1].start));
        assert_eq!(annotations.chords.last().unwrap().end, annotations.duration);
    }
}
