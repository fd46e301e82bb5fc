//! How many streams a server carries in real time, what they cost, and how long answers take.
//!
//! ```sh
//! cargo bench -p upbeat-server --bench load                                        # 1 to 400 streams, 10 s each
//! cargo bench -p upbeat-server --bench load -- --streams 200 --seconds 30 --level maximum
//! cargo bench -p upbeat-server --bench load -- --streams 400,20 --seconds 20       # too many, then few
//! cargo bench -p upbeat-server --bench load -- --connects 10000                    # who come and go at once
//! ```
//!
//! Server and clients share this process and its processors, so that the figures are for both together. Each client sends
//! the demo song in blocks of 20 ms, in real time. The time of an analysis, or of an onset, is from when the block was
//! sent that has the last sample it needs, until it is there.

use std::collections::VecDeque;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use upbeat::core::SampleRate;
use upbeat::perf::QualityLevel;
use upbeat_server::wire::{Frame, SampleFormat};
use upbeat_server::{Config, Server};

type Failure = Box<dyn Error + Send + Sync>;

#[derive(Parser)]
struct Arguments {
    /// Streams at once, one run for each number
    #[arg(long, value_delimiter = ',', default_value = "1,10,50,100,200,400")]
    streams: Vec<usize>,
    /// Seconds of each run
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Threads that analyse
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// How much is computed; otherwise as much as can be done
    #[arg(long)]
    level: Option<String>,
    /// Connections that are opened and dropped, beside one stream
    #[arg(long, default_value_t = 0)]
    connects: usize,
    /// As `cargo bench` says; without it, everything is run for a moment only, as a test
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<(), Failure> {
    let mut arguments = Arguments::parse();
    if !arguments.bench {
        (arguments.streams, arguments.seconds, arguments.connects) = (vec![2], 1, 20);
    }
    let named =
        |name: &String| QualityLevel::ALL.into_iter().find(|l| l.name().eq_ignore_ascii_case(name));
    let level = arguments.level.as_ref().and_then(named);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let clients =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let mut config = Config::default();
    config.address = SocketAddr::from(([127, 0, 0, 1], 0));
    config.threads = Some(arguments.threads);
    config.level = level;
    config.limits.streams = 1000;
    config.limits.connections = 4000;
    config.limits.resume = Duration::from_millis(500);
    let server = runtime.block_on(Server::bind(&config))?;
    let address = server.address();
    let running = runtime.spawn(server.run(std::future::pending()));
    let song = Arc::new(song()?);
    clients.block_on(async {
        if arguments.connects > 0 {
            come_and_go(address, arguments.connects, &song).await?;
        }
        println!(
            "{:>7} {:>9} {:>9} {:>19} {:>19} {:>9} {:>8}",
            "streams",
            "processor",
            "analysis",
            "analysis p50/p99 ms",
            "onset p50/p99 ms",
            "lost",
            "level"
        );
        for (run, streams) in arguments.streams.iter().enumerate() {
            measure(address, run, *streams, &arguments, &song).await?;
        }
        Ok::<(), Failure>(())
    })?;
    running.abort();
    Ok(())
}

/// The demo song in one channel.
fn song() -> Result<Vec<f32>, Failure> {
    let song = upbeat::io::demo::song(SampleRate::new(44_100)?)?;
    let channels = song.format.channels();
    Ok(song.interleaved.chunks(channels).map(|c| c.iter().sum::<f32>() / channels as f32).collect())
}

async fn measure(
    address: SocketAddr,
    run: usize,
    streams: usize,
    arguments: &Arguments,
    song: &Arc<Vec<f32>>,
) -> Result<(), Failure> {
    let (cpu, busy, start) = (processor_time(), busy(address).await?, Instant::now());
    let seconds = arguments.seconds;
    let clients: Vec<_> = (0..streams)
        .map(|i| tokio::spawn(client(address, format!("load-{run}-{i}"), i, seconds, song.clone())))
        .collect();
    let mut all = Told::default();
    for client in clients {
        all.add(client.await??);
    }
    let elapsed = start.elapsed().as_secs_f64();
    let cpu = (processor_time() - cpu) / elapsed;
    let busy = (self::busy(address).await? - busy) / elapsed;
    println!(
        "{streams:>7} {:>7.2} s {:>7.2} s {:>19} {:>19} {:>9} {:>8}",
        cpu,
        busy,
        quantiles(&mut all.analyses),
        quantiles(&mut all.onsets),
        all.lost,
        all.level
    );
    Ok(())
}

#[derive(Default)]
struct Told {
    analyses: Vec<f64>,
    onsets: Vec<f64>,
    lost: u64,
    level: String,
}

impl Told {
    fn add(&mut self, other: Self) {
        self.analyses.extend(other.analyses);
        self.onsets.extend(other.onsets);
        self.lost += other.lost;
        self.level = other.level;
    }
}

fn quantiles(times: &mut [f64]) -> String {
    times.sort_by(f64::total_cmp);
    let at = |q: f64| times.get((q * times.len() as f64) as usize).map_or(f64::NAN, |t| t * 1e3);
    format!("{:.1} / {:.1}", at(0.5), at(0.99))
}

/// Sends for some seconds, and measures how long answers take.
async fn client(
    address: SocketAddr,
    name: String,
    number: usize,
    seconds: u64,
    song: Arc<Vec<f32>>,
) -> Result<Told, Failure> {
    const BLOCK: usize = 882;
    // Not all at the same moment.
    tokio::time::sleep(Duration::from_micros(number as u64 * 2357 % 100_000)).await;
    let url = format!("ws://{address}/api/v1/stream/audio/{name}?framing=framed");
    let (mut socket, _) = connect_async(url).await?;
    let mut ticks = interval(Duration::from_millis(20));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut sent: VecDeque<(u64, Instant)> = VecDeque::new();
    let (mut told, mut blocks) = (Told::default(), 0_u64);
    let mut payload = Vec::with_capacity(4 * BLOCK);
    loop {
        tokio::select! {
            _ = ticks.tick(), if blocks <= seconds * 50 => {
                if blocks == seconds * 50 {
                    socket.send(Message::text(r#"{"type":"stop"}"#)).await?;
                    blocks += 1;
                    continue;
                }
                payload.clear();
                let first = blocks as usize * BLOCK + number * 9973;
                for i in 0..BLOCK {
                    payload.extend(song[(first + i) % song.len()].to_le_bytes());
                }
                let frame = Frame {
                    stream: 1,
                    sequence: blocks as u32,
                    first_sample: blocks * BLOCK as u64,
                    sample_rate: 44_100,
                    channels: 1,
                    format: SampleFormat::F32,
                    payload: &payload,
                };
                blocks += 1;
                sent.push_back((blocks * BLOCK as u64, Instant::now()));
                socket.send(Message::binary(frame.to_bytes())).await?;
            }
            message = socket.next() => {
                let Some(Ok(Message::Text(text))) = message else {
                    match message {
                        Some(Ok(Message::Close(_))) | None => break,
                        Some(Err(error)) => return Err(error.into()),
                        Some(Ok(_)) => continue,
                    }
                };
                if text.starts_with(r#"{"type":"ack""#) {
                    continue;
                }
                hear(&serde_json::from_str(&text)?, &mut sent, &mut told);
            }
        }
    }
    Ok(told)
}

fn hear(message: &Value, sent: &mut VecDeque<(u64, Instant)>, told: &mut Told) {
    let since = |sample: u64| {
        sent.iter().find(|(end, _)| *end >= sample).map(|(_, at)| at.elapsed().as_secs_f64())
    };
    match message["type"].as_str() {
        Some("analysis") => {
            let sample = message["sample"].as_u64().unwrap_or(0);
            told.analyses.extend(since(sample));
            while sent.front().is_some_and(|(end, _)| *end + 44_100 < sample) {
                sent.pop_front();
            }
            message["level"].as_str().unwrap_or("?").clone_into(&mut told.level);
        }
        Some("onset") => {
            let heard = message["heard"].as_f64().unwrap_or(0.0) * 44_100.0;
            told.onsets.extend(since(heard.round() as u64));
        }
        Some("gap") => told.lost += message["lost"].as_u64().unwrap_or(0),
        _ => {}
    }
}

/// Clients that connect, begin a stream, and vanish; one stream beside them must not notice.
async fn come_and_go(
    address: SocketAddr,
    count: usize,
    song: &Arc<Vec<f32>>,
) -> Result<(), Failure> {
    let memory = memory();
    let witness = tokio::spawn(client(address, "witness".into(), 0, 5, song.clone()));
    let (start, mut refused) = (Instant::now(), 0);
    for i in 0..count {
        let mut socket = TcpStream::connect(address).await?;
        let request = format!(
            "GET /api/v1/stream/audio/guest-{i} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        socket.write_all(request.as_bytes()).await?;
        let mut answer = [0; 12];
        let read = timeout(Duration::from_secs(10), socket.read_exact(&mut answer)).await?;
        refused += usize::from(read.is_err() || &answer != b"HTTP/1.1 101");
    }
    let took = start.elapsed().as_secs_f64();
    let mut told = witness.await??;
    println!(
        "{count} connections in {took:.1} s, {refused} refused; beside them a stream lost {} samples, answers {} ms; \
         memory grew by {} MB",
        told.lost,
        quantiles(&mut told.analyses),
        self::memory().saturating_sub(memory) >> 20
    );
    Ok(())
}

/// Seconds that the server's threads have spent in analysis.
async fn busy(address: SocketAddr) -> Result<f64, Failure> {
    let mut socket = TcpStream::connect(address).await?;
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await?;
    let line = answer.lines().find_map(|l| l.strip_prefix("upbeat_analysis_busy_seconds_total "));
    Ok(line.ok_or("no such metric")?.parse()?)
}

/// Seconds of processor time of this process, where the system tells.
fn processor_time() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok()).unwrap_or(f64::NAN);
    (ticks(11) + ticks(12)) / 100.0
}

/// Bytes of memory of this process, where the system tells.
fn memory() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    pages.split(' ').nth(1).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) * 4096
}
