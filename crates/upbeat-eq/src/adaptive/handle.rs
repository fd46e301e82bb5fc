use upbeat_core::{ConfigError, SampleIndex};
use upbeat_window::latest::{Latest, Publisher};

use super::control::{Control, Report};
use super::explain::Explanation;
use super::{AdaptiveConfig, check_intensity, check_limits};
use crate::correction;
use crate::{
    Band, EqError, Profile, Target, ToneCurve, ToneEar, ToneModel, Verdict, Vocabulary,
    analogue_response,
};

/// What an [`AdaptiveEqualizer`](super::AdaptiveEqualizer) has heard and does.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Status {
    /// The first sample that what follows applies to.
    pub at: SampleIndex,
    /// What the sound is, 0.2 s ago.
    pub verdict: Verdict,
    /// Seconds of music heard.
    pub seconds: f64,
    /// The tone heard, relative to what music has on average; `None` until enough was heard.
    pub heard: Option<ToneCurve>,
    /// The bands that adapting has set, those that are off included.
    pub bands: [Band; 8],
    /// What they do together.
    pub applied: ToneCurve,
    /// How much louder the whole equalizer makes the sound, in dB: what bypass is raised by.
    pub louder: f64,
}

/// Sets what an [`AdaptiveEqualizer`](super::AdaptiveEqualizer) does, and says what it did; on any thread.
///
/// Settings act from the next block on; each setting replaces what the processor has not taken yet.
#[derive(Debug)]
pub struct AdaptiveHandle {
    vocabulary: Vocabulary,
    profile: Profile,
    model: ToneModel,
    target: Option<Target>,
    /// The text behind `target`, to be read again when the profile changes.
    words: Option<String>,
    control: Control,
    controls: Publisher,
    reports: Latest,
    status: Option<Status>,
}

impl AdaptiveHandle {
    pub(super) fn new(
        config: &AdaptiveConfig,
        controls: Publisher,
        reports: Latest,
    ) -> Result<Self, EqError> {
        let control = Control {
            target: None,
            intensity: config.intensity,
            depth: config.depth,
            slew: config.slew,
            frozen: false,
            bypassed: false,
            manual: vec![Band::off(); config.manual_bands].into(),
            manual_levels: [0.0; ToneModel::BANDS],
        };
        let mut handle = Self {
            vocabulary: config.vocabulary.clone(),
            profile: config.profile.clone(),
            model: config.model.clone(),
            target: None,
            words: None,
            control,
            controls,
            reports,
            status: None,
        };
        if let Some(words) = &config.words {
            handle.set_words(words)?;
        }
        Ok(handle)
    }

    pub(super) fn control(&self) -> &Control {
        &self.control
    }

    /// Asks for a word or a blend of words; see [`Vocabulary::target`].
    ///
    /// # Errors
    ///
    /// As there; what was asked for before stays.
    pub fn set_words(&mut self, words: &str) -> Result<(), EqError> {
        let target = self.vocabulary.personal_target(words, &self.profile)?;
        self.set_target(target);
        self.words = Some(words.to_owned());
        Ok(())
    }

    /// Asks for any curve.
    pub fn set_target(&mut self, target: Target) {
        self.control.target = Some(self.model.encode(target.curve()));
        self.target = Some(target);
        self.words = None;
        self.publish();
    }

    /// Asks for nothing: what adapting has done goes back to 0.
    pub fn clear_target(&mut self) {
        self.control.target = None;
        self.target = None;
        self.words = None;
        self.publish();
    }

    /// What is asked for.
    #[must_use]
    pub const fn target(&self) -> Option<&Target> {
        self.target.as_ref()
    }

    /// How far to go: 0 to 2.
    ///
    /// # Errors
    ///
    /// If it is out of its range; nothing changes then.
    pub fn set_intensity(&mut self, intensity: f64) -> Result<(), ConfigError> {
        check_intensity(intensity)?;
        self.control.intensity = intensity;
        self.publish();
        Ok(())
    }

    /// The largest gain or cut in dB, and the fastest change in dB per second; see [`AdaptiveConfig`].
    ///
    /// # Errors
    ///
    /// If one is out of its range; nothing changes then.
    pub fn set_limits(&mut self, depth: f64, slew: f64) -> Result<(), ConfigError> {
        check_limits(depth, slew)?;
        (self.control.depth, self.control.slew) = (depth, slew);
        self.publish();
        Ok(())
    }

    /// Sets manual band `index` by hand, beside what adapting does.
    ///
    /// # Errors
    ///
    /// If there is no such band, or the setting is out of its range; nothing changes then.
    pub fn set_band(&mut self, index: usize, band: Band) -> Result<(), ConfigError> {
        band.validate()?;
        let count = self.control.manual.len();
        let slot = self.control.manual.get_mut(index);
        *slot.ok_or_else(|| ConfigError::new("index", format!("below {count}"), index))? = band;
        let bands = &self.control.manual;
        self.control.manual_levels = std::array::from_fn(|band| {
            let centre = ToneEar::centre(band);
            let magnitude = bands.iter().map(|b| analogue_response(b, centre).magnitude);
            20.0 * magnitude.product::<f64>().max(1e-6).log10()
        });
        self.publish();
        Ok(())
    }

    /// The bands set by hand.
    #[must_use]
    pub fn bands(&self) -> &[Band] {
        &self.control.manual
    }

    /// Holds what adapting has come to, or lets it go on.
    pub fn set_frozen(&mut self, frozen: bool) {
        self.control.frozen = frozen;
        self.publish();
    }

    /// Lets the sound pass as it is, as loud as the equalizer would make it, or lets the equalizer work.
    ///
    /// The loudness is estimated from the spectrum heard and the bands' responses, with the weighting of
    /// ITU-R BS.1770.
    pub fn set_bypassed(&mut self, bypassed: bool) {
        self.control.bypassed = bypassed;
        self.publish();
    }

    /// Whose words they are. What was asked for in words means what this profile says from now on.
    ///
    /// # Errors
    ///
    /// If the words asked for cannot be read any more, which does not happen.
    pub fn set_profile(&mut self, profile: Profile) -> Result<(), EqError> {
        self.profile = profile;
        match self.words.clone() {
            Some(words) => self.set_words(&words),
            None => Ok(()),
        }
    }

    /// What has been learnt of the person.
    #[must_use]
    pub const fn profile(&self) -> &Profile {
        &self.profile
    }

    /// The words known.
    #[must_use]
    pub const fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// What the processor did last; `None` before its first update, 60 ms after the start.
    pub fn status(&mut self) -> Option<&Status> {
        if let Some(report) = self.reports.take().map(Report::of_words) {
            let bands = correction::bands(&report.gains);
            self.status = Some(Status {
                at: SampleIndex(report.at),
                verdict: report.verdict,
                seconds: report.seconds,
                heard: report.heard.map(|latent| self.model.decode(&latent).timbre()),
                bands,
                applied: ToneCurve::of_bands(&bands),
                louder: report.louder,
            });
        }
        self.status.as_ref()
    }

    /// What each band does, and why; `None` as long as nothing is asked for or not enough was heard.
    pub fn explain(&mut self) -> Option<Explanation> {
        let target = self.target.clone()?;
        let intensity = self.control.intensity;
        let status = self.status()?;
        Some(Explanation::new(&target, intensity, &status.heard?, &status.bands))
    }

    fn publish(&mut self) {
        self.controls.publish(self.control.words());
    }
}
