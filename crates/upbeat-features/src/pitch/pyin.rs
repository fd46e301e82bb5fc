use upbeat_core::{ConfigError, Continuity, FrameSpec, SampleIndex, Stage};

use super::difference::{Difference, Edges};
use super::track::Track;
use super::{C2, C7};

/// Settings of [`Pyin`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct PyinConfig {
    /// The frames that come in. Two periods of `fmin` must fit into one; five are better.
    pub frames: FrameSpec,
    /// The lowest pitch to find, in Hz. Default: 65.4, the note C2.
    pub fmin: f64,
    /// The highest pitch to find, in Hz. Default: 2093, the note C7.
    pub fmax: f64,
    /// How the frame's end is treated. Default: [`Edges::Zeros`], as in librosa.
    pub edges: Edges,
    /// Width of a pitch bin, in semitones, from 0.01 to 1. Default: 0.1.
    pub resolution: f64,
    /// The fastest change of pitch, in octaves per second. Default: 35.92.
    pub max_transition_rate: f64,
    /// How long a voiced or unvoiced passage lasts on average, in seconds. Default: 2.32, which is
    /// librosa's switching probability of 0.01 per frame at its default rate and hop.
    pub switch_time: f64,
    /// The probability of the deepest trough where none is below a threshold. Default: 0.01.
    pub no_trough_prob: f64,
    /// How long to wait, in seconds, before a frame's pitch is decided; rounded up to whole hops, at most
    /// 10 s. Default: 0.1.
    pub delay: f64,
}

impl PyinConfig {
    /// The usual settings for such frames.
    #[must_use]
    pub const fn new(frames: FrameSpec) -> Self {
        Self {
            frames,
            fmin: C2,
            fmax: C7,
            edges: Edges::Zeros,
            resolution: 0.1,
            max_transition_rate: 35.92,
            switch_time: 2.32,
            no_trough_prob: 0.01,
            delay: 0.1,
        }
    }
}

/// The pitch of one frame, chosen in the light of its neighbours.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrackedPitch {
    /// The fundamental frequency in Hz; `None` where the frame is unvoiced.
    pub frequency: Option<f32>,
    /// The probability that the frame is voiced, seen by itself: the sum over its candidates.
    pub voiced_probability: f32,
}

/// Fundamental frequency of a single voice, by pYIN: YIN's candidates with probabilities, and the most
/// likely path through them.
///
/// Consumes frames of `frame_length` samples, without a window; emits a [`TrackedPitch`] for each, as
/// soon as the frames of the next `delay` seconds have been seen.
///
/// *Candidates.* Every local minimum of the difference function d′ of [`Yin`](super::Yin) is one. Its
/// probability is the share of thresholds, distributed as Beta(2, 18), under which it would be chosen, a
/// shallow threshold preferring short periods (Boltzmann, λ = 2).
///
/// *Path.* The states of a hidden Markov model are the pitch bins, each voiced and unvoiced. Pitch moves by
/// a triangular distribution of at most `max_transition_rate`; voicing switches once per `switch_time`. The
/// state of the frame `delay` ago on the path that is the most likely one *now* is what is emitted. With
/// an endless delay that is librosa's answer; with 0.1 s nearly so, see the tests of this crate. Within the
/// bin on the path the frequency is the candidate's own, where the bin has one, and not the bin's centre.
///
/// The first frames of a stream come as late as all others, `delay` after the frame. What lies less than
/// `delay` before the end of a stream or a gap is never emitted. Latency: `delay` in whole hops.
///
/// d′ counts what lies beyond the frame, so that troughs get shallow as the period nears the frame length:
/// the voiced probability of a clean tone falls below 0.9 where fewer than five periods fit into a frame.
/// [`Edges::Pairs`] avoids that. A constant added to the signal hides quiet tones: remove it first.
///
/// Source: Mauch and Dixon, "pYIN: a fundamental frequency estimator using probabilistic threshold
/// distributions", ICASSP 2014; librosa 0.11. Left out: the paper's note model.
///
/// # Examples
///
/// ```
/// use upbeat_core::{FrameSpec, SampleIndex, SampleRate, Stage};
/// use upbeat_features::pitch::{Pyin, PyinConfig};
/// use upbeat_window::Framer;
///
/// let frames = FrameSpec::new(2048, 512, SampleRate::new(22_050)?)?;
/// let mut pitch = Framer::new(frames).then(Pyin::new(&PyinConfig::new(frames))?);
/// assert_eq!(pitch.latency(), 2047 + 5 * 512); // the frame itself, and 0.1 s
///
/// let e2: Vec<f32> = (0..22_050).map(|n| (n as f32 * 82.4 / 22_050.0 * std::f32::consts::TAU).sin()).collect();
/// pitch.process(SampleIndex(0), &e2, |_, pitch| {
///     assert!((pitch.frequency.unwrap() - 82.4).abs() < 0.5);
/// });
/// # Ok::<(), upbeat_core::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Pyin {
    difference: Difference,
    candidates: Candidates,
    track: Track,
    hop_length: u64,
    delay: u64,
    continuity: Continuity,
}

