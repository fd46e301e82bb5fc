//! Collections in the XML format of rekordbox, which it imports ("rekordbox xml" in its settings), and so do many others.
//!
//! Written and read are: location, title, artist, album, length, key, average tempo, and the beat grid, one `TEMPO`
//! element for each anchor, as in rekordbox's published list of the format (2020). Cues, ratings, colours and playlists
//! are not; this carries beat grids from one program to another, it does not move a collection.
//!
//! ```
//! use upbeat_library::{BeatGrid, GridAnchor, GridTrack, Tags, rekordbox};
//!
//! let anchor = GridAnchor { seconds: 0.025, bpm: 128.0, beats_per_bar: 4, beat: Some(1) };
//! let track = GridTrack {
//!     path: "/music/a song.flac".into(),
//!     tags: Tags { title: Some("A Song".into()), ..Tags::default() },
//!     duration: Some(240.0),
//!     key: None,
//!     grid: BeatGrid { anchors: vec![anchor] },
//! };
//! let xml = rekordbox::to_xml(&[track.clone()])?;
//! assert!(xml.contains(r#"<TEMPO Inizio="0.025000" Bpm="128.000000" Metro="4/4" Battito="1"/>"#));
//! assert_eq!(rekordbox::from_xml(&xml)?, [track]);
//! # Ok::<(), upbeat_library::LibraryError>(())
//! ```

use std::fmt::Write;
use std::path::{Path, PathBuf};

use upbeat_predict::harmony::{Key, Mode, PitchClass};

use crate::encode::{bytes_path, path_bytes};
use crate::xml::{Element, Node, XmlOut, nodes};
use crate::{BeatGrid, GridAnchor, GridTrack, LibraryError, Tags};

const FORMAT: &str = "rekordbox XML";

/// The tracks as a collection. Paths need not be UTF-8. A beat of which nothing is known is written as the first of its
/// bar, since the format has no other way.
///
/// # Errors
///
/// If a path is relative.
pub fn to_xml(tracks: &[GridTrack]) -> Result<String, LibraryError> {
    let mut xml = XmlOut::new()?;
    xml.start("DJ_PLAYLISTS", &[("Version", "1.0.0")])?;
    xml.empty("PRODUCT", &[("Name", "upbeat"), ("Version", env!("CARGO_PKG_VERSION"))])?;
    xml.start("COLLECTION", &[("Entries", &tracks.len().to_string())])?;
    for (number, track) in (1..).zip(tracks) {
        let tags = &track.tags;
        let text = |tag: &Option<String>| tag.clone().unwrap_or_default();
        let (title, artist, album) = (text(&tags.title), text(&tags.artist), text(&tags.album));
        let anchors = &track.grid.anchors;
        let attributes = [
            ("TrackID", i32::to_string(&number)),
            ("Name", title),
            ("Artist", artist),
            ("Album", album),
            (
                "TotalTime",
                track.duration.map(|seconds| seconds.round().to_string()).unwrap_or_default(),
            ),
            ("AverageBpm", anchors.first().map(|a| format!("{:.2}", a.bpm)).unwrap_or_default()),
            ("Location", location(&track.path)?),
            ("Tonality", track.key.map(name).unwrap_or_default()),
        ];
        let attributes = attributes.each_ref().map(|(key, value)| (*key, value.as_str()));
        if anchors.is_empty() {
            xml.empty("TRACK", &attributes)?;
            continue;
        }
        xml.start("TRACK", &attributes)?;
        for anchor in anchors {
            xml.empty(
                "TEMPO",
                &[
                    ("Inizio", &format!("{:.6}", anchor.seconds)),
                    ("Bpm", &format!("{:.6}", anchor.bpm)),
                    ("Metro", &format!("{}/4", anchor.beats_per_bar)),
                    ("Battito", &anchor.beat.unwrap_or(1).to_string()),
                ],
            )?;
        }
        xml.end("TRACK")?;
    }
    xml.end("COLLECTION")?;
    xml.end("DJ_PLAYLISTS")?;
    Ok(xml.finish())
}

/// The tracks of a collection. Those of online services, which have no file, are left out, and so are anchors without
/// a tempo above 0.
///
/// # Errors
///
/// If the text is no collection of this format.
pub fn from_xml(text: &str) -> Result<Vec<GridTrack>, LibraryError> {
    let mut tracks = Vec::new();
    let mut current = None;
    let (mut is_ours, mut in_collection) = (false, false);
    for node in nodes(text, FORMAT)? {
        match node {
            Node::Start(element) => match element.name.as_str() {
                "DJ_PLAYLISTS" => is_ours = true,
                "COLLECTION" => in_collection = true,
                "TRACK" if in_collection => current = track(&element),
                "TEMPO" => {
                    if let (Some(track), Some(anchor)) = (&mut current, anchor(&element)) {
                        track.grid.anchors.push(anchor);
                    }
                }
                _ => {}
            },
            Node::End(name) if name == "TRACK" => tracks.extend(current.take()),
            Node::End(name) if name == "COLLECTION" => in_collection = false,
            Node::End(_) => {}
        }
    }
    if is_ours {
        return Ok(tracks);
    }
    Err(LibraryError::Format { format: FORMAT, reason: "it has no DJ_PLAYLISTS element".into() })
}

