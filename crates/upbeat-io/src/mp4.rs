use std::io::{self, Read, Seek, SeekFrom};

/// Where the sound of one track of an MP4 file begins and ends, in the track's ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Edit {
    /// The number of the track.
    pub(crate) track: u32,
    /// Ticks of encoder delay before the first sample.
    pub(crate) delay: u64,
    /// Ticks of sound, where the file says it exactly.
    pub(crate) length: Option<u64>,
}

/// The delays and lengths that the tracks of an MP4 file state, which the demuxer does not apply: those of the
/// edit list, else those of the `iTunSMPB` tag. None for any other file.
///
/// Of an edit list, leading silence (an empty edit) is not applied, and of several cuts only where the first starts.
pub(crate) fn edits(reader: &mut (impl Read + Seek)) -> Vec<Edit> {
    let mut movie = Movie::default();
    // What cannot be read here is for the demuxer to judge.
    let _ = walk_file(reader, &mut movie);
    let tag = movie.itunes;
    let edit = |track: &Track| {
        track.edit(movie.timescale).or_else(|| Some(Edit { track: track.id, ..tag? }))
    };
    movie.tracks.iter().filter_map(edit).collect()
}

#[derive(Debug, Default)]
struct Movie {
    timescale: u32,
    tracks: Vec<Track>,
    itunes: Option<Edit>,
}

#[derive(Debug, Default)]
struct Track {
    id: u32,
    timescale: u32,
    /// Where the first edit that plays something starts, in ticks of the track.
    start: Option<u64>,
    /// How long it is, in ticks of the movie; none where it is not the only one.
    duration: Option<u64>,
}

impl Track {
    fn edit(&self, movie_timescale: u32) -> Option<Edit> {
        // A movie clock slower than the samples cannot say where the sound ends.
        let exact = movie_timescale >= self.timescale && movie_timescale > 0;
        let ticks = |movie_ticks: u64| {
            let ticks = u128::from(movie_ticks) * u128::from(self.timescale);
            u64::try_from(ticks / u128::from(movie_timescale)).ok().filter(|ticks| *ticks > 0)
        };
        let length = self.duration.filter(|_| exact).and_then(ticks);
        Some(Edit { track: self.id, delay: self.start?, length })
    }
}

/// One box: its kind, and where its content starts and ends.
struct Atom {
    kind: [u8; 4],
    start: u64,
    end: u64,
}

fn walk_file(reader: &mut (impl Read + Seek), movie: &mut Movie) -> io::Result<()> {
    let end = reader.seek(SeekFrom::End(0))?;
    let mut at = 0;
    for count in 0..MAX_BOXES {
        let Some(atom) = next_box(reader, at, end)? else { break };
        match &atom.kind {
            b"moov" => return walk(reader, &atom, movie, 0),
            b"ftyp" => {}
            _ if count == 0 => break, // no MP4 file
            _ => {}
        }
        at = atom.end;
    }
    Ok(())
}

