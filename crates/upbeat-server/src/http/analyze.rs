//! Whole files: uploaded, analysed piece by piece between the streams, and told with progress.

use std::convert::Infallible;
use std::fs::File;
use std::io::BufReader;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::sse::{Event as Sent, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt};
use serde::Serialize;
use tokio::io::AsyncWriteExt;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use upbeat::EventAnalyzer;
use upbeat::io::{FileSource, Source};
use utoipa::ToSchema;

use super::{App, Failure};
use crate::message::Problem;
use crate::pool::Job;
use crate::stream::EngineConfig;
use crate::summary::{Summarizer, Summary};
use crate::sync::Lock;

/// How far the analysis of a file is.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
struct Progress {
    /// Seconds of sound analysed.
    analyzed: f64,
    /// Seconds of sound in the file, where it says so.
    total: Option<f64>,
}

enum Told {
    Progress(Progress),
    Done(Result<Box<Summary>, Problem>),
}

/// Analyses a sound file
///
/// The file is the request's body: wav, aiff, flac, mp3, ogg or m4a. With `Accept: text/event-stream` the answer is a
/// stream of events `progress`, and at the end one `result` or `error`; otherwise it is the result.
#[utoipa::path(
    post,
    path = "/api/v1/analyze",
    tag = "files",
    request_body(content = Vec<u8>, description = "A sound file", content_type = "application/octet-stream"),
    responses(
        (status = 200, description = "What is in the file", content(
            (Summary = "application/json"),
            (String = "text/event-stream"),
        )),
        (status = 400, description = "The upload broke off", body = Problem),
        (status = 401, description = "A token is needed", body = Problem),
        (status = 403, description = "Not for this site", body = Problem),
        (status = 413, description = "The file is too large", body = Problem),
        (status = 422, description = "Not a sound file that can be read, or too long", body = Problem),
        (status = 503, description = "There are too many uploads", body = Problem),
    )
)]
pub(super) async fn analyze(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let full =
        |_| Problem::new("too_many_uploads", "other files are being analysed; try again later");
    let room = app.uploads.clone().try_acquire_owned().map_err(full)?;
    let file = receive(body, &headers, app.limits.upload).await?;
    let (tell, told) = mpsc::channel(8);
    let last = tell.clone().try_reserve_owned().ok();
    let limit = app.limits.upload_duration.as_secs_f64();
    let work = Work::Opening(file);
    let (work, last) = (Mutex::new(work), Mutex::new(last));
    app.pool.scheduler().schedule(Arc::new(Upload { work, tell, last, limit, _room: room }));
    let wants = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    if wants.is_some_and(|accept| accept.contains("text/event-stream")) {
        return Ok(Sse::new(events(told)).keep_alive(KeepAlive::default()).into_response());
    }
    Ok(Json(result(told).await?).into_response())
}

/// Writes the body to a file without a name, which is gone when it is closed.
async fn receive(body: Body, headers: &HeaderMap, limit: u64) -> Result<File, Problem> {
    let too_large = || Problem::new("too_large", format!("a file may have {limit} bytes at most"));
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    if length.and_then(|length| length.parse().ok()).is_some_and(|length: u64| length > limit) {
        return Err(too_large());
    }
    let unwritable =
        |error| Problem::new("internal", format!("the upload cannot be kept: {error}"));
    let file = tempfile::tempfile().map_err(unwritable)?;
    let mut file = tokio::fs::File::from_std(file);
    let mut received = 0;
    let mut body = body.into_data_stream();
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|error| Problem::new("broken_upload", error.to_string()))?;
        received += piece.len() as u64;
        if received > limit {
            return Err(too_large());
        }
        file.write_all(&piece).await.map_err(unwritable)?;
    }
    file.flush().await.map_err(unwritable)?;
    Ok(file.into_std().await)
}

async fn result(mut told: mpsc::Receiver<Told>) -> Result<Box<Summary>, Problem> {
    while let Some(told) = told.recv().await {
        if let Told::Done(result) = told {
            return result;
        }
    }
    Err(Problem::new("internal", "the analysis has failed"))
}

type Events = Pin<Box<dyn Stream<Item = Result<Sent, Infallible>> + Send>>;

fn events(told: mpsc::Receiver<Told>) -> Events {
    Box::pin(futures_util::stream::unfold(told, |mut told| async move {
        let event = match told.recv().await? {
            Told::Progress(progress) => Sent::default().event("progress").json_data(progress),
            Told::Done(Ok(summary)) => Sent::default().event("result").json_data(summary),
            Told::Done(Err(problem)) => Sent::default().event("error").json_data(problem),
        };
        Some((Ok(event.unwrap_or_default()), told))
    }))
}

