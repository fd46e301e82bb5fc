//! Scores as Markdown tables.

use upbeat::predict::scoring::Reliability;
use upbeat_testkit::oracle::{mean, median};

use crate::Groups;
use crate::score::{Beats, Locks, Score};
use crate::trials::RATES;

pub(crate) fn scores(sets: &Groups<Score>) {
    let with_beats: Vec<(&String, Vec<&Beats>, f64)> = sets
        .iter()
        .map(|(name, clips)| {
            let beats = clips.iter().filter_map(|clip| clip.beats.as_ref()).collect();
            (name, beats, mean_of(clips.iter().map(|clip| Some(clip.none))))
        })
        .filter(|(_, beats, _): &(_, Vec<_>, _)| !beats.is_empty())
        .collect();
    if !with_beats.is_empty() {
        let columns = "clips|F|F@now|100 ms later|best level|AMLt|downbeats|counted|lead ms";
        head(columns);
        for (name, clips, _) in &with_beats {
            let of =
                |value: &dyn Fn(&Beats) -> Option<f64>| mean_of(clips.iter().map(|c| value(c)));
            let values = [
                of(&|c| Some(c.f)),
                of(&|c| Some(c.now)),
                of(&|c| Some(c.late)),
                of(&|c| Some(c.level)),
                of(&|c| Some(c.amlt)),
                of(&|c| c.down),
                of(&|c| c.counted),
            ];
            let leads: Vec<f64> = clips.iter().filter_map(|clip| clip.lead).collect();
            let lead = if leads.is_empty() { f64::NAN } else { 1000.0 * median(&leads) };
            row(name, clips.len(), &[values.map(share).to_vec(), vec![fixed(lead, 0)]].concat());
        }
        head(
            "beats|calibration error|right at ≥ .8|share at ≥ .8|none|lock s|90 %|never|annotated level|never",
        );
        for (name, clips, none) in &with_beats {
            let reliability = joined(clips);
            let count: u64 = reliability.bins().iter().map(|bin| bin.count).sum();
            let [sure, right] = [0, 1].map(|n| clips.iter().map(|c| c.sure[n]).sum::<u32>());
            let part = |part: u32, all: f64| share(f64::from(part) / all);
            let mut values = vec![
                share(reliability.calibration_error().unwrap_or(f64::NAN)),
                part(right, f64::from(sure)),
                part(sure, count as f64),
                share(*none),
            ];
            values.extend(lock_columns(&clips.iter().map(|clip| &clip.locks).collect::<Vec<_>>()));
            row(name, count as usize, &values);
        }
        head("moments|tempo 4 beats ahead|as it is|last interval|better by|than the last interval");
        for (name, clips, _) in &with_beats {
            let moments: f64 = clips.iter().map(|c| c.tempo.moments).sum();
            let off =
                [0, 1, 2].map(|n| clips.iter().map(|c| c.tempo.off[n]).sum::<f64>() / moments);
            let mut values = off.map(|off| format!("{} %", fixed(100.0 * off, 2))).to_vec();
            values
                .extend([1, 2].map(|n| format!("{} %", fixed(100.0 * (1.0 - off[0] / off[n]), 1))));
            row(name, moments as usize, &values);
        }
    }
    let without = sets.iter().filter(|(_, clips)| clips.iter().all(|clip| clip.beats.is_none()));
    let without: Vec<_> = without.collect();
    if !without.is_empty() {
        head("seconds|beats|none");
        for (name, clips) in without {
            let seconds: f64 = clips.iter().map(|clip| clip.seconds).sum();
            let none = clips.iter().map(|clip| clip.none * clip.seconds).sum::<f64>() / seconds;
            let beats: usize = clips.iter().map(|clip| clip.announced).sum();
            row(name, seconds as usize, &[beats.to_string(), fixed(none, 4)]);
        }
    }
}

/// How often beats of each tenth of confidence came true, of all clips together.
pub(crate) fn reliability(sets: &Groups<Score>) {
    for (name, clips) in sets {
        let clips: Vec<&Beats> = clips.iter().filter_map(|clip| clip.beats.as_ref()).collect();
        println!("\n{name}");
        head("beats|share|right");
        let reliability = joined(&clips);
        let all: u64 = reliability.bins().iter().map(|bin| bin.count).sum();
        for bin in reliability.bins().iter().filter(|bin| bin.count > 0) {
            let count = bin.count as f64;
            let values = [count / all as f64, bin.hits as f64 / count].map(share);
            row(&share(bin.confidence / count), bin.count as usize, &values);
        }
    }
}

fn joined(clips: &[&Beats]) -> Reliability {
    let mut all = Reliability::default();
    for clip in clips {
        all.join(&clip.reliability);
    }
    all
}

pub(crate) fn locks(sets: &Groups<Locks>) {
    head("clips|found again after s|90 %|never|annotated level|never");
    for (name, locks) in sets {
        row(name, locks.len(), &lock_columns(&locks.iter().collect::<Vec<_>>()));
    }
}

/// Median and 90th percentile at the best level, the median at the annotated one, each with how many never locked.
fn lock_columns(locks: &[&Locks]) -> Vec<String> {
    let sorted = |of: fn(&Locks) -> Option<f64>| {
        let mut times: Vec<f64> =
            locks.iter().map(|lock| of(lock).unwrap_or(f64::INFINITY)).collect();
        times.sort_by(f64::total_cmp);
        times
    };
    let never = |times: &[f64]| times.iter().filter(|time| time.is_infinite()).count().to_string();
    let (level, annotated) = (sorted(|lock| lock.level), sorted(|lock| lock.annotated));
    let part = |times: &[f64], part: f64| {
        let place = (part * times.len() as f64).ceil() as usize;
        times.get(place.saturating_sub(1)).map_or("–".into(), |time| fixed(*time, 1))
    };
    vec![
        part(&level, 0.5),
        part(&level, 0.9),
        never(&level),
        part(&annotated, 0.5),
        never(&annotated),
    ]
}

pub(crate) fn rates(sets: &Groups<[Option<f64>; RATES.len()]>) {
    let names = RATES.map(|rate| format!("{} kHz", f64::from(rate) / 1000.0));
    head(&format!("clips|{}", names.join("|")));
    for (name, clips) in sets {
        let values: Vec<String> =
            (0..RATES.len()).map(|n| share(mean_of(clips.iter().map(|clip| clip[n])))).collect();
        row(name, clips.len(), &values);
    }
}

fn mean_of(values: impl Iterator<Item = Option<f64>>) -> f64 {
    mean(&values.flatten().collect::<Vec<_>>())
}

fn head(columns: &str) {
    let count = columns.split('|').count();
    println!("\n| | {} |\n|---|{}", columns.replace('|', " | "), "---:|".repeat(count));
}

fn row(name: &str, count: usize, values: &[String]) {
    println!("| {name} | {count} | {} |", values.join(" | "));
}

fn share(value: f64) -> String {
    fixed(value, 3)
}

/// With so many digits; a dash for no number, and for a time that never comes.
fn fixed(value: f64, digits: usize) -> String {
    if value.is_finite() { format!("{value:.digits$}") } else { "–".into() }
}
