//! How fast a machine runs a cell: measured in a few steps on made-up tensors, small enough to take about a second each. Knows no
//! data; what a whole cell takes is `plan`'s to say.

use std::time::Instant;

use adamv_datasets::Task;
use adamv_models::config::{Classes, ModelConfig};
use adamv_models::detection::{Limits, Targets};
use adamv_models::systems::{self, System};
use adamv_models::vit::Mode;
use adamv_native::autocast_bf16;
use tch::{Device, Kind, Tensor};

use crate::config::{CellConfig, Precision};
use crate::error::{EngineError, guarded};
use crate::optimizer::Optimizer;
use crate::plan::{classes, evaluate_macs, train_macs};

/// Seconds, by task in the order of [`Task::ALL`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Speed {
    /// For a multiply-add of training's forward pass, its backward pass included.
    pub train: [f64; 2],
    /// For a multiply-add of evaluation.
    pub evaluate: [f64; 2],
    /// To update a parameter.
    pub update: f64,
}

/// A measured speed, and whether the steps were the cell's own: not fewer images, no smaller ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MeasuredSpeed {
    pub speed: Speed,
    pub own_steps: bool,
}

/// Multiply-adds of a forward pass that is measured, at the most: about a second with its backward pass.
const CPU_MACS: f64 = 8e9;
const GPU_MACS: f64 = 2e12;

/// Timed steps of each kind, after one that isn't.
const STEPS: usize = 3;

/// Measures training and evaluation steps of a cell on `device`.
pub fn measure(config: &CellConfig, device: Device) -> Result<MeasuredSpeed, EngineError> {
    config.validate()?;
    guarded(|| {
        let classes = classes(config);
        let most = if device.is_cuda() { GPU_MACS } else { CPU_MACS };
        let (model, detections) = smaller(config, classes, most)?;
        let system = systems::build(&config.system, &model, classes, config.seed, device)?;
        let (train_macs, evaluate_macs) =
            (train_macs(&config.system, &model, classes)?, evaluate_macs(&*system, detections));
        let mut optimizer = Optimizer::new(system.params().iter(), &config.training, 0.0, 0);
        let bench = Bench { config, model: &model, system: &*system, device, detections };
        let mut own_steps = model == config.model;
        let mut speed = Speed { train: [0.0; 2], evaluate: [0.0; 2], update: f64::INFINITY };
        for (i, task) in Task::ALL.into_iter().enumerate() {
            let wanted = config.training.joint.batch.of(task);
            let batch = ((most / train_macs[i]) as usize).clamp(1, wanted);
            own_steps &= batch == wanted;
            let seconds = bench.seconds(|| bench.train(task, batch))?;
            speed.train[i] = seconds / (batch as f64 * train_macs[i]);
            let began = Instant::now();
            let _norm = optimizer.step(0.0)?.double_value(&[]);
            let params = system.params().count(|_| true) as f64;
            speed.update = speed.update.min(began.elapsed().as_secs_f64() / params);
            let batch = ((most / evaluate_macs[i]) as usize).clamp(1, config.evaluation.batch.of(task));
            speed.evaluate[i] = bench.seconds(|| bench.evaluate(task, batch))? / (batch as f64 * evaluate_macs[i]);
        }
        Ok(MeasuredSpeed { speed, own_steps })
    })
}

/// The cell's model, with smaller images and fewer RoIs where an image of a task would take more than `most` multiply-adds; and
/// how many detections an image has.
fn smaller(config: &CellConfig, classes: Classes, most: f64) -> Result<(ModelConfig, usize), EngineError> {
    let (mut model, mut detections) = (config.model.clone(), config.evaluation.detections);
    let macs = |model: &ModelConfig| train_macs(&config.system, model, classes);
    if macs(&model)?[1] > most {
        let detector = &mut model.detector;
        detector.rois = detector.rois.min(32);
        detector.mask_rois = detector.mask_rois.min(8);
        detector.rpn_post_nms = detector.rpn_post_nms.min(32);
        detections = detections.min(8);
    }
    for i in 0..Task::ALL.len() {
        while macs(&model)?[i] > most {
            let mut next = model.clone();
            let input = if i == 0 { &mut next.inputs.classification } else { &mut next.inputs.detection };
            input.image_size /= 2;
            // Patches and windows no longer fit: that is as small as it gets.
            if systems::resolve(&config.system, &next).is_err() {
                break;
            }
            model = next;
        }
    }
    Ok((model, detections))
}

/// What is measured.
struct Bench<'a> {
    config: &'a CellConfig,
    model: &'a ModelConfig,
    system: &'a dyn System,
    device: Device,
    detections: usize,
}

impl Bench<'_> {
    /// The time of a step, which returns a number of the device's so that it is waited for. The least of some: other work on the
    /// machine only ever adds.
    fn seconds(&self, step: impl Fn() -> Tensor) -> Result<f64, EngineError> {
        let timed = || {
            autocast_bf16(self.device, self.config.training.precision == Precision::Bf16, || step().double_value(&[]))
        };
        let _warm = timed()?;
        let mut least = f64::INFINITY;
        for _ in 0..STEPS {
            let began = Instant::now();
            let _value = timed()?;
            least = least.min(began.elapsed().as_secs_f64());
        }
        Ok(least)
    }

    fn images(&self, task: Task, batch: usize) -> Tensor {
        let side = self.model.inputs.of(task).image_size as i64;
        Tensor::rand([batch as i64, 3, side, side], (Kind::Float, self.device))
    }

    /// Forward and backward pass of a batch.
    fn train(&self, task: Task, batch: usize) -> Tensor {
        let images = self.images(task, batch);
        let loss = match task {
            Task::Classification => {
                -self.system.classify(&images, Mode::Train).0.log_softmax(-1, Kind::Float).mean(Kind::Float)
            }
            Task::Detection => {
                let map = self.system.feature_map(&images, Mode::Train).0;
                let losses = self.system.detector().losses(&map, &self.targets(batch as i64), Mode::Train);
                let losses: Vec<&Tensor> = losses.iter().map(|(_, loss)| loss).collect();
                Tensor::stack(&losses, 0).sum(Kind::Float)
            }
        };
        loss.backward();
        loss
    }

    /// Two objects an image.
    fn targets(&self, batch: i64) -> Targets {
        let side = self.model.inputs.detection.image_size as f32;
        let boxes = [0.1, 0.1, 0.5, 0.6, 0.4, 0.5, 0.9, 0.9].map(|part: f32| part * side);
        let mask = self.config.data.detection.mask_size as i64;
        Targets {
            boxes: Tensor::from_slice(&boxes).view([1, 2, 4]).repeat([batch, 1, 1]).to_device(self.device),
            labels: Tensor::zeros([batch, 2], (Kind::Int64, self.device)),
            masks: Tensor::ones([batch, 2, mask, mask], (Kind::Uint8, self.device)),
        }
    }

    /// Forward pass of a batch in evaluation.
    fn evaluate(&self, task: Task, batch: usize) -> Tensor {
        let images = self.images(task, batch);
        tch::no_grad(|| match task {
            Task::Classification => self.system.classify(&images, Mode::Evaluate).0.sum(Kind::Float),
            Task::Detection => {
                let map = self.system.feature_map(&images, Mode::Evaluate).0;
                let limits = Limits { score: 0.0, nms: self.config.evaluation.nms, count: self.detections };
                let found = self.system.detector().detect(&map, &limits);
                Tensor::from(found.len() as f64)
            }
        })
    }
}
