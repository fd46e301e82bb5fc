//! How the instruments of the demo sound.
//!
//! Everything but the kick is a sum of sines that die away, `a e^(−d t) sin(2π f t + φ)`, those below half the sample
//! rate: a few in a row for strings, many at random frequencies for noise. So nothing aliases, and a note is the same at
//! every sample rate, whether it begins on a sample or between two.

use std::f64::consts::{FRAC_PI_2, TAU};

use upbeat_core::SampleRate;

use super::{CHANNELS, Instrument, Note};

/// The first sample of a note: the one at or after its start.
pub(super) fn first_sample(start: f64, rate: SampleRate) -> u64 {
    (start * rate.as_f64()).ceil() as u64
}

/// A note while it sounds.
#[derive(Clone, Debug)]
pub(super) struct Voice {
    first: u64,
    end: u64,
    /// From the note's start to its first sample, in seconds.
    lead_in: f64,
    /// Seconds per sample.
    step: f64,
    envelope: Envelope,
    sound: Sound,
}

#[derive(Clone, Debug)]
enum Sound {
    Kick { gain: f64 },
    Partials(Vec<Lanes>),
}

/// Rises within `attack` seconds, stays until `hold`, and falls to nothing within `release`.
#[derive(Clone, Copy, Debug)]
struct Envelope {
    attack: f64,
    hold: f64,
    release: f64,
}

/// Some sines that die away, each as a point that turns around 0 and falls into it; in lanes, so that the compiler can
/// advance several at once.
#[derive(Clone, Debug, Default)]
struct Lanes {
    cos: [f64; LANES],
    sin: [f64; LANES],
    turn_cos: [f64; LANES],
    turn_sin: [f64; LANES],
    left: [f64; LANES],
    right: [f64; LANES],
}

impl Voice {
    pub(super) fn new(note: &Note, rate: SampleRate) -> Self {
        let first = first_sample(note.start, rate);
        let mut bank = Bank { rate: rate.as_f64(), partials: Vec::new(), count: 0, lead_in: 0.0 };
        bank.lead_in = first as f64 / bank.rate - note.start;
        let frequency =
            note.pitch.map_or(0.0, |pitch| 440.0 * ((f64::from(pitch) - 69.0) / 12.0).exp2());
        let level = note.velocity * MASTER;
        let ringing =
            |seconds| Envelope { attack: 0.0005, hold: 0.75 * seconds, release: 0.25 * seconds };
        let envelope = match note.instrument {
            Instrument::Kick => ringing(0.5),
            Instrument::Snare => {
                bank.add(185.0, 0.2 * level, 18.0, 0.0, 0.5);
                bank.add(330.0, 0.15 * level, 24.0, 0.0, 0.5);
                bank.noise(
                    &Band { from: 300.0, to: 12_000.0, partials: 128, decay: 20.0 },
                    0.35 * level,
                    0.5,
                );
                ringing(0.3)
            }
            Instrument::ClosedHat => {
                bank.noise(
                    &Band { from: 5000.0, to: 16_000.0, partials: 96, decay: 60.0 },
                    0.24 * level,
                    0.55,
                );
                ringing(0.1)
            }
            Instrument::OpenHat => {
                bank.noise(
                    &Band { from: 5000.0, to: 16_000.0, partials: 96, decay: 9.0 },
                    0.24 * level,
                    0.55,
                );
                ringing(0.25)
            }
            Instrument::Crash => {
                bank.noise(
                    &Band { from: 2000.0, to: 18_000.0, partials: 200, decay: 2.5 },
                    0.08 * level,
                    0.4,
                );
                ringing(2.0)
            }
            Instrument::Bass => {
                bank.string(frequency, 24, 0.26 * level, |k| (0.8 + 0.9 * k, 1.0 / k), 0.5);
                Envelope { attack: 0.004, hold: note.duration, release: 0.03 }
            }
            Instrument::Pad => {
                // Four cents apart, one on each side.
                for (detune, pan) in [(-2.0_f64, 0.25), (2.0, 0.75)] {
                    let frequency = frequency * (detune / 1200.0).exp2();
                    bank.string(
                        frequency,
                        12,
                        0.094 * level,
                        |k| (0.15 + 0.1 * k, k.powf(-1.2)),
                        pan,
                    );
                }
                Envelope { attack: 0.03, hold: note.duration, release: 0.12 }
            }
            Instrument::Lead => {
                bank.string(frequency, 10, 0.2 * level, |k| (3.0 + 1.6 * k, k.powf(-0.8)), 0.4);
                Envelope { attack: 0.002, hold: note.duration, release: 0.05 }
            }
        };
        let sound = match note.instrument {
            Instrument::Kick => Sound::Kick { gain: 0.39 * level },
            _ => Sound::Partials(bank.partials),
        };
        let seconds = envelope.hold + envelope.release;
        let end = first_sample(note.start + seconds, rate);
        Self { first, end, lead_in: bank.lead_in, step: 1.0 / bank.rate, envelope, sound }
    }

