//! The box head: classifies RoIs and moves them, once or in a cascade of stages.

use tch::{Kind, Tensor};

use super::boxes;
use super::detector::Targets;
use super::norm::Norm;
use super::roi_align::Rows;
use super::rpn::{Proposals, box_loss};
use super::sampling::{Assignment, assign, balanced, gather_rows};
use crate::config::DetectorConfig;
use crate::layers::{Conv, Linear};
use crate::params::{Init, Scope};
use crate::vit::Mode;

/// Over this IoU an RoI is foreground, by stage.
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
            let real_truth = targets.real();
            let boxes = Tensor::cat(&[&proposals.boxes, &targets.boxes], 1);
            let real = Tensor::cat(&[&proposals.real, &real_truth], 1);
            let found = assign(&boxes, &targets.boxes, &real_truth);
            let foreground = found.best.ge(IOU[0]).logical_and(&real);
            let background = found.best.lt(IOU[0]).logical_and(&real);
            let most = (self.config.rois as f64 * self.config.roi_foreground).round() as usize;
            let sample = balanced(&foreground, &background, self.config.rois, most);
            Rois {
                boxes: gather_rows(&boxes, &sample.index),
                truth: found.index.gather(1, &sample.index, false),
                foreground: sample.foreground,
                real: sample.real,
            }
        })
    }

    /// Class and box loss of every stage, scalars.
    pub fn losses(&self, rows: &Rows, rois: &Rois, targets: &Targets, mode: Mode) -> Vec<(Tensor, Tensor)> {
        let mut boxes = rois.boxes.shallow_clone();
        let (mut truth, mut foreground) = (rois.truth.shallow_clone(), rois.foreground.shallow_clone());
        let real = rois.real.to_kind(Kind::Float);
        let mut losses = Vec::new();
        for (s, stage) in self.stages.iter().enumerate() {
            if s > 0 {
                let Assignment { best, index, .. } = tch::no_grad(|| assign(&boxes, &targets.boxes, &targets.real()));
                foreground = best.ge(IOU[s]).logical_and(&rois.real);
                truth = index;
            }
            let (logits, code) = stage.forward(rows, &boxes, mode);
            let class = (targets.labels.gather(1, &truth, false) + 1) * foreground.to_kind(Kind::Int64);
            let entropy = logits.log_softmax(-1, Kind::Float).gather(2, &class.unsqueeze(-1), false).squeeze_dim(-1);
            let class_loss = -(entropy * &real).sum(Kind::Float) / real.sum(Kind::Float).clamp_min(1.0);
            let target = boxes::encode(&gather_rows(&targets.boxes, &truth), &boxes, CODE[s]);
            losses.push((class_loss, box_loss(&code, &target, &foreground, 1.0)));
            boxes = self.moved(&boxes, &code, s);
        }
        losses
    }

    /// Class probabilities `[B,P,C+1]`, averaged over the stages, and boxes `[B,P,4]` after the last.
    pub fn predict(&self, rows: &Rows, proposals: &Proposals) -> (Tensor, Tensor) {
        let mut boxes = proposals.boxes.shallow_clone();
        let mut sum: Option<Tensor> = None;
        for (s, stage) in self.stages.iter().enumerate() {
            let (logits, code) = stage.forward(rows, &boxes, Mode::Evaluate);
            let probability = logits.softmax(-1, Kind::Float);
            sum = Some(match sum {
                Some(sum) => sum + probability,
                None => probability,
            });
            boxes = self.moved(&boxes, &code, s);
        }
        let scores = sum.map(|s| s / self.stages.len() as f64);
        (scores.unwrap_or_else(|| Tensor::zeros([0], (Kind::Float, boxes.device()))), boxes)
    }

    fn moved(&self, boxes: &Tensor, code: &Tensor, stage: usize) -> Tensor {
        boxes::clip(&boxes::decode(&code.detach(), boxes, CODE[stage]), self.image_size)
    }
}
