use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use symphonia::core::io::MediaSource;
use upbeat_core::{SampleIndex, SampleRate};

use crate::decode::{Decoder, Failure, Header, Step, header_error};
use crate::mp4;
use crate::source::capacity;
use crate::trim::Trim;
use crate::{Block, IoError, Source, StreamFormat};

/// A sound file, decoded while it is read.
///
/// The format is recognised by the content; the name does not matter.
///
/// | container | codecs | first sample | last sample |
/// |---|---|---|---|
/// | WAV, AIFF | PCM of 8 to 32 bit, float of 32 and 64 bit, A-law, µ-law, ADPCM | exact | exact |
/// | FLAC | FLAC | exact | exact |
/// | MP3 | MPEG-1/2/2.5 layer III | exact with a LAME tag; without, some 1105 samples of delay stay | the same |
/// | Ogg | Vorbis, FLAC | exact | exact |
/// | MP4, M4A | AAC-LC, ALAC | exact with an edit list or an `iTunSMPB` tag | the same |
/// | ADTS | AAC-LC | the encoder's delay stays | its padding stays |
///
/// Integer samples are scaled so that full scale is ±1: a 16-bit sample `x` becomes `x / 32768`.
///
/// # Damaged files
///
/// - A packet that cannot be decoded is skipped: the index of the next block jumps by its duration. The same happens
///   where the time stamps of a file jump. [`damage`](Self::damage) counts both. MP3 has no time stamps, so a packet
///   whose very header is damaged is missing without a jump. Ogg has one stamp per page of up to a second, so the page
///   after a lost one still comes at the lost one's place, and the jump after it.
/// - Of damage within a packet, FLAC and Ogg tell by checksums; MP3 and AAC may decode it to other sound.
/// - A file that breaks off gives all that can be decoded, and then [`Damage::truncated`]. This needs a header that
///   tells the length, which an Ogg file and an MP3 file without a LAME tag lack.
/// - A file that claims less than there is gives all there is.
/// - Where an MP3 stream changes its sample rate or its channels, the packets of the other format are skipped and
///   counted; any other format that changes is an [`IoError::FormatChanged`].
/// - Damage that leaves no way to go on is an error, after everything before it was delivered.
///
/// Samples of float files are passed on as they are, even if they are not finite.
///
/// A panic within the decoder is caught and becomes [`IoError::Decoder`], unless the program is built with
/// `panic = "abort"`.
///
/// # Examples
///
/// ```no_run
/// use upbeat_io::{FileSource, Source};
///
/// let mut song = FileSource::open("song.mp3")?;
/// let mut buffer = vec![0.0; 4096 * song.format().channels()];
/// while let Some(block) = song.read(&mut buffer)? {
///     println!("{} samples from {} on", block.interleaved.len(), block.at);
/// }
/// if song.damage().is_any() {
///     eprintln!("song.mp3: {}", song.damage());
/// }
/// # Ok::<(), upbeat_io::IoError>(())
/// ```
pub struct FileSource {
    decoder: Decoder,
    format: StreamFormat,
    length: Option<u64>,
    trim: Trim,
    /// Decoded and not yet read, interleaved, from `taken` on.
    decoded: Vec<f32>,
    taken: usize,
    /// The index of the next sample to be read.
    at: SampleIndex,
    damage: Damage,
    ended: bool,
    /// An error to be reported when all that is decoded has been read.
    failure: Option<IoError>,
}

/// What of a file could not be read so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// Packets that could not be decoded.
    pub skipped_packets: u64,
    /// Samples per channel over which the index jumped.
    pub lost_samples: u64,
    /// Whether the file ended before its header says.
    pub truncated: bool,
}

impl Damage {
    /// Whether anything is missing.
    #[must_use]
    pub fn is_any(self) -> bool {
        self != Self::default()
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { skipped_packets, lost_samples, truncated } = self;
        match (*skipped_packets > 0 || *lost_samples > 0, truncated) {
            (false, false) => write!(f, "complete"),
            (false, true) => write!(f, "ends too early"),
            (true, _) => {
                write!(
                    f,
                    "{skipped_packets} packets could not be decoded, {lost_samples} samples lost"
                )?;
                if *truncated { write!(f, ", and ends too early") } else { Ok(()) }
            }
        }
    }
}

