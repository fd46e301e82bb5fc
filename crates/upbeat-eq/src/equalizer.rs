use upbeat_core::{ConfigError, Continuity, SampleIndex, SampleRate, Stage, sanitize};
use upbeat_window::latest::{Latest, Publisher, latest};

use crate::kernel::{self, EVERY, MAX_SECTIONS, Memory, Sections};
use crate::motion::Motion;
use crate::{Band, BandKind, Coefficients, Design, Kernel, Response};

/// Settings of an [`Equalizer`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct EqualizerConfig {
    /// Rate of the samples.
    pub sample_rate: SampleRate,
    /// Interleaved channels: 1 to [`MAX_CHANNELS`](Equalizer::MAX_CHANNELS).
    pub channels: usize,
    /// The bands, at most [`MAX_BANDS`](Equalizer::MAX_BANDS); there will always be as many.
    pub bands: Vec<Band>,
    /// How coefficients are made. Default: [`Design::Matched`].
    pub design: Design,
    /// How slowly a band moves to a new setting: the time constant, in seconds, of each of the two
    /// one-pole smoothers behind one another, 0.001 to 10. Default: 0.015, which is 63 % of the way after
    /// 32 ms and 99 % after 100 ms.
    pub smoothing: f64,
    /// Which code runs. Default: the fastest that the processor at hand can run.
    pub kernel: Kernel,
}

impl EqualizerConfig {
    /// The usual settings, with `bands`.
    #[must_use]
    pub fn new(sample_rate: SampleRate, channels: usize, bands: &[Band]) -> Self {
        Self {
            sample_rate,
            channels,
            bands: bands.into(),
            design: Design::default(),
            smoothing: 0.015,
            kernel: Kernel::default(),
        }
    }

    fn validate(&self) -> Result<(), ConfigError> {
        let (channels, bands) = (self.channels, self.bands.len());
        let fits = (1..=Equalizer::MAX_CHANNELS).contains(&channels);
        ConfigError::require(fits, "channels", "1 to 1024", channels)?;
        ConfigError::require(bands <= Equalizer::MAX_BANDS, "bands", "at most 256", bands)?;
        let smoothing = self.smoothing;
        let fits = (0.001..=10.0).contains(&smoothing);
        ConfigError::require(fits, "smoothing", "0.001 to 10 seconds", smoothing)?;
        self.bands.iter().try_for_each(Band::validate)
    }
}

/// A parametric equalizer: any number of bands, on any number of interleaved channels, in place.
///
/// The bands are second-order sections behind one another, in direct form I with `f64` memory. There is no
/// delay: `latency()` is 0 samples. Bands of kind [`Off`](BandKind::Off) change nothing, bit for bit.
///
/// # Automation
///
/// An [`EqualizerHandle`] sets bands from any thread; the processor takes the newest setting at the start
/// of a block, through a slot on which neither side ever waits. From the next multiple of 256 samples on, a
/// band travels there: gain, logarithm of frequency and logarithm of Q through two one-pole smoothers, with
/// the filter for each point of the way designed every 256 samples and its coefficients moved on, in
/// between, every 16. A band that changes its kind is mixed out, and in as what it is to be. Whatever is set
/// and however fast, the filters stay stable: every design is, and so is all that lies between two of them.
///
/// Designs on the way are computed by the processor, because only it knows how far a band has come when
/// the next setting arrives; that takes some hundred nanoseconds per 256 samples, and nothing at rest.
///
/// # Bad input
///
/// Samples that cannot be sound count as 0 (see [`sanitize`]) and are counted; no output is larger than
/// [`MAX_SAMPLE`](upbeat_core::MAX_SAMPLE). Memory that has decayed to −600 dB is set to 0, so that silence after sound costs no
/// more than sound. After a gap the filters start anew, as after [`reset`](Stage::reset).
///
/// # Examples
///
/// ```
/// use upbeat_core::{SampleIndex, SampleRate};
/// use upbeat_eq::{Band, Equalizer, EqualizerConfig};
///
/// let rate = SampleRate::new(48_000)?;
/// let bands = [Band::low_shelf(120.0, 3.0), Band::peak(2_500.0, -2.0, 1.4)];
/// let (mut equalizer, mut handle) = Equalizer::with_handle(&EqualizerConfig::new(rate, 2, &bands))?;
///
/// // On the audio thread:
/// let mut block = [0.0; 2 * 512];
/// equalizer.process_in_place(SampleIndex(0), &mut block);
///
/// // On any other:
/// handle.set_band(1, Band::peak(2_500.0, 4.0, 1.4))?;
/// assert!((handle.response(2_500.0).level().0 - 4.0).abs() < 0.01);
/// # Ok::<(), upbeat_core::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct Equalizer {
    channels: usize,
    kernel: Kernel,
    motions: Box<[Motion]>,
    /// What the slot held last, decoded; on the way there from the next step on.
    wanted: Box<[Band]>,
    news: bool,
    slot: Option<Latest>,
    /// One per band, and one more that does nothing where the kernel needs it.
    now: Box<[Coefficients]>,
    step: Box<[Coefficients]>,
    end: Box<[Coefficients]>,
    moving: bool,
    /// For each pair of channels, for each pass: the signal before it and after each section.
    memory: Box<[Memory]>,
    block: Box<[[f64; 2]]>,
    /// What [`Stage::process`] emits from.
    piece: Box<[f32]>,
    /// Samples since the start or the last gap.
    position: u64,
    continuity: Continuity,
    sanitized: u64,
}

