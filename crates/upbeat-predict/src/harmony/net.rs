use super::chord::Quality;
use super::pitch_spectrum::PitchSpectrum;
use super::tensors::Tensors;
use upbeat_core::ConfigError;

/// The chord network: rows of a pitch spectrum in, how well each chord fits out, five rows later.
///
/// It commutes with transposition. A convolution along the pitch axis (±2 octaves, which holds the
/// partials) makes [`PARTIALS`] layers of 84 semitones; each is summed over the octaves with
/// [`REGISTERS`] weightings of its own, piecewise linear over the octaves (bass, treble); a convolution
/// along the circle of pitch classes makes [`HIDDEN`] values for each of the 12 roots; two residual
/// convolutions in time look 5 rows ahead and 7 back; a linear map gives one logit per root and
/// quality, and one for no chord from the mean over roots. Rectifiers between.
///
/// All sums run over the 12 roots (or 28 semitones) at once, which the compiler turns into vector
/// arithmetic.
#[derive(Clone, Debug)]
pub(crate) struct ChordNet {
    weights: Weights,
    /// The three layers of the pitch spectrum, with zeros around them.
    padded: Box<[[f32; PADDED]; THIRDS]>,
    layers: Box<[[f32; SEMITONES]; PARTIALS]>,
    /// One value per root for each register of each layer, rotated by 0 to 11 semitones.
    rotated: Box<[Roots; FOLDED * 12]>,
    /// The last rows of hidden values, before and after the first convolution in time.
    hidden: Ring<NEAR_ROWS>,
    near: Ring<FAR_ROWS>,
    logits: Box<[f32; CLASSES]>,
}

/// One value for each of the 12 roots.
type Roots = [f32; 12];
/// The hidden values of one row.
type Row = [Roots; HIDDEN];

#[derive(Clone, Debug)]
struct Weights {
    /// By layer, third of a semitone, and tap.
    pitch: Box<[f32]>,
    pitch_bias: Box<[f32]>,
    /// By layer, register, and semitone.
    registers: Box<[f32]>,
    class: Dense,
    near: Dense,
    far: Dense,
    quality: Box<[f32]>,
    quality_bias: Box<[f32]>,
    silence: Box<[f32]>,
    silence_bias: f32,
}

impl ChordNet {
    /// How many rows it looks ahead.
    pub(crate) const AHEAD: usize = 5;

    /// Reads the weights that ship with the crate.
    pub(crate) fn new() -> Result<Self, ConfigError> {
        let tensors = Tensors::read(include_bytes!("../../weights/chords.safetensors"))?;
        Ok(Self {
            weights: Weights::read(&tensors)?,
            padded: Box::new([[0.0; PADDED]; THIRDS]),
            layers: Box::new([[0.0; SEMITONES]; PARTIALS]),
            rotated: Box::new([[0.0; 12]; FOLDED * 12]),
            hidden: Ring::new(),
            near: Ring::new(),
            logits: Box::new([0.0; CLASSES]),
        })
    }

    /// Takes the next row; from the sixth on returns the logits of the row five before it.
    pub(crate) fn push(&mut self, bands: &[f32]) -> Option<&[f32; CLASSES]> {
        self.convolve_pitch(bands);
        self.fold();
        let Self { weights, rotated, hidden, near, .. } = self;
        weights.class.apply(&rotated.iter(), hidden.next());

        // Row t − 2, from the rows t − 4 to t.
        let (middle, inputs) = hidden.look([4, 3, 2, 1, 0], 2)?;
        residual(&weights.near, &inputs, middle, near.next());

        // Row t − 2 − 3, from every other row of the eight before t − 2.
        let (middle, inputs) = near.look([8, 6, 4, 2, 0], 3)?;
        let mut last = [[0.0; 12]; HIDDEN];
        residual(&weights.far, &inputs, middle, &mut last);
        weights.classify(&last, &mut self.logits);
        Some(&self.logits)
    }

