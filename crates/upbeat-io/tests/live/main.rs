//! Streams that outlive their devices, on devices driven by hand.

mod faults;
mod latency;
mod machine;
mod outputs;
mod resampler;
mod sources;
mod supervision;
mod support;
