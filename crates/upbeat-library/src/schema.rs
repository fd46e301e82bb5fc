//! The tables, and how older ones become newer ones.

use rusqlite::{Connection, TransactionBehavior};

/// Says in the file's header that it is a library of ours: "upbL".
const APPLICATION: i64 = 0x7570_624C;

/// The newest version known, which is how many steps there are.
pub(crate) const VERSION: i64 = STEPS.len() as i64;

/// What leads from each version to the next, the first one from an empty file. A step that was ever in use is never
/// changed again.
const STEPS: &[&str] = &[FIRST, SECOND];

const FIRST: &str = "
CREATE TABLE tracks (
    id INTEGER PRIMARY KEY,
    path BLOB NOT NULL UNIQUE,              -- as the system has it; need not be UTF-8
    size INTEGER NOT NULL,
    modified INTEGER NOT NULL,              -- nanoseconds since 1970
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    missing INTEGER NOT NULL DEFAULT 0 CHECK (missing IN (0, 1)),
    title TEXT, artist TEXT, album TEXT,
    words TEXT NOT NULL,                    -- what text is searched in, in lower case
    duration REAL NOT NULL CHECK (duration >= 0),
    tempo REAL CHECK (tempo > 0),
    tempo_confidence REAL,
    tempo_alternatives BLOB,                -- pairs of f32: beats per minute, weight
    tonic INTEGER CHECK (tonic BETWEEN 0 AND 11),
    mode INTEGER CHECK (mode IN (0, 1)),    -- 0 is major
    key_confidence REAL,
    loudness REAL, energy REAL, brightness REAL, rolloff REAL, bandwidth REAL,
    zero_crossing_rate REAL, onset_rate REAL, tempo_stability REAL,
    contrast BLOB, mfcc BLOB,               -- f32, little-endian
    damage TEXT,
    feature_version INTEGER NOT NULL
) STRICT;
CREATE INDEX tracks_by_hash ON tracks (hash);
CREATE INDEX tracks_by_tempo ON tracks (tempo);
CREATE TABLE sessions (
    id INTEGER PRIMARY KEY,
    started INTEGER NOT NULL,               -- milliseconds since 1970
    ended INTEGER,
    playing INTEGER REFERENCES tracks ON DELETE SET NULL
) STRICT;
CREATE TABLE feedback (
    id INTEGER PRIMARY KEY,
    session INTEGER REFERENCES sessions ON DELETE SET NULL,
    track INTEGER NOT NULL REFERENCES tracks ON DELETE CASCADE,
    after INTEGER REFERENCES tracks ON DELETE SET NULL,
    opinion TEXT NOT NULL CHECK (opinion IN ('accepted', 'rejected', 'score', 'skipped', 'listened')),
    value REAL NOT NULL CHECK (value BETWEEN 0 AND 1),
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX feedback_by_track ON feedback (track);
CREATE TABLE transitions (
    id INTEGER PRIMARY KEY,
    session INTEGER REFERENCES sessions ON DELETE SET NULL,
    origin INTEGER NOT NULL REFERENCES tracks ON DELETE CASCADE,
    target INTEGER NOT NULL REFERENCES tracks ON DELETE CASCADE,
    at INTEGER NOT NULL
) STRICT;
";

/// Files that cannot be read are remembered, and so are the scanned folders; where the first beat is; the state of
/// the models that learn.
const SECOND: &str = "
CREATE TABLE failures (
    path BLOB PRIMARY KEY,
    size INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    feature_version INTEGER NOT NULL,
    reason TEXT NOT NULL
) STRICT;
CREATE TABLE folders (path BLOB PRIMARY KEY) STRICT;
CREATE TABLE models (name TEXT PRIMARY KEY, state TEXT NOT NULL) STRICT;
ALTER TABLE tracks ADD COLUMN first_beat REAL;
";

/// Why the tables cannot be brought up to date.
pub(crate) enum Refusal {
    Foreign,
    Future(i64),
    Database(rusqlite::Error),
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

/// Brings the tables up to date, in one transaction: a crash leaves the old ones or the new ones.
pub(crate) fn migrate(connection: &mut Connection) -> Result<(), Refusal> {
    migrate_to(connection, STEPS.len())
}

fn migrate_to(connection: &mut Connection, target: usize) -> Result<(), Refusal> {
    // In a transaction, so that nobody makes the tables while they are looked at.
    let looking = connection.transaction()?;
    let found = version(&looking)?;
    looking.finish()?;
    if found == target {
        return Ok(());
    }
    // Whoever comes second waits here, and finds the work done.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let from = version(&transaction)?;
    for step in STEPS.iter().take(target).skip(from) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", target.max(from) as i64)?;
    Ok(transaction.commit()?)
}

/// The version of the tables, if they are ours and known; 0 in an empty file.
fn version(connection: &Connection) -> Result<usize, Refusal> {
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (application, version) = (number("application_id")?, number("user_version")?);
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match usize::try_from(version) {
        Ok(0) if application == 0 && tables == 0 => Ok(0),
        Ok(version) if application == APPLICATION && (1..=STEPS.len()).contains(&version) => {
            Ok(version)
        }
        Ok(found) if application == APPLICATION && found > STEPS.len() => {
            Err(Refusal::Future(version))
        }
        _ => Err(Refusal::Foreign),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(connection: &Connection) -> Vec<String> {
        let mut statement = connection
            .prepare("SELECT m.name || '.' || c.name FROM sqlite_schema m, pragma_table_info(m.name) c ORDER BY 1")
            .unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn a_library_of_version_one_becomes_a_new_one_and_keeps_all_rows() {
        let mut old = Connection::open_in_memory().unwrap();
        assert!(migrate_to(&mut old, 1).is_ok());
        old.execute_batch(
            "INSERT INTO tracks (id, path, size, modified, hash, words, duration, tempo, feature_version)
             VALUES (7, x'ff2f61', 1, 2, zeroblob(32), 'a', 3.5, 120.0, 1);
             INSERT INTO sessions (id, started, playing) VALUES (3, 5, 7);
             INSERT INTO feedback (session, track, opinion, value, at) VALUES (3, 7, 'score', 0.5, 6);",
        )
        .unwrap();
        assert!(migrate(&mut old).is_ok());
        let kept: (i64, Vec<u8>, f64, Option<f64>, f64) = old
            .query_row(
                "SELECT t.id, t.path, t.tempo, t.first_beat, f.value FROM tracks t JOIN feedback f ON f.track = t.id",
                [],
                |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?)),
            )
            .unwrap();
        assert_eq!(kept, (7, b"\xff/a".to_vec(), 120.0, None, 0.5));
        assert!(matches!(version(&old), Ok(found) if found == STEPS.len()));

        let mut new = Connection::open_in_memory().unwrap();
        assert!(migrate(&mut new).is_ok());
        assert_eq!(columns(&old), columns(&new));
        assert!(migrate(&mut new).is_ok(), "nothing is left to do");
    }

    #[test]
    fn many_at_once_make_one_library() {
        let folder = tempfile::tempdir().unwrap();
        for round in 0..20 {
            let path = folder.path().join(format!("{round}.db"));
            let start = std::sync::Barrier::new(4);
            let opened: Vec<_> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..4)
                    .map(|_| {
                        scope.spawn(|| {
                            start.wait();
                            crate::Library::open(&path).map(drop)
                        })
                    })
                    .collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert!(opened.iter().all(Result::is_ok), "round {round}: {opened:?}");
        }
    }

    #[test]
    fn a_step_that_fails_leaves_the_old_tables() {
        let mut old = Connection::open_in_memory().unwrap();
        assert!(migrate_to(&mut old, 1).is_ok());
        let before = columns(&old);
        // In the way of the last statement but one.
        old.execute_batch("CREATE TEMP TABLE models (x)").unwrap();
        old.execute_batch("CREATE TABLE main.models (x)").unwrap();
        assert!(matches!(migrate(&mut old), Err(Refusal::Database(_))));
        old.execute_batch("DROP TABLE main.models; DROP TABLE temp.models").unwrap();
        assert_eq!(columns(&old), before);
        assert!(matches!(version(&old), Ok(1)));
    }

    #[test]
    fn other_files_and_later_versions_are_refused_and_left_alone() {
        let mut foreign = Connection::open_in_memory().unwrap();
        foreign.execute_batch("CREATE TABLE contacts (name)").unwrap();
        assert!(matches!(migrate(&mut foreign), Err(Refusal::Foreign)));
        assert_eq!(columns(&foreign), ["contacts.name"]);

        let mut future = Connection::open_in_memory().unwrap();
        assert!(migrate(&mut future).is_ok());
        future.pragma_update(None, "user_version", VERSION + 1).unwrap();
        assert!(
            matches!(migrate(&mut future), Err(Refusal::Future(found)) if found == VERSION + 1)
        );
    }
}
