//! What a client asks for.

use serde::{Deserialize, Serialize};
use serde_json::json;
use upbeat::core::SampleRate;
use upbeat::{Feature, FeatureSet};
use utoipa::{IntoParams, ToSchema};

use crate::Limits;
use crate::message::Problem;
use crate::stream::EngineConfig;
use crate::wire::SampleFormat;

/// How messages carry audio.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Framing {
    /// Samples alone.
    #[default]
    Plain,
    /// Samples after a header with numbers, so that losses are known.
    Framed,
}

/// What a stream is to be, as a query or as JSON.
#[derive(Clone, Debug, Default, Deserialize, IntoParams, ToSchema)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Options {
    /// Samples per second and channel, in Hz.
    #[param(minimum = 8000, maximum = 192_000, default = 44_100)]
    #[schema(minimum = 8000, maximum = 192_000, default = 44_100)]
    sample_rate: Option<u32>,
    /// Interleaved channels.
    #[param(minimum = 1, maximum = 8, default = 1)]
    #[schema(minimum = 1, maximum = 8, default = 1)]
    channels: Option<u32>,
    /// How samples are written in the plain format; frames say it themselves.
    #[param(inline)]
    format: Option<SampleFormat>,
    /// How messages carry audio.
    #[param(inline)]
    framing: Option<Framing>,
    /// Analyses per second.
    #[param(minimum = 1, maximum = 100, default = 10)]
    #[schema(minimum = 1, maximum = 100, default = 10)]
    rate: Option<f32>,
    /// Further features for each analysis, by name and separated by commas.
    features: Option<String>,
    /// Whether each analysis has the mel bands (`log_mel`) for a picture.
    spectrogram: Option<bool>,
    /// The token that an earlier connection was given, to go on with its stream.
    pub(crate) resume: Option<String>,
    /// The server's token, where it has one and the client cannot send headers.
    #[schema(ignore)]
    #[param(ignore)]
    #[serde(rename = "token")]
    _token: Option<String>,
}

/// Options that can work.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) engine: EngineConfig,
    pub(crate) format: SampleFormat,
    pub(crate) framing: Framing,
}

impl Options {
    pub(crate) fn settings(&self) -> Result<Settings, Problem> {
        let hz = self.sample_rate.unwrap_or(44_100);
        let range = Limits::SAMPLE_RATES;
        let wrong = |name: &str, range: &str, got: &dyn ToString| {
            let message = format!("{name} must be {range}, got {}", got.to_string());
            Problem::new("invalid_setting", message)
        };
        let rate = SampleRate::new(hz).ok().filter(|rate| range.contains(&rate.hz()));
        let rate = rate.ok_or_else(|| wrong("sample_rate", "from 8000 to 192000", &hz))?;
        let channels = self.channels.unwrap_or(1);
        if !(1..=Limits::CHANNELS as u32).contains(&channels) {
            return Err(wrong("channels", "from 1 to 8", &channels));
        }
        let features = self.features.as_deref().unwrap_or_default();
        Ok(Settings {
            engine: EngineConfig {
                rate,
                channels: channels as usize,
                analyses: analyses(self.rate.unwrap_or(10.0))?,
                extra: extra(features)?,
                spectrogram: self.spectrogram.unwrap_or(false),
            },
            format: self.format.unwrap_or_default(),
            framing: self.framing.unwrap_or_default(),
        })
    }
}

impl Settings {
    pub(crate) fn describe(&self) -> serde_json::Value {
        let EngineConfig { rate, channels, analyses, extra, spectrogram } = self.engine;
        json!({
            "sample_rate": rate.hz(),
            "channels": channels,
            "format": self.format,
            "framing": self.framing,
            "rate": analyses,
            "features": extra.iter().map(Feature::name).collect::<Vec<_>>(),
            "spectrogram": spectrogram,
        })
    }
}

/// Analyses per second, if there can be so many.
pub(crate) fn analyses(rate: f32) -> Result<f32, Problem> {
    if Limits::RATES.contains(&rate) {
        return Ok(rate);
    }
    Err(Problem::new(
        "invalid_setting",
        format!("rate must be from 1 to 100 per second, got {rate}"),
    ))
}

/// Features by name.
pub(crate) fn extra(names: &str) -> Result<FeatureSet, Problem> {
    if names.len() > 1000 {
        return Err(Problem::new("invalid_setting", "features must be at most 1000 characters"));
    }
    names.parse().map_err(|error: upbeat::core::ConfigError| {
        Problem::new("invalid_setting", error.to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_work_is_told_with_what_would() {
        let problem = |options: Options| options.settings().unwrap_err().message;
        let sample_rate = |sample_rate| Options { sample_rate, ..Options::default() };
        assert!(problem(sample_rate(Some(0))).contains("sample_rate must be from 8000 to 192000"));
        assert!(problem(sample_rate(Some(u32::MAX))).ends_with("got 4294967295"));
        assert!(problem(Options { channels: Some(9), ..Options::default() }).contains("channels"));
        for rate in [0.0, -1.0, 101.0, f32::NAN, f32::INFINITY] {
            assert!(problem(Options { rate: Some(rate), ..Options::default() }).contains("rate"));
        }
        let features = Some("rms,loudnes".to_owned());
        assert!(problem(Options { features, ..Options::default() }).contains("loudness"));
        let settings = Options::default().settings().unwrap();
        assert_eq!((settings.engine.rate.hz(), settings.engine.analyses), (44_100, 10.0));
    }
}
