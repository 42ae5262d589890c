//! What a cell would do and what it would take, from its configuration and, where it is there, its data. Trains nothing; how fast
//! a machine is, is `speed`'s to measure.

use adamv_datasets::scenes::{FashionMnist, class_names};
use adamv_datasets::{Split, Sprites, Task};
use adamv_models::config::{Classes, ModelConfig};
use adamv_models::cost::Cost;
use adamv_models::systems::{self, Phase, System};
use adamv_store::TaskCost;
use serde::Serialize;

use crate::aes::{AesConfig, AesMode};
use crate::cell::task_costs;
use crate::config::CellConfig;
use crate::data;
use crate::error::{EngineError, guarded};
use crate::speed::Speed;
use crate::train::schedule_of;

/// What a cell would do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CellPlan {
    pub phases: Vec<PhasePlan>,
    /// What an image of each task costs before training: with the experts that each task starts with, with every delta.
    pub costs: Vec<TaskCost>,
    pub work: Work,
}

/// One phase of training.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PhasePlan {
    pub name: String,
    pub steps: u64,
    pub tasks: Vec<Task>,
}

/// All that a cell computes and writes; loading data isn't in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Work {
    /// Multiply-adds of the forward passes of training, by task in the order of [`Task::ALL`].
    pub train_macs: [f64; 2],
    /// Those of evaluation, of adaptive expert selection's too.
    pub evaluate_macs: [f64; 2],
    /// Parameters updated, over all steps.
    pub updates: f64,
    /// Bytes on disk while it trains, at the most, and when it is done.
    pub peak_bytes: f64,
    pub final_bytes: f64,
}

impl Work {
    /// Seconds at this speed.
    pub fn seconds(&self, speed: &Speed) -> f64 {
        let of = |macs: &[f64; 2], rate: &[f64; 2]| macs[0] * rate[0] + macs[1] * rate[1];
        of(&self.train_macs, &speed.train) + of(&self.evaluate_macs, &speed.evaluate) + self.updates * speed.update
    }
}

/// Images of each task and its classes.
struct Sizes {
    train: [usize; 2],
    val: [usize; 2],
    classes: Classes,
}

/// What a cell would do; where its data isn't there, as if it were ImageNet and COCO 2017. Makes no weights.
pub fn plan(config: &CellConfig) -> Result<CellPlan, EngineError> {
    config.validate()?;
    guarded(|| {
        let sizes = sizes(config);
        let system = systems::sizes(&config.system, &config.model, sizes.classes)?;
        let phases = system.phases(config.training.two_stages);
        let plan = |phase: &Phase| PhasePlan {
            name: phase.name.into(),
            steps: schedule_of(config, phase).steps,
            tasks: phase.tasks.to_vec(),
        };
        Ok(CellPlan {
            phases: phases.iter().map(plan).collect(),
            costs: task_costs(&*system, &config.model.inputs, config.evaluation.detections),
            work: work(config, &*system, &sizes)?,
        })
    })
}

/// Multiply-adds of a forward pass of each task in training: the detector sees the RoIs that its losses are about.
pub(crate) fn train_macs(system: &str, model: &ModelConfig, classes: Classes) -> Result<[f64; 2], EngineError> {
    let mut model = model.clone();
    model.detector.rpn_post_nms = model.detector.rois;
    let system = systems::sizes(system, &model, classes)?;
    Ok(Task::ALL.map(|task| Cost::of(&*system, task, model.detector.mask_rois).macs as f64))
}

/// Those of evaluation.
pub(crate) fn evaluate_macs(system: &dyn System, detections: usize) -> [f64; 2] {
    Task::ALL.map(|task| Cost::of(system, task, detections).macs as f64)
}

/// COCO results of a detection, with its mask, are about as long.
const BYTES_OF_A_DETECTION: f64 = 400.0;
const BYTES_OF_A_PREDICTION: f64 = 100.0;

