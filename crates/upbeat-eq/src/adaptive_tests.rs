use super::*;
use crate::{
    Band, EqError, Equalizer, EqualizerConfig, SemanticEq, Target, ToneCurve, Verdict, response,
};
use upbeat_core::{SampleIndex, Stage};
use upbeat_features::loudness::LoudnessMeter;
use upbeat_testkit::signal;
use upbeat_testkit::streamed;
use upbeat_testkit::streaming::assert_streaming;

const HZ: u32 = 22_050;

fn rate(hz: u32) -> SampleRate {
    SampleRate::new(hz).expect("above 0")
}

fn music(hz: u32) -> Vec<f32> {
    let song = upbeat_io::demo::song(rate(hz)).expect("a rate it has");
    let stereo = song.interleaved.as_chunks::<2>().0;
    stereo[..10 * hz as usize].iter().map(|[left, _]| *left).collect()
}

fn config(words: &str, intensity: f64) -> AdaptiveConfig {
    let mut config = AdaptiveConfig::new(rate(HZ), 1);
    (config.words, config.intensity) = (Some(words.into()), intensity);
    config
}

/// Filters all of it in blocks of 512, and returns it with the handle.
fn filtered(config: &AdaptiveConfig, samples: &[f32]) -> (Vec<f32>, AdaptiveHandle) {
    let (mut equalizer, handle) = AdaptiveEqualizer::new(config).expect("valid");
    let mut samples = samples.to_vec();
    let mut at = SampleIndex(0);
    for block in samples.chunks_mut(512 * config.channels) {
        equalizer.process_in_place(at, block);
        at += (block.len() / config.channels) as u64;
    }
    (samples, handle)
}

fn applied(config: &AdaptiveConfig, samples: &[f32]) -> ToneCurve {
    filtered(config, samples).1.status().expect("updates").applied
}

#[test]
fn nothing_asked_for_or_no_intensity_is_nothing_done() {
    let song = music(HZ);
    for config in [AdaptiveConfig::new(rate(HZ), 1), config("harsh", 0.0)] {
        let (out, mut handle) = filtered(&config, &song);
        assert_eq!(out, song);
        assert_eq!(handle.status().unwrap().applied, ToneCurve::FLAT);
        assert!(handle.status().unwrap().heard.is_some());
    }
    let (out, _) = filtered(&config("harsh", 0.7), &song);
    assert_eq!(out[..HZ as usize / 2], song[..HZ as usize / 2], "before anything was heard");
    assert_ne!(out, song);
}

/// The measure of adaptivity, on the demo song; on recordings, see docs/adaptive-eq.md.
#[test]
fn the_more_a_sound_has_of_a_word_the_less_is_applied() {
    let song = music(HZ);
    let vocabulary = Vocabulary::builtin();
    for name in ["warm", "bright", "dark", "mellow", "deep", "harsh", "crisp", "tinny"] {
        let word = vocabulary.word(name).unwrap();
        let unit = 3.0 / word.curve.timbre().rms();
        let mut config = config(name, 1.0);
        (config.depth, config.slew) = (24.0, 1000.0);
        let points: Vec<[f64; 2]> = [-1.0, 1.5]
            .into_iter()
            .map(|k| {
                let bands = word.settings.bands().map(|b| Band { gain: b.gain * unit * k, ..b });
                let mut before = song.clone();
                let eq = EqualizerConfig::new(rate(HZ), 1, &bands);
                Equalizer::new(&eq).unwrap().process_in_place(SampleIndex(0), &mut before);
                [k, applied(&config, &before).share_of(&(word.curve * unit))]
            })
            .collect();
        let slope = (points[1][1] - points[0][1]) / (points[1][0] - points[0][0]);
        println!("{name}: slope {slope:.2}");
        assert!(slope < -0.2, "{name}: {slope}");
    }
}

#[test]
fn words_tilt_a_sound_their_way() {
    let song = music(HZ);
    for (name, sign) in [("dark", -1.0), ("deep", -1.0), ("bright", 1.0), ("tinny", 1.0)] {
        // Asking for twice the word's curve outweighs whatever the song already is.
        let tilt = applied(&config(name, 1.0), &song).tilt();
        let opposite = applied(&config(&format!("-{name}"), 1.0), &song).tilt();
        assert!(sign * (tilt - opposite) > 0.5, "{name}: {tilt} {opposite}");
    }
}

