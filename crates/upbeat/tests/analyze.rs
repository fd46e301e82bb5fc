//! The example `analyze` as a user runs it: many files at once, some of them bad.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use upbeat::core::SampleRate;
use upbeat::io::{StreamFormat, WavEncoding, WavSink};
use upbeat_testkit::signal;

fn analyze(folder: &Path, arguments: &[&str]) -> Output {
    // Examples are built beside the tests: target/PROFILE/examples and target/PROFILE/deps.
    let test = std::env::current_exe().expect("a test has a path");
    let name = format!("analyze{}", std::env::consts::EXE_SUFFIX);
    let example = test.parent().and_then(Path::parent).map(|p| p.join("examples").join(name));
    let example = example.expect("target/PROFILE/deps/TEST");
    assert!(example.exists(), "{} is missing: `cargo test -p upbeat` builds it", example.display());
    Command::new(example).args(arguments).current_dir(folder).output().expect("it runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Two seconds of a sine of 440 Hz at half of full scale, in stereo.
fn write_tone(path: &Path) {
    let rate = SampleRate::new(44_100).expect("not 0");
    let format = StreamFormat::stereo(rate);
    let tone = signal::sine(440.0, 0.5, 44_100, 88_200);
    let mut sink = WavSink::create(path, format, WavEncoding::Int16).expect("a new file");
    sink.write(&signal::interleave(&[&*tone, &*tone])).expect("space on the disk");
    sink.finish().expect("space on the disk");
}

fn songs() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().to_path_buf();
    std::fs::create_dir(path.join("other")).expect("a new folder");
    write_tone(&path.join("tone.wav"));
    write_tone(&path.join("other/tone.wav"));
    std::fs::write(path.join("empty.flac"), []).expect("a new file");
    std::fs::write(path.join("text.mp3"), "these are no samples").expect("a new file");
    (folder, path)
}

#[test]
fn one_bad_file_never_stops_the_others_and_is_named() {
    let (_folder, path) = songs();
    let songs = ["empty.flac", "tone.wav", "text.mp3", "other/tone.wav", "nowhere.ogg", "other"];
    let output = analyze(&path, &[&songs[..], &["--format", "npz", "--out", "out"]].concat());
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stderr);
    for bad in ["empty.flac: ", "text.mp3: ", "nowhere.ogg: ", "other: "] {
        assert!(told.contains(bad), "{bad} is not named in:\n{told}");
    }
    assert!(told.contains("4 of 6 songs could not be analysed"), "{told}");

    // Songs of one name do not overwrite each other, and nothing half-written is left.
    let mut written: Vec<_> = std::fs::read_dir(path.join("out"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    written.sort();
    assert_eq!(written, ["tone-2.npz", "tone.npz"]);
}

#[test]
fn npz_has_librosas_names_and_orientation() {
    let (_folder, path) = songs();
    let arguments =
        ["tone.wav", "--format", "npz", "--out", "out", "--features", "rms,mfcc,mfcc_delta,pitch"];
    assert!(analyze(&path, &arguments).status.success());
    let archive = std::fs::File::open(path.join("out/tone.npz")).unwrap();
    let mut arrays = zip::ZipArchive::new(archive).unwrap();
    let frames = (88_200 - 2048) / 512 + 1;
    let mut array = |name: &str| {
        let array = npyz::NpyFile::new(arrays.by_name(&format!("{name}.npy")).unwrap()).unwrap();
        let shape = array.shape().to_vec();
        (shape, array.into_vec::<f32>().unwrap())
    };
    let (shape, rms) = array("rms");
    assert_eq!(shape, [1, frames]);
    assert!(rms.iter().all(|rms| (rms - 0.353_55).abs() < 2e-3));
    assert_eq!(array("mfcc").0, [20, frames]);
    assert!(array("pitch_frequency").1.iter().all(|hz| (hz - 440.0).abs() < 1.27));
    // A delta belongs to the frame in the middle of its nine: none for the last four.
    let (shape, delta) = array("mfcc_delta");
    assert_eq!(shape, [20, frames]);
    let known = delta.len() - 4 * 20; // Fortran order: frame by frame
    assert!(delta[4 * 20..known].iter().all(|d| d.is_finite()));
    assert!(delta[known..].iter().all(|d| d.is_nan()));
    assert_eq!(array("times").0, [frames]);
}

#[test]
fn every_row_of_csv_and_json_has_every_column() {
    let (_folder, path) = songs();
    let csv = analyze(&path, &["tone.wav", "--format", "csv", "--features", "rms,tonnetz"]);
    let csv = text(&csv.stdout);
    let mut lines = csv.lines();
    assert_eq!(
        lines.next(),
        Some("time,rms,tonnetz_0,tonnetz_1,tonnetz_2,tonnetz_3,tonnetz_4,tonnetz_5")
    );
    assert_eq!(lines.clone().count(), (88_200 - 2048) / 512 + 1);
    assert!(lines.all(|line| line.split(',').count() == 8));

    let json = analyze(&path, &["tone.wav", "--format", "jsonl", "--features", "pitch,loudness"]);
    for line in text(&json.stdout).lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!((row["pitch"][0].as_f64().unwrap() - 440.0).abs() < 1.27);
        assert_eq!(row["loudness"].as_array().unwrap().len(), 3);
    }
}

#[test]
fn the_summary_is_that_of_the_tone() {
    let (_folder, path) = songs();
    let told = text(&analyze(&path, &["tone.wav"]).stdout);
    for line in [
        "duration               2.00 s",
        "level (RMS)            -9.0 dB",
        "peak                   -6.0 dB",
        "median pitch           A4",
        "main pitch classes     A ",
    ] {
        assert!(told.contains(line), "'{line}' is not in:\n{told}");
    }
    assert_eq!(std::fs::read_dir(&path).unwrap().count(), 4, "a table writes nothing");
}

#[test]
fn what_cannot_be_is_told_before_anything_is_done() {
    let (_folder, path) = songs();
    for (arguments, told) in [
        (&["tone.wav", "--format", "npz"][..], "--out DIR"),
        (&["tone.wav", "other/tone.wav", "--format", "csv"][..], "--out DIR"),
        (&["tone.wav", "--features", "loudnes"][..], "loudness"),
        (&["tone.wav", "--hop-length", "0"][..], "hop_length must be at least 1, got 0"),
    ] {
        let output = analyze(&path, arguments);
        assert!(!output.status.success(), "{arguments:?}");
        assert!(text(&output.stderr).contains(told), "{}", text(&output.stderr));
    }
}
