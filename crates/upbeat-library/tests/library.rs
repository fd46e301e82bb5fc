//! What is stored is what is read, and what cannot be opened says why.

mod common;

use std::path::Path;

use common::track;
use rusqlite::Connection;
use upbeat_library::{
    Library, LibraryError, NewTrack, Opinion, Query, SessionId, Tags, Tempo, TempoCandidate,
    TempoMatch, TrackAnalysis, TrackId, TrackKey,
};
use upbeat_predict::harmony::{Key, Mode, PitchClass};

fn library(folder: &Path) -> Library {
    Library::open(folder.join("library.db")).expect("a new library")
}

fn full() -> NewTrack {
    NewTrack {
        tags: Tags {
            title: Some("Ünder the Bridge".into()),
            artist: Some("100%_Wool".into()),
            album: Some("It's \"so\"; DROP TABLE tracks".into()),
        },
        analysis: TrackAnalysis {
            duration: 321.5,
            tempo: Some(Tempo {
                bpm: 127.98,
                confidence: 0.75,
                first_beat: Some(0.123_456_789),
                alternatives: vec![TempoCandidate { bpm: 63.99, weight: 0.25 }],
            }),
            tempo_stability: Some(0.5),
            key: Some(TrackKey {
                key: Key { tonic: PitchClass::new(9), mode: Mode::Minor },
                confidence: 0.8,
            }),
            loudness: Some(-9.5),
            energy: Some(0.7),
            brightness: Some(2000.0),
            rolloff: Some(5000.0),
            bandwidth: Some(1500.0),
            zero_crossing_rate: Some(0.1),
            onset_rate: Some(4.5),
            contrast: Some([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]),
            mfcc: Some(std::array::from_fn(|i| i as f32 - 9.5)),
            damage: Some("ends too early".into()),
            version: 1,
        },
        ..track(1)
    }
}

#[test]
fn a_track_is_read_as_it_was_stored_also_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let new = full();
    let id = library(folder.path()).insert(&new).unwrap();
    let library = library(folder.path());
    let stored = library.track(id).unwrap();
    assert_eq!((&stored.path, &stored.tags, &stored.hash), (&new.path, &new.tags, &new.hash));
    assert_eq!(stored.analysis, new.analysis);
    assert_eq!(stored.name(), "100%_Wool - Ünder the Bridge");
    assert_eq!(library.track_at(&new.path).unwrap(), Some(stored));
    library.check().unwrap();
}

#[test]
fn what_is_not_finite_is_not_known() {
    let folder = tempfile::tempdir().unwrap();
    let mut library = library(folder.path());
    let mut new = full();
    let a = &mut new.analysis;
    (a.loudness, a.energy) = (Some(f32::NAN), Some(f32::INFINITY));
    a.mfcc.as_mut().unwrap()[3] = f32::NAN;
    a.contrast = Some([f32::NEG_INFINITY; 7]);
    a.tempo.as_mut().unwrap().bpm = f32::NAN;
    a.key.as_mut().unwrap().confidence = f32::NAN;
    let id = library.insert(&new).unwrap();
    let stored = library.track(id).unwrap().analysis;
    assert_eq!((stored.loudness, stored.energy, stored.mfcc), (None, None, None));
    assert_eq!((stored.contrast, &stored.tempo), (None, &None));
    assert_eq!(stored.key.unwrap().confidence, 0.0);

    new.analysis.duration = f64::NAN;
    assert!(library.insert(&new).is_err());
    assert_eq!(library.track(id).unwrap().analysis, stored, "nothing of it was stored");
}