/// Sets the bands of an [`Equalizer`], from any thread.
#[derive(Debug)]
pub struct EqualizerHandle {
    bands: Vec<Band>,
    sample_rate: SampleRate,
    design: Design,
    slot: Publisher,
}

impl Equalizer {
    /// The most channels accepted.
    pub const MAX_CHANNELS: usize = 1024;
    /// The most bands accepted.
    pub const MAX_BANDS: usize = 256;

    /// An equalizer that stays as it is set; allocates all that will ever be needed.
    ///
    /// # Errors
    ///
    /// If the number of channels or bands, the smoothing, or a band is out of its range.
    pub fn new(config: &EqualizerConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        let steps = config.smoothing * config.sample_rate.as_f64() / STEP as f64;
        let motions: Box<[Motion]> = config
            .bands
            .iter()
            .map(|band| Motion::new(*band, config.sample_rate, config.design, steps))
            .collect();
        let kernel = config.kernel.resolve();
        let sections = kernel.sections(motions.len());
        let mut now = vec![Coefficients::IDENTITY; sections];
        for (now, motion) in now.iter_mut().zip(&motions) {
            *now = motion.current();
        }
        let passes = sections.div_ceil(MAX_SECTIONS);
        let memories = config.channels.div_ceil(2) * (sections + passes);
        Ok(Self {
            channels: config.channels,
            kernel,
            motions,
            wanted: config.bands.clone().into(),
            news: false,
            slot: None,
            step: vec![Coefficients::IDENTITY; sections].into(),
            end: now.clone().into(),
            now: now.into(),
            moving: false,
            memory: vec![[[0.0; 2]; 2]; memories].into(),
            block: vec![[0.0; 2]; BLOCK].into(),
            piece: vec![0.0; PIECE * config.channels].into(),
            position: 0,
            continuity: Continuity::default(),
            sanitized: 0,
        })
    }

