use upbeat_core::{Continuity, Mix, SampleIndex, Stage};
use upbeat_nn::WorkerPort;
use upbeat_window::latest::{Latest, Publisher, latest};

use super::control::{Control, Report};
use super::{AdaptiveConfig, AdaptiveHandle};
use crate::correction::{self, BANDS, Fit};
use crate::equalizer::{PIECE, in_pieces};
use crate::{
    Band, BandKind, EqError, Equalizer, EqualizerConfig, Heard, Latent, ToneCurve, ToneEar,
    ToneEarConfig, ToneModel, Verdict, analogue_response,
};

/// An equalizer that hears what it gets and moves it where a word says.
///
/// What it applies is a *difference*: `intensity × (target − heard)`, where `target` is the curve that the
/// words ask for and `heard` the tone of the sound so far, both as places in the latent space of
/// [`ToneModel`]. A sound that already is as the word says is left alone; at intensity 0 the result is flat,
/// and the sound passes bit for bit. Until half a second of music has been heard, nothing is done.
///
/// # How
///
/// A [`ToneEar`] hears the mean of all channels. Every fourth of its frames (46 ms) the model estimates the
/// tone, the difference is decoded into a curve, and a fixed low shelf, six bells an octave apart and a high
/// shelf are set to the gains nearest to it (least squares), all scaled down together where the curve
/// would exceed the depth. Gains follow that with a time constant, and no faster than the slew allows. An
/// [`Equalizer`] behind that adds its own short smoothing and filters.
///
/// The sound is filtered without delay: latency is 0 samples. What is heard acts from the next
/// update on.
///
/// # What it cannot know
///
/// Whether a sound is dark because it was equalized so or because a double bass is: the two are not
/// separable in principle. The estimate is a compromise, about half of an equalization, and that
/// of a recording no one equalized is not flat; `docs/adaptive-eq.md` has the numbers.
///
/// # Threads
///
/// The processor belongs to the audio thread: after construction it neither allocates nor locks, and the
/// networks run in it (some µs per update). The [`AdaptiveHandle`] belongs to any other. Between them are two
/// slots on which neither waits. For the same blocks, and the same settings before the same blocks, the
/// result is the same bit for bit, live or not; with settings at rest, also for any other cut into blocks.
///
/// # Gaps and bad input
///
/// After a gap everything heard is forgotten, and the gains start from 0, as after [`reset`](Stage::reset);
/// an application that wants to bridge a dropout passes samples whose indices go on. Samples that cannot be
/// sound count as 0.
///
/// # Examples
///
/// ```
/// use upbeat_core::{SampleIndex, SampleRate};
/// use upbeat_eq::{AdaptiveConfig, AdaptiveEqualizer, EqError};
///
/// let (mut equalizer, mut handle) =
///     AdaptiveEqualizer::new(&AdaptiveConfig::new(SampleRate::new(48_000)?, 2))?;
/// handle.set_words("0.6 warm + 0.4 clear")?;
/// handle.set_intensity(0.5)?;
///
/// // On the audio thread:
/// let mut block = [0.0; 2 * 512];
/// equalizer.process_in_place(SampleIndex(0), &mut block);
///
/// // On any other:
/// if let Some(explanation) = handle.explain() {
///     println!("{explanation}");
/// }
/// # Ok::<(), EqError>(())
/// ```
#[derive(Debug)]
pub struct AdaptiveEqualizer {
    channels: usize,
    mix: Mix,
    ear: ToneEar,
    model: ToneModel,
    /// What hears in the model's place.
    worker: Option<WorkerPort>,
    fit: Fit,
    equalizer: Equalizer,
    control: Control,
    controls: Latest,
    reports: Publisher,
    heard: Heard,
    tone: Option<Latent>,
    gains: [f64; BANDS],
    louder: f64,
    /// What loudness weighs the energy of each mel band with.
    weights: [f64; ToneModel::BANDS],
    /// What 1 dB of each correction band does in each mel band.
    effects: [[f64; BANDS]; ToneModel::BANDS],
    /// Samples until the ear's next frame is whole.
    until_frame: usize,
    frames: u64,
    /// Of the distance to where the gains go, per update.
    share: f64,
    /// Seconds from update to update.
    period: f64,
    continuity: Continuity,
    piece: Box<[f32]>,
}

