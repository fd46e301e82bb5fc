//! What upbeat's crates test themselves with; depends on none of them.
//!
//! - [`signal`]: deterministic test signals, the same on every machine.
//! - [`streaming`]: one harness that holds every stage to the streaming contract.
//! - [`alloc`]: a counting allocator, to prove that a piece of code neither allocates nor frees.
//! - [`beats`]: lists of beats held against a reference.
//! - [`groove`]: drums with human timing, and where their beats are.
//! - [`oracle`]: slow definitions to compare fast code with.

pub mod alloc;
pub mod beats;
pub mod groove;
pub mod oracle;
pub mod signal;
pub mod streaming;
