use std::fmt;

use crate::correction;
use crate::{Band, BandKind, Target, ToneCurve};

/// What an adaptive equalizer does, and why.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Explanation {
    /// The words asked for.
    pub words: String,
    /// How far to go.
    pub intensity: f64,
    /// The bands that do something one can hear, those that do most first.
    pub moves: Vec<BandMove>,
}

/// What one band does, and the cue behind it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct BandMove {
    /// Its setting.
    pub band: Band,
    /// From where to where it is the one that does most, in Hz.
    pub region: [f64; 2],
    /// What is heard there, in dB relative to music on average.
    pub heard: f64,
    /// What the words ask for there, in dB.
    pub wanted: f64,
}

impl BandMove {
    /// How much more the words ask for than is heard, in dB.
    #[must_use]
    pub fn missing(&self) -> f64 {
        self.wanted - self.heard
    }
}

impl Explanation {
    pub(super) fn new(
        target: &Target,
        intensity: f64,
        heard: &ToneCurve,
        bands: &[Band; correction::BANDS],
    ) -> Self {
        let mut moves: Vec<BandMove> = bands
            .iter()
            .enumerate()
            .filter(|(_, band)| band.gain.abs() >= AUDIBLE)
            .map(|(k, band)| {
                let [low, high] = correction::region(k);
                let mean = |curve: &ToneCurve| curve.mean_between(low, high);
                let (heard, wanted) = (mean(heard), mean(target.curve()));
                BandMove { band: *band, region: [low, high], heard, wanted }
            })
            .collect();
        moves.sort_by(|a, b| b.band.gain.abs().total_cmp(&a.band.gain.abs()));
        Self { words: target.to_string(), intensity, moves }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { words, intensity, moves } = self;
        if moves.is_empty() {
            return write!(
                f,
                "nothing to do: your mix is as {words} asks for (intensity {intensity})"
            );
        }
        for (line, step) in moves.iter().enumerate() {
            let BandMove { band, region: [low, high], .. } = step;
            let name = match band.kind {
                BandKind::LowShelf => "low shelf",
                BandKind::HighShelf => "high shelf",
                _ => "peak",
            };
            let where_ = match band.kind {
                BandKind::LowShelf => format!("below {high:.0} Hz"),
                BandKind::HighShelf => format!("above {low:.0} Hz"),
                _ => format!("at {low:.0} to {high:.0} Hz"),
            };
            let missing = step.missing();
            let (amount, more) = (missing.abs(), if missing > 0.0 { "less" } else { "more" });
            if line > 0 {
                writeln!(f)?;
            }
            write!(f, "{name} {:+.1} dB at {:.0} Hz: ", band.gain, band.frequency)?;
            if missing * band.gain > 0.0 && amount >= AUDIBLE {
                write!(f, "your mix has {amount:.1} dB {more} {where_} than {words} asks for")?;
            } else {
                write!(f, "evens out what its neighbours do {where_}")?;
            }
        }
        Ok(())
    }
}

/// In dB.
const AUDIBLE: f64 = 0.3;
