//! The tempo of a whole track, from its curve of onset strength.
//!
//! In pieces of 12 s, half overlapping, the autocorrelation `r` of the curve (its mean over 1 s taken away, negative
//! parts cut) is read at the first four multiples of each beat period: `s(b) = mean of r(k · 60 / b), k = 1…4`. A prior
//! for tempi near 120, log-normal with a deviation of one octave as librosa's, weighs them (after Ellis, "Beat tracking
//! by dynamic programming", 2007). The track's tempo has the largest mean weighted score over all pieces. It is then
//! refined, within 2 %, to where the Fourier transform of the whole curve, at the beat's frequency and twice and four
//! times it, is largest, which tells tempi apart that differ by far less than a lag of the autocorrelation; where the
//! curve, folded at that period, is highest, is the beat.

use crate::{Tempo, TempoCandidate};

/// Onset strength over time.
#[derive(Clone, Debug)]
pub(crate) struct OnsetCurve {
    /// Values per second.
    rate: f64,
    /// When the first value is, in seconds.
    start: f64,
    values: Vec<f32>,
}

impl OnsetCurve {
    pub(crate) const fn new(rate: f64) -> Self {
        Self { rate, start: 0.0, values: Vec::new() }
    }

    pub(crate) fn push(&mut self, seconds: f64, value: f32) {
        if self.values.is_empty() {
            self.start = seconds;
        }
        self.values.push(if value.is_finite() { value } else { 0.0 });
    }

    /// Fills what was lost with nothing, so that what follows is in its place.
    pub(crate) fn skip_to(&mut self, seconds: f64) {
        let place = ((seconds - self.start) * self.rate).round().clamp(0.0, LONGEST) as usize;
        if !self.values.is_empty() && place > self.values.len() {
            self.values.resize(place, 0.0);
        }
    }
}

/// What was found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) tempo: Tempo,
    pub(crate) stability: Option<f32>,
}

/// The tempo, unless the curve is shorter than 8 s or has no period.
pub(crate) fn estimate(curve: &OnsetCurve) -> Option<Found> {
    let OnsetCurve { rate, start, values } = curve;
    let flux = rises(values, *rate);
    if (flux.len() as f64) < 8.0 * rate {
        return None;
    }
    let grid = Grid::new(*rate);
    let length = ((PIECE * rate) as usize).min(flux.len());
    let pieces: Vec<Vec<f32>> = (0..=flux.len() - length)
        .step_by((length / 2).max(1))
        .filter_map(|at| grid.scores(&flux[at..][..length]))
        .collect();
    let n = pieces.len();
    if n == 0 {
        return None;
    }
    let mut mean = vec![0.0; grid.tempi.len()];
    for piece in &pieces {
        for (sum, score) in mean.iter_mut().zip(piece) {
            *sum += score / n as f32;
        }
    }
    let best = grid.best(&mean);
    if mean[best] < FAINT {
        return None;
    }
    let bpm = refine(&flux, *rate, f64::from(grid.tempi[best]));

    let own: Vec<f32> = pieces.iter().map(|piece| grid.tempi[grid.best(piece)]).collect();
    let share = |agrees: &dyn Fn(f32) -> bool| {
        own.iter().filter(|own| agrees(**own / bpm as f32)).count() as f32 / n as f32
    };
    let same = share(&|ratio| (ratio - 1.0).abs() < 0.04);
    let steady =
        share(&|ratio| [0.5, 1.0, 2.0].iter().any(|octave| (ratio / octave - 1.0).abs() < 0.01));

    let (alternatives, weight) = grid.alternatives(&mean, bpm as f32);
    let beat = phase(&flux, *rate, bpm) + start + ATTACK * 2048.0 / 44_100.0;
    let period = 60.0 / bpm;
    Some(Found {
        tempo: Tempo {
            bpm: bpm as f32,
            confidence: same * weight.sqrt(),
            first_beat: Some(beat.rem_euclid(period)),
            alternatives,
        },
        stability: (values.len() as f64 >= PIECE * rate).then_some(steady),
    })
}