/// A file in analysis.
struct Upload {
    work: Mutex<Work>,
    tell: mpsc::Sender<Told>,
    /// Room for the end, however many reports wait.
    last: Mutex<Option<mpsc::OwnedPermit<Told>>>,
    /// Seconds of sound at most.
    limit: f64,
    _room: OwnedSemaphorePermit,
}

enum Work {
    Opening(File),
    Going(Box<Going>),
    Done,
}

struct Going {
    source: FileSource,
    analyzer: EventAnalyzer,
    summarizer: Summarizer,
    buffer: Vec<f32>,
    analyzed: f64,
    told: f64,
}

impl Going {
    /// Samples per channel between two streams' turns.
    const PIECE: usize = 2048;
    /// Seconds of sound between two reports.
    const REPORT: f64 = 2.0;

    fn open(file: File) -> Result<Self, Problem> {
        let not_audio = |error: &dyn ToString| Problem::new("not_audio", error.to_string());
        let source = FileSource::from_reader(BufReader::new(file)).map_err(|e| not_audio(&e))?;
        let (rate, channels) = (source.format().sample_rate(), source.format().channels());
        let config = EngineConfig {
            rate,
            channels,
            analyses: 10.0,
            extra: upbeat::FeatureSet::EMPTY,
            spectrogram: false,
        };
        let analyzer = EventAnalyzer::new(&config.events()).map_err(|e| not_audio(&e))?;
        let summarizer = Summarizer::new(rate, channels);
        let buffer = vec![0.0; Self::PIECE * channels];
        Ok(Self { source, analyzer, summarizer, buffer, analyzed: 0.0, told: 0.0 })
    }

    /// Analyses a piece; whether there are more.
    fn step(&mut self) -> Result<bool, Problem> {
        let not_audio = |error: &dyn ToString| Problem::new("not_audio", error.to_string());
        let format = self.source.format();
        let read = self.source.read(&mut self.buffer).map_err(|e| not_audio(&e))?;
        let Some(block) = read else {
            self.analyzer.finish(&mut self.summarizer);
            return Ok(false);
        };
        let result = self.analyzer.process(block.at, block.interleaved, &mut self.summarizer);
        result.map_err(|e| not_audio(&e))?;
        let end = block.at + (block.interleaved.len() / format.channels()) as u64;
        self.analyzed = end.seconds(format.sample_rate());
        Ok(true)
    }
}

impl Upload {
    fn advance(&self, work: &mut Work) -> Result<bool, Problem> {
        if let Work::Opening(_) = work
            && let Work::Opening(file) = std::mem::replace(work, Work::Done)
        {
            *work = Work::Going(Box::new(Going::open(file)?));
        }
        let Work::Going(going) = work else { return Ok(false) };
        let more = going.step()?;
        if going.analyzed > self.limit {
            let message = format!("a file may last {} s at most", self.limit);
            return Err(Problem::new("too_long", message));
        }
        if !more {
            let damage = going.source.damage();
            let summary = going.summarizer.finish(going.analyzed, going.analyzer.stats(), damage);
            self.done(Ok(Box::new(summary)));
        } else if going.analyzed - going.told >= Going::REPORT {
            going.told = going.analyzed;
            let rate = going.source.format().sample_rate();
            let total = going.source.length().map(|samples| rate.seconds(samples));
            // A report that nobody is ready for is not worth waiting for.
            let _ =
                self.tell.try_send(Told::Progress(Progress { analyzed: going.analyzed, total }));
        }
        Ok(more)
    }

    fn done(&self, result: Result<Box<Summary>, Problem>) {
        if let Some(last) = self.last.hold().take() {
            last.send(Told::Done(result));
        }
    }
}

impl Job for Upload {
    fn run(&self) -> bool {
        if self.tell.is_closed() {
            return false;
        }
        let mut work = self.work.hold();
        match self.advance(&mut work) {
            Ok(true) => true,
            Ok(false) => {
                *work = Work::Done;
                false
            }
            Err(problem) => {
                *work = Work::Done;
                self.done(Err(problem));
                false
            }
        }
    }

    fn failed(&self) {
        self.done(Err(Problem::new("internal", "the analysis of this file has failed")));
    }
}
