/// What can go wrong in this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PerfError {
    /// A setting that cannot work.
    #[error(transparent)]
    Config(#[from] upbeat_core::ConfigError),
    /// The system did not grant the scheduling asked for.
    #[error(
        "{class} scheduling was refused (system error {code}); on Linux it takes CAP_SYS_NICE or an rtprio limit \
         (/etc/security/limits.d), elsewhere the user's permission; audio goes on without it, with less margin"
    )]
    PriorityRefused {
        /// What was asked for.
        class: crate::ThreadClass,
        /// The error code of the operating system.
        code: i32,
    },
    /// Threads of this system have no such class.
    #[error("{class} scheduling is not known on this system ({why}); audio goes on without it")]
    PriorityUnsupported {
        /// What was asked for.
        class: crate::ThreadClass,
        /// What is missing.
        why: String,
    },
    /// The monitor's thread could not be started.
    #[error("the thread of the system monitor could not be started: {0}")]
    Thread(#[source] std::io::Error),
}