impl FileSource {
    /// Opens the file at `path` and decodes its first packet.
    ///
    /// # Errors
    ///
    /// If there is no such file, it may not be read, is a directory, empty, no sound file of a known format, or so
    /// damaged that not one packet can be decoded.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, IoError> {
        let path = path.as_ref();
        let metadata = fs::metadata(path)?;
        if metadata.is_dir() {
            return Err(IoError::Directory);
        }
        // Opening a pipe would wait for someone to write to it.
        if !metadata.is_file() {
            return Err(IoError::NotAFile);
        }
        Self::from_reader(File::open(path)?)
    }

    /// Reads a sound file from anything that can be sought in, for example an [`io::Cursor`] over bytes in memory.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn from_reader(
        mut reader: impl Read + Seek + Send + Sync + 'static,
    ) -> Result<Self, IoError> {
        let size = reader.seek(SeekFrom::End(0))?;
        if size == 0 {
            return Err(IoError::Empty);
        }
        let edits = mp4::edits(&mut reader);
        let is_seekable = !is_cut_off_aiff(&mut reader, size)?;
        reader.seek(SeekFrom::Start(0))?;
        let (decoder, header) = Decoder::new(Box::new(Measured { reader, size, is_seekable }))?;
        let edit = edits.iter().find(|edit| edit.track == header.track);
        Self::start(decoder, header, edit)
    }

    /// Decodes up to the first samples, which tell the format: a header may lie, decoded samples do not.
    fn start(
        mut decoder: Decoder,
        header: Header,
        edit: Option<&mp4::Edit>,
    ) -> Result<Self, IoError> {
        let mut decoded = Vec::new();
        let mut damage = Damage::default();
        let mut lost = 0_u64;
        let mut ended = false;
        let mut last_error = None;
        let mut empty = 0;
        let (rate, channels) = loop {
            match decoder.next(&mut decoded).map_err(|failure| failure.at(SampleIndex(0)))? {
                Step::Decoded { lost: gap, rate, channels } => {
                    lost = lost.saturating_add(gap);
                    empty += 1;
                    if !decoded.is_empty() || empty == MAX_EMPTY_PACKETS {
                        break (rate, channels);
                    }
                }
                Step::Skipped { lost: gap, error } => {
                    lost = lost.saturating_add(gap);
                    damage.skipped_packets += 1;
                    if damage.skipped_packets == MAX_EMPTY_PACKETS {
                        return Err(undecodable(error));
                    }
                    last_error = Some(error);
                }
                Step::End { broken_off } => {
                    if let Some(error) = last_error {
                        return Err(undecodable(error));
                    }
                    damage.truncated = broken_off;
                    ended = true;
                    break (header.rate.unwrap_or(0), header.channels.unwrap_or(0));
                }
            }
        };
        let format = StreamFormat::new(SampleRate::new(rate)?, channels)?;
        let delay = edit.map_or(0, |edit| edit.delay);
        let rest = header.length.map(|length| length.saturating_sub(delay));
        let stated = edit.and_then(|edit| edit.length);
        let length = match (rest, stated) {
            (Some(rest), Some(stated)) => Some(rest.min(stated)),
            (rest, stated) => stated.or(rest),
        };
        let end = length.filter(|_| !header.ends_by_itself || edit.is_some());
        let trim = Trim::new(channels, delay, end);
        let mut source = Self {
            decoder,
            format,
            length,
            trim,
            decoded,
            taken: 0,
            at: SampleIndex(0),
            damage,
            ended: false,
            failure: None,
        };
        source.lose(lost);
        source.trim.cut(&mut source.decoded);
        if ended {
            source.end(source.damage.truncated);
        }
        Ok(source)
    }

    /// What of the file was found to be missing so far; complete when the end has been read.
    #[must_use]
    pub const fn damage(&self) -> Damage {
        self.damage
    }

    /// Decodes packets until there is something to read, or the stream is over.
    fn decode(&mut self) {
        let mut empty = 0;
        while self.taken == self.decoded.len() && !self.ended {
            self.taken = 0;
            if empty == MAX_EMPTY_PACKETS {
                let reason = format!("{empty} packets in a row cannot be decoded");
                self.decoded.clear();
                self.fail(IoError::Corrupt { at: self.at, reason });
                break;
            }
            empty += 1;
            match self.decoder.next(&mut self.decoded) {
                Ok(Step::Decoded { lost, rate, channels }) => {
                    self.lose(lost);
                    self.accept(rate, channels);
                }
                Ok(Step::Skipped { lost, error: _ }) => {
                    self.damage.skipped_packets += 1;
                    self.lose(lost);
                }
                Ok(Step::End { broken_off }) => self.end(broken_off),
                Err(failure) => self.fail(failure.at(self.at)),
            }
        }
    }

    /// Takes over what was just decoded, if it is in the stream's format.
    fn accept(&mut self, rate: u32, channels: usize) {
        let now = (self.format.sample_rate().hz(), self.format.channels());
        if self.decoded.is_empty() || now == (rate, channels) {
            self.trim.cut(&mut self.decoded);
            return;
        }
        self.decoded.clear();
        let to = SampleRate::new(rate).and_then(|rate| StreamFormat::new(rate, channels));
        self.fail(match to {
            Ok(to) => IoError::FormatChanged { at: self.at, from: self.format, to },
            Err(error) => error.into(),
        });
    }

    /// Jumps over samples that cannot be had.
    fn lose(&mut self, samples: u64) {
        // No time stamp is believed that lies beyond the end.
        let left = self.length.map_or(u64::MAX, |length| length.saturating_sub(self.at.0));
        let lost = self.trim.lose(samples).min(left);
        self.damage.lost_samples += lost;
        self.at += lost;
    }

    fn end(&mut self, broken_off: bool) {
        self.ended = true;
        self.damage.truncated = broken_off || self.length.is_some_and(|length| self.at.0 < length);
    }

    fn fail(&mut self, error: IoError) {
        self.ended = true;
        self.failure = Some(error);
    }
}

