use std::fmt;

use super::front::BANDS;
use upbeat_core::ConfigError;
use upbeat_nn::{CausalConv, Dense, Weights};

/// How much earlier the beat is that a frame of the network tells of, in seconds: 0.06 in training, and the
/// filter finds the first frame of several.
pub(crate) const NET_DELAY: f64 = 0.055;

/// Hears beats and downbeats in [`BeatSpectrum`](super::BeatSpectrum)'s bands, 50 times a second.
///
/// `y = W₀ (x, Δ) + b₀` of the levels `x / 3` and their rises since the frame before, `2 max(0, Δx)`; then eight times
/// `y += M elu(C y)`, where `C` looks at this frame and those `d` and `2 d` before, `d = 1, 2, 4, … 128`; then the
/// logits of beat and downbeat of `elu(y)`. It hears 10 s back and nothing ahead. `training/beats/` made it.
#[derive(Clone)]
pub(crate) struct BeatNet {
    first: Dense,
    layers: Vec<(CausalConv, Dense)>,
    last: Dense,
    before: [f32; BANDS],
    input: [f32; 2 * BANDS],
    hidden: [f32; CHANNELS],
    inner: [f32; CHANNELS],
    mixed: [f32; CHANNELS],
    seen: bool,
}

impl BeatNet {
    /// Reads the weights that ship with the crate.
    pub(crate) fn new() -> Result<Self, ConfigError> {
        Self::read(include_bytes!("../../weights/beats.safetensors"))
            .map_err(|error| ConfigError::new("weights", "those of the beat network", error))
    }

    fn read(bytes: &[u8]) -> Result<Self, upbeat_nn::ModelError> {
        let weights = Weights::read(bytes)?;
        let dense = |name: &str, inputs: usize, outputs: usize| {
            let weight = weights.tensor(&format!("{name}.weight"), &[outputs, inputs, 1])?;
            let bias = weights.tensor(&format!("{name}.bias"), &[outputs])?;
            Dense::new(inputs, outputs, &weight, &bias)
        };
        let layer = |i: usize| {
            let weight =
                weights.tensor(&format!("past.{i}.weight"), &[CHANNELS, CHANNELS, KERNEL])?;
            let bias = weights.tensor(&format!("past.{i}.bias"), &[CHANNELS])?;
            let past = CausalConv::new(CHANNELS, CHANNELS, KERNEL, 1 << i, &weight, &bias)?;
            Ok((past, dense(&format!("mix.{i}"), CHANNELS, CHANNELS)?))
        };
        Ok(Self {
            first: dense("first", 2 * BANDS, CHANNELS)?,
            layers: (0..LAYERS).map(layer).collect::<Result<_, upbeat_nn::ModelError>>()?,
            last: dense("last", CHANNELS, 2)?,
            before: [0.0; BANDS],
            input: [0.0; 2 * BANDS],
            hidden: [0.0; CHANNELS],
            inner: [0.0; CHANNELS],
            mixed: [0.0; CHANNELS],
            seen: false,
        })
    }

    /// The odds of a beat and of a downbeat, given every second frame of bands.
    pub(crate) fn push(&mut self, bands: &[f32; BANDS]) -> [f32; 2] {
        if !self.seen {
            (self.seen, self.before) = (true, *bands);
        }
        let (levels, rises) = self.input.split_at_mut(BANDS);
        for (((level, rise), x), y) in levels.iter_mut().zip(rises).zip(bands).zip(&self.before) {
            *level = x / 3.0;
            *rise = 2.0 * (x - y).max(0.0);
        }
        self.before = *bands;
        self.first.forward(&self.input, &mut self.hidden);
        for (past, mix) in &mut self.layers {
            past.forward(&self.hidden, &mut self.inner);
            elu(&mut self.inner);
            mix.forward(&self.inner, &mut self.mixed);
            for (y, m) in self.hidden.iter_mut().zip(&self.mixed) {
                *y += m;
            }
        }
        elu(&mut self.hidden);
        let mut logits = [0.0; 2];
        self.last.forward(&self.hidden, &mut logits);
        let [beat, downbeat] = logits.map(|logit| logit.clamp(-MOST, MOST).exp());
        [beat / BEAT_WEIGHT, downbeat / DOWNBEAT_WEIGHT]
    }

    pub(crate) fn reset(&mut self) {
        self.seen = false;
        for (past, _) in &mut self.layers {
            past.reset();
        }
    }
}

impl fmt::Debug for BeatNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BeatNet").finish_non_exhaustive()
    }
}

fn elu(values: &mut [f32]) {
    for x in values {
        *x = if *x > 0.0 { *x } else { x.exp_m1() };
    }
}

const CHANNELS: usize = 48;
const LAYERS: usize = 8;
const KERNEL: usize = 3;
/// What beats and downbeats counted for in training, against frames without.
const BEAT_WEIGHT: f32 = 3.0;
const DOWNBEAT_WEIGHT: f32 = 6.0;
/// Logits are kept within this, so that odds stay finite.
const MOST: f32 = 20.0;

#[cfg(test)]
mod tests {
    use super::*;

    /// Logits that `training/beats/export_onnx.py` computed with the training code and the same weights, when it wrote
    /// the `.onnx` file.
    #[test]
    fn answers_as_the_training_code_does() {
        let mut net = BeatNet::new().unwrap();
        for _ in 0..2 {
            let golden = include_str!("../../tests/data/beat_net.txt").lines();
            for (t, line) in golden.enumerate() {
                let level = |b: usize| ((t * 7 + b * 13 + t * b) % 29) as f32 / 7.0;
                let odds = net.push(&std::array::from_fn(level));
                let weights = [BEAT_WEIGHT, DOWNBEAT_WEIGHT];
                for ((odds, weight), expected) in odds.iter().zip(weights).zip(line.split(' ')) {
                    let expected: f32 = expected.parse().unwrap();
                    let expected = expected.clamp(-MOST, MOST);
                    let found = (odds * weight).ln();
                    assert!(
                        (found - expected).abs() < 1e-3,
                        "frame {t}: {found}, not {expected}; after a change of the weights run \
                         training/beats/export_onnx.py"
                    );
                }
            }
            net.reset();
        }
    }
}