#[test]
fn what_is_applied_is_intensity_times_the_difference() {
    let song = music(HZ);
    let mut config = config("warm", 1.0);
    (config.depth, config.slew, config.smoothing) = (24.0, 1000.0, 0.0);
    let (_, mut handle) = filtered(&config, &song);
    let target = *handle.target().unwrap().curve();
    let status = handle.status().unwrap().clone();
    let difference = target - status.heard.unwrap();
    // Eight bands cannot do all that 128 points can ask for; and level is nobody's to know.
    assert!((status.applied.timbre() - difference.timbre()).rms() < 0.6);
    config.intensity = 0.5;
    let half = applied(&config, &song);
    assert!((half - status.applied * 0.5).rms() < 0.1);
}

#[test]
fn depth_slew_and_smoothing_hold() {
    let song = music(HZ);
    let mut config = config("4 harsh", 2.0);
    (config.depth, config.slew) = (5.0, 3.0);
    let (mut equalizer, mut handle) = AdaptiveEqualizer::new(&config).unwrap();
    let seconds = equalizer.update_length() as f64 / f64::from(HZ);
    let mut samples = song;
    let mut last: Option<Status> = None;
    let mut fastest = 0.0_f64;
    let mut at = SampleIndex(0);
    let length = equalizer.update_length() as usize;
    for block in samples.chunks_mut(length) {
        equalizer.process_in_place(at, block);
        at += block.len() as u64;
        let Some(status) = handle.status().cloned() else { continue };
        assert!(status.applied.peak() < 5.3, "{}", status.applied.peak());
        if let Some(last) = last.filter(|last| last.at != status.at) {
            for (from, to) in last.bands.iter().zip(&status.bands) {
                fastest = fastest.max((to.gain - from.gain).abs() / seconds);
            }
        }
        last = Some(status);
    }
    assert!(fastest > 2.5 && fastest < 3.001, "{fastest} dB/s");
    assert!(last.unwrap().applied.peak() > 4.0);
    handle.set_limits(0.0, 1000.0).unwrap();
    for block in samples.chunks_mut(length) {
        equalizer.process_in_place(at, block);
        at += block.len() as u64;
    }
    assert_eq!(handle.status().unwrap().applied, ToneCurve::FLAT);
}

#[test]
fn silence_noise_and_freezing_move_nothing() {
    let song = music(HZ);
    let (mut equalizer, mut handle) = AdaptiveEqualizer::new(&config("bright", 1.0)).unwrap();
    let mut at = SampleIndex(0);
    let mut play = |samples: &[f32]| {
        let mut samples = samples.to_vec();
        equalizer.process_in_place(at, &mut samples);
        at += samples.len() as u64;
    };
    play(&song);
    let silence = vec![0.0; 5 * HZ as usize];
    play(&silence[..HZ as usize]); // what had not been heard out
    let gains = |handle: &mut AdaptiveHandle| handle.status().unwrap().bands.map(|band| band.gain);
    let settle = |handle: &mut AdaptiveHandle| (handle.status().unwrap().verdict, gains(handle));
    play(&silence);
    let (verdict, before) = settle(&mut handle);
    assert_eq!(verdict, Verdict::Silence);
    play(&signal::noise(0.3, 7, 10 * HZ as usize));
    let (verdict, after) = settle(&mut handle);
    assert_eq!(verdict, Verdict::Noise);
    for (before, after) in before.iter().zip(&after) {
        assert!((before - after).abs() < 0.1, "{before} {after}");
    }
    handle.set_frozen(true);
    handle.set_words("dark").unwrap();
    play(&song);
    assert_eq!(gains(&mut handle), after);
    handle.set_frozen(false);
    play(&song);
    assert!(gains(&mut handle) != after);
}

