//! STL: one dense ViT for each task, trained one after the other; nothing is shared (paper.md section 7).

use adamv_datasets::Task;
use tch::Tensor;

use super::{Entry, Part, Phase, SHARED_TRUNK, Stage, System, embedding, part};
use crate::config::{Classes, ModelConfig};
use crate::detection::Detector;
use crate::layers::Linear;
use crate::moe::Route;
use crate::params::{Init, Params};
use crate::vit::{Embedding, Intermediates, Mode, Trunk};

struct Stl {
    params: Params,
    classification: (Embedding, Trunk),
    detection: (Embedding, Trunk),
    head: Linear,
    detector: Detector,
}

pub(super) const ENTRY: Entry = Entry { name: "stl", build, ..SHARED_TRUNK };

fn build(config: &ModelConfig, classes: Classes, mut params: Params) -> Box<dyn System> {
    let device = params.device();
    let mut network = |task: Task| {
        let mut root = params.root();
        let mut scope = root.sub(task);
        let embedding = embedding(scope.reborrow(), config, task);
        (embedding, Trunk::new(scope, &config.backbone, &[task]))
    };
    let (classification, detection) = (network(Task::Classification), network(Task::Detection));
    let mut root = params.root();
    let head = Linear::new(
        root.sub(Task::Classification).sub("head"),
        config.backbone.width,
        classes.classification,
        Init::Normal(0.01),
    );
    let detector = Detector::new(root.sub(Task::Detection).sub("detector"), config, classes.detection, device);
    Box::new(Stl { params, classification, detection, head, detector })
}

impl Stl {
    fn network(&self, task: Task) -> &(Embedding, Trunk) {
        match task {
            Task::Classification => &self.classification,
            Task::Detection => &self.detection,
        }
    }

    /// Images `[B,3,Y,X]` of `task` -> tokens `[B,N,D]` after the last norm.
    fn run(&self, task: Task, images: &Tensor, mode: Mode) -> (Tensor, Intermediates) {
        let (embedding, trunk) = self.network(task);
        trunk.forward(&embedding.forward(images), embedding.windows(), Route::dense(task), mode)
    }
}

impl System for Stl {
    fn params(&self) -> &Params {
        &self.params
    }

    /// Two networks have nothing to hand on from one stage to another.
    fn phases(&self, _two_stages: bool) -> &'static [Phase] {
        &[
            Phase { name: "classification", tasks: &[Task::Classification], stage: Stage::Only },
            Phase { name: "detection", tasks: &[Task::Detection], stage: Stage::Only },
        ]
    }

    fn classify(&self, images: &Tensor, mode: Mode) -> (Tensor, Intermediates) {
        let (tokens, out) = self.run(Task::Classification, images, mode);
        (self.head.forward(&self.classification.1.pool(&tokens)), out)
    }

    fn feature_map(&self, images: &Tensor, mode: Mode) -> (Tensor, Intermediates) {
        let (tokens, out) = self.run(Task::Detection, images, mode);
        (self.detection.1.map(&tokens), out)
    }

    fn detector(&self) -> &Detector {
        &self.detector
    }

    fn macs(&self, task: Task, part: Part, detections: usize) -> u64 {
        let (embedding, trunk) = self.network(task);
        match (part, task) {
            (Part::Backbone, _) => {
                embedding.macs() + trunk.macs(embedding.tokens(), embedding.windows(), Route::dense(task))
            }
            (Part::Head, Task::Classification) => self.head.macs(1),
            (Part::Head, Task::Detection) => self.detector.macs(detections),
        }
    }

    fn activates(&self, weight: &str, task: Task) -> Option<Part> {
        let (owner, rest) = weight.split_once('.')?;
        (owner == task.as_str()).then(|| part(rest))
    }
}
