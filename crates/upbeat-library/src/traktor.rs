//! Collections in NML, the format of Traktor.
//!
//! Written and read are: location, title, artist, album, length, key, tempo, and the beat grid: a cue of type 4 ("grid")
//! for each anchor, in milliseconds, with its tempo in a `GRID` element. The format is not published; this is what
//! others have found and what Traktor 3 and 4 write (version 19). Other cues, playlists and ratings are not carried.
//!
//! ```
//! use upbeat_library::{BeatGrid, GridAnchor, GridTrack, Tags, traktor};
//!
//! let anchor = GridAnchor { seconds: 0.025, bpm: 128.0, beats_per_bar: 4, beat: None };
//! let track = GridTrack {
//!     path: "/music/a song.flac".into(),
//!     tags: Tags::default(),
//!     duration: Some(240.5),
//!     key: None,
//!     grid: BeatGrid { anchors: vec![anchor] },
//! };
//! let nml = traktor::to_nml(&[track.clone()])?;
//! assert!(nml.contains(r#"<LOCATION DIR="/:music/:" FILE="a song.flac"/>"#));
//! assert!(nml.contains(r#"TYPE="4" START="25.000000""#));
//! assert_eq!(traktor::from_nml(&nml)?, [track]);
//! # Ok::<(), upbeat_library::LibraryError>(())
//! ```

use std::path::{Component, Path, PathBuf, Prefix};

use upbeat_predict::harmony::{Key, Mode, PitchClass};

use crate::xml::{Element, Node, XmlOut, nodes};
use crate::{BeatGrid, GridAnchor, GridTrack, LibraryError, Tags};

const FORMAT: &str = "Traktor NML";

/// The tracks as a collection.
///
/// The format knows no bars: all anchors are taken for first beats of four, and read as unknown. What lies under
/// `/Volumes/NAME` is on the volume `NAME`, as on a Mac; other paths are on a volume without a name.
///
/// # Errors
///
/// If a path is relative, is no UTF-8, or has characters that XML cannot hold.
pub fn to_nml(tracks: &[GridTrack]) -> Result<String, LibraryError> {
    let mut xml = XmlOut::new()?;
    xml.start("NML", &[("VERSION", "19")])?;
    xml.empty("HEAD", &[("COMPANY", "www.native-instruments.com"), ("PROGRAM", "Traktor")])?;
    xml.start("COLLECTION", &[("ENTRIES", &tracks.len().to_string())])?;
    for track in tracks {
        let Tags { title, artist, album } = &track.tags;
        let text = |tag: &Option<String>| tag.clone().unwrap_or_default();
        xml.start("ENTRY", &[("TITLE", &text(title)), ("ARTIST", &text(artist))])?;
        let Location { volume, dir, file } = Location::of(&track.path)?;
        let location =
            [("DIR", &*dir), ("FILE", &*file), ("VOLUME", &*volume), ("VOLUMEID", &*volume)];
        xml.empty("LOCATION", &location)?;
        if let Some(album) = album {
            xml.empty("ALBUM", &[("TITLE", album)])?;
        }
        if let Some(seconds) = track.duration {
            let (whole, exact) = (format!("{seconds:.0}"), format!("{seconds:.6}"));
            xml.empty("INFO", &[("PLAYTIME", &whole), ("PLAYTIME_FLOAT", &exact)])?;
        }
        if let Some(anchor) = track.grid.anchors.first() {
            xml.empty(
                "TEMPO",
                &[("BPM", &format!("{:.6}", anchor.bpm)), ("BPM_QUALITY", "100.000000")],
            )?;
        }
        if let Some(key) = track.key {
            xml.empty("MUSICAL_KEY", &[("VALUE", &number(key).to_string())])?;
        }
        for anchor in &track.grid.anchors {
            let start = format!("{:.6}", anchor.seconds * 1000.0);
            let cue = [
                ("NAME", "AutoGrid"),
                ("DISPL_ORDER", "0"),
                ("TYPE", "4"),
                ("START", &start),
                ("LEN", "0.000000"),
                ("REPEATS", "-1"),
                ("HOTCUE", "-1"),
            ];
            xml.start("CUE_V2", &cue)?;
            xml.empty("GRID", &[("BPM", &format!("{:.6}", anchor.bpm))])?;
            xml.end("CUE_V2")?;
        }
        xml.end("ENTRY")?;
    }
    xml.end("COLLECTION")?;
    xml.end("NML")?;
    Ok(xml.finish())
}

/// The tracks of a collection. A grid cue without a tempo of its own, as older versions write it, has the track's.
///
/// # Errors
///
/// If the text is no collection of this format.
pub fn from_nml(text: &str) -> Result<Vec<GridTrack>, LibraryError> {
    let mut tracks = Vec::new();
    let mut current: Option<Entry> = None;
    let (mut is_ours, mut in_collection) = (false, false);
    for node in nodes(text, FORMAT)? {
        match node {
            Node::Start(element) => match (element.name.as_str(), &mut current) {
                ("NML", _) => is_ours = true,
                ("COLLECTION", _) => in_collection = true,
                ("ENTRY", _) if in_collection => current = Some(Entry::new(&element)),
                (_, Some(entry)) => entry.take(&element),
                _ => {}
            },
            Node::End(name) if name == "ENTRY" => {
                tracks.extend(current.take().and_then(Entry::finish));
            }
            Node::End(name) if name == "COLLECTION" => in_collection = false,
            Node::End(_) => {}
        }
    }
    if is_ours {
        return Ok(tracks);
    }
    Err(LibraryError::Format { format: FORMAT, reason: "it has no NML element".into() })
}

