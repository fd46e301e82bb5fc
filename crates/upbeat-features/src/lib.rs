//! Streaming audio features.

#![forbid(unsafe_code)]
