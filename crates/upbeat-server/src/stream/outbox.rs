//! Messages on their way to one connection.

use std::collections::VecDeque;
use std::sync::Mutex;

use axum::extract::ws::{CloseFrame, Utf8Bytes};
use tokio::sync::Notify;

use crate::stream::Made;
use crate::sync::Lock;

/// A bounded queue that never makes its writer wait: when it is full, the oldest state goes, then the oldest event.
///
/// Messages carry numbers, so that a client sees what it has missed.
#[derive(Default)]
pub(crate) struct Outbox {
    queue: Mutex<Queue>,
    filled: Notify,
}

#[derive(Default)]
struct Queue {
    /// Answers to what the client has asked; they come first.
    answers: VecDeque<Utf8Bytes>,
    /// The newest acknowledgement, which makes all before superfluous.
    ack: Option<Utf8Bytes>,
    told: VecDeque<Made>,
    bytes: usize,
    dropped: u64,
    sent: u64,
    /// The last number that the client has acknowledged, once it has done so.
    acknowledged: Option<u64>,
    last: u64,
    close: Option<CloseFrame>,
    /// The connection that the messages are for.
    connection: u64,
}

/// What is to be sent next.
#[derive(Debug, PartialEq)]
pub(crate) enum Next {
    Text(Utf8Bytes),
    Close(CloseFrame),
    /// Nothing yet.
    Wait,
    /// Nothing ever: the messages are for a newer connection.
    Replaced,
}

impl Outbox {
    /// Messages that wait at most.
    const MESSAGES: usize = 256;
    const BYTES: usize = 1 << 20;
    const ANSWERS: usize = 64;
    /// Numbers between the last one sent and the last acknowledged, for clients that acknowledge.
    const WINDOW: u64 = 64;

    /// Adds what a stream tells.
    pub(crate) fn tell(&self, made: impl Iterator<Item = Made>) {
        let mut queue = self.queue.hold();
        for made in made {
            queue.bytes += made.text.len();
            queue.told.push_back(made);
            while queue.told.len() > Self::MESSAGES || queue.bytes > Self::BYTES {
                let state = queue.told.iter().position(|made| made.is_state);
                let Some(gone) = queue.told.remove(state.unwrap_or(0)) else { break };
                queue.bytes -= gone.text.len();
                queue.dropped += 1;
            }
        }
        drop(queue);
        self.filled.notify_one();
    }

    /// Adds an answer; whether there was room.
    pub(crate) fn answer(&self, text: Utf8Bytes) -> bool {
        let mut queue = self.queue.hold();
        let room = queue.answers.len() < Self::ANSWERS;
        if room {
            queue.answers.push_back(text);
        }
        drop(queue);
        self.filled.notify_one();
        room
    }

    /// Tells how far the stream is analysed, in place of what was told before.
    pub(crate) fn acknowledge(&self, text: Utf8Bytes) {
        self.queue.hold().ack = Some(text);
        self.filled.notify_one();
    }

    /// The client has got all messages up to `sequence`.
    pub(crate) fn acknowledged(&self, sequence: u64) {
        let mut queue = self.queue.hold();
        let last = queue.last;
        queue.acknowledged = queue.acknowledged.max(Some(sequence.min(last)));
        drop(queue);
        self.filled.notify_one();
    }

    /// Closes the connection once everything is sent.
    pub(crate) fn close(&self, code: u16, reason: &'static str) {
        self.queue.hold().close.get_or_insert(CloseFrame { code, reason: reason.into() });
        self.filled.notify_one();
    }

    /// From now on, the messages are for another connection; answers to the one before are dropped.
    pub(crate) fn redirect(&self, connection: u64) {
        let mut queue = self.queue.hold();
        queue.connection = connection;
        queue.answers.clear();
        queue.acknowledged = None;
        drop(queue);
        self.filled.notify_one();
    }

