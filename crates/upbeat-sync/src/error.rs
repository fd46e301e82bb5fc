use upbeat_core::ConfigError;

/// Why something cannot be sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SyncError {
    /// A setting that cannot work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// No address to send to.
    #[error(
        "{target} is no address to send to ({reason}); give HOST:PORT, for instance 127.0.0.1:9000"
    )]
    Address {
        /// What was given.
        target: String,
        /// What the system says.
        reason: String,
    },
    /// The system refuses a socket, a packet or a thread.
    #[error("the system refuses: {0}")]
    System(#[from] std::io::Error),
    /// There is no such MIDI port.
    #[error("no MIDI output is called {wanted}; there are: {}", list(found))]
    NoPort {
        /// What was asked for.
        wanted: String,
        /// The outputs there are.
        found: Vec<String>,
    },
    /// The MIDI system, or a port, does not work.
    #[error("MIDI does not work here: {reason}")]
    Midi {
        /// What the system says.
        reason: String,
    },
    /// Built without MIDI ports.
    #[error("this program was built without MIDI ports; build it with the feature `midi`")]
    NoMidi,
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".into() } else { names.join(", ") }
}
