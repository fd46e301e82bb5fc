use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use rusqlite::params;

use crate::encode::{bytes_path, path_bytes};
use crate::library::{insert, words};
use crate::listing::Listing;
use crate::work::{Known, Listed, Outcome, work};
use crate::{FEATURE_VERSION, Library, LibraryError, Tags, TrackId};

/// Settings of [`Library::scan`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScanConfig {
    /// How many files are analysed at once. Default: `None`, as many as there are cores.
    pub threads: Option<NonZeroUsize>,
}

/// What happens during a scan.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum ScanEvent<'a> {
    /// The folders have been listed.
    Listed {
        /// Sound files there are, by their names.
        files: usize,
        /// How many of them are new or have changed, and are looked into now.
        to_do: usize,
    },
    /// A file was analysed; its track is stored.
    Analysed {
        /// The file.
        path: &'a Path,
        /// Its track.
        track: TrackId,
        /// How long it is, in seconds.
        seconds: f64,
    },
    /// A file was found to have the bytes of a track that was analysed before.
    Recognised {
        /// The file.
        path: &'a Path,
        /// Its track.
        track: TrackId,
    },
    /// A file cannot be read.
    Failed {
        /// The file.
        path: &'a Path,
        /// Why.
        reason: &'a str,
    },
}

/// A file that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanFailure {
    /// The file.
    pub path: PathBuf,
    /// Why, to follow its name.
    pub reason: String,
}

/// What a scan did.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ScanReport {
    /// Files analysed.
    pub analysed: usize,
    /// Files that are as they were, by size and time of change.
    pub unchanged: usize,
    /// Files whose bytes were known: touched, moved, or copies.
    pub recognised: usize,
    /// Tracks whose files are gone.
    pub missing: usize,
    /// Sound files that cannot be read, those known from before included, in the order of their paths.
    pub failures: Vec<ScanFailure>,
    /// Files that are no sound files by their names.
    pub ignored: usize,
    /// Seconds of sound analysed.
    pub seconds: f64,
    /// Whether all was done; not if the scan was told to stop.
    pub complete: bool,
}

