//! The box head: classifies RoIs and moves them, once or in a cascade of stages.

use tch::{Kind, Tensor};

use super::boxes;
use super::detector::Targets;
use super::norm::Norm;
use super::roi_align::Rows;
use super::rpn::Proposals;
use super::sampling::{Candidates, assign, balanced, gather_rows};
use crate::config::DetectorConfig;
use crate::layers::{Conv, Linear};
use crate::params::{Init, Scope};
use crate::vit::Mode;

/// From this IoU on an RoI is foreground, by stage.
const IOU: [f64; 3] = [0.5, 0.6, 0.7];
/// Weights of the box code, by stage.
const CODE: [[f64; 4]; 3] = [[10.0, 10.0, 5.0, 5.0], [20.0, 20.0, 10.0, 10.0], [30.0, 30.0, 15.0, 15.0]];
/// Side of the features that a box head sees.
const SIDE: usize = 7;

/// One stage: convolutions, a fully connected layer, class scores and one box for all classes.
#[derive(Debug)]
struct Stage {
    convs: Vec<Conv>,
    conv_norms: Vec<Norm>,
    fc: Linear,
    fc_norm: Norm,
    class: Linear,
    code: Linear,
}

impl Stage {
    fn new(mut scope: Scope, classes: usize, config: &DetectorConfig) -> Self {
        let (c, he) = (config.channels, Init::FanIn { gain: 2.0 });
        Self {
            convs: (0..config.box_convs).map(|i| Conv::new(scope.sub("conv").sub(i), c, c, 3, he)).collect(),
            conv_norms: (0..config.box_convs)
                .map(|i| Norm::new(scope.sub("conv_norm").sub(i), config.norm, c))
                .collect(),
            fc: Linear::new(scope.sub("fc"), c * SIDE * SIDE, config.box_fc, he),
            fc_norm: Norm::new(scope.sub("fc_norm"), config.norm, config.box_fc),
            class: Linear::new(scope.sub("class"), config.box_fc, classes + 1, Init::Normal(0.01)),
            code: Linear::new(scope.sub("code"), config.box_fc, 4, Init::Normal(0.001)),
        }
    }

    /// RoIs `[B,P,4]` -> class logits `[B,P,C+1]` and box code `[B,P,4]`, f32.
    fn forward(&self, rows: &Rows, rois: &Tensor, mode: Mode) -> (Tensor, Tensor) {
        let (b, p) = (rois.size()[0], rois.size()[1]);
        let mut x = rows.align(rois, SIDE);
        for (conv, norm) in self.convs.iter().zip(&self.conv_norms) {
            x = norm.forward(conv.forward(&x), mode).relu();
        }
        let x = self.fc_norm.forward(self.fc.forward(&x.flatten(1, 3)), mode).relu();
        let shape = |y: Tensor| y.view([b, p, -1]).to_kind(Kind::Float);
        (shape(self.class.forward(&x)), shape(self.code.forward(&x)))
    }
}

/// RoIs drawn for the losses, the foreground ones first.
pub struct Rois {
    /// `[B,R,4]` f32.
    pub boxes: Tensor,
    /// The ground truth each belongs to: `[B,R]` int64.
    pub truth: Tensor,
    /// Which are foreground: `[B,R]` bool.
    pub foreground: Tensor,
    /// Which are not padding: `[B,R]` bool.
    pub real: Tensor,
}

#[derive(Debug)]
pub struct RoiHead {
    stages: Vec<Stage>,
    image_size: i64,
    config: DetectorConfig,
}

impl RoiHead {
    pub fn new(mut scope: Scope, classes: usize, image_size: usize, config: &DetectorConfig) -> Self {
        Self {
            stages: (0..config.stages).map(|s| Stage::new(scope.sub(s), classes, config)).collect(),
            image_size: image_size as i64,
            config: config.clone(),
        }
    }

    /// Multiply-adds of an image with `proposals` proposals, all stages.
    pub fn macs(&self, proposals: usize) -> u64 {
        let stage = |stage: &Stage| {
            let convs: u64 = stage.convs.iter().map(|conv| conv.macs(SIDE)).sum();
            convs + stage.fc.macs(1) + stage.class.macs(1) + stage.code.macs(1)
        };
        proposals as u64 * self.stages.iter().map(stage).sum::<u64>()
    }

    /// Draws RoIs among the proposals and the ground truths themselves. No gradient passes.
    pub fn sample(&self, proposals: &Proposals, targets: &Targets) -> Rois {
        tch::no_grad(|| {
            let boxes = Tensor::cat(&[&proposals.boxes, &targets.boxes], 1);
            let real = Tensor::cat(&[&proposals.real, &targets.real()], 1);
            let labels = label_rois(&boxes, &real, targets, 0);
            let most = (self.config.rois as f64 * self.config.roi_foreground).round() as usize;
            let sample = balanced(&labels.foreground, &labels.background, self.config.rois, most);
            Rois {
                boxes: gather_rows(&boxes, &sample.index),
                truth: labels.truth.gather(1, &sample.index, false),
                foreground: sample.foreground,
                real: sample.real,
            }
        })
    }

