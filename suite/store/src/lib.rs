//! The store: what one cell (system x backbone x variant x seed) leaves behind, how it is written and how it is read.
//!
//! ```text
//! <out>/run.json                    the plan: every cell of the run, written before the first one starts   run_dir
//! <out>/.lock                       held by the one process that may write here                            lock
//! <out>/<cell>/record.json          the result; there once the cell is done, failed or skipped             record
//! <out>/<cell>/progress.json        how far the cell is                                                    progress
//! <out>/<cell>/history.parquet      losses, learning rates, ... against the step                           history
//! <out>/<cell>/events.out.tfevents.* the history as TensorBoard reads it                                     events
//! <out>/<cell>/predictions/         class scores per image and matched detections (parquet),               predictions,
//!                                   COCO results (JSON)                                                    matches
//! <out>/<cell>/probes/              looks inside the cell: experts, routing, gradients, errors, pictures          probes
//! <out>/<cell>/checkpoints/         owned by whoever trains
//!
//! <stored>/baseline.json, *.parquet the finished cells of a run in few and small files, to be kept under git  baseline
//! ```
//!
//! Architecture invariant: no torch, and no other crate of this workspace. Whoever reads results needs neither libtorch nor
//! the data. Every file appears by atomic rename (`atomic`), so a reader never meets half of one. Event files alone grow while they
//! are read, as TensorBoard wants them; nothing of ours reads them.

mod atomic;
mod baseline;
mod cell_dir;
mod clock;
mod differences;
mod error;
mod events;
mod gates;
mod history;
mod keys;
mod lock;
mod matches;
mod predictions;
mod probes;
mod progress;
mod record;
mod record_file;
mod run_dir;
mod table;

pub use atomic::{write_atomic, write_bytes_atomic};
pub use baseline::{BASELINE_VERSION, Baseline, BaselineCell, Manifest};
pub use cell_dir::{CellDir, cell_dir_name};
pub use clock::{now_rfc3339, now_seconds, rfc3339};
pub use differences::{Difference, differences};
pub use error::{Error, Result};
pub use events::EventWriter;
pub use gates::Gates;
pub use history::{History, HistoryRow};
pub use keys::{canonical_json, cell_key, protocol_key};
pub use lock::{RunLock, is_locked, lock};
pub use matches::{DetectionMatches, MatchedDetection, ObjectCount, read_matches, write_matches};
pub use predictions::{ClassificationPrediction, TOP, read_classification, write_classification};
pub use probes::{
    ClassName, DetectionError, ExpertUse, FeatureSimilarity, GalleryImage, GradientPair, Outlined, PatchLayer, Place,
    Probes, RoutedImage, RoutingChange,
};
pub use progress::{Progress, read_progress, remove_progress, write_progress};
pub use record::{
    CellId, ClassificationMetrics, CocoStats, DataSummary, DetectionMetrics, Environment, Metrics, Record,
    SCHEMA_VERSION, Status, TaskCost, Timing,
};
pub use record_file::{read_record, schema, write_record};
pub use run_dir::{Cell, CellState, PlannedCell, RunDir, RunPlan};