impl AdaptiveEqualizer {
    /// The processor, and its handle. Allocates all that will ever be needed.
    ///
    /// # Errors
    ///
    /// If a setting is out of its range, or a word unknown.
    pub fn new(config: &AdaptiveConfig) -> Result<(Self, AdaptiveHandle), EqError> {
        Self::build(config, None)
    }

    /// One whose tone is estimated by another network, on a thread of its own: one of an `.onnx` file, say, with
    /// `upbeat-nn`'s feature `onnx` or `ort`.
    ///
    /// The network takes the place of `hear` in the config's model: it takes the 64 levels of [`ToneEar::tone`] and gives
    /// [`ToneModel::HEARD`] numbers, of which a latent is made as [`ToneModel::hear`] describes. What it
    /// says is taken into account at the next update after it is said; until it says something, and if it fails, the sound goes on as it is. Results depend on when answers come.
    ///
    /// ```
    /// use upbeat_core::SampleRate;
    /// use upbeat_eq::{AdaptiveConfig, AdaptiveEqualizer};
    /// use upbeat_nn::{Activation, Dense, Layer, Network, Worker};
    ///
    /// // One to whom all sounds are the same; or `OnnxModel::read(&std::fs::read("hear.onnx")?)?`.
    /// let deaf = Dense::new(64, 68, &[0.0; 64 * 68], &[0.0; 68])?;
    /// let deaf = Network::new(vec![(Layer::Dense(deaf), Activation::None)])?;
    /// let (worker, port) = Worker::spawn(Box::new(deaf), 16)?;
    ///
    /// let config = AdaptiveConfig::new(SampleRate::new(48_000)?, 2);
    /// let (equalizer, handle) = AdaptiveEqualizer::with_worker(&config, port)?;
    /// assert!(worker.last_error().is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), and if the network takes or gives another number of numbers.
    pub fn with_worker(
        config: &AdaptiveConfig,
        port: WorkerPort,
    ) -> Result<(Self, AdaptiveHandle), EqError> {
        let sizes = [port.input_length(), port.output_length()];
        if sizes != [ToneModel::BANDS, ToneModel::HEARD] {
            let reason = format!(
                "it makes {} numbers of {}, not {} of {}",
                sizes[1],
                sizes[0],
                ToneModel::HEARD,
                ToneModel::BANDS
            );
            return Err(EqError::ForeignModel { reason });
        }
        Self::build(config, Some(port))
    }

    fn build(
        config: &AdaptiveConfig,
        worker: Option<WorkerPort>,
    ) -> Result<(Self, AdaptiveHandle), EqError> {
        config.check()?;
        let mut bands = vec![Band::off(); BANDS + config.manual_bands];
        bands.push(Band::gain(0.0));
        let mut eq = EqualizerConfig::new(config.sample_rate, config.channels, &bands);
        (eq.design, eq.kernel) = (config.design, config.kernel);
        let equalizer = Equalizer::new(&eq)?;
        let mut ear = ToneEarConfig::new(config.sample_rate);
        ear.memory = config.memory;
        let ear = ToneEar::new(&ear)?;
        let period = UPDATE as f64 / ear.spec().frame_rate();
        let (publisher, controls) = latest(Control::length(config.manual_bands));
        let (reports, receiver) = latest(Report::LENGTH);
        let handle = AdaptiveHandle::new(config, publisher, receiver)?;
        let fit = Fit::new();
        let unit = |k: usize| {
            fit.response(&std::array::from_fn(|other| if other == k { 1.0 } else { 0.0 }))
        };
        let responses: [ToneCurve; BANDS] = std::array::from_fn(unit);
        let share =
            if config.smoothing > 0.0 { 1.0 - (-period / config.smoothing).exp() } else { 1.0 };
        let mut processor = Self {
            channels: config.channels,
            mix: Mix::down(config.channels)?,
            until_frame: ear.spec().frame_length(),
            ear,
            model: config.model.clone(),
            worker,
            equalizer,
            control: handle.control().clone(),
            controls,
            reports,
            heard: NOTHING,
            tone: None,
            gains: [0.0; BANDS],
            louder: 0.0,
            weights: std::array::from_fn(loudness_weight),
            effects: std::array::from_fn(|band| {
                std::array::from_fn(|k| responses[k].at(ToneEar::centre(band)))
            }),
            fit,
            frames: 0,
            share,
            period,
            continuity: Continuity::default(),
            piece: vec![0.0; PIECE * config.channels].into(),
        };
        processor.restart();
        Ok((processor, handle))
    }

