//! Damaged and lying files: all that can be had is delivered, what is lost is counted, and nothing breaks.

use crate::support::{Recording, decode, fixture};
use proptest::prelude::*;
use upbeat_core::SampleIndex;
use upbeat_io::IoError;
use upbeat_testkit::signal::Random;

const FIXTURES: [&str; 11] = [
    "sweep.flac",
    "sweep-24.flac",
    "sweep.alac.m4a",
    "sweep.aiff",
    "sweep.f64.wav",
    "sweep.mulaw.wav",
    "sweep.mp3",
    "sweep.ogg",
    "sweep.aac.m4a",
    "sweep.adts.aac",
    "untagged.mp3",
];

/// A WAV file as its bytes: `fmt ` and `data` chunks, whose sizes may lie.
fn wav(channels: u16, rate: u32, bits: u16, claimed: u32, data: &[u8]) -> Vec<u8> {
    let block = channels.wrapping_mul(bits / 8);
    let mut bytes = b"RIFF".to_vec();
    bytes.extend(claimed.saturating_add(36).to_le_bytes());
    bytes.extend(b"WAVEfmt ");
    bytes.extend(16_u32.to_le_bytes());
    bytes.extend(1_u16.to_le_bytes());
    bytes.extend(channels.to_le_bytes());
    bytes.extend(rate.to_le_bytes());
    bytes.extend(rate.wrapping_mul(u32::from(block)).to_le_bytes());
    bytes.extend(block.to_le_bytes());
    bytes.extend(bits.to_le_bytes());
    bytes.extend(b"data");
    bytes.extend(claimed.to_le_bytes());
    bytes.extend(data);
    bytes
}

/// Checks that `part` and `whole` hold the same samples within `range`, to `error`, as far as both go.
fn assert_same(
    part: &Recording,
    whole: &Recording,
    range: impl Iterator<Item = usize>,
    error: f32,
    context: &str,
) {
    let length = part.interleaved.len().min(whole.interleaved.len());
    for n in range.take_while(|n| *n < length) {
        let (read, meant) = (part.interleaved[n], whole.interleaved[n]);
        assert!((read - meant).abs() <= error, "{context}: value {n} is {read}, not {meant}");
    }
}

/// Checks that what was delivered of a cut-off file is the start of the whole.
fn assert_prefix(part: &Recording, whole: &Recording, context: &str) {
    assert!(part.interleaved.len() <= whole.interleaved.len(), "{context}: more than the whole");
    assert_same(part, whole, 0.., 0.0, context);
}

#[test]
fn every_beginning_of_a_file_gives_the_beginning_of_its_sound() {
    for name in ["sweep.flac", "sweep.aiff", "sweep.f64.wav", "sweep.mulaw.wav", "sweep.mp3"] {
        let bytes = fixture(name);
        let whole = decode(bytes.clone()).unwrap();
        let mut opened = 0;
        for length in (0..bytes.len()).step_by(61) {
            let context = format!("{name} cut off at {length}");
            // An error at opening is typed; that it is no panic is all that is asked.
            let Ok(part) = decode(bytes[..length].to_vec()) else { continue };
            opened += 1;
            assert_prefix(&part, &whole, &context);
            assert!(part.damage.truncated || part.error.is_some(), "{context}: not noticed");
            // Of what is there, no more than a header and two packets of 1152 samples are missing.
            let expected = whole.samples() as f64 * length as f64 / bytes.len() as f64 - 4000.0;
            assert!(part.samples() as f64 > expected, "{context}: only {} samples", part.samples());
        }
        // Half of the FLAC file is a header with padding.
        assert!(opened * 61 > bytes.len() / 3, "{name}: {opened} beginnings can be opened");
    }
}

#[test]
fn files_whose_beginning_says_less_still_break_off_cleanly() {
    for name in ["sweep.ogg", "sweep.aac.m4a", "sweep.alac.m4a", "sweep.adts.aac", "untagged.mp3"] {
        let bytes = fixture(name);
        for length in (0..bytes.len()).step_by(61) {
            if let Ok(part) = decode(bytes[..length].to_vec()) {
                assert!(part.samples() < 90_000, "{name} cut off at {length}");
            }
        }
    }
}

