//! Audio sources.

#![forbid(unsafe_code)]
