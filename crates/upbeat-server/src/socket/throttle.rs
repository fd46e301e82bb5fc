//! How fast a connection may be read.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::Limits;

/// Two seconds' worth of bytes and messages may come at once; then reading waits, and with it the client.
pub(crate) struct Throttle {
    bytes_per_second: f64,
    messages_per_second: f64,
    /// When all that was read would have come at the highest rate.
    due: Instant,
}

impl Throttle {
    const BURST: Duration = Duration::from_secs(2);

    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            bytes_per_second: limits.bytes_per_second as f64,
            messages_per_second: f64::from(limits.messages_per_second),
            due: Instant::now(),
        }
    }

    /// Counts a message, and says when the next one may be read.
    fn count(&mut self, bytes: usize, now: Instant) -> Instant {
        let seconds = (bytes as f64 / self.bytes_per_second).max(1.0 / self.messages_per_second);
        self.due = self.due.max(now) + Duration::from_secs_f64(seconds);
        self.due.checked_sub(Self::BURST).unwrap_or(now)
    }

    /// Waits until the next message may be read.
    pub(crate) async fn pass(&mut self, bytes: usize) {
        let now = Instant::now();
        let at = self.count(bytes, now);
        if at > now {
            sleep_until(at).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bursts_pass_and_floods_wait() {
        let limits =
            Limits { bytes_per_second: 1000, messages_per_second: 10, ..Limits::default() };
        let mut throttle = Throttle::new(&limits);
        let now = throttle.due;
        for _ in 0..20 {
            assert!(throttle.count(1, now) <= now);
        }
        assert_eq!(throttle.count(1, now), now + Duration::from_millis(100));
        assert_eq!(throttle.count(500, now), now + Duration::from_millis(600));
        // After a rest there is room again.
        let later = now + Duration::from_secs(60);
        assert!(throttle.count(2000, later) <= later);
        assert_eq!(throttle.count(1000, later), later + Duration::from_secs(1));
    }
}
