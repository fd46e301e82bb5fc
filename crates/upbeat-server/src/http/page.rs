//! The page, which is part of the program.

use std::error::Error;
use std::io::Cursor;
use std::sync::OnceLock;

use axum::Router;
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use upbeat::core::SampleRate;
use upbeat::io::demo::DemoSource;
use upbeat::io::{Source, WavEncoding, WavSink};

use super::Failure;
use crate::message::Problem;

/// The page needs nothing from anywhere else, and browsers are told so. Styles are written into elements by
/// the API's documentation, whose search runs in a worker made from text.
pub(super) const POLICY: &str = "default-src 'self'; img-src 'self' data: blob:; \
    style-src 'self' 'unsafe-inline'; worker-src 'self' blob:; connect-src 'self'; \
    frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

const FILES: &[(&str, &str, &str)] = &[
    ("/", "text/html; charset=utf-8", include_str!("../../page/index.html")),
    ("/page/style.css", "text/css; charset=utf-8", include_str!("../../page/style.css")),
    ("/page/main.js", JAVASCRIPT, include_str!("../../page/main.js")),
    ("/page/sound.js", JAVASCRIPT, include_str!("../../page/sound.js")),
    ("/page/capture.js", JAVASCRIPT, include_str!("../../page/capture.js")),
    ("/page/draw.js", JAVASCRIPT, include_str!("../../page/draw.js")),
    ("/page/client.js", JAVASCRIPT, include_str!("../../clients/browser/client.js")),
    ("/favicon.ico", "image/svg+xml", include_str!("../../page/icon.svg")),
];

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// The demo song, once someone has asked for it.
static DEMO: OnceLock<Bytes> = OnceLock::new();

async fn demo() -> Result<impl IntoResponse, Failure> {
    let failed = |error: &dyn ToString| Problem::new("internal", error.to_string());
    let made = tokio::task::spawn_blocking(|| match DEMO.get() {
        Some(demo) => Ok(demo.clone()),
        None => make_demo().map(|demo| DEMO.get_or_init(|| demo).clone()),
    });
    let demo = made.await.map_err(|e| failed(&e))?.map_err(|e| failed(&e))?;
    Ok(([(CONTENT_TYPE, "audio/wav")], demo))
}

fn make_demo() -> Result<Bytes, Box<dyn Error + Send + Sync>> {
    let mut source = DemoSource::new(SampleRate::new(44_100)?)?;
    let format = source.format();
    let mut bytes = Vec::new();
    let mut sink = WavSink::new(Cursor::new(&mut bytes), format, WavEncoding::Int16)?;
    let mut buffer = vec![0.0; 4096 * format.channels()];
    while let Some(block) = source.read(&mut buffer)? {
        sink.write(block.interleaved)?;
    }
    sink.finish()?;
    Ok(bytes.into())
}

pub(super) fn routes() -> Router {
    let router = Router::new().route("/page/demo.wav", get(demo));
    FILES.iter().fold(router, |router, (path, kind, text)| {
        router.route(path, get(async move || ([(CONTENT_TYPE, *kind)], *text)))
    })
}
