//! The mask head: a small mask of every class for each RoI.

use tch::{Device, Kind, Tensor};

use super::detector::Targets;
use super::norm::Norm;
use super::roi_align::Rows;
use super::roi_head::Rois;
use super::sampling::gather_rows;
use crate::config::DetectorConfig;
use crate::layers::{Conv, Upsample};
use crate::params::{Init, Scope};
use crate::vit::Mode;

/// Side of the features that the mask head sees; its masks have twice that.
const SIDE: usize = 14;
/// Side of a predicted mask.
pub const MASK: i64 = 2 * SIDE as i64;

#[derive(Debug)]
pub struct MaskHead {
    convs: Vec<Conv>,
    conv_norms: Vec<Norm>,
    up: Upsample,
    up_norm: Norm,
    mask: Conv,
    rois: i64,
}

impl MaskHead {
    pub fn new(mut scope: Scope, classes: usize, config: &DetectorConfig) -> Self {
        let c = config.channels;
        Self {
            convs: (0..config.mask_convs)
                .map(|i| Conv::new(scope.sub("conv").sub(i), c, c, 3, Init::FanIn { gain: 2.0 }))
                .collect(),
            conv_norms: (0..config.mask_convs)
                .map(|i| Norm::new(scope.sub("conv_norm").sub(i), config.norm, c))
                .collect(),
            up: Upsample::new(scope.sub("up"), c, c),
            up_norm: Norm::new(scope.sub("up_norm"), config.norm, c),
            mask: Conv::new(scope.sub("mask"), c, classes, 1, Init::FanIn { gain: 1.0 }),
            rois: config.mask_rois as i64,
        }
    }

    /// Boxes `[B,P,4]` and their labels `[B,P]` int64 (0-based, no background) -> mask logits `[B,P,28,28]` f32.
    pub fn forward(&self, rows: &Rows, boxes: &Tensor, labels: &Tensor, mode: Mode) -> Tensor {
        let (b, p) = (boxes.size()[0], boxes.size()[1]);
        let mut x = rows.align(boxes, SIDE);
        for (conv, norm) in self.convs.iter().zip(&self.conv_norms) {
            x = norm.forward(conv.forward(&x), mode).relu();
        }
        let all = self.mask.forward(&self.up_norm.forward(self.up.forward(&x), mode).relu());
        let class = labels.clamp_min(0).view([-1, 1, 1, 1]).expand([-1, -1, MASK, MASK], false);
        all.gather(1, &class, false).view([b, p, MASK, MASK]).to_kind(Kind::Float)
    }

    /// Multiply-adds of an image with `detections` detections.
    pub fn macs(&self, detections: usize) -> u64 {
        let convs: u64 = self.convs.iter().map(|conv| conv.macs(SIDE)).sum();
        detections as u64 * (convs + self.up.macs(SIDE) + self.mask.macs(2 * SIDE))
    }

    /// Binary cross-entropy, averaged over the pixels of the foreground RoIs.
    pub fn loss(&self, rows: &Rows, rois: &Rois, targets: &Targets, mode: Mode) -> Tensor {
        let slots = self.rois.min(rois.boxes.size()[1]);
        // Foreground comes first. On a CPU it costs nothing to ask how much there is, and background is left out; on a GPU
        // asking would stop the step. The statistics of a batch norm are over all of them, on every device.
        let slots = match rois.boxes.device() {
            Device::Cpu if !self.up_norm.over_batch() => {
                slots.min(rois.foreground.sum_dim_intlist([1].as_slice(), false, Kind::Int64).max().int64_value(&[]))
            }
            _ => slots,
        };
        let first = |t: &Tensor| t.narrow(1, 0, slots.max(1));
        let (boxes, truth, foreground) = (first(&rois.boxes), first(&rois.truth), first(&rois.foreground));
        let target = tch::no_grad(|| crop(&boxes, &truth, targets));
        let logits = self.forward(rows, &boxes, &targets.labels.gather(1, &truth, false), mode);
        mask_loss(&logits, &target, &foreground)
    }
}

