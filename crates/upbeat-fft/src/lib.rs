//! The FFT plans of the upbeat crates, compiled once.
//!
//! `realfft` is generic over the number type, so that every crate that plans a transform compiles all of
//! its algorithms anew: 37 s of a core each at `opt-level = 1`, and slow ones. The functions here are not
//! generic; the transforms are compiled with this crate, optimized in every profile of the workspace.
//!
//! ```
//! let plan = upbeat_fft::plan_forward(4);
//! let (mut input, mut output) = (plan.make_input_vec(), plan.make_output_vec());
//! input.copy_from_slice(&[1.0, 0.0, -1.0, 0.0]);
//! plan.process(&mut input, &mut output).expect("the buffers were made for this plan");
//! assert_eq!(output[1], upbeat_fft::Complex::new(2.0, 0.0));
//! ```

#![forbid(unsafe_code)]

use std::sync::Arc;

use realfft::RealFftPlanner;

pub use realfft::num_complex::Complex;
pub use realfft::{ComplexToReal, RealToComplex};

/// A plan for spectra of `length` real samples: `length / 2 + 1` bins, not scaled.
#[must_use]
pub fn plan_forward(length: usize) -> Arc<dyn RealToComplex<f32>> {
    RealFftPlanner::new().plan_fft_forward(length)
}

/// A plan for `length` real samples of a spectrum; forward and inverse scale by `length`.
#[must_use]
pub fn plan_inverse(length: usize) -> Arc<dyn ComplexToReal<f32>> {
    RealFftPlanner::new().plan_fft_inverse(length)
}

/// [`plan_forward`] in double precision.
#[must_use]
pub fn plan_forward_f64(length: usize) -> Arc<dyn RealToComplex<f64>> {
    RealFftPlanner::new().plan_fft_forward(length)
}
