//! Forecasts features 1, 5 and 10 s ahead, and scores the forecasts against persistence and AR(1).
//!
//! ```sh
//! cargo run --release --example forecast                       # the built-in demo, once and six times over
//! cargo run --release --example forecast -- SONG.mp3 MORE.wav  # your own
//! ```
//!
//! Songs are heard one after the other; what was learned in one is kept for the next. Errors are mean absolute ones in units of
//! persistence's, averaged over features; `within` is the share of truths inside the error bars.

use std::error::Error;

use upbeat::core::SampleRate;
use upbeat::io::demo::DemoSource;
use upbeat::io::{FileSource, Source};
use upbeat::{Analyzer, AnalyzerConfig, Feature};
use upbeat_adapt::{NextFeatures, NextFeaturesConfig};

const FEATURES: [Feature; 5] = [
    Feature::Rms,
    Feature::SpectralCentroid,
    Feature::SpectralBandwidth,
    Feature::OnsetStrength,
    Feature::Percussiveness,
];

const INTERVAL: f64 = 0.25;

/// Means over intervals, one row per interval.
type Track = Vec<[f64; FEATURES.len()]>;

fn main() -> Result<(), Box<dyn Error>> {
    let paths: Vec<String> = std::env::args().skip(1).collect();
    if paths.is_empty() {
        let demo = track(Box::new(DemoSource::new(SampleRate::new(44_100)?)?))?;
        report("the demo, once", &score(std::slice::from_ref(&demo))?);
        report("the demo, six times", &score(&[demo.repeat(6)])?);
        return Ok(());
    }
    let mut tracks = Vec::new();
    for path in &paths {
        tracks.push(track(Box::new(FileSource::open(path)?))?);
    }
    let intervals: usize = tracks.iter().map(Vec::len).sum();
    let minutes = intervals as f64 * INTERVAL / 60.0;
    report(&format!("{} songs, {minutes:.0} min", tracks.len()), &score(&tracks)?);
    Ok(())
}

fn track(mut source: Box<dyn Source>) -> Result<Track, Box<dyn Error>> {
    let format = source.format();
    let config = AnalyzerConfig::new(format.sample_rate().hz(), format.channels());
    let mut analyzer = Analyzer::new(&config.with_features(FEATURES))?;
    let mut buffer = vec![0.0; 4096 * format.channels()];
    let mut track: Vec<([f64; FEATURES.len()], f64)> = Vec::new();
    while let Some(block) = source.read(&mut buffer)? {
        analyzer.process(block.at, block.interleaved, |frame| {
            let interval = (frame.seconds() / INTERVAL) as usize;
            if track.len() <= interval {
                track.resize(interval + 1, Default::default());
            }
            let (sums, count) = &mut track[interval];
            *count += 1.0;
            for (sum, feature) in sums.iter_mut().zip(FEATURES) {
                let value = f64::from(frame.value(feature).unwrap_or(0.0));
                *sum +=
                    if feature == Feature::Rms { 20.0 * value.max(1e-4).log10() } else { value };
            }
        })?;
    }
    Ok(track.iter().map(|(sums, count)| sums.map(|sum| sum / count.max(1.0))).collect())
}

/// Sums over the forecasts of one horizon, per feature.
#[derive(Clone, Default)]
struct Sums {
    persistence: [f64; FEATURES.len()],
    regression: [f64; FEATURES.len()],
    ours: [f64; FEATURES.len()],
    within: f64,
    bars: f64,
    n: f64,
}

fn score(tracks: &[Track]) -> Result<Vec<(f64, Sums)>, Box<dyn Error>> {
    let mut config = NextFeaturesConfig::new(FEATURES.len());
    config.interval = INTERVAL;
    let mut scores: Vec<(f64, Sums)> =
        config.horizons.iter().map(|horizon| (*horizon, Sums::default())).collect();
    let mut next = NextFeatures::new(&config)?;
    for track in tracks {
        next = next.without_past();
        let mut regressions: Vec<Ar1> = FEATURES.iter().map(|_| Ar1::default()).collect();
        for (now, row) in track.iter().enumerate() {
            next.observe(now as f64 * INTERVAL, &row.map(Some))?;
            next.close();
            for (regression, value) in regressions.iter_mut().zip(row) {
                regression.learn(*value);
            }
            for (at, (horizon, sums)) in scores.iter_mut().enumerate() {
                let steps = (*horizon / INTERVAL).round() as usize;
                let Some(truth) = track.get(now + steps) else { continue };
                sums.n += 1.0;
                for feature in 0..FEATURES.len() {
                    let (last, truth) = (row[feature], truth[feature]);
                    let forecast = next.forecast(feature, at).ok_or("it was observed")?;
                    sums.persistence[feature] += (last - truth).abs();
                    let regression = regressions[feature].forecast(last, steps);
                    sums.regression[feature] += (regression - truth).abs();
                    sums.ours[feature] += (forecast.value - truth).abs();
                    if let Some(error) = forecast.error {
                        sums.bars += 1.0;
                        let within = (forecast.value - truth).abs() <= error;
                        sums.within += f64::from(u8::from(within));
                    }
                }
            }
        }
    }
    Ok(scores)
}

/// AR(1) by least squares over all of the past: `x' = a + b x`.
#[derive(Default)]
struct Ar1 {
    last: Option<f64>,
    n: f64,
    x: f64,
    y: f64,
    xx: f64,
    xy: f64,
}

impl Ar1 {
    fn learn(&mut self, value: f64) {
        if let Some(last) = self.last.replace(value) {
            self.n += 1.0;
            self.x += last;
            self.y += value;
            self.xx += last * last;
            self.xy += last * value;
        }
    }

    fn forecast(&self, last: f64, steps: usize) -> f64 {
        let spread = self.n * self.xx - self.x * self.x;
        let slope = (self.n * self.xy - self.x * self.y) / spread;
        if !slope.is_finite() {
            return last;
        }
        let slope = slope.clamp(-1.0, 1.0);
        let offset = (self.y - slope * self.x) / self.n;
        (0..steps).fold(last, |value, _| offset + slope * value)
    }
}

fn report(name: &str, scores: &[(f64, Sums)]) {
    println!("{name}\n  horizon   forecasts   persistence   AR(1)    ours   within");
    for (horizon, sums) in scores {
        let relative = |errors: &[f64; FEATURES.len()]| {
            let ratios = errors.iter().zip(sums.persistence).map(|(error, one)| error / one);
            ratios.sum::<f64>() / FEATURES.len() as f64
        };
        let within = match sums.bars {
            0.0 => "-".into(),
            bars => format!("{:.1} %", 100.0 * sums.within / bars),
        };
        println!(
            "  {horizon:>4} s    {:>9}   {:>11.3}   {:>5.3}   {:>5.3}   {within:>7}",
            sums.n,
            1.0,
            relative(&sums.regression),
            relative(&sums.ours),
        );
    }
}
