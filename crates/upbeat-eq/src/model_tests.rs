use super::*;
use crate::{Band, SemanticEq, ToneCurve, ToneEar};
use upbeat_testkit::oracle::mean;
use upbeat_testkit::signal::Random;

const FILE: &[u8] = include_bytes!("../models/tone.safetensors");

/// Settings over all that the five bands can do: gains normal with a deviation of 5 dB within ±12 dB.
fn random_settings(random: &mut Random) -> SemanticEq {
    let even = |random: &mut Random, [low, high]: [f64; 2]| low * (high / low).powf(random.unit());
    let mut parameters = Vec::new();
    for (k, range) in SemanticEq::FREQUENCIES.into_iter().enumerate() {
        let turn = (std::f64::consts::TAU * random.unit()).cos();
        let normal = (-2.0 * (1.0 - random.unit()).ln()).sqrt() * turn;
        parameters.push((5.0 * normal).clamp(-12.0, 12.0));
        parameters.push(even(random, range));
        if (1..4).contains(&k) {
            parameters.push(even(random, SemanticEq::QS));
        }
    }
    SemanticEq::from_parameters(parameters.try_into().expect("13")).expect("in range")
}

#[test]
fn curves_come_back_from_the_latent() {
    let mut model = ToneModel::builtin();
    let mut random = Random::new(3);
    let errors: Vec<f64> = (0..500)
        .map(|_| {
            let curve = random_settings(&mut random).curve();
            let latent = model.encode(&curve);
            (model.decode(&latent) - curve).rms()
        })
        .collect();
    let worst = errors.iter().copied().fold(0.0, f64::max);
    println!("reconstruction: mean {:.3} dB RMS, worst {worst:.2} dB", mean(&errors));
    assert!(mean(&errors) < 0.8 && worst < 1.5);
}

#[test]
fn differences_of_latents_are_latents_of_differences() {
    let mut model = ToneModel::builtin();
    let curve = |gain| ToneCurve::of_bands(&[Band::peak(500.0, gain, 0.7)]);
    let (a, b) = (model.encode(&curve(6.0)), model.encode(&curve(-3.0)));
    let difference = model.decode(&std::array::from_fn(|k| a[k] - b[k]));
    assert!((difference - (curve(6.0) - curve(-3.0))).peak() < 0.5);
}

#[test]
fn outputs_are_those_of_the_training_code() {
    let text = include_str!("../models/hear.golden.json");
    let golden: serde_json::Value = serde_json::from_str(text).unwrap();
    let rows =
        |name: &str| -> Vec<Vec<f32>> { serde_json::from_value(golden[name].clone()).unwrap() };
    let mut model = ToneModel::builtin();
    for (input, expected) in rows("input").iter().zip(rows("latent")) {
        let found = model.hear(&std::array::from_fn(|band| input[band]));
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-5, "{found} {expected}");
        }
    }
}

#[test]
fn damaged_and_foreign_files_are_told_apart() {
    assert!(ToneModel::read(FILE).is_ok());
    for length in [0, 7, 8, 100, 5000, FILE.len() - 1] {
        let error = ToneModel::read(&FILE[..length]).unwrap_err();
        assert!(matches!(error, EqError::Model(_)), "{length}: {error}");
    }
    let changed = |from: &str, to: &str| {
        assert_eq!(from.len(), to.len());
        let mut bytes = FILE.to_vec();
        let place = bytes.windows(from.len()).position(|w| w == from.as_bytes());
        let place = place.unwrap_or_else(|| panic!("{from} is not in the file"));
        bytes[place..place + to.len()].copy_from_slice(to.as_bytes());
        ToneModel::read(&bytes).unwrap_err()
    };
    let foreign = |error: EqError| matches!(error, EqError::ForeignModel { .. });
    assert!(foreign(changed("upbeat tone model", "upbeat tune model")));
    assert!(foreign(changed("\"version\":\"2\"", "\"version\":\"1\"")));
    assert!(matches!(changed("\"programme\"", "\"programma\""), EqError::Model(_)));
    // Numbers that are none, and a decoder with a constant.
    let mut bytes = FILE.to_vec();
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    assert!(matches!(ToneModel::read(&bytes), Err(EqError::Model(_))));
}

/// What a band's centre has of a curve, at the level that tones have.
fn tone_of(curve: &ToneCurve) -> [f32; ToneModel::BANDS] {
    let gains: [f64; ToneModel::BANDS] = std::array::from_fn(|b| curve.at(ToneEar::centre(b)));
    let octave = |b: usize| ToneEar::centre(b).log2();
    let weights: Vec<f64> = (0..ToneModel::BANDS)
        .map(|b| {
            let counts = (100.0..=3500.0).contains(&ToneEar::centre(b));
            if counts { octave(b + 1) - octave(b.saturating_sub(1)) } else { 0.0 }
        })
        .collect();
    let level =
        gains.iter().zip(&weights).map(|(g, w)| g * w).sum::<f64>() / weights.iter().sum::<f64>();
    gains.map(|gain| (gain - level) as f32)
}

#[test]
fn the_less_a_sound_is_like_music_the_less_is_heard_as_tone() {
    let mut model = ToneModel::builtin();
    let mut random = Random::new(4);
    let rough: [f32; ToneModel::BANDS] = std::array::from_fn(|_| 2.0 * random.unit() as f32 - 1.0);
    for bands in [Band::low_shelf(250.0, 4.0), Band::high_shelf(3000.0, -4.0)] {
        let curve = ToneCurve::of_bands(&[bands]);
        let own = tone_of(&curve);
        // Of music on average, through the equalizer, and as rough as that on top.
        let shares: Vec<f64> = [0.0_f32, 2.0, 6.0, 30.0]
            .into_iter()
            .map(|size| {
                let mut hear = |share: f32| {
                    let tone = std::array::from_fn(|b| share * own[b] + size * rough[b]);
                    let latent = model.hear(&tone);
                    model.decode(&latent)
                };
                (hear(1.0) - hear(-1.0)).share_of(&curve) / 2.0
            })
            .collect();
        println!("{shares:.2?}");
        assert!(shares[0] > 0.7 && shares[0] < 1.05, "{shares:?}");
        assert!(shares.is_sorted_by(|a, b| a > b), "{shares:?}");
        assert!(shares[3] < 0.05, "{shares:?}");
    }
    assert_eq!(model.hear(&[0.0; ToneModel::BANDS]), [0.0; ToneModel::LATENT]);
}
