use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension, Row, Transaction, TransactionBehavior,
    params,
};
use upbeat_predict::harmony::{Key, Mode, PitchClass};

use crate::encode::{bytes_array, bytes_numbers, bytes_path, number_bytes, path_bytes};
use crate::schema::{self, Refusal};
use crate::{
    LibraryError, NewTrack, Tags, Tempo, TempoCandidate, Track, TrackAnalysis, TrackId, TrackKey,
};

/// A collection of tracks in one `SQLite` file.
///
/// Several programs, and several `Library`s in one program, may use the same file: readers never wait, writers wait for
/// each other for up to 10 s. All that a method has stored when it returns survives a crash of the program and of the
/// machine (`SQLite`'s write-ahead log, synchronised at each commit), so two files named after the library's, ending in
/// `-wal` and `-shm`, lie beside it while it is open, and belong to it. It should not lie on a network drive.
///
/// A `Library` may be sent between threads, but serves one at a time. Every method may wait for the disk.
///
/// # Examples
///
/// ```
/// use upbeat_library::Library;
///
/// let folder = tempfile::tempdir()?;
/// let library = Library::open(folder.path().join("library.db"))?;
/// assert!(library.is_empty()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Library {
    pub(crate) connection: Connection,
    path: PathBuf,
}

impl Library {
    /// Opens the library in the file at `path`, or makes a new one there. Tables of older versions are brought up to date.
    ///
    /// # Errors
    ///
    /// If the folder does not exist, the file or the folder may not be written, the file is something else
    /// ([`NotALibrary`](LibraryError::NotALibrary)) or of a later version ([`FutureVersion`](LibraryError::FutureVersion));
    /// such a file is left as it is.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, LibraryError> {
        let path = path.as_ref().to_owned();
        Self::connect(&path)
            .map_err(|refusal| match refusal {
                Refusal::Foreign => LibraryError::NotALibrary { path },
                Refusal::Future(found) => {
                    LibraryError::FutureVersion { path, found, known: schema::VERSION }
                }
                Refusal::Database(error) => LibraryError::database(&path, &error),
            })
            .map(|(connection, path)| Self { connection, path })
    }

    fn connect(path: &Path) -> Result<(Connection, PathBuf), Refusal> {
        // Names are taken as they are, not as URIs; each connection has its own thread at a time.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY)?;
        connection.pragma_update(None, "foreign_keys", true)?;
        // SQLite waits for others in most places, but not where one of them is just changing the journal's mode.
        let deadline = Instant::now() + BUSY;
        loop {
            match Self::prepare(&mut connection) {
                Err(Refusal::Database(error))
                    if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                        && Instant::now() < deadline =>
                {
                    std::thread::sleep(Duration::from_millis(2));
                }
                prepared => return prepared.map(|()| (connection, path.to_owned())),
            }
        }
    }

    /// Brings the file up to date, if it is a library and can be written.
    fn prepare(connection: &mut Connection) -> Result<(), Refusal> {
        // Before the journal's mode is set, which writes to the file: it may not be ours.
        schema::migrate(connection)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "full")?;
        // Asks for a lock that only a file that can be written gives.
        Ok(connection.transaction_with_behavior(TransactionBehavior::Immediate)?.rollback()?)
    }

    /// The library's file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts a track in, or in place of the one that is at the same path, which keeps its number and what was said of it.
    ///
    /// # Errors
    ///
    /// If its duration is not a number of at least 0, or nothing can be stored.
    pub fn insert(&mut self, track: &NewTrack) -> Result<TrackId, LibraryError> {
        self.write(|transaction| insert(transaction, track))
    }

    /// Puts many tracks in, all or none of them, much faster than one by one.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert).
    pub fn insert_all<'a>(
        &mut self,
        tracks: impl IntoIterator<Item = &'a NewTrack>,
    ) -> Result<Vec<TrackId>, LibraryError> {
        self.write(|transaction| {
            tracks.into_iter().map(|track| insert(transaction, track)).collect()
        })
    }

    /// Takes a track out, with all that was said about it. The file itself is not touched; a scan finds it again.
    ///
    /// # Errors
    ///
    /// If there is no such track, or nothing can be stored.
    pub fn remove(&mut self, id: TrackId) -> Result<(), LibraryError> {
        let removed = self
            .write(|transaction| transaction.execute("DELETE FROM tracks WHERE id = ?1", [id.0]))?;
        if removed == 1 { Ok(()) } else { Err(LibraryError::NoSuchTrack(id)) }
    }

    /// The track with this number.
    ///
    /// # Errors
    ///
    /// If there is no such track, or the library cannot be read.
    pub fn track(&self, id: TrackId) -> Result<Track, LibraryError> {
        self.one("WHERE id = ?1", id.0)?.ok_or(LibraryError::NoSuchTrack(id))
    }

    /// The track of the file at `path`, if there is one; missing ones too.
    ///
    /// # Errors
    ///
    /// If the library cannot be read.
    pub fn track_at(&self, path: &Path) -> Result<Option<Track>, LibraryError> {
        let absolute = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        self.one("WHERE path = ?1", path_bytes(&absolute))
    }

    /// All tracks whose files were there when last looked for, in the order of their paths.
    ///
    /// # Errors
    ///
    /// If the library cannot be read.
    pub fn tracks(&self) -> Result<Vec<Track>, LibraryError> {
        self.many("WHERE missing = 0 ORDER BY path", [])
    }

    /// How many tracks there are, missing ones not counted.
    ///
    /// # Errors
    ///
    /// If the library cannot be read.
    pub fn len(&self) -> Result<usize, LibraryError> {
        let sql = "SELECT count(*) FROM tracks WHERE missing = 0";
        let count = self.connection.query_row(sql, [], |row| row.get::<_, i64>(0));
        Ok(self.told(count)? as usize)
    }

    /// Whether there is no track.
    ///
    /// # Errors
    ///
    /// If the library cannot be read.
    pub fn is_empty(&self) -> Result<bool, LibraryError> {
        Ok(self.len()? == 0)
    }

    /// Reads the whole file and says what is wrong with it: nothing, as far as anyone has seen.
    ///
    /// # Errors
    ///
    /// [`Damaged`](LibraryError::Damaged), or if the library cannot be read.
    pub fn check(&self) -> Result<(), LibraryError> {
        let verdict = self
            .connection
            .query_row("PRAGMA integrity_check(1)", [], |row| row.get::<_, String>(0));
        let mut verdict = self.told(verdict)?;
        let orphan = self
            .connection
            .query_row("PRAGMA foreign_key_check", [], |row| row.get::<_, String>(0));
        if let Some(table) = self.told(orphan.optional())? {
            verdict = format!("a row of {table} refers to nothing");
        }
        if verdict == "ok" {
            return Ok(());
        }
        Err(LibraryError::Damaged { path: self.path.clone(), reason: verdict })
    }

    /// Runs `work` in a transaction, which is stored as a whole if all goes well, and else not at all.
    pub(crate) fn write<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, LibraryError> {
        let run = |connection: &mut Connection| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = work(&transaction)?;
            transaction.commit()?;
            Ok(value)
        };
        let result = run(&mut self.connection);
        self.told(result)
    }

    /// The tracks that `clause` chooses.
    pub(crate) fn many(
        &self,
        clause: &str,
        params: impl rusqlite::Params,
    ) -> Result<Vec<Track>, LibraryError> {
        let read = || {
            let mut statement = self
                .connection
                .prepare_cached(&format!("SELECT {COLUMNS} FROM tracks {clause}"))?;
            statement.query_map(params, read_track)?.collect()
        };
        self.told(read())
    }

    fn one(
        &self,
        clause: &str,
        param: impl rusqlite::ToSql,
    ) -> Result<Option<Track>, LibraryError> {
        Ok(self.many(clause, [param])?.pop())
    }

    /// The result, with an error that says what it means.
    pub(crate) fn told<T>(&self, result: rusqlite::Result<T>) -> Result<T, LibraryError> {
        result.map_err(|error| LibraryError::database(&self.path, &error))
    }
}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Library").field("path", &self.path).finish_non_exhaustive()
    }
}

