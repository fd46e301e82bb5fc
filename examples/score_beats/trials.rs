//! Cuts from one song to another, jumps of the tempo, and other sample rates.

use upbeat::core::SampleRate;
use upbeat_testkit::beats::f_measure;

use crate::Failure;
use crate::clip::{Clip, JUMP, Sound};
use crate::heard::{Heard, Settings};
use crate::score::Locks;

/// How much is heard of each of two songs, in seconds.
const PART: f64 = 30.0;
/// Beats at two rates are the same if they lie so near, in seconds.
const SAME: f64 = 0.005;
/// What the others are held against, and they.
const RATE: u32 = 44_100;
pub(crate) const RATES: [u32; 4] = [16_000, 22_050, 48_000, 96_000];

/// Each clip with the next one of its set, the last one with the first.
pub(crate) fn pairs(clips: &[Clip]) -> (Vec<Clip>, Vec<Clip>) {
    let next = |(n, clip): (usize, &Clip)| {
        let (before, after) = clips.split_at(n + 1);
        let same = |other: &&Clip| other.set() == clip.set();
        let next = after.iter().chain(&before[..n]).find(same)?;
        Some((clip.clone(), next.clone()))
    };
    clips.iter().enumerate().filter_map(next).collect()
}

/// How long after the cut to another song its beat was found.
pub(crate) fn cut(first: &Clip, second: &Clip, settings: &Settings) -> Result<Locks, Failure> {
    let (first, second) = (first.load()?, second.load()?);
    let rate = first.rate;
    let part = rate.samples(PART) as usize;
    let mut samples = first.samples;
    samples.truncate(part);
    let cut = rate.seconds(samples.len() as u64);
    samples.extend(second.samples_at(rate)?.iter().take(part));
    let beats = second.beats.unwrap_or_default();
    let beats = beats.iter().filter(|beat| beat.0 < PART).map(|beat| cut + beat.0);
    Ok(after(cut, beats, &Heard::new(&samples, rate, settings)?))
}

/// How long after the jump of the tempo the beat was found again.
pub(crate) fn jump(clip: &Clip, settings: &Settings) -> Result<Locks, Failure> {
    let Sound { rate, samples, beats } = clip.load()?;
    let beats = beats.unwrap_or_default();
    let jump = beats.iter().find(|beat| beat.0 >= JUMP && beat.1 == 1);
    let jump = jump.ok_or("the groove ends before its jump")?.0;
    let beats = beats.iter().map(|beat| beat.0).filter(|time| *time >= jump);
    Ok(after(jump, beats, &Heard::new(&samples, rate, settings)?))
}

fn after(start: f64, beats: impl Iterator<Item = f64>, heard: &Heard) -> Locks {
    let found: Vec<f64> = heard.times().into_iter().filter(|time| *time >= start).collect();
    let locks = Locks::new(&beats.collect::<Vec<_>>(), &found);
    let since = |time: f64| time - start;
    Locks { level: locks.level.map(since), annotated: locks.annotated.map(since) }
}

/// How much of the beats at each of [`RATES`] is the same as at 44.1 kHz: F within 5 ms. `None` where there are no beats
/// at either rate.
pub(crate) fn rates(
    sound: &Sound,
    settings: &Settings,
) -> Result<[Option<f64>; RATES.len()], Failure> {
    let at = |hertz: u32| -> Result<Vec<f64>, Failure> {
        let rate = SampleRate::new(hertz)?;
        Ok(Heard::new(&sound.samples_at(rate)?, rate, settings)?.times())
    };
    let reference = at(RATE)?;
    let mut same = [None; RATES.len()];
    for (same, hertz) in same.iter_mut().zip(RATES) {
        let found = at(hertz)?;
        let any = !(reference.is_empty() && found.is_empty());
        *same = any.then(|| f_measure(&reference, &found, SAME));
    }
    Ok(same)
}
