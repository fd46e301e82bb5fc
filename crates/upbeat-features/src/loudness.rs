//! Loudness in LUFS, as EBU R 128 and ITU-R BS.1770-4 define it.

use std::fmt;

use ebur128::{EbuR128, Mode};
use upbeat_core::{ConfigError, Continuity, SampleIndex, SampleRate, Stage, sanitize};

/// The loudness at one time, in LUFS; `None` where it is not defined yet, or below −120 LUFS.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Loudness {
    /// Of the last 0.4 s.
    pub momentary: Option<f32>,
    /// Of the last 3 s.
    pub short_term: Option<f32>,
    /// Of everything since the start, quiet passages left out by the two gates of BS.1770; `None` until a
    /// block of 0.4 s is above −70 LUFS.
    pub integrated: Option<f32>,
}

/// Momentary, short-term and integrated loudness.
///
/// Consumes interleaved samples of all channels in blocks of any size, and emits a [`Loudness`] for every
/// 0.1 s, at the index of that tenth's first sample (EBU Tech 3341 asks for ten updates a second). Momentary
/// loudness is `None` for the first three tenths, short-term loudness for the first 29. Samples that cannot
/// be sound count as 0.
///
/// Channels weigh as in BS.1770: left, right and centre once, the two surround channels 1.41 times, the LFE
/// and channels beyond six not at all. Their order is L R C LFE Ls Rs; four channels are L R Ls Rs, five
/// L R C Ls Rs. One channel is taken for one loudspeaker, 3 dB softer than the same sound on two.
///
/// A gap starts everything anew, the integrated loudness included: what was lost may have been anything,
/// and a value over two pieces would claim to be that of the whole. An application that wants to bridge gaps
/// can pass the samples with indices that go on.
///
/// Latency: a tenth of a second less one sample. The tenth is rounded to whole samples.
///
/// Source: EBU R 128 (2020) and Tech 3341, ITU-R BS.1770-4, by the crate `ebur128` in its histogram mode,
/// which neither allocates nor grows, and is exact to 0.05 LU in the integrated loudness.
///
/// # Examples
///
/// ```
/// use upbeat_core::{SampleIndex, SampleRate, Stage};
/// use upbeat_features::loudness::LoudnessMeter;
///
/// let mut meter = LoudnessMeter::new(SampleRate::new(48_000)?, 2)?;
/// // 1 kHz at −23 dB on both channels is −23 LUFS.
/// let one_second = (0..48_000).flat_map(|n| {
///     let x = 0.0708 * (n as f32 / 48.0 * std::f32::consts::TAU).sin();
///     [x, x]
/// });
/// let mut last = None;
/// meter.process(SampleIndex(0), &one_second.collect::<Vec<f32>>(), |_, loudness| last = Some(*loudness));
/// let last = last.unwrap();
/// assert!((last.momentary.unwrap() + 23.0).abs() < 0.1);
/// assert!((last.integrated.unwrap() + 23.0).abs() < 0.1);
/// assert_eq!(last.short_term, None); // not before 3 s
/// # Ok::<(), upbeat_core::ConfigError>(())
/// ```
pub struct LoudnessMeter {
    meter: EbuR128,
    channels: usize,
    /// Samples in a tenth of a second.
    tenth: usize,
    /// Samples of the tenth at hand that the meter has.
    filled: usize,
    /// Mean energy of the last thirty tenths, a ring.
    energies: [f64; SHORT_TERM],
    /// Tenths heard since the start.
    heard: usize,
    /// Clean samples on their way to the meter.
    piece: Box<[f32]>,
    continuity: Continuity,
    sanitized: u64,
}

impl LoudnessMeter {
    /// Allocates all that will ever be needed: 0.4 s of all channels, in `f64`.
    ///
    /// # Errors
    ///
    /// If there is no channel or more than 64, or if the rate is not from 16 Hz to 2822400 Hz.
    pub fn new(sample_rate: SampleRate, channels: usize) -> Result<Self, ConfigError> {
        ConfigError::require(channels >= 1, "channels", "at least 1", channels)?;
        ConfigError::require(channels <= 64, "channels", "at most 64", channels)?;
        let meter = EbuR128::new(channels as u32, sample_rate.hz(), Mode::I | Mode::HISTOGRAM);
        let rates = "from 16 Hz to 2822400 Hz";
        let meter = meter.map_err(|_| ConfigError::new("sample_rate", rates, sample_rate))?;
        Ok(Self {
            meter,
            channels,
            // As the meter rounds it.
            tenth: (sample_rate.hz() as usize + 5) / 10,
            filled: 0,
            energies: [0.0; SHORT_TERM],
            heard: 0,
            piece: vec![0.0; channels * PIECE].into(),
            continuity: Continuity::default(),
            sanitized: 0,
        })
    }

    /// How many samples could not be sound and counted as 0, since construction.
    #[must_use]
    pub const fn sanitized(&self) -> u64 {
        self.sanitized
    }

