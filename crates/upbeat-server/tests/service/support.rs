//! A server on a free port, and clients for it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use upbeat_server::wire::{Frame, SampleFormat};
use upbeat_server::{Config, Error, Server};

/// Long enough for a machine that is busy with other tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    stop: oneshot::Sender<()>,
    server: JoinHandle<Result<(), Error>>,
}

pub(crate) async fn start() -> Running {
    start_with(|_| {}).await
}

pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Running {
    let mut config = Config::default();
    config.address = SocketAddr::from(([127, 0, 0, 1], 0));
    config.threads = Some(2);
    // On a busy machine, too, all that is asked for is to be there.
    config.level = Some(upbeat::perf::QualityLevel::Maximum);
    change(&mut config);
    let server = Server::bind(&config).await.expect("a free port");
    let address = server.address();
    let (stop, stopped) = oneshot::channel();
    let stopped = async {
        let _ = stopped.await;
    };
    Running { address, stop, server: tokio::spawn(server.run(stopped)) }
}

impl Running {
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(());
        let result = timeout(PATIENCE, self.server).await.expect("the server ends");
        result.expect("no panic").expect("no error");
    }

    pub(crate) fn ask_to_stop(self) -> JoinHandle<Result<(), Error>> {
        let _ = self.stop.send(());
        self.server
    }

    pub(crate) async fn connect(&self, path: &str) -> Client {
        self.try_connect(path, &[]).await.expect("a WebSocket")
    }

    /// The status if the server does not want to talk.
    pub(crate) async fn try_connect(
        &self,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Client, u16> {
        use tokio_tungstenite::tungstenite::Error;
        use tokio_tungstenite::tungstenite::client::IntoClientRequest;

        let url = format!("ws://{}/api/v1/stream/{path}", self.address);
        let mut request = url.into_client_request().expect("a URL");
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().expect("a header"));
        }
        let connecting = tokio_tungstenite::connect_async(request);
        match timeout(PATIENCE, connecting).await.expect("an answer") {
            Ok((socket, _)) => Ok(Client { socket, skipped: Vec::new() }),
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[], b"").await
    }

    pub(crate) async fn post(&self, path: &str, body: &[u8]) -> Answer {
        self.request("POST", path, &[], body).await
    }

    pub(crate) async fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let host = self.address.to_string();
        let length = body.len().to_string();
        let mut lines = vec![("Connection", "close"), ("Content-Length", &length)];
        if !headers.iter().any(|(name, _)| *name == "Host") {
            lines.push(("Host", &host));
        }
        lines.extend(headers);
        let lines: Vec<_> =
            lines.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = format!("{method} {path} HTTP/1.1\r\n{}\r\n", lines.concat());
        self.send(&head, body).await
    }

    /// A body that is in chunks already.
    pub(crate) async fn chunked(&self, path: &str, body: &[u8]) -> Answer {
        let host = self.address;
        let head = format!(
            "POST {path} HTTP/1.1\r\nConnection: close\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        self.send(&head, body).await
    }

    async fn send(&self, head: &str, body: &[u8]) -> Answer {
        let mut socket = TcpStream::connect(self.address).await.expect("a connection");
        socket.write_all(head.as_bytes()).await.expect("the head is sent");
        // The server may answer, and close, before it has read all.
        let _ = socket.write_all(body).await;
        let mut answer = Vec::new();
        let _ = timeout(PATIENCE, socket.read_to_end(&mut answer)).await.expect("an answer");
        Answer::parse(&answer)
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    fn parse(answer: &[u8]) -> Self {
        let end = answer.windows(4).position(|w| w == b"\r\n\r\n").expect("a whole head");
        let head = String::from_utf8_lossy(&answer[..end]).into_owned();
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).expect("a status");
        let headers: HashMap<_, _> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let mut body = answer[end + 4..].to_vec();
        if headers.get("transfer-encoding").is_some_and(|encoding| encoding == "chunked") {
            body = dechunk(&body);
        }
        Self { status: status.parse().expect("a number"), headers, body }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }
}

fn dechunk(mut body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(end) = body.windows(2).position(|w| w == b"\r\n") {
        let size = std::str::from_utf8(&body[..end]).expect("a size");
        let size = usize::from_str_radix(size, 16).expect("a size");
        out.extend_from_slice(&body[end + 2..][..size]);
        body = &body[end + 2 + size + 2..];
    }
    out
}

pub(crate) struct Client {
    pub(crate) socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// What came while something else was waited for.
    pub(crate) skipped: Vec<Value>,
}

impl Client {
    pub(crate) async fn say(&mut self, message: Value) {
        self.text(&message.to_string()).await;
    }

    pub(crate) async fn text(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.expect("the server listens");
    }

    pub(crate) async fn bytes(&mut self, bytes: Vec<u8>) {
        self.socket.send(Message::binary(bytes)).await.expect("the server listens");
    }

    /// Sends samples as 32-bit floats.
    pub(crate) async fn play(&mut self, samples: &[f32]) {
        self.bytes(samples.iter().flat_map(|x| x.to_le_bytes()).collect()).await;
    }

    /// Sends a frame of one channel.
    pub(crate) async fn frame(&mut self, sequence: u32, first_sample: u64, samples: &[f32]) {
        let payload: Vec<u8> = samples.iter().flat_map(|x| x.to_le_bytes()).collect();
        let frame = Frame {
            stream: 1,
            sequence,
            first_sample,
            sample_rate: 44_100,
            channels: 1,
            format: SampleFormat::F32,
            payload: &payload,
        };
        self.bytes(frame.to_bytes()).await;
    }

    /// The next message; `None` once the server has closed the connection.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        let message = async {
            loop {
                match self.socket.next().await? {
                    Ok(Message::Text(text)) => break Some(text),
                    Ok(Message::Close(_)) | Err(_) => break None,
                    Ok(_) => {}
                }
            }
        };
        let text = timeout(PATIENCE, message).await.expect("a message")?;
        Some(serde_json::from_str(&text).expect("JSON"))
    }

    /// The next message of a type.
    pub(crate) async fn wait(&mut self, kind: &str) -> Value {
        loop {
            let message = self.next().await;
            let message = message.unwrap_or_else(|| panic!("closed before {kind}"));
            if message["type"] == kind {
                return message;
            }
            self.skipped.push(message);
        }
    }

    /// Everything up to the end.
    pub(crate) async fn rest(&mut self) -> Vec<Value> {
        let mut rest = std::mem::take(&mut self.skipped);
        while let Some(message) = self.next().await {
            rest.push(message);
        }
        rest
    }

    /// Ends the stream, and gives everything that it has told.
    pub(crate) async fn finish(&mut self) -> Vec<Value> {
        self.say(serde_json::json!({ "type": "stop" })).await;
        self.rest().await
    }
}

pub(crate) fn of<'a>(messages: &'a [Value], kind: &str) -> Vec<&'a Value> {
    messages.iter().filter(|message| message["type"] == kind).collect()
}

/// 440 Hz at 44.1 kHz with a click at every half second but the first.
pub(crate) fn sound(seconds: f32) -> Vec<f32> {
    let step = 440.0 * std::f32::consts::TAU / 44_100.0;
    let length = (seconds * 44_100.0) as usize;
    let mut sound: Vec<_> = (0..length).map(|n| 0.1 * (n as f32 * step).sin()).collect();
    sound.iter_mut().step_by(22_050).skip(1).for_each(|x| *x = 0.9);
    sound
}
