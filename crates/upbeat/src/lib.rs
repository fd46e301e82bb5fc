//! Real-time audio analysis.

#![forbid(unsafe_code)]
