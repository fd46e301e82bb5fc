use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};

/// Why something could not be learned, recommended, saved or loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdaptError {
    /// A value that was given is outside its range.
    #[error("{what} must be {requirement}, got {got}")]
    Invalid {
        /// Which value.
        what: &'static str,
        /// What it must be.
        requirement: &'static str,
        /// What it is.
        got: String,
    },
    /// A key that is written in no notation known here.
    #[error("{text:?} is no key; write it like 8A, A minor, Am or F#")]
    Key {
        /// What was written.
        text: String,
    },
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is none of ours.
    #[error("{} is not a model file of upbeat-adapt ({reason}); it was left as it was", path.display())]
    Foreign {
        /// Which file.
        path: PathBuf,
        /// What shows it.
        reason: String,
    },
    /// The file is ours, but damaged.
    #[error("{} is damaged ({reason}); it was left as it was, restore it from a copy or start anew under another name", path.display())]
    Corrupt {
        /// Which file.
        path: PathBuf,
        /// What shows it.
        reason: String,
    },
    /// The file was written by a later version of this crate.
    #[error("{} has version {found}, this program reads up to {supported}; update it, the file was left as it was", path.display())]
    FutureVersion {
        /// Which file.
        path: PathBuf,
        /// The file's version.
        found: u64,
        /// The latest version that can be read.
        supported: u64,
    },
    /// The file's models were learned from another set of features.
    #[error("{} was learned from feature set {found}, this program computes set {supported}; start anew under another name, the file was left as it was", path.display())]
    FeatureSet {
        /// Which file.
        path: PathBuf,
        /// The file's feature set.
        found: u64,
        /// The one in use.
        supported: u64,
    },
}

impl AdaptError {
    pub(crate) fn require(
        holds: bool,
        what: &'static str,
        requirement: &'static str,
        got: impl Display + Copy,
    ) -> Result<(), Self> {
        if holds { Ok(()) } else { Err(Self::Invalid { what, requirement, got: got.to_string() }) }
    }

    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}