    /// Hears and filters `samples`, interleaved, the first of which have index `at`. Audio thread.
    ///
    /// # Panics
    ///
    /// If the block is not a whole number of samples of all channels.
    pub fn process_in_place(&mut self, at: SampleIndex, samples: &mut [f32]) {
        assert_eq!(samples.len() % self.channels, 0, "a block holds whole samples of all channels");
        let length = (samples.len() / self.channels) as u64;
        if self.continuity.advance(at, length).is_some() {
            self.restart();
        }
        let Self { controls, control, .. } = self;
        let news = controls.take().map(|words| control.take(words)).is_some();
        if news {
            self.set_bands();
        }
        let (mut at, mut rest) = (at, samples);
        while !rest.is_empty() {
            let length = self.until_frame.min(rest.len() / self.channels);
            let (block, after) = rest.split_at_mut(length * self.channels);
            let Self { mix, ear, heard, .. } = self;
            mix.process(at, block, |at, mono| ear.process(at, mono, |_, news| *heard = *news));
            self.equalizer.process_in_place(at, block);
            at += length as u64;
            rest = after;
            self.until_frame -= length;
            if self.until_frame == 0 {
                self.until_frame = self.ear.spec().hop_length();
                self.frames += 1;
                if self.frames.is_multiple_of(UPDATE) {
                    self.update(at);
                }
            }
        }
    }

    /// How many samples could not be sound and counted as 0, since construction.
    #[must_use]
    pub const fn sanitized(&self) -> u64 {
        self.equalizer.sanitized()
    }

    /// Samples from update to update.
    #[must_use]
    pub const fn update_length(&self) -> u64 {
        UPDATE * self.ear.spec().hop_length() as u64
    }

    /// What is heard, where that leads, and one step there.
    fn update(&mut self, at: SampleIndex) {
        let tone = self.ear.tone(self.model.programme());
        // Networks of others may have lost themselves; the last sound estimate stays then.
        if let Some(latent) = tone.and_then(|tone| self.hear(&tone))
            && latent.iter().all(|x| x.is_finite())
        {
            self.tone = Some(latent);
        }
        if !self.control.frozen {
            let goal = self.goal();
            let most = self.control.slew * self.period;
            for (gain, goal) in self.gains.iter_mut().zip(goal) {
                let distance = goal - *gain;
                *gain += (self.share * distance).clamp(-most, most);
                if (goal - *gain).abs() < ARRIVED.min(most) {
                    *gain = goal;
                }
            }
        }
        self.louder = self.louder();
        self.set_bands();
        let report = Report {
            at: at.0,
            verdict: self.heard.verdict,
            seconds: self.heard.seconds,
            heard: self.tone,
            gains: self.gains,
            louder: self.louder,
        };
        self.reports.publish(report.words());
    }

