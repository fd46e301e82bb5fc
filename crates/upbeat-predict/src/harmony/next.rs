use super::chord::Triad;
use super::tensors::Tensors;
use upbeat_core::ConfigError;

/// Settings of [`NextChord`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NextChordConfig {
    /// How many chords of this song are remembered, from 0 to 65536: then the older half is forgotten.
    /// Default: 512, some twelve minutes of pop music.
    pub memory: usize,
}

impl NextChordConfig {
    /// The usual settings.
    #[must_use]
    pub const fn new() -> Self {
        Self { memory: 512 }
    }
}

impl Default for NextChordConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// What chord comes next, and after how many beats.
///
/// Two memories answer: one of 829 pop songs, the same in all keys, and one of this song so far. Each
/// has looked what followed the last chord, the last two, three, …: the longer the context, the rarer
/// and the more telling. From the shortest context of the long memory to the longest of the song, the
/// distribution is refined by what was counted there, `p ← (n_x + w u p) / (Σ n_x + w u)`, where
/// `u` is the number of different continuations seen (Witten and Bell's estimate of what is new; the
/// weights `w` are fitted): the scheme of prediction by partial matching, Cleary and Witten, "Data
/// compression using adaptive coding and partial string matching", 1984, and of its short- and
/// long-term models in music, Pearce, 2005. The long memory reaches back 4 chords and 3 durations,
/// that of the song 8.
///
/// Chords are [`Triad`]s; neighbours differ, so the chord that sounds has probability 0. Durations
/// are in beats, from 1 to 16; longer ones count as 16.
///
/// Trained on POP909 (MIT licence), mostly Chinese pop in 4/4; in other styles the song's own memory
/// has to do the work. `training/harmony/README.md` says how the table is made.
///
/// # Examples
///
/// ```
/// use upbeat_predict::harmony::{Chord, NextChord, NextChordConfig};
///
/// let mut next = NextChord::new(&NextChordConfig::new())?;
/// assert!(next.probabilities().is_none()); // nothing heard yet
/// for label in ["C", "G", "A:min", "F", "C", "G", "A:min"] {
///     next.begin(label.parse::<Chord>()?.triad(), Some(4.0)); // each chord lasted 4 beats
/// }
/// let (triad, p) = next.most_likely().ok_or("chords were heard")?;
/// assert_eq!(triad.to_string(), "F:maj");
/// assert!(p > 0.6);
/// let change = next.beats_left(3.0).ok_or("chords were heard")?; // 3 of 4 beats have passed
/// assert!(change[0] > 0.6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct NextChord {
    chords: LongMemory,
    beats: LongMemory,
    history: Box<[Heard]>,
    heard: usize,
    next: [f32; Triad::COUNT],
    lasts: [f32; NextChord::MAX_BEATS],
}

impl NextChord {
    /// The longest duration told apart, in beats.
    pub const MAX_BEATS: usize = 16;
    /// The most chords that can be remembered.
    pub const MAX_MEMORY: usize = 1 << 16;

    /// Reads the table that ships with the crate and allocates all that will ever be needed.
    ///
    /// # Errors
    ///
    /// If `memory` exceeds [`MAX_MEMORY`](Self::MAX_MEMORY).
    pub fn new(config: &NextChordConfig) -> Result<Self, ConfigError> {
        let NextChordConfig { memory } = *config;
        ConfigError::require(memory <= Self::MAX_MEMORY, "memory", "at most 65536", memory)?;
        let tensors = Tensors::read(include_bytes!("../../weights/next_chord.safetensors"))?;
        Ok(Self {
            chords: LongMemory::read(&tensors, "chord", Triad::COUNT, LONG_CHORDS)?,
            beats: LongMemory::read(&tensors, "beats", Self::MAX_BEATS, LONG_BEATS)?,
            // The chord that sounds and the one before it are always known.
            history: vec![Heard::default(); memory.max(2)].into(),
            heard: 0,
            next: [0.0; Triad::COUNT],
            lasts: [0.0; Self::MAX_BEATS],
        })
    }

