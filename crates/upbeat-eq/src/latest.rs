//! A latest-value slot: one thread publishes values, another takes the newest; neither ever waits.
//!
//! Three buffers change hands by one atomic swap: one is being filled, one is being read, and one lies
//! between. The words in them are atomics too, so that this needs no `unsafe`; the swaps order them, and
//! reading and writing them costs what plain words cost. (The crate `triple_buffer` does the same and
//! would free this crate of the code, but is MPL-2.0.)

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// A slot for `words` numbers; nothing is in it at first.
pub(crate) fn latest(words: usize) -> (Publisher, Latest) {
    let buffer = || (0..words).map(|_| AtomicU64::new(0)).collect();
    let slot =
        Arc::new(Slot { buffers: [buffer(), buffer(), buffer()], between: AtomicU8::new(1) });
    (Publisher { slot: Arc::clone(&slot), filling: 0 }, Latest { slot, reading: 2 })
}

/// The end that puts values in; on any thread.
#[derive(Debug)]
pub(crate) struct Publisher {
    slot: Arc<Slot>,
    filling: u8,
}

/// The end that takes the newest; on the audio thread.
#[derive(Debug)]
pub(crate) struct Latest {
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
    pub(crate) fn publish(&mut self, values: impl IntoIterator<Item = f64>) {
        let buffer = &self.slot.buffers[usize::from(self.filling)];
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
    pub(crate) fn take(&mut self) -> Option<impl Iterator<Item = f64>> {
        if self.slot.between.load(Ordering::Relaxed) & NEWER == 0 {
            return None;
        }
        let between = self.slot.between.swap(self.reading, Ordering::AcqRel);
        self.reading = between & !NEWER;
        let buffer = &self.slot.buffers[usize::from(self.reading)];
        Some(buffer.iter().map(|word| f64::from_bits(word.load(Ordering::Relaxed))))
    }
}

/// Beside a buffer's number.
const NEWER: u8 = 0x80;

#[cfg(test)]
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
        assert_eq!(taken(&mut latest), Some(vec![5.0, 6.0]));
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
