use crate::{AdaptError, AdaptiveModels};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// What a file begins with, whatever its version.
#[derive(Deserialize)]
struct Header {
    format: String,
    version: u64,
}

/// The whole of version 1.
#[derive(Serialize, Deserialize)]
struct Envelope<'a> {
    format: &'a str,
    version: u64,
    feature_set: u64,
    checksum: &'a str,
    #[serde(borrow)]
    models: &'a RawValue,
}

impl AdaptiveModels {
    /// Writes all that was learned to `path`, in place of what is there.
    ///
    /// The file is written anew beside the old one, flushed to the disk, and then takes its name in one step: whatever happens
    /// on the way, `path` holds all of the old or all of the new. What was observed of the moment for
    /// [`forecast`](Self::forecast) is not kept. Halves of files that a crash has left are removed, once they are an hour old.
    ///
    /// # Errors
    ///
    /// If the folder cannot be written to or is full; the old file is there unchanged.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), AdaptError> {
        let path = path.as_ref();
        let text = self.text().map_err(|error| AdaptError::io("write", path)(error.into()))?;
        let folder = folder_of(path);
        let prefix = temporary_prefix(path);
        remove_stale(&folder, &prefix);
        let mut file = tempfile::Builder::new()
            .prefix(&prefix)
            .suffix(SUFFIX)
            .tempfile_in(&folder)
            .map_err(AdaptError::io("create a file beside", path))?;
        file.write_all(text.as_bytes()).map_err(AdaptError::io("write", path))?;
        file.as_file().sync_all().map_err(AdaptError::io("flush", path))?;
        file.persist(path).map_err(|error| AdaptError::io("replace", path)(error.error))?;
        // The new name reaches the disk with its folder; where folders cannot be flushed, the system does it in its time.
        if let Ok(folder) = File::open(&folder) {
            _ = folder.sync_all();
        }
        Ok(())
    }

    /// Reads what [`save`](Self::save) wrote.
    ///
    /// # Errors
    ///
    /// If there is no such file or it cannot be read ([`Io`](AdaptError::Io)), it is none of ours ([`Foreign`](AdaptError::Foreign)), it is
    /// damaged in any byte ([`Corrupt`](AdaptError::Corrupt)), or written by a later version or for other features
    /// ([`FutureVersion`](AdaptError::FutureVersion), [`FeatureSet`](AdaptError::FeatureSet)). The file is left as it was in all cases.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, AdaptError> {
        let path = path.as_ref();
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(AdaptError::io("open", path))?;
        file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(AdaptError::io("read", path))?;
        if bytes.len() as u64 > LARGEST {
            let reason = "it is too large".into();
            return Err(AdaptError::Foreign { path: path.into(), reason });
        }
        Self::read(&bytes, path)
    }

    /// All that was learned, as text: what [`save`](Self::save) writes, for programs that keep it elsewhere.
    ///
    /// ```
    /// use upbeat_adapt::{AdaptConfig, AdaptError, AdaptiveModels};
    ///
    /// let models = AdaptiveModels::new(&AdaptConfig::default())?;
    /// let text = models.to_json()?;
    /// let origin = "my database".as_ref();
    /// assert_eq!(AdaptiveModels::from_json(&text, origin)?, models);
    /// let damaged = text.replace("updates_per_second", "updates_per_sEcond");
    /// assert_ne!(damaged, text);
    /// let refused = AdaptiveModels::from_json(&damaged, origin);
    /// assert!(matches!(refused, Err(AdaptError::Corrupt { .. })));
    /// # Ok::<(), AdaptError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the memory for it cannot be had.
    pub fn to_json(&self) -> Result<String, AdaptError> {
        self.text().map_err(|error| AdaptError::io("write", Path::new("models"))(error.into()))
    }

    /// Reads what [`to_json`](Self::to_json) wrote; `origin` says in errors where the text is from.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load), for the text.
    pub fn from_json(text: &str, origin: &Path) -> Result<Self, AdaptError> {
        Self::read(text.as_bytes(), origin)
    }

    fn text(&self) -> serde_json::Result<String> {
        let models = serde_json::value::to_raw_value(self)?;
        let checksum = checksum(models.get());
        serde_json::to_string(&Envelope {
            format: FORMAT,
            version: VERSION,
            feature_set: FEATURE_SET,
            checksum: &checksum,
            models: &models,
        })
    }

    fn read(bytes: &[u8], path: &Path) -> Result<Self, AdaptError> {
        let foreign =
            |reason: &str| AdaptError::Foreign { path: path.into(), reason: reason.into() };
        let corrupt = |reason: String| AdaptError::Corrupt { path: path.into(), reason };
        let text = std::str::from_utf8(bytes).unwrap_or_default();
        let header: Header = match serde_json::from_str(text) {
            Ok(header) => header,
            Err(_) if bytes.starts_with(OPENING) => {
                return Err(corrupt("it ends early or is not JSON".into()));
            }
            Err(_) => return Err(foreign("it does not begin like one")),
        };
        if header.format != FORMAT {
            return Err(foreign("it names another format"));
        }
        if header.version > VERSION {
            let (found, supported) = (header.version, VERSION);
            return Err(AdaptError::FutureVersion { path: path.into(), found, supported });
        }
        let envelope: Envelope<'_> =
            serde_json::from_str(text).map_err(|error| corrupt(error.to_string()))?;
        if envelope.version != VERSION {
            return Err(corrupt(format!("there is no version {}", envelope.version)));
        }
        if envelope.checksum != checksum(envelope.models.get()) {
            return Err(corrupt("its checksum is wrong".into()));
        }
        if envelope.feature_set != FEATURE_SET {
            let (found, supported) = (envelope.feature_set, FEATURE_SET);
            return Err(AdaptError::FeatureSet { path: path.into(), found, supported });
        }
        let models: Self = serde_json::from_str(envelope.models.get())
            .map_err(|error| corrupt(error.to_string()))?;
        if !models.is_whole() {
            return Err(corrupt("its tables have wrong sizes".into()));
        }
        Ok(models)
    }
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.into(),
        _ => ".".into(),
    }
}

