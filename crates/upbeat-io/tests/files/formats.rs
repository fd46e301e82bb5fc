//! Sound files of all formats hold the signal they were made from (`make_fixtures.py`), and start where it starts.

use crate::support::{Recording, decode, fixture, fixture_path, record};
use upbeat_io::{FileSource, IoError, Source};
use upbeat_testkit::signal;

/// The signal of the fixtures, as two channels.
fn original(rate: u32, length: usize) -> [Vec<f32>; 2] {
    [signal::sweep(200.0, 6000.0, 0.5, rate, length), signal::sine(1000.0, 0.25, rate, length)]
}

fn channel(recording: &Recording, channel: usize) -> Vec<f32> {
    let channels = recording.format.channels();
    recording.interleaved.iter().skip(channel).step_by(channels).copied().collect()
}

fn undamaged(name: &str) -> Recording {
    let recording = decode(fixture(name)).unwrap();
    assert!(!recording.damage.is_any(), "{name}: {}", recording.damage);
    assert!(recording.error.is_none() && recording.jumps.is_empty(), "{name}");
    recording
}

/// By how many samples `heard` comes after `original`, as their correlation says, and how loud it is against it.
fn delay_and_gain(heard: &[f32], original: &[f32]) -> (i64, f64) {
    let product = |lag: i64| -> f64 {
        let at = |n: usize| heard.get(usize::try_from(n as i64 + lag).ok()?);
        (0..original.len()).filter_map(|n| Some(f64::from(original[n]) * f64::from(*at(n)?))).sum()
    };
    let lag = (-1200..1200).max_by(|a, b| product(*a).total_cmp(&product(*b))).unwrap();
    let power: f64 = original.iter().map(|x| f64::from(*x).powi(2)).sum();
    (lag, product(lag) / power)
}

#[test]
fn lossless_files_are_exact_to_the_rounding_of_their_samples() {
    // Half a step of rounding; for 24 bits, ffmpeg rounds down from 32, and f32 rounds again.
    let (bits16, bits24) = (0.51 / 32_768.0, 1.01 / 8_388_608.0 + 3e-8);
    for (name, length, error) in [
        ("sweep.flac", 5000, bits16),
        ("sweep-24.flac", 2500, bits24),
        ("sweep.alac.m4a", 5000, bits16),
        ("sweep.aiff", 2500, bits16),
        ("sweep.f64.wav", 1000, 6e-8),
        // µ-law has 4 bits of mantissa: half a step is at most 1/32 of the sample, and of its bias.
        ("sweep.mulaw.wav", 2500, 0.5 / 32.0 + 0.0002),
    ] {
        let recording = undamaged(name);
        assert_eq!(recording.format.sample_rate().hz(), 16_000, "{name}");
        assert_eq!(recording.format.channels(), 2, "{name}");
        assert_eq!(recording.length, Some(length), "{name}");
        assert_eq!(recording.samples(), length, "{name}");
        for (c, original) in original(16_000, 5000).iter().enumerate() {
            for (n, (heard, meant)) in channel(&recording, c).iter().zip(original).enumerate() {
                let off = f64::from((heard - meant).abs());
                assert!(off <= error, "{name}: sample {n} of channel {c} is off by {off:e}");
            }
        }
    }
}

#[test]
fn lossy_files_start_on_the_sample_and_have_the_length_they_were_made_from() {
    for name in ["sweep.mp3", "sweep.ogg", "sweep.aac.m4a"] {
        let recording = undamaged(name);
        assert_eq!(recording.format.to_string(), "2 channels at 44100 Hz", "{name}");
        assert_eq!((recording.length, recording.samples()), (Some(40_000), 40_000), "{name}");
        for (c, original) in original(44_100, 40_000).iter().enumerate() {
            let (delay, gain) = delay_and_gain(&channel(&recording, c), original);
            assert_eq!(delay, 0, "{name}: channel {c}");
            // At these bit rates the encoders lose up to 6 % of the amplitude.
            assert!((0.94..1.01).contains(&gain), "{name}: gain {gain} of channel {c}");
        }
    }
}