fn track(element: &Element) -> Option<GridTrack> {
    let text = |key| element.text(key).map(str::to_owned);
    Some(GridTrack {
        path: path(element.text("Location")?)?,
        tags: Tags { title: text("Name"), artist: text("Artist"), album: text("Album") },
        duration: element.number("TotalTime"),
        key: element.text("Tonality").and_then(key),
        grid: BeatGrid::default(),
    })
}

fn anchor(element: &Element) -> Option<GridAnchor> {
    let metre =
        element.text("Metro").and_then(|metre| metre.split('/').next()?.trim().parse().ok());
    Some(GridAnchor {
        seconds: element.number("Inizio")?,
        bpm: element.number("Bpm").filter(|bpm| *bpm > 0.0)?,
        beats_per_bar: metre.filter(|beats| *beats > 0).unwrap_or(4),
        beat: element.text("Battito").and_then(|beat| beat.parse().ok()).filter(|beat| *beat > 0),
    })
}

/// The path as a URL: each byte that is not plain is written as `%` and two digits.
fn location(path: &Path) -> Result<String, LibraryError> {
    if !path.is_absolute() {
        return Err(LibraryError::Path {
            path: path.to_owned(),
            format: FORMAT,
            reason: "it is relative",
        });
    }
    let bytes = if cfg!(windows) {
        path.to_string_lossy().replace('\\', "/").into_bytes()
    } else {
        path_bytes(path)
    };
    let mut url = String::from(PREFIX);
    if !bytes.starts_with(b"/") {
        url.push('/');
    }
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"/-_.~:!$'()*+,;=@".contains(&byte) {
            url.push(byte.into());
        } else {
            let _ = write!(url, "%{byte:02X}");
        }
    }
    Ok(url)
}

/// The path in a URL of a file.
fn path(location: &str) -> Option<PathBuf> {
    let rest = location.strip_prefix(PREFIX).or_else(|| location.strip_prefix("file://"))?;
    let mut bytes = Vec::new();
    let mut rest = rest.as_bytes();
    while let [first, after @ ..] = rest {
        let escaped = after
            .get(..2)
            .filter(|_| *first == b'%')
            .and_then(|digits| u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok());
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    if cfg!(windows) {
        let text = String::from_utf8(bytes).ok()?;
        return Some(PathBuf::from(text.strip_prefix('/').unwrap_or(&text)));
    }
    Some(bytes_path(bytes))
}

const PREFIX: &str = "file://localhost";

/// The usual short name: `C`, `F#m`.
pub(crate) fn name(key: Key) -> String {
    let minor = if key.mode == Mode::Minor { "m" } else { "" };
    format!("{}{minor}", key.tonic)
}

/// The key with such a name, also `Dbm`, `A minor` and `8A`.
pub(crate) fn key(name: &str) -> Option<Key> {
    let name = name.trim();
    let camelot = |key: &Key| key.camelot().eq_ignore_ascii_case(name);
    let all = (0..12).flat_map(|semitones| {
        let tonic = PitchClass::new(semitones);
        [Mode::Major, Mode::Minor].map(|mode| Key { tonic, mode })
    });
    if let Some(key) = all.into_iter().find(camelot) {
        return Some(key);
    }
    let mut letters = name.chars();
    let natural = match letters.next()?.to_ascii_uppercase() {
        'C' => 0,
        'D' => 2,
        'E' => 4,
        'F' => 5,
        'G' => 7,
        'A' => 9,
        'B' => 11,
        _ => return None,
    };
    let rest = letters.as_str();
    let (semitones, rest) = match rest.strip_prefix(['#', '♯']) {
        Some(rest) => (natural + 1, rest),
        None => match rest.strip_prefix(['b', '♭']) {
            Some(rest) => (natural + 11, rest),
            None => (natural, rest),
        },
    };
    let mode = match rest.trim() {
        "" | "maj" | "major" => Mode::Major,
        "m" | "min" | "minor" => Mode::Minor,
        _ => return None,
    };
    Some(Key { tonic: PitchClass::new(semitones), mode })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_written_and_as_others_write_them() {
        for semitones in 0..12 {
            for mode in [Mode::Major, Mode::Minor] {
                let one = Key { tonic: PitchClass::new(semitones), mode };
                assert_eq!(key(&name(one)), Some(one));
                assert_eq!(key(&one.camelot()), Some(one));
            }
        }
        for (text, tonic, mode) in [
            ("Dbm", 1, Mode::Minor),
            ("A#", 10, Mode::Major),
            ("B♭", 10, Mode::Major),
            ("A minor", 9, Mode::Minor),
            ("8a", 9, Mode::Minor),
            ("Cb", 11, Mode::Major),
        ] {
            assert_eq!(key(text), Some(Key { tonic: PitchClass::new(tonic), mode }), "{text}");
        }
        for text in ["", "H", "13A", "Amx", "#", "♭m"] {
            assert_eq!(key(text), None, "{text}");
        }
    }

    #[test]
    fn half_an_escape_is_itself() {
        assert_eq!(path("file://localhost/a%2Fb%2"), Some("/a/b%2".into()));
        assert_eq!(path("file://localhost/%zz%é"), Some("/%zz%é".into()));
        assert_eq!(path("http://x/y"), None);
    }
}
