//! Small streaming neural networks in plain Rust.
//!
//! A [`Network`] takes one frame of numbers and gives one: dense layers, causal convolutions over past
//! frames, and GRUs, each with its own memory. It is read from a `safetensors` file that also says which
//! layers it is made of, and allocates nothing once it is made, so that it may run on an audio thread.
//! [`Model`] is what networks of any origin have in common. A [`Worker`] runs one that allocates, or that is
//! slow, on a thread of its own, so that the audio thread never waits for it.
//!
//! # Cargo features
//!
//! Both are off by default; both read `.onnx` files, and hold what they compute to what [`Network`] does.
//!
//! - `onnx`: `OnnxModel`, through the crate `tract-onnx`. Takes minutes to build, and a C compiler for its assembly.
//! - `ort`: `OrtModel`, through ONNX Runtime, a library that is looked for at run time; on graphics processors where
//!   that can.
//!
//! ```
//! use upbeat_nn::{Activation, CausalConv, Dense, Layer, Model, Network};
//!
//! // The mean of this frame and the one before, doubled, if that is positive.
//! let mean = CausalConv::new(1, 1, 2, 1, &[0.5, 0.5], &[0.0])?;
//! let double = Dense::new(1, 1, &[2.0], &[0.0])?;
//! let mut network = Network::new(vec![
//!     (Layer::CausalConv(mean), Activation::None),
//!     (Layer::Dense(double), Activation::Relu),
//! ])?;
//!
//! let mut output = [0.0];
//! network.run(&[3.0], &mut output)?;
//! assert_eq!(output, [3.0]); // before the first frame there were zeros
//! network.run(&[1.0], &mut output)?;
//! assert_eq!(output, [4.0]);
//! # Ok::<(), upbeat_nn::ModelError>(())
//! ```

#![forbid(unsafe_code)]

mod activation;
mod conv;
mod dense;
mod error;
mod gru;
mod linear;
mod network;
#[cfg(feature = "onnx")]
mod onnx;
#[cfg(feature = "ort")]
mod ort;
#[cfg(any(feature = "onnx", feature = "ort"))]
mod ports;
mod weights;
mod worker;

pub use activation::Activation;
pub use conv::{CausalConv, DepthwiseConv};
pub use dense::Dense;
pub use error::ModelError;
pub use gru::Gru;
pub use network::{Layer, Network};
#[cfg(feature = "onnx")]
pub use onnx::OnnxModel;
#[cfg(feature = "ort")]
pub use ort::{OrtConfig, OrtModel, Provider};
pub use weights::Weights;
pub use worker::{Worker, WorkerPort};

/// What takes one frame of numbers after the other, and gives one for each.
///
/// Outputs depend on this frame and on earlier ones since [`reset`](Self::reset), never on later ones.
/// Implementations in plain Rust neither allocate nor fail in use; one that does runs on a [`Worker`]'s thread.
pub trait Model {
    /// Numbers per frame taken.
    fn input_length(&self) -> usize;

    /// Numbers per frame given.
    fn output_length(&self) -> usize;

    /// Takes `input`, the next frame, and writes what it makes of it to `output`.
    ///
    /// # Errors
    ///
    /// If the library behind it fails; [`Network`] never does.
    ///
    /// # Panics
    ///
    /// If `input` or `output` has another length than stated.
    fn run(&mut self, input: &[f32], output: &mut [f32]) -> Result<(), ModelError>;

    /// Forgets all earlier frames.
    fn reset(&mut self);
}