#[test]
fn without_a_statement_of_the_encoders_delay_it_stays() {
    let adts = undamaged("sweep.adts.aac");
    assert_eq!((adts.length, adts.samples()), (None, 21 * 1024));
    let original = &original(44_100, 40_000)[0][..20_000];
    assert_eq!(delay_and_gain(&channel(&adts, 0), original).0, 1024);
}

#[test]
fn a_guessed_length_cuts_nothing_off() {
    // Noise comes first and takes many bytes, so the guess from the first packets is far too short.
    let recording = undamaged("untagged.mp3");
    assert_eq!(recording.length, None, "a guess is not a length");
    assert_eq!(recording.samples(), 54 * 1152);
    let meant = signal::sweep(200.0, 6000.0, 0.25, 44_100, 40_000);
    let (delay, gain) = delay_and_gain(&recording.interleaved[20_000..], &meant);
    assert_eq!(delay, 1105, "576 samples of encoder delay, 529 of decoder delay");
    assert!((0.94..1.01).contains(&gain), "gain {gain}");
}

#[test]
fn the_size_of_the_blocks_changes_nothing() {
    for name in ["sweep.flac", "sweep.mp3", "sweep.ogg", "sweep.aac.m4a"] {
        let whole = decode(fixture(name)).unwrap().interleaved;
        for block in [1, 513, 100_000] {
            let again = record(FileSource::open(fixture_path(name)).unwrap(), block);
            assert_eq!(again.interleaved, whole, "{name} in blocks of {block}");
        }
    }
}

#[test]
fn the_name_does_not_matter_and_the_content_does() {
    let directory = tempfile::tempdir().unwrap();
    let misnamed = directory.path().join("flac.mp3");
    std::fs::copy(fixture_path("sweep.flac"), &misnamed).unwrap();
    assert_eq!(FileSource::open(&misnamed).unwrap().length(), Some(5000));

    let text = directory.path().join("text.wav");
    std::fs::write(&text, "Dear diary, this is no sound.\n".repeat(100)).unwrap();
    assert!(matches!(FileSource::open(&text), Err(IoError::UnknownFormat)));
}

#[test]
fn what_is_no_file_of_sound_is_an_error_that_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let error = |name: &str| FileSource::open(directory.path().join(name)).unwrap_err();
    assert!(matches!(error("nothing.wav"), IoError::NotFound));
    assert!(matches!(error(""), IoError::Directory));
    std::fs::write(directory.path().join("empty.wav"), []).unwrap();
    assert!(matches!(error("empty.wav"), IoError::Empty));
    std::fs::write(directory.path().join("short.wav"), b"RIFF").unwrap();
    assert!(matches!(error("short.wav"), IoError::UnknownFormat | IoError::Header { .. }));
}

#[cfg(unix)]
#[test]
fn a_file_that_may_not_be_read_and_a_device_are_errors() {
    use std::os::unix::fs::PermissionsExt;

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret.flac");
    std::fs::copy(fixture_path("sweep.flac"), &path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).unwrap();
    match FileSource::open(&path) {
        Err(IoError::PermissionDenied) => {}
        // Root may read everything.
        Ok(source) if std::fs::File::open(&path).is_ok() => assert_eq!(source.length(), Some(5000)),
        other => panic!("{other:?}"),
    }
    assert!(matches!(FileSource::open("/dev/null"), Err(IoError::NotAFile)));
}

#[test]
fn errors_read_well_after_a_path() {
    let error = FileSource::open("no/such/song.mp3").unwrap_err();
    assert_eq!(format!("song.mp3: {error}"), "song.mp3: no such file");
    assert_eq!(IoError::Directory.to_string(), "is a directory; name the files in it");
}