fn work(config: &CellConfig, system: &dyn System, sizes: &Sizes) -> Result<Work, EngineError> {
    let (train, evaluate) = (
        train_macs(&config.system, &config.model, sizes.classes)?,
        evaluate_macs(system, config.evaluation.detections),
    );
    let all = system.params().count(|_| true) as f64;
    let mut work = Work::default();
    let mut most = 0f64;
    for phase in system.phases(config.training.two_stages) {
        let schedule = schedule_of(config, phase);
        for (i, task) in Task::ALL.into_iter().enumerate().filter(|(_, task)| phase.tasks.contains(task)) {
            work.train_macs[i] += schedule.steps as f64 * schedule.batch.of(task) as f64 * train[i];
            let aes = config.training.aes.as_ref().filter(|aes| !aes.is_off() && phase.tasks.len() > 1);
            if let Some(aes) = aes {
                let evaluations = aes.evaluations(schedule.steps, schedule.warmup) as f64;
                work.evaluate_macs[i] +=
                    evaluations * looked_at(aes, sizes.train[i], schedule.batch.of(task)) * train[i];
            }
        }
        let trained: f64 =
            system.params().iter().filter(|p| system.trains(&p.name, phase)).map(|p| p.tensor.numel() as f64).sum();
        work.updates += schedule.steps as f64 * trained;
        most = most.max(trained);
    }
    for (i, macs) in evaluate.into_iter().enumerate() {
        work.evaluate_macs[i] += sizes.val[i] as f64 * macs;
    }
    let [classified, detected] = sizes.val.map(|images| images as f64);
    let detections = detected * config.evaluation.detections as f64;
    work.final_bytes = 4.0 * all + classified * BYTES_OF_A_PREDICTION + detections * BYTES_OF_A_DETECTION;
    // A checkpoint has the weights, two moments and the average; the last one goes when the next one is whole.
    work.peak_bytes = 2.0 * 4.0 * (all + 3.0 * most);
    work.peak_bytes = work.peak_bytes.max(work.final_bytes);
    Ok(work)
}

/// Images that an evaluation of adaptive expert selection looks at, of `images` training samples.
fn looked_at(aes: &AesConfig, images: usize, batch: usize) -> f64 {
    let held_out = (images as f64 * aes.validation_share).max(batch as f64);
    match (aes.most_batches(), aes.mode) {
        (None, _) => held_out,
        // It goes round.
        (Some(most), AesMode::Released) => most as f64 * batch as f64,
        (Some(most), _) => held_out.min(most as f64 * batch as f64),
    }
}

fn sizes(config: &CellConfig) -> Sizes {
    let found = sizes_found(config);
    // ImageNet-1k and COCO 2017.
    let mut sizes = found.unwrap_or(Sizes {
        train: [1_281_167, 118_287],
        val: [50_000, 5_000],
        classes: Classes { classification: 1000, detection: 80 },
    });
    if let Some(images) = config.evaluation.images {
        sizes.val = sizes.val.map(|val| val.min(images));
    }
    sizes
}

/// What the data says, where it is there.
fn sizes_found(config: &CellConfig) -> Option<Sizes> {
    if let Some(scenes) = &config.data.scenes {
        let count = class_names(scenes.sprites).len();
        let portraits = |split, made: usize| match scenes.sprites {
            Sprites::Shapes => Some(made),
            Sprites::FashionMnist => {
                Some(FashionMnist::open(scenes.fashion_mnist.as_deref()).ok()?.split(split).count())
            }
        };
        let val = scenes.images / 4;
        return Some(Sizes {
            train: [portraits(Split::Train, scenes.images).unwrap_or(60_000), scenes.images],
            val: [portraits(Split::Val, val).unwrap_or(10_000), val],
            classes: Classes { classification: count, detection: count },
        });
    }
    let (imagenet, coco) = data::sources(&config.data).ok()?;
    let opened = data::open(config, &imagenet, &coco).ok()?;
    let (c, d) = (&opened.classification, &opened.detection);
    Some(Sizes { train: [c.train.len(), d.train.len()], val: [c.val.len(), d.val.len()], classes: opened.classes() })
}

