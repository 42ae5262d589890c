//! TAPS: an MLP whose weights each task may move by a delta of its own, where a score says that it is worth it (Wallingford et
//! al., CVPR 2022; paper.md section 7). Knows weights and scores, not how they are trained.
//!
//! A *layer* is one linear layer of an MLP: a backbone of depth L has 2L of them.

pub mod config;
pub mod indicators;
pub mod layer;

pub use config::{Frozen, Taps, TapsConfig, TapsSettings};
pub use indicators::Indicators;
pub use layer::{AdaptedLinear, AdaptedMlp, Delta};
