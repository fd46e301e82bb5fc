//! What a scan finds, leaves alone, and lists as broken.

mod common;

use std::fs;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use common::{scan, wav};
use upbeat_library::{Library, LibraryError, Opinion, Query, ScanConfig, ScanEvent};

struct Place {
    _folder: tempfile::TempDir,
    music: PathBuf,
    library: Library,
}

fn place() -> Place {
    let folder = tempfile::tempdir().expect("a folder");
    let music = folder.path().canonicalize().expect("it exists").join("music");
    fs::create_dir(&music).expect("a folder");
    let library = Library::open(folder.path().join("library.db")).expect("a library");
    Place { _folder: folder, music, library }
}

#[test]
fn files_are_analysed_once_and_again_when_they_change() {
    let Place { _folder, music, mut library } = place();
    fs::create_dir(music.join("deep")).unwrap();
    wav(&music.join("one.wav"), 1);
    wav(&music.join("deep/two.WAV"), 2);
    fs::write(music.join("cover.jpg"), "no sound").unwrap();
    fs::write(music.join("._one.wav"), "a shadow").unwrap();

    let first = scan(&mut library, &music);
    assert_eq!((first.analysed, first.unchanged, first.ignored), (2, 0, 2));
    assert!(first.complete && (first.seconds - 0.5).abs() < 1e-9 && first.failures.is_empty());
    let one = library.track_at(&music.join("one.wav")).unwrap().unwrap();
    assert_eq!(one.analysis.duration, 0.25);
    assert!(one.analysis.brightness.is_some() && one.analysis.mfcc.is_some());
    assert_eq!(one.analysis.tempo, None, "a quarter of a second has no tempo");

    let second = scan(&mut library, &music);
    assert_eq!((second.analysed, second.unchanged, second.recognised), (0, 2, 0));

    // Touched, with the same bytes.
    let later = SystemTime::now() + Duration::from_secs(5);
    fs::File::options()
        .write(true)
        .open(music.join("one.wav"))
        .unwrap()
        .set_modified(later)
        .unwrap();
    let third = scan(&mut library, &music);
    assert_eq!((third.analysed, third.unchanged, third.recognised), (0, 1, 1));
    assert_eq!(scan(&mut library, &music).unchanged, 2);

    // Other bytes, the same length and time.
    wav(&music.join("one.wav"), 3);
    fs::File::options()
        .write(true)
        .open(music.join("one.wav"))
        .unwrap()
        .set_modified(later + Duration::from_secs(1))
        .unwrap();
    assert_eq!(scan(&mut library, &music).analysed, 1);
    let changed = library.track_at(&music.join("one.wav")).unwrap().unwrap();
    assert_eq!(changed.id, one.id);
    assert_ne!(changed.hash, one.hash);
    assert_ne!(changed.analysis.mfcc, one.analysis.mfcc);
    assert_eq!(library.len().unwrap(), 2);
}

#[test]
fn a_moved_file_keeps_its_track_and_a_copy_is_another() {
    let Place { _folder, music, mut library } = place();
    wav(&music.join("old.wav"), 1);
    scan(&mut library, &music);
    let track = library.tracks().unwrap()[0].clone();
    let session = library.begin_session(track.id).unwrap();
    library.record_feedback(session, track.id, Opinion::Accepted, None).unwrap();

    fs::rename(music.join("old.wav"), music.join("new.wav")).unwrap();
    let report = scan(&mut library, &music);
    assert_eq!((report.analysed, report.recognised), (0, 1));
    let moved = library.track(track.id).unwrap();
    assert_eq!((moved.path, moved.missing), (music.join("new.wav"), false));
    assert_eq!(library.feedback_after(0).unwrap().len(), 1);
    assert_eq!(library.search(&Query::default().with_words("new")).unwrap().len(), 1);
    assert_eq!(library.len().unwrap(), 1);

    fs::copy(music.join("new.wav"), music.join("copy.wav")).unwrap();
    let report = scan(&mut library, &music);
    assert_eq!((report.analysed, report.recognised), (0, 1));
    let tracks = library.tracks().unwrap();
    assert_eq!(tracks.len(), 2);
    assert_eq!(tracks[0].analysis, tracks[1].analysis);
}