    /// Class and box loss of every stage, scalars, each divided by the number of stages: their sum is the mean over the
    /// stages, as tensorflow/models `official/vision/tasks/maskrcnn.py` (`_build_frcnn_losses`) has it.
    pub fn losses(&self, rows: &Rows, rois: &Rois, targets: &Targets, mode: Mode) -> Vec<(Tensor, Tensor)> {
        let stages = self.stages.len();
        let mut moved: Option<Rois> = None;
        let mut losses = Vec::with_capacity(stages);
        for (s, stage) in self.stages.iter().enumerate() {
            let rois = moved.as_ref().unwrap_or(rois);
            let (logits, code) = stage.forward(rows, &rois.boxes, mode);
            let share = |loss: Tensor| loss / stages as f64;
            losses.push((share(class_loss(&logits, rois, targets)), share(box_loss(&code, rois, targets, s))));
            if s + 1 < stages {
                moved = Some(next_rois(rois, &code, targets, s, self.image_size));
            }
        }
        losses
    }

    /// Class probabilities `[B,P,C+1]`, of logits averaged over the stages as in tensorflow/models
    /// `official/vision/modeling/maskrcnn_model.py`, and boxes `[B,P,4]` after the last.
    pub fn predict(&self, rows: &Rows, proposals: &Proposals) -> (Tensor, Tensor) {
        let mut boxes = proposals.boxes.shallow_clone();
        let mut all = Vec::with_capacity(self.stages.len());
        for (s, stage) in self.stages.iter().enumerate() {
            let (logits, code) = stage.forward(rows, &boxes, Mode::Evaluate);
            all.push(logits);
            boxes = moved(&boxes, &code, s, self.image_size);
        }
        let logits = Tensor::stack(&all, 0).mean_dim([0].as_slice(), false, Kind::Float);
        (logits.softmax(-1, Kind::Float), boxes)
    }
}

/// Which of the boxes `[B,N,4]` are foreground in a stage (from 0): those of IoU 0.5, 0.6 or 0.7 or more with a ground truth;
/// the others are background. What isn't `real` `[B,N]` bool is neither.
pub fn label_rois(boxes: &Tensor, real: &Tensor, targets: &Targets, stage: usize) -> Candidates {
    let found = assign(boxes, &targets.boxes, &targets.real());
    Candidates {
        foreground: found.best.ge(IOU[stage]).logical_and(real),
        background: found.best.lt(IOU[stage]).logical_and(real),
        truth: found.index,
    }
}

/// Cross-entropy of class logits `[B,R,C+1]`, averaged over the RoIs that are not padding; a scalar.
pub fn class_loss(logits: &Tensor, rois: &Rois, targets: &Targets) -> Tensor {
    let real = rois.real.to_kind(Kind::Float);
    let class = (targets.labels.gather(1, &rois.truth, false) + 1) * rois.foreground.to_kind(Kind::Int64);
    let entropy = logits.log_softmax(-1, Kind::Float).gather(2, &class.unsqueeze(-1), false).squeeze_dim(-1);
    -(entropy * &real).sum(Kind::Float) / real.sum(Kind::Float).clamp_min(1.0)
}

/// Huber loss (delta 1) of a stage's box code `[B,R,4]`, averaged over the coordinates of the foreground RoIs; a scalar.
pub fn box_loss(code: &Tensor, rois: &Rois, targets: &Targets, stage: usize) -> Tensor {
    let target = boxes::encode(&gather_rows(&targets.boxes, &rois.truth), &rois.boxes, CODE[stage]);
    let counted = rois.foreground.to_kind(Kind::Float);
    let loss = code.huber_loss(&target, tch::Reduction::None, 1.0).sum_dim_intlist([-1].as_slice(), false, Kind::Float);
    (loss * &counted).sum(Kind::Float) / (counted.sum(Kind::Float) * 4.0).clamp_min(1.0)
}

/// The RoIs of the stage after `stage`: moved by its code, cut at the image's borders and assigned anew, at the next stage's
/// IoU. No gradient passes.
pub fn next_rois(rois: &Rois, code: &Tensor, targets: &Targets, stage: usize, image_size: i64) -> Rois {
    tch::no_grad(|| {
        let boxes = moved(&rois.boxes, code, stage, image_size);
        let Candidates { foreground, truth, .. } = label_rois(&boxes, &rois.real, targets, stage + 1);
        Rois { boxes, truth, foreground, real: rois.real.shallow_clone() }
    })
}

fn moved(boxes: &Tensor, code: &Tensor, stage: usize, image_size: i64) -> Tensor {
    boxes::clip(&boxes::decode(&code.detach(), boxes, CODE[stage]), image_size)
}
