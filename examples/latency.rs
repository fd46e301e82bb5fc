//! Measures the round trip of a sound card: out of the computer, through a cable, the air or the sound server, and back.
//!
//! ```sh
//! cargo run --release --features device --example latency
//! cargo run --release --features device --example latency -- --input ID --output ID --block 256
//! ```
//!
//! Connect the output to the input, or put the microphone in front of the loudspeaker; a noise is played ten times. The
//! exit code is 2 if nothing came back and 3 if it came back at times that contradict each other; then no latency is
//! printed.

use std::process::ExitCode;

use clap::Parser;
use upbeat::core::SampleRate;
use upbeat::io::live::{
    Backend, CardBackend, DeviceId, Direction, LatencyConfig, LatencyReport, LatencyVerdict,
    StreamRequest, measure_latency,
};

#[derive(Parser)]
#[command(about = "Measures the round trip of a sound card.")]
struct Options {
    /// Where to listen [default: the default input]; `--example devices` lists them.
    #[arg(long, value_name = "ID")]
    input: Option<String>,
    /// Where to play [default: the default output].
    #[arg(long, value_name = "ID")]
    output: Option<String>,
    /// Samples per channel to ask for in a block.
    #[arg(long)]
    block: Option<usize>,
    /// The sample rate to ask for, in Hz.
    #[arg(long)]
    rate: Option<u32>,
    /// How many times to play.
    #[arg(long, default_value_t = 10)]
    repeats: usize,
    /// How loud, full scale 1.
    #[arg(long, default_value_t = 0.25)]
    level: f32,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let card = CardBackend::new();
    let choose = |named: &Option<String>, direction| match named {
        Some(id) => Ok(DeviceId::new(id)),
        None => card
            .default_device(direction)?
            .ok_or(format!("there is no default {direction}"))
            .map_err(Box::<dyn std::error::Error>::from),
    };
    let input = choose(&options.input, Direction::Input)?;
    let output = choose(&options.output, Direction::Output)?;
    let mut config = LatencyConfig::new(input, output);
    config.request = StreamRequest {
        sample_rate: options.rate.map(SampleRate::new).transpose()?,
        block: options.block,
        ..StreamRequest::default()
    };
    (config.repeats, config.level) = (options.repeats, options.level);
    println!("{} -> {}: listen ...", config.output, config.input);
    Ok(show(&measure_latency(&card, &config)?))
}

fn show(report: &LatencyReport) -> ExitCode {
    let paths: Vec<_> = report.paths.iter().map(|path| format!("{path:.3}")).collect();
    println!("heard {} of {}: {} ms", paths.len(), report.played, paths.join(" "));
    let code = match report.verdict {
        LatencyVerdict::Found(trip) => {
            println!("round trip   {:8.3} ms from callback to callback, in the mean", trip.total());
            println!(
                "  path       {:8.3} ms median, {:.3} ms spread (middle half)",
                trip.path, trip.spread
            );
            println!("  blocks     {:8.3} ms, half of each side's", trip.blocks);
            ExitCode::SUCCESS
        }
        LatencyVerdict::Unsteady => {
            println!(
                "unsteady: it came back at times that contradict each other; try longer blocks"
            );
            ExitCode::from(3)
        }
        _ => {
            println!(
                "no loop found: what was played was not heard; connect the output to the input, or play louder"
            );
            ExitCode::from(2)
        }
    };
    for (part, told) in [("input", report.input), ("output", report.output)] {
        match told {
            Some(time) => {
                println!("  {part:<10} {:8.3} ms, says the host", 1e3 * time.as_secs_f64());
            }
            None => println!("  {part:<10} the host does not say"),
        }
    }
    if let Some(drift) = report.drift_ppm {
        println!("drift        {drift:8.1} ppm between the clocks of input and output");
    }
    println!("xruns        {:8}", report.xruns);
    code
}
