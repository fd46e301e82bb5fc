use std::fmt::Display;

/// A setting that cannot work: which one, what it must be, and what was given.
///
/// ```
/// use upbeat_core::SampleRate;
///
/// let error = SampleRate::new(0).unwrap_err();
/// assert_eq!(error.parameter(), "sample_rate");
/// assert_eq!(error.to_string(), "sample_rate must be at least 1 Hz, got 0");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{parameter} must be {requirement}, got {got}")]
pub struct ConfigError {
    parameter: &'static str,
    requirement: String,
    got: String,
}

impl ConfigError {
    /// The error for `parameter`, which "must be `requirement`", but is `got`.
    pub fn new(parameter: &'static str, requirement: impl Into<String>, got: impl Display) -> Self {
        Self { parameter, requirement: requirement.into(), got: got.to_string() }
    }

    /// `Ok` where `holds`, else the error for `parameter`.
    ///
    /// State the condition positively (`q > 0.0`, not `!(q <= 0.0)`), so that NaN fails it.
    ///
    /// # Errors
    ///
    /// If `holds` is false.
    pub fn require(
        holds: bool,
        parameter: &'static str,
        requirement: &str,
        got: impl Display,
    ) -> Result<(), Self> {
        if holds { Ok(()) } else { Err(Self::new(parameter, requirement, got)) }
    }

    /// The name of the setting that was refused.
    #[must_use]
    pub const fn parameter(&self) -> &'static str {
        self.parameter
    }

    /// What the setting must be, to follow the words "must be".
    #[must_use]
    pub fn requirement(&self) -> &str {
        &self.requirement
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_fails_a_positively_stated_requirement() {
        let q = f32::NAN;
        let error = ConfigError::require(q > 0.0, "q", "above 0", q).unwrap_err();
        assert_eq!(error.to_string(), "q must be above 0, got NaN");
        assert_eq!(error.requirement(), "above 0");
    }
}