#[test]
fn a_track_put_in_again_keeps_its_number_and_what_was_said() {
    let folder = tempfile::tempdir().unwrap();
    let mut library = library(folder.path());
    let ids = library.insert_all(&[track(1), track(2)]).unwrap();
    let session = library.begin_session(ids[0]).unwrap();
    library.record_feedback(session, ids[1], Opinion::Score(0.25), Some(("m", "learned"))).unwrap();
    library.record_transition(session, ids[1]).unwrap();
    assert_eq!(library.insert(&track(2)).unwrap(), ids[1]);

    let said = library.feedback_after(0).unwrap();
    assert_eq!(said.len(), 1);
    assert_eq!(
        (said[0].track, said[0].after, said[0].session),
        (ids[1], Some(ids[0]), Some(session))
    );
    assert_eq!(said[0].opinion, Opinion::Score(0.25));
    assert_eq!(library.state("m").unwrap().as_deref(), Some("learned"));
    assert_eq!(library.transitions().unwrap(), [(ids[0], ids[1])]);
    let open = library.open_session().unwrap().unwrap();
    assert_eq!((open.id, open.playing), (session, Some(ids[1])));

    library.remove(ids[1]).unwrap();
    assert_eq!(library.feedback_after(0).unwrap(), []);
    assert_eq!(library.open_session().unwrap().unwrap().playing, None);
    library.check().unwrap();
    library.end_session(session).unwrap();
    assert_eq!(library.open_session().unwrap(), None);
}

#[test]
fn what_does_not_exist_and_scores_out_of_range_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut library = library(folder.path());
    let id = library.insert(&track(1)).unwrap();
    let nobody = TrackId(id.0 + 1);
    assert!(matches!(library.track(nobody), Err(LibraryError::NoSuchTrack(n)) if n == nobody));
    assert!(matches!(library.remove(nobody), Err(LibraryError::NoSuchTrack(_))));
    assert!(matches!(library.begin_session(nobody), Err(LibraryError::NoSuchTrack(_))));
    let session = library.begin_session(id).unwrap();
    let none = SessionId(session.0 + 1);
    assert!(matches!(library.end_session(none), Err(LibraryError::NoSuchSession(_))));
    assert!(matches!(library.record_transition(none, id), Err(LibraryError::NoSuchSession(_))));
    let lost = library.record_feedback(none, id, Opinion::Accepted, Some(("m", "x")));
    assert!(matches!(lost, Err(LibraryError::NoSuchSession(_))));
    assert_eq!(library.state("m").unwrap(), None, "the state goes with the feedback");
    for value in [-0.01, 1.01, f32::NAN, f32::INFINITY] {
        for opinion in [Opinion::Score(value), Opinion::Skipped(value), Opinion::Listened(value)] {
            let refused = library.record_feedback(session, id, opinion, None);
            assert!(matches!(refused, Err(LibraryError::Config(_))), "{opinion:?}");
        }
    }
    assert_eq!(library.feedback_after(0).unwrap(), []);
}

