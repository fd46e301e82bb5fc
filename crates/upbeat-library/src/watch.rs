use std::collections::BTreeSet;
use std::fmt;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use crate::listing::Listing;
use crate::{Library, LibraryError, ScanConfig, ScanEvent, ScanReport};

/// Follows folders, so that a library is brought up to date as soon as a file appears, changes, moves or goes.
///
/// The system tells of changes; [`update`](Self::update), called now and then by the user, acts on them. A change is
/// left to settle until nothing more was heard of it for a second, since large files take time to be copied.
///
/// # Examples
///
/// ```no_run
/// use std::ops::ControlFlow;
/// use std::time::Duration;
/// use upbeat_library::{Library, ScanConfig, Watch};
///
/// let mut library = Library::open("library.db")?;
/// let mut watch = Watch::new(&library.folders()?)?;
/// loop {
///     let report = watch.update(&mut library, Duration::from_secs(10), &ScanConfig::default(), |_| {
///         ControlFlow::Continue(())
///     })?;
///     if let Some(report) = report {
///         println!("{} new, {} gone", report.analysed, report.missing);
///     }
/// }
/// # #[allow(unreachable_code)]
/// # Ok::<(), upbeat_library::LibraryError>(())
/// ```
pub struct Watch {
    _watcher: RecommendedWatcher,
    events: Receiver<notify::Result<Event>>,
    folders: Vec<PathBuf>,
    changed: BTreeSet<PathBuf>,
    /// When the last change was heard of.
    last: Option<Instant>,
    /// Whether changes were missed, so that all folders must be listed.
    missed: bool,
}

impl Watch {
    /// Begins to follow the folders, and those in them.
    ///
    /// # Errors
    ///
    /// If one does not exist, or the system cannot tell of its changes.
    pub fn new<P: AsRef<Path>>(folders: &[P]) -> Result<Self, LibraryError> {
        let failed = |path: &Path, error: notify::Error| LibraryError::Watch {
            path: path.to_owned(),
            reason: error.to_string(),
        };
        let (sender, events) = channel();
        let mut watcher =
            notify::recommended_watcher(sender).map_err(|error| failed(Path::new("."), error))?;
        let mut roots = Vec::new();
        for folder in folders {
            let folder = folder.as_ref();
            let root = folder
                .canonicalize()
                .map_err(|error| LibraryError::Folder { path: folder.to_owned(), error })?;
            watcher.watch(&root, RecursiveMode::Recursive).map_err(|error| failed(&root, error))?;
            roots.push(root);
        }
        Ok(Self {
            _watcher: watcher,
            events,
            folders: roots,
            changed: BTreeSet::new(),
            last: None,
            missed: false,
        })
    }

    /// Waits until something has changed and settled, for at most `timeout`, and brings the library up to date with it;
    /// `None` if nothing has.
    ///
    /// # Errors
    ///
    /// As [`Library::scan`].
    pub fn update(
        &mut self,
        library: &mut Library,
        timeout: Duration,
        config: &ScanConfig,
        on: impl FnMut(ScanEvent<'_>) -> ControlFlow<()>,
    ) -> Result<Option<ScanReport>, LibraryError> {
        let end = Instant::now() + timeout;
        loop {
            let now = Instant::now();
            let settled = self.last.map(|last| last + SETTLE);
            if settled.is_some_and(|settled| settled <= now) {
                break;
            }
            if now >= end {
                return Ok(None);
            }
            match self.events.recv_timeout(settled.unwrap_or(end).min(end) - now) {
                Ok(event) => self.note(event),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
        }
        self.last = None;
        if std::mem::take(&mut self.missed) {
            self.changed.clear();
            return library.scan(&self.folders, config, on).map(Some);
        }
        let changed = std::mem::take(&mut self.changed);
        let mut listing = Listing::default();
        for path in &changed {
            if path.is_dir() {
                listing.walk(path);
            } else {
                listing.add(path);
            }
        }
        // What changed and is there no more is gone, with all that was below it.
        let changed: Vec<PathBuf> = changed.into_iter().collect();
        library.update(listing, &changed, config, on).map(Some)
    }

    fn note(&mut self, event: notify::Result<Event>) {
        match event {
            Ok(event) if event.need_rescan() => self.missed = true,
            // Reading a file is none of our business, and what a scan does itself.
            Ok(Event { kind: EventKind::Access(_), .. }) => return,
            Ok(event) => self.changed.extend(event.paths),
            Err(_) => self.missed = true,
        }
        self.last = Some(Instant::now());
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("folders", &self.folders).finish_non_exhaustive()
    }
}

/// How long nothing must have changed.
const SETTLE: Duration = Duration::from_secs(1);
