//! Playlists and collections are read as they were written, and broken ones are refused.

use std::path::{Path, PathBuf};
use std::slice::from_ref;

use proptest::prelude::*;
use upbeat_library::playlist::{self, Entry};
use upbeat_library::{BeatGrid, GridAnchor, GridTrack, LibraryError, Tags, rekordbox, traktor};
use upbeat_predict::harmony::{Key, Mode, PitchClass};

/// Times and tempi that six decimals hold.
fn decimal(largest: u32) -> impl Strategy<Value = f64> {
    (0..largest).prop_map(|micros| f64::from(micros) / 1e6)
}

fn anchor() -> impl Strategy<Value = GridAnchor> {
    (decimal(600_000_000), decimal(300_000_000), 1_u8..8, 1_u8..8).prop_map(
        |(seconds, bpm, beats_per_bar, beat)| GridAnchor {
            seconds,
            bpm: bpm + 0.000_001,
            beats_per_bar,
            beat: Some(beat),
        },
    )
}

fn tag() -> impl Strategy<Value = Option<String>> {
    prop::option::of("[^\\p{C}]{1,12}")
}

fn track() -> impl Strategy<Value = GridTrack> {
    let key = prop::option::of((0_u8..12, any::<bool>()).prop_map(|(tonic, minor)| Key {
        tonic: PitchClass::new(tonic),
        mode: if minor { Mode::Minor } else { Mode::Major },
    }));
    // Slashes separate, dots alone mean something else, and the format has no empty names.
    let part = "[^\\p{C}/.\\\\]{1,10}";
    (
        prop::collection::vec(part, 1..4),
        tag(),
        tag(),
        tag(),
        key,
        prop::collection::vec(anchor(), 0..4),
        0_u32..5000,
    )
        .prop_map(|(parts, title, artist, album, key, anchors, seconds)| GridTrack {
            path: PathBuf::from(format!("/{}", parts.join("/"))),
            tags: Tags { title, artist, album },
            duration: Some(f64::from(seconds)),
            key,
            grid: BeatGrid { anchors },
        })
}

/// Within a rounding of the last decimal.
fn assert_near(read: &[GridTrack], written: &[GridTrack]) {
    assert_eq!(read.len(), written.len());
    for (read, written) in read.iter().zip(written) {
        for (a, b) in read.grid.anchors.iter().zip(&written.grid.anchors) {
            assert!(
                (a.seconds - b.seconds).abs() < 1e-6 && (a.bpm - b.bpm).abs() < 1e-6,
                "{a:?} {b:?}"
            );
        }
        let rounded = GridTrack {
            grid: BeatGrid {
                anchors: read
                    .grid
                    .anchors
                    .iter()
                    .zip(&written.grid.anchors)
                    .map(|(a, b)| GridAnchor { seconds: b.seconds, bpm: b.bpm, ..*a })
                    .collect(),
            },
            ..read.clone()
        };
        assert_eq!(&rounded, written);
    }
}

proptest! {
    #[test]
    fn rekordbox_keeps_everything(tracks in prop::collection::vec(track(), 0..4)) {
        let xml = rekordbox::to_xml(&tracks).unwrap();
        assert_near(&rekordbox::from_xml(&xml).unwrap(), &tracks);
    }

    #[test]
    fn traktor_keeps_everything_but_bars(mut tracks in prop::collection::vec(track(), 0..4)) {
        let nml = traktor::to_nml(&tracks).unwrap();
        for anchor in tracks.iter_mut().flat_map(|track| &mut track.grid.anchors) {
            (anchor.beats_per_bar, anchor.beat) = (4, None);
        }
        assert_near(&traktor::from_nml(&nml).unwrap(), &tracks);
    }

    #[test]
    fn playlists_keep_everything(tracks in prop::collection::vec(track(), 0..5), name in tag()) {
        let trimmed = name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
        let entries: Vec<Entry> = tracks
            .iter()
            .map(|track| Entry { path: track.path.clone(), seconds: track.duration, name: trimmed.clone() })
            .collect();
        for folder in ["/", "/elsewhere"] {
            let text = playlist::to_m3u8(&entries, Some(folder.as_ref())).unwrap();
            prop_assert_eq!(playlist::from_m3u8(&text, folder.as_ref()), entries.clone());
        }
    }

    #[test]
    fn readers_never_panic(text in "(<[A-Za-z/!?&;=\" ]{0,8}|NML|DJ_PLAYLISTS|COLLECTION|TRACK|ENTRY|CUE_V2|&#x0;|\\PC{0,4}){0,12}") {
        let _ = rekordbox::from_xml(&text);
        let _ = traktor::from_nml(&text);
        let _ = playlist::from_m3u8(&text, Path::new("/"));
    }
}

