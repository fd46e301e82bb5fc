//! Sends a sound file, or the demo song, to a running server in real time, and prints what it hears.
//!
//! ```sh
//! cargo run --release -p upbeat-server &
//! cargo run --release -p upbeat-server --example client -- [--fast] [--server ws://127.0.0.1:8000] [FILE]
//! ```

use std::error::Error;
use std::time::Duration;

use clap::Parser;
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use upbeat::core::SampleRate;
use upbeat::io::demo::DemoSource;
use upbeat::io::{FileSource, Source};
use upbeat_server::wire::{Frame, SampleFormat};

/// A client of the server.
#[derive(Parser)]
struct Arguments {
    /// A sound file; the demo song if none is given
    file: Option<String>,
    /// Where the server is
    #[arg(long, default_value = "ws://127.0.0.1:8000")]
    server: String,
    /// The stream's name
    #[arg(long, default_value = "rust-client")]
    name: String,
    /// As fast as the server can, instead of in real time
    #[arg(long)]
    fast: bool,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { file, server, name, fast } = Arguments::parse();
    let mut source: Box<dyn Source> = match file {
        Some(file) => Box::new(FileSource::open(file)?),
        None => Box::new(DemoSource::new(SampleRate::new(44_100)?)?),
    };
    let (rate, channels) = (source.format().sample_rate(), source.format().channels());
    let hz = rate.hz();
    let url = format!(
        "{server}/api/v1/stream/audio/{name}?framing=framed&sample_rate={hz}&channels={channels}"
    );
    let (mut socket, _) = connect_async(url).await?;
    let mut buffer = vec![0.0; hz as usize / 50 * channels]; // 20 ms
    let start = Instant::now();
    let (mut sequence, mut room) = (0, 0);
    let mut at_end = false;
    let mut due = start;
    loop {
        // Send what is due and what the server has room for; take in what it tells meanwhile.
        tokio::select! {
            biased;
            message = socket.next() => {
                let Some(message) = message else { break };
                let Message::Text(text) = message? else { continue };
                let message: Value = serde_json::from_str(&text)?;
                match message["type"].as_str() {
                    Some("stream_started") => room = message["credit"].as_u64().unwrap_or(0),
                    Some("ack") => {
                        let of = |name: &str| message[name].as_u64().unwrap_or(0);
                        room = of("analyzed") + of("credit");
                    }
                    Some("analysis") => {
                        if let Some(number) = message["sequence"].as_u64().filter(|n| n % 8 == 0) {
                            let ack = format!(r#"{{"type":"ack","sequence":{number}}}"#);
                            socket.send(Message::text(ack)).await?;
                        }
                    }
                    _ => println!("{message}"),
                }
            }
            () = sleep_until(due), if !at_end && due.elapsed() < Duration::from_secs(3600) => {
                let sent = if fast { 0.0 } else { 0.02 };
                if room == 0 {
                    due = Instant::now() + Duration::from_millis(5);
                    continue;
                }
                let Some(block) = source.read(&mut buffer)? else {
                    at_end = true;
                    socket.send(Message::text(r#"{"type":"stop"}"#)).await?;
                    continue;
                };
                let payload: Vec<u8> =
                    block.interleaved.iter().flat_map(|x| x.to_le_bytes()).collect();
                let frame = Frame {
                    stream: 1,
                    sequence,
                    first_sample: block.at.0,
                    sample_rate: hz,
                    channels: channels as u16,
                    format: SampleFormat::F32,
                    payload: &payload,
                };
                let end = block.at.0 + frame.samples();
                socket.send(Message::binary(frame.to_bytes())).await?;
                sequence += 1;
                due += Duration::from_secs_f64(sent);
                // As long as a whole block fits; else the next acknowledgement makes room.
                if end + frame.samples() > room {
                    room = 0;
                }
            }
        }
    }
    Ok(())
}
