//! The systems that are compared: one file each. A new one is a file here and a line in [`SYSTEMS`].

mod adamv_moe;
mod mtl_moe;
mod mtl_vit;
mod shared_trunk;
mod stl;

use adamv_datasets::Task;
use tch::{Device, Tensor};

use crate::config::{BackboneConfig, Classes, ModelConfig, MoeConfig, check};
use crate::detection::Detector;
use crate::error::ModelError;
use crate::moe::ExpertSelection;
use crate::params::{Param, Params};
use crate::vit::{Intermediates, Mode};

/// A part of training with one optimizer and one schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phase {
    /// Names the phase in the history.
    pub name: &'static str,
    /// Tasks trained: each step has one batch of each. They also choose the schedule.
    pub tasks: &'static [Task],
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

    /// The phases of training, in order. A phase trains the weights that its tasks activate.
    fn phases(&self) -> &'static [Phase];

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

    /// Parameters in `part` of the model that one image of `task` can touch in one forward pass: K of the E experts.
    fn params_activated(&self, task: Task, part: Part) -> u64 {
        let size = |param: &Param| {
            let all = param.tensor.numel() as u64;
            match self.experts().filter(|_| param.name.contains(".moe.experts.")) {
                Some(experts) => all / experts.experts() as u64 * experts.k(task) as u64,
                None => all,
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
    /// Whether each task's K is chosen while it trains, unless a configuration says otherwise.
    pub adaptive: bool,
    build: fn(&ModelConfig, Classes, u64, Device) -> Box<dyn System>,
}

/// Every system.
pub const SYSTEMS: [Entry; 4] = [stl::ENTRY, mtl_vit::ENTRY, mtl_moe::ENTRY, adamv_moe::ENTRY];

/// Builds a system with weights drawn from `seed`, or lists the known names.
pub fn build(
    name: &str,
    config: &ModelConfig,
    classes: Classes,
    seed: u64,
    device: Device,
) -> Result<Box<dyn System>, ModelError> {
    Ok((entry(name)?.build)(&resolve(name, config)?, classes, seed, device))
}

/// The configuration that `name` is built from, checked: what is null about its experts is the system's own.
pub fn resolve(name: &str, config: &ModelConfig) -> Result<ModelConfig, ModelError> {
    let mut config = config.clone();
    let own = entry(name)?.experts.map(|experts| experts(&config.backbone));
    let key = "model.backbone.moe";
    check(own.is_some() || config.backbone.moe.is_none(), key, "a value", format!("null: {name} has no experts"))?;
    config.backbone.moe = match (config.backbone.moe, own) {
        (Some(given), Some(own)) => Some(MoeConfig { mlp: given.mlp.or(own.mlp), ..given }),
        (_, own) => own,
    };
    config.validate()?;
    Ok(config)
}

/// The experts that `name` has by default, for a suite to be laid over; their width, null, follows the backbone's.
pub fn default_experts(name: &str) -> Result<Option<MoeConfig>, ModelError> {
    let own = entry(name)?.experts.map(|experts| experts(&BackboneConfig::default()));
    Ok(own.map(|own| MoeConfig { mlp: None, ..own }))
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
