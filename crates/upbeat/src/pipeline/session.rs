//! Recorded sessions: a stream block by block, with its gaps, to be analysed again exactly as it was.

use std::fmt;
use std::fs::File;
use std::io::{BufReader, BufWriter, ErrorKind, Read, Write};
use std::path::Path;

use upbeat_core::{SampleIndex, SampleRate};
use upbeat_io::StreamFormat;
use upbeat_perf::QualitySettings;

use crate::{BeatCommand, Error, Event, EventAnalyzer, EventKind, Interests, Listener};

/// The first bytes of a session.
const MAGIC: &[u8; 8] = b"upbeat\0s";
/// The layout that this code writes and reads.
const VERSION: u32 = 1;
/// Instead of a number of values: new quality.
const QUALITY: u32 = u32::MAX;
/// Instead of a number of values: a correction of the beat tracker.
const STEERED: u32 = u32::MAX - 1;
/// The most values in a block; what claims more is not a session.
const MAX_VALUES: u32 = 1 << 26;

/// Records the blocks of a stream: a [`Listener`] of a [`Pipeline`](crate::Pipeline).
///
/// The file holds the header `upbeat\0s`, and as little-endian 32-bit integers its version (1), the sample rate
/// and the channels; then each block: the index of its first sample (64 bits), the number of its values
/// (32 bits), and the interleaved samples as 32-bit floats. Where the quality changes stand an index, 2³² − 1, and the
/// settings as [words](QualitySettings::words) of 64 bits; where the beat tracker was corrected, an index, 2³² − 2 and
/// three words. What is written is whole up to the last block or two,
/// whenever the program ends. If the disk fails, recording ends; [`dropped`](super::ListenerStatus::dropped)
/// blocks show as gaps.
///
/// ```no_run
/// use upbeat::io::FileSource;
/// use upbeat::pipeline::{Session, SessionWriter};
/// use upbeat::{Event, EventAnalyzer, EventConfig, Input, Pipeline, PipelineConfig};
///
/// let input = Input::real_time(FileSource::open("song.flac")?);
/// let recorder = SessionWriter::create("evening.session", input.format())?;
/// let config = PipelineConfig::new(&input);
/// let mut analyzer = EventAnalyzer::new(&config.events)?;
/// Pipeline::builder(config).listen("recorder", recorder).start(input)?.wait();
///
/// // Later, as often as needed: the same events, bit for bit.
/// Session::open("evening.session")?.replay(&mut analyzer, &mut |event: &Event| println!("{event:?}"))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SessionWriter {
    file: Option<BufWriter<File>>,
    /// Values since the last flush.
    unflushed: usize,
    /// Values of a second.
    second: usize,
}

impl SessionWriter {
    /// Creates the file, or replaces one that is there.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn create(path: impl AsRef<Path>, format: StreamFormat) -> Result<Self, Error> {
        let mut file = BufWriter::new(File::create(path)?);
        file.write_all(MAGIC)?;
        for word in [VERSION, format.sample_rate().hz(), format.channels() as u32] {
            file.write_all(&word.to_le_bytes())?;
        }
        file.flush()?;
        let second = format.sample_rate().hz() as usize * format.channels();
        Ok(Self { file: Some(file), unflushed: 0, second })
    }

    fn write(&mut self, at: SampleIndex, interleaved: &[f32]) -> std::io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        file.write_all(&at.0.to_le_bytes())?;
        file.write_all(&(interleaved.len() as u32).to_le_bytes())?;
        for value in interleaved {
            file.write_all(&value.to_le_bytes())?;
        }
        self.unflushed += interleaved.len();
        if self.unflushed >= self.second {
            self.unflushed = 0;
            file.flush()?;
        }
        Ok(())
    }

    fn write_words(&mut self, at: SampleIndex, what: u32, words: &[f64]) -> std::io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        file.write_all(&at.0.to_le_bytes())?;
        file.write_all(&what.to_le_bytes())?;
        words.iter().try_for_each(|word| file.write_all(&word.to_le_bytes()))
    }
}

impl Listener for SessionWriter {
    fn event(&mut self, event: &Event) {
        let written = match &event.kind {
            EventKind::Quality(settings) => self.write_words(event.at, QUALITY, &settings.words()),
            EventKind::Steered(command) => self.write_words(event.at, STEERED, &command.words()),
            _ => Ok(()),
        };
        if written.is_err() {
            self.file = None;
        }
    }

    fn block(&mut self, at: SampleIndex, interleaved: &[f32]) {
        if self.write(at, interleaved).is_err() {
            self.file = None;
        }
    }

    fn end(&mut self) {
        if let Some(mut file) = self.file.take() {
            // What cannot be written is lost either way.
            let _ = file.flush();
        }
    }

    fn interests(&self) -> Interests {
        Interests { blocks: true, ..Interests::EVENTS }
    }
}

