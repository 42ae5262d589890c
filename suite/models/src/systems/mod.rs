//! The systems that are compared: one file each. A new one is a file here and a line in [`SYSTEMS`].

mod mtl_vit;
mod stl;

use adamv_datasets::Task;
use tch::{Device, Tensor};

use crate::config::{Classes, ModelConfig};
use crate::detection::Detector;
use crate::error::ModelError;
use crate::params::Params;
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

    /// Whether an image of `task` can touch the weight of this name, and in which part of the model.
    fn activates(&self, weight: &str, task: Task) -> Option<Part>;
}

type Build = fn(&ModelConfig, Classes, u64, Device) -> Box<dyn System>;

/// Every system by name.
pub const SYSTEMS: [(&str, Build); 2] = [("stl", stl::build), ("mtl-vit", mtl_vit::build)];

/// Builds a system with weights drawn from `seed`, or lists the known names.
pub fn build(
    name: &str,
    config: &ModelConfig,
    classes: Classes,
    seed: u64,
    device: Device,
) -> Result<Box<dyn System>, ModelError> {
    config.validate()?;
    let known = || SYSTEMS.map(|(name, _)| name).join(", ");
    let (_, build) = SYSTEMS.iter().find(|(known, _)| *known == name).ok_or_else(|| ModelError::Unknown {
        what: "system",
        name: name.into(),
        known: known(),
    })?;
    Ok(build(config, classes, seed, device))
}

/// The part of a weight that a task activates whole: heads by their names, everything else is backbone.
fn part(name: &str) -> Part {
    if name.starts_with("head.") || name.starts_with("detector.") { Part::Head } else { Part::Backbone }
}