impl Pyin {
    /// Plans the transforms and allocates all that will ever be needed.
    ///
    /// # Errors
    ///
    /// If not 0 < `fmin` < `fmax` ≤ rate / 2, if two periods of `fmin` do not fit into a frame, if the
    /// frame is longer than 2²⁰ samples, if a setting is out of the range it states, or if the delay holds
    /// so many states that they would need more than 32 MB.
    pub fn new(config: &PyinConfig) -> Result<Self, ConfigError> {
        let PyinConfig { frames, fmin, fmax, edges, resolution, delay, .. } = *config;
        ConfigError::require(
            (0.01..=1.0).contains(&resolution),
            "resolution",
            "from 0.01 to 1",
            resolution,
        )?;
        let rate = config.max_transition_rate;
        ConfigError::require(rate > 0.0, "max_transition_rate", "above 0", rate)?;
        ConfigError::require(
            config.switch_time > 0.0,
            "switch_time",
            "above 0 s",
            config.switch_time,
        )?;
        let no_trough = config.no_trough_prob;
        ConfigError::require(
            (0.0..=1.0).contains(&no_trough),
            "no_trough_prob",
            "from 0 to 1",
            no_trough,
        )?;
        ConfigError::require((0.0..=10.0).contains(&delay), "delay", "from 0 to 10 s", delay)?;

        let difference = Difference::new(frames, fmin, fmax, edges)?;
        let bins_per_octave = 12.0 * (1.0 / resolution).ceil();
        let n_bins = (bins_per_octave * (fmax / fmin).log2()) as usize + 1;
        let delay = (delay * frames.frame_rate()).ceil() as usize;
        ConfigError::require(
            n_bins.saturating_mul(delay + 1) <= MAX_STATES,
            "delay",
            "shorter, or resolution coarser",
            config.delay,
        )?;

        // As librosa does, whole semitones: a band that is wide enough for the fastest change.
        let hop_seconds = frames.frame_rate().recip();
        let reach = (rate * 12.0 * hop_seconds).round().max(1.0) * bins_per_octave / 24.0;
        let reach = (reach.floor() as usize).min(n_bins - 1);
        let switch_prob = (hop_seconds / config.switch_time).min(0.5);
        let centres = (0..n_bins).map(|bin| fmin * (bin as f64 / bins_per_octave).exp2());
        Ok(Self {
            candidates: Candidates::new(
                difference.normalized().len(),
                no_trough,
                fmin,
                bins_per_octave,
            ),
            track: Track::new(centres.map(|hz| hz as f32).collect(), reach, switch_prob, delay),
            difference,
            hop_length: frames.hop_length() as u64,
            delay: delay as u64,
            continuity: Continuity::default(),
        })
    }
}

impl Stage for Pyin {
    type In = [f32];
    type Out = TrackedPitch;

    /// # Panics
    ///
    /// If the frame does not hold `frame_length` samples.
    fn process(
        &mut self,
        at: SampleIndex,
        frame: &[f32],
        mut emit: impl FnMut(SampleIndex, &TrackedPitch),
    ) {
        if self.continuity.advance(at, self.hop_length).is_some() {
            self.track.reset();
        }
        self.candidates.find(&mut self.difference, frame);
        self.track.begin();
        for candidate in &self.candidates.found {
            let hz = self.difference.frequency(candidate.index);
            if candidate.probability > 0.0
                && let Some(bin) = self.candidates.bin(hz, self.track.n_bins())
            {
                self.track.observe(bin, hz as f32, candidate.probability as f32);
            }
        }
        if let Some(decided) = self.track.decide() {
            emit(SampleIndex(at.0 - self.delay * self.hop_length), &decided);
        }
    }

    fn reset(&mut self) {
        self.track.reset();
        self.continuity = Continuity::default();
    }

    fn latency(&self) -> u64 {
        self.delay * self.hop_length
    }
}

