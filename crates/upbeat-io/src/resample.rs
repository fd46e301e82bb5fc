use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{
    Async, FixedAsync, Resampler as _, SincInterpolationParameters, SincInterpolationType,
    WindowFunction, calculate_cutoff,
};
use upbeat_core::{ConfigError, SampleIndex, SampleRate};

use crate::StreamFormat;

/// How carefully samples are converted from one rate to another: a longer filter keeps more of the highest
/// octave, and takes longer.
///
/// The filter has this many input samples where the rate goes up, and by the ratio of the rates more where it goes down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResampleQuality {
    /// 32 samples. For level meters and small machines.
    Fast,
    /// 128 samples: for analysis.
    #[default]
    Balanced,
    /// 512 samples: for what people will listen to.
    Best,
}

impl ResampleQuality {
    const fn taps(self) -> usize {
        match self {
            Self::Fast => 32,
            Self::Balanced => 128,
            Self::Best => 512,
        }
    }

    const fn window(self) -> WindowFunction {
        match self {
            Self::Fast => WindowFunction::Hann2,
            Self::Balanced => WindowFunction::Blackman2,
            Self::Best => WindowFunction::BlackmanHarris2,
        }
    }
}

/// Converts interleaved samples to another sample rate, in blocks of any size.
///
/// Output `k` is the signal at the time of input `k · from / to`: the filter's delay is taken out, so that an index
/// means the same instant before and after. (To be exact it is the signal 1/256 of an input sample from there, 81 ns at
/// 48 kHz: the filter's phases have that offset.) The outputs of an unbroken run of inputs `a..b` are those
/// with `a ≤ k · from / to < b`, all of them; before and after the run the signal counts as silence. A jump of the
/// input index ends a run, so nothing is glued together, and a lost input stays lost for exactly as long.
///
/// A windowed sinc of [`ResampleQuality`] (`rubato`). An output comes [`latency`](Self::latency) input samples after
/// its instant at the latest. The same outputs come however the input is cut into blocks. After construction nothing
/// allocates.
///
/// # Examples
///
/// ```
/// use upbeat_core::{SampleIndex, SampleRate};
/// use upbeat_io::{Resampler, ResampleQuality, StreamFormat};
///
/// let from = StreamFormat::mono(SampleRate::new(44_100)?);
/// let mut resampler = Resampler::new(from, SampleRate::new(48_000)?, ResampleQuality::Balanced)?;
/// let mut samples = 0;
/// resampler.process(SampleIndex(0), &[0.5; 44_100], |_, block| samples += block.len());
/// resampler.finish(|_, block| samples += block.len());
/// assert_eq!(samples, 48_000);
/// # Ok::<(), upbeat_core::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct Resampler {
    format: StreamFormat,
    to: SampleRate,
    /// `None` where the rates are equal.
    engine: Option<Engine>,
    /// Where the run of inputs began and where it has come to.
    run: Option<(u64, u64)>,
}

impl Resampler {
    /// From samples of `from` to the rate `to`.
    ///
    /// # Errors
    ///
    /// If one rate is more than 256 times the other.
    pub fn new(
        from: StreamFormat,
        to: SampleRate,
        quality: ResampleQuality,
    ) -> Result<Self, ConfigError> {
        let rate = from.sample_rate();
        let engine = (rate != to).then(|| Engine::new(from, to, quality)).transpose()?;
        Ok(Self { format: from, to, engine, run: None })
    }

    /// The rate of what comes out.
    #[must_use]
    pub const fn sample_rate(&self) -> SampleRate {
        self.to
    }

    /// How many input samples after its instant an output comes at the latest: half the filter, a piece of 64
    /// samples and one, 0 where the rates are equal.
    #[must_use]
    pub fn latency(&self) -> u64 {
        self.engine.as_ref().map_or(0, |engine| engine.delay + PIECE as u64 + 1)
    }

    /// Takes a block whose first sample has index `at`, at the input's rate; hands on what is ready, interleaved,
    /// each block with the index of its first sample at the output's rate.
    ///
    /// # Panics
    ///
    /// If the block is not a whole number of samples of all channels.
    pub fn process(
        &mut self,
        at: SampleIndex,
        interleaved: &[f32],
        mut emit: impl FnMut(SampleIndex, &[f32]),
    ) {
        let channels = self.format.channels();
        assert_eq!(interleaved.len() % channels, 0, "a block holds whole samples of all channels");
        if interleaved.is_empty() {
            return;
        }
        if self.run.is_some_and(|(_, next)| next != at.0) {
            self.finish(&mut emit);
        }
        let (start, _) = *self.run.get_or_insert((at.0, at.0));
        let next = at.0 + (interleaved.len() / channels) as u64;
        self.run = Some((start, next));
        let Some(engine) = &mut self.engine else {
            return emit(at, interleaved);
        };
        if next - start == (interleaved.len() / channels) as u64 {
            engine.start(start);
        }
        engine.push(interleaved, start, u64::MAX, &mut emit);
    }

    /// Ends the run: hands on the outputs that still wait for inputs to come, as if those were silence.
    pub fn finish(&mut self, mut emit: impl FnMut(SampleIndex, &[f32])) {
        let Some((start, end)) = self.run.take() else { return };
        if let Some(engine) = &mut self.engine {
            engine.flush(start, end, &mut emit);
        }
    }

    /// Forgets everything heard; what still waits is lost.
    pub fn reset(&mut self) {
        self.run = None;
    }
}

/// The first output that is not before input `at`: `⌈at · to / from⌉`.
pub(crate) fn first_output(at: u64, from: SampleRate, to: SampleRate) -> u64 {
    let product = u128::from(at) * u128::from(to.hz());
    u64::try_from(product.div_ceil(u128::from(from.hz()))).unwrap_or(u64::MAX)
}