    /// A chord begins; the one before it lasted `beats` beats, if anyone knows.
    ///
    /// The chord that sounds already is not begun again: nothing happens. Allocates nothing; costs
    /// some ten microseconds with a full memory of the default size.
    pub fn begin(&mut self, triad: Triad, beats: Option<f32>) {
        let chord = triad.index() as u8;
        if let Some(last) = self.history[..self.heard].last_mut() {
            if last.chord == chord {
                return;
            }
            last.beats =
                beats.map_or(UNKNOWN, |b| b.round().clamp(1.0, Self::MAX_BEATS as f32) as u8);
        }
        if self.heard == self.history.len() {
            let half = self.heard.div_ceil(2);
            self.history.copy_within(half.., 0);
            self.heard -= half;
        }
        self.history[self.heard] = Heard { chord, beats: UNKNOWN };
        self.heard += 1;
        self.predict_chord();
        self.predict_beats();
    }

    /// How likely each triad is to come next, by [`Triad::index`]; `None` before the first chord.
    #[must_use]
    pub fn probabilities(&self) -> Option<&[f32; Triad::COUNT]> {
        (self.heard > 0).then_some(&self.next)
    }

    /// The triad that is most likely to come next, and its probability.
    #[must_use]
    pub fn most_likely(&self) -> Option<(Triad, f32)> {
        let probabilities = self.probabilities()?.iter().enumerate();
        let (index, p) = probabilities.max_by(|a, b| a.1.total_cmp(b.1))?;
        Some((Triad::from_index(index), *p))
    }

    /// How likely the chord that sounds, which began `elapsed` beats ago, is to end 1, 2, …, 16 beats
    /// after the last whole beat of those; `None` before the first chord, and once it has lasted longer
    /// than the table knows.
    #[must_use]
    pub fn beats_left(&self, elapsed: f32) -> Option<[f32; Self::MAX_BEATS]> {
        // Rounding in the clock of the beats must not turn 3 beats into 2.
        let whole = (elapsed + 0.05).floor().max(0.0) as usize;
        if self.heard == 0 || whole >= Self::MAX_BEATS {
            return None;
        }
        let mut left = [0.0; Self::MAX_BEATS];
        left[..Self::MAX_BEATS - whole].copy_from_slice(&self.lasts[whole..]);
        normalise(&mut left);
        Some(left)
    }

    /// Forgets the song; the long memory stays.
    pub fn reset(&mut self) {
        self.heard = 0;
    }

    fn predict_chord(&mut self) {
        let heard = &self.history[..self.heard];
        let last = heard.len() - 1;
        let root = heard[last].chord / 2;
        let relative = |h: &Heard| (h.chord / 2 + 12 - root) % 12 * 2 + h.chord % 2;

        let mut p = [1.0 / Triad::COUNT as f32; Triad::COUNT];
        let context = heard.iter().rev().map(|h| u32::from(relative(h)));
        self.chords.refine(&mut p, context);

        let mut counts = [[0.0; Triad::COUNT]; MEMORY];
        for now in 1..=last {
            // How far the chords before `now` are those before the one to come.
            let pairs = heard[..now].iter().rev().zip(heard.iter().rev());
            let same = pairs.take(MEMORY).take_while(|(a, b)| a.chord == b.chord).count();
            for level in &mut counts[..same] {
                // Seen from the last root: in the same context, that is the one it followed.
                level[usize::from(relative(&heard[now]))] += 1.0;
            }
        }
        for (counts, weight) in counts.iter().zip(&*self.chords.memory) {
            refine(&mut p, counts, *weight);
        }
        p[usize::from(heard[last].chord % 2)] = 0.0;
        normalise(&mut p);
        for (index, p) in p.iter().enumerate() {
            self.next[(index + 2 * usize::from(root)) % Triad::COUNT] = *p;
        }
    }

