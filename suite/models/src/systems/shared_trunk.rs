//! What the systems with one shared trunk have in common: each task's own embedding, router and head, and everything
//! else shared (paper.md section 2). Which experts there are and how it is trained is each system's own.

use adamv_datasets::Task;
use tch::{Device, Tensor};

use super::{Part, Phase, System, part};
use crate::config::{Classes, ModelConfig};
use crate::detection::Detector;
use crate::layers::Linear;
use crate::moe::{ExpertSelection, Route};
use crate::params::{Init, Params};
use crate::vit::{Embedding, Intermediates, Mode, Trunk};

pub(super) struct SharedTrunk {
    params: Params,
    phases: &'static [Phase],
    classification: Embedding,
    detection: Embedding,
    trunk: Trunk,
    experts: Option<ExpertSelection>,
    head: Linear,
    detector: Detector,
}

/// One batch of each task every step, from the beginning to the end.
pub(super) const JOINT: Phase = Phase { name: "joint", tasks: &Task::ALL };

impl SharedTrunk {
    pub fn boxed(
        config: &ModelConfig,
        classes: Classes,
        seed: u64,
        device: Device,
        phases: &'static [Phase],
    ) -> Box<dyn System> {
        let backbone = &config.backbone;
        let mut params = Params::new(seed, device);
        let mut root = params.root();
        let mut embedding = |task: Task| Embedding::new(root.sub("embed").sub(task), backbone, config.inputs.of(task));
        let (classification, detection) = (embedding(Task::Classification), embedding(Task::Detection));
        let trunk = Trunk::new(params.root(), backbone, &Task::ALL);
        let experts = backbone.moe.as_ref().map(|moe| ExpertSelection::new(backbone, moe));
        let head = Linear::new(params.root().sub("head"), backbone.width, classes.classification, Init::Normal(0.01));
        let detector = Detector::new(params.root().sub("detector"), config, classes.detection, device);
        Box::new(Self { params, phases, classification, detection, trunk, experts, head, detector })
    }

    fn route(&self, task: Task) -> Route {
        self.experts.as_ref().map_or(Route::dense(task), |experts| experts.route(task))
    }
}

impl System for SharedTrunk {
    fn params(&self) -> &Params {
        &self.params
    }

    fn phases(&self) -> &'static [Phase] {
        self.phases
    }

    fn classify(&self, images: &Tensor, mode: Mode) -> (Tensor, Intermediates) {
        let tokens = self.classification.forward(images);
        let (tokens, out) = self.trunk.forward(&tokens, self.route(Task::Classification), mode);
        (self.head.forward(&self.trunk.pool(&tokens)), out)
    }

    fn feature_map(&self, images: &Tensor, mode: Mode) -> (Tensor, Intermediates) {
        let (tokens, out) = self.trunk.forward(&self.detection.forward(images), self.route(Task::Detection), mode);
        (self.trunk.map(&tokens), out)
    }

    fn detector(&self) -> &Detector {
        &self.detector
    }

    fn activates(&self, weight: &str, task: Task) -> Option<Part> {
        let owner = match *weight.split('.').collect::<Vec<_>>() {
            ["embed", owner, ..] => Some(owner),
            ["head", ..] => Some(Task::Classification.as_str()),
            ["detector", ..] => Some(Task::Detection.as_str()),
            ["blocks", _, "moe", "routers", owner, ..] if owner != "shared" => Some(owner),
            _ => None,
        };
        owner.is_none_or(|owner| owner == task.as_str()).then(|| part(weight))
    }

    fn experts(&self) -> Option<&ExpertSelection> {
        self.experts.as_ref()
    }
}
