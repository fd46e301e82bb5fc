//! One library and several programs; folders that may not be written; folders that are watched.

#![cfg(unix)]

mod common;

use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{scan, track, wav};
use upbeat_library::{Library, LibraryError, Opinion, ScanConfig, Watch};

const WORK: &str = "UPBEAT_SHARING_WORK";
const FOLDER: &str = "UPBEAT_SHARING_FOLDER";

/// This program again, doing one of the jobs of [`child`] as a program of its own.
fn program(executable: &Path, work: &str, folder: &Path) -> Command {
    let mut command = Command::new(executable);
    command
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(WORK, work)
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Not a test of its own: the other program.
#[test]
fn child() {
    let Ok(work) = std::env::var(WORK) else { return };
    let folder = std::env::var(FOLDER).expect("a folder");
    let folder = Path::new(&folder);
    match work.as_str() {
        "refused" => match Library::open(folder.join("library.db")) {
            Ok(_) => println!("opened"),
            Err(error) => println!("refused: {error} {error:?}"),
        },
        number => {
            let first: u64 = number.parse().expect("a number");
            let mut library = Library::open(folder.join("library.db")).expect("a library");
            scan(&mut library, folder);
            for number in first..first + 50 {
                let id = library.insert(&track(number)).expect("room");
                let session = library.begin_session(id).expect("room");
                library.record_feedback(session, id, Opinion::Accepted, None).expect("room");
            }
        }
    }
}

#[test]
fn programs_that_write_at_once_wait_for_each_other() {
    let folder = tempfile::tempdir().unwrap();
    for seed in 0..6 {
        wav(&folder.path().join(format!("{seed}.wav")), seed);
    }
    let this = std::env::current_exe().unwrap();
    // All of them find no library, and make one.
    let children: Vec<_> = (0..3)
        .map(|i| program(&this, &(1000 * (i + 1)).to_string(), folder.path()).spawn().unwrap())
        .collect();
    for child in children {
        let out = child.wait_with_output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    }
    let library = Library::open(folder.path().join("library.db")).unwrap();
    library.check().unwrap();
    assert_eq!(library.len().unwrap(), 6 + 3 * 50);
    assert_eq!(library.feedback_after(0).unwrap().len(), 3 * 50);
}

#[test]
fn two_of_one_program_see_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("library.db");
    let (mut one, two) = (Library::open(&path).unwrap(), Library::open(&path).unwrap());
    let id = one.insert(&track(1)).unwrap();
    assert_eq!(two.track(id).unwrap().id, id);
}

#[test]
fn a_folder_that_may_not_be_written_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("library.db");
    drop(Library::open(&path).unwrap());
    // The superuser may write anywhere, so the program runs as nobody, from where nobody may read it.
    let executable = tempfile::tempdir().unwrap();
    let copy = executable.path().join("program");
    fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    let permit = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    permit(executable.path(), 0o755);
    permit(&copy, 0o755);
    let is_root =
        fs::metadata(&path).map(|m| std::os::unix::fs::MetadataExt::uid(&m)).unwrap() == 0;
    // Nothing may be made in the folder, though the file itself may be written.
    for (of_file, made) in [(0o444, true), (0o666, true), (0o666, false)] {
        if made {
            permit(&path, of_file);
        } else {
            fs::remove_file(&path).unwrap();
        }
        permit(folder.path(), 0o555);
        let mut command = program(&copy, "refused", folder.path());
        if is_root {
            command.uid(65_534);
        }
        let out = command.output().unwrap();
        permit(folder.path(), 0o755);
        let said = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(said.contains("refused: ") && said.contains("must be writable"), "{made}: {said}");
        assert!(said.contains("Unwritable"), "{said}");
    }
}

#[test]
fn changes_are_seen_as_they_happen() {
    let folder = tempfile::tempdir().unwrap();
    let music = folder.path().canonicalize().unwrap().join("music");
    fs::create_dir(&music).unwrap();
    wav(&music.join("first.wav"), 1);
    let mut library = Library::open(folder.path().join("library.db")).unwrap();
    scan(&mut library, &music);
    let mut watch = Watch::new(&[&music]).unwrap();
    let mut update = |library: &mut Library| {
        // Events come when the system likes, a minute is ample; the loop ends with the first.
        let end = Instant::now() + Duration::from_secs(60);
        while Instant::now() < end {
            let wait = Duration::from_secs(5);
            let report =
                watch.update(library, wait, &ScanConfig::default(), |_| ControlFlow::Continue(()));
            if let Some(report) = report.unwrap() {
                return report;
            }
        }
        panic!("no change was seen");
    };

    wav(&music.join("second.wav"), 2);
    fs::create_dir(music.join("deep")).unwrap();
    fs::write(music.join("bad.mp3"), "no music").unwrap();
    let report = update(&mut library);
    assert_eq!((report.analysed, report.failures.len()), (1, 1), "{report:?}");
    assert_eq!(library.len().unwrap(), 2);

    fs::rename(music.join("first.wav"), music.join("deep/moved.wav")).unwrap();
    let report = update(&mut library);
    assert_eq!((report.analysed, report.recognised), (0, 1), "{report:?}");
    assert!(library.track_at(&music.join("deep/moved.wav")).unwrap().is_some());

    fs::remove_dir_all(music.join("deep")).unwrap();
    let report = update(&mut library);
    assert_eq!((report.missing, library.len().unwrap()), (1, 1), "{report:?}");
    let nowhere = Watch::new(&[music.join("nowhere")]);
    assert!(matches!(nowhere, Err(LibraryError::Folder { .. })));
}
