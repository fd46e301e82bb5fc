/// Why a model could not be made or run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// Not a file of the kind expected, or a damaged one.
    #[error("not a readable model file: {reason}")]
    Corrupt {
        /// What the reader met.
        reason: String,
    },
    /// The file lacks a tensor that its layers need.
    #[error("the model has no tensor named {name:?}")]
    Missing {
        /// The tensor's name.
        name: String,
    },
    /// A tensor is not of the kind that is needed.
    #[error("tensor {name:?} must be {requirement}, but is {found}")]
    Tensor {
        /// The tensor's name.
        name: String,
        /// What it must be.
        requirement: String,
        /// What it is.
        found: String,
    },
    /// A layer's sizes do not fit each other or those of the layer before.
    #[error("{what} must be {requirement}, got {got}")]
    Shape {
        /// Which size.
        what: &'static str,
        /// What it must be.
        requirement: String,
        /// What it is.
        got: usize,
    },
    /// The library behind a model failed.
    #[error("the inference library failed: {reason}")]
    Backend {
        /// What it said.
        reason: String,
    },
}

impl ModelError {
    pub(crate) fn corrupt(reason: impl Into<String>) -> Self {
        Self::Corrupt { reason: reason.into() }
    }

    pub(crate) fn require_length(
        what: &'static str,
        got: usize,
        needed: usize,
    ) -> Result<(), Self> {
        Self::require(got == needed, what, &needed.to_string(), got)
    }

    pub(crate) fn require(
        holds: bool,
        what: &'static str,
        requirement: &str,
        got: usize,
    ) -> Result<(), Self> {
        if holds { Ok(()) } else { Err(Self::Shape { what, requirement: requirement.into(), got }) }
    }
}
