//! Boxes: area, intersection over union, clipping, and the code in which a head predicts them.

use tch::Tensor;

/// Longest log-scale step that [`decode`] takes, as torchvision's: a box grows by a factor of 62.5 at the most.
const MAX_LOG_SCALE: f64 = 4.135_166_556_742_356; // ln(1000 / 16)

/// Splits [.., 4] into its four [..] columns.
fn columns(boxes: &Tensor) -> [Tensor; 4] {
    [0, 1, 2, 3].map(|i| boxes.select(-1, i))
}

/// [.., 4] -> [..] in square pixels.
pub fn area(boxes: &Tensor) -> Tensor {
    let [x1, y1, x2, y2] = columns(boxes);
    (x2 - x1) * (y2 - y1)
}

/// Intersection over union of every pair: [.., P, 4] and [.., G, 4] -> [.., P, G]. A pair of empty boxes has 0.
pub fn iou(a: &Tensor, b: &Tensor) -> Tensor {
    let [ax1, ay1, ax2, ay2] = columns(&a.unsqueeze(-2));
    let [bx1, by1, bx2, by2] = columns(&b.unsqueeze(-3));
    let width = (ax2.minimum(&bx2) - ax1.maximum(&bx1)).clamp_min(0.0);
    let height = (ay2.minimum(&by2) - ay1.maximum(&by1)).clamp_min(0.0);
    let shared = width * height;
    let union = area(a).unsqueeze(-1) + area(b).unsqueeze(-2) - &shared;
    shared / union.clamp_min(1e-9)
}

/// Boxes cut at the borders of a square image of `size` pixels.
pub fn clip(boxes: &Tensor, size: i64) -> Tensor {
    boxes.clamp(0.0, size as f64)
}

/// Centre and size of boxes: [.., 4] -> cx, cy, w, h.
fn centres(boxes: &Tensor) -> [Tensor; 4] {
    let [x1, y1, x2, y2] = columns(boxes);
    let (w, h) = (&x2 - &x1, &y2 - &y1);
    [x1 + &w * 0.5, y1 + &h * 0.5, w, h]
}

/// How far `boxes` are from `anchors`: (dx/w, dy/h, ln w'/w, ln h'/h) times `weights`; both [.., 4].
pub fn encode(boxes: &Tensor, anchors: &Tensor, weights: [f64; 4]) -> Tensor {
    let [cx, cy, w, h] = centres(boxes);
    let [ax, ay, aw, ah] = centres(anchors);
    // An empty box belongs to a padded ground truth, which no loss looks at; it must only not become a NaN.
    let (w, h, aw, ah) = (w.clamp_min(1e-3), h.clamp_min(1e-3), aw.clamp_min(1e-3), ah.clamp_min(1e-3));
    let code = [
        (cx - ax) / &aw * weights[0],
        (cy - ay) / &ah * weights[1],
        (w / aw).log() * weights[2],
        (h / ah).log() * weights[3],
    ];
    Tensor::stack(&code, -1)
}

/// The inverse of [`encode`]: code and anchors [.., 4] -> boxes [.., 4].
pub fn decode(code: &Tensor, anchors: &Tensor, weights: [f64; 4]) -> Tensor {
    let [dx, dy, dw, dh] = columns(code);
    let [ax, ay, aw, ah] = centres(anchors);
    let cx = dx / weights[0] * &aw + ax;
    let cy = dy / weights[1] * &ah + ay;
    let half_w = (dw / weights[2]).clamp_max(MAX_LOG_SCALE).exp() * aw * 0.5;
    let half_h = (dh / weights[3]).clamp_max(MAX_LOG_SCALE).exp() * ah * 0.5;
    Tensor::stack(&[&cx - &half_w, &cy - &half_h, cx + half_w, cy + half_h], -1)
}
