//! Anchors: the boxes that the region proposal network starts from.

use tch::Tensor;

/// Anchors of one level in torchvision's arrangement: for every cell, row by row, one per ratio (height over width),
/// of `size`² area, centred on the cell's top left corner and rounded to whole pixels: [Y·X·ratios, 4] f32 on the CPU.
pub fn level(side: usize, stride: usize, size: f64, ratios: &[f64]) -> Tensor {
    let mut flat = Vec::with_capacity(side * side * ratios.len() * 4);
    for y in 0..side {
        for x in 0..side {
            for ratio in ratios {
                let half_h = (size * ratio.sqrt() / 2.0).round_ties_even();
                let half_w = (size / ratio.sqrt() / 2.0).round_ties_even();
                let (cx, cy) = ((x * stride) as f64, (y * stride) as f64);
                flat.extend([cx - half_w, cy - half_h, cx + half_w, cy + half_h].map(|v| v as f32));
            }
        }
    }
    Tensor::from_slice(&flat).view([-1, 4])
}