    /// The first sample at which nothing sounds any more.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Adds what sounds from sample `at` on; call it for all samples in order, without gaps.
    pub(super) fn add_to(&mut self, at: u64, mix: &mut [[f64; CHANNELS]]) {
        let skip = self.first.saturating_sub(at) as usize;
        let until = self.end.saturating_sub(at).min(mix.len() as u64) as usize;
        if skip >= until {
            return;
        }
        let Self { lead_in, step, envelope, .. } = *self;
        let played = at + skip as u64 - self.first;
        let seconds = |n: usize| (played + n as u64) as f64 * step + lead_in;
        let mix = &mut mix[skip..until];
        match &mut self.sound {
            Sound::Kick { gain } => {
                for (n, out) in mix.iter_mut().enumerate() {
                    let t = seconds(n);
                    let x = *gain * envelope.at(t) * kick(t);
                    *out = out.map(|y| y + x);
                }
            }
            Sound::Partials(partials) => {
                for (n, out) in mix.iter_mut().enumerate() {
                    let (mut left, mut right) = ([0.0; LANES], [0.0; LANES]);
                    for lanes in &mut *partials {
                        lanes.add_next(&mut left, &mut right);
                    }
                    let envelope = envelope.at(seconds(n));
                    out[0] += envelope * left.iter().sum::<f64>();
                    out[1] += envelope * right.iter().sum::<f64>();
                }
            }
        }
    }
}

impl Envelope {
    fn at(&self, t: f64) -> f64 {
        let fall = ((self.hold + self.release - t) / self.release).clamp(0.0, 1.0);
        (t / self.attack).min(1.0) * fall
    }
}

impl Lanes {
    /// Adds the next sample of each lane, and advances.
    fn add_next(&mut self, left: &mut [f64; LANES], right: &mut [f64; LANES]) {
        for i in 0..LANES {
            let (sin, cos) = (self.sin[i], self.cos[i]);
            left[i] += self.left[i] * sin;
            right[i] += self.right[i] * sin;
            self.cos[i] = cos * self.turn_cos[i] - sin * self.turn_sin[i];
            self.sin[i] = cos * self.turn_sin[i] + sin * self.turn_cos[i];
        }
    }
}

/// A sine that falls from 160 to 48 Hz and dies away within a third of a second.
fn kick(t: f64) -> f64 {
    let (high, low, fall) = (160.0, 48.0, 0.035);
    let cycles = low * t + (high - low) * fall * (1.0 - (-t / fall).exp());
    (-t / 0.13).exp() * (TAU * cycles).sin()
}

/// The partials of one note while they are collected.
struct Bank {
    rate: f64,
    lead_in: f64,
    partials: Vec<Lanes>,
    /// How many sines there are in all lanes.
    count: usize,
}

/// Noise between two frequencies, that dies away by `e^(−decay t)`.
struct Band {
    from: f64,
    to: f64,
    partials: usize,
    decay: f64,
}

