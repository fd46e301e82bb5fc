use crate::SampleIndex;

/// A stream that went on elsewhere than where it had stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Where the next block had to start.
    pub expected: SampleIndex,
    /// Where it started.
    pub found: SampleIndex,
}

impl Gap {
    /// The samples per channel that never came; 0 where the index jumped backwards.
    #[must_use]
    pub fn lost(self) -> u64 {
        self.found - self.expected
    }
}

/// Notices gaps: the memory a stage needs to tell a stream that goes on from one that jumped.
///
/// ```
/// use upbeat_core::{Continuity, SampleIndex};
///
/// let mut continuity = Continuity::default();
/// assert!(continuity.advance(SampleIndex(0), 64).is_none()); // a stream may start anywhere
/// assert!(continuity.advance(SampleIndex(64), 64).is_none());
/// assert_eq!(continuity.advance(SampleIndex(200), 64).map(|gap| gap.lost()), Some(72));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Continuity {
    next: Option<SampleIndex>,
}

impl Continuity {
    /// Takes note of `length` samples that start at `at`, and returns the gap before them, if any.
    ///
    /// A stage of samples passes its block's length, a stage of frames its hop length.
    pub fn advance(&mut self, at: SampleIndex, length: u64) -> Option<Gap> {
        match self.next.replace(at + length) {
            Some(expected) if expected != at => Some(Gap { expected, found: at }),
            _ => None,
        }
    }

    /// Where the next block has to start; `None` before the first one.
    #[must_use]
    pub const fn next(&self) -> Option<SampleIndex> {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_backwards_is_a_gap_that_lost_nothing() {
        let mut continuity = Continuity::default();
        continuity.advance(SampleIndex(100), 10);
        let gap = continuity.advance(SampleIndex(50), 10).unwrap();
        assert_eq!((gap.expected, gap.found, gap.lost()), (SampleIndex(110), SampleIndex(50), 0));
        assert_eq!(continuity.next(), Some(SampleIndex(60)));
    }

    #[test]
    fn empty_blocks_neither_make_nor_hide_a_gap() {
        let mut continuity = Continuity::default();
        assert!(continuity.advance(SampleIndex(0), 8).is_none());
        assert!(continuity.advance(SampleIndex(8), 0).is_none());
        assert_eq!(continuity.advance(SampleIndex(9), 0).unwrap().lost(), 1);
        assert!(continuity.advance(SampleIndex(9), 1).is_none());
    }
}