/// As rekordbox 6 writes it, with a grid of two tempi and a track of an online service.
const REKORDBOX: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<DJ_PLAYLISTS Version="1.0.0">
  <PRODUCT Name="rekordbox" Version="6.0.0" Company="AlphaTheta"/>
  <COLLECTION Entries="2">
    <TRACK TrackID="117" Name="Fish &amp; Chips" Artist="" TotalTime="303" AverageBpm="120.00"
           Location="file://localhost/Volumes/Stick/Fish%20%26%20Chips.mp3" Tonality="Bbm">
      <TEMPO Inizio="0.634" Bpm="120.00" Metro="4/4" Battito="3"/>
      <TEMPO Inizio="60.634" Bpm="121.50" Metro="3/4" Battito="1"/>
      <POSITION_MARK Name="" Type="0" Start="0.634" Num="0"/>
    </TRACK>
    <TRACK TrackID="118" Name="A stream"/>
  </COLLECTION>
  <PLAYLISTS><NODE Type="0" Name="ROOT" Count="1"><NODE Name="x" Type="1" KeyType="0" Entries="1"><TRACK Key="117"/></NODE></NODE></PLAYLISTS>
</DJ_PLAYLISTS>"#;

/// As Traktor writes it: a hot cue, a grid of its own tempo, and one of the track's.
const TRAKTOR: &str = r#"<?xml version="1.0" encoding="UTF-8" standalone="no" ?>
<NML VERSION="19"><HEAD COMPANY="www.native-instruments.com" PROGRAM="Traktor"></HEAD>
<MUSICFOLDERS></MUSICFOLDERS>
<COLLECTION ENTRIES="1"><ENTRY MODIFIED_DATE="2020/8/14" TITLE="T" ARTIST="A"><LOCATION DIR="/:Users/:me/:a//b/:" FILE="x.mp3" VOLUME="Stick" VOLUMEID="Stick"></LOCATION>
<ALBUM TRACK="4" TITLE="Al"></ALBUM>
<INFO BITRATE="320000" PLAYTIME="234" KEY="8m" PLAYTIME_FLOAT="233.874"></INFO>
<TEMPO BPM="126.000374" BPM_QUALITY="100.000000"></TEMPO>
<MUSICAL_KEY VALUE="21"></MUSICAL_KEY>
<CUE_V2 NAME="AutoGrid" DISPL_ORDER="0" TYPE="4" START="53.125" LEN="0.0" REPEATS="-1" HOTCUE="-1"><GRID BPM="126.5"></GRID></CUE_V2>
<CUE_V2 NAME="n.n." DISPL_ORDER="0" TYPE="0" START="999" LEN="0.0" REPEATS="-1" HOTCUE="1"></CUE_V2>
<CUE_V2 NAME="AutoGrid" DISPL_ORDER="0" TYPE="4" START="60000" LEN="0.0" REPEATS="-1" HOTCUE="-1"></CUE_V2>
</ENTRY></COLLECTION>
<PLAYLISTS><NODE TYPE="FOLDER" NAME="$ROOT"><SUBNODES COUNT="1"><NODE TYPE="PLAYLIST" NAME="p"><PLAYLIST ENTRIES="1" TYPE="LIST" UUID="0"><ENTRY><PRIMARYKEY TYPE="TRACK" KEY="Stick/:Users/:me/:a//b/:x.mp3"></PRIMARYKEY></ENTRY></PLAYLIST></NODE></SUBNODES></NODE></PLAYLISTS></NML>"#;