impl Source for FileSource {
    fn format(&self) -> StreamFormat {
        self.format
    }

    /// As the header says; `None` where it does not count. A damaged file may be shorter, a lying one longer.
    fn length(&self) -> Option<u64> {
        self.length
    }

    fn read<'b>(&mut self, buffer: &'b mut [f32]) -> Result<Option<Block<'b>>, IoError> {
        let samples = capacity(buffer, self.format);
        self.decode();
        let waiting = &self.decoded[self.taken..];
        if waiting.is_empty() {
            return self.failure.take().map_or(Ok(None), Err);
        }
        let count = waiting.len().min(samples * self.format.channels());
        let interleaved = &mut buffer[..count];
        interleaved.copy_from_slice(&waiting[..count]);
        self.taken += count;
        let at = self.at;
        self.at += (count / self.format.channels()) as u64;
        Ok(Some(Block { at, interleaved }))
    }
}

impl fmt::Debug for FileSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileSource")
            .field("format", &self.format)
            .field("length", &self.length)
            .field("at", &self.at)
            .field("damage", &self.damage)
            .finish_non_exhaustive()
    }
}

impl Failure {
    fn at(self, at: SampleIndex) -> IoError {
        match self {
            Self::Io(error) => IoError::Io(error),
            Self::Demuxer(reason) => IoError::Corrupt { at, reason },
            Self::Panic => IoError::Decoder { at },
        }
    }
}

/// Whether this is an AIFF file that claims more than there is. In anything that can be sought in, the demuxer looks
/// for chunks behind the samples first, and gives up where the end of the samples is missing.
fn is_cut_off_aiff(reader: &mut (impl Read + Seek), size: u64) -> io::Result<bool> {
    reader.seek(SeekFrom::Start(0))?;
    let mut head = Vec::new();
    reader.take(12).read_to_end(&mut head)?;
    let [b'F', b'O', b'R', b'M', claimed @ .., b'A', b'I', b'F', b'F' | b'C'] = &head[..] else {
        return Ok(false);
    };
    let claimed = claimed.iter().fold(0_u64, |size, byte| size << 8 | u64::from(*byte));
    Ok(claimed + 8 > size)
}

/// A reader that knows its size.
struct Measured<R> {
    reader: R,
    size: u64,
    is_seekable: bool,
}

impl<R: Read> Read for Measured<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.reader.read(bytes)
    }
}

impl<R: Seek> Seek for Measured<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.reader.seek(to)
    }
}

impl<R: Read + Seek + Send + Sync> MediaSource for Measured<R> {
    fn is_seekable(&self) -> bool {
        self.is_seekable
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.size)
    }
}

/// Why nothing of a file can be decoded: what its packets failed with.
fn undecodable(error: symphonia::core::errors::Error) -> IoError {
    match header_error(error) {
        IoError::Header { reason } => IoError::Corrupt { at: SampleIndex(0), reason },
        error => error,
    }
}

/// A file with this many packets in a row that give no sample is given up: a header of few bytes can claim billions.
const MAX_EMPTY_PACKETS: u64 = 10_000;
