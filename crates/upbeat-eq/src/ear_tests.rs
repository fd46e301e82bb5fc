use super::*;
use crate::{Band, Equalizer, EqualizerConfig, analogue_response};
use upbeat_testkit::signal;
use upbeat_testkit::streamed;
use upbeat_testkit::streaming::{Bits, assert_streaming};

impl Bits for Heard {
    fn bits(&self, into: &mut Vec<u64>) {
        into.extend([self.verdict as u64, self.seconds.to_bits(), u64::from(self.enough)]);
    }
}

fn rate(hz: u32) -> SampleRate {
    SampleRate::new(hz).expect("above 0")
}

fn ear(hz: u32) -> ToneEar {
    ToneEar::new(&ToneEarConfig::new(rate(hz))).expect("a rate it has")
}

/// Twelve seconds of the demo song, mixed down.
fn music(hz: u32) -> Vec<f32> {
    let song = upbeat_io::demo::song(rate(hz)).expect("a rate it has");
    let stereo = song.interleaved.as_chunks::<2>().0;
    stereo[..12 * hz as usize].iter().map(|[left, right]| 0.5 * (left + right)).collect()
}

/// How many frames of each verdict.
fn verdicts(ear: &mut ToneEar, samples: &[f32]) -> [usize; 3] {
    let mut counts = [0; 3];
    ear.process(SampleIndex(0), samples, |_, heard| counts[heard.verdict as usize] += 1);
    counts
}

#[test]
fn frames_are_as_long_at_all_rates_and_transform_fast() {
    for (hz, n_fft, hop) in [
        (44_100, 1024, 512),
        (48_000, 1080, 557),
        (22_050, 512, 256),
        (8000, 192, 93),
        (96_000, 2250, 1115),
        (192_000, 4500, 2229),
    ] {
        let spec = ear(hz).spec();
        assert_eq!((spec.frame_length(), spec.hop_length()), (n_fft, hop), "{hz}");
    }
}

#[test]
fn silence_and_steady_noise_are_no_music() {
    let mut deaf = ear(44_100);
    let [music, _, noise] = verdicts(&mut deaf, &vec![0.0; 44_100]);
    assert_eq!((music, noise), (0, 0));
    for (seed, amplitude) in [(1, 0.5), (2, 0.01)] {
        let mut deaf = ear(44_100);
        let white = signal::noise(amplitude, seed, 4 * 44_100);
        // Noise that falls by 6 dB per octave above 100 Hz.
        let mut state = 0.0;
        let brown: Vec<f32> = white
            .iter()
            .map(|x| {
                state += 0.0142 * (x - state);
                10.0 * state
            })
            .collect();
        for samples in [white, brown] {
            let [music, silence, noise] = verdicts(&mut deaf, &samples);
            println!("{music} {silence} {noise}");
            assert!(music * 50 < noise, "{music} of {noise}");
            deaf.reset();
        }
    }
}

#[test]
fn music_is_music() {
    let [heard, silence, noise] = verdicts(&mut ear(44_100), &music(44_100));
    println!("{heard} {silence} {noise}");
    assert!(heard * 10 > 9 * (heard + silence + noise), "{heard} {silence} {noise}");
}

#[test]
fn a_tone_needs_half_a_second_of_music() {
    let mut ear = ear(44_100);
    let programme = *ToneModel::builtin().programme();
    let song = music(44_100);
    let mut since = None;
    for (n, block) in song.chunks(512).enumerate() {
        let at = SampleIndex(512 * n as u64);
        ear.process(at, block, |_, heard| assert_eq!(heard.enough, heard.seconds >= 0.5));
        if since.is_none() && ear.tone(&programme).is_some() {
            since = Some(n);
        }
    }
    // Half a second, and the 0.2 s that a frame waits.
    let since = since.unwrap();
    assert!((60..90).contains(&since), "{since}");
}

#[test]
fn an_equalizer_shows_in_the_tone_as_what_it_does() {
    let programme = *ToneModel::builtin().programme();
    let song = music(44_100);
    let tone = |samples: &[f32]| {
        let mut ear = ear(44_100);
        ear.process(SampleIndex(0), samples, |_, _| {});
        ear.tone(&programme).unwrap()
    };
    let bands = [Band::low_shelf(300.0, 4.0), Band::high_shelf(3000.0, -5.0)];
    let mut equalized = song.clone();
    let config = EqualizerConfig::new(rate(44_100), 1, &bands);
    Equalizer::new(&config).unwrap().process_in_place(SampleIndex(0), &mut equalized);
    let level = |b: usize| -> f64 {
        let centre = ToneEar::centre(b);
        bands.iter().map(|band| f64::from(analogue_response(band, centre).level().0)).sum()
    };
    let (before, after) = (tone(&song), tone(&equalized));
    // Level goes with the octaves from 100 Hz to 3.5 kHz; the reference is the band at 1 kHz.
    let change = |b: usize| f64::from(after[b] - before[b]);
    let at = |f: f64| (0..64).find(|b| ToneEar::centre(*b) >= f).unwrap();
    for f in [100.0, 200.0, 400.0, 2000.0, 5000.0, 9000.0] {
        let (b, reference) = (at(f), at(1000.0));
        let expected = level(b) - level(reference);
        let found = change(b) - change(reference);
        assert!((found - expected).abs() < 0.7, "{f} Hz: {found} instead of {expected}");
    }
}

#[test]
fn all_rates_hear_the_same() {
    let programme = *ToneModel::builtin().programme();
    let tone = |hz: u32| {
        let mut ear = ear(hz);
        ear.process(SampleIndex(0), &music(hz), |_, _| {});
        ear.tone(&programme).unwrap()
    };
    let reference = tone(44_100);
    for hz in [16_000, 22_050, 48_000, 96_000] {
        let found = tone(hz);
        for b in 0..64 {
            let centre = ToneEar::centre(b);
            if (100.0..0.4 * f64::from(hz)).contains(&centre) && centre < 10_000.0 {
                let distance = (found[b] - reference[b]).abs();
                assert!(distance < 2.0, "{hz} Hz, band at {centre:.0} Hz: {distance} dB");
            } else if centre > 0.55 * f64::from(hz) {
                assert_eq!(found[b], 0.0, "{hz} Hz, band at {centre:.0} Hz");
            }
        }
    }
}

#[test]
fn streaming_is_the_truth() {
    let song = music(8000);
    assert_streaming(|| streamed!(ear(8000)), &song[..16_000], 1, 5);
}

#[test]
fn settings_out_of_range_are_refused() {
    let with = |change: fn(&mut ToneEarConfig)| {
        let mut config = ToneEarConfig::new(rate(44_100));
        change(&mut config);
        ToneEar::new(&config).unwrap_err().parameter()
    };
    assert_eq!(with(|c| c.sample_rate = SampleRate::new(7999).unwrap()), "sample_rate");
    assert_eq!(with(|c| c.memory = f64::NAN), "memory");
    assert_eq!(with(|c| c.patience = -1.0), "patience");
}

#[test]
fn a_steady_chord_is_music() {
    for f0 in [110.0, 440.0] {
        let samples = signal::tone(f0, 40, 0.5, 44_100, 2 * 44_100);
        let [music, silence, noise] = verdicts(&mut ear(44_100), &samples);
        assert!(music > 9 * (silence + noise - 16), "{f0} Hz: {music} {silence} {noise}");
    }
}
