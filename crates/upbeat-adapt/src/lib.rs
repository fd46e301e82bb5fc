//! Models that learn online, from one answer at a time, and say what to play next.
//!
//! [`AdaptiveModels`] is all of it in one piece: it learns what a user likes and how he mixes from his responses, recommends
//! tracks and says why, forecasts features some seconds ahead with error bars that hold, predicts what levels of quality cost on this machine, and
//! keeps all that in one file. Its parts may be used on their own ([`Recommender`], [`UserPreference`],
//! [`MixingStyle`], [`NextFeatures`], [`PerformanceModel`]), and so may the learners they are made of, in [`learn`].
//!
//! What is common to all: one observation at a time, in bounded memory; no clock but the time it is given; no chance but from a seed; numbers
//! that cannot be are refused with an error that says what would do, or count as unknown. None of it is meant for
//! the audio thread.

#![forbid(unsafe_code)]

mod compatibility;
mod error;
mod forecast;
mod key;
pub mod learn;
mod models;
mod performance;
mod persist;
mod preference;
mod recommend;
mod style;
mod track;

pub use compatibility::Compatibility;
pub use error::AdaptError;
pub use forecast::{Forecast, NextFeatures, NextFeaturesConfig};
pub use key::{Camelot, Key, KeyRelation};
pub use models::{AdaptConfig, AdaptiveModels, FeatureForecast, Learning, Moment, Status, Update};
pub use performance::{CostEstimate, PerformanceModel, PerformanceSample};
pub use preference::UserPreference;
pub use recommend::{Reason, Recommendation, Recommender};
pub use style::{MixingStyle, Typical};
pub use track::{Candidate, Context, Feedback, Response, TrackFeatures};
