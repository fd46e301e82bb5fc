use std::collections::HashMap;
use std::fmt;
use std::time::SystemTime;

use rusqlite::{OptionalExtension, params};
use upbeat_core::ConfigError;

use crate::{Library, LibraryError, TrackId};

/// What a listener thinks of a track that was proposed or played.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Opinion {
    /// It was taken.
    Accepted,
    /// It was turned down.
    Rejected,
    /// How good it is, 0 to 1.
    Score(f32),
    /// It was broken off, after this share of it, 0 to 1.
    Skipped(f32),
    /// This share of it was listened to, 0 to 1.
    Listened(f32),
}

impl Opinion {
    /// The word for the kind.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Score(_) => "score",
            Self::Skipped(_) => "skipped",
            Self::Listened(_) => "listened",
        }
    }

    /// The number that goes with it; 1 for accepted, 0 for rejected.
    #[must_use]
    pub const fn value(self) -> f32 {
        match self {
            Self::Accepted => 1.0,
            Self::Rejected => 0.0,
            Self::Score(value) | Self::Skipped(value) | Self::Listened(value) => value,
        }
    }

    /// Whether it speaks for the track: accepted, or a value of at least a half, of a track not skipped.
    #[must_use]
    pub fn is_liking(self) -> bool {
        !matches!(self, Self::Skipped(_)) && self.value() >= 0.5
    }

    /// Itself, if its value is from 0 to 1.
    ///
    /// # Errors
    ///
    /// If not.
    pub fn checked(self) -> Result<Self, ConfigError> {
        let value = self.value();
        ConfigError::require((0.0..=1.0).contains(&value), self.name(), "from 0 to 1", value)?;
        Ok(self)
    }

    fn read(name: &str, value: f32) -> Option<Self> {
        Some(match name {
            "accepted" => Self::Accepted,
            "rejected" => Self::Rejected,
            "score" => Self::Score(value),
            "skipped" => Self::Skipped(value),
            "listened" => Self::Listened(value),
            _ => return None,
        })
    }
}

/// The number of a session in its library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub i64);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A session that was begun and not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenSession {
    /// Its number.
    pub id: SessionId,
    /// What was playing, unless that track has been removed.
    pub playing: Option<TrackId>,
}

/// What was once said about a track.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct StoredFeedback {
    /// Its number; later ones are larger.
    pub id: i64,
    /// When, in milliseconds since 1970.
    pub at: i64,
    /// In which session.
    pub session: Option<SessionId>,
    /// About which track.
    pub track: TrackId,
    /// What was playing then.
    pub after: Option<TrackId>,
    /// What was said.
    pub opinion: Opinion,
}

impl Library {
    /// Begins a session in which `playing` plays.
    ///
    /// # Errors
    ///
    /// If there is no such track, or nothing can be stored.
    pub fn begin_session(&mut self, playing: TrackId) -> Result<SessionId, LibraryError> {
        self.track(playing)?;
        self.write(|t| {
            t.execute(
                "INSERT INTO sessions (started, playing) VALUES (?1, ?2)",
                params![now(), playing.0],
            )?;
            Ok(SessionId(t.last_insert_rowid()))
        })
    }

    /// The latest session, if it was not ended: the program was stopped or has crashed.
    ///
    /// # Errors
    ///
    /// If the library cannot be read.
    pub fn open_session(&self) -> Result<Option<OpenSession>, LibraryError> {
        let sql = "SELECT id, playing, ended FROM sessions ORDER BY id DESC LIMIT 1";
        let last = self.connection.query_row(sql, [], |row| {
            let open = OpenSession {
                id: SessionId(row.get(0)?),
                playing: row.get::<_, Option<i64>>(1)?.map(TrackId),
            };
            Ok((open, row.get::<_, Option<i64>>(2)?))
        });
        Ok(self.told(last.optional())?.filter(|(_, ended)| ended.is_none()).map(|(open, _)| open))
    }

    /// Ends a session.
    ///
    /// # Errors
    ///
    /// If there is no such session, or nothing can be stored.
    pub fn end_session(&mut self, id: SessionId) -> Result<(), LibraryError> {
        let sql = "UPDATE sessions SET ended = ?2 WHERE id = ?1";
        match self.write(|t| t.execute(sql, params![id.0, now()]))? {
            0 => Err(LibraryError::NoSuchSession(id)),
            _ => Ok(()),
        }
    }

    /// Notes that in this session `to` plays now, after what played before.
    ///
    /// # Errors
    ///
    /// If there is no such session or track, or nothing can be stored.
    pub fn record_transition(
        &mut self,
        session: SessionId,
        to: TrackId,
    ) -> Result<(), LibraryError> {
        self.track(to)?;
        let changed = self.write(|t| {
            t.execute(
                "INSERT INTO transitions (session, origin, target, at)
                 SELECT id, playing, ?2, ?3 FROM sessions WHERE id = ?1 AND playing IS NOT NULL",
                params![session.0, to.0, now()],
            )?;
            t.execute("UPDATE sessions SET playing = ?2 WHERE id = ?1", params![session.0, to.0])
        })?;
        if changed == 1 { Ok(()) } else { Err(LibraryError::NoSuchSession(session)) }
    }

