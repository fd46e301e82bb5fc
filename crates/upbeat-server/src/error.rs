use std::io;
use std::net::SocketAddr;

/// What can keep the server from starting or make it end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting that cannot work.
    #[error("{setting} must be {requirement}, got {got}")]
    Setting {
        /// The setting's name.
        setting: &'static str,
        /// What would do.
        requirement: &'static str,
        /// What was given.
        got: String,
    },
    /// The server would be open to the network without a token.
    #[error(
        "{address} can be reached from other machines, so a token is needed: give one with --token or UPBEAT_TOKEN, \
         or bind to 127.0.0.1"
    )]
    TokenRequired {
        /// The address asked for.
        address: SocketAddr,
    },
    /// The address cannot be bound.
    #[error("cannot listen on {address}: {source}; choose another one with --address")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The system refuses a thread, a socket or randomness.
    #[error("the system refuses: {0}")]
    System(#[from] io::Error),
}