/// By how much the curve exceeds its mean over a second.
fn rises(values: &[f32], rate: f64) -> Vec<f32> {
    let half = (rate / 2.0) as usize;
    let mut sums = vec![0.0_f64];
    for value in values {
        sums.push(sums[sums.len() - 1] + f64::from(*value));
    }
    let mean = |at: usize| {
        let (from, to) = (at.saturating_sub(half), (at + half + 1).min(values.len()));
        ((sums[to] - sums[from]) / (to - from) as f64) as f32
    };
    values.iter().enumerate().map(|(at, value)| (value - mean(at)).max(0.0)).collect()
}

/// The tempi that are tried.
struct Grid {
    tempi: Vec<f32>,
    prior: Vec<f32>,
    rate: f64,
    /// The longest lag needed.
    lags: usize,
}

impl Grid {
    fn new(rate: f64) -> Self {
        let steps = ((FASTEST / SLOWEST).ln() / STEP).ceil() as usize;
        let tempi: Vec<f32> =
            (0..=steps).map(|i| (SLOWEST * (STEP * i as f64).exp()) as f32).collect();
        let prior = tempi.iter().map(|bpm| (-0.5 * (bpm / 120.0).log2().powi(2)).exp()).collect();
        Self { tempi, prior, rate, lags: (60.0 / SLOWEST * TEETH as f64 * rate) as usize + 2 }
    }

    /// How much speaks for each tempo, or nothing in silence.
    fn scores(&self, flux: &[f32]) -> Option<Vec<f32>> {
        let mean = flux.iter().sum::<f32>() / flux.len() as f32;
        let centred: Vec<f32> = flux.iter().map(|x| x - mean).collect();
        let product = |lag: usize| {
            let pairs = centred.iter().zip(&centred[lag.min(flux.len())..]);
            pairs.map(|(a, b)| a * b).sum::<f32>()
                / (flux.len() - lag.min(flux.len())).max(1) as f32
        };
        let power = product(0);
        // The fewer pairs a lag has, the less it says.
        let reach = self.lags.min(flux.len() * 3 / 4);
        let correlation: Vec<f32> =
            (0..reach).map(|lag| product(lag) / power.max(f32::MIN_POSITIVE)).collect();
        let at = |lag: f64| {
            let index = lag as usize;
            let part = (lag - index as f64) as f32;
            Some(correlation.get(index)? * (1.0 - part) + correlation.get(index + 1)? * part)
        };
        let score = |bpm: &f32| {
            let period = 60.0 / f64::from(*bpm) * self.rate;
            let teeth = (1..=TEETH).map_while(|k| at(period * k as f64));
            let (sum, n) = teeth.fold((0.0, 0), |(sum, n), tooth| (sum + tooth, n + 1));
            if n == 0 { 0.0 } else { (sum / n as f32).max(0.0) }
        };
        (power > QUIET).then(|| self.tempi.iter().map(score).collect())
    }

    fn weighted(&self, scores: &[f32], index: usize) -> f32 {
        scores[index] * self.prior[index]
    }

    fn best(&self, scores: &[f32]) -> usize {
        let order =
            |a: &usize, b: &usize| self.weighted(scores, *a).total_cmp(&self.weighted(scores, *b));
        (0..scores.len()).max_by(order).unwrap_or(0)
    }

    /// Half, two thirds, one and a half times and twice the tempo, with their weights; and the weight of itself.
    fn alternatives(&self, scores: &[f32], bpm: f32) -> (Vec<TempoCandidate>, f32) {
        let weight = |bpm: f32| {
            let near = |tempo: &f32| (tempo / bpm - 1.0).abs() < 0.02;
            let indices = (0..scores.len()).filter(|i| near(&self.tempi[*i]));
            indices.map(|i| self.weighted(scores, i)).fold(0.0, f32::max)
        };
        let mut others: Vec<TempoCandidate> = [0.5, 2.0 / 3.0, 1.5, 2.0]
            .map(|ratio| TempoCandidate { bpm: bpm * ratio, weight: weight(bpm * ratio) })
            .into_iter()
            .filter(|other| other.weight > 0.0)
            .collect();
        others.sort_by(|a, b| b.weight.total_cmp(&a.weight));
        let own = weight(bpm);
        let total = own + others.iter().map(|other| other.weight).sum::<f32>();
        for other in &mut others {
            other.weight /= total.max(f32::MIN_POSITIVE);
        }
        (others, if total > 0.0 { own / total } else { 1.0 })
    }
}

