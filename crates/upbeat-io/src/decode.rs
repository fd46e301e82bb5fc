use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use symphonia::core::audio::Channels;
use symphonia::core::codecs::audio::well_known::{CODEC_ID_MP1, CODEC_ID_MP2, CODEC_ID_MP3};
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::common::Limit;
use symphonia::core::errors::Error;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::well_known::{
    FORMAT_ID_ADTS, FORMAT_ID_AIFF, FORMAT_ID_FLAC, FORMAT_ID_WAVE,
};
use symphonia::core::formats::{FormatOptions, FormatReader, Track, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream};
use symphonia::core::meta::MetadataOptions;
use symphonia::core::packet::Packet;
use symphonia::core::units::{Duration, TimeBase};
use upbeat_core::SampleIndex;

use crate::IoError;

/// The packets of one track, decoded one by one. Knows nothing of trimming and indices.
pub(crate) struct Decoder {
    demuxer: Box<dyn FormatReader>,
    codec: Box<dyn AudioDecoder>,
    track: u32,
    ticks: Ticks,
    is_mpeg: bool,
    /// Whether a file can end within a packet: bare samples have no packets.
    is_packed: bool,
    /// The time stamp that the next packet has if nothing is lost.
    expected: Option<i64>,
}

/// What one packet gave.
pub(crate) enum Step {
    /// Samples, after a gap of `lost` samples per channel.
    Decoded {
        /// Samples per channel missing before.
        lost: u64,
        /// In Hz.
        rate: u32,
        /// The number of channels.
        channels: usize,
    },
    /// Nothing, because the packet is damaged.
    Skipped {
        /// Samples per channel missing before and in it.
        lost: u64,
        /// What the decoder says.
        error: Error,
    },
    /// The stream is over; broken off, where a packet was begun.
    End {
        /// Whether the file ends within a packet.
        broken_off: bool,
    },
}

/// Why no packet follows.
pub(crate) enum Failure {
    Io(io::Error),
    Demuxer(String),
    Panic,
}

/// What a header says, before anything is decoded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub(crate) track: u32,
    pub(crate) rate: Option<u32>,
    pub(crate) channels: Option<usize>,
    /// Samples per channel to be heard, without the encoder's delay and padding; only where it is counted, not
    /// estimated from the size of the file.
    pub(crate) length: Option<u64>,
    /// Whether the packets say themselves where the stream ends.
    pub(crate) ends_by_itself: bool,
}

impl Decoder {
    pub(crate) fn new(source: Box<dyn MediaSource>) -> Result<(Self, Header), IoError> {
        guarded(|| Self::probe(source)).unwrap_or(Err(IoError::Decoder { at: SampleIndex(0) }))
    }

    fn probe(source: Box<dyn MediaSource>) -> Result<(Self, Header), IoError> {
        let stream = MediaSourceStream::new(
            source,
            symphonia::core::io::MediaSourceStreamOptions::default(),
        );
        // Tags and pictures are not asked for, so they shall not fill memory.
        let metadata = MetadataOptions::default()
            .limit_tag_bytes(Limit::Maximum(MAX_TAG))
            .limit_visual_bytes(Limit::Maximum(0));
        let demuxer = symphonia::default::get_probe()
            .probe(&Hint::new(), stream, FormatOptions::default(), metadata)
            .map_err(header_error)?;
        let track = demuxer.default_track(TrackType::Audio).ok_or(IoError::NoAudio)?;
        let params = audio_parameters(track).ok_or(IoError::NoAudio)?;
        let is_mpeg = matches!(params.codec, CODEC_ID_MP1 | CODEC_ID_MP2 | CODEC_ID_MP3);
        // Without a LAME tag the count of an MPEG stream may be a guess from its first packets.
        let container = demuxer.format_info().format;
        let is_counted = if is_mpeg { track.delay.is_some() } else { container != FORMAT_ID_ADTS };
        // The samples of a FLAC file are counted from 0, so a first packet that is missing shows.
        let expected = (container == FORMAT_ID_FLAC).then_some(0);
        let is_packed = ![FORMAT_ID_WAVE, FORMAT_ID_AIFF].contains(&container);
        let codec = make_codec(params).map_err(header_error)?;
        let rate = codec.codec_params().sample_rate.or(params.sample_rate);
        let channels = codec.codec_params().channels.as_ref().or(params.channels.as_ref());
        let channels = channels.map(Channels::count);
        let ticks = Ticks(track.time_base);
        let in_ticks = || Some(ticks.samples(track.duration?.get(), rate?));
        let length = track.num_frames.or_else(in_ticks).filter(|_| is_counted);
        let header = Header { track: track.id, rate, channels, length, ends_by_itself: !is_mpeg };
        let track = track.id;
        Ok((Self { demuxer, codec, track, ticks, is_mpeg, is_packed, expected }, header))
    }

    /// Decodes the next packet into `samples`, interleaved; empty unless decoded.
    pub(crate) fn next(&mut self, samples: &mut Vec<f32>) -> Result<Step, Failure> {
        samples.clear();
        guarded(|| self.step(samples)).unwrap_or(Err(Failure::Panic))
    }

