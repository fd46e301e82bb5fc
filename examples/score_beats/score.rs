//! What was announced against what is annotated.

use upbeat::predict::scoring::Reliability;
use upbeat_testkit::beats::{amlt, best_level, f_measure, from, hits, lock};
use upbeat_testkit::oracle::median;

use crate::Failure;
use crate::clip::Sound;
use crate::heard::{Beat, Heard, Settings};

/// How far off a hit may be, in seconds.
pub(crate) const NEAR: f64 = 0.07;
/// The start of a clip, which does not count, in seconds.
const START: f64 = 5.0;
/// The output latency that a listener may have, in seconds.
const OUTPUT: f64 = 0.1;

/// How a clip was heard.
pub(crate) struct Score {
    /// `None` for clips without a beat.
    pub(crate) beats: Option<Beats>,
    pub(crate) announced: usize,
    pub(crate) seconds: f64,
    /// The share of time in which no beat was claimed.
    pub(crate) none: f64,
}

pub(crate) struct Beats {
    pub(crate) f: f64,
    /// F where each beat counts when it can be acted on: at its time, but not before it was announced; and the same
    /// with an output that is late.
    pub(crate) now: f64,
    pub(crate) late: f64,
    pub(crate) level: f64,
    pub(crate) amlt: f64,
    /// F of the downbeats, and what it would be if bars of four were counted from the first beat announced. `None` where
    /// downbeats are not annotated.
    pub(crate) down: Option<f64>,
    pub(crate) counted: Option<f64>,
    /// How long before it a beat was announced, the median.
    pub(crate) lead: Option<f64>,
    pub(crate) reliability: Reliability,
    /// Beats with a confidence of 0.8 or more, and how many of them are hits.
    pub(crate) sure: [u32; 2],
    pub(crate) locks: Locks,
    pub(crate) tempo: TempoAhead,
}

/// When the beat was found, in seconds.
pub(crate) struct Locks {
    /// At the metrical level that fits best.
    pub(crate) level: Option<f64>,
    /// At the annotated one.
    pub(crate) annotated: Option<f64>,
}

/// How far the tempo four beats ahead was missed, as a share of it.
#[derive(Default)]
pub(crate) struct TempoAhead {
    /// Sums over `moments`: of the forecast, of the tempo as it was then, of the last interval between beats.
    pub(crate) off: [f64; 3],
    pub(crate) moments: f64,
}

impl Score {
    pub(crate) fn new(sound: &Sound, settings: &Settings) -> Result<Self, Failure> {
        let heard = Heard::new(&sound.samples, sound.rate, settings)?;
        Ok(Self {
            beats: sound.beats.as_ref().map(|beats| Beats::new(beats, &heard.beats)),
            announced: heard.beats.len(),
            seconds: sound.seconds(),
            none: heard.none as f64 / heard.estimates.max(1) as f64,
        })
    }
}

impl Beats {
    fn new(annotated: &[(f64, u8)], announced: &[Beat]) -> Self {
        let all: Vec<f64> = annotated.iter().map(|beat| beat.0).collect();
        let all = from(0.0, &all);
        let reference = from(START, &all);
        let times =
            |time: &dyn Fn(&Beat) -> f64| -> Vec<f64> { announced.iter().map(time).collect() };
        let found = times(&|beat| beat.time);
        let later = |latency: f64| {
            let heard = times(&|beat| beat.time.max(beat.reported_at + latency));
            f_measure(&reference, &from(START, &heard), NEAR)
        };
        let counting = || announced.iter().filter(|beat| beat.time >= START);
        let leads: Vec<f64> = counting().map(|beat| beat.time - beat.reported_at).collect();
        let mut reliability = Reliability::default();
        let mut sure = [0; 2];
        let hits = hits(&all, &times(&|beat| beat.time), NEAR);
        for (beat, hit) in announced.iter().zip(&hits).filter(|(beat, _)| beat.time >= START) {
            reliability.add(beat.confidence, hit.is_some());
            if beat.confidence >= 0.8 {
                sure[0] += 1;
                sure[1] += u32::from(hit.is_some());
            }
        }
        let trimmed = from(START, &found);
        let down = |is_first: &dyn Fn(usize, &Beat) -> bool| {
            let first = annotated.iter().filter(|beat| beat.1 == 1).map(|beat| beat.0);
            let first = from(START, &first.collect::<Vec<_>>());
            let said = announced.iter().enumerate().filter(|(n, beat)| is_first(*n, beat));
            let said: Vec<f64> = said.map(|(_, beat)| beat.time).collect();
            (first.len() > 2).then(|| f_measure(&first, &from(START, &said), NEAR))
        };
        Self {
            f: f_measure(&reference, &trimmed, NEAR),
            now: later(0.0),
            late: later(OUTPUT),
            level: best_level(&reference, &trimmed, NEAR).1,
            amlt: amlt(&reference, &trimmed),
            down: down(&|_, beat| beat.place == Some(1)),
            counted: down(&|n, _| n % 4 == 0),
            lead: (!leads.is_empty()).then(|| median(&leads)),
            reliability,
            sure,
            locks: Locks::new(&all, &found),
            tempo: TempoAhead::new(&all, announced, &hits),
        }
    }
}

impl Locks {
    pub(crate) fn new(reference: &[f64], found: &[f64]) -> Self {
        let (level, _) = best_level(reference, found, NEAR);
        Self { level: lock(&level, found, NEAR), annotated: lock(reference, found, NEAR) }
    }
}

impl TempoAhead {
    /// Counts the moments at which two beats in a row had hit two annotated ones in a row: elsewhere the tempo is
    /// another one from the start. The tempo four beats later is what the fourth annotated interval from there says.
    fn new(reference: &[f64], announced: &[Beat], hits: &[Option<usize>]) -> Self {
        let mut ahead = Self::default();
        for (pair, hit) in announced.windows(2).zip(hits.windows(2)) {
            let [Some(before), Some(place)] = *hit else { continue };
            let (Some(from), Some(to)) = (reference.get(place + 3), reference.get(place + 4))
            else {
                continue;
            };
            let (Some(forecast), Some(tempo)) = (pair[1].tempo_ahead, pair[1].tempo) else {
                continue;
            };
            if before + 1 == place {
                let last = 60.0 / (pair[1].time - pair[0].time);
                for (sum, bpm) in ahead.off.iter_mut().zip([forecast, tempo, last]) {
                    *sum += (bpm * (to - from) / 60.0 - 1.0).abs();
                }
                ahead.moments += 1.0;
            }
        }
        ahead
    }
}
