//! Images into samples: crop, resize, flip, recolour, normalise, mix, and the geometry of boxes and masks. Reads no
//! files; randomness comes from the key (seed, epoch, index) alone.

pub mod classification;
pub mod detection;
pub mod mix;
pub mod operations;
mod pixels;
pub mod randaugment;

pub use pixels::{mirror, resize, resize_box, write_normalised};
