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
    /// A model takes or gives something that no stream of frames is made of.
    #[error("the model cannot be run frame by frame: {reason}")]
    Ports {
        /// Which input or output, and what about it.
        reason: String,
    },
    /// ONNX Runtime is not there, or too old.
    #[error(
        "ONNX Runtime could not be loaded from {path:?}: {reason}; install version 1.17 or newer, and give the path of its \
         library or set ORT_DYLIB_PATH to it"
    )]
    Library {
        /// Where it was looked for.
        path: String,
        /// What the system said.
        reason: String,
    },
    /// What is to compute for ONNX Runtime does not exist or is not there.
    #[error("execution provider {name:?} cannot be used: {reason}")]
    Provider {
        /// What was asked for.
        name: String,
        /// Why not.
        reason: String,
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
