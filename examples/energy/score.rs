//! Announced transitions against those that are seen when the whole song is known.

use std::fmt;

use upbeat::core::{ConfigError, SampleIndex, Stage};
use upbeat::features::loudness::LoudnessMeter;
use upbeat::io::StreamFormat;
use upbeat::predict::energy::{Energy, EnergyKind, EnergyTransition};
use upbeat::predict::scoring::Reliability;

/// How far before and after a place levels are compared, in tenths of a second.
const WINDOW: usize = 40;
/// The smallest change that counts, in dB.
const CHANGE: f64 = 4.0;
/// How far an announced place may be off, in seconds.
const TOLERANCE: f64 = 2.0;

/// The level of a song, tenth by tenth.
pub(crate) struct Reference {
    meter: LoudnessMeter,
    /// K-weighted power of the 0.4 s that end with each tenth.
    powers: Vec<f64>,
}

impl Reference {
    pub(crate) fn new(format: StreamFormat) -> Result<Self, ConfigError> {
        let meter = LoudnessMeter::new(format.sample_rate(), format.channels())?;
        Ok(Self { meter, powers: Vec::new() })
    }

    pub(crate) fn hear(&mut self, at: SampleIndex, interleaved: &[f32]) {
        self.meter.process(at, interleaved, |_, loudness| {
            let power = |lufs| 10_f64.powf(f64::from(lufs) / 10.0);
            self.powers.push(loudness.momentary.map_or(0.0, power));
        });
    }

    /// Places (in seconds) where the level of the 4 s after differs by 4 dB or more from that of the 4 s before, and by
    /// more than anywhere within 1 s; the largest first, no two within 4 s.
    pub(crate) fn changes(&self) -> Vec<(f64, f64)> {
        // The 0.4 s that end with tenth `n` are `n - 3` to `n`.
        let level = |from: usize, to: usize| {
            let powers = &self.powers[from + 3..to];
            10.0 * (powers.iter().sum::<f64>() / powers.len() as f64 + 1e-7).log10()
        };
        let places = WINDOW..(self.powers.len() + 1).saturating_sub(WINDOW);
        let change = |n: usize| level(n, n + WINDOW) - level(n - WINDOW, n);
        let changes: Vec<(usize, f64)> = places.map(|n| (n, change(n))).collect();
        let largest_near = |(n, size): &(usize, f64)| {
            let near = changes.iter().filter(|(m, _)| m.abs_diff(*n) <= 10);
            near.map(|(_, other)| other.abs()).fold(0.0, f64::max) <= size.abs()
        };
        let mut peaks: Vec<_> = changes
            .iter()
            .filter(|change| change.1.abs() >= CHANGE && largest_near(change))
            .collect();
        peaks.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
        let mut found: Vec<(f64, f64)> = Vec::new();
        for (n, size) in peaks {
            let at = *n as f64 / 10.0;
            if found.iter().all(|(other, _)| (other - at).abs() >= 4.0) {
                found.push((at, *size));
            }
        }
        found
    }
}

/// What was announced and what was so, over all songs.
#[derive(Default)]
pub(crate) struct Score {
    references: usize,
    announced: usize,
    hits: usize,
    builds: usize,
    seconds: f64,
    /// How long after a change it was announced.
    delays: Vec<f64>,
    reliability: Reliability,
    /// Sums of |error| of the forecast 2 s ahead and of "as now", and of how many.
    forecast: [f64; 3],
}

impl Score {
    /// Adds a song. `announced` holds when, where, and what.
    pub(crate) fn add(
        &mut self,
        changes: &[(f64, f64)],
        announced: &[(f64, f64, EnergyTransition)],
        tenths: &[Energy],
    ) {
        self.seconds += tenths.len() as f64 / 10.0;
        self.references += changes.len();
        let mut open = changes.to_vec();
        for (now, place, transition) in announced {
            match transition.kind {
                EnergyKind::Rise | EnergyKind::Fall | EnergyKind::Drop => {}
                EnergyKind::Build => {
                    self.builds += 1;
                    continue;
                }
                EnergyKind::Stable => continue,
            }
            self.announced += 1;
            let fits = |(at, size): &(f64, f64)| {
                (place - at).abs() <= TOLERANCE && size * f64::from(transition.change) > 0.0
            };
            let hit = open.iter().position(fits);
            self.reliability.add(transition.confidence, hit.is_some());
            if let Some(n) = hit {
                self.hits += 1;
                self.delays.push(now - open.swap_remove(n).0);
            }
        }
        for (now, later) in tenths.iter().zip(tenths.iter().skip(20)) {
            if let (Some(energy), Some(forecast), Some(came)) =
                (now.energy, now.forecast, later.energy)
            {
                self.forecast[0] += f64::from((came - forecast).abs());
                self.forecast[1] += f64::from((came - energy).abs());
                self.forecast[2] += 1.0;
            }
        }
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { references, announced, hits, builds, seconds, .. } = self;
        let score = match references + announced {
            0 => "–, as there was nothing to find".to_owned(),
            all => format!("{:.3}", 2.0 * *hits as f64 / all as f64),
        };
        let minutes = (seconds / 60.0).max(1e-9);
        writeln!(
            f,
            "{minutes:.1} min: {hits} of {references} changes found, {announced} announced"
        )?;
        writeln!(
            f,
            "F {score}, {:.2} false alarms per minute",
            (announced - hits) as f64 / minutes
        )?;
        writeln!(f, "{:.2} builds announced per minute", *builds as f64 / minutes)?;
        let mut delays = self.delays.clone();
        delays.sort_by(f64::total_cmp);
        if let Some(median) = delays.get(delays.len() / 2) {
            writeln!(f, "announced {median:.1} s after the change (median)")?;
        }
        if let Some(error) = self.reliability.calibration_error() {
            writeln!(f, "calibration error of the confidence {error:.3}")?;
        }
        let [forecast, as_now, moments] = self.forecast;
        let moments = moments.max(1.0);
        write!(f, "energy in 2 s missed by {:.3}, ", forecast / moments)?;
        write!(f, "\"as now\" by {:.3} of its range", as_now / moments)
    }
}