#[test]
fn search_finds_words_tempi_and_keys() {
    let folder = tempfile::tempdir().unwrap();
    let mut library = library(folder.path());
    let of = |number: u64, artist: &str, bpm: Option<f32>, key: Option<(u8, Mode)>| {
        let mut new = track(number);
        new.tags.artist = Some(artist.into());
        new.analysis.tempo =
            bpm.map(|bpm| Tempo { bpm, confidence: 1.0, first_beat: None, alternatives: vec![] });
        new.analysis.key = key.map(|(tonic, mode)| TrackKey {
            key: Key { tonic: PitchClass::new(tonic), mode },
            confidence: 1.0,
        });
        new
    };
    library
        .insert_all(&[
            of(1, "Äther 100%", Some(120.0), Some((9, Mode::Minor))),
            of(2, "ÄTHER_x", Some(60.5), Some((9, Mode::Major))),
            of(3, "Zoë", Some(174.0), None),
            of(4, "zoe", None, Some((0, Mode::Major))),
        ])
        .unwrap();
    let found = |query: Query| -> Vec<u64> {
        library
            .search(&query)
            .unwrap()
            .iter()
            .map(|t| u64::from_le_bytes(t.hash[..8].try_into().unwrap()))
            .collect()
    };
    let any = Query::default();
    assert_eq!(found(any.clone()), [3, 4, 2, 1], "in the order of artists, by code point");
    assert_eq!(found(any.clone().with_words("äther")), [2, 1]);
    assert_eq!(found(any.clone().with_words(" TITLE äther 1")), [1]);
    assert_eq!(found(any.clone().with_words("100%")), [1], "% is a character");
    assert_eq!(found(any.clone().with_words("r_x")), [2]);
    assert_eq!(found(any.clone().with_words("' OR 1 --")), [0; 0]);
    assert_eq!(found(any.clone().with_tempo(119.0..=121.0, TempoMatch::Exact)), [1]);
    assert_eq!(found(any.clone().with_tempo(119.0..=121.0, TempoMatch::AnyOctave)), [2, 1]);
    assert_eq!(found(any.clone().with_tempo(87.0..=87.0, TempoMatch::AnyOctave)), [3]);
    let key = |tonic, mode| Key { tonic: PitchClass::new(tonic), mode };
    assert_eq!(found(any.clone().with_keys([key(9, Mode::Minor), key(0, Mode::Major)])), [4, 1]);
    assert_eq!(found(any.clone().with_keys([])), [0; 0]);
    assert_eq!(found(any.clone().with_words("zo").with_limit(1)), [3]);
    for (low, high) in [(2.0, 1.0), (f32::NAN, 1.0), (1.0, f32::INFINITY), (0.0, 1.0)] {
        let query = any.clone().with_tempo(low..=high, TempoMatch::Exact);
        assert!(matches!(library.search(&query), Err(LibraryError::Config(_))), "{low} to {high}");
    }
}

#[test]
fn other_files_are_refused_and_left_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let refused = |content: &[u8]| {
        std::fs::write(&path, content).unwrap();
        let error = Library::open(&path).unwrap_err();
        assert_eq!(std::fs::read(&path).unwrap(), content, "untouched");
        assert!(error.to_string().contains("x.db"), "{error}");
        error
    };
    assert!(matches!(refused(&[7; 5000]), LibraryError::NotALibrary { .. }));
    assert!(matches!(refused(b"a text"), LibraryError::NotALibrary { .. }));

    let foreign = folder.path().join("foreign.db");
    Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE contacts (name)").unwrap();
    assert!(matches!(refused(&std::fs::read(&foreign).unwrap()), LibraryError::NotALibrary { .. }));

    drop(library(folder.path()));
    let future = folder.path().join("library.db");
    let raw = Connection::open(&future).unwrap();
    raw.pragma_update(None, "user_version", 99).unwrap();
    raw.pragma_update(None, "journal_mode", "delete").unwrap();
    drop(raw);
    let error = refused(&std::fs::read(&future).unwrap());
    assert!(matches!(error, LibraryError::FutureVersion { found: 99, .. }));
    assert!(error.to_string().contains("update this program"), "{error}");
}

#[test]
fn a_damaged_library_is_told_from_a_sound_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut whole = library(folder.path());
    whole.insert_all(&(0..500).map(track).collect::<Vec<_>>()).unwrap();
    whole.check().unwrap();
    drop(whole);
    let path = folder.path().join("library.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 9000].fill(0xA5);
    std::fs::write(&path, bytes).unwrap();
    let verdict = Library::open(&path).and_then(|library| library.check());
    assert!(matches!(verdict, Err(LibraryError::Damaged { .. })), "{verdict:?}");
}

#[test]
fn folders_that_do_not_exist_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let error = Library::open(folder.path().join("no/such/x.db")).unwrap_err();
    assert!(matches!(error, LibraryError::Unwritable { .. }), "{error}");
    let error = Library::open(folder.path()).unwrap_err();
    assert!(matches!(error, LibraryError::Unwritable { .. }), "{error}");
}
