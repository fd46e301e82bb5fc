//! What a spectrum looks like: where its centre lies, how wide, how flat, how peaky, how changing.

mod contrast;
mod flux;
mod shape;

pub use contrast::{ContrastScale, SpectralContrast, SpectralContrastConfig};
pub use flux::{Changes, FluxNorm, SpectralFlux, SpectralFluxConfig};
pub use shape::{
    Shape, SpectralBandwidth, SpectralCentroid, SpectralEntropy, SpectralFlatness,
    SpectralKurtosis, SpectralRolloff, SpectralShape, SpectralShapeConfig, SpectralSkewness,
    SpectralSlope,
};
