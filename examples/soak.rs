//! A pipeline under load for as long as you like: nothing may be lost, allocated or late.
//!
//! ```sh
//! cargo run --release --example soak -- --seconds 600    # real time, as an audio callback would feed it
//! cargo run --release --example soak -- --blocks 1000000 # as fast as it goes
//! ```
//!
//! Blocks of 32 to 4096 samples (at full speed: of 1 to 128), of another size each time, go through a queue into a pipeline that computes every
//! feature and every prediction. Prints what was lost, what the analysis thread asked of the allocator, and how much of
//! a core all of it took; the exit code is 1 if anything was lost or allocated.

use std::ops::RangeInclusive;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use clap::Parser;
use upbeat::core::{SampleIndex, SampleRate};
use upbeat::io::{Block, IoError, Source, StreamFormat, demo};
use upbeat::pipeline::{Performance, PipelineStatus};
use upbeat::window::{QueueConfig, sample_queue};
use upbeat::{Event, FeatureSet, Input, Pipeline, PipelineConfig};
use upbeat_testkit::alloc::{CountingAllocator, Counts, so_far};
use upbeat_testkit::signal::Random;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

#[derive(Parser)]
#[command(about = "A pipeline under load: nothing may be lost or allocated.")]
struct Options {
    /// Feed it in real time for so long.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Feed it so many blocks as fast as it takes them, instead.
    #[arg(long)]
    blocks: Option<u64>,
}

const RATE: u32 = 44_100;

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let options = Options::parse();
    let rate = SampleRate::new(RATE)?;
    let song = demo::song(rate)?.interleaved;
    match options.blocks {
        Some(blocks) => at_full_speed(song, rate, blocks),
        None => in_real_time(&song, rate, options.seconds),
    }
}

/// Everything that can be computed.
fn all(input: &Input) -> PipelineConfig {
    let mut config = PipelineConfig::new(input);
    config.events.analyzer.features = FeatureSet::ALL;
    config
}

/// The demo again and again, in blocks of changing sizes.
struct Blocks {
    song: Vec<f32>,
    sizes: RangeInclusive<usize>,
    random: Random,
    at: usize,
}

impl Blocks {
    fn new(song: Vec<f32>, sizes: RangeInclusive<usize>) -> Self {
        Self { song, sizes, random: Random::new(1), at: 0 }
    }

    /// Copies the next block to the front of `buffer`, and returns its values.
    fn next<'b>(&mut self, buffer: &'b mut [f32]) -> &'b [f32] {
        let (least, most) = (*self.sizes.start(), *self.sizes.end());
        let values = 2 * (least + self.random.below(most - least + 1));
        let block = &mut buffer[..values];
        for pair in block.chunks_exact_mut(2) {
            pair.copy_from_slice(&self.song[self.at..][..2]);
            self.at = (self.at + 2) % self.song.len();
        }
        block
    }
}

