//! A mix while it is made: what plays, what could come next, and what the listener thinks of it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;

use upbeat_adapt::{AdaptiveModels, Candidate, Feedback, Moment, Response, TrackFeatures};
use upbeat_core::ConfigError;
use upbeat_predict::harmony::{Key, Mode};

mod messages;

pub use messages::{Cause, LiveUpdate, MixConfig, Proposal, SessionEvent};

use crate::{
    Library, LibraryError, OpenSession, Opinion, ScanConfig, ScanEvent, ScanReport, SessionId,
    Track, TrackId,
};

/// Plays along: knows what is playing, proposes what to play next, and learns from what is made of it.
///
/// All times are in seconds by one clock of the caller's, from any origin; they must not go back. What is said of a track
/// is stored in the library at once, together with the state of the models that learned from it, so that a session which is
/// dropped or killed goes on where it was: see [`resume`](Self::resume). None of the methods belongs on an audio thread.
///
/// What is heard changes the proposals only where it matters and lasts (see [`MixConfig`]); what the listener says does at
/// once. A track that is turned down is not proposed again before another one plays.
///
/// # Examples
///
/// ```
/// # use upbeat_library::{NewTrack, Tags, TrackAnalysis, Tempo};
/// use upbeat_library::{Library, MixConfig, MixSession, Opinion, SessionEvent};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("library.db");
/// let mut library = Library::open(path)?;
/// # let tracks: Vec<NewTrack> = (0..9_u8).map(|i| NewTrack {
/// #     path: format!("/{i}.wav").into(), size: 1, modified: 1, hash: [i; 32], tags: Tags::default(),
/// #     analysis: TrackAnalysis {
/// #         duration: 200.0,
/// #         tempo: Some(Tempo { bpm: 120.0 + f32::from(i), confidence: 1.0, first_beat: None, alternatives: vec![] }),
/// #         ..TrackAnalysis::default()
/// #     },
/// # }).collect();
/// # library.insert_all(&tracks)?;
/// let first = library.tracks()?[0].id;
/// let mut session = MixSession::start(library, first, 0.0, &MixConfig::default())?;
/// let best = session.proposals()[0].clone();
/// println!("{}: {}", best.name, best.recommendation.explain());
///
/// session.feedback(12.0, best.track, Opinion::Accepted)?;
/// session.play(180.0, best.track)?;
/// assert!(matches!(session.next_event(), Some(SessionEvent::RecommendationsUpdated(_))));
/// assert_ne!(session.proposals()[0].track, best.track);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct MixSession {
    library: Library,
    config: MixConfig,
    models: AdaptiveModels,
    id: SessionId,
    current: Track,
    /// What was heard of the current track beyond its analysis, and what played before it.
    live: TrackFeatures,
    before: Option<TrackFeatures>,
    candidates: Vec<Candidate>,
    /// Where in `candidates` each track is.
    places: HashMap<TrackId, usize>,
    /// When each track was last played, by the session's clock.
    played: HashMap<TrackId, f64>,
    declined: HashSet<TrackId>,
    proposals: Vec<Proposal>,
    /// What the proposals go by, since when, and since when it is no longer so.
    basis: TrackFeatures,
    refreshed: f64,
    differs: Option<f64>,
    /// The latest time seen.
    now: f64,
    mix_told: bool,
    events: VecDeque<SessionEvent>,
}

impl MixSession {
    /// Begins with `track` playing, at time `at`.
    ///
    /// # Errors
    ///
    /// If there is no such track, a setting cannot work, what the models have learned cannot be read
    /// ([`Models`](LibraryError::Models); [`Library::forget_models`] starts anew), or nothing can be stored.
    pub fn start(
        mut library: Library,
        track: TrackId,
        at: f64,
        config: &MixConfig,
    ) -> Result<Self, LibraryError> {
        config.check()?;
        check_time(at)?;
        let models = models(&library, config)?;
        let current = library.track(track)?;
        let id = library.begin_session(track)?;
        Self::with(library, models, id, current, at, config)
    }

