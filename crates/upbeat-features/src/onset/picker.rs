use upbeat_core::{ConfigError, Continuity, FrameSpec, SampleIndex, Stage};

/// What an onset's height above the mean is measured in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OnsetScale {
    /// The unit of the strengths.
    Absolute,
    /// Shares of the recent peak: the largest strength so far, forgotten with a time constant.
    ///
    /// librosa divides by the largest strength of the whole recording, which no stream knows.
    Peak {
        /// How long until a peak counts for 1/e of itself, in seconds.
        memory: f64,
        /// The smallest value taken for a peak, in the unit of the strengths, so that noise after silence
        /// is not taken for music.
        floor: f32,
    },
}

/// Settings of [`OnsetPicker`]. Times are in seconds, and rounded down to whole hops as librosa does.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct OnsetPickerConfig {
    /// How the frames were cut that the strengths are of.
    pub frames: FrameSpec,
    /// An onset is the largest strength since this long ago. Default: 0.03.
    pub pre_max: f64,
    /// And until this much later; adds to the latency. Default: 0, as librosa's.
    pub post_max: f64,
    /// An onset is above the mean since this long ago. Default: 0.1.
    pub pre_avg: f64,
    /// And until this much later; adds to the latency. Default: 0, where librosa's is 0.1.
    pub post_avg: f64,
    /// The shortest time between two onsets. Default: 0.03.
    pub wait: f64,
    /// By how much an onset is above the mean. Default: 0.07 of the recent peak.
    pub delta: f32,
    /// What `delta` is measured in. Default: the recent peak, forgotten in 10 s, 10 dB at least.
    pub scale: OnsetScale,
}

impl OnsetPickerConfig {
    /// librosa's settings, but that nothing is known of the time after an onset.
    #[must_use]
    pub const fn new(frames: FrameSpec) -> Self {
        Self {
            frames,
            pre_max: 0.03,
            post_max: 0.0,
            pre_avg: 0.1,
            post_avg: 0.0,
            wait: 0.03,
            delta: 0.07,
            scale: OnsetScale::Peak { memory: 10.0, floor: 10.0 },
        }
    }
}

/// The start of a sound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Onset {
    /// Where it starts: the first of the samples that are new in its frame, within a hop of the start of a
    /// sudden sound.
    pub at: SampleIndex,
    /// The onset strength of its frame.
    pub strength: f32,
}

/// Picks onsets from onset strengths, as they come.
///
/// Consumes one strength per frame, and emits an [`Onset`] for each frame `n` with
///
/// ```text
/// x[n] = max of x from n − pre_max to n + post_max
/// x[n] ≥ mean of x from n − pre_avg to n + post_avg, + delta
/// ```
///
/// that is more than `wait` after the one before. Windows that reach beyond the start of the stream are
/// cut off there. With [`OnsetScale::Absolute`] this is `librosa.util.peak_pick`.
///
/// The emitted index is the start of the frame, as for all values of frames; [`Onset::at`] is the estimate of
/// where the sound starts: `frame_length − hop_length` later, where the samples begin that the frame before
/// did not have. It is known when the frame is complete and `post_max` and `post_avg` have passed, which
/// is `hop_length − 1` samples after `Onset::at` with the default settings. Latency: the longer of `post_max`
/// and `post_avg`, in whole hops.
///
/// After a gap, all strengths and peaks are forgotten.
///
/// Source: Böck, Krebs and Schedl, "Evaluating the online capabilities of onset detection methods", ISMIR
/// 2012; librosa 0.11.
///
/// # Examples
///
/// ```
/// use upbeat_core::{FrameSpec, SampleIndex, SampleRate, Stage};
/// use upbeat_features::onset::{OnsetPicker, OnsetPickerConfig};
///
/// let frames = FrameSpec::new(2048, 512, SampleRate::new(44_100)?)?;
/// let mut picker = OnsetPicker::new(&OnsetPickerConfig::new(frames))?;
/// let mut onsets = Vec::new();
/// for (frame, strength) in [0.0, 0.5, 20.0, 3.0, 0.0, 0.0, 18.0, 1.0].iter().enumerate() {
///     let at = SampleIndex(512 * frame as u64);
///     picker.process(at, strength, |_, onset| onsets.push((onset.at.0, onset.strength)));
/// }
/// assert_eq!(onsets, [(2 * 512 + 1536, 20.0), (6 * 512 + 1536, 18.0)]);
/// # Ok::<(), upbeat_core::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct OnsetPicker {
    hop_length: u64,
    /// From a frame's start to its new samples.
    offset: u64,
    pre_max: usize,
    post_max: usize,
    pre_avg: usize,
    post_avg: usize,
    wait: u64,
    delta: f32,
    scale: OnsetScale,
    /// What is left of a peak after a hop.
    decay: f32,

    /// The last strengths, a ring that holds all windows.
    recent: Box<[f32]>,
    /// Strengths heard since the start.
    heard: u64,
    peak: f32,
    /// The frame of the last onset, counted from the start.
    last: Option<u64>,
    continuity: Continuity,
}