fn in_real_time(
    song: &[f32],
    rate: SampleRate,
    seconds: f64,
) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let (mut writer, reader) = sample_queue(&QueueConfig::new(2, RATE as usize))?;
    let input = Input::queue(reader, StreamFormat::stereo(rate));
    let config = all(&input);
    let pipeline = Pipeline::builder(config).listen("events", |_: &Event| {}).start(input)?;
    let mut blocks = Blocks::new(song.to_vec(), 32..=4096);
    let mut buffer = vec![0.0; 2 * 4096];
    let (start, busy) = (Instant::now(), cpu_seconds());
    let mut written = 0;
    while rate.seconds(written) < seconds {
        let block = blocks.next(&mut buffer);
        writer.write(block);
        written += block.len() as u64 / 2;
        let due = start + Duration::from_secs_f64(rate.seconds(written));
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    let share = match (busy, cpu_seconds()) {
        (Some(before), Some(after)) => {
            format!("{:.1} % of one core", 100.0 * (after - before) / start.elapsed().as_secs_f64())
        }
        _ => "an unknown share of a core".to_owned(),
    };
    let lost = writer.stats().lost;
    let status = pipeline.stop();
    targets(&status, rate);
    println!(
        "{:.0} s in real time, all features and predictions: {lost} samples lost, {} events missed, {share}",
        rate.seconds(written),
        status.listeners[0].dropped,
    );
    let whole = lost == 0 && status.samples == written && status.listeners[0].dropped == 0;
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What was asked of the first design of this project, beside what was measured.
fn targets(status: &PipelineStatus, rate: SampleRate) {
    let Performance { load, system, .. } = status.performance;
    let longest = load.load.map_or(f64::NAN, |quantiles| f64::from(quantiles.max));
    let mean = load.busy / load.blocks.max(1) as f64;
    let hop = rate.seconds(512);
    let cpu = system.own_cpu.map_or(f64::NAN, |share| 100.0 * share);
    let memory = system.own_memory.map_or(f64::NAN, |bytes| bytes as f64 / 1e6);
    let extraction = 1000.0 * load.busy / (load.deadline / hop).max(1.0);
    println!("                         asked for    measured");
    println!(
        "analysis behind sound     < 50 ms    {:6.1} ms per block on average, worst load {longest:.2}",
        1000.0 * mean
    );
    println!("features per window       < 10 ms    {extraction:6.2} ms");
    println!("processor                 < 70 %     {cpu:6.1} % of all cores");
    println!("memory                    < 500 MB   {memory:6.1} MB");
}

/// CPU time of this process so far.
fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // User and system time, in hundredths of a second, are the 14th and 15th field; the second is in parentheses.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / 100.0)
}

/// What the analysis thread had asked of the allocator when it first and last read.
type Asked = Arc<Mutex<Option<(Counts, Counts)>>>;

/// Blocks without end but for their number; read on the analysis thread, whose allocations it notes.
struct Noting {
    blocks: Blocks,
    left: u64,
    at: SampleIndex,
    format: StreamFormat,
    asked: Asked,
}

impl Source for Noting {
    fn format(&self) -> StreamFormat {
        self.format
    }

    fn length(&self) -> Option<u64> {
        None
    }

    fn read<'b>(&mut self, buffer: &'b mut [f32]) -> Result<Option<Block<'b>>, IoError> {
        let now = so_far();
        if let Ok(mut asked) = self.asked.lock() {
            asked.get_or_insert((now, now)).1 = now;
        }
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let interleaved = self.blocks.next(buffer);
        let at = self.at;
        self.at += interleaved.len() as u64 / 2;
        Ok(Some(Block { at, interleaved }))
    }
}

fn at_full_speed(
    song: Vec<f32>,
    rate: SampleRate,
    blocks: u64,
) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let asked = Asked::default();
    let source = Noting {
        blocks: Blocks::new(song, 1..=128),
        left: blocks,
        at: SampleIndex(0),
        format: StreamFormat::stereo(rate),
        asked: Arc::clone(&asked),
    };
    let input = Input::at_full_speed(source);
    let config = all(&input);
    let start = Instant::now();
    let mut pipeline = Pipeline::builder(config).listen("events", |_: &Event| {}).start(input)?;
    let status = pipeline.wait();
    let seconds = rate.seconds(status.samples);
    let counts = asked.lock().ok().and_then(|asked| *asked);
    let (first, last) = counts.ok_or("nothing was read")?;
    let (allocations, frees) = (last.allocations - first.allocations, last.frees - first.frees);
    println!(
        "{blocks} blocks, {seconds:.0} s of sound at {:.0} × real time: the analysis thread asked for memory {allocations} times and gave back {frees} times; {} events missed",
        seconds / start.elapsed().as_secs_f64(),
        status.listeners[0].dropped,
    );
    let clean = (allocations, frees, status.listeners[0].dropped) == (0, 0, 0);
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
