//! RoIAlign over all levels and images at once: a weighted sum of rows of the flattened pyramid.
//!
//! Every bin is the mean of 2x2 samples, every sample a bilinear blend of 4 cells: 16 rows a bin, which one
//! `embedding_bag` sums. Equal to torchvision's `roi_align(aligned=True, sampling_ratio=2)` within rounding, several
//! times as fast on a CPU, and deterministic.

use tch::{Device, Kind, Tensor};

/// The levels of a pyramid. Made once for a model: tables made in a step would each be a copy that a GPU waits for.
#[derive(Debug)]
pub struct Levels {
    /// Cells of all finer levels, side in cells, and stride in pixels of each level: [levels] int64.
    before: Tensor,
    side: Tensor,
    stride: Tensor,
    min_level: i64,
}

impl Levels {
    /// Levels of these sides in cells, finest first, the first at stride 2^min_level.
    pub fn new(sides: &[usize], min_level: usize, device: Device) -> Self {
        let sides: Vec<i64> = sides.iter().map(|&side| side as i64).collect();
        let before = sides.iter().scan(0, |sum, side| Some(std::mem::replace(sum, *sum + side * side)));
        let stride = (0..sides.len()).map(|i| 1i64 << (min_level + i));
        let table = |values: &[i64]| Tensor::from_slice(values).to_device(device);
        Self {
            before: table(&before.collect::<Vec<_>>()),
            stride: table(&stride.collect::<Vec<_>>()),
            side: table(&sides),
            min_level: min_level as i64,
        }
    }
}

/// A pyramid laid out as rows of channels: level below level, in each image below image, row by row.
pub struct Rows<'a> {
    /// [rows, C] f32.
    rows: Tensor,
    levels: &'a Levels,
}

impl<'a> Rows<'a> {
    /// From square maps `[B,C,Y,X]`, one for each of `levels`.
    pub fn new(pyramid: &[Tensor], levels: &'a Levels) -> Self {
        let flat = |map: &Tensor| map.permute([0, 2, 3, 1]).flatten(0, 2).to_kind(Kind::Float);
        Self { rows: Tensor::cat(&pyramid.iter().map(flat).collect::<Vec<_>>(), 0), levels }
    }

    /// Features of `boxes` `[B,P,4]` -> `[B·P,C,out,out]`. A box reads the level that fits its size: level 4 at 224 px, one
    /// less for every halving (Lin et al., Feature Pyramid Networks, eq. 1). No gradient reaches the boxes.
    pub fn align(&self, boxes: &Tensor, out: usize) -> Tensor {
        let out = out as i64;
        let (b, p) = (boxes.size()[0], boxes.size()[1]);
        let (index, weight) = tch::no_grad(|| self.bags(&boxes.detach(), out));
        let offsets = Tensor::arange_start_step(0, index.numel() as i64, 16, (Kind::Int64, boxes.device()));
        let (sum, ..) = Tensor::embedding_bag(&self.rows, &index, &offsets, false, 0, false, Some(&weight), false);
        sum.view([b * p, out, out, -1]).permute([0, 3, 1, 2])
    }

    /// Rows `[B·P·out·out·16]` int64 and their weights f32.
    fn bags(&self, boxes: &Tensor, out: i64) -> (Tensor, Tensor) {
        let (b, p) = (boxes.size()[0], boxes.size()[1]);
        let device = boxes.device();
        let (before, side, stride) = self.levels_of(boxes);
        let image = Tensor::arange(b, (Kind::Int64, device)).unsqueeze(1);
        let first = (before * b + image * &side * &side).view([b * p, 1, 1, 1, 1]);
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

    /// Cells before, side and stride of the level of each box `[B,P]` int64.
    fn levels_of(&self, boxes: &Tensor) -> (Tensor, Tensor, Tensor) {
        let last = self.levels.side.size()[0] - 1;
        let size = super::boxes::area(boxes).clamp_min(1e-6).sqrt();
        // The small constant, torchvision's, keeps a size of exactly a power of two on its own level.
        let level = ((size / 224.0).log2() + 4.0 + 1e-6).floor().to_kind(Kind::Int64);
        let level = (level - self.levels.min_level).clamp(0, last).view([-1]);
        let pick = |table: &Tensor| table.index_select(0, &level).view([boxes.size()[0], boxes.size()[1]]);
        (pick(&self.levels.before), pick(&self.levels.side), pick(&self.levels.stride))
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