    pub(crate) fn reset(&mut self) {
        self.hidden.clear();
        self.near.clear();
    }

    fn convolve_pitch(&mut self, bands: &[f32]) {
        for (semitone, thirds) in bands.chunks_exact(THIRDS).enumerate() {
            for (row, value) in self.padded.iter_mut().zip(thirds) {
                row[BELOW + semitone] = *value;
            }
        }
        let kernels = self.weights.pitch.chunks_exact(THIRDS * TAPS);
        for ((layer, kernel), bias) in
            self.layers.iter_mut().zip(kernels).zip(&*self.weights.pitch_bias)
        {
            for (piece, out) in layer.chunks_exact_mut(PIECE).enumerate() {
                let mut sum = [*bias; PIECE];
                for (row, taps) in self.padded.iter().zip(kernel.chunks_exact(TAPS)) {
                    for (tap, weight) in taps.iter().enumerate() {
                        let inputs = &row[piece * PIECE + tap..][..PIECE];
                        for (s, x) in sum.iter_mut().zip(inputs) {
                            *s += weight * x;
                        }
                    }
                }
                for (o, s) in out.iter_mut().zip(sum) {
                    *o = s.max(0.0);
                }
            }
        }
    }

    fn fold(&mut self) {
        let registers = self.weights.registers.chunks_exact(SEMITONES);
        for (folded, register) in registers.enumerate() {
            let layer = &self.layers[folded / REGISTERS];
            let mut roots = [0.0; 12];
            for (octave, weights) in layer.chunks_exact(12).zip(register.chunks_exact(12)) {
                for ((r, x), w) in roots.iter_mut().zip(octave).zip(weights) {
                    *r += w * x;
                }
            }
            for (by, out) in self.rotated[folded * 12..][..12].iter_mut().enumerate() {
                out[..12 - by].copy_from_slice(&roots[by..]);
                out[12 - by..].copy_from_slice(&roots[..by]);
            }
        }
    }
}

impl Weights {
    fn read(tensors: &Tensors<'_>) -> Result<Self, ConfigError> {
        let knots = tensors.of::<f32>("register", FOLDED * KNOTS)?;
        let mut registers = Vec::with_capacity(FOLDED * SEMITONES);
        for knots in knots.chunks_exact(KNOTS) {
            for semitone in 0..SEMITONES {
                let (octave, share) = (semitone / 12, (semitone % 12) as f32 / 12.0);
                registers.push(knots[octave] * (1.0 - share) + knots[octave + 1] * share);
            }
        }
        Ok(Self {
            pitch: tensors.of("pitch_weight", PARTIALS * THIRDS * TAPS)?,
            pitch_bias: tensors.of("pitch_bias", PARTIALS)?,
            registers: registers.into(),
            class: Dense::read(tensors, "class", FOLDED, 12, Order::InputFirst)?,
            near: Dense::read(tensors, "near", HIDDEN, 5, Order::TapFirst)?,
            far: Dense::read(tensors, "far", HIDDEN, 5, Order::TapFirst)?,
            quality: tensors.of("quality_weight", QUALITIES * HIDDEN)?,
            quality_bias: tensors.of("quality_bias", QUALITIES)?,
            silence: tensors.of("silence_weight", HIDDEN)?,
            silence_bias: tensors.of::<f32>("silence_bias", 1)?[0],
        })
    }

    fn classify(&self, hidden: &Row, logits: &mut [f32; CLASSES]) {
        let kernels = self.quality.chunks_exact(HIDDEN);
        for (quality, (kernel, bias)) in kernels.zip(&*self.quality_bias).enumerate() {
            let mut sum = [*bias; 12];
            for (weight, roots) in kernel.iter().zip(hidden) {
                for (s, x) in sum.iter_mut().zip(roots) {
                    *s += weight * x;
                }
            }
            for (root, s) in sum.into_iter().enumerate() {
                logits[root * QUALITIES + quality] = s;
            }
        }
        let means = hidden.iter().map(|roots| roots.iter().sum::<f32>() / 12.0);
        let silence: f32 = self.silence.iter().zip(means).map(|(w, x)| w * x).sum();
        logits[NO_CHORD] = silence + self.silence_bias;
    }
}

