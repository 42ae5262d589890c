//! The systems that are compared: one file each. A new one is a file here and a line in [`SYSTEMS`].

mod adamv_moe;
mod large_dense;
mod mtl_moe;
mod mtl_vit;
mod shared_trunk;
mod stl;
mod taps;

use adamv_datasets::Task;
use tch::{Device, Tensor};

use crate::config::{self, BackboneConfig, Classes, ModelConfig, MoeConfig, Pool, check};
use crate::detection::Detector;
use crate::error::ModelError;
use crate::moe::ExpertSelection;
use crate::params::{Param, Params, Scope};
use crate::taps::{Indicators, TapsConfig};
use crate::vit::{Embedding, Intermediates, Mode};
use shared_trunk::SharedTrunk;

/// A part of training with one optimizer and one schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phase {
    /// Names the phase in the history.
    pub name: &'static str,
    /// Tasks trained: each step has one batch of each.
    pub tasks: &'static [Task],
    pub stage: Stage,
}

/// Where a phase stands in the training of its tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// All there is.
    Only,
    /// Classification alone, before both tasks (paper.md section 5).
    First,
    /// Both tasks, from the average of the first stage's weights.
    Second,
}

/// Where a weight lies that a task activates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Backbone,
    Head,
}

/// A multi-task vision system: weights, how each task runs through them, and how it is trained.
pub trait System {
    fn params(&self) -> &Params;

    /// The phases of training, in order; with `two_stages`, classification alone before both tasks, where tasks share anything.
    fn phases(&self, two_stages: bool) -> &'static [Phase];

    /// Whether `phase` trains the weight of this name: those that its tasks activate.
    fn trains(&self, weight: &str, phase: &Phase) -> bool {
        let activated = phase.tasks.iter().any(|&task| self.activates(weight, task).is_some());
        activated && self.indicators().is_none_or(|indicators| indicators.trains(weight, phase))
    }

    /// Images `[B,3,Y,X]` f32 -> logits `[B,C]`, and what was computed on the way.
    fn classify(&self, images: &Tensor, mode: Mode) -> (Tensor, Intermediates);

    /// Images `[B,3,Y,X]` f32 -> feature map `[B,D,Y/patch,X/patch]` for the detector, and what was computed on the way.
    fn feature_map(&self, images: &Tensor, mode: Mode) -> (Tensor, Intermediates);

    fn detector(&self) -> &Detector;

    /// Whether an image of `task` can touch the weight of this name, and in which part of the model. Experts share a weight:
    /// all of them count by its name.
    fn activates(&self, weight: &str, task: Task) -> Option<Part>;

    /// How many experts each task uses, for systems that have experts.
    fn experts(&self) -> Option<&ExpertSelection> {
        None
    }

    /// The scores of the weights that tasks adapt, for systems that have such.
    fn indicators(&self) -> Option<&Indicators> {
        None
    }

    /// Multiply-adds in `part` of the model of one image of `task` at its resolution, with as many experts as the task uses now.
    /// The detector is counted in evaluation, with `detections` detections an image.
    fn macs(&self, task: Task, part: Part, detections: usize) -> u64;

    /// Parameters in `part` of the model that one image of `task` can touch in one forward pass: K of the E experts, and the
    /// deltas whose scores are over the threshold.
    fn params_activated(&self, task: Task, part: Part) -> u64 {
        let size = |param: &Param| {
            let all = param.tensor.numel() as u64;
            match self.experts().filter(|_| param.name.contains(".moe.experts.")) {
                Some(experts) => all / experts.experts() as u64 * experts.k(task) as u64,
                None => self.indicators().map_or(all, |indicators| indicators.activated(&param.name, all)),
            }
        };
        self.params().iter().filter(|p| self.activates(&p.name, task) == Some(part)).map(size).sum()
    }
}

/// A system's line in the table.
pub struct Entry {
    pub name: &'static str,
    /// The experts it has where the configuration says nothing about them; none for a dense system.
    experts: Option<fn(&BackboneConfig) -> MoeConfig>,
    /// Whether tasks adapt the MLPs' weights.
    adapts: bool,
    /// Changes the preset of the backbone of this name.
    widen: Option<fn(&str, &mut BackboneConfig)>,
    /// Whether each task's K is chosen while it trains, unless a configuration says otherwise.
    pub adaptive: bool,
    /// Whether classification is trained alone before both tasks, unless a configuration says otherwise.
    pub two_stages: bool,
    build: fn(&ModelConfig, Classes, Params) -> Box<dyn System>,
}

