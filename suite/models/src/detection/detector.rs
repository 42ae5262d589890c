//! The detector as a whole: losses of a batch, detections of a batch.

use tch::{Device, Tensor};

use super::mask_head::MaskHead;
use super::pyramid::Pyramid;
use super::results::{self, Detections, Limits};
use super::roi_align::{Levels, Rows};
use super::roi_head::RoiHead;
use super::rpn::Rpn;
use crate::config::ModelConfig;
use crate::params::Scope;
use crate::vit::Mode;

/// Padded ground truth of a batch, on the model's device.
pub struct Targets {
    /// `[B,G,4]` f32 in pixels of the model's input.
    pub boxes: Tensor,
    /// 0-based classes, -1 for padding: `[B,G]` int64.
    pub labels: Tensor,
    /// Each mask within its box: `[B,G,M,M]` uint8, 0 and 1.
    pub masks: Tensor,
}

impl Targets {
    /// Which are not padding: `[B,G]` bool.
    pub fn real(&self) -> Tensor {
        self.labels.ge(0)
    }
}

/// Loss terms by name; their sum is the task's loss.
pub type Losses = Vec<(String, Tensor)>;

#[derive(Debug)]
pub struct Detector {
    pyramid: Pyramid,
    rpn: Rpn,
    roi_head: RoiHead,
    mask_head: MaskHead,
    /// Sides in cells of the backbone's map and of the levels, finest first.
    side: usize,
    sides: Vec<usize>,
    levels: Levels,
}

impl Detector {
    /// Creates its weights below `scope` for maps of the backbone's width and `classes` classes without background.
    pub fn new(mut scope: Scope, model: &ModelConfig, classes: usize, device: Device) -> Self {
        let (input, config) = (&model.inputs.detection, &model.detector);
        let sides = Pyramid::sides(input, config);
        Self {
            pyramid: Pyramid::new(scope.sub("pyramid"), model.backbone.width, input, config),
            rpn: Rpn::new(scope.sub("rpn"), input, &sides, config, device),
            roi_head: RoiHead::new(scope.sub("roi"), classes, input.image_size, config),
            mask_head: MaskHead::new(scope.sub("mask"), classes, config),
            levels: Levels::new(&sides, config.min_level, device),
            side: input.image_size / input.patch_size,
            sides,
        }
    }

    /// Losses of a batch with feature map `[B,D,Y,X]`: `rpn_objectness`, `rpn_box`, `class` and `box` (in a cascade with the
    /// number of the stage, divided by the number of stages), `mask`. Samples are drawn from the default generator in both
    /// modes; `mode` says which statistics batch norms use.
    pub fn losses(&self, map: &Tensor, targets: &Targets, mode: Mode) -> Losses {
        let pyramid = self.pyramid.forward(map, mode);
        let rpn = self.rpn.forward(&pyramid, mode);
        let (objectness, rpn_box) = self.rpn.losses(&rpn, targets);
        let mut losses = vec![("rpn_objectness".to_owned(), objectness), ("rpn_box".to_owned(), rpn_box)];
        let rois = self.roi_head.sample(&self.rpn.propose(&rpn), targets);
        let rows = Rows::new(&pyramid, &self.levels);
        let stages = self.roi_head.losses(&rows, &rois, targets, mode);
        let many = stages.len() > 1;
        for (s, (class, code)) in stages.into_iter().enumerate() {
            let suffix = if many { format!("_{}", s + 1) } else { String::new() };
            losses.push((format!("class{suffix}"), class));
            losses.push((format!("box{suffix}"), code));
        }
        losses.push(("mask".to_owned(), self.mask_head.loss(&rows, &rois, targets, mode)));
        losses
    }

    /// Multiply-adds of one image in evaluation: box heads for every proposal, the mask head for `detections`. RoIAlign, which
    /// weights and adds, isn't counted.
    pub fn macs(&self, detections: usize) -> u64 {
        self.pyramid.macs(self.side, &self.sides)
            + self.rpn.macs(&self.sides)
            + self.roi_head.macs(self.rpn.proposals())
            + self.mask_head.macs(detections)
    }

    /// Detections of a batch with feature map `[B,D,Y,X]`.
    pub fn detect(&self, map: &Tensor, limits: &Limits) -> Detections {
        tch::no_grad(|| {
            let pyramid = self.pyramid.forward(map, Mode::Evaluate);
            let proposals = self.rpn.propose(&self.rpn.forward(&pyramid, Mode::Evaluate));
            let rows = Rows::new(&pyramid, &self.levels);
            let (scores, boxes) = self.roi_head.predict(&rows, &proposals);
            let found = results::select(&scores, &boxes, &proposals.real, limits);
            let (boxes, labels) = results::padded(&found, map.device());
            let masks = self.mask_head.forward(&rows, &boxes, &labels, Mode::Evaluate).sigmoid();
            results::with_masks(found, &masks)
        })
    }
}