    /// Goes on with a session that was not ended, as [`Library::open_session`] gives it.
    ///
    /// # Errors
    ///
    /// [`NoSuchSession`](LibraryError::NoSuchSession) if the track that was playing has been removed; else as
    /// [`start`](Self::start).
    pub fn resume(
        library: Library,
        open: OpenSession,
        at: f64,
        config: &MixConfig,
    ) -> Result<Self, LibraryError> {
        config.check()?;
        check_time(at)?;
        let models = models(&library, config)?;
        let current = library.track(open.playing.ok_or(LibraryError::NoSuchSession(open.id))?)?;
        Self::with(library, models, open.id, current, at, config)
    }

    fn with(
        library: Library,
        models: AdaptiveModels,
        id: SessionId,
        current: Track,
        at: f64,
        config: &MixConfig,
    ) -> Result<Self, LibraryError> {
        let played = library.seconds_since_played()?;
        let played = played.into_iter().map(|(track, ago)| (track, at - ago)).collect();
        let mut session = Self {
            library,
            config: config.clone(),
            models,
            id,
            current,
            live: TrackFeatures::default(),
            before: None,
            candidates: Vec::new(),
            places: HashMap::new(),
            played,
            declined: HashSet::new(),
            proposals: Vec::new(),
            basis: TrackFeatures::default(),
            refreshed: at,
            differs: None,
            now: at,
            mix_told: false,
            events: VecDeque::new(),
        };
        session.reload()?;
        session.propose(Cause::Track)?;
        Ok(session)
    }

    /// Takes what is heard.
    ///
    /// # Errors
    ///
    /// If its time is before the last one, or not finite, or the library cannot be read.
    pub fn observe(&mut self, update: &LiveUpdate) -> Result<(), LibraryError> {
        let last = self.now;
        self.advance(update.at)?;
        let heard = TrackFeatures {
            tempo_bpm: update.tempo.filter(|bpm| bpm.is_finite() && *bpm > 0.0),
            key: update.key.map(adapt_key),
            energy: update.energy.filter(|x| x.is_finite()),
            brightness: update.brightness.filter(|x| x.is_finite() && *x > 0.0),
            loudness: update.loudness.filter(|x| x.is_finite()),
            timbre: Vec::new(),
        };
        overlay(&mut self.live, &heard);
        if update.at > last {
            self.models.observe(&Moment { at: update.at, features: heard })?;
        }
        if self.has_changed() {
            let since = *self.differs.get_or_insert(update.at);
            let MixConfig { hold, interval, .. } = self.config;
            if update.at - since >= hold && update.at - self.refreshed >= interval {
                self.propose(Cause::Sound)?;
            }
        } else {
            self.differs = None;
        }
        let left =
            update.position.map(|position| (self.current.analysis.duration - position).max(0.0));
        if let (Some(seconds_left), Some(first), false) =
            (left, self.proposals.first(), self.mix_told)
            && seconds_left <= self.config.mix_ahead
        {
            let next = first.track;
            self.mix_told = true;
            self.tell(SessionEvent::MixReady { next, seconds_left });
        }
        Ok(())
    }

    /// Learns and stores what the listener said of `track`, be it proposed, playing, or any other.
    ///
    /// # Errors
    ///
    /// If the opinion's value is not from 0 to 1, the time goes back, there is no such track, or nothing can be stored;
    /// nothing is learned then either.
    pub fn feedback(
        &mut self,
        at: f64,
        track: TrackId,
        opinion: Opinion,
    ) -> Result<(), LibraryError> {
        let opinion = opinion.checked()?;
        self.advance(at)?;
        let about = features(&self.library.track(track)?);
        let after =
            if track == self.current.id { self.before.clone() } else { Some(self.context()) };
        let mut feedback = Feedback::new(match opinion {
            Opinion::Accepted => Response::Accept,
            Opinion::Rejected => Response::Reject,
            Opinion::Score(value) => Response::Score(value),
            Opinion::Skipped(share) => Response::Skip(share),
            Opinion::Listened(share) => Response::Listened(share),
        });
        feedback.after = after;
        // Learned only once it is stored.
        let mut learned = self.models.clone();
        learned.update(at, &about, Some(&feedback), None)?;
        let state = learned.to_json()?;
        self.library.record_feedback(self.id, track, opinion, Some((MODELS, &state)))?;
        self.models = learned;
        if !opinion.is_liking() {
            self.declined.insert(track);
        }
        self.propose(Cause::Feedback)
    }

