//! A latest-value slot: one thread publishes values, another takes the newest; neither ever waits.
//!
//! This is how parameters reach the audio thread, and how measurements leave it, where only the newest value
//! counts. (Where every value counts, use a queue.) A value is a fixed number of `f64` words; what it
//! means is for the two ends to say.
//!
//! Three buffers change hands by one atomic swap: one is being filled, one is being read, and one lies
//! between. The words in them are atomics too, so that this needs no `unsafe`; the swaps order them, and
//! reading and writing them costs what plain words cost. (The crate `triple_buffer` does the same and
//! would free this crate of the code, but is MPL-2.0.)
//!
//! All interleavings of two threads are tried by a `loom` model in this module's tests.

use crate::sync::{Arc, AtomicU8, AtomicU64, Ordering};

/// A slot for `words` numbers; nothing is in it at first.
///
/// Allocates all that will ever be needed: neither end allocates, locks or waits from then on.
///
/// ```
/// use upbeat_window::latest::latest;
///
/// /// A compressor's settings, as words.
/// #[derive(Clone, Copy, Debug, PartialEq)]
/// struct Settings {
///     threshold: f64,
///     ratio: f64,
/// }
///
/// let (mut publisher, mut newest) = latest(2);
/// let mut settings = Settings { threshold: -20.0, ratio: 2.0 };
///
/// // On any thread:
/// publisher.publish([-30.0, 4.0]);
/// publisher.publish([-24.0, 4.0]);
///
/// // On the audio thread, at the start of each block:
/// if let Some([threshold, ratio]) = newest.take_array() {
///     settings = Settings { threshold, ratio };
/// }
/// assert_eq!(settings, Settings { threshold: -24.0, ratio: 4.0 });
/// assert_eq!(newest.take_array::<2>(), None); // nothing newer
/// ```
#[must_use]
pub fn latest(words: usize) -> (Publisher, Latest) {
    let buffer = || (0..words).map(|_| AtomicU64::new(0)).collect();
    let slot =
        Arc::new(Slot { buffers: [buffer(), buffer(), buffer()], between: AtomicU8::new(1) });
    (Publisher { slot: Arc::clone(&slot), filling: 0 }, Latest { slot, reading: 2 })
}

/// The end that puts values in; on any thread.
#[derive(Debug)]
pub struct Publisher {
    slot: Arc<Slot>,
    filling: u8,
}

/// The end that takes the newest; on any other thread.
#[derive(Debug)]
pub struct Latest {
    slot: Arc<Slot>,
    reading: u8,
}

#[derive(Debug)]
struct Slot {
    buffers: [Box<[AtomicU64]>; 3],
    /// Which buffer lies between, and whether it is newer than the one being read.
    between: AtomicU8,
}

impl Publisher {
    /// Replaces what is in the slot; what was not taken yet is gone.
    ///
    /// Words that `values` does not give are 0; those beyond the size of the slot are left out.
    pub fn publish(&mut self, values: impl IntoIterator<Item = f64>) {
        let buffer = &self.slot.buffers[usize::from(self.filling)];
        let values = values.into_iter().chain(std::iter::repeat(0.0));
        for (word, value) in buffer.iter().zip(values) {
            word.store(value.to_bits(), Ordering::Relaxed);
        }
        // Release: who takes the buffer sees the words. Acquire: its last reader is done with them.
        let between = self.slot.between.swap(self.filling | NEWER, Ordering::AcqRel);
        self.filling = between & !NEWER;
    }
}

impl Latest {
    /// What was published last, if that is newer than what was taken before.
    pub fn take(&mut self) -> Option<impl ExactSizeIterator<Item = f64>> {
        if self.slot.between.load(Ordering::Relaxed) & NEWER == 0 {
            return None;
        }
        let between = self.slot.between.swap(self.reading, Ordering::AcqRel);
        self.reading = between & !NEWER;
        let buffer = &self.slot.buffers[usize::from(self.reading)];
        Some(buffer.iter().map(|word| f64::from_bits(word.load(Ordering::Relaxed))))
    }

    /// [`take`](Self::take), as an array of the first `N` words; words that the slot does not have are 0.
    pub fn take_array<const N: usize>(&mut self) -> Option<[f64; N]> {
        let mut words = self.take()?;
        Some(std::array::from_fn(|_| words.next().unwrap_or_default()))
    }
}

/// Beside a buffer's number.
const NEWER: u8 = 0x80;

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn taken(latest: &mut Latest) -> Option<Vec<f64>> {
        latest.take().map(Iterator::collect)
    }

    #[test]
    fn only_the_newest_is_taken_and_only_once() {
        let (mut publisher, mut latest) = latest(2);
        assert_eq!(taken(&mut latest), None);
        publisher.publish([1.0, 2.0]);
        publisher.publish([3.0, 4.0]);
        assert_eq!(taken(&mut latest), Some(vec![3.0, 4.0]));
        assert_eq!(taken(&mut latest), None);
        publisher.publish([5.0, 6.0]);
        assert_eq!(latest.take_array(), Some([5.0, 6.0]));
        assert_eq!(latest.take_array::<2>(), None);
    }

    #[test]
    fn what_is_missing_is_0_and_what_is_too_much_is_left_out() {
        let (mut publisher, mut latest) = latest(2);
        for _ in 0..4 {
            publisher.publish([7.0, 8.0]); // so that no buffer is as it was made
            assert_eq!(latest.take_array(), Some([7.0, 8.0, 0.0]));
        }
        publisher.publish([1.0]);
        assert_eq!(taken(&mut latest), Some(vec![1.0, 0.0]));
        publisher.publish([1.0, 2.0, 3.0]);
        assert_eq!(latest.take_array(), Some([1.0]));
    }

    #[test]
    fn values_come_whole_and_in_order_across_threads() {
        const ROUNDS: u32 = 20_000;
        let (mut publisher, mut latest) = latest(16);
        let writer = std::thread::spawn(move || {
            for round in 1..=ROUNDS {
                publisher.publish([f64::from(round); 16]);
            }
        });
        let mut newest = 0.0;
        while newest < f64::from(ROUNDS) {
            if let Some(values) = taken(&mut latest) {
                assert!(values.iter().all(|v| *v == values[0]), "torn: {values:?}");
                assert!(values[0] > newest, "{} after {newest}", values[0]);
                newest = values[0];
            }
        }
        writer.join().unwrap();
    }
}

/// `RUSTFLAGS="--cfg loom" cargo test -p upbeat-window --lib --release latest::model`
#[cfg(all(test, loom))]
mod model {
    use super::*;

    /// More than there are buffers, so that every buffer is filled again while another is read.
    const PUBLISHED: u32 = 4;

    /// In all interleavings, and with all values that the memory model lets a load return, what is taken is
    /// whole and newer than what was taken before.
    #[test]
    fn values_come_whole_and_in_order() {
        loom::model(|| {
            let (mut publisher, mut latest) = latest(2);
            let writer = loom::thread::spawn(move || {
                for round in 1..=PUBLISHED {
                    publisher.publish([f64::from(round); 2]);
                }
            });
            let mut newest = 0.0;
            for _ in 0..3 {
                if let Some([first, second]) = latest.take_array() {
                    assert_eq!(first, second, "torn");
                    assert!(first > newest, "{first} after {newest}");
                    newest = first;
                }
            }
            writer.join().unwrap();
            if newest < f64::from(PUBLISHED) {
                assert_eq!(
                    latest.take_array(),
                    Some([f64::from(PUBLISHED)]),
                    "the last value stays to be taken"
                );
            }
            assert_eq!(latest.take_array::<2>(), None);
        });
    }
}
