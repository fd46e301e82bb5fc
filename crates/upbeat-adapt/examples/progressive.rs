//! Progressive validation (predict, then learn) of the learners on streams in CSV files.
//!
//! ```sh
//! python crates/upbeat-adapt/tests/river/compare.py --export STREAMS > crates/upbeat-adapt/tests/river/river.json
//! cargo run --release -p upbeat-adapt --example progressive -- STREAMS/*.csv
//! ```
//!
//! Each line of a file is an observation, the target last; lines above the numbers are passed over. Targets that
//! are all 0 or 1 are classes: the score is the mean log-loss, else the mean absolute error.

use std::error::Error;
use std::path::Path;
use upbeat_adapt::learn::{
    Learner, LogisticRegression, Normalized, PassiveAggressive, RecursiveLeastSquares,
};

type Rows = Vec<(Vec<f64>, f64)>;

fn main() -> Result<(), Box<dyn Error>> {
    let paths: Vec<String> = std::env::args().skip(1).collect();
    if paths.is_empty() {
        return Err("usage: progressive STREAM.csv...".into());
    }
    println!("{:<24} {:>7}  {:<26} score", "stream", "rows", "learner");
    for path in paths {
        let name = Path::new(&path).file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let rows = read(&path).map_err(|error| format!("{path}: {error}"))?;
        for (learner, score) in scores(&rows)? {
            println!("{name:<24} {:>7}  {learner:<26} {score:.5}", rows.len());
        }
    }
    Ok(())
}

fn read(path: &str) -> Result<Rows, Box<dyn Error>> {
    let mut rows = Vec::new();
    for line in std::fs::read_to_string(path)?.lines() {
        let numbers: Result<Vec<f64>, _> =
            line.split(',').map(|text| text.trim().parse()).collect();
        let Ok(mut numbers) = numbers else { continue };
        let target = numbers.pop().ok_or("an empty line")?;
        rows.push((numbers, target));
    }
    let n = rows.first().ok_or("no numbers in it")?.0.len();
    if rows.iter().any(|(inputs, _)| inputs.len() != n) {
        return Err("its lines differ in length".into());
    }
    Ok(rows)
}

fn scores(rows: &Rows) -> Result<Vec<(&'static str, f64)>, Box<dyn Error>> {
    let n = rows[0].0.len();
    let binary = rows.iter().all(|(_, target)| *target == 0.0 || *target == 1.0);
    Ok(if binary {
        let mut learner = Normalized::new(LogisticRegression::new(n), f64::INFINITY)?;
        vec![("logistic regression", score(&mut learner, rows, log_loss))]
    } else {
        let mut passive = Normalized::new(PassiveAggressive::new(n), f64::INFINITY)?;
        let mut squares = RecursiveLeastSquares::new(n);
        vec![
            ("passive-aggressive", score(&mut passive, rows, absolute)),
            ("recursive least squares", score(&mut squares, rows, absolute)),
        ]
    })
}

fn score(learner: &mut impl Learner, rows: &Rows, loss: fn(f64, f64) -> f64) -> f64 {
    let mut total = 0.0;
    for (inputs, target) in rows {
        total += loss(learner.predict(inputs), *target);
        learner.learn(inputs, *target);
    }
    total / rows.len() as f64
}

fn log_loss(predicted: f64, target: f64) -> f64 {
    let likelihood = if target == 1.0 { predicted } else { 1.0 - predicted };
    -likelihood.max(1e-15).ln()
}

fn absolute(predicted: f64, target: f64) -> f64 {
    (predicted - target).abs()
}
