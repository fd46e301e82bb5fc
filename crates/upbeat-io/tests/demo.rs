//! The demo: the same however it is read, at the level it promises, and playing what its annotations say.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

use upbeat_core::{SampleIndex, SampleRate};
use upbeat_io::demo::{self, DemoSource, Instrument};
use upbeat_io::{MemorySource, Source};
use upbeat_testkit::signal::Random;

fn rate(hz: u32) -> SampleRate {
    SampleRate::new(hz).unwrap()
}

#[test]
fn any_split_gives_the_same_bits() {
    let whole = demo::song(rate(16_000)).unwrap();
    let mut source = DemoSource::new(rate(16_000)).unwrap();
    assert_eq!(source.length(), Some(16 * 16_000));
    let mut random = Random::new(3);
    let mut buffer = vec![0.0; 10_000];
    let mut out: Vec<f32> = Vec::new();
    loop {
        let size = if random.below(4) == 0 { 2 + random.below(9998) } else { 2 + random.below(40) };
        let Some(block) = source.read(&mut buffer[..size]).unwrap() else { break };
        assert_eq!(block.at, SampleIndex((out.len() / 2) as u64));
        out.extend_from_slice(block.interleaved);
    }
    assert_eq!(out, whole.interleaved);

    // The same through memory.
    let mut memory = MemorySource::new(out, whole.format).unwrap();
    assert_eq!(memory.length(), source.length());
    let mut again: Vec<f32> = Vec::new();
    while let Some(block) = memory.read(&mut buffer).unwrap() {
        assert_eq!(block.at, SampleIndex((again.len() / 2) as u64));
        again.extend_from_slice(block.interleaved);
    }
    assert_eq!(again, whole.interleaved);
}

#[test]
fn it_is_as_loud_as_it_says_and_never_clips() {
    for hz in [44_100, 48_000] {
        let song = demo::song(rate(hz)).unwrap();
        let mut meter =
            ebur128::EbuR128::new(2, hz, ebur128::Mode::I | ebur128::Mode::TRUE_PEAK).unwrap();
        meter.add_frames_f32(&song.interleaved).unwrap();
        let loudness = meter.loudness_global().unwrap();
        assert!((loudness + 14.0).abs() < 0.5, "{loudness} LUFS at {hz} Hz");
        for channel in 0..2 {
            let peak = meter.true_peak(channel).unwrap();
            assert!(peak < 1.0, "true peak {peak} at {hz} Hz");
        }
    }
}

#[test]
fn rates_it_can_be_made_at() {
    for hz in [8000, 11_025, 22_050, 96_000, 192_000] {
        let mut source = DemoSource::new(rate(hz)).unwrap();
        assert_eq!(source.length(), Some(16 * u64::from(hz)));
        let mut buffer = vec![0.0; 2 * hz as usize / 4];
        let block = source.read(&mut buffer).unwrap().unwrap();
        assert!(block.interleaved.iter().all(|x| x.abs() < 1.0));
    }
    for hz in [1, 7999, 192_001, u32::MAX] {
        assert_eq!(DemoSource::new(rate(hz)).unwrap_err().parameter(), "sample_rate");
    }
}

#[test]
fn every_rate_plays_the_same() {
    // What lies below a quarter of the lower rate is the same at both, up to the phase of what lies above.
    let (low, high) = (demo::song(rate(24_000)).unwrap(), demo::song(rate(48_000)).unwrap());
    let power = |samples: &[f32], from: usize, to: usize| -> f64 {
        let beat = &samples[2 * from..2 * to];
        beat.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / beat.len() as f64
    };
    for beat in 0..32 {
        let low = power(&low.interleaved, beat * 12_000, (beat + 1) * 12_000);
        let high = power(&high.interleaved, beat * 24_000, (beat + 1) * 24_000);
        assert!((low / high).log10().abs() < 0.1, "beat {beat}: {low} and {high}");
    }
}

/// How much louder the 20 ms after `time` are than the 20 ms before, with the bass taken away by a first difference.
fn rise(song: &demo::Song, time: f64) -> f64 {
    let hz = song.format.sample_rate().hz() as usize;
    let middle = (time * hz as f64).ceil() as usize;
    let energy = |from: usize, to: usize| -> f64 {
        let samples = &song.interleaved[2 * from..2 * to];
        let difference = samples.iter().zip(&samples[2..]).map(|(a, b)| f64::from(b - a).powi(2));
        1e-9 + difference.sum::<f64>() / (to - from) as f64
    };
    let span = hz / 50;
    10.0 * (energy(middle, middle + span) / energy(middle.saturating_sub(span), middle.max(1)))
        .log10()
}

#[test]
fn something_begins_at_each_onset_and_nothing_between() {
    let song = demo::song(rate(48_000)).unwrap();
    for pair in song.annotations.onsets.windows(2) {
        if pair[0] > 0.0 {
            assert!(rise(&song, pair[0]) > 1.0, "{} dB at {} s", rise(&song, pair[0]), pair[0]);
        }
        let between = f64::midpoint(pair[0], pair[1]);
        assert!(rise(&song, between) < 1.0, "{} dB at {between} s", rise(&song, between));
    }
}

#[test]
fn a_note_sounds_at_its_pitch() {
    // The bass alone has energy at its own frequency and none a tone above or below.
    let song = demo::song(rate(44_100)).unwrap();
    let basses = song.annotations.notes.iter().filter(|note| note.instrument == Instrument::Bass);
    for note in basses.filter(|note| note.start % 2.0 == 0.0) {
        let magnitude = |pitch: f64| {
            let frequency = 440.0 * ((pitch - 69.0) / 12.0).exp2();
            let start = (note.start * 44_100.0) as usize;
            let samples = song.interleaved[2 * start..2 * (start + 16_000)].chunks_exact(2);
            let (re, im) = samples.enumerate().fold((0.0, 0.0), |(re, im), (n, x)| {
                let hann = 0.5 - 0.5 * (std::f64::consts::TAU * n as f64 / 16_000.0).cos();
                let angle = std::f64::consts::TAU * frequency * n as f64 / 44_100.0;
                let x = hann * f64::from(x[0] + x[1]);
                (re + x * angle.cos(), im + x * angle.sin())
            });
            re.hypot(im)
        };
        // The third harmonic, above the drum.
        let pitch = f64::from(note.pitch.unwrap()) + 19.02;
        assert!(magnitude(pitch) > 3.0 * magnitude(pitch + 2.0), "{note:?}");
        assert!(magnitude(pitch) > 3.0 * magnitude(pitch - 2.0), "{note:?}");
    }
}
