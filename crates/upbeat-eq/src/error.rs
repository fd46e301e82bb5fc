use upbeat_core::ConfigError;
use upbeat_nn::ModelError;

/// Why a semantic equalizer could not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EqError {
    /// A setting out of its range.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A word that the vocabulary does not have.
    #[error("there is no word {word:?}; the nearest is {nearest:?}")]
    UnknownWord {
        /// What was asked for.
        word: String,
        /// The word of the vocabulary with the fewest letters to change.
        nearest: String,
    },
    /// A text that is no blend of words.
    #[error("{text:?} is no blend of words: {reason}; write it like \"0.6 warm + 0.4 clear\"")]
    Blend {
        /// What was asked for.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A model file that is damaged, or whose networks do not fit.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A sound model file, but not of a tone model.
    #[error("not a tone model of version 1: {reason}")]
    ForeignModel {
        /// What it is or lacks.
        reason: String,
    },
    /// A profile that cannot be read.
    #[error("not a readable profile: {reason}")]
    Profile {
        /// What the reader met.
        reason: String,
    },
}
