//! What goes through the two slots: settings to the processor, what it did back.

use crate::correction::BANDS;
use crate::equalizer::{WORDS, decode, encode};
use crate::{Band, Latent, ToneModel, Verdict};

/// What the handle asks of the processor.
#[derive(Clone, Debug)]
pub(super) struct Control {
    pub(super) target: Option<Latent>,
    pub(super) intensity: f64,
    pub(super) depth: f64,
    pub(super) slew: f64,
    pub(super) frozen: bool,
    pub(super) bypassed: bool,
    pub(super) manual: Box<[Band]>,
    /// What the manual bands do in each mel band, in dB; the handle's work, as it takes long.
    pub(super) manual_levels: [f64; ToneModel::BANDS],
}

impl Control {
    /// Numbers in the slot.
    pub(super) fn length(manual_bands: usize) -> usize {
        6 + ToneModel::LATENT + ToneModel::BANDS + WORDS * manual_bands
    }

    pub(super) fn words(&self) -> impl Iterator<Item = f64> {
        let flag = |holds: bool| f64::from(u8::from(holds));
        let target = self.target.unwrap_or([0.0; ToneModel::LATENT]);
        [
            self.intensity,
            self.depth,
            self.slew,
            flag(self.frozen),
            flag(self.bypassed),
            flag(self.target.is_some()),
        ]
        .into_iter()
        .chain(target.map(f64::from))
        .chain(self.manual_levels)
        .chain(self.manual.iter().flat_map(encode))
    }

    pub(super) fn take(&mut self, mut words: impl Iterator<Item = f64>) {
        let mut next = || words.next().unwrap_or_default();
        self.intensity = next();
        self.depth = next();
        self.slew = next();
        self.frozen = next() != 0.0;
        self.bypassed = next() != 0.0;
        let has_target = next() != 0.0;
        let target = std::array::from_fn(|_| next() as f32);
        self.target = has_target.then_some(target);
        self.manual_levels = std::array::from_fn(|_| next());
        for band in &mut self.manual {
            *band = decode(std::array::from_fn(|_| next()));
        }
    }
}

/// What the processor tells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Report {
    pub(super) at: u64,
    pub(super) verdict: Verdict,
    /// Seconds of music heard.
    pub(super) seconds: f64,
    pub(super) heard: Option<Latent>,
    pub(super) gains: [f64; BANDS],
    /// How much louder the equalizer makes the sound, in dB.
    pub(super) louder: f64,
}

impl Report {
    pub(super) const LENGTH: usize = 5 + ToneModel::LATENT + BANDS;

    pub(super) fn words(&self) -> impl Iterator<Item = f64> {
        let verdict = match self.verdict {
            Verdict::Music => 1.0,
            Verdict::Silence => 0.0,
            Verdict::Noise => 2.0,
        };
        let heard = self.heard.unwrap_or([0.0; ToneModel::LATENT]);
        let known = f64::from(u8::from(self.heard.is_some()));
        // Indices below 2^53, 5000 years at 48 kHz, are exact.
        [self.at as f64, verdict, self.seconds, known, self.louder]
            .into_iter()
            .chain(heard.map(f64::from))
            .chain(self.gains)
    }

    pub(super) fn of_words(mut words: impl Iterator<Item = f64>) -> Self {
        let mut next = || words.next().unwrap_or_default();
        let at = next() as u64;
        let verdict = match next() {
            1.0 => Verdict::Music,
            2.0 => Verdict::Noise,
            _ => Verdict::Silence,
        };
        let seconds = next();
        let known = next() != 0.0;
        let louder = next();
        let heard = std::array::from_fn(|_| next() as f32);
        let gains = std::array::from_fn(|_| next());
        Self { at, verdict, seconds, heard: known.then_some(heard), gains, louder }
    }
}