/// The tempo within 2 % of `bpm` that the whole curve has most of.
fn refine(flux: &[f32], rate: f64, bpm: f64) -> f64 {
    let seconds = flux.len() as f64 / rate;
    // An eighth of what the length of the curve can resolve.
    let step = (60.0 / seconds / 8.0).min(bpm * 0.001);
    let steps = (bpm * 0.02 / step).ceil() as i32;
    let strength = |bpm: f64| {
        [1.0, 2.0, 4.0].map(|k| magnitude(flux, bpm * k / 60.0 / rate)).iter().sum::<f64>()
    };
    let tried: Vec<(f64, f64)> =
        (-steps..=steps).map(|i| bpm + f64::from(i) * step).map(|b| (b, strength(b))).collect();
    let Some(peak) = (0..tried.len()).max_by(|a, b| tried[*a].1.total_cmp(&tried[*b].1)) else {
        return bpm;
    };
    if peak == 0 || peak + 1 == tried.len() {
        return bpm; // No peak: the tempo changes too much.
    }
    let (left, middle, right) = (tried[peak - 1].1, tried[peak].1, tried[peak + 1].1);
    let bend = left - 2.0 * middle + right;
    let shift = if bend < 0.0 { 0.5 * (left - right) / bend } else { 0.0 };
    tried[peak].0 + shift * step
}

/// `|Σ x(t) e^(−2πi f t)|`, `f` in cycles per value.
fn magnitude(flux: &[f32], frequency: f64) -> f64 {
    let (step_sin, step_cos) = (std::f64::consts::TAU * frequency).sin_cos();
    let (mut re, mut im, mut cos, mut sin) = (0.0, 0.0, 1.0, 0.0);
    for x in flux {
        re += f64::from(*x) * cos;
        im -= f64::from(*x) * sin;
        (cos, sin) = (cos * step_cos - sin * step_sin, sin * step_cos + cos * step_sin);
    }
    f64::hypot(re, im)
}

/// When, in seconds after the first value, the beat falls.
fn phase(flux: &[f32], rate: f64, bpm: f64) -> f64 {
    let period = 60.0 / bpm * rate;
    let mut folded = [0.0_f64; BINS];
    for (at, x) in flux.iter().enumerate() {
        let place = (at as f64 / period).fract() * BINS as f64;
        let (bin, part) = (place as usize, place.fract());
        folded[bin % BINS] += f64::from(*x) * (1.0 - part);
        folded[(bin + 1) % BINS] += f64::from(*x) * part;
    }
    // Over about 50 ms at 120 beats per minute.
    let around = |bin: usize, by: usize| folded[(bin + BINS + by - SPREAD) % BINS];
    let sum = |bin: usize| (0..=2 * SPREAD).map(|by| around(bin, by)).sum::<f64>();
    let peak = (0..BINS).max_by(|a, b| sum(*a).total_cmp(&sum(*b))).unwrap_or(0);
    let moment =
        (0..=2 * SPREAD).map(|by| (by as f64 - SPREAD as f64) * around(peak, by)).sum::<f64>();
    let centre = peak as f64 + moment / sum(peak).max(f64::MIN_POSITIVE);
    centre / BINS as f64 * 60.0 / bpm
}

/// Seconds in a piece.
const PIECE: f64 = 12.0;
/// The range of tempi, and the step of their logarithm.
const SLOWEST: f64 = 40.0;
const FASTEST: f64 = 240.0;
const STEP: f64 = 0.005;
/// How many multiples of a period are looked at.
const TEETH: usize = 4;
/// A mean correlation below which there is no beat: noise stays below 0.05, see the tests.
const FAINT: f32 = 0.1;
/// The variance of the curve, in dB², below which nothing happens: a steady tone has 1e-6, music 1 and more.
const QUIET: f32 = 0.01;
/// Where in a frame, as a share of its length, an attack lies when the onset strength is highest; measured on clicks.
const ATTACK: f64 = 0.75;
/// Bins that a beat is folded into, and how many beside a bin belong to it.
const BINS: usize = 200;
const SPREAD: usize = 10;
/// Values kept at most, days of sound.
const LONGEST: f64 = 1e8;

#[cfg(test)]
mod tests {
    use super::*;
    use upbeat_testkit::signal::Random;

    const RATE: f64 = 44_100.0 / 512.0;

