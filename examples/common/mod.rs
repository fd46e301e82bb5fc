//! What several examples need: songs, from files or the built-in demo.

use std::error::Error;
use std::path::PathBuf;

use upbeat::core::{SampleIndex, SampleRate};
use upbeat::io::demo::DemoSource;
use upbeat::io::{FileSource, Source};

/// A song to hear.
pub(crate) struct Song {
    /// Its path, or `demo`.
    pub(crate) name: String,
    /// Its sound.
    pub(crate) source: Box<dyn Source>,
}

/// Opens the songs; without any, the built-in demo.
pub(crate) fn open(paths: &[PathBuf]) -> Result<Vec<Song>, Box<dyn Error>> {
    if paths.is_empty() {
        let source = Box::new(DemoSource::new(SampleRate::new(44_100)?)?);
        return Ok(vec![Song { name: "demo".into(), source }]);
    }
    let open = |path: &PathBuf| {
        let name = path.display().to_string();
        let source = FileSource::open(path).map_err(|error| format!("{name}: {error}"))?;
        Ok(Song { name, source: Box::new(source) })
    };
    paths.iter().map(open).collect()
}

impl Song {
    /// Plays the song, as fast as `take` takes its blocks, which are interleaved.
    pub(crate) fn hear(&mut self, mut take: impl FnMut(SampleIndex, &[f32])) -> Result<(), String> {
        let mut buffer = vec![0.0; 4096 * self.source.format().channels()];
        loop {
            match self.source.read(&mut buffer) {
                Ok(Some(block)) => take(block.at, block.interleaved),
                Ok(None) => return Ok(()),
                Err(error) => return Err(format!("{}: {error}", self.name)),
            }
        }
    }
}