    fn step(&mut self, samples: &mut Vec<f32>) -> Result<Step, Failure> {
        let mut others = 0;
        let mut packet = loop {
            match self.demuxer.next_packet() {
                Ok(Some(packet)) if packet.track_id == self.track => break packet,
                Ok(Some(_)) if others < MAX_OTHERS => others += 1,
                Ok(Some(_)) => {
                    return Err(Failure::Demuxer("its audio track does not go on".into()));
                }
                Ok(None) => return Ok(Step::End { broken_off: false }),
                Err(Error::ResetRequired) => {
                    others += 1;
                    self.chain()?;
                }
                Err(Error::IoError(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Ok(Step::End { broken_off: self.is_packed });
                }
                Err(Error::IoError(error)) => return Err(Failure::Io(error)),
                Err(error) => return Err(Failure::Demuxer(error.to_string())),
            }
        };
        if self.is_mpeg {
            // The demuxer trims at an end that may be a guess.
            packet.dur = packet.dur.saturating_add(packet.trim_end);
            packet.trim_end = Duration::ZERO;
        }
        let lost = self.gap_before(&packet);
        match self.codec.decode(&packet) {
            Ok(buffer) => {
                buffer.copy_to_vec_interleaved(samples);
                let spec = buffer.spec();
                Ok(Step::Decoded { lost, rate: spec.rate(), channels: spec.channels().count() })
            }
            Err(error) => {
                let rate = self.codec.codec_params().sample_rate.unwrap_or(0);
                let lost = lost.saturating_add(self.ticks.samples(packet.dur.get(), rate));
                Ok(Step::Skipped { lost, error })
            }
        }
    }

    /// Goes on with the next of several streams that were put into one file.
    fn chain(&mut self) -> Result<(), Failure> {
        let failed = |error: Error| Failure::Demuxer(error.to_string());
        let none = Error::Unsupported("the file goes on without an audio track");
        let Some(track) = self.demuxer.default_track(TrackType::Audio) else {
            return Err(failed(none));
        };
        let params = audio_parameters(track).ok_or_else(|| failed(none))?;
        self.codec = make_codec(params).map_err(failed)?;
        self.track = track.id;
        self.ticks = Ticks(track.time_base);
        self.expected = None;
        Ok(())
    }

    /// Samples per channel that the time stamps skip before `packet`.
    fn gap_before(&mut self, packet: &Packet) -> u64 {
        let rate = self.codec.codec_params().sample_rate.unwrap_or(0);
        let start = packet.pts.get();
        let duration = i64::try_from(packet.block_dur().get()).unwrap_or(i64::MAX);
        let expected = self.expected.replace(start.saturating_add(duration));
        let gap = expected.map_or(0, |expected| start.saturating_sub(expected));
        // A clock slower than the samples rounds its stamps.
        let rounding = if self.ticks.samples(1, rate) > 1 { 2 } else { 0 };
        u64::try_from(gap)
            .ok()
            .filter(|gap| *gap > rounding)
            .map_or(0, |gap| self.ticks.samples(gap, rate))
    }
}

/// The clock of a track.
#[derive(Clone, Copy)]
struct Ticks(Option<TimeBase>);

impl Ticks {
    /// How many samples at `rate` Hz `ticks` are; without a clock, a tick is a sample.
    fn samples(self, ticks: u64, rate: u32) -> u64 {
        let Some(base) = self.0 else { return ticks };
        let numerator = u128::from(ticks) * u128::from(base.numer.get()) * u128::from(rate);
        u64::try_from(numerator / u128::from(base.denom.get())).unwrap_or(u64::MAX)
    }
}

fn audio_parameters(track: &Track) -> Option<&AudioCodecParameters> {
    track.codec_params.as_ref()?.audio()
}

fn make_codec(params: &AudioCodecParameters) -> Result<Box<dyn AudioDecoder>, Error> {
    symphonia::default::get_codecs().make_audio_decoder(params, &AudioDecoderOptions::default())
}

/// Runs the decoder so that a panic in it does not take the caller along.
///
/// Decoders meet whatever bytes are on a disk, and one file of a thousand that makes one panic must not stop the other
/// 999. Nothing here runs on an audio thread. After a panic the decoder is not used again, so what state it is in does
/// not matter.
fn guarded<T>(run: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(run)).ok()
}

/// What it means that a file could not be opened.
pub(crate) fn header_error(error: Error) -> IoError {
    match error {
        Error::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            IoError::Header { reason: "it ends too early".into() }
        }
        Error::IoError(error) => error.into(),
        Error::Unsupported(what) if what.starts_with("core (probe)") => IoError::UnknownFormat,
        Error::Unsupported(what) => IoError::UnsupportedCodec { what: what.into() },
        Error::DecodeError(reason) | Error::LimitError(reason) => {
            IoError::Header { reason: reason.into() }
        }
        error => IoError::Header { reason: error.to_string() },
    }
}

/// The longest tag kept, in bytes.
const MAX_TAG: usize = 1 << 16;
/// The most packets of other tracks between two of ours: a header of few bytes can claim billions of empty ones.
const MAX_OTHERS: usize = 100_000;