/// What the longest windows hold: a minute of 17 476 hops per second.
const MAX_HOPS: f64 = 1_048_576.0;

impl OnsetPicker {
    /// Allocates all that will ever be needed.
    ///
    /// # Errors
    ///
    /// If a time is not from 0 to 60 s, or longer than 2²⁰ hops, if `delta` is not at least 0, if the memory of
    /// peaks is not above 0 or their floor not at least 0.
    pub fn new(config: &OnsetPickerConfig) -> Result<Self, ConfigError> {
        let OnsetPickerConfig { frames, pre_max, post_max, pre_avg, post_avg, wait, .. } = *config;
        let hops = |parameter, seconds: f64| {
            let holds = (0.0..=60.0).contains(&seconds);
            ConfigError::require(holds, parameter, "from 0 to 60 s", seconds)?;
            // A whole number of hops stays one, whatever the division makes of it.
            let hops = seconds * frames.frame_rate() + 1e-9;
            ConfigError::require(hops <= MAX_HOPS, parameter, "at most 2^20 hops", seconds)?;
            Ok(hops as usize)
        };
        ConfigError::require(config.delta >= 0.0, "delta", "at least 0", config.delta)?;
        let decay = match config.scale {
            OnsetScale::Absolute => 0.0,
            OnsetScale::Peak { memory, floor } => {
                ConfigError::require(memory > 0.0, "memory", "above 0 s", memory)?;
                ConfigError::require(floor >= 0.0, "floor", "at least 0", floor)?;
                (-1.0 / (memory * frames.frame_rate())).exp() as f32
            }
        };
        let (pre_max, post_max) = (hops("pre_max", pre_max)?, hops("post_max", post_max)?);
        let (pre_avg, post_avg) = (hops("pre_avg", pre_avg)?, hops("post_avg", post_avg)?);
        let span = pre_max.max(pre_avg) + post_max.max(post_avg) + 1;
        Ok(Self {
            hop_length: frames.hop_length() as u64,
            offset: frames.frame_length().saturating_sub(frames.hop_length()) as u64,
            pre_max,
            post_max,
            pre_avg,
            post_avg,
            wait: hops("wait", wait)? as u64,
            delta: config.delta,
            scale: config.scale,
            decay,
            recent: vec![0.0; span].into(),
            heard: 0,
            peak: 0.0,
            last: None,
            continuity: Continuity::default(),
        })
    }

    /// How many hops after its frame an onset is decided about.
    fn delay(&self) -> u64 {
        self.post_max.max(self.post_avg) as u64
    }

    fn forget(&mut self) {
        (self.heard, self.peak, self.last) = (0, 0.0, None);
    }

    fn strength(&self, frame: u64) -> f32 {
        self.recent[(frame % self.recent.len() as u64) as usize]
    }

    /// The strengths around `frame`, as far as there are any.
    fn around(&self, frame: u64, pre: usize, post: usize) -> impl ExactSizeIterator<Item = f32> {
        let first = frame.saturating_sub(pre as u64);
        let count = (frame + post as u64 + 1 - first) as usize;
        (0..count).map(move |i| self.strength(first + i as u64))
    }

    fn is_onset(&self, frame: u64) -> bool {
        if self.last.is_some_and(|last| frame <= last + self.wait) {
            return false;
        }
        let strength = self.strength(frame);
        if self.around(frame, self.pre_max, self.post_max).any(|other| other > strength) {
            return false;
        }
        let window = self.around(frame, self.pre_avg, self.post_avg);
        let count = window.len() as f64;
        let mean = window.map(f64::from).sum::<f64>() / count;
        let unit = match self.scale {
            OnsetScale::Absolute => 1.0,
            OnsetScale::Peak { floor, .. } => self.peak.max(floor),
        };
        f64::from(strength) >= mean + f64::from(self.delta * unit)
    }
}

impl Stage for OnsetPicker {
    type In = f32;
    type Out = Onset;

    fn process(
        &mut self,
        at: SampleIndex,
        strength: &f32,
        mut emit: impl FnMut(SampleIndex, &Onset),
    ) {
        if self.continuity.advance(at, self.hop_length).is_some() {
            self.forget();
        }
        // What is not a number is no onset.
        let strength = if strength.is_finite() { *strength } else { 0.0 };
        let slot = (self.heard % self.recent.len() as u64) as usize;
        self.recent[slot] = strength;
        self.peak = (self.peak * self.decay).max(strength);
        let frame = self.heard.checked_sub(self.delay());
        self.heard += 1;
        if let Some(frame) = frame
            && self.is_onset(frame)
        {
            self.last = Some(frame);
            let start = SampleIndex(at.0 - self.delay() * self.hop_length);
            emit(start, &Onset { at: start + self.offset, strength: self.strength(frame) });
        }
    }

