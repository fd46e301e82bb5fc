//! Drum grooves with human timing, and where their beats are.

use crate::signal::Random;

/// A groove as played.
#[derive(Clone, Debug)]
pub struct Groove {
    /// Mono samples, at most ±1.
    pub samples: Vec<f32>,
    /// When each beat is, in seconds, and its place in the bar, from 1.
    pub beats: Vec<(f64, u8)>,
    /// The tempo it starts at, in beats per minute.
    pub bpm: f64,
}

/// How a groove goes: per sixteenth (or triplet) of a bar, how loud each drum is; 0 is a rest.
struct Style {
    beats: usize,
    cells: usize,
    tempo: (f64, f64),
    kick: &'static [u8],
    snare: &'static [u8],
    hat: &'static [u8],
}

const STYLES: [Style; 8] = [
    // Rock in eighths.
    Style {
        beats: 4,
        cells: 2,
        tempo: (85.0, 160.0),
        kick: b"80008700",
        snare: b"00900090",
        hat: b"86868686",
    },
    // Four on the floor, open hats off the beat.
    Style {
        beats: 4,
        cells: 4,
        tempo: (110.0, 140.0),
        kick: b"9000900090009000",
        snare: b"0000800000008000",
        hat: b"0080008000800080",
    },
    // Sixteenth funk with ghost notes.
    Style {
        beats: 4,
        cells: 4,
        tempo: (85.0, 115.0),
        kick: b"9003009000900000",
        snare: b"0000900202009002",
        hat: b"8565856585658565",
    },
    // Shuffle.
    Style {
        beats: 4,
        cells: 3,
        tempo: (90.0, 150.0),
        kick: b"900000900008",
        snare: b"000900000900",
        hat: b"806806806806",
    },
    // Jazz ride, brushed.
    Style {
        beats: 4,
        cells: 3,
        tempo: (110.0, 190.0),
        kick: b"400300400300",
        snare: b"000000002000",
        hat: b"900906900906",
    },
    // Waltz.
    Style {
        beats: 3,
        cells: 2,
        tempo: (90.0, 180.0),
        kick: b"900000",
        snare: b"007070",
        hat: b"806060",
    },
    // Ballad with rim clicks.
    Style {
        beats: 4,
        cells: 4,
        tempo: (65.0, 90.0),
        kick: b"9000000090060000",
        snare: b"0000700000007000",
        hat: b"7050705070507050",
    },
    // Train beat: snare throughout.
    Style {
        beats: 4,
        cells: 4,
        tempo: (90.0, 130.0),
        kick: b"9000900090009000",
        snare: b"3383338333833383",
        hat: b"0000000000000000",
    },
];

/// Styles that [`groove`] knows.
pub const N_STYLES: usize = STYLES.len();

/// Plays a groove in style `seed % N_STYLES` for `seconds` at `rate`, another one for each seed.
///
/// Each stroke comes up to 25 ms off its place (7 ms on average, and each player a little early or late), one in
/// twenty is left out, the tempo wanders by 2 %, every fourth bar ends in a fill, and a bass plays along in half
/// of the grooves. Drums are sines and noise that die away; nothing is sampled.
#[must_use]
pub fn groove(seed: u64, rate: u32, seconds: f64) -> Groove {
    groove_with_jump(seed, rate, seconds, f64::INFINITY, 1.0)
}

/// [`groove`] whose tempo becomes `factor` times as fast with the first bar that begins at `jump` seconds or later.
#[must_use]
pub fn groove_with_jump(seed: u64, rate: u32, seconds: f64, jump: f64, factor: f64) -> Groove {
    let mut random = Random::new(seed.wrapping_mul(977) + 13);
    let style = &STYLES[(seed % N_STYLES as u64) as usize];
    let (low, high) = style.tempo;
    let bpm = low * (high / low).powf(random.unit());
    let mut player = Player {
        samples: vec![0.0; (seconds * f64::from(rate)) as usize],
        rate: f64::from(rate),
        random,
    };
    let lean = [0.0; 3].map(|_: f64| 0.008 * player.gauss());
    let (with_bass, root) = (player.random.unit() < 0.5, 40.0 + 40.0 * player.random.unit());
    let mut beats = Vec::new();
    let (mut at, mut drift, mut bar) = (0.3 + player.random.unit(), 0.0, 0_usize);
    while at < seconds {
        drift = 0.9 * drift + 0.006 * player.gauss();
        let now = if at < jump { bpm } else { bpm * factor };
        let beat = 60.0 / now * (1.0 + drift);
        let fill = bar % 4 == 3 && player.random.unit() < 0.8;
        for b in 0..style.beats {
            let start = at + b as f64 * beat;
            if start < seconds {
                beats.push((start, b as u8 + 1));
            }
            for c in 0..style.cells {
                let cell = b * style.cells + c;
                let time = start + beat * c as f64 / style.cells as f64;
                let filling = fill && b + 1 == style.beats;
                for (drum, line) in [style.kick, style.snare, style.hat].into_iter().enumerate() {
                    let mut loud = f64::from(line[cell] - b'0') / 9.0;
                    if filling && drum == 1 {
                        loud = 0.4 + 0.5 * player.random.unit();
                    }
                    if loud > 0.0 && player.random.unit() > 0.05 {
                        let off = (0.007 * player.gauss() + lean[drum]).clamp(-0.025, 0.025);
                        let loud = loud * (0.8 + 0.3 * player.random.unit());
                        player.strike(drum, time + off, loud);
                    }
                }
                if with_bass && line_plays(style.kick[cell], c) {
                    let third = [1.0, 1.0, 1.5, 1.335][bar % 4];
                    let off = 0.006 * player.gauss();
                    player.bass(time + off, root * third, 0.7 * beat);
                }
            }
        }
        at += style.beats as f64 * beat;
        bar += 1;
    }
    let peak = player.samples.iter().fold(0.0_f32, |peak, x| peak.max(x.abs())).max(1e-6);
    player.samples.iter_mut().for_each(|x| *x *= 0.8 / peak);
    Groove { samples: player.samples, beats, bpm }
}

