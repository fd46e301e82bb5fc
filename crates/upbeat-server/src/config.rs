//! What the server may do, and for whom.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use upbeat::perf::QualityLevel;

use crate::Error;

/// Settings of a [`Server`](crate::Server).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// Where to listen. Default: 127.0.0.1:8000. Port 0 is any free port.
    pub address: SocketAddr,
    /// What clients must know, as `Authorization: Bearer …` or `?token=…`; at least 16 characters. Default: none,
    /// which is accepted on loopback addresses only.
    pub token: Option<String>,
    /// Origins of other sites whose pages may connect, as `https://example.org`. Pages that the server itself
    /// hands out always may. Default: none.
    pub origins: Vec<String>,
    /// Threads that analyse, 1 to 256. Default: `None`, as many as there are processors.
    pub threads: Option<usize>,
    /// How much is computed. Default: `None`, as much as can be done in real time: where live streams ask for more
    /// than the threads can do, less is computed for all, and restored when there is room.
    pub level: Option<QualityLevel>,
    /// What one client, and all together, may use.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 8000)),
            token: None,
            origins: Vec::new(),
            threads: None,
            level: None,
            limits: Limits::default(),
        }
    }
}

impl Config {
    /// Whether the settings can work.
    ///
    /// # Errors
    ///
    /// If one cannot; the error names it and says what would do.
    pub fn check(&self) -> Result<(), Error> {
        if let Some(token) = &self.token {
            let long = token.len() >= 16 && token.bytes().all(|b| b.is_ascii_graphic());
            require(
                long,
                "token",
                "at least 16 printable ASCII characters",
                "a shorter or other one",
            )?;
        } else if !self.address.ip().is_loopback() {
            return Err(Error::TokenRequired { address: self.address });
        }
        for origin in &self.origins {
            let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
            let sound = host.is_some_and(|host| !host.is_empty() && !host.contains('/'));
            require(sound, "origin", "like https://example.org, without a path", origin.as_str())?;
        }
        if let Some(threads) = self.threads {
            require((1..=256).contains(&threads), "threads", "from 1 to 256", threads.to_string())?;
        }
        self.limits.check()
    }
}

/// What clients may use. What goes beyond is refused, slowed down or dropped, and the client is told.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// Connections at once; further ones wait until one closes. Default: 1024.
    pub connections: usize,
    /// Streams at once, resumable ones included. Default: 256.
    pub streams: usize,
    /// Uploads at once. Default: 4.
    pub uploads: usize,
    /// Bytes of one WebSocket message, 1 KiB to 64 MiB. Default: 1 MiB.
    pub message: usize,
    /// Bytes per second that one connection may send; beyond, it is read more slowly. Default: 8 MiB.
    pub bytes_per_second: usize,
    /// Messages per second that one connection may send; beyond, it is read more slowly. Default: 1000.
    pub messages_per_second: u32,
    /// Audio of one stream that waits for analysis; beyond, the oldest is dropped. 0.1 to 60 s. Default: 2 s.
    pub buffer: Duration,
    /// How long a connection may be silent. At least 1 s. Default: 30 s.
    pub idle: Duration,
    /// How long a stream whose connection is gone waits to be resumed. Default: 30 s.
    pub resume: Duration,
    /// How long a stream may last. Default: 24 h.
    pub duration: Duration,
    /// Bytes of one upload. Default: 200 MiB.
    pub upload: u64,
    /// Sound in one upload. Default: 2 h.
    pub upload_duration: Duration,
}

impl Limits {
    /// The lowest and the highest sample rate, in Hz.
    pub const SAMPLE_RATES: std::ops::RangeInclusive<u32> = 8000..=192_000;
    /// The most interleaved channels of a stream.
    pub const CHANNELS: usize = 8;
    /// The fewest and the most analyses per second.
    pub const RATES: std::ops::RangeInclusive<f32> = 1.0..=100.0;

    fn check(&self) -> Result<(), Error> {
        let message = (1 << 10..=64 << 20).contains(&self.message);
        require(message, "limits.message", "from 1 KiB to 64 MiB", self.message.to_string())?;
        let bytes = self.bytes_per_second >= 1 << 10;
        require(
            bytes,
            "limits.bytes_per_second",
            "at least 1024",
            self.bytes_per_second.to_string(),
        )?;
        let messages = self.messages_per_second >= 1;
        require(
            messages,
            "limits.messages_per_second",
            "at least 1",
            self.messages_per_second.to_string(),
        )?;
        require(
            self.connections >= 1,
            "limits.connections",
            "at least 1",
            self.connections.to_string(),
        )?;
        let buffer = (0.1..=60.0).contains(&self.buffer.as_secs_f64());
        require(buffer, "limits.buffer", "from 0.1 to 60 s", format!("{:?}", self.buffer))?;
        let idle = self.idle >= Duration::from_secs(1);
        require(idle, "limits.idle", "at least 1 s", format!("{:?}", self.idle))
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            streams: 256,
            uploads: 4,
            message: 1 << 20,
            bytes_per_second: 8 << 20,
            messages_per_second: 1000,
            buffer: Duration::from_secs(2),
            idle: Duration::from_secs(30),
            resume: Duration::from_secs(30),
            duration: Duration::from_secs(24 * 3600),
            upload: 200 << 20,
            upload_duration: Duration::from_secs(2 * 3600),
        }
    }
}

/// What was given, for a message.
struct Got(String);

impl From<&str> for Got {
    fn from(got: &str) -> Self {
        Self(got.to_owned())
    }
}

impl From<String> for Got {
    fn from(got: String) -> Self {
        Self(got)
    }
}

fn require(
    sound: bool,
    setting: &'static str,
    requirement: &'static str,
    got: impl Into<Got>,
) -> Result<(), Error> {
    if sound { Ok(()) } else { Err(Error::Setting { setting, requirement, got: got.into().0 }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_machines_need_a_token() {
        let mut config = Config { address: "0.0.0.0:0".parse().unwrap(), ..Config::default() };
        assert!(matches!(config.check(), Err(Error::TokenRequired { .. })));
        config.token = Some("short".into());
        assert!(config.check().unwrap_err().to_string().contains("token must be at least 16"));
        config.token = Some("long enough it is".into()); // spaces cannot stand in a header's token
        assert!(config.check().is_err());
        config.token = Some("long-enough-it-is".into());
        config.check().unwrap();
        assert!(Config::default().check().is_ok());
        let v6 = Config { address: "[::1]:0".parse().unwrap(), ..Config::default() };
        assert!(v6.check().is_ok());
    }

    #[test]
    fn settings_that_cannot_work_are_named() {
        let limits = |change: fn(&mut Limits)| {
            let mut config = Config::default();
            change(&mut config.limits);
            config.check().unwrap_err().to_string()
        };
        assert!(limits(|l| l.message = 0).contains("limits.message must be from 1 KiB"));
        assert!(limits(|l| l.buffer = Duration::from_secs(3600)).contains("60 s, got 3600s"));
        assert!(limits(|l| l.idle = Duration::ZERO).contains("limits.idle"));
        for origin in ["example.org", "https://", "https://example.org/"] {
            let config = Config { origins: vec![origin.into()], ..Config::default() };
            assert!(config.check().unwrap_err().to_string().contains("https://example.org"));
        }
    }
}
