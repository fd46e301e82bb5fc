//! Lists sound cards, or tries one for a second.
//!
//! ```sh
//! cargo run --release --features device --example devices                     # all there are
//! cargo run --release --features device --example devices -- --input          # only those that can be heard
//! cargo run --release --features device --example devices -- --test alsa:default
//! ```
//!
//! The exit code is 1 if a device that is to be tested cannot be opened.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use upbeat::core::Decibels;
use upbeat::io::live::{
    Backend, CardBackend, DeviceId, DeviceInfo, Direction, FormatRange, Policy, StreamStatus,
    StreamSupervisor, SupervisorConfig,
};

#[derive(Parser)]
#[command(about = "Lists sound cards, or tries one for a second.")]
struct Options {
    /// Only devices that can be heard; with --test, hear it.
    #[arg(long)]
    input: bool,
    /// Only devices that can play; with --test, play silence to it.
    #[arg(long)]
    output: bool,
    /// Only devices that can do both.
    #[arg(long, conflicts_with_all = ["input", "output"])]
    duplex: bool,
    /// Opens this device and reports level, real rate, jitter and xruns.
    #[arg(long, value_name = "ID")]
    test: Option<String>,
    /// How long to test, in seconds.
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Samples per channel to ask for in a block.
    #[arg(long)]
    block: Option<usize>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let done = match &options.test {
        Some(id) => test(&DeviceId::new(id), &options),
        None => list(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn list(options: &Options) -> Result<(), Box<dyn std::error::Error>> {
    let mut shown = 0;
    for host in CardBackend::hosts() {
        let devices = CardBackend::host(&host)?.devices()?;
        let wanted = |device: &&DeviceInfo| {
            let (input, output) = (!device.inputs.is_empty(), !device.outputs.is_empty());
            (!options.input || input)
                && (!options.output || output)
                && (!options.duplex || input && output)
        };
        let devices: Vec<_> = devices.iter().filter(wanted).collect();
        println!("{host}: {} devices", devices.len());
        for device in devices {
            show(device);
            shown += 1;
        }
    }
    if shown == 0 {
        println!(
            "There is none. On Linux a sound server or a card must be there, and be open to this user."
        );
    }
    Ok(())
}

fn show(device: &DeviceInfo) {
    let defaults = match (device.is_default_input, device.is_default_output) {
        (true, true) => "  [default input and output]",
        (true, false) => "  [default input]",
        (false, true) => "  [default output]",
        (false, false) => "",
    };
    println!("\n  {}{defaults}", device.id);
    println!("      {}", device.name);
    for line in device.description.iter().filter(|line| **line != device.name) {
        println!("      {line}");
    }
    for (word, ranges, default) in [
        ("input", &device.inputs, device.default_input),
        ("output", &device.outputs, device.default_output),
    ] {
        if !ranges.is_empty() {
            let default = default.map_or_else(String::new, |format| format!("{format}; "));
            println!("      {word:<7}{default}{}", summary(ranges));
        }
    }
    if device.inputs.is_empty() && device.outputs.is_empty() {
        println!("      cannot be opened now");
    }
}

/// All formats in one line: what differs is listed, what is a range is given by its ends.
fn summary(ranges: &[FormatRange]) -> String {
    let all = |of: fn(&FormatRange) -> String| {
        let values: BTreeSet<String> = ranges.iter().map(of).collect();
        values.into_iter().collect::<Vec<_>>().join(" ")
    };
    let channels: BTreeSet<usize> = ranges.iter().map(|range| range.channels).collect();
    let span = |values: (Option<u32>, Option<u32>)| match values {
        (Some(low), Some(high)) if low == high => low.to_string(),
        (Some(low), Some(high)) => format!("{low} to {high}"),
        _ => "unknown".into(),
    };
    let rates = (
        ranges.iter().map(|range| range.min_rate).min(),
        ranges.iter().map(|range| range.max_rate).max(),
    );
    let blocks = (
        ranges.iter().filter_map(|range| Some(range.block?.0)).min(),
        ranges.iter().filter_map(|range| Some(range.block?.1)).max(),
    );
    let channels = (channels.first().map(|n| *n as u32), channels.last().map(|n| *n as u32));
    format!(
        "offers {} channels, {} Hz, {}, blocks of {} samples",
        span(channels),
        span(rates),
        all(|range| format!("{:?}", range.encoding)),
        span(blocks)
    )
}

fn test(id: &DeviceId, options: &Options) -> Result<(), Box<dyn std::error::Error>> {
    let card = Arc::new(CardBackend::new());
    let direction = if options.output || !options.input && !card.is_present(id, Direction::Input) {
        Direction::Output
    } else {
        Direction::Input
    };
    let config = SupervisorConfig {
        policy: Policy::Pin(id.clone()),
        block: options.block,
        ..SupervisorConfig::default()
    };
    let time = Duration::try_from_secs_f64(options.seconds)?;
    let status = match direction {
        Direction::Input => {
            let (supervisor, mut live) = StreamSupervisor::input(card, config)?;
            running(&supervisor)?;
            let (mut peak, mut power, mut values, mut gaps) = (0.0_f32, 0.0_f64, 0_u64, 0);
            let until = Instant::now() + time;
            while Instant::now() < until {
                live.wait(Duration::from_millis(20));
                live.read(|block| {
                    gaps += u64::from(block.gap.is_some());
                    values += block.interleaved.len() as u64;
                    for x in block.interleaved {
                        peak = peak.max(x.abs());
                        power += f64::from(x * x);
                    }
                });
            }
            let rms = (power / values.max(1) as f64).sqrt() as f32;
            let (peak, rms) = (Decibels::from_amplitude(peak), Decibels::from_amplitude(rms));
            println!("{id}, heard for {time:?}");
            println!("  level       {peak} at the peak, {rms} RMS");
            println!("  gaps        {gaps}");
            supervisor.status()
        }
        Direction::Output => {
            let (supervisor, mut live) = StreamSupervisor::output(card, config)?;
            running(&supervisor)?;
            let format = live.format().ok_or("the device has no format")?;
            let silence = vec![0.0; 480 * format.channels()];
            let until = Instant::now() + time;
            while Instant::now() < until {
                if live.wait_room(480, Duration::from_millis(20)) {
                    live.write(&silence);
                }
            }
            println!("{id}, played silence for {time:?}");
            println!("  underruns   {}", supervisor.status().stats.underruns);
            supervisor.status()
        }
    };
    report(&status);
    Ok(())
}

fn running(supervisor: &StreamSupervisor) -> Result<(), Box<dyn std::error::Error>> {
    if supervisor.wait_running(Duration::from_secs(5)) {
        return Ok(());
    }
    let status = supervisor.status();
    Err(match status.last_error {
        Some(error) => error.into(),
        None => "the device is not there; run this without --test for the ids there are".into(),
    })
}

fn report(status: &StreamStatus) {
    let stats = status.stats;
    let ms = |time: Duration| 1e3 * time.as_secs_f64();
    if let Some(format) = status.device_format {
        println!("  format      {format}");
        let rate = f64::from(format.sample_rate().hz());
        println!(
            "  block       {} samples, {:.2} ms",
            stats.block,
            1e3 * stats.block as f64 / rate
        );
        match stats.measured_rate {
            Some(measured) => println!(
                "  real rate   {measured:.1} Hz, {:+.0} ppm over {} samples by the computer's clock",
                1e6 * (measured / rate - 1.0),
                stats.samples
            ),
            None => println!("  real rate   unknown, too short"),
        }
    }
    println!(
        "  jitter      {:.3} ms mean, {:.3} ms at most",
        ms(stats.mean_jitter),
        ms(stats.max_jitter)
    );
    match stats.latency {
        Some(latency) => println!("  latency     {:.2} ms, says the host", ms(latency)),
        None => println!("  latency     the host does not say"),
    }
    println!("  xruns       {}", stats.xruns);
    println!("  errors      {}", stats.errors);
}
