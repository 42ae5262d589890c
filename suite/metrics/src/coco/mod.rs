//! COCO evaluation: ground truth, detections, their checks, and the twelve numbers.
//!
//! | room | who lives there |
//! |---|---|
//! | [`detection`] | one detection, as in a COCO results file |
//! | [`ground_truth`] | an instances file, checked |
//! | [`read`] | a results file: every entry checked, errors that name it |
//! | [`check`] | detections in memory: the same checks |
//! | [`evaluator`] | the trait, and hotcoco behind it |
//! | [`stats`] | the twelve numbers and their table |
//! | [`mod@matches`] | what the matching found in each image |
//! | [`precision`] | AP of a resample of images |
//! | [`error`] | what can be wrong, where, and the mend |
//!
//! Invariant: only [`evaluator`], [`ground_truth`] and the mask code know hotcoco. hotcoco takes an
//! unknown image id, a missing or an infinite score and a mask of the wrong size without a word,
//! so nothing reaches it unchecked.

pub mod check;
pub mod detection;
pub mod error;
pub mod evaluator;
pub mod ground_truth;
pub mod matches;
mod non_finite;
pub mod precision;
pub mod read;
pub mod stats;

pub use check::validate;
pub use detection::{Detection, IouType};
pub use error::{EntryProblem, EvalError};
pub use evaluator::{CocoEvaluator, Diagnosis, ERRORS, ErrorShare, Hotcoco};
pub use ground_truth::GroundTruth;
pub use matches::{MatchedDetection, Matches, ObjectCount, THRESHOLDS};
pub use precision::{ApResampler, AveragePrecision};
pub use read::read_detections;
pub use stats::{CocoStats, format_table};
