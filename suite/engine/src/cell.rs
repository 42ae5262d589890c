//! The life of a cell: read data, build the model, train, evaluate, record.

use std::path::Path;
use std::time::Instant;

use adamv_datasets::coco::instances_json;
use adamv_datasets::scenes::FashionMnist;
use adamv_datasets::{Split, Sprites, Task};
use adamv_metrics::{CocoEvaluator, GroundTruth, Hotcoco, IouType};
use adamv_models::config::InputsConfig;
use adamv_models::cost::Cost;
use adamv_models::systems::{self, System};
use adamv_store::{
    CellDir, CellId, EventWriter, Metrics, Probes, Record, SCHEMA_VERSION, Status, TaskCost, Timing, cell_key,
    now_rfc3339, now_seconds, protocol_key,
};
use serde_json::{Value, json};
use tch::Device;

use crate::checkpoint::{Checkpoints, Position};
use crate::config::CellConfig;
use crate::data::{self, CellData, ClassNames};
use crate::environment;
use crate::error::{EngineError, guarded};
use crate::evaluate::Evaluator;
use crate::probes::Look;
use crate::progress::Progress;
use crate::train::Trainer;

/// Where and as what a cell runs.
pub struct Context<'a> {
    /// The cell's own folder.
    pub cell_dir: &'a Path,
    /// Where built-in data is made; cells of a run share it.
    pub data_dir: &'a Path,
    pub device: Device,
    /// Version of the program and commit of its source, for the record.
    pub version: &'a str,
    pub commit: &'a str,
}

/// Checks the configuration and opens its data; of scenes, which are made when the cell runs, what they are made of. That
/// the validation split has a mask for every object, and that enough is left to train on, is known here too, not after
/// other cells have trained. Writes nothing.
pub fn check_data(config: &CellConfig) -> Result<(), EngineError> {
    config.validate()?;
    if let Some(scenes) = &config.data.scenes {
        let portraits = match scenes.sprites {
            Sprites::Shapes => scenes.images,
            Sprites::FashionMnist => FashionMnist::open(scenes.fashion_mnist.as_deref())?.split(Split::Train).count(),
        };
        data::held_out(config, Task::Classification, portraits)?;
        data::held_out(config, Task::Detection, scenes.images)?;
        return Ok(());
    }
    let (imagenet, coco) = data::sources(&config.data)?;
    data::open(config, &imagenet, &coco)?;
    let truth = instances_json(&coco.val_annotations)?;
    Hotcoco.evaluate(&GroundTruth::from_json(&truth, &coco.val_annotations)?, &[], IouType::Segm)?;
    Ok(())
}

/// Runs a cell to its end, from its last checkpoint if there is one, and returns its record, which is not yet written.
/// Training draws from libtorch's generator, so a process runs one cell at a time.
/// What libtorch panics about comes back as an error.
pub fn run_cell(config: &CellConfig, context: &Context, progress: &mut dyn Progress) -> Result<Record, EngineError> {
    guarded(|| live(config, context, progress))
}

fn live(config: &CellConfig, context: &Context, progress: &mut dyn Progress) -> Result<Record, EngineError> {
    config.validate()?;
    let device = context.device;
    adamv_native::set_deterministic(config.training.deterministic, false)?;
    adamv_native::set_tf32(!config.training.deterministic)?;
    environment::forget_peak_memory(device)?;

    // Read data
    let data = CellData::open(config, context.data_dir)?;
    let summaries = data.summaries()?;
    let fingerprints: Vec<&str> = summaries.iter().map(|s| s.fingerprint.as_str()).collect();
    let resolved = resolved(config)?;
    let key = key(config, &fingerprints)?;
    let protocol = protocol(config, &fingerprints);

    // Build model
    let system = systems::build(&config.system, &config.model, data.classes(), config.seed, device)?;
    tch::manual_seed(config.seed as i64);
    let cell = CellDir::new(context.cell_dir);
    std::fs::create_dir_all(cell.checkpoints())
        .map_err(|e| adamv_store::Error::io("make the folder", &cell.checkpoints(), e))?;
    ClassNames::of(&data).write(&cell.checkpoints())?;
    let checkpoints = Checkpoints::new(cell.checkpoints());
    let position = match checkpoints.position(&key)? {
        Some(position) => {
            checkpoints.load_weights(&position, system.params())?;
            position
        }
        None => Position::start(&key),
    };

    // Train
    let trainer = Trainer { config, system: &*system, data: &data, cell: &cell, device };
    let mut events = EventWriter::open(cell.path(), position.steps, now_seconds())?;
    let trained = trainer.run(position, &mut events, progress)?;

    // Evaluate
    let clock = Instant::now();
    let evaluator = Evaluator {
        system: &*system,
        config: &config.evaluation,
        precision: config.training.precision,
        prefetch: config.data.prefetch,
        device,
    };
    let evaluated = evaluator.run(&data, Look::new(config, &*system, &data), progress)?;
    let evaluate_seconds = clock.elapsed().as_secs_f64();
    adamv_store::write_classification(&cell.classification_predictions(), &evaluated.classes)?;
    let results = serde_json::to_vec(&evaluated.detections).map_err(|e| EngineError::Internal(e.to_string()))?;
    adamv_store::write_bytes_atomic(&cell.detection_predictions(), &results)?;
    adamv_store::write_matches(&cell, &evaluated.matches)?;
    if let Some(seen) = evaluated.probes {
        let Probes { routing_changes, gradients, .. } = Probes::read(&cell.probes())?;
        Probes { routing_changes, gradients, ..seen }.write(&cell.probes())?;
    }

    events.scalars(trained.steps, &scores(&evaluated.metrics), now_seconds())?;

    // Record
    let evaluated_images = (data.classification.val.len() + data.detection.val.len()) as f64;
    let rate = |images: f64, seconds: f64| if seconds > 0.0 { images / seconds } else { 0.0 };
    Ok(Record {
        schema_version: SCHEMA_VERSION,
        status: Status::Done,
        error: None,
        cell: CellId {
            suite: config.suite.clone(),
            system: config.system.clone(),
            backbone: config.backbone.clone(),
            variant: config.variant.clone(),
            seed: config.seed,
        },
        cell_key: key,
        protocol_key: protocol_key(&protocol),
        config: resolved,
        protocol,
        data: data.summaries()?,
        metrics: evaluated.metrics,
        cost: task_costs(&*system, &config.model.inputs, config.evaluation.detections),
        timing: Timing {
            train_seconds: trained.train_seconds,
            evaluate_seconds,
            train_images_per_second: rate(trained.images as f64, trained.train_seconds),
            evaluate_images_per_second: rate(evaluated_images, evaluate_seconds),
            data_wait_seconds: trained.data_wait_seconds,
            steps: trained.steps,
        },
        peak_memory_bytes: environment::peak_memory(),
        device_peak_memory_bytes: match device {
            Device::Cuda(index) => Some(adamv_native::cuda_memory(index)?.peak),
            _ => None,
        },
        environment: environment::describe(&config.training, device, context.version, context.commit)?,
        started_at: trained.started_at,
        finished_at: now_rfc3339(),
    })
}

