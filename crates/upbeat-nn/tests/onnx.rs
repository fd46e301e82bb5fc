//! Networks in `.onnx` files, through `tract` and ONNX Runtime, held to the same networks in plain Rust.
//!
//! ```sh
//! cargo test -p upbeat-nn --features onnx --test onnx
//! ORT_DYLIB_PATH=…/libonnxruntime.so cargo test -p upbeat-nn --features ort --test onnx
//! ```
//!
//! Without `ORT_DYLIB_PATH` nothing but the error for that is tested of ONNX Runtime.

#![cfg(any(feature = "onnx", feature = "ort"))]

use std::path::{Path, PathBuf};
use std::time::Instant;

use upbeat_nn::{Model, ModelError, Network, Weights};
use upbeat_testkit::signal;

fn path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

fn file(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).expect("the file is in the repository")
}

/// Every way to run an `.onnx` file that was compiled in and is there.
fn backends(bytes: &[u8]) -> Vec<(&'static str, Box<dyn Model>)> {
    let mut models: Vec<(&'static str, Box<dyn Model>)> = Vec::new();
    #[cfg(feature = "onnx")]
    models.push(("tract", Box::new(upbeat_nn::OnnxModel::read(bytes).expect("tract reads it"))));
    #[cfg(feature = "ort")]
    if std::env::var_os("ORT_DYLIB_PATH").is_some() {
        let model = upbeat_nn::OrtModel::read(bytes, &upbeat_nn::OrtConfig::default());
        models.push(("ONNX Runtime", Box::new(model.expect("ONNX Runtime reads it"))));
    }
    models
}

fn assert_same(onnx: &str, safetensors: &str, network: &str, scale: f64) {
    let bytes = file(safetensors);
    let weights = Weights::read(&bytes).expect("files and networks fit");
    let mut native = Network::read(&weights, network).expect("files and networks fit");
    let (inputs, outputs) = (native.input_length(), native.output_length());
    for (backend, mut model) in backends(&file(onnx)) {
        assert_eq!((model.input_length(), model.output_length()), (inputs, outputs), "{backend}");
        let frames = signal::noise(scale, 8, 60 * inputs);
        let (mut expected, mut found) = (vec![0.0; outputs], vec![0.0; outputs]);
        let mut rounds = [const { Vec::new() }; 2];
        for round in &mut rounds {
            native.reset();
            model.reset();
            for frame in frames.chunks(inputs) {
                native.run(frame, &mut expected).expect("files and networks fit");
                model.run(frame, &mut found).expect("files and networks fit");
                for (a, b) in expected.iter().zip(&found) {
                    assert!((a - b).abs() < 1e-5, "{backend}: {b}, not {a}");
                }
                round.extend_from_slice(&found);
            }
        }
        assert_eq!(rounds[0], rounds[1], "{backend} forgets");
    }
}

#[test]
fn layers_with_memory_give_what_they_give_in_plain_rust() {
    assert_same("tests/data/layers.onnx", "tests/data/layers.safetensors", "net", 1.0);
}

#[test]
fn the_equalizers_network_gives_what_it_gives_in_plain_rust() {
    let models = "../upbeat-eq/models";
    assert_same(&format!("{models}/hear.onnx"), &format!("{models}/tone.safetensors"), "hear", 8.0);
}

/// Runs `frames` through an `.onnx` file; the answers must be the lines of a file that the Rust code is held to as well.
fn assert_golden(onnx: &str, golden: &str, frames: &[Vec<f32>], ahead: usize) {
    let golden = String::from_utf8(file(&format!("../upbeat-predict/tests/data/{golden}")))
        .expect("files and networks fit");
    for (backend, mut model) in backends(&file(&format!("../upbeat-predict/weights/{onnx}"))) {
        let mut output = vec![0.0; model.output_length()];
        let mut lines = golden.lines();
        for (n, frame) in frames.iter().enumerate() {
            model.run(frame, &mut output).expect("files and networks fit");
            if n < ahead {
                continue;
            }
            let line = lines.next().expect("as many lines as frames");
            let expected = line
                .split(' ')
                .map(|number| number.parse::<f32>().expect("files and networks fit"));
            assert_eq!(line.split(' ').count(), output.len());
            for (found, expected) in output.iter().zip(expected) {
                // The file has five decimals.
                let error = (found - expected).abs();
                assert!(error < 3e-5, "{backend}, {onnx}, frame {n}: {found}, not {expected}");
            }
        }
        assert_eq!(lines.next(), None);
    }
}

#[test]
fn the_beat_network_gives_what_it_gives_in_plain_rust() {
    let level = |t: usize, b: usize| ((t * 7 + b * 13 + t * b) % 29) as f32 / 7.0;
    let rise = |t: usize, b: usize| 2.0 * (level(t, b) - level(t.max(1) - 1, b)).max(0.0);
    let frame = |t: usize| {
        let levels = (0..32).map(|b| level(t, b) / 3.0);
        levels.chain((0..32).map(|b| if t > 0 { rise(t, b) } else { 0.0 })).collect()
    };
    let frames: Vec<Vec<f32>> = (0..300).map(frame).collect();
    assert_golden("beats.onnx", "beat_net.txt", &frames, 0);
}

#[test]
fn the_chord_network_gives_what_it_gives_in_plain_rust() {
    let value = |t: usize, b: usize| ((t * 7 + b * 13 + t * b) % 29) as f32 / 29.0;
    let rows: Vec<Vec<f32>> = (0..20).map(|t| (0..252).map(|b| value(t, b)).collect()).collect();
    assert_golden("chords.onnx", "chord_net.txt", &rows, 5);
}

/// Rounding to 8 bits moves the tone that is told of what is heard by a little: less than 1 dB, more than nothing.
#[test]
fn eight_bit_files_are_accepted_and_close() {
    let golden = file("../upbeat-eq/models/hear.golden.json");
    let golden: serde_json::Value = serde_json::from_slice(&golden).unwrap();
    let inputs: Vec<Vec<f32>> = serde_json::from_value(golden["input"].clone()).unwrap();
    let bytes = file("../upbeat-eq/models/tone.safetensors");
    let weights = Weights::read(&bytes).unwrap();
    let network = |name: &str| Network::read(&weights, name).unwrap();
    let (mut whole, mut tell, mut decode) = (network("hear"), network("tell"), network("decode"));
    for (backend, mut small) in backends(&file("../upbeat-eq/models/hear.int8.onnx")) {
        for input in &inputs {
            let mut curve = |model: &mut dyn Model| {
                let mut heard = vec![0.0; model.output_length()];
                let mut latent = vec![0.0; tell.output_length()];
                let mut curve = vec![0.0; decode.output_length()];
                model.run(input, &mut heard).unwrap();
                tell.run(&heard[..tell.input_length()], &mut latent).unwrap();
                decode.run(&latent, &mut curve).unwrap();
                curve
            };
            let (expected, found) = (curve(&mut whole), curve(&mut *small));
            let squares = expected.iter().zip(&found).map(|(a, b)| (a - b).powi(2));
            let rms = (squares.sum::<f32>() / expected.len() as f32).sqrt();
            println!("{backend}: {rms} dB");
            assert!(rms > 0.0 && rms < 1.0, "{backend}: {rms} dB");
        }
    }
}

/// The budget of an update of the equalizer is 2 ms; this takes some 10 µs.
#[test]
fn an_update_is_in_time() {
    for (backend, mut model) in backends(&file("../upbeat-eq/models/hear.onnx")) {
        let frame = signal::noise(8.0, 4, model.input_length());
        let mut output = vec![0.0; model.output_length()];
        let mut times: Vec<_> = (0..500)
            .map(|_| {
                let start = Instant::now();
                model.run(&frame, &mut output).unwrap();
                start.elapsed()
            })
            .collect();
        times.sort();
        let median = times[times.len() / 2];
        println!("{backend}: {median:?} per update, at most {:?}", times[times.len() - 1]);
        assert!(median.as_micros() < 2000, "{backend}: {median:?}");
    }
}

#[cfg(feature = "onnx")]
#[test]
fn damaged_and_foreign_files_are_errors_never_panics() {
    let read = upbeat_nn::OnnxModel::read;
    let whole = file("tests/data/layers.onnx");
    for length in [0, 1, 100, whole.len() / 2, whole.len() - 1] {
        read(&whole[..length]).unwrap_err();
    }
    read(b"RIFF\x24\x00\x00\x00WAVEfmt ").unwrap_err();
    read(&file("tests/data/layers.safetensors")).unwrap_err();
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {})); // what is caught need not be printed
    let mut random = signal::Random::new(1);
    for _ in 0..200 {
        let mut damaged = whole.clone();
        for _ in 0..4 {
            let place = random.below(damaged.len());
            damaged[place] = random.next_u64() as u8;
        }
        if let Ok(mut model) = read(&damaged) {
            let mut output = vec![0.0; model.output_length()];
            let _: Result<(), ModelError> =
                model.run(&vec![0.5; model.input_length()], &mut output);
        }
    }
    std::panic::set_hook(quiet);
}