/// The local minima of d′ and how likely each is the period.
#[derive(Clone, Debug)]
struct Candidates {
    /// Those of the last frame; never more than the capacity.
    found: Vec<Candidate>,
    /// The probability of each threshold, j / 100 for the one of index j − 1.
    thresholds: [f64; N_THRESHOLDS],
    /// The Boltzmann weight of each rank among the troughs below a threshold, not yet normalised.
    ranks: [f64; N_RANKS],
    no_trough_prob: f64,
    fmin: f64,
    bins_per_octave: f64,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    /// Where in d′.
    index: usize,
    /// d′ there.
    height: f32,
    probability: f64,
}

impl Candidates {
    fn new(lags: usize, no_trough_prob: f64, fmin: f64, bins_per_octave: f64) -> Self {
        let edge = |j: usize| beta_2_18(j as f64 / N_THRESHOLDS as f64);
        Self {
            // Two local minima are never neighbours.
            found: Vec::with_capacity(lags.div_ceil(2)),
            thresholds: std::array::from_fn(|j| edge(j + 1) - edge(j)),
            ranks: std::array::from_fn(|rank| (-BOLTZMANN * rank as f64).exp()),
            no_trough_prob,
            fmin,
            bins_per_octave,
        }
    }

    fn find(&mut self, difference: &mut Difference, frame: &[f32]) {
        self.found.clear();
        if !difference.update(frame) {
            return;
        }
        let values = difference.normalized();
        for index in difference.troughs() {
            self.found.push(Candidate { index, height: values[index], probability: 0.0 });
        }
        self.weigh();
    }

    /// Gives the candidates found their probabilities.
    fn weigh(&mut self) {
        for (j, &threshold_prob) in self.thresholds.iter().enumerate() {
            let threshold = (j + 1) as f32 / N_THRESHOLDS as f32;
            let below = || self.found.iter().filter(|c| c.height < threshold);
            // Ranks beyond the table weigh less than 1e-20.
            let count = below().take(N_RANKS).count();
            let scale = threshold_prob / self.ranks[..count].iter().sum::<f64>();
            let below = self.found.iter_mut().filter(|c| c.height < threshold);
            for (candidate, weight) in below.zip(&self.ranks) {
                candidate.probability += weight * scale;
            }
        }

        if let Some(deepest) =
            self.found.iter_mut().reduce(|a, b| if b.height < a.height { b } else { a })
        {
            let above = (1..=N_THRESHOLDS).take_while(|&j| {
                let threshold = j as f32 / N_THRESHOLDS as f32;
                deepest.height >= threshold
            });
            let missed: f64 = above.map(|j| self.thresholds[j - 1]).sum();
            deepest.probability += self.no_trough_prob * missed;
        }
    }

    /// The bin of a frequency in Hz, or `None` where it is above the highest.
    fn bin(&self, hz: f64, n_bins: usize) -> Option<usize> {
        let bin = (self.bins_per_octave * (hz / self.fmin).log2()).round().max(0.0) as usize;
        (bin < n_bins).then_some(bin)
    }
}

/// The distribution function of Beta(2, 18): the probability of two or more hits in 19 trials.
fn beta_2_18(x: f64) -> f64 {
    1.0 - (1.0 - x).powi(19) - 19.0 * x * (1.0 - x).powi(18)
}

const N_THRESHOLDS: usize = 100;
/// The decay of the weights of troughs, from the shortest period to the longest.
const BOLTZMANN: f64 = 2.0;
const N_RANKS: usize = 24;
/// Bins times frames held at most.
const MAX_STATES: usize = 1 << 22;

#[cfg(test)]
mod tests {
    use super::*;

    /// What librosa 0.11 gives for troughs of these heights, from the shortest period on.
    #[test]
    fn candidates_weigh_what_librosa_gives_them() {
        let cases: [(&[f32], &[f64]); 3] = [
            (&[0.055], &[0.757_160_133]),
            (&[0.125, 0.035, 0.085], &[0.274_347_346, 0.584_657_972, 0.032_139_177]),
            (&[1.2, 0.955, 0.505], &[0.0, 0.0, 0.010_037_766]),
        ];
        for (heights, expected) in cases {
            let mut candidates = Candidates::new(100, 0.01, 100.0, 120.0);
            candidates.found.extend(heights.iter().enumerate().map(|(index, height)| Candidate {
                index,
                height: *height,
                probability: 0.0,
            }));
            candidates.weigh();
            for (candidate, expected) in candidates.found.iter().zip(expected) {
                let found = candidate.probability;
                assert!((found - expected).abs() < 1e-6, "{heights:?}: {found} for {expected}");
            }
        }
    }
}
