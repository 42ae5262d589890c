//! Looks inside a cell, beside what it scores: routing and gradients while it trains; experts, errors and pictures while it is
//! evaluated. They read what training and evaluation compute anyway, draw nothing, and leave every number of the cell as it is.

mod config;
mod experts;
mod gallery;
mod gradients;
mod look;
mod picture;
mod routing;
mod training;

pub use config::ProbesConfig;
pub use look::Look;
pub use training::TrainingProbes;