#[test]
fn bypass_is_the_sound_itself_as_loud_as_the_other() {
    let song = music(HZ);
    let loudness = |samples: &[f32]| {
        let mut last = None;
        let mut meter = LoudnessMeter::new(rate(HZ), 1).unwrap();
        meter.process(SampleIndex(0), samples, |_, loudness| last = loudness.integrated);
        f64::from(last.unwrap())
    };
    let (mut equalizer, mut handle) = AdaptiveEqualizer::new(&config("harsh", 1.0)).unwrap();
    handle.set_band(0, Band::peak(1500.0, 6.0, 1.0)).unwrap();
    let mut at = SampleIndex(0);
    let mut play = |samples: &[f32]| {
        let mut samples = samples.to_vec();
        equalizer.process_in_place(at, &mut samples);
        at += samples.len() as u64;
        samples
    };
    play(&song);
    handle.set_frozen(true);
    let wet = loudness(&play(&song));
    handle.set_bypassed(true);
    play(&song[..4096]);
    let bypassed = play(&song);
    // The sound itself, but for a gain that follows what is played.
    for (y, x) in bypassed.chunks(1000).zip(song.chunks(1000)) {
        let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        let gain = product(y, x) / product(x, x).max(1e-9);
        let rest: Vec<f32> = y.iter().zip(x).map(|(y, x)| y - gain * x).collect();
        assert!(product(&rest, &rest) <= 1e-4 * product(y, y));
    }
    let dry = loudness(&song);
    println!("wet {wet:.2}, bypassed {:.2}, dry {dry:.2} LUFS", loudness(&bypassed));
    assert!((wet - dry).abs() > 1.0, "nothing to match");
    assert!((loudness(&bypassed) - wet).abs() < 0.5);
}

#[test]
fn manual_bands_are_added() {
    let (mut equalizer, mut handle) =
        AdaptiveEqualizer::new(&AdaptiveConfig::new(rate(HZ), 1)).unwrap();
    let band = Band::peak(1000.0, -6.0, 2.0);
    handle.set_band(2, band).unwrap();
    assert_eq!(handle.bands()[2], band);
    let mut tone = signal::sine(1000.0, 0.5, HZ, HZ as usize);
    equalizer.process_in_place(SampleIndex(0), &mut tone);
    let peak = tone[HZ as usize / 2..].iter().fold(0.0_f32, |peak, x| peak.max(x.abs()));
    let gain = response(&[band], rate(HZ), Design::Matched, 1000.0).magnitude as f32;
    assert!((peak - 0.5 * gain).abs() < 0.005, "{peak}");
    assert_eq!(handle.set_band(4, band).unwrap_err().parameter(), "index");
    assert_eq!(handle.set_band(0, Band::gain(99.0)).unwrap_err().parameter(), "gain");
}

#[test]
fn profiles_and_targets_of_ones_own_change_what_is_asked_for() {
    let (_, mut handle) = AdaptiveEqualizer::new(&config("warm", 1.0)).unwrap();
    let common = *handle.target().unwrap().curve();
    let mut profile = Profile::default();
    profile.add("warm", handle.vocabulary().word("thin").unwrap().settings);
    handle.set_profile(profile.clone()).unwrap();
    assert_eq!(handle.profile(), &profile);
    assert_ne!(*handle.target().unwrap().curve(), common);
    let mine = Target::new(
        "mine",
        SemanticEq::from_parameters([
            3.0, 100.0, 0.0, 300.0, 1.0, 0.0, 900.0, 1.0, 0.0, 3000.0, 1.0, 0.0, 9000.0,
        ])
        .unwrap()
        .curve(),
    );
    handle.set_target(mine.clone());
    handle.set_profile(Profile::default()).unwrap();
    assert_eq!(handle.target(), Some(&mine));
    handle.clear_target();
    assert_eq!(handle.target(), None);
}

#[test]
fn explanations_name_bands_cues_and_words() {
    let (_, mut handle) = filtered(&config("0.5 bright", 0.8), &music(HZ));
    let explanation = handle.explain().unwrap();
    let text = explanation.to_string();
    println!("{text}");
    assert!(!explanation.moves.is_empty() && explanation.words == "0.5 bright");
    assert!(text.contains("than 0.5 bright asks for"), "{text}");
    for step in &explanation.moves {
        assert!(step.region[0] < step.band.frequency && step.band.frequency < step.region[1]);
    }
    let largest = &explanation.moves[0];
    assert!(largest.missing() * largest.band.gain > 0.0, "{text}");
    handle.clear_target();
    assert!(handle.explain().is_none());
}

