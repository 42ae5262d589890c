//! Files to samples to batches: ImageNet folders, COCO files and built-in scenes.
//!
//! Knows nothing of tensors, models or training: batches are plain vectors. Everything random here is a pure function
//! of (seed, stream, epoch, index), so the same configuration gives the same bytes on any number of threads.
//!
//! Axis alphabet used in every shape: B images, G ground truths, C classes or channels, Y X rows and columns, M mask
//! side. Boxes are `x1 y1 x2 y2` in pixels unless a doc comment says `x y w h` (COCO's own order).

pub mod augment;
pub mod batch;
pub mod check;
pub mod coco;
pub mod config;
pub mod draw;
pub mod error;
mod fingerprint;
pub mod image;
pub mod imagenet;
mod layout;
pub mod loader;
pub mod mask;
pub mod order;
pub mod pack;
mod place;
pub mod rng;
mod samples;
pub mod scenes;
mod shards;
pub mod sheet;
pub mod stats;
pub mod task;

pub use batch::{ClassificationBatch, DetectionBatch};
pub use check::{CheckReport, check};
pub use coco::{DetectionDataset, Object};
pub use config::{
    ClassificationOptions, CocoPaths, CutMixBox, DataConfig, DetectionOptions, ImagenetPaths, OnBadSample,
    RandAugmentOptions, ScenesConfig, Sprites,
};
pub use error::{Error, Problem};
pub use image::Image;
pub use imagenet::ClassificationDataset;
pub use loader::{BatchSource, Loader};
pub use mask::{MaskError, Rle};
pub use order::Pick;
pub use pack::{PackOptions, PackReport, pack};
pub use scenes::ScenesPaths;
pub use sheet::{ShowOptions, show};
pub use stats::{Stats, stats};
pub use task::{Split, Task};