/// Every system.
pub const SYSTEMS: [Entry; 6] =
    [stl::ENTRY, mtl_vit::ENTRY, large_dense::ENTRY, taps::ENTRY, mtl_moe::ENTRY, adamv_moe::ENTRY];

/// What a system is that shares its trunk and says nothing else of itself.
const SHARED_TRUNK: Entry = Entry {
    name: "",
    experts: None,
    adapts: false,
    widen: None,
    adaptive: false,
    two_stages: false,
    build: SharedTrunk::boxed,
};

/// Builds a system with weights drawn from `seed`, or lists the known names.
pub fn build(
    name: &str,
    config: &ModelConfig,
    classes: Classes,
    seed: u64,
    device: Device,
) -> Result<Box<dyn System>, ModelError> {
    Ok((entry(name)?.build)(&resolve(name, config)?, classes, Params::new(seed, device)))
}

/// The same system without memory for its weights, for what it costs ([`Params::sizes`]).
pub fn sizes(name: &str, config: &ModelConfig, classes: Classes) -> Result<Box<dyn System>, ModelError> {
    Ok((entry(name)?.build)(&resolve(name, config)?, classes, Params::sizes()))
}

/// The configuration that `name` is built from, checked: what is null about its experts is the system's own.
pub fn resolve(name: &str, config: &ModelConfig) -> Result<ModelConfig, ModelError> {
    let mut config = config.clone();
    let entry = entry(name)?;
    let own = entry.experts.map(|experts| experts(&config.backbone));
    let key = "model.backbone.moe";
    check(own.is_some() || config.backbone.moe.is_none(), key, "a value", format!("null: {name} has no experts"))?;
    config.backbone.moe = match (config.backbone.moe, own) {
        (Some(given), Some(own)) => Some(MoeConfig { mlp: given.mlp.or(own.mlp), ..given }),
        (_, own) => own,
    };
    let taps = config.backbone.taps.take();
    let range = format!("null: {name} adapts no weights");
    check(entry.adapts || taps.is_none(), "model.backbone.taps", "a value", range)?;
    config.backbone.taps = entry.adapts.then(|| taps.unwrap_or_default());
    config.validate()?;
    Ok(config)
}

/// The preset of a backbone with what the system has of its own, for a suite to be laid over. The experts' width, null, follows
/// the backbone's.
pub fn preset(name: &str, backbone: &str) -> Result<ModelConfig, ModelError> {
    let entry = entry(name)?;
    let mut config = config::preset(backbone)?;
    if let Some(widen) = entry.widen {
        widen(backbone, &mut config.backbone);
    }
    let own = entry.experts.map(|experts| experts(&config.backbone));
    config.backbone.moe = own.map(|own| MoeConfig { mlp: None, ..own });
    config.backbone.taps = entry.adapts.then(TapsConfig::default);
    Ok(config)
}

/// The embedding of a task below `scope`: only classification's has a class token.
fn embedding(scope: Scope, config: &ModelConfig, task: Task) -> Embedding {
    let pool = if task == Task::Classification { config.backbone.pool } else { Pool::Mean };
    Embedding::new(scope, &BackboneConfig { pool, ..config.backbone.clone() }, config.inputs.of(task))
}

/// The line of a system, or an error that lists the known names.
pub fn entry(name: &str) -> Result<&'static Entry, ModelError> {
    const ALL: &[Entry] = &SYSTEMS;
    let known = || SYSTEMS.map(|entry| entry.name).join(", ");
    ALL.iter().find(|entry| entry.name == name).ok_or_else(|| ModelError::Unknown {
        what: "system",
        name: name.into(),
        known: known(),
    })
}

/// The part of a weight that a task activates whole: heads by their names, everything else is backbone.
fn part(name: &str) -> Part {
    if name.starts_with("head.") || name.starts_with("detector.") { Part::Head } else { Part::Backbone }
}
