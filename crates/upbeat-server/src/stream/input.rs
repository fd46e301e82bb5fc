//! Audio that waits for analysis.

use std::collections::VecDeque;
use std::time::Instant;

/// Consecutive samples, interleaved.
#[derive(Debug)]
pub(crate) struct Chunk {
    /// The index of the first sample, per channel.
    pub(crate) at: u64,
    pub(crate) interleaved: Vec<f32>,
    /// When the last message in it came.
    pub(crate) arrived: Instant,
    /// The number of the last message in it.
    pub(crate) sequence: u32,
    /// Why samples are missing before it, if any are.
    pub(crate) gap: &'static str,
    /// Where the stream began, with the first chunk that is taken.
    pub(crate) origin: Option<u64>,
}

/// A bounded queue of chunks. When it is full, the oldest is dropped, and the next one comes after a gap.
#[derive(Debug)]
pub(crate) struct Input {
    chunks: VecDeque<Chunk>,
    channels: usize,
    /// Samples per channel that may wait, and that do.
    capacity: u64,
    queued: u64,
    /// The index that the next sample has if none is lost.
    next: u64,
    last_arrival: Option<Instant>,
    gap: &'static str,
    /// Where the stream began; whether that has been said.
    origin: Option<u64>,
    originated: bool,
    sealed: bool,
    pub(crate) overflows: u64,
    pub(crate) overflowed: u64,
}

impl Input {
    /// Samples of a chunk per channel: what is analysed before another stream has its turn.
    const CHUNK: usize = 2048;
    /// Chunks that may wait, for messages of few samples with holes between them.
    const CHUNKS: usize = 4096;

    pub(crate) fn new(channels: usize, capacity: u64) -> Self {
        Self {
            chunks: VecDeque::new(),
            channels,
            capacity: capacity.max(2 * Self::CHUNK as u64),
            queued: 0,
            next: 0,
            last_arrival: None,
            gap: "client",
            origin: None,
            originated: false,
            sealed: false,
            overflows: 0,
            overflowed: 0,
        }
    }

    /// The index of the sample after the last one.
    pub(crate) const fn next(&self) -> u64 {
        self.next
    }

    pub(crate) const fn queued(&self) -> u64 {
        self.queued
    }

    pub(crate) const fn capacity(&self) -> u64 {
        self.capacity
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    pub(crate) const fn last_arrival(&self) -> Option<Instant> {
        self.last_arrival
    }

    /// When the audio came that has waited longest.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.chunks.front().map(|chunk| chunk.arrived)
    }

    /// What comes from now on is in other chunks than what has come.
    pub(crate) const fn seal(&mut self) {
        self.sealed = true;
    }

    /// Samples that will not come: the next one has a higher index.
    pub(crate) fn skip(&mut self, samples: u64, reason: &'static str) {
        self.next = self.next.saturating_add(samples);
        self.gap = reason;
    }

    /// Takes samples that start at index `at`, which must not be lower than [`next`](Self::next), and returns how
    /// many per channel had to be dropped.
    pub(crate) fn push(
        &mut self,
        at: u64,
        mut interleaved: &[f32],
        sequence: u32,
        arrived: Instant,
    ) -> u64 {
        debug_assert!(at >= self.next && interleaved.len().is_multiple_of(self.channels));
        let mut at = at;
        self.last_arrival = Some(arrived);
        self.origin.get_or_insert(at);
        let most = Self::CHUNK * self.channels;
        while !interleaved.is_empty() {
            let sealed = std::mem::take(&mut self.sealed);
            let last = self.chunks.back_mut().filter(|_| !sealed).filter(|last| {
                let end = last.at + (last.interleaved.len() / self.channels) as u64;
                end == at && last.interleaved.len() < most
            });
            let length = if let Some(last) = last {
                let length = interleaved.len().min(most - last.interleaved.len());
                last.interleaved.extend_from_slice(&interleaved[..length]);
                (last.arrived, last.sequence) = (arrived, sequence);
                length
            } else {
                let length = interleaved.len().min(most);
                let mut samples = Vec::with_capacity(length);
                samples.extend_from_slice(&interleaved[..length]);
                let chunk = Chunk {
                    at,
                    interleaved: samples,
                    arrived,
                    sequence,
                    gap: self.gap,
                    origin: None,
                };
                self.chunks.push_back(chunk);
                length
            };
            let samples = (length / self.channels) as u64;
            at += samples;
            self.next = at;
            self.gap = "client";
            self.queued += samples;
            interleaved = &interleaved[length..];
        }
        let mut dropped = 0;
        while (self.queued > self.capacity || self.chunks.len() > Self::CHUNKS)
            && let Some(oldest) = self.chunks.pop_front()
        {
            let samples = (oldest.interleaved.len() / self.channels) as u64;
            self.queued -= samples;
            dropped += samples;
            if let Some(first) = self.chunks.front_mut() {
                first.gap = "overflow";
            }
        }
        self.overflows += u64::from(dropped > 0);
        self.overflowed += dropped;
        dropped
    }

    pub(crate) fn pop(&mut self) -> Option<Chunk> {
        let mut chunk = self.chunks.pop_front()?;
        if !std::mem::replace(&mut self.originated, true) {
            chunk.origin = self.origin;
        }
        self.queued -= (chunk.interleaved.len() / self.channels) as u64;
        Some(chunk)
    }

    pub(crate) fn clear(&mut self) {
        self.chunks.clear();
        self.queued = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(input: &mut Input) -> Vec<(u64, usize, &'static str)> {
        std::iter::from_fn(|| input.pop()).map(|c| (c.at, c.interleaved.len(), c.gap)).collect()
    }

    #[test]
    fn small_messages_share_a_chunk_and_large_ones_are_split() {
        let mut input = Input::new(2, 1 << 20);
        let now = Instant::now();
        for sequence in 0..10 {
            assert_eq!(input.push(u64::from(sequence), &[0.0, 1.0], sequence, now), 0);
        }
        assert_eq!((input.next(), input.queued()), (10, 10));
        input.push(10, &vec![0.5; 2 * 5000], 10, now);
        input.skip(7, "paused");
        input.push(5017, &[0.0; 4], 11, now);
        input.push(6000, &[0.0; 2], 12, now);
        let expected = [
            (0, 4096, "client"),
            (2048, 4096, "client"),
            (4096, 2 * 914, "client"),
            (5017, 4, "paused"),
            (6000, 2, "client"),
        ];
        assert_eq!(all(&mut input), expected);
        assert_eq!((input.queued(), input.is_empty()), (0, true));
    }

    #[test]
    fn what_is_too_much_pushes_out_the_oldest() {
        let mut input = Input::new(1, 4096);
        let now = Instant::now();
        assert_eq!(input.push(0, &[0.0; 4096], 0, now), 0);
        assert_eq!(input.push(4096, &[0.0; 1], 1, now), 2048);
        assert_eq!((input.overflows, input.overflowed), (1, 2048));
        assert_eq!(all(&mut input), [(2048, 2048, "overflow"), (4096, 1, "client")]);
        for hole in 0..5000 {
            input.push(4098 + 2 * hole, &[0.0; 1], 2, now);
        }
        assert_eq!(all(&mut input).len(), Input::CHUNKS);
        // A message larger than all there is room for leaves its newest part.
        assert_eq!(input.push(20_000, &vec![0.0; 10_000], 2, now), 3 * 2048);
        assert_eq!(input.queued(), 10_000 - 3 * 2048);
    }
}
