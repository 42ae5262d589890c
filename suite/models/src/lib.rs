//! Backbones, heads and the systems that are compared. May not know of files other than weights, of training, or of
//! records.
//!
//! Axis alphabet: B images, N tokens, D width, H heads, E experts, K selected experts, L layers, P proposals, G ground
//! truths, C classes or channels, Y X rows and columns.
//!
//! Forward passes call tch's panicking operations. Every shape follows from a configuration that was validated, so a
//! panic there is a bug or a device out of memory; the engine turns it into an error of the cell.

pub mod config;
pub mod cost;
pub mod detection;
mod error;
pub mod layers;
pub mod moe;
pub mod params;
pub mod systems;
pub mod taps;
pub mod vit;
pub mod weights;

pub use error::ModelError;
