//! Exact greedy non-maximum suppression of many sets of boxes at once, in two ways that give the same result.
//!
//! On a CPU the plain loop is the faster one; on a GPU it would wait for the host at every box, the fixpoint only once
//! per round.

use rayon::prelude::*;
use tch::{Device, Kind, Tensor};

use super::boxes;

/// Which boxes survive. `boxes` `[M,K,4]` f32, each of the M sets sorted by falling score; `real` `[M,K]` bool: others
/// neither survive nor suppress; a box is suppressed by a better survivor of IoU > `threshold`. -> `[M,K]` bool.
pub fn nms(boxes: &Tensor, real: &Tensor, threshold: f64) -> Tensor {
    if boxes.device() == Device::Cpu { by_loop(boxes, real, threshold) } else { by_fixpoint(boxes, real, threshold) }
}

/// The reference: box by box, in parallel over the sets, on the CPU.
pub fn by_loop(boxes: &Tensor, real: &Tensor, threshold: f64) -> Tensor {
    let (m, k) = (boxes.size()[0], boxes.size()[1] as usize);
    let flat = to_vec_f32(boxes);
    let mut keep = to_vec_bool(real);
    if k > 0 {
        keep.par_chunks_mut(k)
            .zip(flat.par_chunks(4 * k))
            .for_each(|(keep, set)| suppress(set, keep, threshold as f32));
    }
    Tensor::from_slice(&keep).view([m, k as i64]).to_device(boxes.device())
}

/// One set: `boxes` are K times x1 y1 x2 y2, best first; clears `keep` where a box is suppressed.
pub fn suppress(boxes: &[f32], keep: &mut [bool], threshold: f32) {
    let area = |b: &[f32]| (b[2] - b[0]) * (b[3] - b[1]);
    for i in 0..keep.len() {
        if !keep[i] {
            continue;
        }
        let a = &boxes[4 * i..4 * i + 4];
        let area_a = area(a);
        for j in i + 1..keep.len() {
            if !keep[j] {
                continue;
            }
            let b = &boxes[4 * j..4 * j + 4];
            let width = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0);
            let height = (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
            let shared = width * height;
            if shared / (area_a + area(b) - shared) > threshold {
                keep[j] = false;
            }
        }
    }
}

/// All sets at once: a box survives when no better survivor covers it. Starting from "all survive" and repeating until
/// nothing changes ends at the greedy result: after round r the first r boxes of every set are settled.
pub fn by_fixpoint(boxes: &Tensor, real: &Tensor, threshold: f64) -> Tensor {
    let covers = boxes::iou(boxes, boxes).gt(threshold).triu(1);
    let mut keep = real.shallow_clone();
    loop {
        let covered = covers.logical_and(&keep.unsqueeze(-1)).any_dim(1, false);
        let next = real.logical_and(&covered.logical_not());
        if next.equal(&keep) {
            return keep;
        }
        keep = next;
    }
}

/// The values of a f32 tensor, row by row.
pub(super) fn to_vec_f32(x: &Tensor) -> Vec<f32> {
    let x = x.to_device(Device::Cpu).to_kind(Kind::Float).contiguous();
    let mut out = vec![0f32; x.numel()];
    x.copy_data(&mut out, x.numel());
    out
}

fn to_vec_bool(x: &Tensor) -> Vec<bool> {
    let x = x.to_device(Device::Cpu).to_kind(Kind::Bool).contiguous();
    let mut out = vec![false; x.numel()];
    x.copy_data(&mut out, x.numel());
    out
}