struct Engine {
    /// In `f64`: the filter of 512 samples is not exact enough in `f32` (100 dB instead of 130).
    inner: Async<f64>,
    from: SampleRate,
    to: SampleRate,
    channels: usize,
    /// The rates without their common divisor.
    up: u64,
    down: u64,
    /// Input samples from an output's instant to the last input it needs.
    delay: u64,
    /// Inputs that make no whole piece yet.
    piece: Box<[f64]>,
    filled: usize,
    made: Box<[f64]>,
    out: Box<[f32]>,
    /// Index of the output that the engine makes next; may lie before the run.
    next: i128,
}

impl Engine {
    fn new(
        format: StreamFormat,
        to: SampleRate,
        quality: ResampleQuality,
    ) -> Result<Self, ConfigError> {
        let (from, channels) = (format.sample_rate(), format.channels());
        let ratio = to.as_f64() / from.as_f64();
        let in_range = (1.0 / 256.0..=256.0).contains(&ratio);
        ConfigError::require(in_range, "sample_rate", "within 256 times the input's rate", to)?;
        let taps = quality.taps();
        let length = ((taps as f64 / ratio.min(1.0)).ceil() as usize).next_multiple_of(8);
        // The cutoff for the length in samples of the lower rate; rubato scales it where the rate goes down.
        let parameters = SincInterpolationParameters::new(length, quality.window())
            .f_cutoff(calculate_cutoff::<f32>(taps, quality.window()))
            .oversampling_factor(PHASES)
            .interpolation(SincInterpolationType::Cubic);
        let inner = Async::new_sinc(ratio, 1.0, &parameters, PIECE, channels, FixedAsync::Input)
            .map_err(|error| ConfigError::new("sample_rate", format!("possible ({error})"), to))?;
        let divisor = gcd(u64::from(from.hz()), u64::from(to.hz()));
        let most = inner.output_frames_max() * channels;
        Ok(Self {
            inner,
            from,
            to,
            channels,
            up: u64::from(to.hz()) / divisor,
            down: u64::from(from.hz()) / divisor,
            delay: length as u64 / 2,
            piece: vec![0.0; PIECE * channels].into(),
            filled: 0,
            made: vec![0.0; most].into(),
            out: vec![0.0; most].into(),
            next: 0,
        })
    }

    /// Makes ready for a run from input `start` on: as many zeros ahead of it as it takes for the outputs to fall on
    /// multiples of the ratio.
    fn start(&mut self, start: u64) {
        self.inner.reset();
        self.filled = 0;
        let down = i128::from(self.down);
        // Output n of a fresh engine is the signal at input (n + 1) · down / up − delay, counted from the first input.
        let first = i128::from(start) - i128::from(self.delay);
        let zeros = first.rem_euclid(down);
        self.next = (first - zeros) / down * i128::from(self.up) + 1;
        for _ in 0..zeros {
            self.push_one(None, i128::MAX, i128::MAX, &mut |_, _| {});
        }
    }

    fn push(
        &mut self,
        interleaved: &[f32],
        start: u64,
        end: u64,
        emit: &mut impl FnMut(SampleIndex, &[f32]),
    ) {
        let first = i128::from(first_output(start, self.from, self.to));
        let last = if end == u64::MAX { i128::MAX } else { i128::from(end) };
        for samples in interleaved.chunks_exact(self.channels) {
            self.push_one(Some(samples), first, last, emit);
        }
    }

    fn flush(&mut self, start: u64, end: u64, emit: &mut impl FnMut(SampleIndex, &[f32])) {
        let first = i128::from(first_output(start, self.from, self.to));
        let last = i128::from(first_output(end, self.from, self.to));
        while self.next < last {
            self.push_one(None, first, last, emit);
        }
    }

    /// Takes one sample of all channels, `None` for silence; hands on the outputs from `first` to before `last`.
    fn push_one(
        &mut self,
        samples: Option<&[f32]>,
        first: i128,
        last: i128,
        emit: &mut impl FnMut(SampleIndex, &[f32]),
    ) {
        let place = &mut self.piece[self.filled * self.channels..][..self.channels];
        match samples {
            Some(samples) => {
                for (to, from) in place.iter_mut().zip(samples) {
                    *to = upbeat_core::sanitize(*from).map_or(0.0, f64::from);
                }
            }
            None => place.fill(0.0),
        }
        self.filled += 1;
        if self.filled < PIECE {
            return;
        }
        self.filled = 0;
        let made = self.convert();
        let from = first.saturating_sub(self.next).clamp(0, made as i128) as usize;
        let to = last.saturating_sub(self.next).clamp(0, made as i128) as usize;
        if from < to {
            let at = SampleIndex((self.next + from as i128) as u64);
            emit(at, &self.out[from * self.channels..to * self.channels]);
        }
        self.next += made as i128;
    }

    /// Converts the piece; returns how many samples per channel came out.
    fn convert(&mut self) -> usize {
        let capacity = self.made.len() / self.channels;
        let input = InterleavedSlice::new(&self.piece, self.channels, PIECE);
        let output = InterleavedSlice::new_mut(&mut self.made, self.channels, capacity);
        // The sizes are those the engine was made for, so neither fails.
        let (Ok(input), Ok(mut output)) = (input, output) else { return 0 };
        let done = self.inner.process_into_buffer(&input, &mut output, None);
        for (to, from) in self.out.iter_mut().zip(&self.made) {
            *to = *from as f32;
        }
        done.map_or(0, |(_, made)| made)
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("from", &self.from)
            .field("to", &self.to)
            .finish_non_exhaustive()
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Samples per channel converted at once.
const PIECE: usize = 64;
/// Positions of the filter between two input samples.
const PHASES: usize = 256;