pub(crate) fn insert(transaction: &Transaction<'_>, track: &NewTrack) -> rusqlite::Result<TrackId> {
    let NewTrack { path, size, modified, hash, tags, analysis: a } = track;
    let finite = |x: Option<f32>| x.filter(|x| x.is_finite());
    let tempo = a.tempo.as_ref().filter(|t| t.bpm.is_finite() && t.bpm > 0.0);
    let alternatives =
        tempo.map(|t| number_bytes(t.alternatives.iter().flat_map(|c| [c.bpm, c.weight])));
    let list = |numbers: Option<&[f32]>| {
        numbers.filter(|n| n.iter().all(|x| x.is_finite())).map(|n| number_bytes(n.iter().copied()))
    };
    let bytes = path_bytes(path);
    let mut statement = transaction.prepare_cached(INSERT)?;
    let id = statement.query_row(
        params![
            bytes,
            *size as i64,
            modified,
            hash,
            tags.title,
            tags.artist,
            tags.album,
            words(tags, path),
            a.duration,
            tempo.map(|t| t.bpm),
            tempo.and_then(|t| finite(Some(t.confidence))),
            alternatives,
            tempo.and_then(|t| t.first_beat.filter(|x| x.is_finite())),
            a.key.map(|k| k.key.tonic.semitones()),
            a.key.map(|k| u8::from(k.key.mode == Mode::Minor)),
            a.key.and_then(|k| finite(Some(k.confidence))),
            finite(a.loudness),
            finite(a.energy),
            finite(a.brightness),
            finite(a.rolloff),
            finite(a.bandwidth),
            finite(a.zero_crossing_rate),
            finite(a.onset_rate),
            finite(a.tempo_stability),
            list(a.contrast.as_ref().map(|c| &c[..])),
            list(a.mfcc.as_ref().map(|m| &m[..])),
            a.damage,
            a.version,
        ],
        |row| row.get(0),
    )?;
    transaction.prepare_cached("DELETE FROM failures WHERE path = ?1")?.execute([bytes])?;
    Ok(TrackId(id))
}