    /// Notes that `track` plays now.
    ///
    /// # Errors
    ///
    /// If the time goes back, there is no such track, or nothing can be stored.
    pub fn play(&mut self, at: f64, track: TrackId) -> Result<(), LibraryError> {
        self.advance(at)?;
        let next = self.library.track(track)?;
        self.library.record_transition(self.id, track)?;
        self.before = Some(self.context());
        self.played.insert(self.current.id, at);
        self.current = next;
        self.live = TrackFeatures::default();
        self.declined.clear();
        self.mix_told = false;
        self.propose(Cause::Track)
    }

    /// [`Library::scan`], after which new tracks are proposed too.
    ///
    /// # Errors
    ///
    /// As [`Library::scan`].
    pub fn scan<P: AsRef<Path>>(
        &mut self,
        folders: &[P],
        config: &ScanConfig,
        mut on: impl FnMut(ScanEvent<'_>) -> ControlFlow<()>,
    ) -> Result<ScanReport, LibraryError> {
        let events = &mut self.events;
        let report = self.library.scan(folders, config, |event| {
            match event {
                ScanEvent::Analysed { track, .. } => {
                    push(events, SessionEvent::TrackAnalyzed(track));
                }
                ScanEvent::Failed { path, reason } => {
                    push(events, SessionEvent::Error(format!("{}: {reason}", path.display())));
                }
                _ => {}
            }
            on(event)
        })?;
        self.reload()?;
        self.propose(Cause::Library)?;
        Ok(report)
    }

    /// The oldest event that was not taken yet. Of more than 10 000 the oldest are dropped.
    pub fn next_event(&mut self) -> Option<SessionEvent> {
        self.events.pop_front()
    }

    /// Ends the session, so that it is not resumed, and gives the library back.
    ///
    /// # Errors
    ///
    /// If nothing can be stored.
    pub fn stop(mut self) -> Result<Library, LibraryError> {
        self.library.end_session(self.id)?;
        Ok(self.library)
    }

    /// What to play next, the best first, each with its reasons. Fewer than asked for, or none, where there are not as many.
    #[must_use]
    pub fn proposals(&self) -> &[Proposal] {
        &self.proposals
    }

    /// What plays.
    #[must_use]
    pub const fn current(&self) -> &Track {
        &self.current
    }

    /// What proposals are made for: the current track, as it was analysed, and as it was heard where it was.
    #[must_use]
    pub fn context(&self) -> TrackFeatures {
        let mut context = features(&self.current);
        overlay(&mut context, &self.live);
        context
    }

    /// What was learned, for forecasts and for how it is doing.
    #[must_use]
    pub const fn models(&self) -> &AdaptiveModels {
        &self.models
    }

    /// The library.
    #[must_use]
    pub const fn library(&self) -> &Library {
        &self.library
    }

    /// The number of the session.
    #[must_use]
    pub const fn id(&self) -> SessionId {
        self.id
    }

    fn advance(&mut self, at: f64) -> Result<(), LibraryError> {
        let forward = at.is_finite() && at >= self.now;
        ConfigError::require(forward, "at", "a time in seconds, not before the last one", at)?;
        self.now = at;
        Ok(())
    }

    /// Whether what is heard is no longer what the proposals go by.
    fn has_changed(&self) -> bool {
        let now = self.context();
        let MixConfig { tempo_change, energy_change, .. } = self.config;
        let differ = |a: Option<f32>, b: Option<f32>, by: &dyn Fn(f32, f32) -> bool| match (a, b) {
            (Some(a), Some(b)) => by(a, b),
            (None, None) => false,
            _ => true,
        };
        differ(now.tempo_bpm, self.basis.tempo_bpm, &|a, b| (a / b - 1.0).abs() > tempo_change)
            || differ(now.energy, self.basis.energy, &|a, b| (a - b).abs() > energy_change)
            || now.key != self.basis.key
    }

    /// Reads all tracks that may be proposed.
    fn reload(&mut self) -> Result<(), LibraryError> {
        let tracks = self.library.tracks()?;
        self.places = tracks.iter().enumerate().map(|(place, track)| (track.id, place)).collect();
        self.candidates = tracks
            .iter()
            .map(|track| Candidate {
                id: track.id.0 as u64,
                features: features(track),
                last_played: None,
            })
            .collect();
        Ok(())
    }

    fn propose(&mut self, cause: Cause) -> Result<(), LibraryError> {
        for candidate in &mut self.candidates {
            candidate.last_played = None;
        }
        for (track, when) in &self.played {
            if let Some(place) = self.places.get(track) {
                // Even a track that has just been played may be played again, by who wants to.
                self.candidates[*place].last_played = Some((self.now - when).max(1.0));
            }
        }
        // Played this very moment, as the recommender has it.
        for track in self.declined.iter().chain([&self.current.id]) {
            if let Some(place) = self.places.get(track) {
                self.candidates[*place].last_played = Some(0.0);
            }
        }
        let context = self.context();
        let mut best = self.models.recommend(&context, &self.candidates, self.config.proposals);
        if let (Cause::Sound, Some(first)) = (cause, self.proposals.first()) {
            // What is first stays so unless something is clearly better.
            let id = first.track.0 as u64;
            if let Some(place) = best.iter().position(|other| other.id == id)
                && best[0].score < best[place].score * (1.0 + self.config.margin)
            {
                best[..=place].rotate_right(1);
            }
        }
        let mut proposals = Vec::with_capacity(best.len());
        for recommendation in best {
            let track = TrackId(recommendation.id as i64);
            match self.library.track(track) {
                Ok(found) => proposals.push(Proposal { track, name: found.name(), recommendation }),
                // Another program has removed it.
                Err(LibraryError::NoSuchTrack(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let ids = |proposals: &[Proposal]| proposals.iter().map(|p| p.track).collect::<Vec<_>>();
        let is_new = ids(&proposals) != ids(&self.proposals);
        self.proposals = proposals;
        (self.basis, self.refreshed, self.differs) = (context, self.now, None);
        if is_new {
            self.tell(SessionEvent::RecommendationsUpdated(cause));
        }
        Ok(())
    }

    fn tell(&mut self, event: SessionEvent) {
        push(&mut self.events, event);
    }
}

impl fmt::Debug for MixSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MixSession")
            .field("id", &self.id)
            .field("current", &self.current.id)
            .field("proposals", &self.proposals)
            .finish_non_exhaustive()
    }
}

impl Library {
    /// Forgets what the models of mix sessions have learned; what was said of the tracks is kept.
    ///
    /// # Errors
    ///
    /// If nothing can be stored.
    pub fn forget_models(&mut self) -> Result<(), LibraryError> {
        self.write(|t| t.execute("DELETE FROM models WHERE name = ?1", [MODELS]))?;
        Ok(())
    }
}

/// The models as they were stored last, or new ones.
fn models(library: &Library, config: &MixConfig) -> Result<AdaptiveModels, LibraryError> {
    Ok(match library.state(MODELS)? {
        Some(state) => AdaptiveModels::from_json(&state, library.path())?,
        None => AdaptiveModels::new(&config.models)?,
    })
}

fn check_time(at: f64) -> Result<(), ConfigError> {
    ConfigError::require(at.is_finite(), "at", "a time in seconds", at)
}

fn push(events: &mut VecDeque<SessionEvent>, event: SessionEvent) {
    if events.len() == MOST_EVENTS {
        events.pop_front();
    }
    events.push_back(event);
}

/// What the models know a track by.
fn features(track: &Track) -> TrackFeatures {
    let analysis = &track.analysis;
    TrackFeatures {
        tempo_bpm: analysis.tempo.as_ref().map(|tempo| tempo.bpm),
        key: analysis.key.map(|key| adapt_key(key.key)),
        energy: analysis.energy,
        brightness: analysis.brightness,
        loudness: analysis.loudness,
        timbre: analysis.mfcc.map(|mfcc| mfcc[1..].to_vec()).unwrap_or_default(),
    }
}

fn adapt_key(key: Key) -> upbeat_adapt::Key {
    upbeat_adapt::Key { tonic: key.tonic.semitones(), minor: key.mode == Mode::Minor }
}

/// Puts what is known in `heard` over what is in `features`.
fn overlay(features: &mut TrackFeatures, heard: &TrackFeatures) {
    features.tempo_bpm = heard.tempo_bpm.or(features.tempo_bpm);
    features.key = heard.key.or(features.key);
    features.energy = heard.energy.or(features.energy);
    features.brightness = heard.brightness.or(features.brightness);
    features.loudness = heard.loudness.or(features.loudness);
}

/// Under which name the models are stored.
const MODELS: &str = "models";
/// Events kept for who does not take them.
const MOST_EVENTS: usize = 10_000;
