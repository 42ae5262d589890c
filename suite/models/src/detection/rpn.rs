//! The region proposal network: scores anchors, moves them, and keeps the best.

use tch::{Device, Kind, Tensor};

use super::boxes;
use super::detector::Targets;
use super::nms::nms;
use super::norm::Norm;
use super::sampling::{Candidates, Sample, assign, balanced, gather_rows};
use crate::config::{DetectorConfig, InputConfig};
use crate::layers::Conv;
use crate::params::{Init, Scope};
use crate::vit::Mode;

/// Anchors are coded without weights.
const CODE: [f64; 4] = [1.0; 4];
/// From this IoU with a ground truth on an anchor is foreground, below the second background, between ignored.
const FOREGROUND: f64 = 0.7;
const BACKGROUND: f64 = 0.3;
/// Where the Huber loss of a box code turns from quadratic to linear.
const DELTA: f64 = 1.0 / 9.0;
/// What the release adds to the number of coordinates that a level's box loss is divided by: a level without any has 0.
const COORDINATES_MORE: f64 = 0.01;

#[derive(Debug)]
pub struct Rpn {
    /// One for all levels; a level's norm is its own, as in F-VLM.
    conv: Conv,
    norms: Vec<Norm>,
    objectness: Conv,
    code: Conv,
    /// `[A,4]`, all levels below one another, finest first.
    anchors: Tensor,
    /// Anchors of each level.
    per_level: Vec<i64>,
    image_size: i64,
    config: DetectorConfig,
}

/// What the network says of every anchor.
pub struct RpnOutput {
    /// Logits `[B,A]` f32.
    pub objectness: Tensor,
    /// `[B,A,4]` f32.
    pub code: Tensor,
}

/// Boxes worth a second look, best first.
pub struct Proposals {
    /// `[B,P,4]` f32.
    pub boxes: Tensor,
    /// Which are not padding: `[B,P]` bool.
    pub real: Tensor,
}

impl Rpn {
    /// For levels of these sides in cells, finest first.
    pub fn new(
        mut scope: Scope,
        input: &InputConfig,
        sides: &[usize],
        config: &DetectorConfig,
        device: Device,
    ) -> Self {
        let (c, ratios) = (config.channels, config.anchor_ratios.len());
        let anchors: Vec<Tensor> = (config.min_level..)
            .zip(sides)
            .map(|(level, &side)| {
                let stride = 1 << level;
                super::anchors::level(side, stride, config.anchor_scale * stride as f64, &config.anchor_ratios)
            })
            .collect();
        Self {
            conv: Conv::new(scope.sub("conv"), c, c, 3, Init::FanIn { gain: 2.0 }),
            norms: (config.min_level..)
                .take(sides.len())
                .map(|level| Norm::new(scope.sub("conv_norm").sub(level), config.norm, c))
                .collect(),
            objectness: Conv::new(scope.sub("objectness"), c, ratios, 1, Init::Normal(0.01)),
            code: Conv::new(scope.sub("code"), c, 4 * ratios, 1, Init::Normal(0.01)),
            per_level: anchors.iter().map(|a| a.size()[0]).collect(),
            anchors: Tensor::cat(&anchors, 0).to_device(device),
            image_size: input.image_size as i64,
            config: config.clone(),
        }
    }

    /// Maps `[B,C,Y,X]`, finest first.
    pub fn forward(&self, pyramid: &[Tensor], mode: Mode) -> RpnOutput {
        let (mut objectness, mut code) = (Vec::new(), Vec::new());
        for (map, norm) in pyramid.iter().zip(&self.norms) {
            let x = norm.forward(self.conv.forward(map), mode).relu();
            let b = x.size()[0];
            objectness.push(self.objectness.forward(&x).permute([0, 2, 3, 1]).reshape([b, -1]));
            code.push(self.code.forward(&x).permute([0, 2, 3, 1]).reshape([b, -1, 4]));
        }
        RpnOutput {
            objectness: Tensor::cat(&objectness, 1).to_kind(Kind::Float),
            code: Tensor::cat(&code, 1).to_kind(Kind::Float),
        }
    }

    /// Proposals of an image, P: the configured number, or as many as the levels offer.
    pub fn proposals(&self) -> usize {
        let offered: usize = self.per_level.iter().map(|&count| (count as usize).min(self.config.rpn_pre_nms)).sum();
        offered.min(self.config.rpn_post_nms)
    }

    /// Multiply-adds of an image whose levels have these sides.
    pub fn macs(&self, sides: &[usize]) -> u64 {
        sides.iter().map(|&side| self.conv.macs(side) + self.objectness.macs(side) + self.code.macs(side)).sum()
    }

