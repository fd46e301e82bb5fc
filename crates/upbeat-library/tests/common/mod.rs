//! Small sound files, and tracks that need none.
#![allow(dead_code, reason = "each test file uses its own share")]

use std::ops::ControlFlow;
use std::path::Path;

use upbeat_core::SampleRate;
use upbeat_io::{StreamFormat, WavEncoding, WavSink};
use upbeat_library::{
    FEATURE_VERSION, Library, NewTrack, ScanConfig, ScanReport, Tags, TrackAnalysis,
};
use upbeat_testkit::signal;

/// A quarter of a second of a tone and noise, different for each `seed`.
pub(crate) fn wav(path: &Path, seed: u64) {
    let rate = SampleRate::new(8000).expect("a rate");
    let mut samples = signal::noise(0.1, seed, 2000);
    signal::add(&mut samples, &signal::sine(300.0 + seed as f64, 0.5, 8000, 2000));
    let mut sink =
        WavSink::create(path, StreamFormat::mono(rate), WavEncoding::Int16).expect("a file");
    sink.write(&samples).expect("room");
    sink.finish().expect("room");
}

pub(crate) fn scan(library: &mut Library, folder: &Path) -> ScanReport {
    library.scan(&[folder], &ScanConfig::default(), |_| ControlFlow::Continue(())).expect("a scan")
}

/// A track that was analysed elsewhere.
pub(crate) fn track(number: u64) -> NewTrack {
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&number.to_le_bytes());
    NewTrack {
        path: format!("/music/{number}.flac").into(),
        size: number,
        modified: 1,
        hash,
        tags: Tags { title: Some(format!("Title {number}")), ..Tags::default() },
        analysis: TrackAnalysis {
            duration: 200.0,
            version: FEATURE_VERSION,
            ..TrackAnalysis::default()
        },
    }
}