/// What the names of temporary files for `path` begin with.
fn temporary_prefix(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    format!(".{name}.")
}

/// Removes what crashes have left. Nothing of it is needed, so that it is tried only.
fn remove_stale(folder: &Path, prefix: &str) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let ours = name.strip_prefix(prefix).is_some_and(|rest| rest.ends_with(SUFFIX));
        if ours && age(&entry.path()).is_some_and(|age| age > STALE) {
            _ = fs::remove_file(entry.path());
        }
    }
}

fn age(path: &Path) -> Option<Duration> {
    let written = fs::metadata(path).and_then(|metadata| metadata.modified()).ok()?;
    SystemTime::now().duration_since(written).ok()
}

/// FNV-1a, 64 bits: any one changed byte changes it.
fn checksum(text: &str) -> String {
    let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    format!("{:016x}", text.bytes().fold(0xcbf2_9ce4_8422_2325, fold))
}

const FORMAT: &str = "upbeat-adapt";

/// Raised with any change that earlier versions could not read.
const VERSION: u64 = 1;

/// Raised with any change of what models see of a track, for weights learned before would mean something else.
const FEATURE_SET: u64 = 1;

const OPENING: &[u8] = br#"{"format":"upbeat-adapt""#;

const SUFFIX: &str = ".tmp";

/// Ours are a tenth of this.
const LARGEST: u64 = 8 << 20;

const STALE: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::ErrorKind;

    #[test]
    fn paths_without_a_folder_are_in_this_one() {
        assert_eq!(folder_of(Path::new("models.json")), Path::new("."));
        assert_eq!(folder_of(Path::new("/a/models.json")), Path::new("/a"));
        let missing = AdaptiveModels::load("/no/such/file").unwrap_err();
        let is_missing = matches!(&missing, AdaptError::Io { source, .. } if source.kind() == ErrorKind::NotFound);
        assert!(is_missing, "{missing}");
    }
}
