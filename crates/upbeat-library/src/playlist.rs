//! Playlists in M3U8: a file's path on each line, in UTF-8, and before it its length and what to call it.
//!
//! ```
//! use upbeat_library::playlist::{self, Entry};
//!
//! let entry = |path: &str| Entry { path: path.into(), seconds: Some(200.0), name: Some("A - B".into()) };
//! let entries = [entry("/music/b.flac"), entry("/music/live/c.ogg")];
//! let text = playlist::to_m3u8(&entries, Some("/music".as_ref()))?;
//! assert_eq!(text, "#EXTM3U\n#EXTINF:200,A - B\nb.flac\n#EXTINF:200,A - B\nlive/c.ogg\n");
//! assert_eq!(playlist::from_m3u8(&text, "/music".as_ref()), entries);
//! # Ok::<(), upbeat_library::LibraryError>(())
//! ```

use std::fmt::Write;
use std::path::{Path, PathBuf};

use crate::{LibraryError, Track};

/// One track of a playlist.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Where it is.
    pub path: PathBuf,
    /// How long it is, in seconds; whole ones are written.
    pub seconds: Option<f64>,
    /// What to call it.
    pub name: Option<String>,
}

impl From<&Track> for Entry {
    fn from(track: &Track) -> Self {
        Self {
            path: track.path.clone(),
            seconds: Some(track.analysis.duration),
            name: Some(track.name()),
        }
    }
}

/// The entries as a playlist; paths in `folder`, where the playlist is to lie, are written relative to it, so that both
/// can be moved together.
///
/// # Errors
///
/// If a path is not UTF-8 or has a line break in it, which the format cannot hold.
pub fn to_m3u8(entries: &[Entry], folder: Option<&Path>) -> Result<String, LibraryError> {
    let mut text = String::from("#EXTM3U\n");
    for Entry { path, seconds, name } in entries {
        let failed = |reason| LibraryError::Path { path: path.clone(), format: "M3U8", reason };
        let relative = folder.and_then(|folder| path.strip_prefix(folder).ok()).unwrap_or(path);
        let line = relative.to_str().ok_or_else(|| failed("it is not UTF-8"))?;
        if line.contains(['\n', '\r']) {
            return Err(failed("it has a line break in it"));
        }
        if seconds.is_some() || name.is_some() {
            // -1 is what the format has for a length that is not known.
            let seconds = seconds.filter(|s| s.is_finite()).map_or(-1.0, f64::round);
            let name = name.as_deref().unwrap_or_default().replace(['\n', '\r'], " ");
            let _ = writeln!(text, "#EXTINF:{seconds},{name}");
        }
        // A name that would be taken for a comment, or lose its spaces.
        let needs_dot = line.starts_with('#') || line.trim() != line;
        let dot = if needs_dot && relative.is_relative() { "./" } else { "" };
        let _ = writeln!(text, "{dot}{line}");
    }
    Ok(text)
}

/// The entries of a playlist that lies in `folder`. Whatever cannot be understood is left out.
#[must_use]
pub fn from_m3u8(text: &str, folder: &Path) -> Vec<Entry> {
    let mut entries = Vec::new();
    let (mut seconds, mut name) = (None, None);
    for line in text.strip_prefix('\u{feff}').unwrap_or(text).lines() {
        if let Some(info) = line.strip_prefix("#EXTINF:") {
            let (length, title) = info.split_once(',').unwrap_or((info, ""));
            // Attributes may follow the length.
            let length = length.split_whitespace().next().and_then(|length| length.parse().ok());
            seconds = length.filter(|seconds: &f64| *seconds >= 0.0);
            name = Some(title.trim()).filter(|title| !title.is_empty()).map(str::to_owned);
        } else if !line.starts_with('#') && !line.trim().is_empty() {
            let path = line.strip_prefix("./").unwrap_or(line);
            entries.push(Entry {
                path: folder.join(path),
                seconds: seconds.take(),
                name: name.take(),
            });
        }
    }
    entries
}
