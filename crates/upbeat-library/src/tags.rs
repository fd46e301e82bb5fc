use std::fs::File;
use std::io::BufReader;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use lofty::config::ParseOptions;
use lofty::file::TaggedFileExt;
use lofty::probe::Probe;
use lofty::tag::Accessor;

/// What a file says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags {
    /// The title.
    pub title: Option<String>,
    /// Who plays.
    pub artist: Option<String>,
    /// Where it was published.
    pub album: Option<String>,
}

impl Tags {
    /// The tags of the file at `path`; nothing where it has none or they cannot be read.
    #[must_use]
    pub fn read(path: &Path) -> Self {
        // Tags are whatever bytes are on a disk; a parser that panics on them must not stop a scan.
        catch_unwind(|| Self::parse(path)).ok().flatten().unwrap_or_default()
    }

    fn parse(path: &Path) -> Option<Self> {
        let options = ParseOptions::new().read_properties(false).read_cover_art(false);
        let reader = BufReader::new(File::open(path).ok()?);
        let probe = Probe::new(reader).options(options).guess_file_type().ok()?;
        let file = catch_unwind(AssertUnwindSafe(|| probe.read())).ok()?.ok()?;
        let tag = file.primary_tag().or_else(|| file.first_tag())?;
        Some(Self {
            title: tag.title().as_deref().and_then(clean),
            artist: tag.artist().as_deref().and_then(clean),
            album: tag.album().as_deref().and_then(clean),
        })
    }
}

/// Text without what would break a line, or nothing if nothing is left; cut at a length no title needs.
fn clean(text: &str) -> Option<String> {
    let spaced = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let text = spaced.take(LONGEST).collect::<String>();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Characters kept of a tag.
const LONGEST: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_one_line_or_nothing() {
        assert_eq!(clean(" a\nb\0 "), Some("a b".into()));
        assert_eq!(clean("\0\n"), None);
        assert_eq!(clean(&"x".repeat(1000)).unwrap().len(), LONGEST);
    }

    #[test]
    fn a_file_without_tags_has_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.mp3");
        assert_eq!(Tags::read(&path), Tags::default());
        std::fs::write(&path, [0xff; 100]).unwrap();
        assert_eq!(Tags::read(&path), Tags::default());
    }
}
