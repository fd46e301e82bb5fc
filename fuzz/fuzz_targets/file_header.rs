//! Any bytes, and any changes to real files, are read as a sound file: that ends, in samples or in an error, without a
//! panic of ours, without an index that goes back, and without an absurd allocation.

#![no_main]

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use upbeat_io::{FileSource, Source};

/// Real files; the first byte of an input chooses one to be changed, or none.
const FILES: [&[u8]; 11] = [
    include_bytes!("../../crates/upbeat-io/tests/fixtures/sweep.flac"),
    include_bytes!("../../crates/upbeat-io/tests/fixtures/sweep-24.flac"),
    include_bytes!("../../crates/upbeat-io/tests/fixtures/sweep.alac.m4a"),
    include_bytes!("../../crates/upbeat-io/tests/fixtures/sweep.aiff"),
    include_bytes!("../../crates/upbeat-io/tests/fixtures/sweep.f64.wav"),
    include_bytes!("../../crates/upbeat-io/tests/fixtures/sweep.mulaw.wav"),
    include_bytes!("../../crates/upbeat-io/tests/fixtures/sweep.mp3"),
    include_bytes!("../../crates/upbeat-io/tests/fixtures/sweep.ogg"),
    include_bytes!("../../crates/upbeat-io/tests/fixtures/sweep.aac.m4a"),
    include_bytes!("../../crates/upbeat-io/tests/fixtures/sweep.adts.aac"),
    include_bytes!("../../crates/upbeat-io/tests/fixtures/untagged.mp3"),
];

/// The most memory asked for at once, in bytes.
const MAX_ALLOCATION: usize = 64 << 20;
/// Where reading stops: a few bytes can stand for hours of silence.
const MAX_BLOCKS: usize = 200;

struct Limited;

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Limited {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() > MAX_ALLOCATION {
            std::process::abort();
        }
        // SAFETY: as for this function.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as for this function.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Limited = Limited;

/// Panics within the decoder are what the source contains; all others are crashes.
fn let_the_decoder_panic() {
    let abort = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !panic.location().is_some_and(|place| place.file().contains("symphonia")) {
            abort(panic);
        }
    }));
}

/// The file an input stands for: a real one with some bytes changed, perhaps cut off; or the input itself.
fn file(input: &[u8]) -> Vec<u8> {
    let Some((first, changes)) = input.split_first() else { return Vec::new() };
    let Some(file) = FILES.get(usize::from(*first)) else { return changes.to_vec() };
    let mut file = file.to_vec();
    for change in changes.chunks(4) {
        match *change {
            [0xff, high, low, _] => file.truncate(usize::from(high) << 8 | usize::from(low)),
            [high, low, value, count] => {
                let at = usize::from(high) << 8 | usize::from(low);
                for byte in file.iter_mut().skip(at).take(usize::from(count % 8) + 1) {
                    *byte = value;
                }
            }
            _ => {}
        }
    }
    file
}

fuzz_target!(init: let_the_decoder_panic(), |input: &[u8]| {
    let Ok(mut source) = FileSource::from_reader(Cursor::new(file(input))) else { return };
    let channels = source.format().channels();
    let mut buffer = vec![0.0; 4096 * channels];
    let mut next = 0;
    for _ in 0..MAX_BLOCKS {
        let Ok(Some(block)) = source.read(&mut buffer) else {
            assert!(matches!(source.read(&mut buffer), Ok(None)), "the end is the end");
            return;
        };
        assert!(block.at.0 >= next && !block.interleaved.is_empty());
        assert_eq!(block.interleaved.len() % channels, 0);
        next = block.at.0 + (block.interleaved.len() / channels) as u64;
    }
});