/// Visits the boxes within `parent`.
fn walk(
    reader: &mut (impl Read + Seek),
    parent: &Atom,
    movie: &mut Movie,
    depth: usize,
) -> io::Result<()> {
    let mut at = parent.start;
    for _ in 0..MAX_BOXES {
        let Some(mut atom) = next_box(reader, at, parent.end)? else { break };
        at = atom.end;
        match &atom.kind {
            b"trak" => {
                movie.tracks.push(Track::default());
                walk(reader, &atom, movie, depth + 1)?;
            }
            b"mdia" | b"edts" | b"udta" | b"ilst" if depth < MAX_DEPTH => {
                walk(reader, &atom, movie, depth + 1)?;
            }
            b"meta" if depth < MAX_DEPTH => {
                // QuickTime's has no version and flags before its boxes.
                let head = content(reader, &atom, 8)?;
                atom.start += if head.get(4..8) == Some(b"hdlr") { 0 } else { 4 };
                walk(reader, &atom, movie, depth + 1)?;
            }
            b"mvhd" => movie.timescale = timescale(&content(reader, &atom, 32)?),
            b"mdhd" => {
                if let Some(track) = movie.tracks.last_mut() {
                    track.timescale = timescale(&content(reader, &atom, 32)?);
                }
            }
            b"tkhd" => {
                if let Some(track) = movie.tracks.last_mut() {
                    track.id = timescale(&content(reader, &atom, 32)?);
                }
            }
            b"elst" => {
                if let Some(track) = movie.tracks.last_mut() {
                    read_edit_list(&content(reader, &atom, 4096)?, track);
                }
            }
            b"----" => {
                movie.itunes = movie.itunes.or(itunes_gapless(&content(reader, &atom, 1024)?));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The box at `at`, if one begins before `end`.
fn next_box(reader: &mut (impl Read + Seek), at: u64, end: u64) -> io::Result<Option<Atom>> {
    if end.saturating_sub(at) < 8 {
        return Ok(None);
    }
    reader.seek(SeekFrom::Start(at))?;
    let mut head = [0; 16];
    reader.read_exact(&mut head[..8])?;
    let (length, header) = match be32(&head, 0) {
        Some(0) => (end - at, 8),
        Some(1) => {
            reader.read_exact(&mut head[8..])?;
            (be64(&head, 8).unwrap_or(0), 16)
        }
        length => (u64::from(length.unwrap_or(0)), 8),
    };
    if length < header {
        return Ok(None);
    }
    let kind = [head[4], head[5], head[6], head[7]];
    Ok(Some(Atom { kind, start: at + header, end: at.saturating_add(length).min(end) }))
}

/// The content of a box, at most `limit` bytes of it.
fn content(reader: &mut (impl Read + Seek), atom: &Atom, limit: u64) -> io::Result<Vec<u8>> {
    reader.seek(SeekFrom::Start(atom.start))?;
    let mut bytes = Vec::new();
    reader.take(limit.min(atom.end.saturating_sub(atom.start))).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The field after the two times of `mvhd`, `mdhd` and `tkhd`, which have 8 bytes each in version 1.
fn timescale(header: &[u8]) -> u32 {
    be32(header, if header.first() == Some(&1) { 20 } else { 12 }).unwrap_or(0)
}

/// The entries of an `elst`: a duration, a start (−1 for silence), and a rate.
fn read_edit_list(list: &[u8], track: &mut Track) {
    let wide = list.first() == Some(&1);
    let (entries, size) = (list.get(8..).unwrap_or(&[]), if wide { 20 } else { 12 });
    let played: Vec<(u64, u64)> = entries
        .chunks_exact(size)
        .filter_map(|entry| {
            if wide {
                Some((be64(entry, 0)?, be64(entry, 8).filter(|start| *start >> 63 == 0)?))
            } else {
                let start = be32(entry, 4).filter(|start| *start >> 31 == 0)?;
                Some((u64::from(be32(entry, 0)?), u64::from(start)))
            }
        })
        .collect();
    track.start = played.first().map(|(_, start)| *start);
    track.duration = played.first().filter(|_| played.len() == 1).map(|(duration, _)| *duration);
}

/// The tag `iTunSMPB`: hexadecimal numbers, of which the second to fourth are delay, padding and length.
fn itunes_gapless(tag: &[u8]) -> Option<Edit> {
    let name = b"iTunSMPB";
    tag.windows(name.len()).position(|window| window == name)?;
    let data = tag.windows(4).position(|window| window == b"data")?;
    // After the kind of the box: a type and a locale.
    let text = str::from_utf8(tag.get(data + 12..)?).ok()?;
    let mut fields = text.split_ascii_whitespace().skip(1);
    let mut number = || u64::from_str_radix(fields.next()?, 16).ok();
    let (delay, _padding, length) = (number()?, number()?, number()?);
    Some(Edit { track: 0, delay, length: Some(length).filter(|length| *length > 0) })
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

fn be64(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|bytes| u64::from_be_bytes(*bytes))
}

/// The most boxes visited in one container; a fragmented film has some thousands.
const MAX_BOXES: usize = 1 << 14;
/// How deep boxes are nested: the deepest of interest is `moov.udta.meta.ilst.----`.
const MAX_DEPTH: usize = 6;

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn atom(kind: &str, content: &[u8]) -> Vec<u8> {
        [&(content.len() as u32 + 8).to_be_bytes()[..], kind.as_bytes(), content].concat()
    }

    /// A box with a version, whose field after two times is `field`.
    fn header(kind: &str, version: u8, field: u32) -> Vec<u8> {
        let times = if version == 1 { 16 } else { 8 };
        let content = [&[version, 0, 0, 0][..], &vec![0; times], &field.to_be_bytes()].concat();
        atom(kind, &content)
    }

    /// An edit list of version 0: durations and starts.
    fn edit_list(entries: &[(u32, i32)]) -> Vec<u8> {
        let mut content = vec![0, 0, 0, 0];
        content.extend((entries.len() as u32).to_be_bytes());
        for (duration, start) in entries {
            content.extend(duration.to_be_bytes());
            content.extend(start.to_be_bytes());
            content.extend([0, 1, 0, 0]);
        }
        atom("edts", &atom("elst", &content))
    }

    /// A track number 7 with a clock of 44 100 Hz.
    fn track(edits: &[u8]) -> Vec<u8> {
        let media = atom("mdia", &header("mdhd", 0, 44_100));
        atom("trak", &[header("tkhd", 1, 7), edits.to_vec(), media].concat())
    }

    fn file(movie: &[Vec<u8>]) -> Vec<u8> {
        let movie = atom("moov", &movie.concat());
        [atom("ftyp", b"M4A "), atom("mdat", &[0; 100]), movie].concat()
    }

    fn edits_of(bytes: Vec<u8>) -> Vec<Edit> {
        edits(&mut Cursor::new(bytes))
    }

    fn itunes_tag(text: &str) -> Vec<u8> {
        let data = [&[0, 0, 0, 1, 0, 0, 0, 0], text.as_bytes()].concat();
        let name = atom("name", b"\0\0\0\0iTunSMPB");
        let tag = [atom("mean", b"\0\0\0\0com.apple.iTunes"), name, atom("data", &data)].concat();
        let list = atom("ilst", &atom("----", &tag));
        atom("udta", &atom("meta", &[&[0; 4][..], &list].concat()))
    }

    const TAG: &str = " 00000000 00000840 000001C0 0000000000001000 00000000 00000000";

    #[test]
    fn an_edit_list_says_where_the_sound_starts() {
        let slow = header("mvhd", 0, 1000);
        let exact = header("mvhd", 1, 44_100);
        let edit = |length| vec![Edit { track: 7, delay: 1024, length }];
        let list = edit_list(&[(5000, 1024)]);
        // A clock of milliseconds cannot say where it ends.
        assert_eq!(edits_of(file(&[slow, track(&list)])), edit(None));
        assert_eq!(edits_of(file(&[exact.clone(), track(&list)])), edit(Some(5000)));
        // Silence first, then two cuts.
        let cuts = edit_list(&[(300, -1), (1000, 1024), (1000, 9000)]);
        assert_eq!(edits_of(file(&[exact.clone(), track(&cuts)])), edit(None));
        assert_eq!(edits_of(file(&[exact, track(&edit_list(&[(300, -1)]))])), []);
    }

    #[test]
    fn an_edit_list_of_64_bits_is_read_alike() {
        let mut content = vec![1, 0, 0, 0, 0, 0, 0, 1];
        content.extend(5000_u64.to_be_bytes());
        content.extend(1024_u64.to_be_bytes());
        content.extend([0, 1, 0, 0]);
        let list = atom("edts", &atom("elst", &content));
        let movie = file(&[header("mvhd", 0, 44_100), track(&list)]);
        assert_eq!(edits_of(movie), [Edit { track: 7, delay: 1024, length: Some(5000) }]);
    }

    #[test]
    fn a_tag_holds_where_there_is_no_edit_list() {
        let tagged = Edit { track: 7, delay: 0x840, length: Some(0x1000) };
        let movie = header("mvhd", 0, 1000);
        assert_eq!(edits_of(file(&[movie.clone(), track(&[]), itunes_tag(TAG)])), [tagged]);
        let both = file(&[movie.clone(), track(&edit_list(&[(5000, 1024)])), itunes_tag(TAG)]);
        assert_eq!(edits_of(both), [Edit { track: 7, delay: 1024, length: None }]);
        assert_eq!(edits_of(file(&[movie, track(&[]), itunes_tag(" what is this")])), []);
    }

    #[test]
    fn other_files_and_sizes_that_lie_have_no_edits() {
        assert_eq!(edits_of(b"RIFF\x10\0\0\0WAVEfmt and so on".to_vec()), []);
        let whole = file(&[header("mvhd", 0, 1000), track(&edit_list(&[(5000, 1024)]))]);
        for length in 0..whole.len() {
            let _ = edits_of(whole[..length].to_vec());
        }
        for at in 0..whole.len() - 4 {
            for size in [0, 1, 7, 8, u32::MAX] {
                let mut lying = whole.clone();
                lying[at..at + 4].copy_from_slice(&u32::to_be_bytes(size));
                let _ = edits_of(lying);
            }
        }
    }
}