/// `out = middle + max(0, dense(inputs))`.
fn residual<'a>(
    dense: &Dense,
    inputs: &(impl Iterator<Item = &'a Roots> + Clone),
    middle: &Row,
    out: &mut Row,
) {
    dense.apply(inputs, out);
    for (out, middle) in out.as_flattened_mut().iter_mut().zip(middle.as_flattened()) {
        *out += middle;
    }
}

/// A rectified linear map to [`HIDDEN`] values, the same for each root.
#[derive(Clone, Debug)]
struct Dense {
    /// By block of [`BLOCK`] outputs, input, and output in the block.
    weights: Box<[f32]>,
    bias: Box<[f32]>,
}

/// Which varies more slowly in the inputs that a [`Dense`] is given.
#[derive(Clone, Copy)]
enum Order {
    InputFirst,
    TapFirst,
}

impl Dense {
    /// Reads a convolution's weights, by output, input and tap.
    fn read(
        tensors: &Tensors<'_>,
        name: &str,
        inputs: usize,
        taps: usize,
        order: Order,
    ) -> Result<Self, ConfigError> {
        let file = tensors.of::<f32>(&format!("{name}_weight"), HIDDEN * inputs * taps)?;
        let mut weights = Vec::with_capacity(file.len());
        for block in 0..HIDDEN / BLOCK {
            for term in 0..inputs * taps {
                let term = match order {
                    Order::InputFirst => term,
                    Order::TapFirst => term % inputs * taps + term / inputs,
                };
                for output in 0..BLOCK {
                    weights.push(file[(block * BLOCK + output) * inputs * taps + term]);
                }
            }
        }
        Ok(Self { weights: weights.into(), bias: tensors.of(&format!("{name}_bias"), HIDDEN)? })
    }

    fn apply<'a>(&self, inputs: &(impl Iterator<Item = &'a Roots> + Clone), out: &mut Row) {
        let blocks = self.weights.chunks_exact(self.weights.len() / (HIDDEN / BLOCK));
        let biases = self.bias.chunks_exact(BLOCK);
        for ((out, weights), biases) in out.chunks_exact_mut(BLOCK).zip(blocks).zip(biases) {
            let mut sums = [[0.0; 12]; BLOCK];
            for (weights, roots) in weights.chunks_exact(BLOCK).zip(inputs.clone()) {
                for (sum, weight) in sums.iter_mut().zip(weights) {
                    for (s, x) in sum.iter_mut().zip(roots) {
                        *s += weight * x;
                    }
                }
            }
            for ((out, sum), bias) in out.iter_mut().zip(sums).zip(biases) {
                *out = sum.map(|s| (s + bias).max(0.0));
            }
        }
    }
}

/// The last `N` rows; rows before the first are 0.
#[derive(Clone, Debug)]
struct Ring<const N: usize> {
    rows: Box<[Row; N]>,
    newest: usize,
    seen: usize,
}

impl<const N: usize> Ring<N> {
    fn new() -> Self {
        Self { rows: Box::new([[[0.0; 12]; HIDDEN]; N]), newest: 0, seen: 0 }
    }

    /// The oldest row, to be overwritten by the newest.
    fn next(&mut self) -> &mut Row {
        self.newest = (self.newest + 1) % N;
        self.seen = (self.seen + 1).min(N);
        &mut self.rows[self.newest]
    }

