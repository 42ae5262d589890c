//! Statistics of paired comparisons: how sure a difference is.
//!
//! | room | who lives there |
//! |---|---|
//! | [`mod@bootstrap`] | any statistic of resamples, and what its spread says of a difference |
//! | [`interval`] | t intervals of an estimate with several sources of variance, and what they can detect |
//! | [`mod@mcnemar`] | right and wrong answers of two on the same images |
//! | [`multiple`] | p values of many comparisons |
//! | [`spread`] | mean and standard deviation |
//! | [`student`] | Student's t distribution |
//! | `random` | the generator behind resamples |
//!
//! Invariant: numbers in, numbers out. It may not touch images, detections or files.

pub mod bootstrap;
pub mod interval;
pub mod mcnemar;
pub mod multiple;
mod random;
pub mod spread;
pub mod student;

pub use bootstrap::{BootstrapSummary, bootstrap, summarize};
pub use interval::{Component, TInterval, minimum_detectable_effect, t_interval};
pub use mcnemar::mcnemar;
pub use multiple::benjamini_hochberg;
pub use spread::{mean, standard_deviation};