/// What TensorBoard shows of the evaluation; what had nothing to be measured on, COCO's -1, is left out.
fn scores(metrics: &Metrics) -> Vec<(String, f64)> {
    let classification = metrics.classification.iter().map(|c| ("accuracy", c.top1));
    let detection = metrics
        .detection
        .iter()
        .flat_map(|d| [("AP", d.bbox.AP), ("AP50", d.bbox.AP50), ("AP75", d.bbox.AP75), ("APmask", d.segm.AP)]);
    let measured = classification.chain(detection).filter(|(_, value)| *value >= 0.0);
    measured.map(|(name, value)| (format!("validation/{name}"), value)).collect()
}

fn resolved(config: &CellConfig) -> Result<Value, EngineError> {
    serde_json::to_value(config).map_err(|e| EngineError::Internal(e.to_string()))
}

fn key(config: &CellConfig, fingerprints: &[&str]) -> Result<String, EngineError> {
    let mut config = config.clone();
    // What the files hold is in the fingerprints; where they lay is of no consequence.
    if let Some(scenes) = &mut config.data.scenes {
        scenes.fashion_mnist = None;
    }
    let mut config = resolved(&config)?;
    // Looking changes no result.
    if let Some(parts) = config.as_object_mut() {
        parts.remove("probes");
    }
    Ok(cell_key(&json!({ "config": config, "data": fingerprints })))
}

/// The key that a cell of this configuration has with its data as it is now; `None` for scenes, which are made once a
/// run and not made over.
pub fn cell_key_of(config: &CellConfig) -> Result<Option<String>, EngineError> {
    if config.data.scenes.is_some() {
        return Ok(None);
    }
    let (imagenet, coco) = data::sources(&config.data)?;
    let summaries = data::open(config, &imagenet, &coco)?.summaries()?;
    let fingerprints: Vec<&str> = summaries.iter().map(|s| s.fingerprint.as_str()).collect();
    Ok(Some(key(config, &fingerprints)?))
}

/// What must be equal for two results to be comparable.
fn protocol(config: &CellConfig, fingerprints: &[&str]) -> Value {
    let training = &config.training;
    let budget = |s: &crate::config::ScheduleConfig| json!({ "steps": s.steps, "batch": s.batch });
    json!({
        "task_version": config.task_version,
        "data": fingerprints,
        // Not the batch size: results don't depend on it.
        "evaluation": {
            "eval_crop": config.data.classification.eval_crop,
            "score_threshold": config.evaluation.score_threshold,
            "nms": config.evaluation.nms,
            "detections": config.evaluation.detections,
            "images": config.evaluation.images,
        },
        "budget": {
            "classification": budget(&training.classification),
            "detection": budget(&training.detection),
            "joint": budget(&training.joint),
            "first_stage": budget(&training.first_stage),
        },
    })
}

/// What an image of each task costs in `system` as it is now: after training, with the experts and deltas that it ended with.
/// `detections` an image reach the mask head.
pub fn task_costs(system: &dyn System, inputs: &InputsConfig, detections: usize) -> Vec<TaskCost> {
    Task::ALL
        .iter()
        .map(|&task| {
            let cost = Cost::of(system, task, detections);
            TaskCost {
                task: task.to_string(),
                resolution: inputs.of(task).image_size as u32,
                k: system.experts().map(|experts| experts.k(task) as u64),
                params_activated: cost.params_activated,
                params_activated_backbone: cost.params_activated_backbone,
                params_total: cost.params_total,
                macs: Some(cost.macs),
                macs_backbone: Some(cost.macs_backbone),
                flops: Some(cost.flops()),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_had_no_ground_truth_is_no_score() {
        let names = ["AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl"];
        let stats =
            |value: f64| names.map(|name| (name, value)).into_iter().collect::<std::collections::BTreeMap<_, _>>();
        let detection = json!({ "images": 2, "bbox": stats(0.0), "segm": stats(-1.0) });
        let metrics = serde_json::from_value(json!({ "classification": null, "detection": detection })).unwrap();
        let found: Vec<String> = scores(&metrics).into_iter().map(|(name, _)| name).collect();
        assert_eq!(found, ["validation/AP", "validation/AP50", "validation/AP75"]);
    }
}
