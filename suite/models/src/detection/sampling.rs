//! Which boxes a loss looks at: assignment to ground truth and random samples of fixed size.

use tch::{Kind, Tensor};

use super::boxes;

/// The best ground truth of each box.
pub struct Assignment {
    /// IoU with every ground truth, -1 where that is padding: `[B,N,G]`.
    pub iou: Tensor,
    /// The highest of them: `[B,N]`.
    pub best: Tensor,
    /// Whose it is: `[B,N]` int64.
    pub index: Tensor,
}

/// Assigns boxes `[B,N,4]` (or `[N,4]`, the same for every image) to ground truths `[B,G,4]`; `real` `[B,G]` bool.
pub fn assign(boxes: &Tensor, truth: &Tensor, real: &Tensor) -> Assignment {
    let iou = boxes::iou(boxes, truth).masked_fill(&real.unsqueeze(1).logical_not(), -1.0);
    let (best, index) = iou.max_dim(2, false);
    Assignment { iou, best, index }
}

/// What a loss may draw of the boxes of a batch; a box in neither set is ignored.
pub struct Candidates {
    /// `[B,N]` bool.
    pub foreground: Tensor,
    /// `[B,N]` bool, disjoint from `foreground`.
    pub background: Tensor,
    /// The ground truth each box overlaps most, the first of equals: `[B,N]` int64. Without meaning where an image has none.
    pub truth: Tensor,
}

/// A random sample of boxes, foreground first.
pub struct Sample {
    /// Which boxes: `[B,R]` int64.
    pub index: Tensor,
    /// Which of them are foreground: `[B,R]` bool.
    pub foreground: Tensor,
    /// Which slots are filled at all: `[B,R]` bool.
    pub real: Tensor,
}

/// Draws `count` boxes per image, at most `most` of them foreground, the rest background. `[B,N]` bool both; a box in
/// neither is never drawn. The shape depends on the arguments' shapes alone.
pub fn balanced(foreground: &Tensor, background: &Tensor, count: usize, most: usize) -> Sample {
    let boxes = foreground.size()[1];
    let count = (count as i64).min(boxes);
    let (fg_key, fg_index) = draw(foreground, (most as i64).min(count));
    let (bg_key, bg_index) = draw(background, count);
    // Foreground keys move above all background keys; unfilled slots stay below 0.
    let fg_key = &fg_key + fg_key.ge(0.0).to_kind(Kind::Float) * 2.0;
    let keys = Tensor::cat(&[fg_key, bg_key], 1);
    let (key, slot) = keys.topk(count, 1, true, true);
    let index = Tensor::cat(&[fg_index, bg_index], 1).gather(1, &slot, false);
    Sample { index, foreground: key.ge(2.0), real: key.ge(0.0) }
}

/// Random keys in [0,1) of up to `count` candidates, -1 for an unfilled slot, and whose they are.
fn draw(candidates: &Tensor, count: i64) -> (Tensor, Tensor) {
    let keys = candidates.to_kind(Kind::Float).rand_like().masked_fill(&candidates.logical_not(), -1.0);
    keys.topk(count, 1, true, true)
}

/// Rows of `x` `[B,N,..]` at `index` `[B,R]`: `[B,R,..]`.
pub fn gather_rows(x: &Tensor, index: &Tensor) -> Tensor {
    let mut shape = x.size();
    shape[1] = index.size()[1];
    let mut wide = index.size();
    wide.resize(shape.len(), 1);
    x.gather(1, &index.view(wide.as_slice()).expand(shape.as_slice(), false), false)
}