/// What text is searched in: tags and the name of the file, in lower case.
pub(crate) fn words(tags: &Tags, path: &Path) -> String {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let parts = [tags.artist.as_deref(), tags.title.as_deref(), tags.album.as_deref(), Some(&name)];
    parts.into_iter().flatten().collect::<Vec<_>>().join("\n").to_lowercase()
}

fn read_track(row: &Row<'_>) -> rusqlite::Result<Track> {
    let blob = |name| row.get::<_, Option<Vec<u8>>>(name);
    let tempo = match row.get::<_, Option<f32>>("tempo")? {
        None => None,
        Some(bpm) => Some(Tempo {
            bpm,
            confidence: row.get::<_, Option<f32>>("tempo_confidence")?.unwrap_or(0.0),
            first_beat: row.get("first_beat")?,
            alternatives: candidates(&blob("tempo_alternatives")?.unwrap_or_default()),
        }),
    };
    let key = match (row.get::<_, Option<u8>>("tonic")?, row.get::<_, Option<u8>>("mode")?) {
        (Some(tonic), Some(mode)) => Some(TrackKey {
            key: Key {
                tonic: PitchClass::new(tonic),
                mode: if mode == 0 { Mode::Major } else { Mode::Minor },
            },
            confidence: row.get::<_, Option<f32>>("key_confidence")?.unwrap_or(0.0),
        }),
        _ => None,
    };
    let analysis = TrackAnalysis {
        duration: row.get("duration")?,
        tempo,
        tempo_stability: row.get("tempo_stability")?,
        key,
        loudness: row.get("loudness")?,
        energy: row.get("energy")?,
        brightness: row.get("brightness")?,
        rolloff: row.get("rolloff")?,
        bandwidth: row.get("bandwidth")?,
        zero_crossing_rate: row.get("zero_crossing_rate")?,
        onset_rate: row.get("onset_rate")?,
        contrast: blob("contrast")?.as_deref().and_then(bytes_array),
        mfcc: blob("mfcc")?.as_deref().and_then(bytes_array),
        damage: row.get("damage")?,
        version: row.get("feature_version")?,
    };
    Ok(Track {
        id: TrackId(row.get("id")?),
        path: bytes_path(row.get("path")?),
        tags: Tags {
            title: row.get("title")?,
            artist: row.get("artist")?,
            album: row.get("album")?,
        },
        analysis,
        hash: row.get("hash")?,
        missing: row.get("missing")?,
    })
}