    /// The row `middle` before the newest, and all values of the rows so far back; `None` before there is a
    /// middle one.
    fn look<const K: usize>(
        &self,
        back: [usize; K],
        middle: usize,
    ) -> Option<(&Row, impl Iterator<Item = &Roots> + Clone)> {
        let row = move |back: usize| &self.rows[(self.newest + N - back) % N];
        (self.seen > middle).then(|| (row(middle), back.into_iter().flat_map(row)))
    }

    fn clear(&mut self) {
        self.rows.fill([[0.0; 12]; HIDDEN]);
        self.seen = 0;
    }
}

/// How many of [`Quality::ALL`] the network tells apart: the first ones.
pub(crate) const QUALITIES: usize = 11;
/// Chords by root, then quality; then no chord.
pub(crate) const CLASSES: usize = 12 * QUALITIES + 1;
pub(crate) const NO_CHORD: usize = CLASSES - 1;

const _: () = assert!(QUALITIES <= Quality::ALL.len());

const THIRDS: usize = PitchSpectrum::PER_SEMITONE;
const SEMITONES: usize = PitchSpectrum::SEMITONES;
const KNOTS: usize = SEMITONES / 12 + 1;
const PARTIALS: usize = 6;
const REGISTERS: usize = 3;
const FOLDED: usize = PARTIALS * REGISTERS;
const HIDDEN: usize = 32;
/// The pitch kernel's reach, in semitones.
const BELOW: usize = 24;
const ABOVE: usize = 28;
const TAPS: usize = BELOW + 1 + ABOVE;
const PADDED: usize = BELOW + SEMITONES + ABOVE;
const NEAR_ROWS: usize = 5;
const FAR_ROWS: usize = 9;
/// Outputs summed side by side: their sums and one input fill the 16 registers of SSE.
const BLOCK: usize = 4;
/// Semitones summed side by side.
const PIECE: usize = 28;

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Vec<f32>> {
        let value = |t: usize, b: usize| ((t * 7 + b * 13 + t * b) % 29) as f32 / 29.0;
        (0..20).map(|t| (0..PitchSpectrum::BANDS).map(|b| value(t, b)).collect()).collect()
    }

    /// Logits that `training/harmony/golden.py` computed with the training code and the same weights.
    #[test]
    fn answers_as_the_training_code_does() {
        let mut net = ChordNet::new().unwrap();
        let mut golden = include_str!("../../tests/data/chord_net.txt").lines();
        for _ in 0..2 {
            for (n, row) in rows().iter().enumerate() {
                let Some(logits) = net.push(row) else {
                    assert!(n < ChordNet::AHEAD);
                    continue;
                };
                let line = golden.next().unwrap();
                for (found, expected) in logits.iter().zip(line.split(' ')) {
                    let expected: f32 = expected.parse().unwrap();
                    assert!((found - expected).abs() < 1e-3, "row {n}: {found}, not {expected}");
                }
            }
            assert!(golden.next().is_none());
            golden = include_str!("../../tests/data/chord_net.txt").lines();
            net.reset();
        }
    }

    /// The chord that fits best when the semitones `pitches` sound for a second.
    fn heard(pitches: &[usize]) -> usize {
        let mut row = vec![0.0; PitchSpectrum::BANDS];
        for pitch in pitches {
            for (partial, above) in [0, 12, 19, 24, 28].into_iter().enumerate() {
                row[(pitch + above) * THIRDS + 1] += 2.0 / (1.0 + partial as f32);
            }
        }
        let mut net = ChordNet::new().unwrap();
        for _ in 0..9 {
            net.push(&row);
        }
        let logits = net.push(&row).unwrap();
        (0..CLASSES).max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap()
    }

    #[test]
    fn hears_a_chord_in_each_key_alike() {
        for root in 0..12 {
            assert_eq!(heard(&[12 + root, 24 + root, 28 + root, 31 + root]), root * QUALITIES);
            assert_eq!(heard(&[12 + root, 24 + root, 27 + root, 31 + root]), root * QUALITIES + 1);
        }
    }
}
