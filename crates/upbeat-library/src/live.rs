//! From what a pipeline tells to what a session hears.

use std::collections::VecDeque;
use std::fmt;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use upbeat::{Event, EventKind, Feature, FeatureFrame, Interests, Listener};
use upbeat_core::SampleRate;
use upbeat_predict::harmony::Key;

use crate::tempo::{self, OnsetCurve};
use crate::{LiveUpdate, TrackAnalysis};

/// Listens to a running [`Pipeline`](upbeat::Pipeline) (or [`EventAnalyzer`](upbeat::EventAnalyzer)) and tells, once
/// for each second of the stream, what a [`MixSession`](crate::MixSession) wants to hear.
///
/// Brightness is the mean of the last 8 s, as are loudness and the rate of onsets, from which the energy follows as in
/// the library; the key is the latest one; the tempo is that of the last 12 s, by the method of
/// [`analyse_track`](crate::analyse_track), where its confidence is 0.5 at least. What the pipeline does not compute
/// (its usual settings have all of it) is not known. The stream must begin where the track does, or
/// [`position`](LiveUpdate::position) is off by that much.
///
/// If updates are not taken, the newest are dropped once 100 wait.
///
/// # Examples
///
/// ```
/// use upbeat::io::demo::DemoSource;
/// use upbeat::{Input, Pipeline, PipelineConfig};
/// use upbeat_library::LiveListener;
///
/// let rate = upbeat::core::SampleRate::new(22_050)?;
/// let input = Input::at_full_speed(DemoSource::new(rate)?);
/// // The clock of the session reads 100 s when the track begins.
/// let (listener, updates) = LiveListener::new(rate, 100.0);
/// let mut pipeline =
///     Pipeline::builder(PipelineConfig::new(&input)).listen("mix", listener).start(input)?;
/// let mut heard = Vec::new();
/// for update in updates {
///     heard.push(update); // session.observe(&update)?
/// }
/// pipeline.wait();
/// assert!(heard.len() > 10 && heard[0].at > 100.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct LiveListener {
    /// Gone when the stream has ended, so that who waits for updates sees it.
    updates: Option<SyncSender<LiveUpdate>>,
    rate: SampleRate,
    offset: f64,
    /// Values and when they were, in seconds of the stream.
    brightness: VecDeque<(f64, f32)>,
    loudness: VecDeque<(f64, f32)>,
    onsets: VecDeque<(f64, f32)>,
    strength: VecDeque<(f64, f32)>,
    key: Option<Key>,
    /// When the next update is due.
    next: f64,
}

impl LiveListener {
    /// A listener to a stream of this rate that begins when the session's clock reads `offset` seconds, and what it
    /// tells.
    #[must_use]
    pub fn new(rate: SampleRate, offset: f64) -> (Self, Receiver<LiveUpdate>) {
        let (sender, receiver) = sync_channel(WAITING);
        let listener = Self {
            updates: Some(sender),
            rate,
            offset,
            brightness: VecDeque::new(),
            loudness: VecDeque::new(),
            onsets: VecDeque::new(),
            strength: VecDeque::new(),
            key: None,
            next: 1.0,
        };
        (listener, receiver)
    }

    fn update(&self, now: f64, frames_per_second: f64) -> LiveUpdate {
        let mean = |values: &VecDeque<(f64, f32)>| {
            let sum: f32 = values.iter().map(|(_, value)| value).sum();
            (!values.is_empty()).then(|| sum / values.len() as f32)
        };
        let (loudness, brightness) = (mean(&self.loudness), mean(&self.brightness));
        let onset_rate = self.onsets.len() as f64 / now.min(SPAN);
        let mut curve = OnsetCurve::new(frames_per_second);
        for (at, strength) in &self.strength {
            curve.skip_to(*at);
            curve.push(*at, *strength);
        }
        // A shorter one may be anything.
        let is_long = self.strength.front().is_some_and(|(at, _)| now - at > TEMPO_SPAN - 1.0);
        let tempo =
            tempo::estimate(&curve).filter(|found| is_long && found.tempo.confidence >= 0.5);
        LiveUpdate {
            at: self.offset + now,
            position: Some(now),
            tempo: tempo.map(|found| found.tempo.bpm),
            key: self.key,
            energy: loudness
                .zip(brightness)
                .and_then(|(l, b)| TrackAnalysis::energy_of(l, onset_rate as f32, b)),
            brightness,
            loudness,
        }
    }
}

impl Listener for LiveListener {
    fn event(&mut self, event: &Event) {
        let at = event.at.seconds(self.rate);
        match &event.kind {
            EventKind::Onset { strength } => self.onsets.push_back((at, *strength)),
            EventKind::Energy(energy) => {
                self.loudness.extend(energy.loudness.map(|loudness| (at, loudness)));
            }
            EventKind::Chord { key: Some(key), .. } => self.key = Some(*key),
            _ => {}
        }
    }

    fn frame(&mut self, frame: &FeatureFrame) {
        let now = frame.seconds();
        let centroid = frame.value(Feature::SpectralCentroid).filter(|centroid| *centroid > 0.0);
        self.brightness.extend(centroid.map(|centroid| (now, centroid)));
        self.strength.extend(frame.value(Feature::OnsetStrength).map(|strength| (now, strength)));
        let spans = [
            (&mut self.brightness, SPAN),
            (&mut self.loudness, SPAN),
            (&mut self.onsets, SPAN),
            (&mut self.strength, TEMPO_SPAN),
        ];
        for (values, span) in spans {
            while values.front().is_some_and(|(at, _)| *at < now - span) {
                values.pop_front();
            }
        }
        if now >= self.next {
            self.next = now.floor() + 1.0;
            let update = self.update(now, frame.layout().spec().frame_rate());
            if let Some(updates) = &self.updates {
                // Whoever does not listen misses it.
                let _ = updates.try_send(update);
            }
        }
    }

    fn end(&mut self) {
        self.updates = None;
    }

    fn interests(&self) -> Interests {
        Interests { events: true, frames: true, blocks: false }
    }
}

impl fmt::Debug for LiveListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveListener")
            .field("rate", &self.rate)
            .field("offset", &self.offset)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

/// Seconds that means are taken over, and that the tempo is found in.
const SPAN: f64 = 8.0;
const TEMPO_SPAN: f64 = 12.1;
/// Updates that wait to be taken.
const WAITING: usize = 100;