/// The classes that a cell's data has, or would have.
pub(crate) fn classes(config: &CellConfig) -> Classes {
    sizes(config).classes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(system: &str, sets: &[(&str, serde_json::Value)]) -> CellConfig {
        let model = systems::preset(system, "vit-micro").unwrap();
        let mut config = serde_json::json!({
            "suite": "s", "task_version": 1, "system": system, "backbone": "vit-micro", "variant": "base", "seed": 0,
            "data": {"scenes": {"images": 100}},
            "model": model,
            "training": CellConfig::default_training(system).unwrap(),
            "evaluation": {},
        });
        for (path, value) in sets {
            *config.pointer_mut(path).unwrap() = value.clone();
        }
        serde_json::from_value(config).unwrap()
    }

    #[test]
    fn work_is_steps_times_batch_times_what_an_image_costs() {
        let step = |n: u64| ("/training/joint/steps", n.into());
        let batch = |n: u64| ("/training/joint/batch/detection", n.into());
        let off = ("/training/joint/warmup", 0.into());
        let of = |sets: &[_]| plan(&cell("mtl-vit", sets)).unwrap().work;
        let one = of(&[off.clone(), step(10), batch(2)]);
        let longer = of(&[off.clone(), step(30), batch(2)]);
        let wider = of(&[off, step(10), batch(6)]);
        assert_eq!(longer.train_macs, one.train_macs.map(|macs| 3.0 * macs));
        assert_eq!(wider.train_macs, [one.train_macs[0], 3.0 * one.train_macs[1]]);
        assert_eq!((longer.updates, longer.evaluate_macs), (3.0 * one.updates, one.evaluate_macs));
        // By hand: 25 validation images a task at the evaluation's cost; 64 RoIs and 16 masks in training, 100 and 100 then.
        let system =
            systems::sizes("mtl-vit", &cell("mtl-vit", &[]).model, Classes { classification: 6, detection: 6 })
                .unwrap();
        let at = |task, detections| Cost::of(&*system, task, detections).macs as f64;
        assert_eq!(one.evaluate_macs, [25.0 * at(Task::Classification, 0), 25.0 * at(Task::Detection, 100)]);
        assert_eq!(one.train_macs[0], 10.0 * 1024.0 * at(Task::Classification, 0));
        assert!(one.train_macs[1] < 20.0 * at(Task::Detection, 100), "{one:?}");
        let speed = Speed { train: [1e-9, 2e-9], evaluate: [3e-9, 4e-9], update: 5e-9 };
        let by_hand =
            one.train_macs[0] + 2.0 * one.train_macs[1] + 3.0 * one.evaluate_macs[0] + 4.0 * one.evaluate_macs[1];
        assert!((one.seconds(&speed) - 1e-9 * (by_hand + 5.0 * one.updates)).abs() < 1e-9 * one.seconds(&speed));
    }

    #[test]
    fn stages_and_selection_are_counted() {
        let plan_of = |two: bool, mode: &str| {
            let sets = [("/training/two_stages", two.into()), ("/training/aes/mode", mode.into())];
            plan(&cell("adamv-moe", &sets)).unwrap()
        };
        let (one, two) = (plan_of(false, "off"), plan_of(true, "off"));
        let names = |plan: &CellPlan| plan.phases.iter().map(|p| format!("{} {}", p.name, p.steps)).collect::<Vec<_>>();
        assert_eq!(names(&one), ["joint 200000"]);
        assert_eq!(names(&two), ["first-stage 300000", "joint 200000"]);
        assert_eq!(two.work.train_macs, [2.5 * one.work.train_macs[0], one.work.train_macs[1]]);
        // 96 evaluations after the warm-up, of a batch each: 1% of 100 samples is less.
        let selected = plan_of(false, "paper").work.evaluate_macs[0] - one.work.evaluate_macs[0];
        assert_eq!(selected, 96.0 * 1024.0 * one.costs[0].macs.unwrap() as f64);
        // The released code starts at once and reads 11 batches each time, round and round.
        let released = plan_of(false, "released").work.evaluate_macs[0] - one.work.evaluate_macs[0];
        assert_eq!(released, 100.0 * 11.0 * 1024.0 * one.costs[0].macs.unwrap() as f64);
    }
}
