//! Streams that outlive their devices, on devices driven by hand.

mod faults;
mod machine;
mod resampler;
mod sources;
mod supervision;
mod support;
