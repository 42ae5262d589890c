//! RoIAlign over all levels and images at once: a weighted sum of rows of the flattened pyramid.
//!
//! Every bin is the mean of 2x2 samples, every sample a bilinear blend of 4 cells: 16 rows a bin, which one
//! `embedding_bag` sums. Equal to torchvision's `roi_align(aligned=True, sampling_ratio=2)` within rounding, several
//! times as fast on a CPU, and deterministic.

use tch::{Kind, Tensor};

/// A pyramid laid out as rows of channels, all levels and images below one another.
pub struct Rows {
    /// [rows, C] f32.
    rows: Tensor,
    /// Of each level: its first row, its side, and its stride in pixels, [levels] int64 each.
    levels: [Tensor; 3],
    min_level: i64,
}

impl Rows {
    /// From maps [B,C,Y,X], finest first, the first at stride 2^min_level; all square.
    pub fn new(pyramid: &[Tensor], min_level: usize) -> Self {
        let (mut starts, mut sides, mut strides) = (vec![], vec![], vec![]);
        let mut start = 0;
        let mut parts = Vec::new();
        for (i, map) in pyramid.iter().enumerate() {
            let (b, c, side) = (map.size()[0], map.size()[1], map.size()[2]);
            parts.push(map.permute([0, 2, 3, 1]).reshape([b * side * side, c]).to_kind(Kind::Float));
            starts.push(start);
            sides.push(side);
            strides.push(1i64 << (min_level + i));
            start += b * side * side;
        }
        let rows = Tensor::cat(&parts, 0);
        let levels = [starts, sides, strides].map(|table| Tensor::from_slice(&table).to_device(rows.device()));
        Self { rows, levels, min_level: min_level as i64 }
    }

    /// Features of `boxes` [B,P,4] -> [B·P,C,out,out]. A box reads the level that fits its size: level 4 at 224 px, one
    /// less for every halving (Lin et al., Feature Pyramid Networks, eq. 1). No gradient reaches the boxes.
    pub fn align(&self, boxes: &Tensor, out: usize) -> Tensor {
        let out = out as i64;
        let (b, p) = (boxes.size()[0], boxes.size()[1]);
        let (index, weight) = tch::no_grad(|| self.bags(&boxes.detach(), out));
        let offsets = Tensor::arange_start_step(0, index.numel() as i64, 16, (Kind::Int64, boxes.device()));
        let (sum, ..) = Tensor::embedding_bag(&self.rows, &index, &offsets, false, 0, false, Some(&weight), false);
        sum.view([b * p, out, out, -1]).permute([0, 3, 1, 2])
    }

    /// Rows [B·P·out·out·16] int64 and their weights f32.
    fn bags(&self, boxes: &Tensor, out: i64) -> (Tensor, Tensor) {
        let (b, p) = (boxes.size()[0], boxes.size()[1]);
        let device = boxes.device();
        let (start, side, stride) = self.levels_of(boxes);
        let image = Tensor::arange(b, (Kind::Int64, device)).unsqueeze(1);
        let first = (start + image * &side * &side).view([b * p, 1, 1, 1, 1]);
        let scale = stride.to_kind(Kind::Float).reciprocal();
        let side = side.view([b * p]);
        let edge = |i: i64| (boxes.select(2, i) * &scale - 0.5).view([b * p]);
        let (y_cell, y_weight) = blends(&edge(1), &edge(3), &side, out);
        let (x_cell, x_weight) = blends(&edge(0), &edge(2), &side, out);
        // [B·P, out(y), out(x), 4 cells of y, 4 cells of x]
        let row = |t: &Tensor| t.view([b * p, out, 1, 4, 1]);
        let column = |t: &Tensor| t.view([b * p, 1, out, 1, 4]);
        let index = first + row(&(y_cell * side.view([-1, 1, 1]))) + column(&x_cell);
        let weight = row(&y_weight) * column(&x_weight) * 0.25;
        (index.view([-1]), weight.view([-1]))
    }

    /// First row, side and stride of the level of each box [B,P] int64.
    fn levels_of(&self, boxes: &Tensor) -> (Tensor, Tensor, Tensor) {
        let last = self.levels[0].size()[0] - 1;
        let size = super::boxes::area(boxes).clamp_min(1e-6).sqrt();
        // The small constant, torchvision's, keeps a size of exactly a power of two on its own level.
        let level = ((size / 224.0).log2() + 4.0 + 1e-6).floor().to_kind(Kind::Int64);
        let level = (level - self.min_level).clamp(0, last).view([-1]);
        let [start, side, stride] = &self.levels;
        let pick = |table: &Tensor| table.index_select(0, &level).view([boxes.size()[0], boxes.size()[1]]);
        (pick(start), pick(side), pick(stride))
    }
}

/// Along one axis: the cells and weights of 2 samples a bin, 2 cells a sample: [R, out, 4] int64 and f32. `low` and
/// `high` [R] are a box's edges in cells, `side` [R] int64 the length of its map. A sample more than one cell outside
/// the map has weight 0.
fn blends(low: &Tensor, high: &Tensor, side: &Tensor, out: i64) -> (Tensor, Tensor) {
    let device = low.device();
    let bin = ((high - low) / out as f64).view([-1, 1]);
    let sample = (Tensor::arange(2 * out, (Kind::Float, device)) * 0.5 + 0.25).unsqueeze(0);
    let at = low.view([-1, 1]) + sample * bin; // [R, 2·out]
    let side = side.view([-1, 1]);
    let end = side.to_kind(Kind::Float);
    let inside = at.ge(-1.0).logical_and(&at.le_tensor(&end)).to_kind(Kind::Float);
    let at = at.clamp_min(0.0);
    // A NaN may come as any integer: it must not become a row that isn't there. Its weight stays NaN, for the guard.
    let lower = at.floor().to_kind(Kind::Int64).clamp_min(0).minimum(&(&side - 1));
    let upper = (&lower + 1).minimum(&(&side - 1));
    let part = (at - lower.to_kind(Kind::Float)) * lower.lt_tensor(&(&side - 1)).to_kind(Kind::Float);
    let cells = Tensor::stack(&[&lower, &upper], 2);
    let weights = Tensor::stack(&[(part.ones_like() - &part) * &inside, part * inside], 2);
    (cells.view([-1, out, 4]), weights.view([-1, out, 4]))
}
