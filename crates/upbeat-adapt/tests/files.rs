//! Files of models: kept to the last bit, and refused, untouched, where they are not what they should be.

use std::fs;
use std::path::{Path, PathBuf};
use upbeat_adapt::{
    AdaptConfig, AdaptError, AdaptiveModels, Feedback, Moment, PerformanceSample, Response,
    TrackFeatures,
};

/// Models that have learned something of everything.
fn learned(updates: u32) -> AdaptiveModels {
    let mut models = AdaptiveModels::new(&AdaptConfig::default()).expect("the defaults are valid");
    for step in 0..updates {
        let now = f64::from(step);
        let x = (step * 37 % 101) as f32 / 101.0;
        let track = TrackFeatures {
            tempo_bpm: Some(90.0 + 60.0 * x),
            key: Some("F#m".parse().expect("a key")),
            energy: Some(x),
            brightness: Some(900.0 + 2000.0 * x),
            loudness: Some(-12.0 + 3.0 * x),
            timbre: vec![x, 1.0 - x, 0.3],
        };
        let feedback = Feedback::new(Response::Score(x)).after(&track);
        let cost =
            PerformanceSample { level: 1, cost: 0.001 + 0.001 * f64::from(x), deadline: 0.01 };
        models.update(now, &track, Some(&feedback), Some(&cost)).expect("valid");
        models.observe(&Moment { at: now, features: track }).expect("in order");
    }
    models
}

fn in_folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let path = folder.path().join("models.json");
    (folder, path)
}

/// Loads `bytes` from a file, which must still be there as it was afterwards.
fn load(path: &Path, bytes: &[u8]) -> Result<AdaptiveModels, AdaptError> {
    fs::write(path, bytes).expect("writable");
    let result = AdaptiveModels::load(path);
    assert_eq!(fs::read(path).expect("still there"), bytes);
    result
}

#[test]
fn what_is_loaded_is_what_was_saved() {
    let (_folder, path) = in_folder();
    let models = learned(120);
    models.save(&path).unwrap();
    let first = fs::read(&path).unwrap();
    let mut again = AdaptiveModels::load(&path).unwrap();
    again.save(&path).unwrap();
    assert_eq!(fs::read(&path).unwrap(), first, "to the last bit");
    assert_eq!(again.status().updates, 120);
    let track = TrackFeatures { energy: Some(0.7), ..TrackFeatures::default() };
    let feedback = Feedback::new(Response::Accept);
    let mut models = models;
    for now in 120..140 {
        models.update(f64::from(now), &track, Some(&feedback), None).unwrap();
        again.update(f64::from(now), &track, Some(&feedback), None).unwrap();
    }
    assert_eq!(models.preference(), again.preference(), "and goes on in the same way");
}

#[test]
fn any_damage_is_told() {
    let (_folder, path) = in_folder();
    learned(3).save(&path).unwrap();
    let whole = fs::read(&path).unwrap();
    for length in (0..whole.len()).step_by(211).chain(whole.len() - 3..whole.len()) {
        let error = load(&path, &whole[..length]).unwrap_err();
        let told = matches!(error, AdaptError::Corrupt { .. } | AdaptError::Foreign { .. });
        assert!(told, "cut to {length}: {error}");
    }
    let bytes = (0..150).chain((150..whole.len()).step_by(97));
    for at in bytes {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        assert!(load(&path, &damaged).is_err(), "byte {at} changed");
    }
}

#[test]
fn other_files_and_later_versions_are_told_apart() {
    let (_folder, path) = in_folder();
    let foreign: [&[u8]; 6] =
        [b"", b"{}", b"[1,2]", b"\xff\xfe\x00", b"{\"format\":\"other\",\"version\":1}", b"hello"];
    for bytes in foreign {
        let error = load(&path, bytes).unwrap_err();
        assert!(matches!(error, AdaptError::Foreign { .. }), "{bytes:?}: {error}");
    }
    learned(3).save(&path).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let future = text.replacen("\"version\":1", "\"version\":7", 1);
    let error = load(&path, future.as_bytes()).unwrap_err();
    let told = matches!(error, AdaptError::FutureVersion { found: 7, supported: 1, .. });
    assert!(told && error.to_string().contains("version 7"), "{error}");
    let future = br#"{"format":"upbeat-adapt","version":2,"of":"another shape"}"#;
    assert!(matches!(load(&path, future), Err(AdaptError::FutureVersion { found: 2, .. })));
    let other = text.replacen("\"feature_set\":1", "\"feature_set\":9", 1);
    let error = load(&path, other.as_bytes()).unwrap_err();
    assert!(matches!(error, AdaptError::FeatureSet { found: 9, supported: 1, .. }), "{error}");
    let huge = vec![b' '; (8 << 20) + 1];
    assert!(matches!(load(&path, &huge), Err(AdaptError::Foreign { .. })));
}

#[test]
fn a_folder_that_cannot_be_written_to_is_told() {
    let (folder, path) = in_folder();
    let models = learned(3);
    let nowhere = folder.path().join("no such folder").join("models.json");
    let error = models.save(&nowhere).unwrap_err();
    assert!(matches!(error, AdaptError::Io { .. }) && error.to_string().contains("models.json"));
    models.save(&path).unwrap();
    assert!(models.save(path.join("below a file")).is_err());
    assert!(AdaptiveModels::load(folder.path()).is_err(), "a folder is no file");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left behind");
}

#[test]
fn old_halves_are_swept_up_and_nothing_else() {
    let (folder, path) = in_folder();
    let age = std::time::Duration::from_secs(2 * 3600);
    let old = std::time::SystemTime::now() - age;
    for (name, is_old) in
        [(".models.json.abc.tmp", true), (".models.json.new.tmp", false), (".other.abc.tmp", true)]
    {
        let file = fs::File::create(folder.path().join(name)).unwrap();
        if is_old {
            file.set_modified(old).unwrap();
        }
    }
    learned(1).save(&path).unwrap();
    let exists = |name: &str| folder.path().join(name).exists();
    assert!(!exists(".models.json.abc.tmp"), "ours, and old");
    assert!(exists(".models.json.new.tmp"), "perhaps being written");
    assert!(exists(".other.abc.tmp"), "not ours");
}

/// A limit on the size of files stands in for a full disk: the write fails half-way.
#[cfg(unix)]
#[test]
fn a_full_disk_leaves_the_old_file() {
    const CHILD: &str = "UPBEAT_ADAPT_FULL_DISK";
    if let Some(path) = std::env::var_os(CHILD) {
        let error = learned(50).save(&path).unwrap_err();
        assert!(matches!(error, AdaptError::Io { .. }), "{error}");
        return;
    }
    let (folder, path) = in_folder();
    let old = learned(3);
    old.save(&path).unwrap();
    let before = fs::read(&path).unwrap();
    let status = std::process::Command::new("sh")
        .args([
            "-c",
            "trap '' XFSZ; ulimit -f 8; exec \"$0\" a_full_disk_leaves_the_old_file --exact",
        ])
        .arg(std::env::current_exe().unwrap())
        .env(CHILD, &path)
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "the child was told of the full disk");
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no half is left behind");
}