    /// What comes next for a connection.
    pub(crate) fn next(&self, connection: u64) -> Next {
        let mut queue = self.queue.hold();
        if queue.connection != connection {
            return Next::Replaced;
        }
        if let Some(text) = queue.answers.pop_front().or_else(|| queue.ack.take()) {
            return Next::Text(text);
        }
        let open = queue.acknowledged.is_none_or(|a| queue.last.saturating_sub(a) < Self::WINDOW);
        if (open || queue.close.is_some())
            && let Some(made) = queue.told.pop_front()
        {
            queue.bytes -= made.text.len();
            queue.sent += 1;
            queue.last = queue.last.max(made.sequence);
            return Next::Text(made.text);
        }
        queue.close.clone().map_or(Next::Wait, Next::Close)
    }

    /// Waits until there may be something to send.
    pub(crate) async fn filled(&self) {
        self.filled.notified().await;
    }

    /// Messages sent and messages dropped.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let queue = self.queue.hold();
        (queue.sent, queue.dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(sequence: u64, is_state: bool) -> Made {
        Made { text: sequence.to_string().into(), is_state, sequence }
    }

    fn numbers(outbox: &Outbox) -> Vec<u64> {
        let mut numbers = Vec::new();
        while let Next::Text(text) = outbox.next(0) {
            numbers.push(text.as_str().parse().expect("a number"));
        }
        numbers
    }

    #[test]
    fn the_oldest_state_is_dropped_first_and_events_last() {
        let outbox = Outbox::default();
        outbox.tell((1..=300).map(|n| made(n, n % 2 == 0)));
        let left = numbers(&outbox);
        assert_eq!(left.len(), 256);
        let expected: Vec<_> = (1..=300).filter(|n| n % 2 == 1 || *n > 88).collect();
        assert_eq!(left, expected);
        assert_eq!(outbox.counts(), (256, 44));
        outbox.tell((1..=300).map(|n| made(n, false)));
        assert_eq!(numbers(&outbox)[0], 45);
    }

    #[test]
    fn large_messages_are_bounded_in_bytes() {
        let outbox = Outbox::default();
        let text: Utf8Bytes = "x".repeat(300_000).into();
        outbox.tell((1..=10).map(|sequence| Made { text: text.clone(), is_state: true, sequence }));
        let mut sent = 0;
        while outbox.next(0) != Next::Wait {
            sent += 1;
        }
        assert_eq!((sent, outbox.counts()), (3, (3, 7)));
    }

    #[test]
    fn a_client_that_acknowledges_is_not_sent_more_than_a_window() {
        let outbox = Outbox::default();
        outbox.tell((1..=10).map(|n| made(n, true)));
        assert_eq!(numbers(&outbox).len(), 10);
        outbox.acknowledged(u64::MAX); // no more than was sent
        outbox.tell((11..=200).map(|n| made(n, true)));
        assert_eq!(numbers(&outbox), (11..=74).collect::<Vec<_>>());
        assert!(outbox.answer("0".into())); // answers pass
        assert_eq!(numbers(&outbox), [0]);
        outbox.acknowledged(20);
        assert_eq!(numbers(&outbox), (75..=84).collect::<Vec<_>>());
        outbox.acknowledged(15); // late, and no step back
        assert_eq!(outbox.next(0), Next::Wait);
        outbox.close(1000, "done"); // what is there goes out before the end
        assert_eq!(numbers(&outbox).len(), 116);
        assert!(matches!(outbox.next(0), Next::Close(frame) if frame.code == 1000));
    }

    #[test]
    fn a_connection_that_was_replaced_gets_nothing_more() {
        let outbox = Outbox::default();
        outbox.answer("1".into());
        outbox.tell([made(2, true)].into_iter());
        outbox.redirect(1);
        assert_eq!(outbox.next(0), Next::Replaced);
        assert_eq!(outbox.next(1), Next::Text("2".into()));
    }

    #[test]
    fn only_the_newest_acknowledgement_is_sent() {
        let outbox = Outbox::default();
        outbox.acknowledge("1".into());
        outbox.acknowledge("2".into());
        outbox.tell([made(9, true)].into_iter());
        assert_eq!(numbers(&outbox), [2, 9]);
        for i in 0..64 {
            assert!(outbox.answer(i.to_string().into()));
        }
        assert!(!outbox.answer("65".into()));
    }
}