impl Library {
    /// Brings the library up to date with all sound files in `folders` and the folders in them.
    ///
    /// Each track is stored as soon as it is analysed, so a scan that is stopped or killed goes on where it was when it
    /// is called again. A file is left alone if its size and time of change are as they were; analysed again if not, or
    /// if [`FEATURE_VERSION`] has changed, unless its bytes are those of a track that is known: a file that was only
    /// moved or renamed keeps its track with all that was said of it. Tracks whose files are gone are kept as missing.
    ///
    /// Which files are sound files is told by the ends of their names (`wav wave aif aiff aifc flac mp3 ogg oga m4a m4b
    /// mp4 aac`); what they hold, by their content. A file that cannot be read is listed in
    /// [`failures`](ScanReport::failures), and not tried again before it changes, unless it was the system that refused.
    ///
    /// `on` is called for each thing that happens, on the caller's thread; the scan stops soon after it says
    /// [`Break`](ControlFlow::Break).
    ///
    /// # Errors
    ///
    /// If a folder does not exist or cannot be listed (a drive that is not there must not make all tracks missing), or
    /// nothing can be stored.
    pub fn scan<P: AsRef<Path>>(
        &mut self,
        folders: &[P],
        config: &ScanConfig,
        on: impl FnMut(ScanEvent<'_>) -> ControlFlow<()>,
    ) -> Result<ScanReport, LibraryError> {
        let mut listing = Listing::default();
        let mut roots = Vec::new();
        for folder in folders {
            let failed = |error| LibraryError::Folder { path: folder.as_ref().to_owned(), error };
            let root = folder.as_ref().canonicalize().map_err(failed)?;
            std::fs::read_dir(&root).map_err(failed)?;
            listing.walk(&root);
            roots.push(root);
        }
        self.write(|t| {
            for root in &roots {
                t.execute("INSERT OR IGNORE INTO folders (path) VALUES (?1)", [path_bytes(root)])?;
            }
            Ok(())
        })?;
        self.update(listing, &roots, config, on)
    }

    /// [`scan`](Self::scan) of all folders scanned before.
    ///
    /// # Errors
    ///
    /// As [`scan`](Self::scan).
    pub fn rescan(
        &mut self,
        config: &ScanConfig,
        on: impl FnMut(ScanEvent<'_>) -> ControlFlow<()>,
    ) -> Result<ScanReport, LibraryError> {
        let folders = self.folders()?;
        self.scan(&folders, config, on)
    }

    /// The folders scanned so far.
    ///
    /// # Errors
    ///
    /// If the library cannot be read.
    pub fn folders(&self) -> Result<Vec<PathBuf>, LibraryError> {
        let read = || {
            let mut statement =
                self.connection.prepare("SELECT path FROM folders ORDER BY path")?;
            let rows = statement.query_map([], |row| row.get(0))?;
            rows.map(|bytes| bytes.map(bytes_path)).collect()
        };
        self.told(read())
    }

    /// Brings the library up to date with the files listed; other tracks below `roots` are missing.
    pub(crate) fn update(
        &mut self,
        listing: Listing,
        roots: &[PathBuf],
        config: &ScanConfig,
        mut on: impl FnMut(ScanEvent<'_>) -> ControlFlow<()>,
    ) -> Result<ScanReport, LibraryError> {
        let Listing { files, mut failures, unread, ignored } = listing;
        let known = self.known()?;
        let bad = self.known_failures()?;
        let n_files = files.len();
        let mut report = ScanReport { ignored, complete: true, ..ScanReport::default() };
        let (mut back, mut to_do) = (Vec::new(), Vec::new());
        let here: HashSet<PathBuf> = files.iter().map(|file| file.path.clone()).collect();
        for file in files {
            let same = |size, modified| size == file.size && modified == file.modified;
            if let Some(reason) = bad.get(&file) {
                failures.push(ScanFailure { path: file.path, reason: reason.clone() });
                continue;
            }
            match known.get(&file.path) {
                Some(known) if known.is_current() && same(known.size, known.modified) => {
                    report.unchanged += 1;
                    back.extend(known.missing.then_some(known.id));
                }
                _ => to_do.push(file),
            }
        }
        let gone = known.values().filter(|known| {
            let below =
                |folders: &[PathBuf]| folders.iter().any(|folder| known.path.starts_with(folder));
            !here.contains(&known.path) && below(roots) && !below(&unread)
        });
        let gone: Vec<TrackId> =
            gone.filter(|known| !known.missing).map(|known| known.id).collect();
        report.missing = gone.len();
        self.write(|t| {
            for (ids, missing) in [(&back, 0), (&gone, 1)] {
                for id in ids {
                    t.execute("UPDATE tracks SET missing = ?2 WHERE id = ?1", [id.0, missing])?;
                }
            }
            Ok(())
        })?;

        let stop = on(ScanEvent::Listed { files: n_files, to_do: to_do.len() }).is_break();
        let by_hash: HashMap<[u8; 32], TrackId> =
            known.values().filter(|k| k.is_current()).map(|k| (k.hash, k.id)).collect();
        let mut store = |library: &mut Self, file: &Listed, outcome: Outcome| {
            library.store(file, outcome, &mut report, &mut failures, &mut on)
        };
        let complete = !stop && in_parallel(self, &to_do, config, &by_hash, &mut store)?;
        report.complete = complete;
        failures.sort_by(|a, b| a.path.cmp(&b.path));
        report.failures = failures;
        Ok(report)
    }

    /// Stores what came of a file; `Break` if that was asked for.
    fn store(
        &mut self,
        file: &Listed,
        outcome: Outcome,
        report: &mut ScanReport,
        failures: &mut Vec<ScanFailure>,
        on: &mut impl FnMut(ScanEvent<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, LibraryError> {
        let path = file.path.as_path();
        Ok(match outcome {
            Outcome::Stopped => ControlFlow::Break(()),
            Outcome::Analysed(track) => {
                let id = self.write(|t| insert(t, &track))?;
                let seconds = track.analysis.duration;
                report.analysed += 1;
                report.seconds += seconds;
                on(ScanEvent::Analysed { path, track: id, seconds })
            }
            Outcome::Same { hash, id } => {
                let track = self.recognise(file, &hash, id)?;
                report.recognised += 1;
                on(ScanEvent::Recognised { path, track })
            }
            Outcome::Failed(reason) => {
                self.write(|t| {
                    t.prepare_cached(
                        "INSERT OR REPLACE INTO failures (path, size, modified, feature_version, reason)
                         VALUES (?1, ?2, ?3, ?4, ?5)",
                    )?
                    .execute(params![
                        path_bytes(path),
                        file.size as i64,
                        file.modified,
                        FEATURE_VERSION,
                        reason
                    ])?;
                    t.execute("UPDATE tracks SET missing = 1 WHERE path = ?1", [path_bytes(path)])
                })?;
                let flow = on(ScanEvent::Failed { path, reason: &reason });
                failures.push(ScanFailure { path: path.to_owned(), reason });
                flow
            }
            // Not stored, so that it is tried again.
            Outcome::Unreadable(reason) => {
                let flow = on(ScanEvent::Failed { path, reason: &reason });
                failures.push(ScanFailure { path: path.to_owned(), reason });
                flow
            }
        })
    }

    /// Notes that the file has the bytes of track `id`: it was touched, has moved here, or is a copy.
    fn recognise(
        &mut self,
        file: &Listed,
        hash: &[u8; 32],
        id: TrackId,
    ) -> Result<TrackId, LibraryError> {
        let Listed { path, size, modified } = file;
        let bytes = path_bytes(path);
        let original = self.track(id)?;
        if original.path != *path && original.path.exists() || original.hash != *hash {
            // A copy, or the track has changed in the meantime: nothing is known by then but the bytes.
            let tags = Tags::read(path);
            let new = crate::NewTrack {
                path: path.clone(),
                size: *size,
                modified: *modified,
                hash: *hash,
                tags,
                analysis: original.analysis,
            };
            return self.insert(&new);
        }
        self.write(|t| {
            if original.path != *path {
                // What was at this place before was something else, and is no more.
                t.execute("DELETE FROM tracks WHERE path = ?1", [&bytes])?;
            }
            t.execute(
                "UPDATE tracks SET path = ?2, size = ?3, modified = ?4, words = ?5, missing = 0 WHERE id = ?1",
                params![id.0, bytes, *size as i64, modified, words(&original.tags, path)],
            )?;
            t.execute("DELETE FROM failures WHERE path = ?1", [&bytes])
        })?;
        Ok(id)
    }

    fn known(&self) -> Result<HashMap<PathBuf, Known>, LibraryError> {
        let read = || {
            let sql = "SELECT id, path, size, modified, hash, feature_version, missing FROM tracks";
            let mut statement = self.connection.prepare(sql)?;
            let rows = statement.query_map([], |row| {
                let path = bytes_path(row.get(1)?);
                let known = Known {
                    id: TrackId(row.get(0)?),
                    path: path.clone(),
                    size: row.get::<_, i64>(2)? as u64,
                    modified: row.get(3)?,
                    hash: row.get(4)?,
                    version: row.get(5)?,
                    missing: row.get(6)?,
                };
                Ok((path, known))
            })?;
            rows.collect()
        };
        self.told(read())
    }

    /// Why the files that could not be read could not.
    fn known_failures(&self) -> Result<HashMap<Listed, String>, LibraryError> {
        let read = || {
            let sql =
                "SELECT path, size, modified, reason FROM failures WHERE feature_version = ?1";
            let mut statement = self.connection.prepare(sql)?;
            let rows = statement.query_map([FEATURE_VERSION], |row| {
                let path = bytes_path(row.get(0)?);
                let size = row.get::<_, i64>(1)? as u64;
                Ok((Listed { path, size, modified: row.get(2)? }, row.get(3)?))
            })?;
            rows.collect()
        };
        self.told(read())
    }
}

/// Works on all files on several threads, and stores what comes of them on this one; whether all was done.
fn in_parallel(
    library: &mut Library,
    files: &[Listed],
    config: &ScanConfig,
    by_hash: &HashMap<[u8; 32], TrackId>,
    store: &mut impl FnMut(&mut Library, &Listed, Outcome) -> Result<ControlFlow<()>, LibraryError>,
) -> Result<bool, LibraryError> {
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let threads = config.threads.map_or(cores, NonZeroUsize::get).min(files.len());
    let next = AtomicUsize::new(0);
    let go_on = AtomicBool::new(true);
    let (sender, outcomes) = mpsc::sync_channel(2 * threads.max(1));
    thread::scope(|scope| {
        for _ in 0..threads {
            let sender = sender.clone();
            let (next, go_on) = (&next, &go_on);
            scope.spawn(move || {
                while go_on.load(Ordering::Relaxed) {
                    let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
                    // Nobody listens any more if storing has failed.
                    if sender.send((file, work(file, by_hash, go_on))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        for (file, outcome) in outcomes {
            match store(library, file, outcome) {
                Ok(ControlFlow::Continue(())) => {}
                // The receiver is dropped, and the workers see it.
                Ok(ControlFlow::Break(())) => {
                    go_on.store(false, Ordering::Relaxed);
                    return Ok(false);
                }
                Err(error) => {
                    go_on.store(false, Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
        Ok(true)
    })
}