    /// The latent of a tone; of a former one where a worker is asked, or none yet.
    fn hear(&mut self, tone: &[f32; ToneModel::BANDS]) -> Option<Latent> {
        let Some(port) = &mut self.worker else {
            return Some(self.model.hear(tone));
        };
        port.send(tone);
        let (mut heard, mut news) = ([0.0; ToneModel::HEARD], false);
        while port.receive(&mut heard) {
            news = true;
        }
        news.then(|| self.model.likely(&heard))
    }

    /// The gains that `intensity × (target − heard)` asks for.
    fn goal(&mut self) -> [f64; BANDS] {
        let (Some(target), Some(heard)) = (self.control.target, self.tone) else {
            return [0.0; BANDS];
        };
        let intensity = self.control.intensity as f32;
        let difference = std::array::from_fn(|k| intensity * (target[k] - heard[k]));
        let curve = self.model.decode(&difference);
        let gains = self.fit.gains(&curve);
        let peak = self.fit.response(&gains).peak();
        if !peak.is_finite() {
            return self.gains;
        }
        let scale = (self.control.depth / peak.max(f64::MIN_POSITIVE)).min(1.0);
        gains.map(|gain| gain * scale)
    }

    /// By how much the bands make what was heard louder, in dB.
    fn louder(&self) -> f64 {
        let (mut before, mut after) = (0.0, 0.0);
        for (band, power) in self.ear.powers().iter().enumerate() {
            let energy = power * self.weights[band];
            let own: f64 = self.effects[band].iter().zip(&self.gains).map(|(e, g)| e * g).sum();
            let level = own + self.control.manual_levels[band];
            before += energy;
            after += energy * 10_f64.powf(level / 10.0);
        }
        if before > 0.0 { (10.0 * (after / before).log10()).clamp(-24.0, 24.0) } else { 0.0 }
    }

    fn set_bands(&mut self) {
        let Control { bypassed, manual, .. } = &self.control;
        if *bypassed {
            let flat = correction::bands(&[0.0; BANDS]).into_iter();
            let manual = manual.iter().map(|band| Band { kind: BandKind::Off, ..*band });
            self.equalizer.move_to(flat.chain(manual).chain([Band::gain(self.louder)]));
        } else {
            let own = correction::bands(&self.gains).into_iter();
            self.equalizer.move_to(own.chain(manual.iter().copied()).chain([Band::gain(0.0)]));
        }
    }

    /// Forgets all that was heard.
    fn restart(&mut self) {
        self.ear.reset();
        if let Some(port) = &mut self.worker {
            port.restart();
        }
        self.heard = NOTHING;
        self.tone = None;
        self.gains = [0.0; BANDS];
        self.louder = 0.0;
        self.until_frame = self.ear.spec().frame_length();
        self.frames = 0;
        self.set_bands();
        self.equalizer.reset();
    }
}

impl Stage for AdaptiveEqualizer {
    type In = [f32];
    type Out = [f32];

    /// As [`process_in_place`](AdaptiveEqualizer::process_in_place), on a copy; emits it in pieces of at most
    /// 512 samples of all channels, in order.
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

/// What mel band `band` weighs in loudness: its width, and the K-weighting of ITU-R BS.1770-4, as the analogue
/// prototypes of its two filters.
fn loudness_weight(band: usize) -> f64 {
    let centre = ToneEar::centre(band);
    let head = Band::new(BandKind::HighShelf, 1681.97, 4.0, Band::BUTTERWORTH);
    let low = Band::new(BandKind::HighPass, 38.135, 0.0, 0.5);
    let k = [head, low].map(|band| analogue_response(&band, centre).magnitude.powi(2));
    ToneEar::width(band) * k[0] * k[1]
}

const NOTHING: Heard = Heard { verdict: Verdict::Silence, seconds: 0.0, enough: false };

/// Frames from update to update.
const UPDATE: u64 = 4;

/// In dB; from here on a gain is where it goes.
const ARRIVED: f64 = 0.002;
