//! Deterministic test signals: `f32` samples of one channel, full scale ±1.

use std::f64::consts::TAU;

/// A small pseudo-random generator (`SplitMix64`, Steele et al., OOPSLA 2014), for signals and splits.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator that gives the same sequence for the same `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform in `0..n`.
    ///
    /// # Panics
    ///
    /// If `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next_u64() % n as u64) as usize
    }

    /// Uniform in `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// `amplitude · sin(2π frequency n / rate)`.
#[must_use]
pub fn sine(frequency: f64, amplitude: f64, rate: u32, length: usize) -> Vec<f32> {
    let step = frequency / f64::from(rate);
    (0..length).map(|n| (amplitude * (TAU * (step * n as f64).fract()).sin()) as f32).collect()
}

/// A tone of `partials` harmonics of `f0` with amplitudes `amplitude / k`, those below the Nyquist
/// frequency only.
#[must_use]
pub fn tone(f0: f64, partials: usize, amplitude: f64, rate: u32, length: usize) -> Vec<f32> {
    let mut sum = vec![0.0; length];
    for k in 1..=partials {
        let frequency = f0 * k as f64;
        if frequency < f64::from(rate) / 2.0 {
            add(&mut sum, &sine(frequency, amplitude / k as f64, rate, length));
        }
    }
    sum
}

/// A sine whose frequency rises exponentially from `from` to `to`.
#[must_use]
pub fn sweep(from: f64, to: f64, amplitude: f64, rate: u32, length: usize) -> Vec<f32> {
    let growth = (to / from).ln();
    let seconds = length as f64 / f64::from(rate);
    (0..length)
        .map(|n| {
            let cycles =
                from * seconds / growth * ((growth * n as f64 / length as f64).exp() - 1.0);
            (amplitude * (TAU * cycles.fract()).sin()) as f32
        })
        .collect()
}

/// White noise, uniform in ±`amplitude`.
#[must_use]
pub fn noise(amplitude: f64, seed: u64, length: usize) -> Vec<f32> {
    let mut random = Random::new(seed);
    (0..length).map(|_| (amplitude * (2.0 * random.unit() - 1.0)) as f32).collect()
}

/// Clicks of one sample at full scale, every `period` samples, the first at `period`.
#[must_use]
pub fn clicks(period: usize, length: usize) -> Vec<f32> {
    (0..length).map(|n| if n > 0 && n % period == 0 { 1.0 } else { 0.0 }).collect()
}

/// Adds `other` to `sum`, as far as both go.
pub fn add(sum: &mut [f32], other: &[f32]) {
    for (s, o) in sum.iter_mut().zip(other) {
        *s += o;
    }
}

/// One signal per channel made into interleaved samples.
///
/// # Panics
///
/// If the channels differ in length.
#[must_use]
pub fn interleave(channels: &[&[f32]]) -> Vec<f32> {
    let length = channels.first().map_or(0, |channel| channel.len());
    assert!(channels.iter().all(|channel| channel.len() == length), "channels differ in length");
    (0..length).flat_map(|n| channels.iter().map(move |channel| channel[n])).collect()
}
