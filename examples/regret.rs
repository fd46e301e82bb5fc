//! Draws the cumulative regret of the bandits, beside those of river and Vowpal Wabbit, into a PNG.
//!
//! ```sh
//! cargo run --release --example regret -- docs/regret.png
//! ```
//!
//! The environment is that of `crates/upbeat-adapt/tests/river/bandits.py`, number by number; what the others regret was written by that
//! script, into `bandits.json` beside it; the best six of them are drawn.

use std::error::Error;

use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};
use serde_json::Value;
use upbeat_adapt::learn::{Bandit, FeatureGroup, Learner, Strategy};

const ARMS: usize = 8;
const ROUNDS: usize = 2000;
const SEEDS: u64 = 10;
const OTHERS: &str = include_str!("../crates/upbeat-adapt/tests/river/bandits.json");

type Curve = Vec<(f64, f64)>;

fn main() -> Result<(), Box<dyn Error>> {
    let picture = std::env::args().nth(1).ok_or("usage: regret PICTURE.png")?;
    register_font("sans-serif", FontStyle::Normal, ttf_noto_sans::REGULAR)
        .map_err(|_| "the font does not load")?;
    let others: Value = serde_json::from_str(OTHERS)?;
    let area = BitMapBackend::new(&picture, (1280, 560)).into_drawing_area();
    area.fill(&WHITE)?;
    let (left, right) = area.split_horizontally(640);
    let title = "weights stay";
    draw(&left, title, &curves(&others, "fixed", f64::INFINITY)?)?;
    let title = "weights are drawn anew after 1000 rounds";
    draw(&right, title, &curves(&others, "changing", 100.0)?)?;
    area.present()?;
    println!("{picture}");
    Ok(())
}

/// Ours, then the others, the best first.
fn curves(
    others: &Value,
    environment: &str,
    half_life: f64,
) -> Result<Vec<(String, Curve)>, Box<dyn Error>> {
    let mut curves = Vec::new();
    for strategy in [Strategy::LinUcb, Strategy::Thompson] {
        let mut mean = vec![0.0; ROUNDS];
        for seed in 0..SEEDS {
            let regrets = regret(strategy, half_life, seed, environment == "changing")?;
            mean.iter_mut().zip(regrets).for_each(|(mean, regret)| *mean += regret / SEEDS as f64);
        }
        let points = mean.iter().enumerate().map(|(round, regret)| ((round + 1) as f64, *regret));
        curves.push((format!("upbeat {strategy:?}"), points.collect()));
    }
    let rounds = others["checkpoints"].as_array().ok_or("no checkpoints")?;
    let policies = others["environments"][environment].as_object().ok_or("no such environment")?;
    let number = |value: &Value| value.as_f64().unwrap_or_default();
    for (name, values) in policies {
        let values = values.as_array().ok_or("no curve")?;
        let points = rounds.iter().zip(values).map(|(x, y)| (number(x), number(y)));
        curves.push((name.clone(), points.collect()));
    }
    let last = |curve: &Curve| curve.last().map_or(0.0, |point| point.1);
    curves[2..].sort_by(|a, b| last(&a.1).total_cmp(&last(&b.1)));
    for (name, curve) in &curves {
        println!("{environment:<9} {name:<36} {:7.1}", last(curve));
    }
    Ok(curves)
}

fn regret(
    strategy: Strategy,
    half_life: f64,
    seed: u64,
    changes: bool,
) -> Result<Vec<f64>, Box<dyn Error>> {
    let group = [FeatureGroup::new("context", 5)];
    let arm = |arm| Bandit::new(&group, strategy, half_life, seed * 100 + arm);
    let mut arms: Vec<Bandit> = (0..ARMS as u64).map(arm).collect::<Result<_, _>>()?;
    let mut random = SplitMix(1000 + seed);
    let mut weights = random.weights();
    let (mut total, mut curve) = (0.0, Vec::with_capacity(ROUNDS));
    for round in 0..ROUNDS {
        if changes && round == ROUNDS / 2 {
            weights = random.weights();
        }
        let x: [f64; 5] = std::array::from_fn(|_| random.number());
        let noise = 0.5 * (random.number() + random.number());
        let expected = weights.map(|weights| -> f64 {
            weights.iter().zip(x).map(|(weight, input)| weight * input).sum()
        });
        let values: Vec<f64> = arms.iter().map(|arm| arm.choice().value(&x)).collect();
        let pulled = (0..ARMS).max_by(|a, b| values[*a].total_cmp(&values[*b])).unwrap_or(0);
        total += expected.iter().copied().fold(f64::MIN, f64::max) - expected[pulled];
        arms[pulled].learn(&x, expected[pulled] + noise);
        curve.push(total);
    }
    Ok(curve)
}

struct SplitMix(u64);

impl SplitMix {
    /// In −1 to 1.
    fn number(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        2.0 * (((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64) - 1.0
    }

    fn weights(&mut self) -> [[f64; 5]; ARMS] {
        std::array::from_fn(|_| std::array::from_fn(|_| self.number()))
    }
}

fn draw(
    area: &DrawingArea<BitMapBackend<'_>, plotters::coord::Shift>,
    title: &str,
    curves: &[(String, Curve)],
) -> Result<(), Box<dyn Error>> {
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 20))
        .margin(8)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d(0.0..ROUNDS as f64, 0.0..700.0)?;
    chart
        .configure_mesh()
        .x_desc("rounds")
        .y_desc("cumulative regret")
        .label_style(("sans-serif", 14))
        .draw()?;
    for (index, (name, curve)) in curves.iter().take(8).enumerate() {
        let color = Palette99::pick(index).mix(1.0);
        let style = color.stroke_width(if index < 2 { 3 } else { 1 });
        chart
            .draw_series(LineSeries::new(curve.iter().copied(), style))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(3)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .label_font(("sans-serif", 14))
        .draw()?;
    Ok(())
}
