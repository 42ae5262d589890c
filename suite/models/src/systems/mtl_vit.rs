//! MTL-ViT: one dense trunk that both tasks share, each with its own embedding and head (paper.md section 7).

use adamv_datasets::Task;
use tch::{Device, Tensor};

use super::{Part, Phase, System, part};
use crate::config::{Classes, ModelConfig};
use crate::detection::Detector;
use crate::layers::Linear;
use crate::params::{Init, Params};
use crate::vit::{Embedding, Intermediates, Mode, Trunk};

struct MtlVit {
    params: Params,
    classification: Embedding,
    detection: Embedding,
    trunk: Trunk,
    head: Linear,
    detector: Detector,
}

pub(super) fn build(config: &ModelConfig, classes: Classes, seed: u64, device: Device) -> Box<dyn System> {
    let mut params = Params::new(seed, device);
    let mut root = params.root();
    let mut embedding =
        |task: Task| Embedding::new(root.sub("embed").sub(task), &config.backbone, config.inputs.of(task));
    let (classification, detection) = (embedding(Task::Classification), embedding(Task::Detection));
    let trunk = Trunk::new(params.root(), &config.backbone);
    let head =
        Linear::new(params.root().sub("head"), config.backbone.width, classes.classification, Init::Normal(0.01));
    let detector = Detector::new(params.root().sub("detector"), config, classes.detection, device);
    Box::new(MtlVit { params, classification, detection, trunk, head, detector })
}

impl System for MtlVit {
    fn params(&self) -> &Params {
        &self.params
    }

    fn phases(&self) -> &'static [Phase] {
        &[Phase { name: "joint", tasks: &Task::ALL }]
    }

    fn classify(&self, images: &Tensor, mode: Mode) -> (Tensor, Intermediates) {
        let (tokens, out) = self.trunk.forward(&self.classification.forward(images), mode);
        (self.head.forward(&self.trunk.pool(&tokens)), out)
    }

    fn feature_map(&self, images: &Tensor, mode: Mode) -> (Tensor, Intermediates) {
        let (tokens, out) = self.trunk.forward(&self.detection.forward(images), mode);
        (self.trunk.map(&tokens), out)
    }

    fn detector(&self) -> &Detector {
        &self.detector
    }

    fn activates(&self, weight: &str, task: Task) -> Option<Part> {
        let owner = match weight.split('.').next() {
            Some("embed") => weight.split('.').nth(1),
            Some("head") => Some(Task::Classification.as_str()),
            Some("detector") => Some(Task::Detection.as_str()),
            _ => None,
        };
        owner.is_none_or(|owner| owner == task.as_str()).then(|| part(weight))
    }
}