impl Bank {
    /// A sine of `frequency` Hz that falls by `decay` nepers per second; `pan` is 0 for left, 1 for right.
    fn add(&mut self, frequency: f64, amplitude: f64, decay: f64, phase: f64, pan: f64) {
        if frequency > 0.47 * self.rate {
            return;
        }
        let start = amplitude * (-decay * self.lead_in).exp();
        let (sin, cos) = (phase + TAU * frequency * self.lead_in).sin_cos();
        let (turn_sin, turn_cos) = (TAU * frequency / self.rate).sin_cos();
        let shrink = (-decay / self.rate).exp();
        // The same power wherever it is.
        let (right, left) = (pan * FRAC_PI_2).sin_cos();
        let lane = self.count % LANES;
        self.count += 1;
        if lane == 0 {
            self.partials.push(Lanes::default());
        }
        if let Some(lanes) = self.partials.last_mut() {
            (lanes.cos[lane], lanes.sin[lane]) = (start * cos, start * sin);
            (lanes.turn_cos[lane], lanes.turn_sin[lane]) = (shrink * turn_cos, shrink * turn_sin);
            (lanes.left[lane], lanes.right[lane]) = (left, right);
        }
    }

    /// Harmonics 1 to `count`, each with the decay and amplitude that `harmonic` gives.
    fn string(
        &mut self,
        frequency: f64,
        count: u8,
        amplitude: f64,
        harmonic: impl Fn(f64) -> (f64, f64),
        pan: f64,
    ) {
        for k in (1..=count).map(f64::from) {
            let (decay, share) = harmonic(k);
            // Spread phases keep the sum of the harmonics low.
            self.add(k * frequency, amplitude * share, decay, 1.9 * k * k, pan);
        }
    }

    /// Sines at random frequencies and phases, evenly spread over the octaves, whose powers sum to that of a sine of
    /// `amplitude`.
    fn noise(&mut self, band: &Band, amplitude: f64, pan: f64) {
        let mut random = 0x5eed_u64;
        let mut unit = || {
            // SplitMix64 (Steele et al., OOPSLA 2014).
            random = random.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let z = (random ^ (random >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
        };
        let octaves = (band.to / band.from).log2();
        let share = amplitude / (band.partials as f64).sqrt();
        for i in 0..band.partials {
            let place = (i as f64 + unit()) / band.partials as f64;
            let frequency = band.from * (octaves * place).exp2();
            self.add(frequency, share, band.decay, TAU * unit(), pan + 0.3 * (unit() - 0.5));
        }
    }
}

/// Brings the whole to −14 LUFS at 44.1 kHz.
const MASTER: f64 = 0.925;
/// Sines advanced together.
const LANES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    /// A quarter of a second from 0.125 s on, where the note begins.
    fn play(instrument: Instrument, hz: u32) -> (u64, Vec<[f64; CHANNELS]>) {
        let pitch = Some(40).filter(|_| instrument != Instrument::Kick);
        let note = Note { start: 0.125, instrument, pitch, duration: 0.1, velocity: 1.0 };
        let mut voice = Voice::new(&note, SampleRate::new(hz).unwrap());
        let mut out = vec![[0.0; CHANNELS]; hz as usize / 4];
        let first = u64::from(hz) / 8;
        voice.add_to(first, &mut out);
        (first, out)
    }

    #[test]
    fn a_note_that_begins_between_two_samples_is_the_same_note() {
        for instrument in [Instrument::Kick, Instrument::Bass, Instrument::Pad, Instrument::Lead] {
            // 0.125 s are 1378.125 samples here, and 11 025 there.
            let (coarse_first, coarse) = play(instrument, 11_025);
            let (fine_first, fine) = play(instrument, 88_200);
            let mut loudest = 0.0_f64;
            for (n, sample) in (coarse_first..).zip(&coarse).skip(1) {
                let same = fine[(8 * n - fine_first) as usize];
                for c in 0..CHANNELS {
                    assert!((sample[c] - same[c]).abs() < 1e-9, "{instrument:?} at sample {n}");
                    loudest = loudest.max(sample[c].abs());
                }
            }
            assert!(loudest > 0.02, "{instrument:?} is heard");
        }
    }
}
