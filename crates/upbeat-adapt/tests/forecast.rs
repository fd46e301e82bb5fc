//! Forecasts of made series whose best forecast is known; the example `forecast` scores them on music.

use upbeat_adapt::{NextFeatures, NextFeaturesConfig};

/// `SplitMix64`, in −1 to 1.
struct Random(u64);

impl Random {
    fn number(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        2.0 * (((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64) - 1.0
    }
}

/// Mean absolute errors of persistence and of the forecast at each horizon, and the share of truths within the bars.
fn score(series: &[f64]) -> ([f64; 3], [f64; 3], f64) {
    let mut next = NextFeatures::new(&NextFeaturesConfig::new(1)).expect("valid");
    let (mut persistence, mut ours) = ([0.0; 3], [0.0; 3]);
    let (mut within, mut bars) = (0.0, 0.0);
    let first = series.len() / 4; // what is learned at first does not count
    for (now, value) in series.iter().enumerate() {
        next.observe(now as f64 * 0.25, &[Some(*value)]).expect("in order");
        next.close();
        for (at, steps) in [4, 20, 40].into_iter().enumerate() {
            let Some(truth) = series.get(now + steps).filter(|_| now >= first) else { continue };
            let forecast = next.forecast(0, at).expect("it was observed");
            let n = (series.len() - steps - first) as f64;
            persistence[at] += (value - truth).abs() / n;
            ours[at] += (forecast.value - truth).abs() / n;
            if let Some(error) = forecast.error {
                bars += 1.0;
                within += if (forecast.value - truth).abs() <= error { 1.0 } else { 0.0 };
            }
        }
    }
    (persistence, ours, within / bars)
}

#[test]
fn noise_about_a_level_is_forecast_as_the_level() {
    let mut random = Random(1);
    let series: Vec<f64> = (0..4000).map(|_| 5.0 + random.number()).collect();
    let (persistence, ours, coverage) = score(&series);
    for at in 0..3 {
        // The level is off by 1/2 on average, the last value by 2/3.
        assert!((persistence[at] - 0.667).abs() < 0.03, "{persistence:?}");
        assert!(ours[at] < 0.53, "{ours:?}");
    }
    assert!((0.87..=0.93).contains(&coverage), "{coverage}");
}

#[test]
fn a_walk_is_forecast_hardly_worse_than_by_persistence() {
    let mut random = Random(2);
    let mut value = 0.0;
    let series: Vec<f64> = (0..4000)
        .map(|_| {
            value += random.number();
            value
        })
        .collect();
    let (persistence, ours, coverage) = score(&series);
    for at in 0..3 {
        assert!(ours[at] < 1.15 * persistence[at], "{ours:?}, persistence {persistence:?}");
    }
    // Bars learn from a truth only when it comes, and follow the walk behind.
    assert!((0.8..=0.93).contains(&coverage), "{coverage}");
}

#[test]
fn what_repeats_is_forecast_from_its_repetition() {
    let mut random = Random(3);
    let bar: Vec<f64> = (0..48).map(|_| random.number()).collect();
    let series: Vec<f64> = (0..3000).map(|i| bar[i % 48] + 0.1 * random.number()).collect();
    let (persistence, ours, _) = score(&series);
    for at in 0..3 {
        assert!(ours[at] < 0.25 * persistence[at], "{ours:?}, persistence {persistence:?}");
    }
}

#[test]
fn gaps_are_neither_filled_nor_feared() {
    let mut next = NextFeatures::new(&NextFeaturesConfig::new(2)).expect("valid");
    assert!(next.forecast(0, 0).is_none(), "nothing is known yet");
    for step in 0..400 {
        let known = if step % 3 == 0 { None } else { Some(0.5) };
        next.observe(f64::from(step) * 0.25, &[known, None]).expect("in order");
    }
    let level = next.forecast(0, 2).expect("known").value;
    assert!((level - 0.5).abs() < 1e-9, "{level}");
    assert!(next.forecast(1, 0).is_none(), "never observed");
    assert!(next.observe(1.0, &[None, None]).is_err(), "not in order");
    next.observe(1e6, &[Some(0.9), None]).expect("after a long gap");
    next.close();
    assert!((next.forecast(0, 2).expect("known").value - 0.9).abs() < 1e-9, "the past is dropped");
    assert!(next.observe(2e6, &[Some(1.0)]).is_err(), "one value too few");
}

#[test]
fn settings_out_of_range_are_refused() {
    let with = |change: fn(&mut NextFeaturesConfig)| {
        let mut config = NextFeaturesConfig::new(1);
        change(&mut config);
        NextFeatures::new(&config)
    };
    assert!(with(|_| ()).is_ok());
    assert!(with(|config| config.n_features = 0).is_err());
    assert!(with(|config| config.interval = f64::NAN).is_err());
    assert!(with(|config| config.horizons = vec![]).is_err());
    assert!(with(|config| config.horizons = vec![5.0, 1.0]).is_err());
    assert!(with(|config| config.horizons = vec![1000.0]).is_err());
}