    fn predict_beats(&mut self) {
        let heard = &self.history[..self.heard];
        let (now, past) = heard.split_last().expect("a chord was just begun");

        let mut p = [1.0 / Self::MAX_BEATS as f32; Self::MAX_BEATS];
        let known = past.iter().rev().take_while(|h| h.beats != UNKNOWN);
        self.beats.refine(&mut p, known.map(|h| u32::from(h.beats) - 1));

        let mut counts = [[0.0; Self::MAX_BEATS]; MEMORY];
        for (j, then) in past.iter().enumerate() {
            if then.chord != now.chord || then.beats == UNKNOWN {
                continue;
            }
            let pairs = past[..j].iter().rev().zip(past.iter().rev());
            let same = pairs.take(MEMORY - 1).take_while(|(a, b)| a == b && a.beats != UNKNOWN);
            for level in &mut counts[..=same.count()] {
                level[usize::from(then.beats) - 1] += 1.0;
            }
        }
        for (counts, weight) in counts.iter().zip(&*self.beats.memory) {
            refine(&mut p, counts, *weight);
        }
        self.lasts = p;
    }
}

/// A chord of this song, by [`Triad::index`], and how long it lasted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Heard {
    chord: u8,
    /// From 1 to 16, or [`UNKNOWN`].
    beats: u8,
}

/// How often which symbol followed which context, in the long memory.
#[derive(Clone, Debug)]
struct LongMemory {
    n_symbols: usize,
    /// Contexts, rising: a 1, then the symbols from the latest on, in base `n_symbols`.
    keys: Box<[u32]>,
    /// Where the continuations of each context start, and an end mark.
    starts: Box<[u16]>,
    symbols: Box<[u8]>,
    counts: Box<[u16]>,
    /// What the shorter context weighs, per length of the longer one from 0 on.
    long: Box<[f32]>,
    /// The same for the song's memory, from length 1 on.
    memory: Box<[f32]>,
}

impl LongMemory {
    fn read(
        tensors: &Tensors<'_>,
        kind: &str,
        n_symbols: usize,
        reach: usize,
    ) -> Result<Self, ConfigError> {
        let keys = tensors.any::<u32>(&format!("{kind}.keys"))?;
        let starts = tensors.of::<u16>(&format!("{kind}.starts"), keys.len() + 1)?;
        let end = usize::from(starts[keys.len()]);
        let symbols = tensors.of::<u8>(&format!("{kind}.symbols"), end)?;
        let sound = keys.is_sorted()
            && starts.is_sorted()
            && symbols.iter().all(|s| usize::from(*s) < n_symbols);
        ConfigError::require(sound, "weights", "sorted contexts of known symbols", kind)?;
        Ok(Self {
            n_symbols,
            counts: tensors.of(&format!("{kind}.counts"), end)?,
            long: tensors.of(&format!("{kind}.long"), reach + 1)?,
            memory: tensors.of(&format!("{kind}.memory"), MEMORY)?,
            keys,
            starts,
            symbols,
        })
    }

    /// Refines `p` by what followed each context, from the empty one on; `context` has the latest symbol first.
    fn refine<const N: usize>(&self, p: &mut [f32; N], mut context: impl Iterator<Item = u32>) {
        let mut key = 1;
        for weight in &*self.long {
            let Ok(found) = self.keys.binary_search(&key) else { return };
            let range = usize::from(self.starts[found])..usize::from(self.starts[found + 1]);
            let mut counts = [0.0; N];
            for (symbol, count) in self.symbols[range.clone()].iter().zip(&self.counts[range]) {
                counts[usize::from(*symbol)] = f32::from(*count);
            }
            refine(p, &counts, *weight);
            let Some(symbol) = context.next() else { return };
            key = key * self.n_symbols as u32 + symbol;
        }
    }
}

