//! What analysis costs, in units of one bare FFT of the frame's size, measured side by side in one run.
//!
//! `cargo bench --bench vs_fft`

use std::hint::black_box;
use std::time::{Duration, Instant};

use upbeat::{Analyzer, AnalyzerConfig, FeatureSet};
use upbeat_testkit::signal;

const RATE: u32 = 44_100;
const FRAME: usize = 2048;
const HOP: usize = 512;

fn main() {
    // `cargo test --benches` only wants to see it run.
    let rounds = if std::env::args().any(|arg| arg == "--bench") { 40 } else { 1 };
    let song = song();
    let fft = &mut bare_fft();

    let full = ratio(rounds, fft, &mut analysis(FeatureSet::DEFAULT, &song));
    let all = ratio(rounds, fft, &mut analysis(FeatureSet::ALL, &song));
    println!("one {FRAME}-point realfft: {:.2} µs", full.fft.as_secs_f64() * 1e6);
    println!("\nper hop of {HOP} samples           µs    ÷ FFT");
    print_row("default feature set", &full, "");
    print_row("every feature there is", &all, "");

    println!("\neach feature alone               µs    ÷ FFT   share of the default set");
    for feature in FeatureSet::ALL.iter() {
        let alone = ratio(rounds / 4 + 1, fft, &mut analysis([feature].into(), &song));
        let share = FeatureSet::DEFAULT.contains(feature).then(|| {
            let mut others = FeatureSet::DEFAULT;
            others.remove(feature);
            let without = ratio(rounds / 4 + 1, fft, &mut analysis(others, &song));
            (1.0 - without.per_fft() / full.per_fft()).max(0.0) * 100.0
        });
        let share = share.map_or(String::new(), |share| format!("   {share:>5.1} %"));
        print_row(feature.name(), &alone, &share);
    }
    println!(
        "\nA feature alone pays for the STFT and the mel bands it needs; in a set they are shared."
    );
}

/// How long one FFT and one hop take, the best of all rounds, measured in turns.
struct Cost {
    fft: Duration,
    hop: Duration,
}

impl Cost {
    fn per_fft(&self) -> f64 {
        self.hop.as_secs_f64() / self.fft.as_secs_f64()
    }
}

fn ratio(rounds: usize, fft: &mut impl FnMut(), hop: &mut impl FnMut()) -> Cost {
    let mut cost = Cost { fft: Duration::MAX, hop: Duration::MAX };
    for _ in 0..rounds {
        cost.fft = cost.fft.min(time(fft, 400));
        cost.hop = cost.hop.min(time(hop, 80));
    }
    cost
}

/// The time of one call, averaged over `calls`.
fn time(work: &mut impl FnMut(), calls: u32) -> Duration {
    let start = Instant::now();
    for _ in 0..calls {
        work();
    }
    start.elapsed() / calls
}

fn bare_fft() -> impl FnMut() {
    let plan = upbeat_fft::plan_forward(FRAME);
    let signal = signal::noise(0.5, 1, FRAME);
    let mut input = plan.make_input_vec();
    let mut output = plan.make_output_vec();
    let mut scratch = plan.make_scratch_vec();
    move || {
        // The transform destroys its input, so that each call needs it anew.
        input.copy_from_slice(black_box(&signal));
        plan.process_with_scratch(&mut input, &mut output, &mut scratch).expect("sizes fit");
        black_box(&output);
    }
}

fn analysis(features: FeatureSet, song: &[f32]) -> impl FnMut() {
    let config = AnalyzerConfig::new(RATE, 1).with_features(features);
    let mut analyzer = Analyzer::new(&config).expect("the default settings are valid");
    let mut hops = song.chunks_exact(HOP).cycle();
    move || {
        let hop = hops.next().expect("the song is not empty");
        analyzer.push(black_box(hop), |frame| _ = black_box(frame)).expect("one channel");
    }
}

/// Something with tone, noise and attacks, so that no stage takes a short cut.
fn song() -> Vec<f32> {
    let length = RATE as usize * 2;
    let mut song = signal::tone(220.0, 20, 0.3, RATE, length);
    signal::add(&mut song, &signal::sweep(50.0, 8000.0, 0.2, RATE, length));
    signal::add(&mut song, &signal::noise(0.05, 2, length));
    signal::add(&mut song, &signal::clicks(11_025, length));
    song
}

fn print_row(name: &str, cost: &Cost, more: &str) {
    let micros = cost.hop.as_secs_f64() * 1e6;
    println!("{name:<24} {micros:>8.2} {:>8.2}{more}", cost.per_fft());
}
