//! WAV files as hound writes them, in all their encodings, read and written.

use std::io::Cursor;

use crate::support::decode;
use hound::{SampleFormat, WavSpec, WavWriter};
use upbeat_core::SampleRate;
use upbeat_io::{FileSource, IoError, Source, StreamFormat, WavEncoding, WavSink};
use upbeat_testkit::signal;

fn spec(channels: u16, bits_per_sample: u16, sample_format: SampleFormat) -> WavSpec {
    WavSpec { channels, sample_rate: 22_050, bits_per_sample, sample_format }
}

#[test]
fn integers_of_all_widths_are_read_exactly() {
    for (bits, channels) in [(8, 1), (8, 2), (16, 1), (16, 2), (24, 2), (32, 1), (16, 6), (24, 8)] {
        let full = 1_i64 << (bits - 1);
        let values: Vec<i64> =
            [0, 1, -1, full / 2, -full / 2, full - 1, -full, 37 % full, -100 % full]
                .into_iter()
                .cycle()
                .take(64 * usize::from(channels))
                .collect();
        let mut file = Cursor::new(Vec::new());
        let mut writer =
            WavWriter::new(&mut file, spec(channels, bits, SampleFormat::Int)).unwrap();
        for value in &values {
            writer.write_sample(*value as i32).unwrap();
        }
        writer.finalize().unwrap();
        let recording = decode(file.into_inner()).unwrap();
        let expected: Vec<f32> = values.iter().map(|x| (*x as f64 / full as f64) as f32).collect();
        assert_eq!(recording.interleaved, expected, "{bits} bits, {channels} channels");
        assert_eq!(recording.format.channels(), usize::from(channels));
        assert_eq!((recording.length, recording.damage.is_any()), (Some(64), false));
    }
}

#[test]
fn floats_are_read_as_they_are() {
    let values = [0.0, -0.0, 1e-30, 0.1, -1.5, 1e9];
    let mut file = Cursor::new(Vec::new());
    let mut writer = WavWriter::new(&mut file, spec(2, 32, SampleFormat::Float)).unwrap();
    for value in values {
        writer.write_sample(value).unwrap();
    }
    writer.finalize().unwrap();
    assert_eq!(decode(file.into_inner()).unwrap().interleaved, values);
}

#[test]
fn what_is_written_is_read_again_to_the_rounding_of_its_encoding() {
    let format = StreamFormat::stereo(SampleRate::new(48_000).unwrap());
    let samples = signal::noise(1.2, 7, 2000);
    for (encoding, step) in [
        (WavEncoding::Int16, 1.0 / 32_768.0),
        (WavEncoding::Int24, 1.0 / 8_388_608.0),
        (WavEncoding::Float32, 0.0),
    ] {
        let mut file = Cursor::new(Vec::new());
        let mut sink = WavSink::new(&mut file, format, encoding).unwrap();
        for block in samples.chunks(250) {
            sink.write(block).unwrap();
        }
        assert_eq!((sink.written(), sink.sanitized()), (1000, 0));
        sink.finish().unwrap();
        let recording = decode(file.into_inner()).unwrap();
        assert_eq!(recording.format, format);
        for (read, written) in recording.interleaved.iter().zip(&samples) {
            let meant = if step > 0.0 { written.clamp(-1.0, 1.0 - step) } else { *written };
            assert!((read - meant).abs() <= 0.5 * step, "{encoding:?}: {written} became {read}");
        }
    }
}

#[test]
fn a_sink_that_is_never_finished_leaves_what_was_flushed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("killed.wav");
    let format = StreamFormat::mono(SampleRate::new(8000).unwrap());
    let mut sink = WavSink::create(&path, format, WavEncoding::Int16).unwrap();
    sink.write(&[0.5; 1000]).unwrap();
    sink.flush().unwrap();
    sink.write(&[0.25; 10]).unwrap();
    // A killed program runs no destructors.
    std::mem::forget(sink);
    let mut file = FileSource::open(&path).unwrap();
    assert_eq!(file.length(), Some(1000));
    let mut buffer = [0.0; 2000];
    assert_eq!(file.read(&mut buffer).unwrap().unwrap().interleaved, [0.5; 1000]);
}

#[test]
fn what_cannot_be_sound_is_written_as_silence_and_counted() {
    let format = StreamFormat::mono(SampleRate::new(8000).unwrap());
    let mut file = Cursor::new(Vec::new());
    let mut sink = WavSink::new(&mut file, format, WavEncoding::Float32).unwrap();
    sink.write(&[f32::NAN, 0.5, f32::INFINITY]).unwrap();
    assert_eq!(sink.sanitized(), 2);
    sink.finish().unwrap();
    assert_eq!(decode(file.into_inner()).unwrap().interleaved, [0.0, 0.5, 0.0]);
}

#[test]
fn half_a_sample_and_a_place_that_cannot_be_written_are_errors() {
    let format = StreamFormat::stereo(SampleRate::new(8000).unwrap());
    let mut sink = WavSink::new(Cursor::new(Vec::new()), format, WavEncoding::Int16).unwrap();
    assert!(matches!(sink.write(&[0.0; 3]), Err(IoError::Format(_))));
    let nowhere = WavSink::create("no/such/folder/a.wav", format, WavEncoding::Int16);
    assert!(matches!(nowhere, Err(IoError::NotFound)));
}