    /// An equalizer, and what sets its bands.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn with_handle(config: &EqualizerConfig) -> Result<(Self, EqualizerHandle), ConfigError> {
        let mut equalizer = Self::new(config)?;
        let (publisher, taker) = latest(WORDS * config.bands.len());
        equalizer.slot = Some(taker);
        let handle = EqualizerHandle {
            bands: config.bands.clone(),
            sample_rate: config.sample_rate,
            design: config.design,
            slot: publisher,
        };
        Ok((equalizer, handle))
    }

    /// Filters `samples`, interleaved, the first of which have index `at`. Audio thread.
    ///
    /// # Panics
    ///
    /// If the block is not a whole number of samples of all channels.
    pub fn process_in_place(&mut self, at: SampleIndex, samples: &mut [f32]) {
        assert_eq!(samples.len() % self.channels, 0, "a block holds whole samples of all channels");
        let length = samples.len() / self.channels;
        if self.continuity.advance(at, length as u64).is_some() {
            self.restart();
        }
        self.take_news();
        let mut rest = samples;
        while !rest.is_empty() {
            self.begin_step();
            let (block, after) =
                rest.split_at_mut(self.uniform(rest.len() / self.channels) * self.channels);
            self.filter(block);
            rest = after;
        }
    }

    /// How many samples could not be sound and counted as 0, since construction.
    #[must_use]
    pub const fn sanitized(&self) -> u64 {
        self.sanitized
    }

    /// Whether a band is on its way to a new setting.
    #[must_use]
    pub fn is_moving(&self) -> bool {
        self.moving || self.news
    }

    /// The code that runs: never [`Kernel::Auto`].
    #[must_use]
    pub const fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// Moves the bands from within the audio thread, at the sample that is processed next.
    pub(crate) fn move_to(&mut self, bands: impl IntoIterator<Item = Band>) {
        for (wanted, band) in self.wanted.iter_mut().zip(bands) {
            self.news |= *wanted != band;
            *wanted = band;
        }
    }

    /// Filters as if nothing had come before; bands are where they were on their way to.
    fn restart(&mut self) {
        self.memory.fill([[0.0; 2]; 2]);
        self.position = 0;
        for ((motion, band), now) in self.motions.iter_mut().zip(&self.wanted).zip(&mut self.now) {
            motion.go_to(*band);
            motion.arrive();
            *now = motion.current();
        }
        self.moving = false;
        self.news = false;
    }

    fn take_news(&mut self) {
        if let Some(mut words) = self.slot.as_mut().and_then(Latest::take) {
            for band in &mut self.wanted {
                *band = decode(std::array::from_fn(|_| words.next().unwrap_or_default()));
            }
            self.news = true;
        }
    }

    /// On multiples of a step: sees what the samples up to the next multiple are filtered with.
    fn begin_step(&mut self) {
        if !self.position.is_multiple_of(STEP) {
            return;
        }
        if self.position.is_multiple_of(BLOCK as u64) {
            for value in self.memory.as_flattened_mut().as_flattened_mut() {
                if value.abs() < SILENT {
                    *value = 0.0;
                }
            }
        }
        if std::mem::take(&mut self.news) {
            for (motion, band) in self.motions.iter_mut().zip(&self.wanted) {
                motion.go_to(*band);
            }
            self.moving = true;
        }
        if !self.moving {
            return;
        }
        self.moving = false;
        let sections = self.now.iter_mut().zip(&mut self.step);
        for (motion, (now, step)) in self.motions.iter_mut().zip(sections) {
            *now = motion.current(); // what the steps had come to, but for their rounding
            *step = Coefficients::NOTHING;
            if motion.is_moving() {
                *step = now.step_to(&motion.step(), STEPS);
                self.moving = true;
            }
        }
        if let Some(padding) = self.step.get_mut(self.motions.len()) {
            *padding = Coefficients::NOTHING;
        }
    }

    /// How many of the next `length` samples can be filtered at once.
    fn uniform(&self, length: usize) -> usize {
        let grid = if self.is_moving() { STEP } else { BLOCK as u64 };
        length.min((grid - self.position % grid) as usize)
    }

    /// Filters at most [`BLOCK`] samples.
    fn filter(&mut self, samples: &mut [f32]) {
        let length = samples.len() / self.channels;
        let phase = (self.position % EVERY as u64) as usize;
        self.position += length as u64;
        let sections = self.now.len();
        let memories = sections + sections.div_ceil(MAX_SECTIONS);
        if sections == 0 {
            for sample in samples {
                *sample = self.sanitize(*sample);
            }
            return;
        }
        for first in (0..self.channels).step_by(2) {
            let block = &mut self.block[..length];
            self.sanitized += kernel::read(self.kernel, samples, self.channels, first, block);
            let mut memory = &mut self.memory[first / 2 * memories..][..memories];
            for from in (0..sections).step_by(MAX_SECTIONS) {
                let pass = from..sections.min(from + MAX_SECTIONS);
                let (own, others) = memory.split_at_mut(pass.len() + 1);
                memory = others;
                let step = if self.moving { &self.step[pass.clone()] } else { &[] };
                let coefficients = Sections { now: &self.now[pass.clone()], step, phase };
                kernel::run(self.kernel, coefficients, own, block, &mut self.end[pass]);
            }
            kernel::write(self.kernel, block, samples, self.channels, first);
        }
        if self.moving {
            self.now.copy_from_slice(&self.end);
        }
    }

    fn sanitize(&mut self, sample: f32) -> f32 {
        sanitize(sample).unwrap_or_else(|| {
            self.sanitized += 1;
            0.0
        })
    }
}

/// Emits a block as `change` leaves it, piece by piece as they fit into `scratch`.
///
/// # Panics
///
/// If the block is not a whole number of samples of all channels.
pub(crate) fn in_pieces(
    scratch: &mut [f32],
    channels: usize,
    (mut at, interleaved): (SampleIndex, &[f32]),
    mut change: impl FnMut(SampleIndex, &mut [f32]),
    mut emit: impl FnMut(SampleIndex, &[f32]),
) {
    assert_eq!(interleaved.len() % channels, 0, "a block holds whole samples of all channels");
    for samples in interleaved.chunks(PIECE * channels) {
        let piece = &mut scratch[..samples.len()];
        piece.copy_from_slice(samples);
        change(at, piece);
        emit(at, piece);
        at += (samples.len() / channels) as u64;
    }
}

impl Stage for Equalizer {
    type In = [f32];
    type Out = [f32];

