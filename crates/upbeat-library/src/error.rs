use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use upbeat_adapt::AdaptError;
use upbeat_core::ConfigError;
use upbeat_io::IoError;

use crate::{SessionId, TrackId};

/// Why a library cannot be opened, read, written or exported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LibraryError {
    /// The file is not a library of ours; it was left as it is.
    #[error("{} is not a track library; choose another file", path.display())]
    NotALibrary {
        /// The file.
        path: PathBuf,
    },
    /// A newer version wrote the file; it was left as it is.
    #[error(
        "{} was written by a newer version (its schema is {found}, this program knows up to {known}); update this program, \
         or choose another file", path.display()
    )]
    FutureVersion {
        /// The file.
        path: PathBuf,
        /// The version of its schema.
        found: i64,
        /// The newest version known here.
        known: i64,
    },
    /// The file or its folder may not be written, or does not exist.
    #[error(
        "{} cannot be opened for writing; the folder must exist, and it and the file must be writable", path.display()
    )]
    Unwritable {
        /// The file.
        path: PathBuf,
    },
    /// There is no room left. What was stored before is safe.
    #[error("there is no room left for {}; free some and go on, what was stored before is safe", path.display())]
    DiskFull {
        /// The file.
        path: PathBuf,
    },
    /// Another program keeps the library to itself.
    #[error("{} is in use by another program that does not let go of it; try again later", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// The file is damaged.
    #[error("{} is damaged ({reason}); restore it from a copy, or remove it and scan again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The database refuses for a reason of its own.
    #[error("{}: {reason}", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// Its words.
        reason: String,
    },
    /// No such track is in the library.
    #[error("there is no track {0} in the library; it may have been removed")]
    NoSuchTrack(TrackId),
    /// No such session is in the library.
    #[error("there is no session {0} in the library; start one")]
    NoSuchSession(SessionId),
    /// A folder cannot be read.
    #[error("{}: {error}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// A sound cannot be read.
    #[error(transparent)]
    Sound(#[from] IoError),
    /// What was learned cannot be read, or an observation cannot be learned from.
    #[error(transparent)]
    Models(#[from] AdaptError),
    /// A setting that cannot work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The system cannot tell of changes to a folder.
    #[error("{} cannot be watched ({reason}); scan it now and then instead", path.display())]
    Watch {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// A path that the format cannot hold.
    #[error("{} cannot be written to {format}: {reason}; rename the file", path.display())]
    Path {
        /// The path.
        path: PathBuf,
        /// The format.
        format: &'static str,
        /// What is in the way.
        reason: &'static str,
    },
    /// A playlist or collection that cannot be read.
    #[error("this is no {format} file that can be read: {reason}")]
    Format {
        /// The format.
        format: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Writing a playlist or collection failed.
    #[error("cannot write: {0}")]
    Write(#[from] std::io::Error),
}

impl LibraryError {
    /// What the database's error about the file at `path` means to its user.
    pub(crate) fn database(path: &Path, error: &rusqlite::Error) -> Self {
        let path = path.to_owned();
        let reason = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::NotALibrary { path },
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                Self::Unwritable { path }
            }
            Some(ErrorCode::DiskFull) => Self::DiskFull { path },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy { path },
            Some(ErrorCode::DatabaseCorrupt) => Self::Damaged { path, reason },
            _ => match error {
                rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::InvalidColumnType(..) => Self::Damaged { path, reason },
                _ => Self::Database { path, reason },
            },
        }
    }
}
