//! The connection that brings a stream's audio.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::extract::{Path, Query, State};
use axum::response::Response;
use futures_util::StreamExt;
use futures_util::stream::SplitStream;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::throttle::Throttle;
use super::{Ended, Received, configure, drain, read, refuse, write};
use crate::http::App;
use crate::message::{Problem, text};
use crate::stream::{Options, Stream};

pub(crate) async fn audio(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    options: Result<Query<Options>, QueryRejection>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let options = options.map(|Query(options)| options);
    let options = options.map_err(|error| Problem::new("invalid_setting", error.body_text()));
    configure(upgrade, &app.limits).on_upgrade(async move |socket| {
        let _open = app.count_socket();
        match options.and_then(|options| open(&app, &id, &options)) {
            Ok(opened) => serve(&app, opened, socket).await,
            Err(problem) => {
                let code = if problem.code == "too_many_streams" { 1013 } else { 1008 };
                refuse(socket, &problem, code).await;
            }
        }
    })
}

/// A stream, the number of its connection, and whether it has had one before.
struct Opened {
    stream: Arc<Stream>,
    generation: u64,
    resumed: bool,
}

fn open(app: &App, id: &str, options: &Options) -> Result<Opened, Problem> {
    let token = options.resume.as_deref();
    let known = app.registry.get(id);
    let resumed = known.is_some();
    let stream = match known {
        Some(stream) => stream,
        // A token for a stream that is gone: its owner starts anew, and is told by `resumed: false`.
        None => app.registry.start(id, options.settings()?)?,
    };
    let attached = if resumed { stream.attach(token) } else { stream.attach(Some(&stream.token)) };
    let generation = attached.ok_or_else(|| {
        let message = "another connection owns this stream; resume it with its resume_token";
        Problem::new("stream_exists", message)
    })?;
    Ok(Opened { resumed: resumed && generation > 1, stream, generation })
}

async fn serve(app: &App, opened: Opened, socket: WebSocket) {
    let Opened { stream, generation, resumed } = opened;
    let mut generations = stream.generations();
    let mut shutdown = app.shutdown.subscribe();
    stream.outbox.answer(text(&stream.describe(resumed)));
    let (sink, mut source) = socket.split();
    let mut writer = std::pin::pin!(write(sink, &stream.outbox, generation, app.limits.idle / 3));
    let end = tokio::select! {
        () = &mut writer => End::Written,
        end = listen(app, &stream, &mut source) => End::Client(end),
        () = async { drop(generations.wait_for(|newest| *newest != generation).await) } => End::Replaced,
        () = async { drop(shutdown.wait_for(|down| *down).await) } => End::Shutdown,
    };
    match end {
        End::Client(Ended::Broken(code, message)) => {
            stream.outbox.answer(text(&Problem::new(code, message)));
        }
        End::Client(Ended::Silent) => {
            let message = "nothing has come for too long; resume the stream with its resume_token";
            stream.outbox.answer(text(&Problem::new("idle", message)));
        }
        End::Client(Ended::Closed) => {
            stream.detach(generation);
            return;
        }
        End::Written => {
            stream.detach(generation);
            drain(&mut source).await;
            return;
        }
        // The writer tells it, and ends.
        End::Replaced => return writer.await,
        End::Shutdown => {
            // What has come is analysed and told, then the writer ends.
            stream.go_away();
            let _ = timeout(super::WRITE, writer).await;
            drain(&mut source).await;
            return;
        }
    }
    // The answer goes out if the client still takes anything; the stream waits to be resumed.
    let _ = timeout(Duration::from_millis(500), writer).await;
    stream.detach(generation);
}

/// Why a connection ends.
enum End {
    /// All is told, or the client takes nothing any more.
    Written,
    Client(Ended),
    /// Another connection has come with the token.
    Replaced,
    Shutdown,
}

/// Takes what the client sends, until it ends.
async fn listen(app: &App, stream: &Arc<Stream>, source: &mut SplitStream<WebSocket>) -> Ended {
    let mut throttle = Throttle::new(&app.limits);
    loop {
        let result = match read(source, app.limits.idle).await {
            Err(end) => return end,
            Ok(Received::Binary(bytes)) => {
                throttle.pass(bytes.len()).await;
                stream.receive(&bytes)
            }
            Ok(Received::Text(message)) => {
                throttle.pass(message.len()).await;
                converse(stream, &message)
            }
        };
        if let Err(problem) = result {
            // If there is no room the client does not read, and has been told enough.
            stream.outbox.answer(text(&problem));
        }
    }
}

/// Text messages of an audio connection.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Said {
    /// Messages up to this number have come.
    Ack { sequence: u64 },
    /// For the round trip; `time` is sent back.
    Ping { time: Value },
    /// The stream is at its end.
    Stop,
}

fn converse(stream: &Arc<Stream>, message: &str) -> Result<(), Problem> {
    let said = serde_json::from_str(message).map_err(|error| {
        let message = format!("text must be JSON of type ack, ping or stop: {error}");
        Problem::new("invalid_message", message)
    })?;
    match said {
        Said::Ack { sequence } => stream.outbox.acknowledged(sequence),
        Said::Ping { time: time @ (Value::Null | Value::Number(_) | Value::Bool(_)) } => {
            stream.outbox.answer(text(&json!({ "type": "pong", "time": time })));
        }
        Said::Ping { .. } => {
            return Err(Problem::new("invalid_message", "time must be a number"));
        }
        Said::Stop => stream.end(),
    }
    Ok(())
}
