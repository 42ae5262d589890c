//! What a cell is: its data, model, training and evaluation. Every default lives here, on its field.

use adamv_datasets::{DataConfig, Task};
use adamv_models::config::ModelConfig;
use serde::{Deserialize, Serialize};

use crate::aes::AesConfig;
use crate::error::EngineError;
use crate::probes::ProbesConfig;

/// Arithmetic of the forward and backward pass; weights and optimizer state are always f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    F32,
    Bf16,
}

/// Images per step (training) or per forward pass (evaluation), by task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BatchSizes {
    pub classification: usize,
    pub detection: usize,
}

impl Default for BatchSizes {
    fn default() -> Self {
        Self { classification: 1024, detection: 128 }
    }
}

impl BatchSizes {
    /// The batch size of one task.
    pub fn of(&self, task: Task) -> usize {
        match task {
            Task::Classification => self.classification,
            Task::Detection => self.detection,
        }
    }
}

/// Length, learning rate and weight decay of a phase of training (paper.md section 5).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScheduleConfig {
    /// Optimizer steps.
    pub steps: u64,
    /// Peak of the learning rate; it rises linearly for `warmup` steps, then falls to 0 along a cosine.
    pub learning_rate: f64,
    pub warmup: u64,
    /// Decoupled weight decay; norms, biases and embeddings have none unless `decay_all` says so.
    pub weight_decay: f64,
    pub batch: BatchSizes,
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self { steps: 200_000, learning_rate: 3e-3, warmup: 10_000, weight_decay: 5e-4, batch: BatchSizes::default() }
    }
}

/// How a cell is trained. Which of the four schedules a phase follows depends on its stage and on the tasks it trains.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainingConfig {
    /// Classification of systems that train each task by itself.
    pub classification: ScheduleConfig,
    /// Detection of systems that train each task by itself.
    pub detection: ScheduleConfig,
    /// Both tasks, one batch of each a step.
    pub joint: ScheduleConfig,
    /// Classification alone before both tasks, in systems of two stages.
    pub first_stage: ScheduleConfig,
    /// Whether systems whose tasks share weights train classification alone before both tasks. In a suite, cells of `taps`,
    /// `mtl-moe` and `adamv-moe` do unless they say otherwise (paper.md section 5).
    pub two_stages: bool,
    pub precision: Precision,
    /// Only deterministic kernels: the same config and seed give the same weights on the same machine.
    pub deterministic: bool,
    pub beta1: f64,
    pub beta2: f64,
    pub eps: f64,
    /// Whether norms, biases, embeddings and the scores of TAPS decay too. They do in the released code, whose AdamW has no mask
    /// (`moe_mtl/main/trainer_utils.py`).
    pub decay_all: bool,
    /// Largest norm of the whole gradient; 0 switches clipping off.
    pub clip_norm: f64,
    /// Decay of the exponential moving average of the weights, which evaluation uses; 0 switches it off.
    pub ema_decay: f64,
    pub label_smoothing: f64,
    /// Adaptive expert selection in the phases that train both tasks; null for none. In a suite, cells of `adamv-moe` have
    /// it unless they say `mode: off`.
    pub aes: Option<AesConfig>,
    /// Factor on each task's loss, the terms that balance experts included.
    pub loss_weights: LossWeights,
    /// Steps between two rows of the history.
    pub log_every: u64,
    /// Steps between two checkpoints.
    pub checkpoint_every: u64,
}

impl Default for TrainingConfig {
    fn default() -> Self {
        let classification =
            ScheduleConfig { steps: 300_000, warmup: 20_000, weight_decay: 6e-3, ..ScheduleConfig::default() };
        Self {
            first_stage: classification.clone(),
            two_stages: false,
            classification,
            detection: ScheduleConfig {
                warmup: 2_000,
                weight_decay: 1e-4,
                batch: BatchSizes { detection: 256, ..BatchSizes::default() },
                ..ScheduleConfig::default()
            },
            joint: ScheduleConfig::default(),
            precision: Precision::F32,
            deterministic: true,
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            decay_all: false,
            clip_norm: 1.0,
            ema_decay: 0.9,
            label_smoothing: 0.0,
            aes: None,
            loss_weights: LossWeights::default(),
            log_every: 10,
            checkpoint_every: 1_000,
        }
    }
}

/// Factor on each task's loss.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LossWeights {
    pub classification: f64,
    pub detection: f64,
}

impl Default for LossWeights {
    fn default() -> Self {
        Self { classification: 1.0, detection: 1.0 }
    }
}

/// How a cell is evaluated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EvaluationConfig {
    pub batch: BatchSizes,
    /// Only detections of a higher score are kept.
    pub score_threshold: f64,
    /// IoU over which the lower-scored detection of the same class is suppressed.
    pub nms: f64,
    /// Detections kept per image.
    pub detections: usize,
    /// Only the first so many images of each task's validation split, in its order; null for all. For trying out what takes
    /// long, not for results: the first images of ImageNet are one class.
    pub images: Option<usize>,
}

