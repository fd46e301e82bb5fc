//! How long the parts of an update take, on one core.

use std::fmt::Write;
use std::hint::black_box;
use std::time::{Duration, Instant};

use upbeat::core::{SampleIndex, Stage};
use upbeat::eq::{
    AdaptiveConfig, AdaptiveEqualizer, Band, Equalizer, EqualizerConfig, ToneEar, ToneEarConfig,
    ToneModel, Vocabulary,
};

use crate::Failure;
use crate::song::{Song, mono};

/// A table: each part's median time beside what classic designs allow it.
pub(crate) fn measure(song: &Song) -> Result<String, Failure> {
    let (rate, channels) = (song.format.sample_rate(), song.format.channels());
    let mut ear = ToneEar::new(&ToneEarConfig::new(rate))?;
    let mut model = ToneModel::builtin();
    let target = model.encode(Vocabulary::builtin().target("warm")?.curve());
    let mut bands = [Band::peak(1000.0, 0.0, 1.1); 9];
    let (mut equalizer, mut handle) =
        Equalizer::with_handle(&EqualizerConfig::new(rate, channels, &bands))?;
    let mut config = AdaptiveConfig::new(rate, channels);
    config.words = Some("warm".into());
    let (mut adaptive, _handle) = AdaptiveEqualizer::new(&config)?;

    let length = adaptive.update_length() as usize;
    let mut times: [Vec<Duration>; 5] = Default::default();
    let mut at = SampleIndex(0);
    for (round, block) in song.samples.chunks_exact(length * channels).take(400).enumerate() {
        let one = mono(block, channels);
        let start = Instant::now();
        ear.process(at, &one, |_, heard| _ = black_box(heard));
        let Some(tone) = ear.tone(model.programme()) else {
            at += length as u64;
            continue;
        };
        let heard = model.hear(&tone);
        let encoded = Instant::now();
        let difference = std::array::from_fn(|k| 0.7 * (target[k] - heard[k]));
        let moved = Instant::now();
        black_box(model.decode(&black_box(difference)));
        let decoded = Instant::now();
        for band in &mut bands {
            band.gain = if round % 2 == 0 { 1.0 } else { -1.0 };
        }
        handle.set_bands(&bands)?;
        let mut samples = block.to_vec();
        let ready = Instant::now();
        equalizer.process_in_place(at, &mut samples);
        let filtered = Instant::now();
        adaptive.process_in_place(at, &mut samples);
        let whole = Instant::now();
        let parts =
            [encoded - start, moved - encoded, decoded - moved, filtered - ready, whole - filtered];
        for (times, part) in times.iter_mut().zip(parts) {
            times.push(part);
        }
        at += length as u64;
    }
    if times[0].is_empty() {
        return Ok("latency: the song is too short to measure".into());
    }
    let median = times.map(|mut times| {
        times.sort();
        1e6 * times[times.len() / 2].as_secs_f64()
    });
    let names =
        ["encoder (mel, memory, network)", "latent (difference)", "decoder", "EQ, bands moving"];
    let budgets = ["1 to 2", "0.1", "0.5 to 1", "0.2 to 0.5"];
    let mut text = format!(
        "{:<32} {:>12} {:>18}\n",
        format!("per update of {:.1} ms", 1e3 * rate.seconds(length as u64)),
        "median",
        "classic budget"
    );
    for ((name, time), budget) in names.iter().zip(&median).zip(budgets) {
        writeln!(text, "{name:<32} {time:>9.2} µs {budget:>15} ms")?;
    }
    writeln!(text, "{:<32} {:>9.2} µs", "all of it, as one processor", median[4])?;
    text += "added delay of the sound: 0 samples";
    Ok(text)
}