    /// Stores what a listener said of `track` in `session`, and beside it, in the same transaction, the `state` of the
    /// models that learned from it: after a crash both are there or neither.
    ///
    /// # Errors
    ///
    /// If the opinion's value is not from 0 to 1, there is no such track or session, or nothing can be stored.
    pub fn record_feedback(
        &mut self,
        session: SessionId,
        track: TrackId,
        opinion: Opinion,
        state: Option<(&str, &str)>,
    ) -> Result<i64, LibraryError> {
        let opinion = opinion.checked()?;
        self.track(track)?;
        let stored = self.write(|t| {
            let rows = t.execute(
                "INSERT INTO feedback (session, track, after, opinion, value, at)
                 SELECT id, ?2, NULLIF(playing, ?2), ?3, ?4, ?5 FROM sessions WHERE id = ?1",
                params![session.0, track.0, opinion.name(), opinion.value(), now()],
            )?;
            let id = t.last_insert_rowid();
            if let Some((name, state)) = state.filter(|_| rows == 1) {
                t.execute(STORE_STATE, [name, state])?;
            }
            Ok((rows == 1).then_some(id))
        })?;
        stored.ok_or(LibraryError::NoSuchSession(session))
    }

    /// All that was said, in order, after the feedback numbered `after` (0: from the start).
    ///
    /// # Errors
    ///
    /// If the library cannot be read.
    pub fn feedback_after(&self, after: i64) -> Result<Vec<StoredFeedback>, LibraryError> {
        let read = || {
            let mut statement = self.connection.prepare_cached(
                "SELECT id, at, session, track, after, opinion, value FROM feedback WHERE id > ?1 ORDER BY id",
            )?;
            let rows = statement.query_map([after], |row| {
                let opinion = Opinion::read(&row.get::<_, String>(5)?, row.get(6)?);
                Ok(opinion.map(|opinion| StoredFeedback {
                    id: row.get(0).unwrap_or_default(),
                    at: row.get(1).unwrap_or_default(),
                    session: row.get::<_, Option<i64>>(2).ok().flatten().map(SessionId),
                    track: TrackId(row.get(3).unwrap_or_default()),
                    after: row.get::<_, Option<i64>>(4).ok().flatten().map(TrackId),
                    opinion,
                }))
            })?;
            rows.filter_map(Result::transpose).collect()
        };
        self.told(read())
    }

    /// The pairs of tracks that were played one after the other, in order.
    ///
    /// # Errors
    ///
    /// If the library cannot be read.
    pub fn transitions(&self) -> Result<Vec<(TrackId, TrackId)>, LibraryError> {
        let read = || {
            let mut statement = self
                .connection
                .prepare_cached("SELECT origin, target FROM transitions ORDER BY id")?;
            let rows =
                statement.query_map([], |row| Ok((TrackId(row.get(0)?), TrackId(row.get(1)?))))?;
            rows.collect()
        };
        self.told(read())
    }

    /// How many seconds ago each track was last played or left for another, by the system's clock.
    pub(crate) fn seconds_since_played(&self) -> Result<HashMap<TrackId, f64>, LibraryError> {
        let now = now();
        let read = || {
            let mut statement = self.connection.prepare(
                "SELECT track, max(at) FROM (SELECT origin AS track, at FROM transitions
                 UNION ALL SELECT target, at FROM transitions) GROUP BY track",
            )?;
            let rows = statement.query_map([], |row| {
                let ago = (now - row.get::<_, i64>(1)?).max(0) as f64 / 1000.0;
                Ok((TrackId(row.get(0)?), ago))
            })?;
            rows.collect()
        };
        self.told(read())
    }

    /// Stores text under a name, in place of what was stored there.
    ///
    /// # Errors
    ///
    /// If nothing can be stored.
    pub fn store_state(&mut self, name: &str, state: &str) -> Result<(), LibraryError> {
        self.write(|t| t.execute(STORE_STATE, [name, state]))?;
        Ok(())
    }

    /// What is stored under a name.
    ///
    /// # Errors
    ///
    /// If the library cannot be read.
    pub fn state(&self, name: &str) -> Result<Option<String>, LibraryError> {
        let sql = "SELECT state FROM models WHERE name = ?1";
        let state = self.connection.query_row(sql, [name], |row| row.get(0)).optional();
        self.told(state)
    }
}

const STORE_STATE: &str = "INSERT INTO models (name, state) VALUES (?1, ?2)
    ON CONFLICT (name) DO UPDATE SET state = excluded.state";

/// Milliseconds since 1970.
fn now() -> i64 {
    let elapsed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
}
