//! How a stream fares.

use std::time::Duration;

use serde::Serialize;
use upbeat::AnalyzerStats;
use upbeat::core::SampleRate;
use utoipa::ToSchema;

use crate::histogram::Histogram;

/// What is counted along the way.
#[derive(Debug)]
pub(crate) struct Measures {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    pub(crate) invalid: u64,
    pub(crate) samples_in: u64,
    pub(crate) samples_analyzed: u64,
    analyzer: AnalyzerStats,
    /// For each piece of audio: how long its analysis took, and how long it was in the server.
    pub(crate) analysis: Histogram,
    pub(crate) latency: Histogram,
}

/// How a stream fares. Samples are per channel; times are in milliseconds unless said otherwise.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub(crate) struct StreamStats {
    pub(crate) stream_id: String,
    /// Seconds since the stream was started.
    pub(crate) age: f64,
    pub(crate) connected: bool,
    pub(crate) paused: bool,
    pub(crate) messages_received: u64,
    /// Messages that were no audio in the stream's format.
    pub(crate) messages_invalid: u64,
    pub(crate) bytes_received: u64,
    pub(crate) samples_received: u64,
    pub(crate) samples_analyzed: u64,
    /// Samples that wait.
    pub(crate) samples_queued: u64,
    /// How often samples had to be dropped because too many waited, and how many.
    pub(crate) overflows: u64,
    pub(crate) samples_overflowed: u64,
    /// How often the stream was interrupted, for any reason, and how many samples are missing.
    pub(crate) gaps: u64,
    pub(crate) samples_lost: u64,
    /// Samples that could not be sound, and counted as 0.
    pub(crate) samples_sanitized: u64,
    pub(crate) messages_sent: u64,
    /// Messages that were dropped because the client did not read them.
    pub(crate) messages_dropped: u64,
    /// Seconds of analysis per second of audio; null before the first.
    pub(crate) utilization: Option<f64>,
    pub(crate) analysis_p50: Option<f64>,
    pub(crate) analysis_p99: Option<f64>,
    /// From a message's arrival to the answer.
    pub(crate) latency_p50: Option<f64>,
    pub(crate) latency_p99: Option<f64>,
}

impl Measures {
    pub(crate) fn new() -> Self {
        Self {
            messages: 0,
            bytes: 0,
            invalid: 0,
            samples_in: 0,
            samples_analyzed: 0,
            analyzer: AnalyzerStats::default(),
            analysis: Histogram::new(),
            latency: Histogram::new(),
        }
    }

    pub(crate) fn analysed(
        &mut self,
        samples: u64,
        took: Duration,
        latency: Duration,
        analyzer: AnalyzerStats,
    ) {
        self.samples_analyzed += samples;
        self.analysis.record(took);
        self.latency.record(latency);
        self.analyzer = analyzer;
    }

    pub(crate) const fn analyzer(&self) -> AnalyzerStats {
        self.analyzer
    }

    pub(crate) fn stats(&self, rate: SampleRate) -> StreamStats {
        let audio = rate.seconds(self.samples_analyzed);
        StreamStats {
            messages_received: self.messages,
            messages_invalid: self.invalid,
            bytes_received: self.bytes,
            samples_received: self.samples_in,
            samples_analyzed: self.samples_analyzed,
            gaps: self.analyzer.gaps,
            samples_lost: self.analyzer.lost,
            samples_sanitized: self.analyzer.sanitized,
            utilization: (audio > 0.0).then(|| self.analysis.sum() / audio),
            analysis_p50: self.analysis.quantile(0.5),
            analysis_p99: self.analysis.quantile(0.99),
            latency_p50: self.latency.quantile(0.5),
            latency_p99: self.latency.quantile(0.99),
            ..StreamStats::default()
        }
    }
}
