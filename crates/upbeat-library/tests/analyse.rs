//! What is heard in whole tracks, held against what was played.

use upbeat_core::{SampleIndex, SampleRate};
use upbeat_io::demo::{self, DemoSource};
use upbeat_io::{Block, IoError, MemorySource, Source, StreamFormat, SynthSource};
use upbeat_library::{FEATURE_VERSION, LibraryError, TrackAnalysis, analyse_track};
use upbeat_predict::harmony::{Key, Mode, PitchClass};
use upbeat_testkit::signal;

fn rate(hz: u32) -> SampleRate {
    SampleRate::new(hz).expect("a rate")
}

fn mono(samples: Vec<f32>, hz: u32) -> MemorySource {
    MemorySource::new(samples, StreamFormat::mono(rate(hz))).expect("a source")
}

/// The demo twice, so that there is more than one piece of 12 s.
fn demo_twice(hz: u32) -> MemorySource {
    let song = demo::song(rate(hz)).expect("a song");
    MemorySource::new(song.interleaved.repeat(2), song.format).expect("a source")
}

#[test]
fn the_demo_is_heard_as_it_was_written_at_all_rates() {
    for hz in [22_050, 48_000, 96_000] {
        let a = analyse_track(&mut demo_twice(hz)).unwrap();
        assert_eq!((a.duration, a.version, &a.damage), (32.0, FEATURE_VERSION, &None));
        let tempo = a.tempo.expect("a beat");
        assert!((tempo.bpm - 120.0).abs() < 0.1, "{} BPM at {hz} Hz", tempo.bpm);
        assert!(tempo.confidence > 0.5 && a.tempo_stability.unwrap() > 0.9, "{tempo:?} at {hz} Hz");
        let first = tempo.first_beat.unwrap();
        let off = (first + 0.25).rem_euclid(0.5) - 0.25;
        assert!(off.abs() < 0.02, "the first beat at {first} s at {hz} Hz");
        let key = a.key.expect("a key");
        let a_minor = Key { tonic: PitchClass::new(9), mode: Mode::Minor };
        assert!(key.key == a_minor || key.key == a_minor.relative(), "{key:?} at {hz} Hz");
        assert!((a.loudness.unwrap() + 14.0).abs() < 1.0);
        assert!((2.0..10.0).contains(&a.onset_rate.unwrap()), "{:?}", a.onset_rate);
        let energy = TrackAnalysis::energy_of(
            a.loudness.unwrap(),
            a.onset_rate.unwrap(),
            a.brightness.unwrap(),
        );
        assert_eq!(a.energy, energy);
        assert!((0.3..0.9).contains(&energy.unwrap()));
        assert_eq!((a.contrast.is_some(), a.mfcc.is_some()), (hz > 25_600, true));
    }
}

#[test]
fn a_tone_has_the_features_of_a_tone() {
    let a =
        analyse_track(&mut mono(signal::sine(1000.0, 0.5, 44_100, 9 * 44_100), 44_100)).unwrap();
    assert!((a.brightness.unwrap() - 1000.0).abs() < 5.0);
    assert!((a.rolloff.unwrap() - 1000.0).abs() < 30.0);
    assert!((a.zero_crossing_rate.unwrap() - 2.0 * 1000.0 / 44_100.0).abs() < 0.001);
    assert_eq!(a.tempo, None);
    assert_eq!(a.tempo_stability, None);
}

#[test]
fn silence_is_left_out_of_the_means_and_knows_nothing_itself() {
    let silence = analyse_track(&mut mono(vec![0.0; 30 * 8000], 8000)).unwrap();
    let nothing =
        TrackAnalysis { duration: 30.0, version: FEATURE_VERSION, ..TrackAnalysis::default() };
    assert_eq!(silence, nothing);

    let tone = signal::sine(500.0, 0.5, 8000, 4 * 8000);
    let alone = analyse_track(&mut mono(tone.clone(), 8000)).unwrap();
    let amid = [vec![0.0; 80_000], tone, vec![0.0; 80_000]].concat();
    let amid = analyse_track(&mut mono(amid, 8000)).unwrap();
    // The frames at its two ends are neither.
    assert!((amid.brightness.unwrap() / alone.brightness.unwrap() - 1.0).abs() < 0.05);
    assert_eq!(amid.contrast, None, "3 kHz and above do not exist at this rate");
}

#[test]
fn bad_samples_count_as_nothing_and_the_shortest_sounds_are_no_trouble() {
    let mut bad = signal::noise(0.3, 1, 5 * 22_050);
    for at in (0..bad.len()).step_by(1000) {
        bad[at] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e38][at / 1000 % 4];
    }
    let a = analyse_track(&mut mono(bad, 22_050)).unwrap();
    for number in [a.loudness, a.energy, a.brightness, a.rolloff, a.bandwidth, a.zero_crossing_rate]
    {
        assert!(number.unwrap().is_finite());
    }
    assert!(a.mfcc.unwrap().iter().all(|x| x.is_finite()));

    for length in [1, 100, 3000] {
        let a = analyse_track(&mut mono(vec![0.5; length], 22_050)).unwrap();
        assert!((a.duration - length as f64 / 22_050.0).abs() < 1e-12 && a.tempo.is_none());
    }
    assert!(matches!(
        analyse_track(&mut mono(vec![], 22_050)),
        Err(LibraryError::Sound(IoError::NoAudio))
    ));
    let many = StreamFormat::new(rate(8000), 64).unwrap();
    let mut source = SynthSource::new(many, Some(16_000), |_, block: &mut [f32]| {
        block.fill(0.1);
        block.len() / 64
    });
    assert_eq!(analyse_track(&mut source).unwrap().duration, 2.0);
    let too_many = StreamFormat::new(rate(8000), 65).unwrap();
    let mut source = MemorySource::new(vec![0.0; 65], too_many).unwrap();
    assert!(matches!(analyse_track(&mut source), Err(LibraryError::Config(_))));
}

/// Breaks off after some blocks, having jumped once.
struct Broken {
    blocks: u64,
    left: u64,
}

impl Source for Broken {
    fn format(&self) -> StreamFormat {
        StreamFormat::mono(rate(8000))
    }

    fn length(&self) -> Option<u64> {
        None
    }

    fn read<'b>(&mut self, buffer: &'b mut [f32]) -> Result<Option<Block<'b>>, IoError> {
        let block = self.blocks - self.left;
        let at = SampleIndex(block * 1000 + if block > 5 { 4000 } else { 0 });
        if self.left == 0 {
            return Err(IoError::Decoder { at });
        }
        self.left -= 1;
        for (x, sample) in buffer[..1000].iter_mut().zip(signal::noise(0.5, block, 1000)) {
            *x = sample;
        }
        Ok(Some(Block { at, interleaved: &buffer[..1000] }))
    }
}

#[test]
fn what_breaks_off_is_analysed_up_to_there_if_it_is_worth_it() {
    let a = analyse_track(&mut Broken { blocks: 40, left: 40 }).unwrap();
    assert_eq!(a.duration, 44_000.0 / 8000.0);
    assert!(a.damage.unwrap().contains("damaged from"));
    let short = analyse_track(&mut Broken { blocks: 5, left: 5 });
    assert!(matches!(short, Err(LibraryError::Sound(IoError::Decoder { .. }))));
}

#[test]
fn the_same_samples_are_the_same_track() {
    let a = analyse_track(&mut DemoSource::new(rate(22_050)).unwrap()).unwrap();
    let b = analyse_track(&mut DemoSource::new(rate(22_050)).unwrap()).unwrap();
    assert_eq!(a, b);
}