/// `p ← (n_x + w u p) / (Σ n_x + w u)`; nothing where nothing was counted.
fn refine<const N: usize>(p: &mut [f32; N], counts: &[f32; N], weight: f32) {
    let total: f32 = counts.iter().sum();
    if total > 0.0 {
        let kinds = counts.iter().filter(|n| **n > 0.0).count();
        let prior = weight * kinds as f32;
        for (p, n) in p.iter_mut().zip(counts) {
            *p = (n + prior * *p) / (total + prior);
        }
    }
}

fn normalise(p: &mut [f32]) {
    let sum: f32 = p.iter().sum();
    for p in p {
        *p /= sum;
    }
}

/// Context lengths of the long memory.
const LONG_CHORDS: usize = 4;
const LONG_BEATS: usize = 3;
/// Context lengths of the song's memory.
const MEMORY: usize = 8;
const UNKNOWN: u8 = 0;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn model() -> NextChord {
        NextChord::new(&NextChordConfig::new()).unwrap()
    }

    /// Probabilities that `training/harmony/golden.py` computed from the same table.
    #[test]
    fn answers_as_the_training_code_does() {
        let mut next = model();
        let mut lasted = None;
        for line in include_str!("../../tests/data/next_chord.txt").lines() {
            let values: Vec<f32> = line.split(' ').map(|v| v.parse().unwrap()).collect();
            next.begin(Triad::from_index(values[0] as usize), lasted);
            lasted = Some(values[1]);
            let found = next.probabilities().unwrap().iter().chain(&next.lasts);
            for (n, (f, e)) in found.zip(&values[2..]).enumerate() {
                assert!((f - e).abs() < 2e-5, "{n}: {f} instead of {e} in {line}");
            }
        }
    }

    #[test]
    fn a_song_in_another_key_goes_on_alike() {
        let song = [0, 14, 19, 10, 0, 14, 19, 5, 14];
        let (mut c, mut e_flat) = (model(), model());
        for chord in song {
            c.begin(Triad::from_index(chord), Some(4.0));
            e_flat.begin(Triad::from_index(chord + 6), Some(4.0));
        }
        let moved = c.probabilities().unwrap().iter().cycle().skip(18);
        for (a, b) in moved.zip(e_flat.probabilities().unwrap()) {
            assert!((a - b).abs() < 1e-6);
        }
    }

    #[test]
    fn the_chord_that_sounds_is_not_begun_again() {
        let (mut once, mut twice) = (model(), model());
        for chord in [0, 14, 0, 10] {
            once.begin(Triad::from_index(chord), Some(2.0));
            twice.begin(Triad::from_index(chord), Some(2.0));
            twice.begin(Triad::from_index(chord), Some(7.0));
        }
        assert_eq!(once.probabilities(), twice.probabilities());
        assert_eq!(once.beats_left(0.0), twice.beats_left(0.0));
    }

    #[test]
    fn what_has_lasted_can_end_only_later() {
        let mut next = model();
        assert_eq!(next.beats_left(0.0), None);
        for chord in [0, 14].into_iter().cycle().take(12) {
            next.begin(Triad::from_index(chord), Some(8.0));
        }
        let left = next.beats_left(5.0).unwrap();
        assert!(left[2] > 0.6, "{left:?}"); // the eighth beat
        assert!(left[11..].iter().all(|p| *p == 0.0));
        assert_eq!(next.beats_left(16.0), None);
        next.reset();
        assert_eq!(next.probabilities(), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn probabilities_are_some_whatever_is_heard(
            song in proptest::collection::vec((0_usize..24, proptest::option::of(any::<f32>())), 1..80),
            memory in 0_usize..20,
        ) {
            let mut next = NextChord::new(&NextChordConfig { memory }).unwrap();
            for (chord, beats) in song {
                next.begin(Triad::from_index(chord), beats);
                let p = next.probabilities().unwrap();
                prop_assert!((p.iter().sum::<f32>() - 1.0).abs() < 1e-5);
                prop_assert!(p.iter().all(|p| *p >= 0.0) && p[chord] == 0.0);
                let left = next.beats_left(0.0).unwrap();
                prop_assert!((left.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            }
        }
    }
}
