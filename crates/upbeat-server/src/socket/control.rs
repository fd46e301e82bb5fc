//! The connection that asks about streams, and changes them.

use std::sync::Arc;

use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::response::Response;
use futures_util::StreamExt;
use futures_util::stream::SplitStream;
use serde::Deserialize;
use serde_json::{Value, json};

use super::throttle::Throttle;
use super::{Ended, Received, configure, read, refuse, write};
use crate::http::App;
use crate::message::{Problem, text};
use crate::registry::check_id;
use crate::stream::{Command, Outbox, options};

pub(crate) async fn control(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    upgrade: WebSocketUpgrade,
) -> Response {
    configure(upgrade, &app.limits).max_message_size(64 << 10).on_upgrade(async move |socket| {
        let _open = app.count_socket();
        match check_id(&id) {
            Ok(()) => serve(&app, &id, socket).await,
            Err(problem) => refuse(socket, &problem, 1008).await,
        }
    })
}

async fn serve(app: &App, id: &str, socket: WebSocket) {
    let outbox = Arc::new(Outbox::default());
    let mut shutdown = app.shutdown.subscribe();
    let (sink, mut source) = socket.split();
    let mut writer = std::pin::pin!(write(sink, &outbox, 0, app.limits.idle / 3));
    tokio::select! {
        () = &mut writer => return,
        end = listen(app, id, &outbox, &mut source) => match end {
            Ended::Closed => return,
            Ended::Silent => outbox.close(1001, "idle"),
            Ended::Broken(code, message) => {
                outbox.answer(text(&Problem::new(code, message)));
                outbox.close(1008, code);
            }
        },
        _ = shutdown.wait_for(|down| *down) => outbox.close(1001, "the server ends"),
    }
    let _ = tokio::time::timeout(std::time::Duration::from_millis(500), writer).await;
}

async fn listen(
    app: &App,
    id: &str,
    outbox: &Arc<Outbox>,
    source: &mut SplitStream<WebSocket>,
) -> Ended {
    let mut throttle = Throttle::new(&app.limits);
    loop {
        let message = match read(source, app.limits.idle).await {
            Err(end) => return end,
            Ok(Received::Binary(_)) => None,
            Ok(Received::Text(message)) => Some(message),
        };
        throttle.pass(message.as_ref().map_or(0, |message| message.len())).await;
        let answer = match message {
            Some(message) => answer(app, id, outbox, &message),
            None => json!(Problem::new("invalid_command", "commands are JSON text")),
        };
        outbox.answer(text(&answer));
    }
}

/// What a client can ask for.
#[derive(Deserialize)]
struct Request {
    command: String,
    /// Another stream than that of the connection.
    stream_id: Option<String>,
    /// For `set_features`: names, as a list or separated by commas.
    features: Option<Features>,
    /// For `set_rate`.
    rate: Option<f32>,
    /// Sent back with the answer.
    #[serde(rename = "request")]
    number: Option<u64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Features {
    Line(String),
    List(Vec<String>),
}

fn answer(app: &App, id: &str, outbox: &Arc<Outbox>, message: &str) -> Value {
    let request: Request = match serde_json::from_str(message) {
        Ok(request) => request,
        Err(error) => {
            let message = format!("a command is JSON like {{\"command\":\"get_stats\"}}: {error}");
            return json!(Problem::new("invalid_command", message));
        }
    };
    let mut answer = match obey(app, id, outbox, &request) {
        Ok(answer) => answer,
        Err(problem) => json!(problem),
    };
    if let Some(number) = request.number {
        answer["request"] = number.into();
    }
    answer
}

fn obey(app: &App, id: &str, outbox: &Arc<Outbox>, request: &Request) -> Result<Value, Problem> {
    let Request { command, stream_id, features, rate, .. } = request;
    if command == "list_streams" {
        let streams: Vec<_> = app.registry.list().iter().map(|stream| stream.stats()).collect();
        return Ok(json!({ "type": "streams", "streams": streams }));
    }
    let stream = || app.registry.find(stream_id.as_deref().unwrap_or(id));
    match command.as_str() {
        "get_stats" => {
            let mut stats = json!(stream()?.stats());
            stats["type"] = "stats".into();
            return Ok(stats);
        }
        "reset_analysis" => stream()?.command(Command::Reset)?,
        "pause" => stream()?.pause(true),
        "resume" => stream()?.pause(false),
        "set_features" => {
            let names = match features {
                Some(Features::Line(names)) => names.clone(),
                Some(Features::List(names)) => names.join(","),
                None => return Err(missing("set_features needs features, a list of names")),
            };
            stream()?.command(Command::SetFeatures(options::extra(&names)?))?;
        }
        "set_rate" => {
            let rate =
                rate.ok_or_else(|| missing("set_rate needs rate, a number from 1 to 100"))?;
            stream()?.command(Command::SetRate(options::analyses(rate)?))?;
        }
        "subscribe" => stream()?.watch(outbox),
        _ => {
            let message = "commands are get_stats, list_streams, reset_analysis, pause, resume, \
                           set_features, set_rate and subscribe";
            return Err(Problem::new("unknown_command", message));
        }
    }
    Ok(json!({ "type": "done", "command": command }))
}

fn missing(what: &str) -> Problem {
    Problem::new("invalid_command", what)
}