    fn forget(&mut self) {
        self.meter.reset();
        (self.filled, self.heard) = (0, 0);
    }

    /// The loudness at the end of a tenth.
    fn measure(&mut self) -> Loudness {
        // The meter answers in LUFS, −∞ for no energy at all.
        let energy = self.meter.loudness_window(100).map_or(0.0, |lufs| 10_f64.powf(lufs / 10.0));
        self.energies[self.heard % SHORT_TERM] = energy;
        self.heard += 1;
        Loudness {
            momentary: self.mean_of_last(MOMENTARY).and_then(lufs),
            short_term: self.mean_of_last(SHORT_TERM).and_then(lufs),
            integrated: self
                .meter
                .loudness_global()
                .ok()
                .filter(|l| l.is_finite())
                .map(|l| l as f32),
        }
    }

    /// The mean energy of the last `tenths`, if there are as many.
    fn mean_of_last(&self, tenths: usize) -> Option<f64> {
        let first = self.heard.checked_sub(tenths)?;
        let sum: f64 = (first..self.heard).map(|i| self.energies[i % SHORT_TERM]).sum();
        Some(sum / tenths as f64)
    }
}

impl Stage for LoudnessMeter {
    type In = [f32];
    type Out = Loudness;

    /// # Panics
    ///
    /// If the block is not a whole number of samples of all channels.
    fn process(
        &mut self,
        at: SampleIndex,
        interleaved: &[f32],
        mut emit: impl FnMut(SampleIndex, &Loudness),
    ) {
        let channels = self.channels;
        assert_eq!(interleaved.len() % channels, 0, "a block holds whole samples of all channels");
        if self.continuity.advance(at, (interleaved.len() / channels) as u64).is_some() {
            self.forget();
        }
        let (mut at, mut rest) = (at, interleaved);
        while !rest.is_empty() {
            let length = (rest.len() / channels).min(PIECE).min(self.tenth - self.filled);
            let (now, later) = rest.split_at(length * channels);
            let piece = &mut self.piece[..now.len()];
            for (clean, sample) in piece.iter_mut().zip(now) {
                *clean = sanitize(*sample).unwrap_or(0.0);
                self.sanitized += u64::from(sanitize(*sample).is_none());
            }
            // Fails on a length that is not a whole number of samples only.
            let added = self.meter.add_frames_f32(piece);
            debug_assert!(added.is_ok());
            self.filled += length;
            at += length as u64;
            rest = later;
            if self.filled == self.tenth {
                self.filled = 0;
                let loudness = self.measure();
                emit(SampleIndex(at.0 - self.tenth as u64), &loudness);
            }
        }
    }

    fn reset(&mut self) {
        self.forget();
        self.continuity = Continuity::default();
    }

    fn latency(&self) -> u64 {
        self.tenth as u64 - 1
    }
}

impl fmt::Debug for LoudnessMeter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoudnessMeter")
            .field("channels", &self.channels)
            .field("tenth", &self.tenth)
            .field("heard", &self.heard)
            .finish_non_exhaustive()
    }
}

/// The loudness of a mean energy on the meter's scale, which is LUFS already.
fn lufs(energy: f64) -> Option<f32> {
    (energy > SILENCE).then(|| 10.0 * energy.log10() as f32)
}

