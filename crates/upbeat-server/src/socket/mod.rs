//! WebSocket connections.

mod audio;
mod control;
mod throttle;

use std::pin::pin;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::Limits;
use crate::message::{Problem, text};
use crate::stream::{Next, Outbox};

pub(crate) use audio::audio;
pub(crate) use control::control;

/// How long the client's system may take to accept a message before the connection counts as dead.
const WRITE: Duration = Duration::from_secs(10);

/// Messages of up to the limit, written as soon as they are there.
fn configure(upgrade: WebSocketUpgrade, limits: &Limits) -> WebSocketUpgrade {
    upgrade
        .max_message_size(limits.message)
        .max_frame_size(limits.message)
        .read_buffer_size(16 << 10)
        .write_buffer_size(0)
        .max_write_buffer_size(1 << 20)
}

/// Tells why there will be no conversation, and ends it.
async fn refuse(mut socket: WebSocket, problem: &Problem, code: u16) {
    let _ = timeout(WRITE, async {
        socket.send(Message::Text(text(problem))).await?;
        let reason = problem.code.into();
        socket.send(Message::Close(Some(CloseFrame { code, reason }))).await
    })
    .await;
}

/// Sends what is in the outbox until it is closed or the client is gone; pings in between.
async fn write(
    mut sink: SplitSink<WebSocket, Message>,
    outbox: &Outbox,
    connection: u64,
    ping: Duration,
) {
    let mut pings = interval(ping);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings.tick().await;
    loop {
        let message = match outbox.next(connection) {
            Next::Text(text) => Message::Text(text),
            Next::Close(frame) => {
                let _ = timeout(WRITE, sink.send(Message::Close(Some(frame)))).await;
                return;
            }
            Next::Replaced => {
                let reason = "another connection has resumed the stream".into();
                let frame = CloseFrame { code: 1008, reason };
                let _ = timeout(WRITE, sink.send(Message::Close(Some(frame)))).await;
                return;
            }
            Next::Wait => tokio::select! {
                () = outbox.filled() => continue,
                _ = pings.tick() => Message::Ping(axum::body::Bytes::new()),
            },
        };
        if !matches!(timeout(WRITE, sink.send(message)).await, Ok(Ok(()))) {
            return;
        }
    }
}

/// Takes what the client still sends until it closes, too: data that nobody reads would make the system reset the
/// connection, and with it the last messages could be lost.
async fn drain(source: &mut SplitStream<WebSocket>) {
    let _ =
        timeout(Duration::from_secs(1), async { while let Some(Ok(_)) = source.next().await {} })
            .await;
}

/// What a client has sent.
enum Received {
    Text(axum::extract::ws::Utf8Bytes),
    Binary(axum::body::Bytes),
}

/// Why nothing more comes.
enum Ended {
    Closed,
    Silent,
    Broken(&'static str, String),
}

/// The next message; pongs only show that the client is there.
async fn read(source: &mut SplitStream<WebSocket>, idle: Duration) -> Result<Received, Ended> {
    loop {
        let next = pin!(source.next());
        return match timeout(idle, next).await {
            Err(_) => Err(Ended::Silent),
            Ok(None | Some(Ok(Message::Close(_)))) => Err(Ended::Closed),
            Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => continue,
            Ok(Some(Ok(Message::Text(text)))) => Ok(Received::Text(text)),
            Ok(Some(Ok(Message::Binary(bytes)))) => Ok(Received::Binary(bytes)),
            Ok(Some(Err(error))) => {
                let text = error.to_string();
                let code = match &text {
                    text if text.contains("too long") || text.contains("too big") => {
                        "message_too_large"
                    }
                    text if text.contains("UTF-8") || text.contains("utf-8") => "invalid_text",
                    _ => "protocol_error",
                };
                Err(Ended::Broken(code, text))
            }
        };
    }
}
