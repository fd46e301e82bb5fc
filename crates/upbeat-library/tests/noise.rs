//! Files of noise under the names of sound files: all are listed, none stops the scan.
//!
//! `UPBEAT_NOISE_FILES=10000 cargo test --release -p upbeat-library --test noise` for more of them.

mod common;

use std::fs;

use common::scan;
use upbeat_library::Library;
use upbeat_testkit::signal::Random;

#[test]
fn noise_is_listed_with_reasons() {
    let n: u64 = std::env::var("UPBEAT_NOISE_FILES").map_or(1000, |n| n.parse().expect("a number"));
    let folder = tempfile::tempdir().unwrap();
    let music = folder.path().join("music");
    fs::create_dir(&music).unwrap();
    // What the formats begin with, so that decoders get past their first check.
    let starts: [&[u8]; 9] = [
        b"",
        b"RIFF\xff\xff\xff\x7fWAVEfmt \x10\0\0\0\x01\0\x02\0\x44\xac\0\0",
        b"FORM\0\0\x10\0AIFFCOMM\0\0\0\x12",
        b"fLaC\0\0\0\x22",
        b"ID3\x04\0\0\0\0\x01\0TIT2\0\0\0\x05",
        b"\xff\xfb\x90\x64",
        b"OggS\0\x02\0\0\0\0\0\0\0\0",
        b"\0\0\0\x20ftypM4A \0\0\0\0",
        b"\xff\xf1\x50\x80",
    ];
    let ends = ["wav", "aif", "flac", "mp3", "ogg", "m4a", "aac"];
    let mut random = Random::new(20);
    for number in 0..n {
        let mut bytes = starts[random.below(starts.len())].to_vec();
        bytes.extend((0..random.below(4000)).map(|_| random.next_u64() as u8));
        let end = ends[random.below(ends.len())];
        fs::write(music.join(format!("{number}.{end}")), bytes).unwrap();
    }
    let mut library = Library::open(folder.path().join("library.db")).unwrap();
    let report = scan(&mut library, &music);
    assert!(report.complete);
    assert_eq!(report.analysed + report.recognised + report.failures.len(), n as usize);
    assert!(report.failures.iter().all(|failure| !failure.reason.is_empty()));
    // Noise may happen to be a sound: MP3 has no more than 11 bits to know a frame by, and a WAV header claims anything.
    assert!(report.failures.len() as u64 > n / 2, "{} of {n} refused", report.failures.len());
    println!(
        "{} of {n} files of noise were refused, {} made some sound",
        report.failures.len(),
        report.analysed
    );
    library.check().unwrap();

    let again = scan(&mut library, &music);
    assert_eq!(again.failures, report.failures);
    assert_eq!((again.analysed, again.unchanged), (0, report.analysed + report.recognised));
}
