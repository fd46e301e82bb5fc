use crate::track::Known;
use crate::{Compatibility, Context};

/// What taste sees of a track; all about −1 to 1, and 0 (matches: one half) where unknown.
pub(crate) fn inputs(pair: &Compatibility, track: &Known<'_>, context: Context) -> [f64; N_INPUTS] {
    let [tempo, key, energy, brightness, timbre] = pair.matches();
    let level = track.energy.map_or(0.0, |energy| 2.0 * energy - 1.0);
    let bright = track.brightness.map_or(0.0, |octaves| (octaves / 1.5).clamp(-1.5, 1.5));
    let unit = |i: usize| match track.timbre.get(i) {
        Some(value) if track.timbre_length > 0.0 => f64::from(*value) / track.timbre_length,
        _ => 0.0,
    };
    let (sine, cosine) = match context.hour_of_day {
        Some(hour) if (0.0..=24.0).contains(&hour) => {
            (f64::from(hour) / 24.0 * std::f64::consts::TAU).sin_cos()
        }
        _ => (0.0, 0.0),
    };
    [
        1.0,
        tempo,
        pair.tempo_step.map_or(0.0, |step| (step / 0.25).clamp(-2.0, 2.0)),
        track.tempo.map_or(0.0, |octaves| (octaves / 0.4).clamp(-2.0, 2.0)),
        key,
        track.key.map_or(0.0, |key| if key.minor { 1.0 } else { -1.0 }),
        energy,
        pair.energy_step.map_or(0.0, |step| 2.0 * step),
        level,
        level * level,
        brightness,
        pair.brightness_step.map_or(0.0, |step| step.clamp(-2.0, 2.0)),
        bright,
        bright * bright,
        track.loudness.map_or(0.0, |lufs| ((lufs + 14.0) / 8.0).clamp(-1.5, 1.5)),
        timbre,
        unit(0),
        unit(1),
        unit(2),
        unit(3),
        level * sine,
        level * cosine,
    ]
}

/// The inputs' groups, in order.
pub(crate) const GROUPS: [(&str, usize); 8] = [
    ("any track", 1),
    ("tempo", 3),
    ("key", 2),
    ("energy", 4),
    ("brightness", 4),
    ("loudness", 1),
    ("timbre", 5),
    ("time of day", 2),
];

pub(crate) const N_INPUTS: usize = 22;

/// Which inputs are the matches of tempo, key, energy, brightness, timbre.
pub(crate) const MATCHES: [usize; 5] = [1, 4, 6, 10, 15];

/// How much each is believed to matter to taste: what is common in music, then what is rarer.
pub(crate) const RELEVANCE: [f64; N_INPUTS] = [
    1.5, 1.0, 0.7, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.7, 0.7, 0.7, 1.0, 0.7, 0.4, 1.0, 0.4, 0.4, 0.4,
    0.4, 0.7, 0.7,
];