/// A recorded session; see [`SessionWriter`].
pub struct Session {
    file: BufReader<File>,
    format: StreamFormat,
    block: Vec<f32>,
}

impl Session {
    /// Opens a recording.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is no session, or was written by a later version.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let mut file = BufReader::new(File::open(path)?);
        let foreign = |reason: &str| Error::Session { reason: reason.to_owned() };
        let mut magic = [0; 8];
        let mut words = [0; 3];
        let mut header = || -> std::io::Result<()> {
            file.read_exact(&mut magic)?;
            words.iter_mut().try_for_each(|word| {
                *word = u32::from_le_bytes(read_bytes(&mut file)?);
                Ok(())
            })
        };
        match header() {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                return Err(foreign("it is too short"));
            }
            other => other?,
        }
        if magic != *MAGIC {
            return Err(foreign("it does not begin as one"));
        }
        let [version, rate, channels] = words;
        if version != VERSION {
            return Err(foreign(&format!("its version is {version}, not {VERSION}")));
        }
        let format = StreamFormat::new(SampleRate::new(rate)?, channels as usize)?;
        Ok(Self { file, format, block: Vec::new() })
    }

    /// The rate and the channels of the stream.
    #[must_use]
    pub const fn format(&self) -> StreamFormat {
        self.format
    }

    /// What comes next; `None` at the end, which is where a recording broke off.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or holds what no recording holds.
    pub fn read(&mut self) -> Result<Option<Recorded<'_>>, Error> {
        match self.next() {
            Ok((_, Next::Quality(settings))) => Ok(Some(Recorded::Quality(settings))),
            Ok((_, Next::Steered(command))) => Ok(Some(Recorded::Steered(command))),
            Ok((at, Next::Block)) => Ok(Some(Recorded::Block { at, interleaved: &self.block })),
            Ok((_, Next::Impossible(values))) => {
                Err(Error::Session { reason: format!("it has a block of {values} values") })
            }
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads a block into `block`, or something else.
    fn next(&mut self) -> std::io::Result<(SampleIndex, Next)> {
        let Self { file, format, block } = self;
        let at = SampleIndex(u64::from_le_bytes(read_bytes(file)?));
        let values = u32::from_le_bytes(read_bytes(file)?);
        match values {
            QUALITY => {
                let settings = QualitySettings::from_words(read_words(file)?);
                return Ok((at, Next::Quality(settings)));
            }
            STEERED => {
                let command = BeatCommand::from_words(read_words(file)?);
                return Ok((at, command.map_or(Next::Impossible(values), Next::Steered)));
            }
            _ => {}
        }
        if values > MAX_VALUES || !(values as usize).is_multiple_of(format.channels()) {
            return Ok((at, Next::Impossible(values)));
        }
        block.clear();
        for _ in 0..values {
            block.push(f32::from_le_bytes(read_bytes(file)?));
        }
        Ok((at, Next::Block))
    }

    /// Analyses the rest of the session: what was told when it was recorded is told again, bit for bit, if the
    /// analyzer has the same settings.
    ///
    /// # Errors
    ///
    /// If the session [cannot be read](Self::read), or the analyzer is for another rate or other channels.
    pub fn replay<L: Listener + ?Sized>(
        &mut self,
        analyzer: &mut EventAnalyzer,
        listener: &mut L,
    ) -> Result<(), Error> {
        if analyzer.format() != self.format {
            let reason =
                format!("the analyzer is for {}, it has {}", analyzer.format(), self.format);
            return Err(Error::Session { reason });
        }
        while let Some(recorded) = self.read()? {
            match recorded {
                Recorded::Block { at, interleaved } => {
                    analyzer.process(at, interleaved, listener)?;
                }
                Recorded::Quality(settings) => analyzer.set_quality(&settings, listener),
                Recorded::Steered(command) => analyzer.steer(command, listener),
            }
        }
        analyzer.finish(listener);
        Ok(())
    }
}

/// What a session holds.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Recorded<'a> {
    /// A block as it came.
    Block {
        /// Where it starts.
        at: SampleIndex,
        /// Its samples.
        interleaved: &'a [f32],
    },
    /// What was computed from here on.
    Quality(QualitySettings),
    /// A correction of the beat tracker.
    Steered(BeatCommand),
}

enum Next {
    Block,
    Quality(QualitySettings),
    Steered(BeatCommand),
    Impossible(u32),
}

fn read_words<const N: usize>(file: &mut impl Read) -> std::io::Result<[f64; N]> {
    let mut words = [0.0; N];
    for word in &mut words {
        *word = f64::from_le_bytes(read_bytes(file)?);
    }
    Ok(words)
}

fn read_bytes<const N: usize>(file: &mut impl Read) -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

impl fmt::Debug for SessionWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionWriter").field("file", &self.file).finish_non_exhaustive()
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("format", &self.format).finish_non_exhaustive()
    }
}