#[cfg(feature = "ort")]
#[test]
fn a_missing_library_and_missing_providers_are_said_to_be_missing() {
    use upbeat_nn::{OrtConfig, OrtModel, Provider};

    let bytes = file("tests/data/layers.onnx");
    let mut config = OrtConfig::default();
    if std::env::var_os("ORT_DYLIB_PATH").is_none() {
        config.library = Some("/nowhere/libonnxruntime.so".into());
        let error = OrtModel::read(&bytes, &config).unwrap_err();
        assert!(matches!(error, ModelError::Library { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("/nowhere/libonnxruntime.so") && text.contains("ORT_DYLIB_PATH"));
        // Once more: what failed once must not be taken for loaded.
        OrtModel::read(&bytes, &config).unwrap_err();
    } else {
        let error = OrtModel::read(b"RIFF", &config).unwrap_err();
        assert!(matches!(error, ModelError::Corrupt { .. }), "{error}");
        config.providers = vec![Provider::Cpu];
        OrtModel::read(&bytes, &config).unwrap();
        // One of them exists on other systems only.
        let missing = if cfg!(windows) { Provider::CoreMl } else { Provider::DirectMl };
        config.providers = vec![missing];
        let error = OrtModel::read(&bytes, &config).unwrap_err();
        assert!(matches!(error, ModelError::Provider { .. }), "{error}");
    }
    assert_eq!(Provider::of_name("CUDA").unwrap(), Provider::Cuda);
    assert_eq!(
        Provider::of_name("quantum").unwrap_err().to_string(),
        "execution provider \"quantum\" cannot be used: the names are cpu, cuda, coreml, directml"
    );
}