/// An entry while it is read.
struct Entry {
    path: Option<PathBuf>,
    tags: Tags,
    duration: Option<f64>,
    key: Option<Key>,
    bpm: Option<f64>,
    /// When each anchor is, and its tempo if it has one of its own.
    anchors: Vec<(f64, Option<f64>)>,
    in_grid: bool,
}

impl Entry {
    fn new(element: &Element) -> Self {
        let text = |key| element.text(key).map(str::to_owned);
        Self {
            path: None,
            tags: Tags { title: text("TITLE"), artist: text("ARTIST"), album: None },
            duration: None,
            key: None,
            bpm: None,
            anchors: Vec::new(),
            in_grid: false,
        }
    }

    fn take(&mut self, element: &Element) {
        let bpm = || element.number("BPM").filter(|bpm| *bpm > 0.0);
        match element.name.as_str() {
            "LOCATION" => self.path = Location::read(element).map(Location::path),
            "ALBUM" => self.tags.album = element.text("TITLE").map(str::to_owned),
            "INFO" => {
                self.duration =
                    element.number("PLAYTIME_FLOAT").or_else(|| element.number("PLAYTIME"));
            }
            "TEMPO" => self.bpm = bpm(),
            "MUSICAL_KEY" => self.key = element.number("VALUE").and_then(key),
            "CUE_V2" => {
                self.in_grid = element.text("TYPE") == Some("4");
                if let Some(start) = element.number("START").filter(|_| self.in_grid) {
                    self.anchors.push((start / 1000.0, None));
                }
            }
            "GRID" if self.in_grid => {
                if let Some((_, own)) = self.anchors.last_mut() {
                    *own = bpm();
                }
            }
            _ => {}
        }
    }

    fn finish(self) -> Option<GridTrack> {
        let anchors = self.anchors.iter().filter_map(|(seconds, own)| {
            let bpm = own.or(self.bpm)?;
            Some(GridAnchor { seconds: *seconds, bpm, beats_per_bar: 4, beat: None })
        });
        Some(GridTrack {
            path: self.path?,
            grid: BeatGrid { anchors: anchors.collect() },
            tags: self.tags,
            duration: self.duration,
            key: self.key,
        })
    }
}

/// A path in the three parts of the format. Folders follow `/:`, and a colon in a name is written `//`.
struct Location {
    volume: String,
    dir: String,
    file: String,
}

impl Location {
    fn of(path: &Path) -> Result<Self, LibraryError> {
        let failed = |reason| LibraryError::Path { path: path.to_owned(), format: FORMAT, reason };
        let text = path.to_str().ok_or_else(|| failed("it is not UTF-8"))?;
        if text.chars().any(char::is_control) {
            return Err(failed("it has characters that XML cannot hold"));
        }
        if !path.is_absolute() {
            return Err(failed("it is relative"));
        }
        let mut volume = String::new();
        let mut parts = Vec::new();
        for component in path.components() {
            match component {
                Component::Prefix(prefix) => {
                    if let Prefix::Disk(letter) = prefix.kind() {
                        volume = format!("{}:", char::from(letter));
                    }
                }
                Component::Normal(part) => parts.push(part.to_string_lossy().replace(':', "//")),
                _ => {}
            }
        }
        if !cfg!(windows) && parts.len() > 2 && parts[0] == "Volumes" {
            volume = parts[1].replace("//", ":");
            parts.drain(..2);
        }
        let file = parts.pop().ok_or_else(|| failed("it names no file"))?;
        let dir = parts.iter().fold(String::from("/:"), |dir, part| dir + part + "/:");
        Ok(Self { volume, dir, file })
    }

    fn read(element: &Element) -> Option<Self> {
        let text = |key| element.text(key).map(str::to_owned);
        Some(Self {
            volume: text("VOLUME").unwrap_or_default(),
            dir: text("DIR")?,
            file: text("FILE")?,
        })
    }

    fn path(self) -> PathBuf {
        let Self { volume, dir, file } = self;
        let mut path = match volume.as_str() {
            "" => PathBuf::from("/"),
            drive if drive.ends_with(':') => PathBuf::from(format!("{drive}/")),
            // On a Mac; the volume that it has started from lies there too.
            name => Path::new("/Volumes").join(name),
        };
        let dir = dir.trim_start_matches("/:").trim_end_matches("/:");
        path.extend(
            dir.split("/:").filter(|part| !part.is_empty()).map(|part| part.replace("//", ":")),
        );
        path.push(file.replace("//", ":"));
        path
    }
}

/// Major keys from C are 0 to 11, minor ones 12 to 23.
fn number(key: Key) -> u8 {
    key.tonic.semitones() + if key.mode == Mode::Minor { 12 } else { 0 }
}

fn key(number: f64) -> Option<Key> {
    let mode = if number < 12.0 { Mode::Major } else { Mode::Minor };
    let sound = (0.0..24.0).contains(&number) && number.fract() == 0.0;
    sound.then(|| Key { tonic: PitchClass::new(number as u8 % 12), mode })
}