    /// As [`process_in_place`](Equalizer::process_in_place), on a copy; emits it in pieces of at most 512
    /// samples of all channels, in order.
    ///
    /// # Panics
    ///
    /// If the block is not a whole number of samples of all channels.
    fn process(
        &mut self,
        at: SampleIndex,
        interleaved: &[f32],
        emit: impl FnMut(SampleIndex, &[f32]),
    ) {
        let (mut piece, channels) = (std::mem::take(&mut self.piece), self.channels);
        let change = |at, samples: &mut [f32]| self.process_in_place(at, samples);
        in_pieces(&mut piece, channels, (at, interleaved), change, emit);
        self.piece = piece;
    }

    fn reset(&mut self) {
        self.continuity = Continuity::default();
        self.restart();
    }
}

impl EqualizerHandle {
    /// Moves band `index`, counted from 0, to a new setting.
    ///
    /// # Errors
    ///
    /// If there is no such band, or the setting is out of its range; nothing changes then.
    pub fn set_band(&mut self, index: usize, band: Band) -> Result<(), ConfigError> {
        band.validate()?;
        let count = self.bands.len();
        let slot = self.bands.get_mut(index);
        *slot.ok_or_else(|| ConfigError::new("index", format!("below {count}"), index))? = band;
        self.publish();
        Ok(())
    }

    /// Moves all bands to new settings, at the same time.
    ///
    /// # Errors
    ///
    /// If there are not as many as the equalizer has, or one is out of its range; nothing changes then.
    pub fn set_bands(&mut self, bands: &[Band]) -> Result<(), ConfigError> {
        let count = self.bands.len();
        if bands.len() != count {
            return Err(ConfigError::new("bands", format!("{count} in number"), bands.len()));
        }
        bands.iter().try_for_each(Band::validate)?;
        self.bands.copy_from_slice(bands);
        self.publish();
        Ok(())
    }

    /// Where the bands are, or are on their way to.
    #[must_use]
    pub fn bands(&self) -> &[Band] {
        &self.bands
    }

    /// Magnitude and phase of all bands together at `frequency` in Hz, once they have arrived.
    #[must_use]
    pub fn response(&self, frequency: f64) -> Response {
        response(&self.bands, self.sample_rate, self.design, frequency)
    }

    fn publish(&mut self) {
        self.slot.publish(self.bands.iter().flat_map(encode));
    }
}

/// Magnitude and phase of `bands` behind one another at `frequency` in Hz.
///
/// ```
/// use upbeat_core::SampleRate;
/// use upbeat_eq::{Band, Design, response};
///
/// let bands = [Band::low_shelf(200.0, 6.0), Band::gain(-6.0)];
/// let low = response(&bands, SampleRate::new(44_100)?, Design::Matched, 20.0);
/// assert!(low.level().0.abs() < 0.05);
/// # Ok::<(), upbeat_core::ConfigError>(())
/// ```
#[must_use]
pub fn response(bands: &[Band], rate: SampleRate, design: Design, frequency: f64) -> Response {
    bands.iter().fold(Response::IDENTITY, |sum, band| {
        sum.then(Coefficients::of(band, rate, design).response(frequency, rate))
    })
}

pub(crate) fn encode(band: &Band) -> [f64; WORDS] {
    let kind = KINDS.iter().position(|kind| *kind == band.kind).unwrap_or_default();
    [kind as f64, band.frequency, band.gain, band.q]
}

pub(crate) fn decode([kind, frequency, gain, q]: [f64; WORDS]) -> Band {
    Band::new(KINDS[kind as usize % KINDS.len()], frequency, gain, q)
}

const KINDS: [BandKind; 9] = [
    BandKind::Off,
    BandKind::Gain,
    BandKind::Peak,
    BandKind::LowShelf,
    BandKind::HighShelf,
    BandKind::LowPass,
    BandKind::HighPass,
    BandKind::Notch,
    BandKind::Tilt,
];

/// Numbers per band in the slot.
pub(crate) const WORDS: usize = 4;

/// Samples from one design to the next while a band moves. A multiple of [`EVERY`], and a divisor of [`BLOCK`].
const STEP: u64 = 256;

/// Steps of the coefficients from one design to the next.
const STEPS: f64 = STEP as f64 / EVERY as f64;

/// The most samples filtered at once, and how often memory is looked through for what has decayed.
const BLOCK: usize = 512;

/// The most samples of all channels that [`Stage::process`] emits at once.
pub(crate) const PIECE: usize = 512;

/// Memory below this, −600 dB, has decayed; numbers become slow to compute with at −6000 dB.
const SILENT: f64 = 1e-30;

#[cfg(test)]
#[path = "equalizer_tests.rs"]
mod tests;
