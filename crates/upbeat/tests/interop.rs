//! Frames and settings for other libraries: `cargo test -p upbeat --all-features`.

#![cfg(all(feature = "serde", feature = "ndarray"))]

use upbeat::{Analyzer, AnalyzerConfig, Feature, FeatureFrame};
use upbeat_testkit::signal;

fn last_frame(config: &AnalyzerConfig) -> FeatureFrame {
    let mut last = None;
    let tone = signal::sine(440.0, 0.5, 44_100, 8192);
    let mut analyzer = Analyzer::new(config).expect("valid settings");
    analyzer.push(&tone, |frame| last = Some(frame.clone())).expect("one channel");
    last.expect("longer than a frame")
}

#[test]
fn a_frame_is_json_with_null_for_what_is_not_known() {
    let config = AnalyzerConfig::new(44_100, 1).with_features([
        Feature::Rms,
        Feature::Loudness,
        Feature::Tonnetz,
    ]);
    let json = serde_json::to_value(last_frame(&config)).unwrap();
    assert_eq!(json["at"], 6144);
    assert_eq!(json["lost"], 0);
    assert!((json["rms"].as_f64().unwrap() - 0.353_55).abs() < 1e-3);
    assert!(json["loudness"][0].is_null(), "momentary loudness needs 0.4 s");
    assert_eq!(json["tonnetz"].as_array().unwrap().len(), 6);
    assert!(json.get("mfcc").is_none());
}

#[test]
fn settings_go_to_json_and_back() {
    let config = AnalyzerConfig::new(48_000, 2).with_features([Feature::Mfcc, Feature::Pitch]);
    let text = serde_json::to_string(&config).unwrap();
    assert!(text.contains(r#""features":["mfcc","pitch"]"#), "{text}");
    assert_eq!(serde_json::from_str::<AnalyzerConfig>(&text).unwrap(), config);
    let unknown = text.replace("pitch", "pich");
    let error = serde_json::from_str::<AnalyzerConfig>(&unknown).unwrap_err().to_string();
    assert!(error.contains("'pich'") && error.contains("pitch"), "{error}");
}

#[test]
fn features_are_arrays() {
    let frame = last_frame(&AnalyzerConfig::new(44_100, 1));
    let chroma = frame.array(Feature::ChromaStft);
    assert_eq!(chroma.len(), 12);
    assert_eq!(chroma[9], 1.0); // A
}
