//! Any bytes as a message of the server's framed format: a frame or an error, never a panic; and what is a frame is
//! written again as it was read.

#![no_main]

use libfuzzer_sys::fuzz_target;
use upbeat_server::wire::{Frame, SampleFormat};

fuzz_target!(|message: &[u8]| {
    let mut samples = Vec::new();
    for format in [SampleFormat::F32, SampleFormat::S16] {
        samples.clear();
        format.decode(message, &mut samples);
        assert_eq!(samples.len(), message.len() / format.size());
    }
    let Ok(frame) = Frame::parse(message) else { return };
    assert!(frame.channels >= 1);
    assert!(frame.first_sample + frame.samples() < Frame::MAX_SAMPLE);
    samples.clear();
    frame.format.decode(frame.payload, &mut samples);
    assert_eq!(samples.len() as u64, frame.samples() * u64::from(frame.channels));
    assert_eq!(frame.to_bytes(), message);
});