fn line_plays(kick: u8, cell: usize) -> bool {
    kick > b'0' || cell == 0
}

struct Player {
    samples: Vec<f32>,
    rate: f64,
    random: Random,
}

impl Player {
    /// Nearly normal, with a standard deviation of 1.
    fn gauss(&mut self) -> f64 {
        (0..12).map(|_| self.random.unit()).sum::<f64>() - 6.0
    }

    fn add(&mut self, time: f64, length: f64, mut sound: impl FnMut(f64, f64) -> f64) {
        let start = (time * self.rate).round().max(0.0) as usize;
        let (rate, random) = (self.rate, &mut self.random);
        let samples = self.samples.iter_mut().skip(start).take((length * rate) as usize);
        for (n, sample) in samples.enumerate() {
            let noise = 2.0 * random.unit() - 1.0;
            *sample += sound(n as f64 / rate, noise) as f32;
        }
    }

    fn strike(&mut self, drum: usize, time: f64, loud: f64) {
        let tau = std::f64::consts::TAU;
        match drum {
            0 => self.add(time, 0.3, |t, noise| {
                // Falls from 150 to 50 Hz within 30 ms.
                let phase = 50.0 * t + 3.0 * (1.0 - (-t / 0.03).exp());
                let click = 0.3 * noise * (-t / 0.003).exp();
                loud * ((tau * phase).sin() * (-t / 0.09).exp() + click)
            }),
            1 => self.add(time, 0.2, |t, noise| {
                let body = 0.5 * (tau * 190.0 * t).sin() * (-t / 0.06).exp();
                0.7 * loud * (body + noise * (-t / 0.07).exp())
            }),
            _ => {
                let mut before = 0.0;
                self.add(time, 0.12, |t, noise| {
                    let high = noise - before;
                    before = noise;
                    0.25 * loud * high * (-t / 0.03).exp()
                });
            }
        }
    }

    fn bass(&mut self, time: f64, hertz: f64, length: f64) {
        let tau = std::f64::consts::TAU;
        self.add(time, length, |t, _| {
            let attack = (t / 0.005).min(1.0);
            let tone: f64 =
                (1..5).map(|k| (tau * hertz * f64::from(k) * t).sin() / f64::from(k)).sum();
            0.25 * attack * (-t / 0.4).exp() * tone
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tempo_jumps_at_a_bar() {
        let (plain, faster) = (groove(3, 8000, 20.0), groove_with_jump(3, 8000, 20.0, 10.0, 1.1));
        let first =
            |groove: &Groove| groove.beats.iter().position(|b| b.0 >= 10.0 && b.1 == 1).unwrap();
        let jump = first(&faster);
        assert_eq!((jump, &plain.beats[..=jump]), (first(&plain), &faster.beats[..=jump]));
        let step = |groove: &Groove| groove.beats[jump + 1].0 - groove.beats[jump].0;
        assert!((step(&plain) / step(&faster) - 1.1).abs() < 1e-9);
        assert_eq!((plain.bpm, plain.samples.len()), (faster.bpm, faster.samples.len()));
    }

    #[test]
    fn grooves_are_as_they_say() {
        for seed in 0..2 * N_STYLES as u64 {
            let groove = groove(seed, 8000, 12.0);
            assert_eq!(groove.samples.len(), 96_000);
            assert!(groove.samples.iter().all(|x| x.abs() <= 0.81));
            let style = &STYLES[seed as usize % N_STYLES];
            assert_eq!(style.kick.len(), style.beats * style.cells);
            assert_eq!(style.snare.len(), style.kick.len());
            assert_eq!(style.hat.len(), style.kick.len());
            let steps = groove.beats.windows(2).map(|w| w[1].0 - w[0].0);
            assert!(steps.clone().all(|s| (s * groove.bpm / 60.0 - 1.0).abs() < 0.12));
            for pair in groove.beats.windows(2) {
                assert_eq!(usize::from(pair[1].1), usize::from(pair[0].1) % style.beats + 1);
            }
            // Something sounds at most beats: the level just after is higher than just before.
            let level = |at: f64| {
                let from = (at * 8000.0).max(0.0) as usize;
                groove.samples[from..(from + 300).min(96_000)].iter().map(|x| x * x).sum::<f32>()
            };
            let heard = groove.beats.iter().filter(|(t, _)| level(*t) > level(t - 0.06)).count();
            assert!(heard * 10 > groove.beats.len() * 6, "{heard} of {}", groove.beats.len());
        }
    }
}
