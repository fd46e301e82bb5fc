//! Streams over HTTP.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use tokio::time::timeout;
use utoipa::ToSchema;

use super::{App, Failure};
use crate::message::Problem;
use crate::stream::{Options, StreamStats};

type Answer<T> = Result<T, Failure>;

/// A stream that has been started.
#[derive(Serialize, ToSchema)]
pub(super) struct Started {
    stream_id: String,
    /// Where the audio goes, as a WebSocket.
    audio: String,
    /// Where the stream is controlled from, as a WebSocket.
    control: String,
    /// What resumes the stream after its connection was lost.
    resume_token: String,
    /// What the stream is, with all defaults filled in.
    settings: Value,
}

/// Starts a stream
///
/// To connect a WebSocket does so, too. The stream waits for its first connection as long as for one that
/// resumes it, 30 s if not configured otherwise.
#[utoipa::path(
    post,
    path = "/api/v1/stream/start/{stream_id}",
    tag = "streams",
    params(("stream_id" = String, Path, description = "1 to 64 letters, digits, '-' or '_'", pattern = "^[A-Za-z0-9_-]{1,64}$")),
    request_body(content = Option<Options>, description = "What the stream is to be; may be left out"),
    responses(
        (status = 201, description = "The stream waits for its audio", body = Started),
        (status = 400, description = "A setting or the name cannot work", body = Problem),
        (status = 401, description = "A token is needed", body = Problem),
        (status = 403, description = "Not for this site", body = Problem),
        (status = 409, description = "There is such a stream", body = Problem),
        (status = 413, description = "More than a setting can need"),
        (status = 503, description = "There are too many streams", body = Problem),
    )
)]
pub(super) async fn start(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    body: Bytes,
) -> Answer<(StatusCode, Json<Started>)> {
    let options = if body.is_empty() { Ok(None) } else { serde_json::from_slice(&body) };
    let options: Option<Options> =
        options.map_err(|error| Problem::new("invalid_setting", error.to_string()))?;
    let stream = app.registry.start(&id, options.unwrap_or_default().settings()?)?;
    let started = Started {
        audio: format!("/api/v1/stream/audio/{id}"),
        control: format!("/api/v1/stream/control/{id}"),
        resume_token: stream.token.clone(),
        settings: stream.settings.describe(),
        stream_id: id,
    };
    Ok((StatusCode::CREATED, Json(started)))
}

/// Ends a stream
///
/// What has come is analysed and told to its connection first.
#[utoipa::path(
    post,
    path = "/api/v1/stream/stop/{stream_id}",
    tag = "streams",
    params(("stream_id" = String, Path, description = "1 to 64 letters, digits, '-' or '_'", pattern = "^[A-Za-z0-9_-]{1,64}$")),
    responses(
        (status = 200, description = "How the stream has fared", body = StreamStats),
        (status = 400, description = "Not a name", body = Problem),
        (status = 401, description = "A token is needed", body = Problem),
        (status = 403, description = "Not for this site", body = Problem),
        (status = 404, description = "There is no such stream", body = Problem),
    )
)]
pub(super) async fn stop(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Answer<Json<StreamStats>> {
    let stream = app.registry.find(&id)?;
    let mut endings = stream.endings();
    stream.end();
    // Two seconds of audio wait at most; whoever stops it gets what is known by then.
    let _ = timeout(Duration::from_secs(10), endings.wait_for(|ended| *ended)).await;
    app.registry.sweep();
    Ok(Json(stream.stats()))
}

/// How a stream fares
#[utoipa::path(
    get,
    path = "/api/v1/stream/stats/{stream_id}",
    tag = "streams",
    params(("stream_id" = String, Path, description = "1 to 64 letters, digits, '-' or '_'", pattern = "^[A-Za-z0-9_-]{1,64}$")),
    responses(
        (status = 200, description = "How the stream fares", body = StreamStats),
        (status = 400, description = "Not a name", body = Problem),
        (status = 401, description = "A token is needed", body = Problem),
        (status = 403, description = "Not for this site", body = Problem),
        (status = 404, description = "There is no such stream", body = Problem),
    )
)]
pub(super) async fn stats(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Answer<Json<StreamStats>> {
    Ok(Json(app.registry.find(&id)?.stats()))
}

/// All streams.
#[derive(Serialize, ToSchema)]
pub(super) struct Streams {
    streams: Vec<StreamStats>,
}

/// All streams
#[utoipa::path(
    get,
    path = "/api/v1/stream/list",
    tag = "streams",
    responses(
        (status = 200, description = "All streams, by name", body = Streams),
        (status = 401, description = "A token is needed", body = Problem),
        (status = 403, description = "Not for this site", body = Problem),
    )
)]
pub(super) async fn list(State(app): State<Arc<App>>) -> Json<Streams> {
    let streams = app.registry.list().iter().map(|stream| stream.stats()).collect();
    Json(Streams { streams })
}

/// How the server fares.
#[derive(Serialize, ToSchema)]
pub(super) struct Health {
    /// `ok`, or `stopping`.
    status: &'static str,
    version: &'static str,
    /// Seconds since the server was started.
    uptime: f64,
    streams: usize,
    streams_max: usize,
    streams_started: u64,
    /// Threads that analyse.
    threads: usize,
    /// Pieces of work that wait for a thread.
    waiting: usize,
}

/// How the server fares
///
/// Asks for no token, for load balancers.
#[utoipa::path(
    get,
    path = "/api/v1/stream/health",
    tag = "server",
    responses(
        (status = 200, description = "The server runs", body = Health),
        (status = 403, description = "Not for this site", body = Problem),
    )
)]
pub(super) async fn health(State(app): State<Arc<App>>) -> Json<Health> {
    Json(Health {
        status: if *app.shutdown.borrow() { "stopping" } else { "ok" },
        version: env!("CARGO_PKG_VERSION"),
        uptime: app.started.elapsed().as_secs_f64(),
        streams: app.registry.len(),
        streams_max: app.limits.streams,
        streams_started: app.registry.started.load(Ordering::Relaxed),
        threads: app.pool.threads(),
        waiting: app.pool.waiting(),
    })
}
