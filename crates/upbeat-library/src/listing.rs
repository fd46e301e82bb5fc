//! Which sound files folders hold.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use walkdir::WalkDir;

use crate::ScanFailure;
use crate::work::Listed;

/// The files of folders.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) files: Vec<Listed>,
    pub(crate) failures: Vec<ScanFailure>,
    /// Folders that could not be read, of whose tracks nothing is known.
    pub(crate) unread: Vec<PathBuf>,
    pub(crate) ignored: usize,
}

impl Listing {
    /// Adds all sound files in the folder and in those in it. Links are followed.
    pub(crate) fn walk(&mut self, root: &Path) {
        for entry in WalkDir::new(root).follow_links(true).sort_by_file_name() {
            match entry {
                Ok(entry) if entry.file_type().is_dir() => {}
                Ok(entry) => self.add(entry.path()),
                Err(error) => {
                    let path = error.path().unwrap_or(root).to_owned();
                    // A link to nowhere, or in a circle, is nobody's music.
                    if error.loop_ancestor().is_none()
                        && path.symlink_metadata().is_ok_and(|m| !m.is_symlink())
                    {
                        let reason = error
                            .io_error()
                            .map_or_else(|| error.to_string(), |error| error.kind().to_string());
                        self.failures.push(ScanFailure { path: path.clone(), reason });
                        self.unread.push(path);
                    }
                }
            }
        }
    }

    /// Adds one file, if it is a sound file by its name and exists.
    pub(crate) fn add(&mut self, path: &Path) {
        if !is_sound(path) {
            self.ignored += 1;
            return;
        }
        let Ok(metadata) = path.metadata() else { return };
        let since = metadata
            .modified()
            .ok()
            .and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok())
            .unwrap_or_default();
        self.files.push(Listed {
            path: path.to_owned(),
            size: metadata.len(),
            modified: i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        });
    }
}

/// Whether the end of a file's name is that of a sound file.
fn is_sound(path: &Path) -> bool {
    let extension = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
    // Names that start so are what a Mac leaves beside files on other systems' drives.
    let is_shadow = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"._"));
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str())) && !is_shadow
}

const EXTENSIONS: &[&str] = &[
    "wav", "wave", "aif", "aiff", "aifc", "flac", "mp3", "ogg", "oga", "m4a", "m4b", "mp4", "aac",
];
