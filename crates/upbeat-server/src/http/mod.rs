//! Everything that is asked over HTTP.

mod analyze;
mod api;
mod docs;
mod metrics;
mod page;

use std::sync::Arc;
use std::time::Instant;

use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use tokio::sync::{Semaphore, watch};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::access::{Access, guard};
use crate::message::Problem;
use crate::pool::Pool;
use crate::registry::Registry;
use crate::{Config, Limits, socket};

/// What all requests share.
pub(crate) struct App {
    pub(crate) limits: Limits,
    pub(crate) registry: Registry,
    pub(crate) pool: Arc<Pool>,
    pub(crate) uploads: Arc<Semaphore>,
    pub(crate) shutdown: watch::Sender<bool>,
    pub(crate) started: Instant,
    /// WebSockets that are open.
    sockets: watch::Sender<usize>,
}

impl App {
    pub(crate) fn new(config: &Config, pool: Arc<Pool>) -> Self {
        Self {
            limits: config.limits.clone(),
            registry: Registry::new(&config.limits, pool.scheduler()),
            pool,
            uploads: Arc::new(Semaphore::new(config.limits.uploads)),
            shutdown: watch::Sender::new(false),
            started: Instant::now(),
            sockets: watch::Sender::new(0),
        }
    }

    /// Counts a WebSocket for as long as what is returned lives.
    pub(crate) fn count_socket(&self) -> impl Drop + use<> {
        struct Open(watch::Sender<usize>);
        impl Drop for Open {
            fn drop(&mut self) {
                self.0.send_modify(|open| *open -= 1);
            }
        }
        self.sockets.send_modify(|open| *open += 1);
        Open(self.sockets.clone())
    }

    /// Waits until all WebSockets are closed.
    pub(crate) async fn until_closed(&self) {
        // It cannot fail: the sender is there.
        let _ = self.sockets.subscribe().wait_for(|open| *open == 0).await;
    }
}

/// A request that cannot be served.
pub(crate) struct Failure {
    pub(crate) status: StatusCode,
    pub(crate) problem: Problem,
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let status = match problem.code {
            "no_such_stream" => StatusCode::NOT_FOUND,
            "stream_exists" => StatusCode::CONFLICT,
            "too_many_streams" | "too_many_uploads" => StatusCode::SERVICE_UNAVAILABLE,
            "too_large" => StatusCode::PAYLOAD_TOO_LARGE,
            "not_audio" | "too_long" => StatusCode::UNPROCESSABLE_ENTITY,
            "internal" => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        };
        Self { status, problem }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.status, Json(self.problem)).into_response()
    }
}

/// All routes.
pub(crate) fn router(app: Arc<App>, config: &Config) -> Router {
    let streams = Router::new()
        .route("/audio/{stream_id}", get(socket::audio))
        .route("/control/{stream_id}", get(socket::control))
        .route("/start/{stream_id}", post(api::start))
        .route("/stop/{stream_id}", post(api::stop))
        .route("/stats/{stream_id}", get(api::stats))
        .route("/list", get(api::list))
        .route("/health", get(api::health));
    // What is not of use to a page of another site, told to every browser.
    let header =
        |name, value| SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value));
    Router::new()
        .nest("/api/v1/stream", streams)
        .route("/api/v1/analyze", post(analyze::analyze))
        .route("/metrics", get(metrics::metrics))
        .layer(DefaultBodyLimit::max(64 << 10))
        .with_state(app)
        .merge(docs::routes())
        .merge(page::routes())
        .fallback(async || Failure {
            status: StatusCode::NOT_FOUND,
            problem: Problem::new("not_found", "there is nothing here; see /api/docs"),
        })
        .method_not_allowed_fallback(async || Failure {
            status: StatusCode::METHOD_NOT_ALLOWED,
            problem: Problem::new(
                "method_not_allowed",
                "another method is asked here; see /api/docs",
            ),
        })
        .layer(middleware::from_fn_with_state(Arc::new(Access::new(config)), guard))
        .layer(CatchPanicLayer::custom(|_| {
            Failure::from(Problem::new("internal", "the server has a fault; it goes on"))
                .into_response()
        }))
        .layer(header(header::CONTENT_SECURITY_POLICY, page::POLICY))
        .layer(header(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(header(header::REFERRER_POLICY, "no-referrer"))
        .layer(header(header::CACHE_CONTROL, "no-cache"))
        .layer(header(HeaderName::from_static("cross-origin-resource-policy"), "same-origin"))
}
