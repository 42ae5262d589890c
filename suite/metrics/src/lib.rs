//! What a prediction is worth: accuracy, COCO evaluation, masks as RLE; and how sure a difference is.
//!
//! Rooms:
//! - [`mod@accuracy`]: top-1 and top-5 of classification.
//! - [`coco`]: COCO ground truth and detections, their checks, the twelve numbers, and AP of a resample
//!   of images.
//! - [`mask`]: a dense mask as a COCO RLE string and back.
//! - [`outline`]: a dense mask as outlines to draw.
//! - [`paste`]: a predicted M x M mask put into its image, directly as RLE.
//! - [`statistics`]: bootstrap, tests and intervals of paired comparisons.
//!
//! Invariant: this crate knows files and plain slices. It may not touch torch, models, the
//! store, or any other crate of this workspace.
//!
//! Axes: B images, P proposals (here: detections), G ground truths, C classes, Y X rows and columns.

pub mod accuracy;
pub mod coco;
pub mod mask;
pub mod outline;
pub mod paste;
pub mod statistics;

pub use accuracy::{Accuracy, AccuracyError, ClassPrediction, accuracy};
pub use coco::{
    ApResampler, AveragePrecision, CocoEvaluator, CocoStats, Detection, Diagnosis, EntryProblem, ErrorShare, EvalError,
    GroundTruth, Hotcoco, IouType, MatchedDetection, Matches, ObjectCount, THRESHOLDS, format_table, read_detections,
    validate,
};
pub use mask::{MaskError, RleString};
pub use outline::outlines;
pub use paste::paste_mask;
pub use statistics::{
    BootstrapSummary, Component, TInterval, benjamini_hochberg, bootstrap, mcnemar, mean, minimum_detectable_effect,
    standard_deviation, summarize, t_interval,
};
