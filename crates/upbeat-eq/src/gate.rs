use upbeat_core::FrameSpec;

use crate::ToneModel;

/// What a frame is for one who listens for tone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// Counted.
    Music,
    /// Below −60 dB of full scale, or 40 dB below the loudest of late, which falls by 0.5 dB per second. Also
    /// what was before the start.
    Silence,
    /// Steady noise. In a quarter of a second, the mean level over bands deviates by less than 0.8 dB, but the
    /// bands flicker by more than 2 dB from frame to frame, which those of steady tones do not; and within
    /// groups of eight bins the spectrum is as uneven as that of noise is (arithmetic over geometric
    /// mean below 3 dB, Gaussian noise having 2 and tones that can be told apart more). Once it is noise, half as much more is still noise.
    Noise,
}

/// Decides on each frame, once the [`FRAMES`](Self::FRAMES) − 1 after it are known.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    /// A ring of what is known of each frame.
    frames: Box<[Known]>,
    place: usize,
    /// Whether the last frame that sounded was noise.
    noise: bool,
    /// The bands of the frame before, in dB.
    before: [f32; ToneModel::BANDS],
    /// The loudest level of late, in dB.
    loudest: f32,
    /// By which that falls from frame to frame.
    fall: f32,
    /// Power of full scale, in dB: what a frame's sum of bins has for a square wave of ±1.
    full_scale: f32,
    /// The bins whose unevenness is measured.
    bins: std::ops::Range<usize>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    silent: bool,
    /// Mean over bands, in dB.
    level: f32,
    /// Arithmetic over geometric mean of neighbouring bins, in dB.
    unevenness: f32,
    /// Mean change of a band since the frame before, in dB.
    flicker: f32,
}

impl Gate {
    pub(crate) const FRAMES: usize = 16;

    pub(crate) fn new(spec: FrameSpec) -> Self {
        let n = spec.frame_length() as f64;
        let bin = |f: f64| (f * n / spec.sample_rate().as_f64()) as usize;
        let top = 8000_f64.min(0.45 * spec.sample_rate().as_f64());
        Self {
            frames: vec![BEFORE; Self::FRAMES].into(),
            place: 0,
            noise: false,
            before: [0.0; ToneModel::BANDS],
            loudest: SILENCE,
            fall: (0.5 / spec.frame_rate()) as f32,
            // Parseval's theorem, for half the spectrum and a Hann window, whose mean square is 3/8.
            full_scale: (10.0 * (n * n * 0.375 / 2.0).log10()) as f32,
            bins: bin(200.0)..bin(top),
        }
    }

    /// Takes a frame, and decides on the one `FRAMES` before it.
    pub(crate) fn push(&mut self, bins: &[f32], bands: &[f32]) -> Verdict {
        let verdict = self.oldest();
        let level = decibels(bins.iter().sum()) - self.full_scale;
        self.loudest = (self.loudest - self.fall).max(level);
        let silent = !(level > SILENCE && level > self.loudest - PAUSE);
        self.frames[self.place] = if silent {
            BEFORE
        } else {
            let (mut level, mut flicker) = (0.0, 0.0);
            for (power, before) in bands.iter().zip(&mut self.before) {
                let now = decibels(*power);
                level += now;
                flicker += (now - *before).abs();
                *before = now;
            }
            let n = bands.len() as f32;
            let unevenness = unevenness(&bins[self.bins.clone()]);
            Known { silent, level: level / n, unevenness, flicker: flicker / n }
        };
        self.place = (self.place + 1) % Self::FRAMES;
        verdict
    }

    pub(crate) fn reset(&mut self) {
        self.frames.fill(BEFORE);
        self.place = 0;
        self.noise = false;
        self.before.fill(0.0);
        self.loudest = SILENCE;
    }

    fn oldest(&mut self) -> Verdict {
        if self.frames[self.place].silent {
            return Verdict::Silence;
        }
        let sounding = self.frames.iter().filter(|frame| !frame.silent);
        let (mut count, mut sum, mut squares) = (0.0, 0.0, 0.0);
        let (mut unevenness, mut flicker) = (0.0, 0.0);
        let reference = self.frames[self.place].level;
        for frame in sounding {
            let level = frame.level - reference;
            count += 1.0;
            sum += level;
            squares += level * level;
            unevenness += frame.unevenness;
            flicker += frame.flicker;
        }
        let deviation = (squares / count - (sum / count) * (sum / count)).max(0.0).sqrt();
        // Noise that has begun must change clearly to be taken for music.
        let ease = if self.noise { 1.5 } else { 1.0 };
        let steady = deviation < STEADY * ease && flicker / count > FLICKER;
        // Too little to tell by is no music.
        self.noise = count < 4.0 || (steady && unevenness / count < NOISY * ease);
        if self.noise { Verdict::Noise } else { Verdict::Music }
    }
}

/// Mean over groups of eight bins of arithmetic over geometric mean, in dB.
fn unevenness(bins: &[f32]) -> f32 {
    let (groups, _) = bins.as_chunks::<8>();
    let of = |group: &[f32; 8]| {
        let (mut sum, mut product) = (0.0, 1.0);
        for power in group {
            let power = f64::from(power.max(FLOOR));
            sum += power;
            product *= power;
        }
        // Products of eight lie between 1e-240 and 1e200.
        10.0 * (sum / 8.0).log10() - 10.0 / 8.0 * product.log10()
    };
    (groups.iter().map(of).sum::<f64>() / groups.len().max(1) as f64) as f32
}

fn decibels(power: f32) -> f32 {
    10.0 * power.max(FLOOR).log10()
}

const BEFORE: Known = Known { silent: true, level: 0.0, unevenness: 0.0, flicker: 0.0 };

/// In dB of full scale.
const SILENCE: f32 = -60.0;

/// In dB below the loudest.
const PAUSE: f32 = 40.0;

/// In dB.
const STEADY: f32 = 0.8;

/// In dB.
const FLICKER: f32 = 2.0;

/// In dB.
const NOISY: f32 = 3.0;

/// A power that is nothing.
const FLOOR: f32 = 1e-30;