#[test]
fn files_that_are_gone_are_missing_until_they_are_back() {
    let Place { _folder, music, mut library } = place();
    wav(&music.join("a.wav"), 1);
    wav(&music.join("b.wav"), 2);
    scan(&mut library, &music);
    let away = music.with_file_name("away.wav");
    fs::rename(music.join("a.wav"), &away).unwrap();
    assert_eq!(scan(&mut library, &music).missing, 1);
    assert_eq!(scan(&mut library, &music).missing, 0, "told once");
    assert_eq!((library.len().unwrap(), library.tracks().unwrap().len()), (1, 1));
    assert!(library.track_at(&music.join("a.wav")).unwrap().unwrap().missing);
    fs::rename(&away, music.join("a.wav")).unwrap();
    let report = library.rescan(&ScanConfig::default(), |_| ControlFlow::Continue(())).unwrap();
    assert_eq!((report.analysed, report.unchanged, library.len().unwrap()), (0, 2, 2));

    // A folder that is not there is no reason to lose its tracks.
    fs::rename(&music, music.with_file_name("elsewhere")).unwrap();
    let refused = library.scan(&[&music], &ScanConfig::default(), |_| ControlFlow::Continue(()));
    assert!(matches!(refused, Err(LibraryError::Folder { .. })));
    assert_eq!(library.len().unwrap(), 2);
}

#[test]
fn bad_files_are_listed_with_reasons_and_not_tried_again() {
    let Place { _folder, music, mut library } = place();
    wav(&music.join("good.wav"), 1);
    fs::write(music.join("empty.mp3"), "").unwrap();
    fs::write(music.join("text.flac"), "this is no music, whatever its name says").unwrap();
    let whole = fs::read(music.join("good.wav")).unwrap();
    fs::write(music.join("header.wav"), &whole[..44]).unwrap();
    fs::write(music.join("cut.wav"), &whole[..whole.len() / 2]).unwrap();

    let mut tried = 0;
    let report = library
        .scan(&[&music], &ScanConfig::default(), |event| {
            tried += usize::from(matches!(event, ScanEvent::Failed { .. }));
            ControlFlow::Continue(())
        })
        .unwrap();
    let names: Vec<_> =
        report.failures.iter().map(|f| f.path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["empty.mp3", "header.wav", "text.flac"]);
    assert!(report.failures[0].reason.contains("empty"), "{:?}", report.failures);
    assert!(report.failures[2].reason.contains("known format"), "{:?}", report.failures);
    assert_eq!((tried, report.analysed), (3, 2));
    let cut = library.track_at(&music.join("cut.wav")).unwrap().unwrap();
    assert!(cut.analysis.damage.unwrap().contains("too early"));

    let again = library
        .scan(&[&music], &ScanConfig::default(), |event| {
            assert!(!matches!(event, ScanEvent::Failed { .. }), "{event:?}");
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(again.failures, report.failures, "listed all the same");

    wav(&music.join("text.flac"), 9);
    let mended = scan(&mut library, &music);
    assert_eq!((mended.analysed, mended.failures.len()), (1, 2));
    assert_eq!(scan(&mut library, &music).unchanged, 3);
}

#[test]
fn a_scan_that_is_stopped_goes_on_where_it_was() {
    let Place { _folder, music, mut library } = place();
    for seed in 0..12 {
        wav(&music.join(format!("{seed:02}.wav")), seed);
    }
    let config = {
        let mut config = ScanConfig::default();
        config.threads = NonZeroUsize::new(2);
        config
    };
    let mut done = 0;
    let report = library
        .scan(&[&music], &config, |event| match event {
            ScanEvent::Analysed { .. } => {
                done += 1;
                if done == 5 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            }
            _ => ControlFlow::Continue(()),
        })
        .unwrap();
    assert_eq!((report.analysed, report.complete, library.len().unwrap()), (5, false, 5));
    let rest = scan(&mut library, &music);
    assert_eq!((rest.analysed, rest.unchanged, rest.complete), (7, 5, true));

    let nothing = library.scan(&[&music], &config, |_| ControlFlow::Break(())).unwrap();
    assert!(!nothing.complete);
}

#[cfg(unix)]
#[test]
fn names_that_are_no_utf8_and_links_in_circles_are_no_trouble() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let Place { _folder, music, mut library } = place();
    let odd = music.join(OsStr::from_bytes(b"\xff\xfe caf\xe9.wav"));
    wav(&odd, 1);
    std::os::unix::fs::symlink(&music, music.join("circle")).unwrap();
    std::os::unix::fs::symlink(music.join("nowhere"), music.join("dangling.wav")).unwrap();
    let report = scan(&mut library, &music);
    assert_eq!((report.analysed, report.failures.len()), (1, 0), "{report:?}");
    let track = library.track_at(&odd).unwrap().unwrap();
    assert_eq!(track.path, odd);
    assert_eq!(scan(&mut library, &music).unchanged, 1);
    assert_eq!(library.search(&Query::default().with_words("caf")).unwrap().len(), 1);
}
