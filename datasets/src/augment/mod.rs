//! Images into samples: crop, resize, flip, normalise, and the geometry of boxes and masks. Reads no files; randomness
//! comes from the key (seed, epoch, index) alone.

pub mod classification;
pub mod detection;
mod pixels;

pub use pixels::{resize, resize_box, write_normalised};