/// Tenths of a second in the two sliding windows.
const MOMENTARY: usize = 4;
const SHORT_TERM: usize = 30;
/// −120 LUFS.
const SILENCE: f64 = 1e-12;
/// Samples per channel passed to the meter at once.
const PIECE: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use upbeat_testkit::signal::{add, noise, sine};
    use upbeat_testkit::streamed;
    use upbeat_testkit::streaming::{Bits, assert_streaming};

    impl Bits for Loudness {
        fn bits(&self, into: &mut Vec<u64>) {
            [self.momentary, self.short_term, self.integrated].bits(into);
        }
    }

    const RATE: u32 = 16_000;

    fn meter(rate: u32, channels: usize) -> LoudnessMeter {
        LoudnessMeter::new(SampleRate::new(rate).unwrap(), channels).unwrap()
    }

    fn measure(meter: &mut LoudnessMeter, signal: &[f32]) -> Vec<Loudness> {
        let mut out = Vec::new();
        meter.process(SampleIndex(0), signal, |at, loudness| {
            assert_eq!(at.0, (out.len() * meter_tenth(RATE)) as u64);
            out.push(*loudness);
        });
        out
    }

    const fn meter_tenth(rate: u32) -> usize {
        rate as usize / 10
    }

    /// A sine of 1 kHz on several channels, its peaks at `levels` dB, for some seconds.
    fn passage(seconds: f64, levels: &[f64]) -> Vec<f32> {
        let tone = sine(1000.0, 1.0, RATE, (seconds * f64::from(RATE)) as usize);
        let gains: Vec<f32> = levels.iter().map(|db| 10_f64.powf(db / 20.0) as f32).collect();
        tone.iter().flat_map(|x| gains.iter().map(move |gain| gain * x)).collect()
    }

    #[test]
    fn ebu_tech_3341_cases_1_and_2() {
        for level in [-23.0, -33.0] {
            let all = measure(&mut meter(RATE, 2), &passage(20.0, &[level, level]));
            assert_eq!(all.len(), 200);
            assert!(all[..3].iter().all(|l| l.momentary.is_none() && l.integrated.is_none()));
            assert!(all[..29].iter().all(|l| l.short_term.is_none()));
            let near = |lufs: Option<f32>| (f64::from(lufs.unwrap()) - level).abs() <= 0.1;
            assert!(all[3..].iter().all(|l| near(l.momentary) && near(l.integrated)));
            assert!(all[29..].iter().all(|l| near(l.short_term)));
        }
    }

    #[test]
    fn ebu_tech_3341_cases_3_to_6() {
        let stereo = |passages: &[(f64, f64)]| -> Vec<f32> {
            passages
                .iter()
                .flat_map(|&(seconds, level)| passage(seconds, &[level, level]))
                .collect()
        };
        let (quiet, soft, loud) = ((10.0, -72.0), (10.0, -36.0), (60.0, -23.0));
        for (case, channels, signal) in [
            (3, 2, stereo(&[soft, loud, soft])),
            (4, 2, stereo(&[quiet, soft, loud, soft, quiet])),
            (5, 2, stereo(&[(20.0, -26.0), (20.1, -20.0), (20.0, -26.0)])),
            (6, 5, passage(20.0, &[-28.0, -28.0, -24.0, -30.0, -30.0])),
        ] {
            let integrated =
                measure(&mut meter(RATE, channels), &signal).last().unwrap().integrated;
            assert!((integrated.unwrap() + 23.0).abs() <= 0.1, "case {case}: {integrated:?}");
        }
    }

    #[test]
    fn sliding_windows_are_the_meters_own() {
        let mut signal = noise(0.1, 4, 10 * 16_000);
        add(&mut signal[70_000..], &noise(0.6, 5, 40_000));
        let mut oracle = EbuR128::new(2, RATE, Mode::S).unwrap();
        let mut blocks = signal.chunks(2 * meter_tenth(RATE));
        for (n, loudness) in measure(&mut meter(RATE, 2), &signal).into_iter().enumerate() {
            oracle.add_frames_f32(blocks.next().unwrap()).unwrap();
            if let Some(momentary) = loudness.momentary {
                assert!((f64::from(momentary) - oracle.loudness_momentary().unwrap()).abs() < 1e-4);
            }
            if let Some(short_term) = loudness.short_term {
                assert!(
                    (f64::from(short_term) - oracle.loudness_shortterm().unwrap()).abs() < 1e-4
                );
            }
            assert_eq!(
                (n >= 3, n >= 29),
                (loudness.momentary.is_some(), loudness.short_term.is_some())
            );
        }
    }

    #[test]
    fn silence_has_no_loudness_and_bad_samples_are_silence() {
        let none = Loudness { momentary: None, short_term: None, integrated: None };
        let mut signal = vec![0.0; 2 * 16_000 * 4];
        signal[777] = f32::NAN;
        signal[778] = f32::INFINITY;
        let mut meter = meter(RATE, 2);
        assert!(measure(&mut meter, &signal).iter().all(|loudness| *loudness == none));
        assert_eq!(meter.sanitized(), 2);
    }

    #[test]
    fn a_gap_forgets_the_programme() {
        let mut meter = meter(RATE, 1);
        meter.process(SampleIndex(0), &passage(2.0, &[-10.0]), |_, _| {});
        let mut after = Vec::new();
        meter.process(SampleIndex(50_000), &passage(1.0, &[-30.0]), |at, l| after.push((at.0, *l)));
        assert_eq!(after[0].0, 50_000);
        assert!(after[..3].iter().all(|(_, l)| l.momentary.is_none() && l.integrated.is_none()));
        assert!((after[9].1.integrated.unwrap() + 33.0).abs() < 0.1, "{:?}", after[9]);
    }

    #[test]
    fn settings_that_cannot_work_are_refused() {
        let refused = |rate, channels| {
            LoudnessMeter::new(SampleRate::new(rate).unwrap(), channels).unwrap_err().to_string()
        };
        assert_eq!(refused(48_000, 0), "channels must be at least 1, got 0");
        assert_eq!(refused(48_000, 65), "channels must be at most 64, got 65");
        assert_eq!(refused(15, 1), "sample_rate must be from 16 Hz to 2822400 Hz, got 15 Hz");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]

        #[test]
        fn loudness_does_not_depend_on_blocks(seed: u64, channels in 1_usize..7) {
            // Half a second at 11025 Hz, where a tenth is no whole number of samples.
            let input = noise(0.3, seed, channels * 5600);
            assert_streaming(|| streamed!(meter(11_025, channels)), &input, channels, seed);
        }
    }
}
