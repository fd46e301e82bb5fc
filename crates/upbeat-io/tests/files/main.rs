//! Sound files: of all formats, damaged, lying, and written.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod damage;
mod formats;
mod support;
mod wav;