#[test]
fn collections_of_the_programs_themselves_are_read() {
    let tracks = rekordbox::from_xml(REKORDBOX).unwrap();
    assert_eq!(tracks.len(), 1);
    let track = &tracks[0];
    assert_eq!(track.path, Path::new("/Volumes/Stick/Fish & Chips.mp3"));
    assert_eq!((track.tags.title.as_deref(), &track.tags.artist), (Some("Fish & Chips"), &None));
    assert_eq!(track.key, Some(Key { tonic: PitchClass::new(10), mode: Mode::Minor }));
    let anchors = &track.grid.anchors;
    assert_eq!(
        anchors[0],
        GridAnchor { seconds: 0.634, bpm: 120.0, beats_per_bar: 4, beat: Some(3) }
    );
    assert_eq!(
        anchors[1],
        GridAnchor { seconds: 60.634, bpm: 121.5, beats_per_bar: 3, beat: Some(1) }
    );

    let tracks = traktor::from_nml(TRAKTOR).unwrap();
    assert_eq!(tracks.len(), 1);
    let track = &tracks[0];
    assert_eq!(track.path, Path::new("/Volumes/Stick/Users/me/a:b/x.mp3"));
    assert_eq!((track.duration, track.tags.album.as_deref()), (Some(233.874), Some("Al")));
    assert_eq!(track.key, Some(Key { tonic: PitchClass::new(9), mode: Mode::Minor }));
    let grid: Vec<_> = track.grid.anchors.iter().map(|a| (a.seconds, a.bpm)).collect();
    assert_eq!(grid, [(0.053_125, 126.5), (60.0, 126.000_374)]);
}

#[test]
fn broken_and_other_documents_are_refused() {
    for text in
        ["", "<x/>", "<DJ_PLAYLISTS><COLLECTION>", "<DJ_PLAYLISTS a=\"&nope;\"/>", "<a></b>"]
    {
        let error = rekordbox::from_xml(text).unwrap_err();
        assert!(matches!(error, LibraryError::Format { .. }), "{text}: {error}");
        assert!(traktor::from_nml(&text.replace("DJ_PLAYLISTS", "NML")).is_err(), "{text}");
    }
    // Truncated at any character.
    for end in (0..TRAKTOR.len() - 1).step_by(7) {
        assert!(traktor::from_nml(&TRAKTOR[..end]).is_err(), "up to {end}");
    }
}

#[cfg(unix)]
#[test]
fn paths_that_are_no_utf8_are_written_where_the_format_can() {
    use std::os::unix::ffi::OsStrExt;
    let path = Path::new(std::ffi::OsStr::from_bytes(b"/m/\xff\n.wav"));
    let odd = GridTrack {
        path: path.into(),
        tags: Tags::default(),
        duration: None,
        key: None,
        grid: BeatGrid::default(),
    };
    let xml = rekordbox::to_xml(from_ref(&odd)).unwrap();
    assert!(xml.contains("/m/%FF%0A.wav"));
    assert_eq!(rekordbox::from_xml(&xml).unwrap(), from_ref(&odd));
    assert!(matches!(traktor::to_nml(from_ref(&odd)), Err(LibraryError::Path { .. })));
    let entry = Entry { path: path.into(), seconds: None, name: None };
    assert!(matches!(playlist::to_m3u8(&[entry], None), Err(LibraryError::Path { .. })));
    let colon = GridTrack { path: "/m/a:b:/c.wav".into(), ..odd.clone() };
    let nml = traktor::to_nml(from_ref(&colon)).unwrap();
    assert!(nml.contains(r#"DIR="/:m/:a//b///:" FILE="c.wav""#), "{nml}");
    assert_eq!(traktor::from_nml(&nml).unwrap(), [colon]);
    let relative = GridTrack { path: "a.wav".into(), ..odd };
    assert!(
        rekordbox::to_xml(from_ref(&relative)).is_err()
            && traktor::to_nml(from_ref(&relative)).is_err()
    );
}