impl Default for EvaluationConfig {
    fn default() -> Self {
        Self {
            batch: BatchSizes { classification: 64, detection: 8 },
            score_threshold: 0.05,
            nms: 0.5,
            detections: 100,
            images: None,
        }
    }
}

/// One cell of a suite, fully resolved: everything it does is a function of this.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CellConfig {
    pub suite: String,
    /// Raised by hand when the meaning of a suite's numbers changes; part of the protocol.
    pub task_version: u32,
    pub system: String,
    pub backbone: String,
    /// Name of the overrides that the suite's matrix applied, or `base`.
    pub variant: String,
    pub seed: u64,
    pub data: DataConfig,
    pub model: ModelConfig,
    pub training: TrainingConfig,
    pub evaluation: EvaluationConfig,
    #[serde(default)]
    pub probes: ProbesConfig,
}

impl CellConfig {
    /// Checks the whole configuration before anything is read or trained; the error names key, value and range.
    pub fn validate(&self) -> Result<(), EngineError> {
        self.data.validate()?;
        let model = adamv_models::systems::resolve(&self.system, &self.model)?;
        self.training.validate()?;
        if let Some(aes) = self.training.aes.as_ref().filter(|aes| !aes.is_off()) {
            let none = format!("null: {} has no experts", self.system);
            check(model.backbone.moe.is_some(), "training.aes", "a value", &none)?;
            aes.validate(self.training.joint.steps, self.training.joint.warmup)?;
        }
        self.evaluation.validate()?;
        self.probes.validate()
    }

    /// How `system` is trained where nothing is said of it.
    pub fn default_training(system: &str) -> Result<TrainingConfig, EngineError> {
        let entry = adamv_models::systems::entry(system)?;
        let aes = entry.adaptive.then(AesConfig::default);
        Ok(TrainingConfig { aes, two_stages: entry.two_stages, ..TrainingConfig::default() })
    }
}

pub(crate) fn check(ok: bool, key: &str, value: impl ToString, range: &str) -> Result<(), EngineError> {
    if ok {
        return Ok(());
    }
    Err(EngineError::Config { key: key.into(), value: value.to_string(), range: range.into() })
}

impl BatchSizes {
    fn validate(&self, key: &str) -> Result<(), EngineError> {
        for task in Task::ALL {
            let size = self.of(task);
            check((1..=1 << 20).contains(&size), &format!("{key}.{task}"), size, "a whole number from 1 to 1048576")?;
        }
        Ok(())
    }
}

impl TrainingConfig {
    fn validate(&self) -> Result<(), EngineError> {
        for (name, schedule) in [
            ("classification", &self.classification),
            ("detection", &self.detection),
            ("joint", &self.joint),
            ("first_stage", &self.first_stage),
        ] {
            let key = |field: &str| format!("training.{name}.{field}");
            check(schedule.steps > 0, &key("steps"), schedule.steps, "1 or more")?;
            check(
                schedule.warmup <= schedule.steps,
                &key("warmup"),
                schedule.warmup,
                &format!("at most steps ({})", schedule.steps),
            )?;
            let lr = schedule.learning_rate;
            check(lr.is_finite() && lr >= 0.0, &key("learning_rate"), lr, "0 or more")?;
            let decay = schedule.weight_decay;
            check(decay.is_finite() && decay >= 0.0, &key("weight_decay"), decay, "0 or more")?;
            schedule.batch.validate(&key("batch"))?;
        }
        for (name, beta) in [("beta1", self.beta1), ("beta2", self.beta2), ("ema_decay", self.ema_decay)] {
            check((0.0..1.0).contains(&beta), &format!("training.{name}"), beta, "0 or more and less than 1")?;
        }
        check(self.eps > 0.0 && self.eps.is_finite(), "training.eps", self.eps, "more than 0")?;
        check(self.clip_norm >= 0.0 && self.clip_norm.is_finite(), "training.clip_norm", self.clip_norm, "0 or more")?;
        check(
            (0.0..1.0).contains(&self.label_smoothing),
            "training.label_smoothing",
            self.label_smoothing,
            "0 or more and less than 1",
        )?;
        for (name, weight) in
            [("classification", self.loss_weights.classification), ("detection", self.loss_weights.detection)]
        {
            check(weight >= 0.0 && weight.is_finite(), &format!("training.loss_weights.{name}"), weight, "0 or more")?;
        }
        check(self.log_every > 0, "training.log_every", self.log_every, "1 or more")?;
        check(self.checkpoint_every > 0, "training.checkpoint_every", self.checkpoint_every, "1 or more")
    }
}

impl EvaluationConfig {
    /// Checks every value; the error names key, value and range.
    pub fn validate(&self) -> Result<(), EngineError> {
        self.batch.validate("evaluation.batch")?;
        for (name, value) in [("score_threshold", self.score_threshold), ("nms", self.nms)] {
            check((0.0..=1.0).contains(&value), &format!("evaluation.{name}"), value, "0 to 1")?;
        }
        let images = self.images.unwrap_or(1);
        check(images > 0, "evaluation.images", images, "1 or more, or null for all")?;
        check((1..=10_000).contains(&self.detections), "evaluation.detections", self.detections, "1 to 10000")
    }
}
