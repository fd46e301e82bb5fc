//! The example `record` as a user runs it: to its end, and killed on the way.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use upbeat::io::{FileSource, Source};

fn record() -> Command {
    // Examples are built beside the tests: target/PROFILE/examples and target/PROFILE/deps.
    let test = std::env::current_exe().expect("a test has a path");
    let name = format!("record{}", std::env::consts::EXE_SUFFIX);
    let example = test.parent().and_then(Path::parent).map(|p| p.join("examples").join(name));
    let example = example.expect("target/PROFILE/deps/TEST");
    assert!(example.exists(), "{} is missing: `cargo test -p upbeat` builds it", example.display());
    Command::new(example)
}

/// The samples of a file, interleaved.
fn read(path: &Path) -> Vec<f32> {
    let mut file = FileSource::open(path).expect("a readable WAV file");
    let mut buffer = vec![0.0; 65_536];
    let mut all = Vec::new();
    while let Some(block) = file.read(&mut buffer).expect("undamaged") {
        all.extend_from_slice(block.interleaved);
    }
    all
}

/// The times of all whole lines.
fn times(path: &Path) -> Vec<f64> {
    let text = std::fs::read_to_string(path).expect("the analysis is there");
    let whole = &text[..=text.rfind('\n').expect("a whole line")];
    let time = |line: &str| {
        let object: serde_json::Value = serde_json::from_str(line).expect("an object a line");
        object["time"].as_f64().expect("a time")
    };
    whole.lines().map(time).collect()
}

#[test]
fn a_recording_is_what_was_played() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first.wav"), folder.path().join("second.wav"));
    let status =
        record().arg(&first).args(["--fast", "--seconds", "3"]).stderr(Stdio::null()).status();
    assert!(status.unwrap().success());
    let status = record()
        .arg(&second)
        .arg("--fast")
        .arg("--file")
        .arg(&first)
        .stderr(Stdio::null())
        .status();
    assert!(status.unwrap().success());
    let samples = read(&first);
    assert_eq!(samples.len(), 3 * 44_100 * 2);
    assert!(samples.iter().any(|x| x.abs() > 0.3), "something is heard");
    assert_eq!(samples, read(&second));
    let times = times(&second.with_extension("jsonl"));
    assert!((255..=259).contains(&times.len()), "{} frames of 512 samples", times.len());
    assert_eq!(times, self::times(&first.with_extension("jsonl")));
}

#[test]
fn what_was_recorded_before_a_kill_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("take.wav");
    let mut child = record().arg(&path).stderr(Stdio::null()).spawn().unwrap();
    // As the demo is played, in real time, a flush each half second.
    let limit = Instant::now() + Duration::from_secs(30);
    while std::fs::metadata(&path).map_or(0, |file| file.len()) < 400_000 {
        assert!(Instant::now() < limit, "nothing is written");
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success());
    let samples = read(&path);
    assert!(samples.len() >= 60_000, "{} samples", samples.len());
    let times = times(&path.with_extension("jsonl"));
    assert!(times.len() > 20, "{} frames", times.len());
    let length = samples.len() as f64 / 2.0 / 44_100.0;
    assert!(
        (times[times.len() - 1] - length).abs() < 0.6,
        "{} s, {length} s",
        times[times.len() - 1]
    );
}