#[test]
fn unknown_words_and_settings_out_of_range_change_nothing() {
    let song = music(HZ);
    let run = |disturb: bool| {
        let (mut equalizer, mut handle) = AdaptiveEqualizer::new(&config("warm", 1.0)).unwrap();
        let mut samples = song.clone();
        let mut at = SampleIndex(0);
        for block in samples.chunks_mut(1000) {
            equalizer.process_in_place(at, block);
            at += block.len() as u64;
            if disturb {
                assert!(matches!(handle.set_words("wram"), Err(EqError::UnknownWord { .. })));
                assert!(handle.set_intensity(f64::NAN).is_err());
                assert!(handle.set_intensity(2.1).is_err());
                assert!(handle.set_limits(25.0, 1.0).is_err());
                assert!(handle.set_limits(1.0, 0.0).is_err());
                assert!(ToneModel::read(&[0; 64]).is_err());
            }
        }
        samples
    };
    assert_eq!(run(true), run(false));
    for (change, parameter) in [
        ((|c| c.intensity = -0.1) as fn(&mut AdaptiveConfig), "intensity"),
        (|c| c.depth = f64::NAN, "depth"),
        (|c| c.slew = 0.0, "slew"),
        (|c| c.smoothing = -1.0, "smoothing"),
        (|c| c.memory = 0.0, "memory"),
        (|c| c.manual_bands = 65, "manual_bands"),
        (|c| c.channels = 0, "channels"),
        (|c| c.sample_rate = rate(4000), "sample_rate"),
    ] {
        let mut config = config("warm", 1.0);
        change(&mut config);
        let Err(EqError::Config(error)) = AdaptiveEqualizer::new(&config) else {
            panic!("{parameter} is accepted");
        };
        assert_eq!(error.parameter(), parameter);
    }
}

#[test]
fn any_rate_any_channels_any_block_any_extreme_signal() {
    let nan = |k: usize| if k.is_multiple_of(3) { f32::NAN } else { f32::INFINITY };
    for hz in [8000, 44_100, 192_000] {
        for channels in [1, 2, 64] {
            let mut config = AdaptiveConfig::new(rate(hz), channels);
            config.words = Some("harsh".into());
            let (mut equalizer, _) = AdaptiveEqualizer::new(&config).unwrap();
            let mut at = SampleIndex(0);
            for length in [1, 7, 4096, 65_536 / channels] {
                for kind in 0..4 {
                    let mut block: Vec<f32> = (0..length * channels)
                        .map(|k| match kind {
                            0 => nan(k),
                            1 => 1.0,
                            2 => {
                                if (k / 50).is_multiple_of(2) {
                                    1.0
                                } else {
                                    -1.0
                                }
                            }
                            _ => f32::MAX,
                        })
                        .collect();
                    equalizer.process_in_place(at, &mut block);
                    at += length as u64;
                    assert!(block.iter().all(|x| x.is_finite()), "{hz} {channels} {length} {kind}");
                }
            }
            assert!(equalizer.sanitized() > 0);
        }
    }
}

/// Emits each sample, so that pieces of any length compare.
struct PerSample(AdaptiveEqualizer);

impl Stage for PerSample {
    type In = [f32];
    type Out = [f32];

    fn process(
        &mut self,
        at: SampleIndex,
        interleaved: &[f32],
        mut emit: impl FnMut(SampleIndex, &[f32]),
    ) {
        self.0.process(at, interleaved, |at, piece| {
            for (offset, all) in (0..).zip(piece.chunks(2)) {
                emit(at + offset, all);
            }
        });
    }

    fn reset(&mut self) {
        self.0.reset();
    }
}

#[test]
fn streaming_is_the_truth() {
    let song = music(8000);
    let stereo = signal::interleave(&[&song[..20_000], &song[3000..23_000]]);
    let mut config = AdaptiveConfig::new(rate(8000), 2);
    (config.words, config.intensity) = (Some("dark".into()), 1.0);
    let make = || PerSample(AdaptiveEqualizer::new(&config).expect("valid").0);
    assert_streaming(|| streamed!(make()), &stereo, 2, 9);
}