#[test]
fn flipped_bytes_never_break_the_reader() {
    for (seed, name) in FIXTURES.into_iter().enumerate() {
        let bytes = fixture(name);
        let mut random = Random::new(seed as u64);
        for round in 0..60 {
            let mut damaged = bytes.clone();
            // The first rounds hit the header.
            let range = if round < 30 { damaged.len().min(200) } else { damaged.len() };
            for _ in 0..=random.below(8) {
                damaged[random.below(range)] = random.next_u64() as u8;
            }
            let _ = decode(damaged);
        }
    }
}

#[test]
fn a_broken_packet_is_a_jump_of_its_length() {
    let bytes = fixture("sweep.flac");
    let whole = decode(bytes.clone()).unwrap();
    // Packets of this file have 512 samples, and begin with the same two bytes.
    let starts: Vec<usize> =
        (8192..bytes.len()).filter(|at| bytes[*at..].starts_with(&[0xff, 0xf8])).collect();
    assert_eq!(starts.len(), 10);
    for (packet, start) in starts.into_iter().enumerate().take(9) {
        let mut damaged = bytes.clone();
        damaged[start + 100] ^= 0x10;
        let part = decode(damaged).unwrap();
        assert!(part.error.is_none() && !part.damage.truncated);
        let at = 512 * packet;
        assert_eq!(part.jumps, [(SampleIndex(at as u64), 512)]);
        assert_eq!(part.damage.lost_samples, 512);
        assert_eq!(part.samples(), whole.samples());
        let lost = 2 * at..2 * (at + 512);
        assert_same(
            &part,
            &whole,
            (0..).filter(|n| !lost.contains(n)),
            0.0,
            &format!("packet {packet}"),
        );
    }
}

#[test]
fn a_lost_page_is_a_jump_of_its_length() {
    let bytes = fixture("sweep.ogg");
    let whole = decode(bytes.clone()).unwrap();
    let starts_page = |at: &usize| bytes[*at..].starts_with(b"OggS");
    let pages: Vec<usize> = (0..bytes.len()).filter(starts_page).collect();
    assert_eq!(pages.len(), 10, "two pages of headers, eight of sound");
    for page in 3..8 {
        let mut damaged = bytes.clone();
        // The checksum of the page no longer holds.
        damaged[pages[page] + 100] ^= 0x10;
        let part = decode(damaged).unwrap();
        assert!(part.error.is_none() && !part.damage.truncated);
        assert_eq!((part.damage.skipped_packets, part.damage.lost_samples), (0, 5120));
        assert_eq!(part.samples(), whole.samples());
        // The first sample of the lost page, and that of the one after the next, where the jump ends.
        let (lost, right) = (4672 + 5120 * (page - 3), 4672 + 5120 * (page - 1));
        assert_eq!(part.jumps, [(SampleIndex(lost as u64 + 5120), 5120)]);
        // Packets overlap by up to 2048 samples.
        let (before, after) = (2 * (lost - 2048), 2 * (right + 2048));
        assert_same(&part, &whole, (0..before).chain(after..), 0.0, &format!("page {page}"));
    }
}