    /// Strokes at these times, of these strengths times 10 dB, on noise.
    fn curve(strokes: &[(f64, f32)], seconds: f64, noise: f32) -> OnsetCurve {
        let mut random = Random::new(1);
        let mut curve = OnsetCurve::new(RATE);
        for at in 0..(seconds * RATE) as usize {
            curve.push(at as f64 / RATE, 10.0 * noise * random.unit() as f32);
        }
        for (time, strength) in strokes {
            let place = time * RATE;
            let (index, part) = (place as usize, place.fract() as f32);
            for (index, share) in [(index, 1.0 - part), (index + 1, part)] {
                if let Some(value) = curve.values.get_mut(index) {
                    *value += 10.0 * strength * share;
                }
            }
        }
        curve
    }

    fn beats(bpm: f64, first: f64, seconds: f64, between: f32) -> Vec<(f64, f32)> {
        let period = 60.0 / bpm;
        let n = ((seconds - first) / period) as usize;
        (0..2 * n)
            .map(|i| (first + period / 2.0 * i as f64, if i % 2 == 0 { 1.0 } else { between }))
            .collect()
    }

    #[test]
    fn a_steady_beat_is_found_exactly() {
        // The slower, the weaker what is between the beats must be, or it is taken for one.
        let tempi = [
            (71.3, 0.21, 0.1),
            (97.5, 0.0, 0.4),
            (120.0, 0.1, 0.4),
            (128.02, 0.3, 0.4),
            (174.0, 0.05, 0.4),
        ];
        for (bpm, first, between) in tempi {
            let found = estimate(&curve(&beats(bpm, first, 60.0, between), 60.0, 0.1)).unwrap();
            let Tempo { bpm: heard, first_beat, confidence, alternatives } = found.tempo;
            assert!((f64::from(heard) / bpm - 1.0).abs() < 0.0005, "{heard} is not {bpm}");
            let late = first_beat.unwrap() - first - ATTACK * 2048.0 / 44_100.0;
            let period = 60.0 / bpm;
            let late = (late + period / 2.0).rem_euclid(period) - period / 2.0;
            assert!(late.abs() < 0.012, "the beat of {bpm} comes {late} s late");
            assert!(confidence > 0.5 && confidence <= 1.0);
            assert_eq!(found.stability, Some(1.0));
            let weights: f32 = alternatives.iter().map(|a| a.weight).sum();
            assert!(
                weights < 1.0
                    && alternatives.iter().any(|a| (a.bpm / heard - 2.0).abs() < 1e-3
                        || (a.bpm / heard - 0.5).abs() < 1e-3)
            );
        }
    }

    #[test]
    fn noise_silence_and_a_moment_have_no_tempo() {
        for seed in 0..20 {
            let mut random = Random::new(seed);
            let mut curve = OnsetCurve::new(RATE);
            for at in 0..(30.0 * RATE) as usize {
                curve.push(at as f64 / RATE, random.unit() as f32);
            }
            assert!(estimate(&curve).is_none(), "noise {seed} has no beat");
        }
        assert!(estimate(&curve(&[], 30.0, 0.0)).is_none());
        assert!(estimate(&OnsetCurve::new(RATE)).is_none());
        assert!(estimate(&curve(&beats(120.0, 0.0, 7.0, 0.0), 7.0, 0.0)).is_none());
    }

    #[test]
    fn a_tempo_that_changes_is_not_stable_or_none() {
        let mut strokes = beats(120.0, 0.0, 36.0, 0.3);
        strokes.extend(beats(133.0, 0.0, 24.0, 0.3).iter().map(|(time, x)| (36.0 + time, *x)));
        let found = estimate(&curve(&strokes, 60.0, 0.1)).unwrap();
        assert!((found.tempo.bpm - 120.0).abs() < 0.2, "the longer one: {found:?}");
        assert!(found.stability.unwrap() < 0.7 && found.tempo.confidence < 0.7, "{found:?}");

        let (mut strokes, mut time) = (Vec::new(), 0.0);
        while time < 60.0 {
            strokes.push((time, 1.0));
            time += 60.0 / (100.0 + time);
        }
        assert!(estimate(&curve(&strokes, 60.0, 0.1)).is_none());
    }

    #[test]
    fn what_was_lost_is_left_out_in_time() {
        let mut curve = OnsetCurve::new(100.0);
        curve.push(0.0, 1.0);
        curve.skip_to(0.5);
        curve.push(0.5, 2.0);
        assert_eq!((curve.values.len(), curve.values[50]), (51, 2.0));
    }
}
