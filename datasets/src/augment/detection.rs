//! Detection samples: where an image lies on its square canvas, and its boxes and masks there.

use super::pixels::{resize_box, write_normalised};
use crate::config::DetectionOptions;
use crate::image::Image;
use crate::mask::{Region, Rle};
use crate::rng::Rng;

/// Guards `floor` against a product that is a whole number but for rounding.
const SLACK: f64 = 1e-6;

/// Where the image lies on the canvas: scaled, cut at `offset`, laid in the top left corner, perhaps mirrored.
///
/// One scale serves both axes exactly: a strip narrower than one canvas pixel may be lost at the right and the bottom,
/// and in return boxes map back to the image without rounding.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placement {
    /// Canvas pixels per original pixel.
    pub scale: f64,
    /// First column and row kept of the scaled image.
    pub offset: [u32; 2],
    /// Columns and rows of the canvas that the image covers.
    pub extent: [u32; 2],
    /// Left and right exchanged within the extent.
    pub mirrored: bool,
}

impl Placement {
    /// The whole image on the canvas, aspect ratio kept: what evaluation uses.
    pub fn fit(width: u32, height: u32, side: u32) -> Self {
        Self::at_scale(fit_scale(width, height, side), width, height, side).0
    }

    /// Random scale (relative to the scale that fits), random cut where the scaled image is larger than the canvas,
    /// random flip. The scheme of TensorFlow's `resize_and_crop_image` with `aug_scale_min` and `aug_scale_max`.
    pub fn random(rng: &mut Rng, options: &DetectionOptions, width: u32, height: u32, side: u32) -> Self {
        let [from, to] = options.scale_jitter.map(f64::from);
        let scale = fit_scale(width, height, side) * rng.uniform(from, to);
        let (mut placement, scaled) = Self::at_scale(scale, width, height, side);
        placement.offset = std::array::from_fn(|axis| {
            let room = scaled[axis] - u64::from(placement.extent[axis]);
            rng.below(room + 1) as u32
        });
        placement.mirrored = options.flip && rng.coin();
        placement
    }

    /// At a scale and without offset; also the scaled image's columns and rows.
    fn at_scale(scale: f64, width: u32, height: u32, side: u32) -> (Self, [u64; 2]) {
        let scaled = [width, height].map(|n| ((f64::from(n) * scale + SLACK).floor() as u64).max(1));
        let placement =
            Placement { scale, offset: [0, 0], extent: scaled.map(|n| n.min(u64::from(side)) as u32), mirrored: false };
        (placement, scaled)
    }

    /// A box `x y w h` of the original image as `x1 y1 x2 y2` on the canvas, clipped to the part that shows the image.
    pub fn box_to_canvas(&self, bbox: [f64; 4]) -> [f64; 4] {
        let [w, h] = self.extent.map(f64::from);
        let x1 = bbox[0] * self.scale - f64::from(self.offset[0]);
        let x2 = (bbox[0] + bbox[2]) * self.scale - f64::from(self.offset[0]);
        let y1 = bbox[1] * self.scale - f64::from(self.offset[1]);
        let y2 = (bbox[1] + bbox[3]) * self.scale - f64::from(self.offset[1]);
        let (x1, x2) = if self.mirrored { (w - x2, w - x1) } else { (x1, x2) };
        [x1.clamp(0.0, w), y1.clamp(0.0, h), x2.clamp(0.0, w), y2.clamp(0.0, h)]
    }

    /// A point of the canvas in the original image.
    pub fn point_to_image(&self, x: f64, y: f64) -> [f64; 2] {
        let x = if self.mirrored { f64::from(self.extent[0]) - x } else { x };
        [(x + f64::from(self.offset[0])) / self.scale, (y + f64::from(self.offset[1])) / self.scale]
    }

    /// Writes the image to `canvas` `[3, side, side]`, normalised; the uncovered part is 0.
    pub fn draw(&self, image: &Image, options: &DetectionOptions, side: usize, canvas: &mut [f32]) {
        let area = [
            f64::from(self.offset[0]) / self.scale,
            f64::from(self.offset[1]) / self.scale,
            f64::from(self.extent[0]) / self.scale,
            f64::from(self.extent[1]) / self.scale,
        ];
        let placed = resize_box(image, area, self.extent[0], self.extent[1]);
        write_normalised(&placed, self.mirrored, options.mean, options.std, side, canvas);
    }

    /// The mask cropped to a canvas box and resampled to `cells` x `cells`: bilinear at the cells' centres, set from
    /// one half up, as TensorFlow's `crop_mask_in_target_box` does. False, with `out` untouched, when no pixel of the
    /// mask reaches into the box.
    pub fn crop_mask(&self, mask: &Rle, canvas_box: [f64; 4], cells: usize, out: &mut [u8]) -> bool {
        let [x1, y1, x2, y2] = canvas_box;
        let (a, b) = (self.point_to_image(x1, y1), self.point_to_image(x2, y2));
        let low = |v: f64| (v.floor() - 1.0).max(0.0) as u32;
        let high = |v: f64| (v.ceil() + 1.0).max(0.0) as u32;
        let (left, right) = (a[0].min(b[0]), a[0].max(b[0]));
        // A margin of one pixel for the bilinear weights.
        let region = mask.region(low(left), low(a[1]), high(right), high(b[1]));
        // What lies in the margin alone is out of sight.
        let first = |v: f64| (v + SLACK).floor().max(0.0) as u32;
        let end = |v: f64| (v - SLACK).ceil().max(0.0) as u32;
        if !region.any_in(first(left), first(a[1]), end(right), end(b[1])) {
            return false;
        }
        let step = [(x2 - x1) / cells as f64, (y2 - y1) / cells as f64];
        let columns: Vec<f64> =
            (0..cells).map(|j| self.point_to_image(x1 + (j as f64 + 0.5) * step[0], 0.0)[0] - 0.5).collect();
        for i in 0..cells {
            let v = self.point_to_image(0.0, y1 + (i as f64 + 0.5) * step[1])[1] - 0.5;
            for (j, &u) in columns.iter().enumerate() {
                out[i * cells + j] = u8::from(bilinear(&region, u, v) >= 0.5);
            }
        }
        true
    }
}

fn fit_scale(width: u32, height: u32, side: u32) -> f64 {
    f64::from(side) / f64::from(width.max(height))
}

fn bilinear(region: &Region, u: f64, v: f64) -> f64 {
    let (x, y) = (u.floor(), v.floor());
    let (fx, fy) = (u - x, v - y);
    let (x, y) = (x as i64, y as i64);
    let at = |dx: i64, dy: i64| f64::from(region.at(x + dx, y + dy));
    at(0, 0) * (1.0 - fx) * (1.0 - fy) + at(1, 0) * fx * (1.0 - fy) + at(0, 1) * (1.0 - fx) * fy + at(1, 1) * fx * fy
}
