//! How like the vocabulary's curves are to other people's.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use upbeat::eq::Vocabulary;

use crate::Failure;

/// What others set for words: mean curves over common frequencies.
#[derive(Deserialize)]
struct Statistics {
    frequency_hz: Vec<f64>,
    words: BTreeMap<String, WordStatistics>,
}

#[derive(Deserialize)]
struct WordStatistics {
    /// Settings behind the mean.
    n: u32,
    mean_curve_db: Vec<f64>,
}

pub(crate) fn run(path: &Path) -> Result<(), Failure> {
    let statistics: Statistics = serde_json::from_str(&std::fs::read_to_string(path)?)?;
    let vocabulary = Vocabulary::builtin();
    println!(
        "{:<10} {:>8} {:>12} {:>10} {:>10}",
        "word", "settings", "correlation", "own dB", "theirs dB"
    );
    for (name, theirs) in &statistics.words {
        let Ok(word) = vocabulary.word(name) else {
            println!("{name:<10} {:>8}   not in the vocabulary", theirs.n);
            continue;
        };
        if theirs.mean_curve_db.len() != statistics.frequency_hz.len()
            || theirs.mean_curve_db.is_empty()
        {
            return Err(
                format!("{name}: a curve has as many gains as there are frequencies").into()
            );
        }
        let own = statistics.frequency_hz.iter().map(|f| word.curve.at(*f)).collect();
        let [own, theirs_curve] = [own, theirs.mean_curve_db.clone()].map(without_mean);
        let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let [a, b] = [product(&own, &own), product(&theirs_curve, &theirs_curve)];
        let correlation = product(&own, &theirs_curve) / (a * b).sqrt();
        let rms = |energy: f64| (energy / own.len() as f64).sqrt();
        println!(
            "{name:<10} {:>8} {correlation:>12.2} {:>10.2} {:>10.2}",
            theirs.n,
            rms(a),
            rms(b)
        );
    }
    println!("Over {} frequencies; dB are RMS, without level.", statistics.frequency_hz.len());
    Ok(())
}

fn without_mean(curve: Vec<f64>) -> Vec<f64> {
    let mean = curve.iter().sum::<f64>() / curve.len() as f64;
    curve.into_iter().map(|gain| gain - mean).collect()
}
