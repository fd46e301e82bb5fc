use upbeat_core::{ConfigError, FrameSpec, SampleIndex, Stage};

use super::difference::{Difference, Edges};
use super::{C2, C7};

/// Settings of [`Yin`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct YinConfig {
    /// The frames that come in. Two periods of `fmin` must fit into one.
    pub frames: FrameSpec,
    /// The lowest pitch to find, in Hz. Default: 65.4, the note C2.
    pub fmin: f64,
    /// The highest pitch to find, in Hz. Default: 2093, the note C7.
    pub fmax: f64,
    /// How the frame's end is treated. Default: [`Edges::Zeros`], as in librosa.
    pub edges: Edges,
    /// The first trough of d′ below this gives the period, the deepest one where none is. Default: 0.1.
    pub trough_threshold: f32,
    /// A frame of at most this aperiodicity has a pitch. Default: 0.2.
    pub max_aperiodicity: f32,
}

impl YinConfig {
    /// The usual settings for such frames.
    #[must_use]
    pub const fn new(frames: FrameSpec) -> Self {
        Self {
            frames,
            fmin: C2,
            fmax: C7,
            edges: Edges::Zeros,
            trough_threshold: 0.1,
            max_aperiodicity: 0.2,
        }
    }
}

/// The pitch of one frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pitch {
    /// The fundamental frequency in Hz; `None` where the frame has no pitch.
    pub frequency: Option<f32>,
    /// How little the frame resembles itself one period later: 0 for a periodic frame, about 1 for noise
    /// and for silence, at most 2.
    pub aperiodicity: f32,
}

/// Fundamental frequency of a single voice, by YIN.
///
/// Consumes frames of `frame_length` samples, without a window; emits a [`Pitch`] for each. The
/// difference function of frame `y` of `N` samples, taken as 0 beyond its end, is
///
/// ```text
/// d(k)  = Σ_{m<N} (y[m] − y[m + k])²            (see Edges)
/// d′(k) = d(k) / (Σ_{j=1}^{k} d(j) / k)
/// ```
///
/// for lags `k` from ⌊rate / `fmax`⌋ to ⌈rate / `fmin`⌉. The first local minimum of d′ below
/// `trough_threshold`, else the deepest one, is refined by a parabola and gives the period. This is
/// `librosa.yin(center=False)`, except that a frame whose *aperiodicity* exceeds `max_aperiodicity`, or
/// whose best period is the shortest or the longest one, has no pitch, where librosa gives one to every
/// frame. The aperiodicity is `1 − r`, where `r` is the
/// correlation, over the mean energy of the two, of the frame's first `N − T` samples with its last
/// `N − T`, for the period `T` found. (d′ itself will not do: as it counts what lies beyond the frame, it
/// grows with the period, up to 0.3 for a pure tone at the lowest pitch; see [`Edges`] for that.)
///
/// Tones of many partials are found within 5 cents down to periods of 24 samples, within 20 cents beyond.
/// Each frame stands for itself, the first one included. Of the paper's steps, the last, a search in the
/// neighbourhood of each estimate, is left out: it looks ahead.
///
/// Source: de Cheveigné and Kawahara, "YIN, a fundamental frequency estimator for speech and music",
/// JASA 111(4), 2002; librosa 0.11.
///
/// # Examples
///
/// ```
/// use upbeat_core::{FrameSpec, SampleIndex, SampleRate, Stage};
/// use upbeat_features::pitch::{Yin, YinConfig};
/// use upbeat_window::Framer;
///
/// let rate = SampleRate::new(44_100)?;
/// let frames = FrameSpec::new(2048, 512, rate)?;
/// let mut pitch = Framer::new(frames).then(Yin::new(&YinConfig::new(frames))?);
///
/// let a4: Vec<f32> = (0..4096).map(|n| (n as f32 * 440.0 / 44_100.0 * std::f32::consts::TAU).sin()).collect();
/// pitch.process(SampleIndex(0), &a4, |_, pitch| {
///     assert!((pitch.frequency.unwrap() - 440.0).abs() < 1.0);
///     assert!(pitch.aperiodicity < 0.01);
/// });
///
/// // A window that cannot hold a pitch is refused, and the error says which one would do.
/// let mut low = YinConfig::new(frames);
/// low.fmin = 30.0;
/// assert!(Yin::new(&low).unwrap_err().to_string().contains("frame_length must be at least 2940"));
/// # Ok::<(), upbeat_core::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Yin {
    difference: Difference,
    trough_threshold: f32,
    max_aperiodicity: f32,
}

impl Yin {
    /// Plans the transforms and allocates all that will ever be needed.
    ///
    /// # Errors
    ///
    /// If not 0 < `fmin` < `fmax` ≤ rate / 2, if two periods of `fmin` do not fit into a frame, if the
    /// frame is longer than 2²⁰ samples, or if a threshold is not above 0.
    pub fn new(config: &YinConfig) -> Result<Self, ConfigError> {
        let YinConfig { frames, fmin, fmax, edges, trough_threshold, max_aperiodicity } = *config;
        for (parameter, value) in
            [("trough_threshold", trough_threshold), ("max_aperiodicity", max_aperiodicity)]
        {
            ConfigError::require(value > 0.0, parameter, "above 0", value)?;
        }
        let difference = Difference::new(frames, fmin, fmax, edges)?;
        Ok(Self { difference, trough_threshold, max_aperiodicity })
    }

    fn pitch(&mut self, frame: &[f32]) -> Pitch {
        if !self.difference.update(frame) {
            return Pitch { frequency: None, aperiodicity: 1.0 };
        }
        let values = self.difference.normalized();
        let first = self.difference.troughs().find(|&i| values[i] < self.trough_threshold);
        let index = first.unwrap_or_else(|| position_of_min(values));
        let aperiodicity = self.difference.aperiodicity(frame, index);
        // At either end of the range d′ may still be falling: the pitch, if any, is beyond it.
        let inside = index > 0 && index + 1 < values.len();
        let frequency = (inside && aperiodicity <= self.max_aperiodicity)
            .then(|| self.difference.frequency(index) as f32);
        Pitch { frequency, aperiodicity }
    }
}

impl Stage for Yin {
    type In = [f32];
    type Out = Pitch;

    /// # Panics
    ///
    /// If the frame does not hold `frame_length` samples.
    fn process(
        &mut self,
        at: SampleIndex,
        frame: &[f32],
        mut emit: impl FnMut(SampleIndex, &Pitch),
    ) {
        emit(at, &self.pitch(frame));
    }

    fn reset(&mut self) {}
}

/// Where the smallest value is, the first of them.
fn position_of_min(values: &[f32]) -> usize {
    let mut best = 0;
    for (i, value) in values.iter().enumerate() {
        if *value < values[best] {
            best = i;
        }
    }
    best
}
