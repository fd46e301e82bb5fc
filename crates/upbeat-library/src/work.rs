//! What is done to one file, without the library.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use upbeat_io::{FileSource, IoError};

use crate::analyse::analyse_while;
use crate::{FEATURE_VERSION, LibraryError, NewTrack, Tags, TrackId};

/// A file as the folder lists it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Listed {
    pub(crate) path: PathBuf,
    pub(crate) size: u64,
    pub(crate) modified: i64,
}

/// What the library knows of a track, to see whether its file has changed.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) id: TrackId,
    pub(crate) path: PathBuf,
    pub(crate) size: u64,
    pub(crate) modified: i64,
    pub(crate) hash: [u8; 32],
    pub(crate) version: u32,
    pub(crate) missing: bool,
}

impl Known {
    pub(crate) fn is_current(&self) -> bool {
        self.version == FEATURE_VERSION
    }
}

/// What came of a file.
#[derive(Debug)]
pub(crate) enum Outcome {
    Analysed(Box<NewTrack>),
    /// Its bytes are those of a track that is analysed already.
    Same {
        hash: [u8; 32],
        id: TrackId,
    },
    /// What it holds cannot be read.
    Failed(String),
    /// It cannot be opened, or not now.
    Unreadable(String),
    /// There was no time.
    Stopped,
}

/// Hashes the file, and analyses it unless a track of `by_hash` has the same bytes.
pub(crate) fn work(
    file: &Listed,
    by_hash: &HashMap<[u8; 32], TrackId>,
    go_on: &AtomicBool,
) -> Outcome {
    // Whatever a file does to a decoder, the others go on.
    catch_unwind(AssertUnwindSafe(|| run(file, by_hash, go_on)))
        .unwrap_or_else(|_| Outcome::Failed("is damaged in a way that breaks its analysis".into()))
}

fn run(file: &Listed, by_hash: &HashMap<[u8; 32], TrackId>, go_on: &AtomicBool) -> Outcome {
    let hash = match hash(&file.path) {
        Ok(hash) => hash,
        Err(error) => return Outcome::Unreadable(IoError::from(error).to_string()),
    };
    if let Some(id) = by_hash.get(&hash) {
        return Outcome::Same { hash, id: *id };
    }
    let mut source = match FileSource::open(&file.path) {
        Ok(source) => source,
        Err(error) => return failed(&error),
    };
    let mut analysis = match analyse_while(&mut source, go_on) {
        Ok(Some(analysis)) => analysis,
        Ok(None) => return Outcome::Stopped,
        Err(LibraryError::Sound(error)) => return failed(&error),
        Err(error) => return Outcome::Failed(error.to_string()),
    };
    let damage = source.damage();
    if damage.is_any() && analysis.damage.is_none() {
        analysis.damage = Some(damage.to_string());
    }
    let Listed { path, size, modified } = file.clone();
    let tags = Tags::read(&path);
    Outcome::Analysed(Box::new(NewTrack { path, size, modified, hash, tags, analysis }))
}

/// Whether it is the file or the system that is in the way.
fn failed(error: &IoError) -> Outcome {
    match error {
        IoError::NotFound | IoError::PermissionDenied | IoError::Io(_) => {
            Outcome::Unreadable(error.to_string())
        }
        _ => Outcome::Failed(error.to_string()),
    }
}

fn hash(path: &Path) -> io::Result<[u8; 32]> {
    let mut file = File::open(path)?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(*hasher.finalize().as_bytes()),
            Ok(n) => hasher.update(&buffer[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
    }
}
