//! What several tests of files share.

use std::io::Cursor;
use std::path::PathBuf;

use upbeat_core::SampleIndex;
use upbeat_io::{Damage, FileSource, IoError, Source, StreamFormat};

/// All of a stream, with silence where samples were lost.
#[derive(Debug)]
pub(crate) struct Recording {
    pub(crate) format: StreamFormat,
    pub(crate) length: Option<u64>,
    pub(crate) interleaved: Vec<f32>,
    /// Where the index jumped, and by how much.
    pub(crate) jumps: Vec<(SampleIndex, u64)>,
    pub(crate) damage: Damage,
    pub(crate) error: Option<IoError>,
}

impl Recording {
    /// Samples per channel, those lost included.
    pub(crate) fn samples(&self) -> u64 {
        (self.interleaved.len() / self.format.channels()) as u64
    }
}

/// Reads to the end in blocks of at most `block` samples, and checks what must hold for any source.
///
/// Jumps of more than a minute are noted, but not filled with silence.
pub(crate) fn record(mut source: FileSource, block: usize) -> Recording {
    let format = source.format();
    let length = source.length();
    let channels = format.channels();
    // The last places are too few for a sample of all channels, and stay unused.
    let mut buffer = vec![f32::NAN; block * channels + channels - 1];
    let (mut interleaved, mut jumps, mut next) = (Vec::new(), Vec::new(), 0);
    let error = loop {
        match source.read(&mut buffer) {
            Ok(Some(block)) => {
                assert!(block.at.0 >= next, "the index never goes back");
                assert!(!block.interleaved.is_empty(), "no block is empty");
                assert!(block.interleaved.len().is_multiple_of(channels));
                let lost = block.at.0 - next;
                if lost > 0 {
                    jumps.push((SampleIndex(next), lost));
                    let silence = lost.min(60 * 48_000) as usize * channels;
                    interleaved.resize(interleaved.len() + silence, 0.0);
                }
                interleaved.extend_from_slice(block.interleaved);
                next = block.at.0 + (block.interleaved.len() / channels) as u64;
            }
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    for _ in 0..3 {
        assert!(matches!(source.read(&mut buffer), Ok(None)), "the end is the end");
    }
    let damage = source.damage();
    // What was lost at the end cannot be seen as a jump.
    assert!(damage.lost_samples >= jumps.iter().map(|(_, lost)| lost).sum());
    Recording { format, length, interleaved, jumps, damage, error }
}

pub(crate) fn decode(bytes: Vec<u8>) -> Result<Recording, IoError> {
    FileSource::from_reader(Cursor::new(bytes)).map(|source| record(source, 777))
}

pub(crate) fn fixture_path(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "fixtures", name].iter().collect()
}

pub(crate) fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(fixture_path(name)).unwrap()
}
