//! The detector: (cascade) Mask R-CNN on one feature map (paper.md section 6).
//!
//! Everything works on a whole batch with fixed shapes: ground truth is padded, selections are `topk` with a mask of
//! what is real, so that a training step has no loop over images.
//!
//! Axes: B images, A anchors, P proposals or RoIs, G ground truths, C classes or channels, Y X rows and columns.
//! Boxes are x1 y1 x2 y2 in pixels of the model's input, f32. Class 0 is background, class c + 1 is label c.

pub mod anchors;
pub mod boxes;
pub mod detector;
pub mod mask_head;
pub mod nms;
pub mod norm;
pub mod pyramid;
pub mod results;
pub mod roi_align;
pub mod roi_head;
pub mod rpn;
pub mod sampling;

pub use detector::{Detector, Losses, Targets};
pub use results::{Detections, Limits};
