//! The record of one cell: what was run, on what, with what result, at what cost. The doc comments are the descriptions of the
//! published JSON Schema, so units stand here. Knows no file (see `record_file`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Raised whenever a field changes its meaning or goes away.
pub const SCHEMA_VERSION: u32 = 1;

/// The record of one cell of a run, `record.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Record {
    /// Version of this schema.
    pub schema_version: u32,
    /// How the cell ended.
    pub status: Status,
    /// Why the cell failed or was skipped; null when it is done.
    pub error: Option<String>,
    /// Which cell this is.
    pub cell: CellId,
    /// Hash of the whole resolved config, seed and data fingerprint included: 16 hexadecimal digits. The same cell is never run twice.
    pub cell_key: String,
    /// Hash of `protocol`: 16 hexadecimal digits. Results are comparable when it is equal.
    pub protocol_key: String,
    /// The whole resolved config of the cell.
    pub config: Value,
    /// What must be equal for results to be comparable: data fingerprint, evaluation settings, training budget, task version.
    pub protocol: Value,
    /// The data of each task.
    pub data: Vec<DataSummary>,
    /// What was measured.
    pub metrics: Metrics,
    /// Activated parameters and multiply-adds of each task.
    pub cost: Vec<TaskCost>,
    /// Wall-clock times.
    pub timing: Timing,
    /// Peak resident memory of the process, bytes.
    pub peak_memory_bytes: u64,
    /// Peak memory that libtorch's allocator held on the device, bytes; null on the CPU.
    pub device_peak_memory_bytes: Option<u64>,
    /// The code, libraries and machine that made the record.
    pub environment: Environment,
    /// Start of the cell, RFC 3339 in UTC. A resumed cell keeps its first start.
    pub started_at: String,
    /// End of the cell, RFC 3339 in UTC.
    pub finished_at: String,
}

impl Record {
    /// The version of the suite's numbers that the cell is of; none where its configuration says nothing of it.
    pub fn task_version(&self) -> Option<u64> {
        self.config.get("task_version")?.as_u64()
    }
}

/// How a cell ended. A cell without a record has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Trained and evaluated.
    Done,
    /// Stopped by an error.
    Failed,
    /// Not run, for the reason in `error`.
    Skipped,
}

/// The coordinates of a cell in its suite.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct CellId {
    /// Name of the suite.
    pub suite: String,
    /// Name of the system, e.g. `mtl-vit`.
    pub system: String,
    /// Name of the backbone, e.g. `vit-micro`.
    pub backbone: String,
    /// `base`, or the name of the suite's override.
    pub variant: String,
    /// Seed of everything random.
    pub seed: u64,
}

impl CellId {
    /// The variant of a cell without override.
    pub const BASE: &str = "base";
}

/// The data that a task was trained and evaluated on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DataSummary {
    /// Name of the task: `classification` or `detection`.
    pub task: String,
    /// Hash of the data.
    pub fingerprint: String,
    /// Images of the training split.
    pub train_images: u64,
    /// Images of the validation split.
    pub val_images: u64,
    /// Number of classes.
    pub classes: u64,
    /// Samples left out because they are broken (`on_bad_sample: skip`).
    pub skipped_samples: u64,
}

/// What was measured; null where the cell does not have the task, or did not get there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Metrics {
    /// Classification on the validation split.
    pub classification: Option<ClassificationMetrics>,
    /// Object detection and instance segmentation on the validation split.
    pub detection: Option<DetectionMetrics>,
}

/// Classification accuracy, as fractions from 0 to 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClassificationMetrics {
    /// Fraction of images whose best class is right, 0 to 1.
    pub top1: f64,
    /// Fraction of images whose class is among the best five, 0 to 1.
    pub top5: f64,
    /// Images evaluated.
    pub images: u64,
}

/// Detection results by the COCO protocol.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DetectionMetrics {
    /// Images evaluated.
    pub images: u64,
    /// Boxes.
    pub bbox: CocoStats,
    /// Masks.
    pub segm: CocoStats,
}

/// The 12 numbers of the COCO API, fractions from 0 to 1; -1 where there is no ground truth to measure (as the COCO API has it).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[allow(non_snake_case, reason = "the names of the COCO API, and of `eval coco --json`")]
pub struct CocoStats {
    /// Average precision, mean over IoU 0.50 to 0.95.
    pub AP: f64,
    /// Average precision at IoU 0.50.
    pub AP50: f64,
    /// Average precision at IoU 0.75.
    pub AP75: f64,
    /// Average precision of small objects (area below 32x32 pixels).
    pub APs: f64,
    /// Average precision of medium objects (area from 32x32 to 96x96 pixels).
    pub APm: f64,
    /// Average precision of large objects (area above 96x96 pixels).
    pub APl: f64,
    /// Average recall with 1 detection per image.
    pub AR1: f64,
    /// Average recall with 10 detections per image.
    pub AR10: f64,
    /// Average recall with 100 detections per image.
    pub AR100: f64,
    /// Average recall of small objects.
    pub ARs: f64,
    /// Average recall of medium objects.
    pub ARm: f64,
    /// Average recall of large objects.
    pub ARl: f64,
}

/// What one image of a task costs in one forward pass: the parameters it can touch, and its multiply-adds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaskCost {
    /// Name of the task: `classification` or `detection`.
    pub task: String,
    /// Side of the task's square input, pixels.
    pub resolution: u32,
    /// Experts that each token uses after training, K; null without experts.
    #[serde(default)]
    pub k: Option<u64>,
    /// Activated parameters, head included (a count, not millions).
    pub params_activated: u64,
    /// Activated parameters of the backbone alone.
    pub params_activated_backbone: u64,
    /// All parameters of the model, activated or not.
    pub params_total: u64,
    /// Multiply-adds of convolutions, linear layers, both attention products, routers and K experts, head included (box heads for
    /// every proposal, the mask head for as many detections as evaluation keeps). Null in records of older versions.
    #[serde(default)]
    pub macs: Option<u64>,
    /// Multiply-adds of the backbone alone.
    #[serde(default)]
    pub macs_backbone: Option<u64>,
    /// Floating-point operations: 2 x `macs`.
    #[serde(default)]
    pub flops: Option<u64>,
}

/// Wall-clock times of a cell, summed over all its runs when it was resumed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Timing {
    /// Training, seconds.
    pub train_seconds: f64,
    /// Evaluation, seconds.
    pub evaluate_seconds: f64,
    /// Training throughput over all tasks, images per second.
    pub train_images_per_second: f64,
    /// Evaluation throughput over all tasks, images per second.
    pub evaluate_images_per_second: f64,
    /// Time in which the training step waited for data, seconds (part of `train_seconds`).
    pub data_wait_seconds: f64,
    /// Optimizer steps taken.
    pub steps: u64,
}

/// The code, libraries and machine that made a record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Environment {
    /// Version of adamv-bench.
    pub version: String,
    /// Git commit of the source, with `-dirty` when it had changes; `unknown` outside a repository.
    pub commit: String,
    /// Version of libtorch.
    pub libtorch: String,
    /// Operating system.
    pub os: String,
    /// Processor model.
    pub cpu: String,
    /// CPU threads that libtorch used.
    pub threads: u64,
    /// Device of the model, e.g. `cpu` or `cuda:0 (NVIDIA H100)`.
    pub device: String,
    /// Arithmetic of training: `f32` or `bf16`.
    pub precision: String,
    /// Whether only deterministic operations were allowed.
    pub deterministic: bool,
}
