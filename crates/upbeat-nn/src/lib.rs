//! Small streaming neural networks in plain Rust.
//!
//! A [`Network`] takes one frame of numbers and gives one: dense layers, causal convolutions over past
//! frames, and GRUs, each with its own memory. It is read from a `safetensors` file that also says which
//! layers it is made of, and allocates nothing once it is made, so that it may run on an audio thread.
//! [`Model`] is what networks of any origin have in common.
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
mod weights;

pub use activation::Activation;
pub use conv::{CausalConv, DepthwiseConv};
pub use dense::Dense;
pub use error::ModelError;
pub use gru::Gru;
pub use network::{Layer, Network};
pub use weights::Weights;

/// What takes one frame of numbers after the other, and gives one for each.
///
/// Outputs depend on this frame and on earlier ones since [`reset`](Self::reset), never on later ones.
/// Implementations in plain Rust neither allocate nor fail in use; one that does runs on a worker thread.
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
