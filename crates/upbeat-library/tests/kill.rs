//! A program that is killed at any moment has lost nothing that was stored, and leaves a library that can be read.
//!
//! `UPBEAT_KILLS=10000 cargo test --release -p upbeat-library --test kill` for more of them.

#![cfg(unix)]

mod common;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use common::wav;
use upbeat_library::{Library, Opinion, ScanConfig, ScanEvent, TrackId};
use upbeat_testkit::signal::Random;

/// Tells the child where to work, and from which seed.
const FOLDER: &str = "UPBEAT_KILL_FOLDER";
const SEED: &str = "UPBEAT_KILL_SEED";

/// Not a test of its own: the program that is killed. Changes files, scans, gives feedback, for ever, and says what has
/// been stored as soon as it is.
#[test]
fn child() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let seed = std::env::var(SEED).expect("a seed").parse().expect("a number");
    let folder = Path::new(&folder).canonicalize().expect("a folder");
    let mut random = Random::new(seed);
    let mut library = Library::open(folder.join("library.db")).expect("a library");
    let say = |line: String| {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{line}").and_then(|()| out.flush()).expect("someone listens");
    };
    say(">>> opened".into());
    loop {
        for _ in 0..3 {
            let name = format!("{}.wav", random.below(8));
            wav(&folder.join(name), random.next_u64() % 1000);
        }
        let scanned = library.scan(&[&folder], &ScanConfig::default(), |event| {
            if let ScanEvent::Analysed { track, .. } = event {
                say(format!(">>> track {track}"));
            }
            ControlFlow::Continue(())
        });
        scanned.expect("a scan");
        let tracks = library.tracks().expect("tracks");
        let any = |random: &mut Random| tracks[random.below(tracks.len())].id;
        let session = library.begin_session(any(&mut random)).expect("a session");
        say(format!(">>> session {session}"));
        for _ in 0..4 {
            let (track, score) = (any(&mut random), random.unit() as f32);
            let state = format!("{score} {}", "x".repeat(random.below(20_000)));
            let id = library
                .record_feedback(session, track, Opinion::Score(score), Some(("models", &state)))
                .expect("room");
            say(format!(">>> feedback {id} {} {score}", track.0));
            library.record_transition(session, track).expect("room");
        }
    }
}

#[test]
fn nothing_stored_is_lost() {
    let kills: u64 = std::env::var("UPBEAT_KILLS").map_or(100, |n| n.parse().expect("a number"));
    let mut random = Random::new(7);
    let (mut opened, mut told) = (0, 0);
    let mut folder = tempfile::tempdir().unwrap();
    let mut state = Stored::default();
    for kill in 0..kills {
        if kill % 200 == 0 {
            // A library does not grow for ever.
            (folder, state) = (tempfile::tempdir().unwrap(), Stored::default());
        }
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture", "--test-threads=1"])
            .env(FOLDER, folder.path())
            .env(SEED, kill.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let out = child.stdout.take().unwrap();
        let (heard, lines_heard) = channel();
        let reader = thread::spawn(move || {
            let lines = BufReader::new(out).split(b'\n').map_while(Result::ok);
            let note = |line: Vec<u8>| {
                let line = String::from_utf8_lossy(&line).into_owned();
                // Nobody counts any more once the child is killed.
                let _ = heard.send(line.contains(">>> "));
                line
            };
            lines.map(note).collect::<Vec<_>>()
        });
        if kill % 8 == 0 {
            // While it starts, or makes the library.
            thread::sleep(Duration::from_micros(random.below(30_000) as u64));
        } else {
            // After so many things were stored, and a moment more.
            let wait = Duration::from_secs(60);
            let mut left = 1 + random.below(15);
            while left > 0 {
                left -= usize::from(lines_heard.recv_timeout(wait).expect("the child goes on"));
            }
            thread::sleep(Duration::from_micros(random.below(3000) as u64));
        }
        child.kill().unwrap();
        assert!(!child.wait().unwrap().success(), "the child stopped by itself");
        let lines = reader.join().unwrap();
        // The last line may be half of one.
        let lines: Vec<&str> =
            lines.iter().filter_map(|line| Some(line.split_once(">>> ")?.1)).collect();
        opened += u64::from(lines.contains(&"opened"));
        told += lines.len();
        state.add(&lines);
        state.check(folder.path());
    }
    println!("{kills} kills: {opened} after the library was opened, {told} lines told");
    assert!(opened >= kills / 8 * 7, "{opened} of {kills}");
    assert!(told as u64 > opened, "the child got nowhere");
    let _ = fs::remove_dir_all(folder.path());
}

/// What the child has said is stored.
#[derive(Default)]
struct Stored {
    tracks: Vec<TrackId>,
    sessions: i64,
    feedback: BTreeMap<i64, (i64, f32)>,
}

impl Stored {
    fn add(&mut self, lines: &[&str]) {
        for line in lines {
            let words: Vec<&str> = line.split(' ').collect();
            let number = |at: usize| words.get(at).and_then(|word| word.parse::<i64>().ok());
            match (words[0], words.len()) {
                ("track", 2) => self.tracks.extend(number(1).map(TrackId)),
                ("session", 2) => self.sessions = self.sessions.max(number(1).unwrap_or(0)),
                ("feedback", 4) => {
                    let score = words[3].parse::<f32>().ok().filter(|score| score.is_finite());
                    if let (Some(id), Some(track), Some(score)) = (number(1), number(2), score) {
                        self.feedback.insert(id, (track, score));
                    }
                }
                _ => {}
            }
        }
    }

    /// Holds the library to it.
    fn check(&self, folder: &Path) {
        let library = Library::open(folder.join("library.db")).expect("it can be opened");
        library.check().expect("it is whole");
        for track in &self.tracks {
            library.track(*track).expect("the track is there");
        }
        let session = library.open_session().expect("it can be read").map_or(0, |open| open.id.0);
        assert!(session >= self.sessions, "session {} is lost", self.sessions);
        let stored = library.feedback_after(0).expect("it can be read");
        let found: HashMap<i64, (i64, f32)> =
            stored.iter().map(|f| (f.id, (f.track.0, f.opinion.value()))).collect();
        // The last line of all may have lost its end; its digits would say something else.
        for (id, (track, score)) in &self.feedback {
            let (found_track, found_score) =
                found.get(id).copied().unwrap_or_else(|| panic!("feedback {id} is lost"));
            assert_eq!(found_track, *track, "feedback {id}");
            assert!((found_score - score).abs() < 0.1 || Some(id) == self.feedback.keys().last());
        }
        // The models' state is that of the last feedback, whatever was killed when.
        let state = library.state("models").expect("it can be read");
        let last = stored.last().map(|f| f.opinion.value().to_string());
        assert_eq!(state.as_deref().and_then(|state| state.split(' ').next()), last.as_deref());
    }
}
