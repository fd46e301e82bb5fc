//! What a monitoring system collects.

use std::fmt::{Display, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

use super::App;
use crate::histogram::Histogram;
use crate::message::Problem;

/// Measurements for Prometheus
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "server",
    responses(
        (status = 200, description = "Prometheus' text format", body = String, content_type = "text/plain"),
        (status = 401, description = "A token is needed", body = Problem),
        (status = 403, description = "Not for this site", body = Problem),
    )
)]
pub(super) async fn metrics(State(app): State<Arc<App>>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], render(&app))
}

fn render(app: &App) -> String {
    let totals = app.registry.totals();
    let mut out = String::new();
    let mut put = |kind: &str, name: &str, help: &str, value: &dyn Display| {
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "# HELP upbeat_{name} {help}\n# TYPE upbeat_{name} {kind}\nupbeat_{name} {value}"
        );
    };
    put("gauge", "streams", "Streams, resumable ones included.", &app.registry.len());
    put("gauge", "analysis_threads", "Threads that analyse.", &app.pool.threads());
    put("gauge", "analysis_waiting", "Pieces of work that wait for a thread.", &app.pool.waiting());
    put("gauge", "uptime_seconds", "Since the start.", &app.started.elapsed().as_secs_f64());
    let mut count = |name: &str, help: &str, value: &dyn Display| put("counter", name, help, value);
    let started = app.registry.started.load(Ordering::Relaxed);
    count("streams_started_total", "Streams started.", &started);
    count("analysis_busy_seconds_total", "Time of all threads in analysis.", &app.pool.busy());
    count(
        "panics_total",
        "Streams and uploads lost to a fault of the analysis.",
        &app.pool.panics(),
    );
    count("messages_received_total", "Messages with audio.", &totals.messages_received);
    count("messages_invalid_total", "Messages that were no audio.", &totals.messages_invalid);
    count("bytes_received_total", "Bytes of audio.", &totals.bytes_received);
    count("samples_received_total", "Samples per channel.", &totals.samples_received);
    count("samples_analyzed_total", "Samples per channel.", &totals.samples_analyzed);
    count(
        "samples_overflowed_total",
        "Samples dropped because too many waited.",
        &totals.samples_overflowed,
    );
    count("samples_lost_total", "Samples that were missing, for any reason.", &totals.samples_lost);
    count("gaps_total", "Interruptions.", &totals.gaps);
    count("messages_sent_total", "Messages sent.", &totals.messages_sent);
    count(
        "messages_dropped_total",
        "Messages that clients did not read.",
        &totals.messages_dropped,
    );
    summary(&mut out, "analysis_seconds", "Analysis of one piece of audio.", &totals.analysis);
    summary(
        &mut out,
        "latency_seconds",
        "From a message's arrival to the answer.",
        &totals.latency,
    );
    out
}

fn summary(out: &mut String, name: &str, help: &str, histogram: &Histogram) {
    let _ = writeln!(out, "# HELP upbeat_{name} {help}\n# TYPE upbeat_{name} summary");
    for q in [0.5, 0.9, 0.99] {
        let value = histogram.quantile(q).map_or(f64::NAN, |ms| ms * 1e-3);
        let _ = writeln!(out, "upbeat_{name}{{quantile=\"{q}\"}} {value}");
    }
    let (sum, count) = (histogram.sum(), histogram.count());
    let _ = writeln!(out, "upbeat_{name}_sum {sum}\nupbeat_{name}_count {count}");
}
