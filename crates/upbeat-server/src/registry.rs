//! All streams of a server.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::Limits;
use crate::histogram::Histogram;
use crate::message::Problem;
use crate::pool::Scheduler;
use crate::stream::{Settings, Stream};
use crate::sync::Lock;
use tokio::sync::watch;
use upbeat::perf::{QualityLevel, QualitySettings};

pub(crate) struct Registry {
    streams: Mutex<HashMap<String, Arc<Stream>>>,
    limits: Limits,
    pool: Scheduler,
    /// How much is computed, for all streams.
    pub(crate) quality: watch::Sender<QualitySettings>,
    pub(crate) started: AtomicU64,
    past: Mutex<Totals>,
}

/// What all streams have done together.
#[derive(Clone, Debug)]
pub(crate) struct Totals {
    pub(crate) messages_received: u64,
    pub(crate) messages_invalid: u64,
    pub(crate) bytes_received: u64,
    pub(crate) samples_received: u64,
    pub(crate) samples_analyzed: u64,
    pub(crate) samples_overflowed: u64,
    pub(crate) gaps: u64,
    pub(crate) samples_lost: u64,
    pub(crate) messages_sent: u64,
    pub(crate) messages_dropped: u64,
    pub(crate) analysis: Histogram,
    pub(crate) latency: Histogram,
}

impl Totals {
    const fn new() -> Self {
        Self {
            messages_received: 0,
            messages_invalid: 0,
            bytes_received: 0,
            samples_received: 0,
            samples_analyzed: 0,
            samples_overflowed: 0,
            gaps: 0,
            samples_lost: 0,
            messages_sent: 0,
            messages_dropped: 0,
            analysis: Histogram::new(),
            latency: Histogram::new(),
        }
    }

    fn add(&mut self, stream: &Stream) {
        let stats = stream.stats();
        stream.with_measures(|measures| {
            self.messages_received += measures.messages;
            self.messages_invalid += measures.invalid;
            self.bytes_received += measures.bytes;
            self.samples_received += measures.samples_in;
            self.samples_analyzed += measures.samples_analyzed;
            self.gaps += measures.analyzer().gaps;
            self.samples_lost += measures.analyzer().lost;
            self.analysis.add(&measures.analysis);
            self.latency.add(&measures.latency);
        });
        self.samples_overflowed += stats.samples_overflowed;
        self.messages_sent += stats.messages_sent;
        self.messages_dropped += stats.messages_dropped;
    }
}

impl Registry {
    pub(crate) fn new(limits: &Limits, pool: Scheduler) -> Self {
        Self {
            streams: Mutex::default(),
            limits: limits.clone(),
            pool,
            quality: watch::Sender::new(QualitySettings::recommended(QualityLevel::Maximum)),
            started: AtomicU64::new(0),
            past: Mutex::new(Totals::new()),
        }
    }

    pub(crate) fn get(&self, id: &str) -> Option<Arc<Stream>> {
        self.streams.hold().get(id).filter(|stream| !*stream.endings().borrow()).cloned()
    }

    /// The stream, or why there is none.
    pub(crate) fn find(&self, id: &str) -> Result<Arc<Stream>, Problem> {
        check_id(id)?;
        let none =
            || Problem::new("no_such_stream", "there is no stream of this name; start it first");
        self.get(id).ok_or_else(none)
    }

    /// Starts a stream.
    pub(crate) fn start(&self, id: &str, settings: Settings) -> Result<Arc<Stream>, Problem> {
        check_id(id)?;
        if self.get(id).is_some() {
            return Err(exists());
        }
        // Outside the lock: to make an analyzer takes a while.
        let token = token()?;
        let stream = Stream::new(
            id,
            settings,
            token,
            self.limits.buffer,
            self.pool.clone(),
            self.quality.subscribe(),
        )?;
        let stream = Arc::new(stream);
        let mut streams = self.streams.hold();
        match streams.get(id) {
            Some(old) if !*old.endings().borrow() => return Err(exists()),
            None if streams.len() >= self.limits.streams => {
                let message =
                    format!("there are {} streams already; try again later", streams.len());
                return Err(Problem::new("too_many_streams", message));
            }
            _ => {}
        }
        if let Some(old) = streams.insert(id.to_owned(), stream.clone()) {
            self.past.hold().add(&old);
        }
        drop(streams);
        self.started.fetch_add(1, Ordering::Relaxed);
        Ok(stream)
    }

    /// All streams, by name.
    pub(crate) fn list(&self) -> Vec<Arc<Stream>> {
        let mut list: Vec<_> = self.streams.hold().values().cloned().collect();
        list.retain(|stream| !*stream.endings().borrow());
        list.sort_by(|a, b| a.id.cmp(&b.id));
        list
    }

    pub(crate) fn len(&self) -> usize {
        self.streams.hold().len()
    }

    pub(crate) fn totals(&self) -> Totals {
        let mut totals = self.past.hold().clone();
        for stream in self.list() {
            totals.add(&stream);
        }
        totals
    }

    /// Ends streams that have lasted too long or that nobody has come back to, and forgets those that have ended.
    pub(crate) fn sweep(&self) {
        let mut streams = self.streams.hold();
        streams.retain(|_, stream| {
            if *stream.endings().borrow() {
                self.past.hold().add(stream);
                return false;
            }
            if stream.created.elapsed() > self.limits.duration {
                stream.end();
            } else if stream.is_abandoned(self.limits.resume) {
                stream.abandon();
            }
            true
        });
    }
}

fn exists() -> Problem {
    let message =
        "this stream has an owner; resume it with its resume_token, or choose another name";
    Problem::new("stream_exists", message)
}

/// Whether `id` can name a stream: it never becomes part of a path, but of logs and metrics.
pub(crate) fn check_id(id: &str) -> Result<(), Problem> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if (1..=64).contains(&id.len()) && id.bytes().all(fits) {
        return Ok(());
    }
    let message = "a stream's name has 1 to 64 letters, digits, '-' or '_'";
    Err(Problem::new("invalid_stream_id", message))
}

/// 128 bits that nobody can guess.
fn token() -> Result<String, Problem> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| Problem::new("internal", format!("no randomness: {error}")))?;
    let mut token = String::with_capacity(32);
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(token, "{byte:02x}");
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_words() {
        for id in ["a", "My-stream_7", &"x".repeat(64)] {
            check_id(id).unwrap();
        }
        for id in ["", "..", "a/b", "../etc/passwd", "a b", "é", "a\0", "%2e", &"x".repeat(65)] {
            assert_eq!(check_id(id).unwrap_err().code, "invalid_stream_id", "{id:?}");
        }
    }

    #[test]
    fn tokens_differ() {
        let (a, b) = (token().unwrap(), token().unwrap());
        assert!(a != b && a.len() == 32 && a.bytes().all(|c| c.is_ascii_hexdigit()));
    }
}
