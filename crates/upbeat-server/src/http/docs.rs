//! The description of the interface, for programs and for people.

use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::response::Html;
use axum::routing::get;
use axum::{Json, Router};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_swagger_ui::SwaggerUi;

use super::{analyze, api, metrics};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "upbeat",
        description = "Real-time audio analysis as a service. Streams go over WebSockets, \
            `/api/v1/stream/audio/{stream_id}` and `/api/v1/stream/control/{stream_id}`, which this form of \
            description cannot express; see docs/server.md. A token is asked for only where the server has one.",
    ),
    paths(
        api::start,
        api::stop,
        api::stats,
        api::list,
        api::health,
        analyze::analyze,
        metrics::metrics,
    ),
    modifiers(&Token),
    tags((name = "streams"), (name = "files"), (name = "server"))
)]
struct Description;

/// The token may be asked for, or not.
struct Token;

impl Modify for Token {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        openapi.components.get_or_insert_default().add_security_scheme("token", scheme);
        let needs = SecurityRequirement::new("token", Vec::<String>::new());
        openapi.security = Some(vec![SecurityRequirement::default(), needs]);
    }
}

/// ReDoc 2.5.4, MIT; see `vendor/README.md`.
const REDOC: &[u8] = include_bytes!("../../vendor/redoc.standalone.js.gz");

const REDOC_PAGE: &str = r#"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>upbeat API</title>
<body style="margin: 0">
<redoc spec-url="/api/openapi.json" disable-google-font="true"></redoc>
<script src="/api/redoc.standalone.js"></script>
</body>
</html>
"#;

pub(super) fn routes() -> Router {
    let config = utoipa_swagger_ui::Config::from("/api/openapi.json").validator_url("none");
    let redoc = [(CONTENT_TYPE, "text/javascript; charset=utf-8"), (CONTENT_ENCODING, "gzip")];
    Router::new()
        .route("/api/openapi.json", get(async || Json(Description::openapi())))
        .route("/api/redoc", get(async || Html(REDOC_PAGE)))
        .route("/api/redoc.standalone.js", get(async move || (redoc, REDOC)))
        .merge(SwaggerUi::new("/api/docs").config(config))
}