    fn reset(&mut self) {
        self.forget();
        self.continuity = Continuity::default();
    }

    fn latency(&self) -> u64 {
        self.delay() * self.hop_length
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onset::{OnsetStrength, OnsetStrengthConfig};
    use crate::stft::{Spectrum, Stft, StftConfig};
    use proptest::{collection::vec, prelude::*};
    use upbeat_core::SampleRate;
    use upbeat_testkit::signal::{add, clicks, noise, sine};
    use upbeat_testkit::streamed;
    use upbeat_testkit::streaming::{Bits, assert_streaming};
    use upbeat_window::Framer;

    impl Bits for Onset {
        fn bits(&self, into: &mut Vec<u64>) {
            // Its index moves with the frame's, which the harness compares.
            self.strength.bits(into);
        }
    }

    fn spec(frame_length: usize, hop_length: usize, rate: u32) -> FrameSpec {
        FrameSpec::new(frame_length, hop_length, SampleRate::new(rate).unwrap()).unwrap()
    }

    /// `librosa.util.peak_pick`, windows in frames, the ends exclusive as there.
    fn peak_pick(x: &[f32], windows: [usize; 4], delta: f32, wait: usize) -> Vec<usize> {
        let [pre_max, post_max, pre_avg, post_avg] = windows;
        let mut peaks = Vec::new();
        let mut n = 0;
        while n < x.len() {
            let cut = |pre: usize, post: usize| &x[n.saturating_sub(pre)..(n + post).min(x.len())];
            let max = cut(pre_max, post_max).iter().fold(f32::NEG_INFINITY, |a, b| a.max(*b));
            let mean = cut(pre_avg, post_avg);
            let mean = mean.iter().map(|v| f64::from(*v)).sum::<f64>() / mean.len() as f64;
            if x[n] == max && f64::from(x[n]) >= mean + f64::from(delta) {
                peaks.push(n);
                n += wait;
            }
            n += 1;
        }
        peaks
    }

    fn pick(picker: &mut OnsetPicker, hop_length: u64, from: u64, x: &[f32]) -> Vec<u64> {
        let mut out = Vec::new();
        for (n, strength) in (0..).zip(x) {
            picker.process(SampleIndex(from + n * hop_length), strength, |at, onset| {
                assert_eq!(onset.at.0, at.0 + picker_offset(hop_length));
                out.push((at.0 - from) / hop_length);
            });
        }
        out
    }

    const fn picker_offset(hop_length: u64) -> u64 {
        40 - hop_length
    }

    /// Onsets of a signal by the flux of its spectrum in dB, and the latency of what comes before them.
    fn onsets(frames: FrameSpec, signal: &[f32]) -> Vec<Onset> {
        let mut out = Vec::new();
        let n_fft = frames.frame_length();
        let mut spectra = Framer::new(frames).then(Stft::new(&StftConfig::new(n_fft)).unwrap());
        let mut strength =
            OnsetStrength::new(&OnsetStrengthConfig::new(frames, n_fft / 2 + 1)).unwrap();
        let mut picker = OnsetPicker::new(&OnsetPickerConfig::new(frames)).unwrap();
        spectra.process(SampleIndex(0), signal, |at, spectrum: &Spectrum| {
            let bands: Vec<f32> =
                spectrum.power().iter().map(|p| 10.0 * p.max(1e-7).log10()).collect();
            strength.process(at, &bands, |at, strength| {
                picker.process(at, strength, |_, onset| out.push(*onset));
            });
        });
        out
    }

    #[test]
    fn each_click_is_one_onset_within_a_hop() {
        for (rate, frame_length, hop_length) in
            [(44_100, 2048, 512), (48_000, 1024, 256), (16_000, 512, 128)]
        {
            let period = rate as usize / 3 + 17;
            let signal = clicks(period, 4 * rate as usize);
            let found = onsets(spec(frame_length, hop_length, rate), &signal);
            let expected: Vec<usize> = (period..signal.len()).step_by(period).collect();
            let complete = expected.iter().filter(|n| **n + hop_length < signal.len()).count();
            assert!(found.len() >= complete && found.len() <= expected.len(), "{found:?}");
            for (onset, true_start) in found.iter().zip(expected) {
                let error = onset.at.0.abs_diff(true_start as u64);
                assert!(error <= hop_length as u64, "{onset:?}, click at {true_start}, {rate} Hz");
            }
        }
    }

    #[test]
    fn notes_are_onsets_and_a_held_note_or_silence_is_none() {
        let frames = spec(2048, 512, 44_100);
        let held = sine(330.0, 0.3, 44_100, 3 * 44_100);
        let start: Vec<Onset> = onsets(frames, &held);
        assert!(start.len() <= 1, "{start:?}"); // the stream may begin with one
        assert_eq!(onsets(frames, &vec![0.0; 44_100]), []);

        let mut notes = noise(0.001, 4, 2 * 44_100);
        for (n, hz) in [262.0, 330.0, 392.0, 523.0, 262.0].into_iter().enumerate() {
            add(&mut notes[n * 15_000 + 9000..], &sine(hz, 0.3, 44_100, 9000));
        }
        let found = onsets(frames, &notes);
        let near = |n: usize| {
            let start = (n * 15_000 + 9000) as u64;
            found.iter().filter(|onset| onset.at.0.abs_diff(start) <= 1024).count()
        };
        assert!((0..5).all(|n| near(n) == 1), "{found:?}");
    }

    #[test]
    fn values_that_are_no_numbers_are_no_onsets() {
        let mut picker = OnsetPicker::new(&OnsetPickerConfig::new(spec(40, 10, 1000))).unwrap();
        assert!(pick(&mut picker, 10, 0, &[f32::NAN, f32::INFINITY, 0.0, f32::NAN]).is_empty());
        assert_eq!(pick(&mut picker, 10, 40, &[0.0, 30.0, 0.0]), [1]);
    }

    #[test]
    fn settings_that_cannot_work_are_refused() {
        let refused = |change: fn(&mut OnsetPickerConfig)| {
            let mut config = OnsetPickerConfig::new(spec(2048, 512, 44_100));
            change(&mut config);
            OnsetPicker::new(&config).unwrap_err().parameter()
        };
        assert_eq!(refused(|c| c.pre_max = -0.1), "pre_max");
        assert_eq!(refused(|c| c.post_max = f64::NAN), "post_max");
        assert_eq!(refused(|c| c.pre_avg = 1e9), "pre_avg");
        assert_eq!(refused(|c| c.post_avg = -1.0), "post_avg");
        assert_eq!(refused(|c| c.wait = 61.0), "wait");
        // A minute of samples at a rate that no sound has would fill all memory.
        assert_eq!(refused(|c| (c.frames, c.pre_max) = (spec(2, 1, u32::MAX), 59.0)), "pre_max");
        assert_eq!(refused(|c| c.delta = f32::NAN), "delta");
        assert_eq!(refused(|c| c.scale = OnsetScale::Peak { memory: 0.0, floor: 0.0 }), "memory");
        assert_eq!(
            refused(|c| c.scale = OnsetScale::Peak { memory: 1.0, floor: f32::NAN }),
            "floor"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn picks_what_librosa_picks_also_after_reset_and_gap(
            x in vec((0_u8..40).prop_map(|v| f32::from(v) / 4.0), 1..60),
            windows in any::<[u8; 4]>().prop_map(|w| w.map(|w| usize::from(w % 6))),
            wait in 0_usize..5,
            delta in 0_u8..8,
        ) {
            // Ten hops a second.
            let frames = spec(40, 10, 100);
            let [pre_max, post_max, pre_avg, post_avg] = windows.map(|hops| hops as f64 / 10.0);
            let mut config = OnsetPickerConfig::new(frames);
            (config.pre_max, config.post_max) = (pre_max, post_max);
            (config.pre_avg, config.post_avg) = (pre_avg, post_avg);
            (config.wait, config.scale) = (wait as f64 / 10.0, OnsetScale::Absolute);
            config.delta = f32::from(delta) / 4.0;
            let mut picker = OnsetPicker::new(&config).unwrap();

            let [a, b, c, d] = windows;
            let decided = x.len().saturating_sub(b.max(d));
            let expected: Vec<u64> = peak_pick(&x, [a, b + 1, c, d + 1], config.delta, wait)
                .into_iter().filter(|n| *n < decided).map(|n| n as u64).collect();
            prop_assert_eq!(&pick(&mut picker, 10, 70, &x), &expected);
            picker.reset();
            prop_assert_eq!(&pick(&mut picker, 10, 0, &x), &expected);
            prop_assert_eq!(&pick(&mut picker, 10, 10_000, &x), &expected);
        }

        #[test]
        fn picking_does_not_depend_on_blocks(seed: u64, post_max in 0.0..0.05) {
            let frames = spec(8, 4, 1000);
            let mut config = OnsetPickerConfig::new(frames);
            (config.post_max, config.delta) = (post_max, 0.0);
            let make = || {
                Framer::new(frames)
                    .then(OnsetStrength::new(&OnsetStrengthConfig::new(frames, 8)).unwrap())
                    .then(OnsetPicker::new(&config).unwrap())
            };
            assert_streaming(|| streamed!(make()), &noise(40.0, seed, 700), 1, seed);
        }
    }
}