    /// The best boxes of each level after suppression, then the best of all levels. No gradient passes.
    pub fn propose(&self, output: &RpnOutput) -> Proposals {
        tch::no_grad(|| {
            let (mut all_boxes, mut all_scores) = (Vec::new(), Vec::new());
            let mut start = 0;
            for &count in &self.per_level {
                let k = count.min(self.config.rpn_pre_nms as i64);
                let (score, index) = output.objectness.narrow(1, start, count).topk(k, 1, true, true);
                let code = gather_rows(&output.code.narrow(1, start, count), &index);
                let anchors = self.anchors.narrow(0, start, count).index_select(0, &index.view([-1]));
                let boxes = boxes::decode(&code, &anchors.view([-1, k, 4]), CODE);
                let boxes = boxes::clip(&boxes, self.image_size);
                let real = boxes::area(&boxes).gt(1e-6);
                let keep = nms(&boxes, &real, self.config.rpn_nms);
                all_scores.push(score.masked_fill(&keep.logical_not(), f64::NEG_INFINITY));
                all_boxes.push(boxes);
                start += count;
            }
            let scores = Tensor::cat(&all_scores, 1);
            let k = scores.size()[1].min(self.config.rpn_post_nms as i64);
            let (score, index) = scores.topk(k, 1, true, true);
            Proposals { boxes: gather_rows(&Tensor::cat(&all_boxes, 1), &index), real: score.isfinite() }
        })
    }

    /// Objectness and box loss, scalars: [`objectness_loss`] of a random sample, [`box_loss`] of every foreground anchor.
    pub fn losses(&self, output: &RpnOutput, targets: &Targets) -> (Tensor, Tensor) {
        let (sample, anchors) = tch::no_grad(|| {
            let anchors = label_anchors(&self.anchors, targets);
            let (all, half) = (self.config.rpn_batch, self.config.rpn_batch / 2);
            (balanced(&anchors.foreground, &anchors.background, all, half), anchors)
        });
        let objectness = objectness_loss(&output.objectness, &sample);
        (objectness, box_loss(&output.code, &self.anchors, &self.per_level, &anchors, targets))
    }
}

/// Which of the anchors `[A,4]` are foreground: those of IoU 0.7 or more with a ground truth, and every ground truth's best
/// anchors, however small their IoU (but over 0); several where they are equal. Background has less than 0.3 with all.
pub fn label_anchors(anchors: &Tensor, targets: &Targets) -> Candidates {
    let found = assign(&anchors.unsqueeze(0), &targets.boxes, &targets.real());
    let most = found.iou.amax([1].as_slice(), true);
    let best_of_some = found.iou.eq_tensor(&most).logical_and(&most.gt(0.0)).any_dim(2, false);
    let foreground = found.best.ge(FOREGROUND).logical_or(&best_of_some);
    let background = found.best.lt(BACKGROUND).logical_and(&foreground.logical_not());
    Candidates { foreground, background, truth: found.index }
}

/// Binary cross-entropy of the logits `[B,A]`, averaged over the sampled anchors; a scalar.
pub fn objectness_loss(objectness: &Tensor, sample: &Sample) -> Tensor {
    let logits = objectness.gather(1, &sample.index, false);
    let label = sample.foreground.to_kind(Kind::Float);
    let real = sample.real.to_kind(Kind::Float);
    let entropy = logits.binary_cross_entropy_with_logits(&label, Some(&real), None::<&Tensor>, tch::Reduction::Sum);
    entropy / real.sum(Kind::Float).clamp_min(1.0)
}

/// Huber loss (delta 1/9) of the code `[B,A,4]` of the anchors `[A,4]`: the sum over the levels of each level's mean, so that
/// a level with few foreground anchors weighs as much as one with many; a scalar.
///
/// As google-research/google-research `moe_mtl/losses/maskrcnn_losses.py` (`RpnBoxLoss`, `compute_weighted_loss`) has it: a
/// level's loss is summed over the coordinates of the whole batch whose target isn't exactly 0 and divided by their number +
/// 0.01. Targets exist for every foreground anchor, sampled for the objectness or not (`fvlm/data/dataloader/anchor.py`).
/// `per_level` has the number of anchors of each level, in their order.
pub fn box_loss(code: &Tensor, anchors: &Tensor, per_level: &[i64], labels: &Candidates, targets: &Targets) -> Tensor {
    let target = boxes::encode(&gather_rows(&targets.boxes, &labels.truth), &anchors.unsqueeze(0), CODE);
    let counted = target.ne(0.0).logical_and(&labels.foreground.unsqueeze(-1)).to_kind(Kind::Float);
    let loss = code.huber_loss(&target, tch::Reduction::None, DELTA) * &counted;
    // [B,A,4] -> [levels]
    let by_level = |x: &Tensor| {
        let levels = x.split_with_sizes(per_level, 1);
        Tensor::stack(&levels.iter().map(|level| level.sum(Kind::Float)).collect::<Vec<_>>(), 0)
    };
    (by_level(&loss) / (by_level(&counted) + COORDINATES_MORE)).sum(Kind::Float)
}
