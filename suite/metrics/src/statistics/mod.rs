//! Statistics of paired comparisons. Numbers in, numbers out; knows nothing of images, systems or files.
//!
//! | room | who lives there |
//! |---|---|
//! | [`bootstrap`] | resampling with replacement, and what its differences say |
//! | [`mcnemar`] | the exact test of two classifiers on the same images |
//! | [`multiple`] | many tests at once |
//! | [`interval`] | an estimate with several sources of error, and what could be found |

pub mod bootstrap;
pub mod interval;
pub mod mcnemar;
pub mod multiple;

pub use bootstrap::{BootstrapSummary, bootstrap, summarize};
pub use interval::{Component, TInterval, minimum_detectable_effect, t_interval};
pub use mcnemar::mcnemar;
pub use multiple::benjamini_hochberg;