/// Binary cross-entropy of mask logits and targets `[B,R,28,28]`, averaged over the pixels of the RoIs that `foreground`
/// `[B,R]` bool selects; a scalar.
pub fn mask_loss(logits: &Tensor, target: &Tensor, foreground: &Tensor) -> Tensor {
    let weight = foreground.to_kind(Kind::Float).unsqueeze(-1).unsqueeze(-1);
    let entropy = logits.binary_cross_entropy_with_logits(
        target,
        Some(&weight.expand_as(target)),
        None::<&Tensor>,
        tch::Reduction::Sum,
    );
    entropy / (weight.sum(Kind::Float) * (MASK * MASK) as f64).clamp_min(1.0)
}

/// The part of its ground truth's mask that each RoI sees: boxes `[B,R,4]`, truth `[B,R]` -> `[B,R,28,28]` of 0 and 1.
pub fn crop(boxes: &Tensor, truth: &Tensor, targets: &Targets) -> Tensor {
    let (b, r) = (boxes.size()[0], boxes.size()[1]);
    let side = targets.masks.size()[3];
    let masks = gather_rows(&targets.masks, truth).view([b * r, 1, side, side]).to_kind(Kind::Float);
    let frame = gather_rows(&targets.boxes, truth);
    // The centres of the RoI's pixels, in a frame where the ground truth's box is -1 .. 1.
    let centre = (Tensor::arange(MASK, (Kind::Float, boxes.device())) + 0.5) / MASK as f64;
    let axis = |low: i64, high: i64| {
        let (roi_low, roi_high) = (boxes.select(2, low).unsqueeze(-1), boxes.select(2, high).unsqueeze(-1));
        let (low, high) = (frame.select(2, low).unsqueeze(-1), frame.select(2, high).unsqueeze(-1));
        let at = &roi_low + (&roi_high - &roi_low) * &centre;
        ((at - &low) / (high - low).clamp_min(1e-3) * 2.0 - 1.0).view([b * r, MASK])
    };
    let (x, y) = (axis(0, 2), axis(1, 3));
    let shape = [b * r, MASK, MASK];
    let grid = Tensor::stack(&[x.unsqueeze(1).expand(shape, false), y.unsqueeze(2).expand(shape, false)], 3);
    let (bilinear, zeros) = (0, 0);
    masks.grid_sampler(&grid, bilinear, zeros, false).ge(0.5).to_kind(Kind::Float).view([b, r, MASK, MASK])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One image with one ground truth in the box (10, 20) to (38, 48), whose mask [28,28] is `inside(x, y)`.
    fn targets(inside: impl Fn(i64, i64) -> bool) -> Targets {
        let mask: Vec<u8> = (0..MASK * MASK).map(|i| u8::from(inside(i % MASK, i / MASK))).collect();
        Targets {
            boxes: Tensor::from_slice(&[10f32, 20.0, 38.0, 48.0]).view([1, 1, 4]),
            labels: Tensor::from_slice(&[0i64]).view([1, 1]),
            masks: Tensor::from_slice(&mask).view([1, 1, MASK, MASK]),
        }
    }

    fn seen(roi: [f32; 4], targets: &Targets) -> Vec<f32> {
        let roi = Tensor::from_slice(&roi).view([1, 1, 4]);
        Vec::try_from(crop(&roi, &Tensor::zeros([1, 1], (Kind::Int64, Device::Cpu)), targets).view([-1])).unwrap()
    }

    #[test]
    fn the_ground_truths_own_box_sees_its_whole_mask() {
        let inside = |x: i64, y: i64| (x * 7 + y * 3) % 5 == 0;
        let whole = seen([10.0, 20.0, 38.0, 48.0], &targets(inside));
        assert!((0..MASK * MASK).all(|i| (whole[i as usize] == 1.0) == inside(i % MASK, i / MASK)));
    }

    #[test]
    fn a_part_of_the_box_sees_that_part_and_nothing_lies_outside() {
        // The mask's left half is set: in pixels, x from 10 to 24.
        let targets = targets(|x, _| x < MASK / 2);
        // An RoI of twice the width from the same corner: 28 columns of 2 px, the first 7 are set.
        let wide = seen([10.0, 20.0, 66.0, 48.0], &targets);
        assert!((0..MASK * MASK).all(|i| (wide[i as usize] == 1.0) == (i % MASK < 7)), "{wide:?}");
        // Beside the box there is nothing.
        assert!(seen([40.0, 20.0, 60.0, 48.0], &targets).iter().all(|&v| v == 0.0));
    }
}
