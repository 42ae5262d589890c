//! From scored boxes to detections: threshold, suppression class by class, the best of each image; on the CPU.

use rayon::prelude::*;
use tch::{Device, Tensor};

use super::mask_head::MASK;
use super::nms::{suppress, to_vec_f32};

/// What is kept of the detections of an image.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Only detections of a higher score are kept; 0 to 1.
    pub score: f64,
    /// IoU over which the lower-scored detection of the same class is suppressed.
    pub nms: f64,
    /// Detections kept per image.
    pub count: usize,
}

/// One detection in pixels of the model's input.
#[derive(Clone, Debug)]
pub struct Detection {
    /// x1 y1 x2 y2.
    pub bbox: [f32; 4],
    /// 0-based class.
    pub label: usize,
    /// 0 to 1.
    pub score: f32,
    /// 28x28 probabilities within the box, row by row.
    pub mask: Vec<f32>,
}

/// The detections of each image of a batch, best first.
pub type Detections = Vec<Vec<Detection>>;

/// Scores `[B,P,C+1]` (class 0 is background), boxes `[B,P,4]`, `real` `[B,P]` -> detections without masks.
pub(super) fn select(scores: &Tensor, boxes: &Tensor, real: &Tensor, limits: &Limits) -> Detections {
    let (b, p, c) = (scores.size()[0] as usize, scores.size()[1] as usize, scores.size()[2] as usize);
    let (scores, boxes, real) = (to_vec_f32(scores), to_vec_f32(boxes), to_vec_f32(&real.to_kind(tch::Kind::Float)));
    (0..b)
        .into_par_iter()
        .map(|i| {
            let scores = &scores[i * p * c..(i + 1) * p * c];
            let boxes = &boxes[i * p * 4..(i + 1) * p * 4];
            let mut found: Vec<Detection> = (1..c)
                .flat_map(|class| best_of_class(class, c, scores, boxes, &real[i * p..(i + 1) * p], limits))
                .collect();
            // Equal scores keep the order of classes and proposals.
            found.sort_by(|a, b| b.score.total_cmp(&a.score));
            found.truncate(limits.count);
            found
        })
        .collect()
}

fn best_of_class(
    class: usize,
    classes: usize,
    scores: &[f32],
    boxes: &[f32],
    real: &[f32],
    limits: &Limits,
) -> Vec<Detection> {
    let score = |p: usize| scores[p * classes + class];
    let mut order: Vec<usize> =
        (0..real.len()).filter(|&p| real[p] > 0.0 && f64::from(score(p)) > limits.score).collect();
    order.sort_by(|&a, &b| score(b).total_cmp(&score(a)));
    let flat: Vec<f32> = order.iter().flat_map(|&p| boxes[4 * p..4 * p + 4].iter().copied()).collect();
    let mut keep: Vec<bool> = flat.chunks(4).map(|b| b[2] > b[0] && b[3] > b[1]).collect();
    suppress(&flat, &mut keep, limits.nms as f32);
    order
        .iter()
        .zip(flat.chunks(4))
        .zip(keep)
        .filter(|(_, keep)| *keep)
        .map(|((&p, b), _)| Detection {
            bbox: [b[0], b[1], b[2], b[3]],
            label: class - 1,
            score: score(p),
            mask: Vec::new(),
        })
        .collect()
}

/// Boxes `[B,K,4]` and labels `[B,K]` of the detections, padded with empty boxes; K at least 1.
pub(super) fn padded(found: &Detections, device: Device) -> (Tensor, Tensor) {
    let k = found.iter().map(Vec::len).max().unwrap_or(0).max(1);
    let mut boxes = vec![0f32; found.len() * k * 4];
    let mut labels = vec![0i64; found.len() * k];
    for (i, image) in found.iter().enumerate() {
        for (j, detection) in image.iter().enumerate() {
            boxes[(i * k + j) * 4..][..4].copy_from_slice(&detection.bbox);
            labels[i * k + j] = detection.label as i64;
        }
    }
    let size = [found.len() as i64, k as i64];
    (
        Tensor::from_slice(&boxes).view([size[0], size[1], 4]).to_device(device),
        Tensor::from_slice(&labels).view(size).to_device(device),
    )
}

/// Gives each detection its mask; masks `[B,K,28,28]`.
pub(super) fn with_masks(mut found: Detections, masks: &Tensor) -> Detections {
    let k = masks.size()[1] as usize;
    let pixels = (MASK * MASK) as usize;
    let flat = to_vec_f32(masks);
    for (i, image) in found.iter_mut().enumerate() {
        for (j, detection) in image.iter_mut().enumerate() {
            detection.mask = flat[(i * k + j) * pixels..][..pixels].to_vec();
        }
    }
    found
}