fn candidates(bytes: &[u8]) -> Vec<TempoCandidate> {
    let numbers: Vec<f32> = bytes_numbers(bytes).collect();
    numbers
        .chunks_exact(2)
        .map(|pair| TempoCandidate { bpm: pair[0], weight: pair[1] })
        .filter(|candidate| candidate.bpm > 0.0 && candidate.weight.is_finite())
        .collect()
}

const COLUMNS: &str = "id, path, hash, missing, title, artist, album, duration, tempo, tempo_confidence,
    tempo_alternatives, first_beat, tonic, mode, key_confidence, loudness, energy, brightness, rolloff, bandwidth,
    zero_crossing_rate, onset_rate, tempo_stability, contrast, mfcc, damage, feature_version";

const INSERT: &str = "INSERT INTO tracks (path, size, modified, hash, title, artist, album, words, duration,
    tempo, tempo_confidence, tempo_alternatives, first_beat, tonic, mode, key_confidence, loudness, energy, brightness,
    rolloff, bandwidth, zero_crossing_rate, onset_rate, tempo_stability, contrast, mfcc, damage, feature_version)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23,
    ?24, ?25, ?26, ?27, ?28)
    ON CONFLICT (path) DO UPDATE SET missing = 0, size = excluded.size, modified = excluded.modified,
    hash = excluded.hash, title = excluded.title, artist = excluded.artist, album = excluded.album,
    words = excluded.words, duration = excluded.duration, tempo = excluded.tempo,
    tempo_confidence = excluded.tempo_confidence, tempo_alternatives = excluded.tempo_alternatives,
    first_beat = excluded.first_beat, tonic = excluded.tonic, mode = excluded.mode,
    key_confidence = excluded.key_confidence, loudness = excluded.loudness, energy = excluded.energy,
    brightness = excluded.brightness, rolloff = excluded.rolloff, bandwidth = excluded.bandwidth,
    zero_crossing_rate = excluded.zero_crossing_rate, onset_rate = excluded.onset_rate,
    tempo_stability = excluded.tempo_stability, contrast = excluded.contrast, mfcc = excluded.mfcc,
    damage = excluded.damage, feature_version = excluded.feature_version
    RETURNING id";

/// How long to wait for other programs.
const BUSY: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FEATURE_VERSION;

    fn track(number: u8) -> NewTrack {
        NewTrack {
            path: format!("/music/{number}").into(),
            size: 1,
            modified: 1,
            hash: [number; 32],
            tags: Tags { title: Some("x".repeat(500)), ..Tags::default() },
            analysis: TrackAnalysis { version: FEATURE_VERSION, ..TrackAnalysis::default() },
        }
    }

    #[test]
    fn without_room_what_is_stored_is_safe_and_with_room_it_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let mut library = Library::open(folder.path().join("x.db")).unwrap();
        let pages: i64 =
            library.connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        library.connection.pragma_update(None, "max_page_count", pages + 4).unwrap();
        let mut stored = 0;
        let error = loop {
            match library.insert(&track(stored)) {
                Ok(_) => stored += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(error, LibraryError::DiskFull { .. }), "{error}");
        assert!(stored > 2 && error.to_string().contains("x.db"), "{stored}: {error}");
        library.check().unwrap();
        assert_eq!(library.len().unwrap(), usize::from(stored));
        library.connection.pragma_update(None, "max_page_count", 1_000_000).unwrap();
        library.insert(&track(stored)).unwrap();
        assert_eq!(library.len().unwrap(), usize::from(stored) + 1);
    }
}
