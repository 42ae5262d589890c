//! What the systems with one shared trunk have in common: each task's own embedding, router and head, and everything
//! else shared (paper.md section 2). Which experts there are and how it is trained is each system's own.

use adamv_datasets::Task;
use tch::Tensor;

use super::{Part, Phase, Stage, System, embedding, part};
use crate::config::{Classes, ModelConfig};
use crate::detection::Detector;
use crate::layers::Linear;
use crate::moe::{ExpertSelection, Route};
use crate::params::{Init, Params};
use crate::taps::Indicators;
use crate::vit::{Embedding, Intermediates, Mode, Trunk};

pub(super) struct SharedTrunk {
    params: Params,
    classification: Embedding,
    detection: Embedding,
    trunk: Trunk,
    experts: Option<ExpertSelection>,
    indicators: Option<Indicators>,
    head: Linear,
    detector: Detector,
}

const FIRST: Phase = Phase { name: "first-stage", tasks: &[Task::Classification], stage: Stage::First };
/// One batch of each task every step.
const JOINT: Phase = Phase { name: "joint", tasks: &Task::ALL, stage: Stage::Only };
const ONE_STAGE: &[Phase] = &[JOINT];
const TWO_STAGES: &[Phase] = &[FIRST, Phase { stage: Stage::Second, ..JOINT }];

impl SharedTrunk {
    pub fn boxed(config: &ModelConfig, classes: Classes, mut params: Params) -> Box<dyn System> {
        let backbone = &config.backbone;
        let device = params.device();
        let mut root = params.root();
        let mut own = |task: Task| embedding(root.sub("embed").sub(task), config, task);
        let (classification, detection) = (own(Task::Classification), own(Task::Detection));
        let trunk = Trunk::new(params.root(), backbone, &Task::ALL);
        let experts = backbone.moe.as_ref().map(|moe| ExpertSelection::new(backbone, moe));
        let indicators = backbone.taps.as_ref().map(|taps| Indicators::new(&trunk, taps.values()));
        let head = Linear::new(params.root().sub("head"), backbone.width, classes.classification, Init::Normal(0.01));
        let detector = Detector::new(params.root().sub("detector"), config, classes.detection, device);
        Box::new(Self { params, classification, detection, trunk, experts, indicators, head, detector })
    }

    fn route(&self, task: Task) -> Route {
        self.experts.as_ref().map_or(Route::dense(task), |experts| experts.route(task))
    }

    fn embedding(&self, task: Task) -> &Embedding {
        match task {
            Task::Classification => &self.classification,
            Task::Detection => &self.detection,
        }
    }

    /// Images `[B,3,Y,X]` of `task` -> tokens `[B,N,D]` after the last norm.
    fn run(&self, task: Task, images: &Tensor, mode: Mode) -> (Tensor, Intermediates) {
        let embedding = self.embedding(task);
        self.trunk.forward(&embedding.forward(images), embedding.windows(), self.route(task), mode)
    }
}

impl System for SharedTrunk {
    fn params(&self) -> &Params {
        &self.params
    }

    fn phases(&self, two_stages: bool) -> &'static [Phase] {
        if two_stages { TWO_STAGES } else { ONE_STAGE }
    }

    fn classify(&self, images: &Tensor, mode: Mode) -> (Tensor, Intermediates) {
        let (tokens, out) = self.run(Task::Classification, images, mode);
        (self.head.forward(&self.trunk.pool(&tokens)), out)
    }

    fn feature_map(&self, images: &Tensor, mode: Mode) -> (Tensor, Intermediates) {
        let (tokens, out) = self.run(Task::Detection, images, mode);
        (self.trunk.map(&tokens), out)
    }

    fn detector(&self) -> &Detector {
        &self.detector
    }

    fn macs(&self, task: Task, part: Part, detections: usize) -> u64 {
        let embedding = self.embedding(task);
        match (part, task) {
            (Part::Backbone, _) => {
                embedding.macs() + self.trunk.macs(embedding.tokens(), embedding.windows(), self.route(task))
            }
            (Part::Head, Task::Classification) => self.head.macs(1),
            (Part::Head, Task::Detection) => self.detector.macs(detections),
        }
    }

    fn activates(&self, weight: &str, task: Task) -> Option<Part> {
        let owner = match *weight.split('.').collect::<Vec<_>>() {
            ["embed", owner, ..] => Some(owner),
            ["head", ..] => Some(Task::Classification.as_str()),
            ["detector", ..] => Some(Task::Detection.as_str()),
            ["blocks", _, "moe", "routers", owner, ..] if owner != "shared" => Some(owner),
            ["blocks", _, "mlp", _, "delta" | "indicator", owner] => Some(owner),
            _ => None,
        };
        owner.is_none_or(|owner| owner == task.as_str()).then(|| part(weight))
    }

    fn experts(&self) -> Option<&ExpertSelection> {
        self.experts.as_ref()
    }

    fn indicators(&self) -> Option<&Indicators> {
        self.indicators.as_ref()
    }
}