#[test]
fn a_broken_packet_of_a_lossy_file_is_a_jump_of_its_length() {
    // AAC fills bands with faint noise, which after a lost packet is another; a shift by one sample would be off by
    // 0.3.
    for (name, packet, delay, error) in
        [("sweep.aac.m4a", 1024, 1024, 0.01), ("sweep.mp3", 1152, 1105, 0.0)]
    {
        let bytes = fixture(name);
        let whole = decode(bytes.clone()).unwrap();
        let mut skipped = 0;
        for start in (5000..8600).step_by(500) {
            let mut damaged = bytes.clone();
            damaged[start..start + 40].fill(0x55);
            let part = decode(damaged).unwrap();
            let context = format!("{name}, damaged at {start}");
            assert!(part.error.is_none() && !part.damage.truncated, "{context}");
            assert_eq!(part.samples(), whole.samples(), "{context}");
            assert_eq!(part.damage.lost_samples, part.damage.skipped_packets * packet, "{context}");
            // Changed bytes may also decode to other sound, without a word; what is skipped is whole packets.
            for (at, lost) in &part.jumps {
                assert_eq!(((at.0 + delay) % packet, *lost), (0, packet), "{context}");
                let (before, after) =
                    (2 * (at.0 - 2 * packet) as usize, 2 * (at.0 + lost + 3 * packet) as usize);
                assert_same(&part, &whole, (0..before).chain(after..), error, &context);
                skipped += 1;
            }
        }
        assert!(skipped >= 3, "{name}: {skipped} packets were skipped");
    }
}

#[test]
fn impossible_formats_are_refused() {
    for (channels, rate, bits) in
        [(0, 44_100, 16), (2, 0, 16), (2, 44_100, 0), (65_535, 44_100, 16)]
    {
        let bytes = wav(channels, rate, bits, 4, &[0; 4]);
        let error = decode(bytes).unwrap_err();
        assert!(
            matches!(
                error,
                IoError::Format(_)
                    | IoError::Header { .. }
                    | IoError::UnsupportedCodec { .. }
                    | IoError::Decoder { .. }
            ),
            "{channels} channels, {rate} Hz, {bits} bits: {error:?}"
        );
    }
}

#[test]
fn a_file_that_claims_more_than_there_is_gives_what_there_is() {
    let data: Vec<u8> = (0..1000_i16).flat_map(i16::to_le_bytes).collect();
    for claimed in [2002, 1 << 20, u32::MAX - 40, u32::MAX] {
        let part = decode(wav(1, 8000, 16, claimed, &data)).unwrap();
        let expected: Vec<f32> = (0..1000_i16).map(|x| f32::from(x) / 32_768.0).collect();
        assert_eq!(part.interleaved, expected, "{claimed} bytes claimed");
        // The largest size means that it is unknown.
        assert_eq!(part.damage.truncated, claimed != u32::MAX, "{claimed} bytes claimed");
    }
}

#[test]
fn an_empty_file_of_sound_is_sound_of_length_0() {
    let nothing = decode(wav(2, 8000, 16, 0, &[])).unwrap();
    assert_eq!((nothing.length, nothing.samples(), nothing.damage.is_any()), (Some(0), 0, false));
}

#[test]
fn a_count_of_packets_that_is_too_low_loses_no_sound() {
    let bytes = fixture("sweep.mp3");
    let whole = decode(bytes.clone()).unwrap();
    let mut lying = bytes;
    let tag = lying.windows(4).position(|window| window == b"Info" || window == b"Xing").unwrap();
    // After the name and the flags: how many packets follow.
    let packets = u32::from_be_bytes(*lying[tag + 8..].first_chunk().unwrap());
    lying[tag + 8..tag + 12].copy_from_slice(&(packets / 2).to_be_bytes());
    let part = decode(lying).unwrap();
    assert!(part.samples() >= whole.samples());
    assert_same(&part, &whole, 0.., 0.0, "half the count");
}

#[test]
fn streams_put_one_after_the_other_go_on_if_their_format_does() {
    let one = fixture("sweep.ogg");
    let whole = decode(one.clone()).unwrap();
    let both = decode([one.clone(), one].concat()).unwrap();
    assert!(both.error.is_none(), "{:?}", both.error);
    assert_eq!(both.samples(), 2 * whole.samples());
    assert_same(&both, &whole, 0.., 0.0, "the first of two");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_after_a_known_beginning_are_an_error_or_sound(
        name in prop::sample::select(&FIXTURES[..]),
        kept in 0_usize..300,
        noise in prop::collection::vec(any::<u8>(), 0..3000),
    ) {
        let mut bytes = fixture(name);
        bytes.truncate(kept);
        bytes.extend(noise);
        let _ = decode(bytes);
    }
}
