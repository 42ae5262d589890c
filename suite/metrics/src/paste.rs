//! Puts a predicted M x M mask into its image, directly as RLE. Sees one mask and one box; it may
//! not touch detections, files, or the whole image.
//!
//! The formula is torchvision 0.26 `paste_masks_in_image(masks, boxes, shape, padding=1) > 0.5`
//! (`torchvision/models/detection/roi_heads.py`): a border of one zero around the mask, the box
//! grown by (M + 2) / M about its centre and truncated to whole pixels, both ends included, and
//! bilinear interpolation with `align_corners=False`.
//!
//! Rounding: PyTorch orders these additions in several ways (its choice depends on the size of the
//! result, the number of threads and the machine), so its own values differ in the last bits.
//! Here the source position is rounded as PyTorch's fused multiply-add rounds it, and the weighted
//! sums are plain f32. Values agree within 1e-6, so only a pixel whose value lies within 1e-6 of
//! one half could differ. On the golden cases none does; over 14 million pixels of random pastes one
//! did, where torchvision's value was exactly 0.5. A constant mask of exactly 0.5 stays background:
//! the two weights never sum to more than one.

use crate::mask::{MaskError, RleString, pixels};

/// Zeros around the mask, in mask pixels, on each side.
const PADDING: usize = 1;
/// A pixel is foreground where the pasted probability is above this.
const THRESHOLD: f32 = 0.5;

/// The mask of one detection in its image, as RLE.
///
/// `mask` is [M, M] probabilities, row by row; `box_xyxy` the detection's corners in pixels of the
/// image, which may cross the image's border. Only pixels inside the box are looked at, column by
/// column; the image is never allocated. A box that lies outside the image, or whose corners are in
/// the wrong order, gives an empty mask (torchvision fails on the first).
///
/// # Errors
/// A slice of another length than M x M; a coordinate that is not finite; an image of more than
/// 2^32 - 1 pixels.
pub fn paste_mask(mask: &[f32], m: usize, box_xyxy: [f32; 4], height: u32, width: u32) -> Result<RleString, MaskError> {
    if m == 0 || m.checked_mul(m) != Some(mask.len()) {
        let side = u32::try_from(m).unwrap_or(u32::MAX);
        return Err(MaskError::Length { found: mask.len(), expected: m.saturating_mul(m), height: side, width: side });
    }
    if box_xyxy.iter().any(|coordinate| !coordinate.is_finite()) {
        return Err(MaskError::NonFiniteBox(box_xyxy));
    }
    pixels(height, width)?;

    let [x0, y0, x1, y1] = expand(box_xyxy, m);
    let columns = Axis::new(x0, x1, width, m);
    let rows = Axis::new(y0, y1, height, m);

    let mut runs = Runs::default();
    let mut along_x = vec![0f32; m + 2 * PADDING];
    for x in columns.visible.clone() {
        let at_x = columns.sample(x);
        // Row j of the padded mask, interpolated at this column; the padding rows stay zero.
        for (j, row) in mask.chunks_exact(m).enumerate() {
            let value = |i: usize| match i.checked_sub(PADDING) {
                Some(i) if i < m => row[i],
                _ => 0.0,
            };
            along_x[j + PADDING] = at_x.mix(value(at_x.low), value(at_x.high));
        }
        let first = x as u64 * u64::from(height);
        for y in rows.visible.clone() {
            let at_y = rows.sample(y);
            if at_y.mix(along_x[at_y.low], along_x[at_y.high]) > THRESHOLD {
                runs.foreground(first + y as u64);
            }
        }
    }
    Ok(RleString::from_runs(height, width, runs.finish(u64::from(height) * u64::from(width))))
}

/// torchvision's `expand_boxes(...).to(int64)`: both ends are part of the box. In f32, as there.
fn expand([x0, y0, x1, y1]: [f32; 4], m: usize) -> [i64; 4] {
    let scale = ((m + 2 * PADDING) as f64 / m as f64) as f32;
    let (half_w, half_h) = ((x1 - x0) * 0.5 * scale, (y1 - y0) * 0.5 * scale);
    let (centre_x, centre_y) = ((x1 + x0) * 0.5, (y1 + y0) * 0.5);
    [centre_x - half_w, centre_y - half_h, centre_x + half_w, centre_y + half_h]
        // Far outside any image nothing changes any more, and the arithmetic after this cannot overflow.
        .map(|coordinate| (coordinate as i64).clamp(-(1 << 40), 1 << 40))
}

/// One axis of the paste: which pixels are in the image and where in the padded mask they sample.
struct Axis {
    /// First pixel of the box; may be negative.
    start: i64,
    /// Pixels of the image that the box covers.
    visible: std::ops::Range<i64>,
    /// Padded mask pixels for one pixel of the box.
    scale: f32,
    /// Last index of the padded mask.
    last: usize,
}

impl Axis {
    fn new(start: i64, end: i64, image: u32, m: usize) -> Self {
        let padded = m + 2 * PADDING;
        let size = (end - start + 1).max(1);
        let visible = start.max(0)..(end + 1).min(i64::from(image));
        Self { start, visible, scale: padded as f32 / size as f32, last: padded - 1 }
    }

    /// PyTorch's `area_pixel_compute_source_index` and its two weights.
    fn sample(&self, pixel: i64) -> Sample {
        let inside = (pixel - self.start) as f32 + 0.5;
        // In f64 the product and the sum are exact: one rounding, as a fused multiply-add has.
        let source = ((f64::from(self.scale) * f64::from(inside) - 0.5) as f32).max(0.0);
        let low = (source as usize).min(self.last);
        let weight = (source - low as f32).clamp(0.0, 1.0);
        Sample { low, high: (low + 1).min(self.last), weights: [1.0 - weight, weight] }
    }
}

struct Sample {
    low: usize,
    high: usize,
    weights: [f32; 2],
}

impl Sample {
    fn mix(&self, low: f32, high: f32) -> f32 {
        self.weights[0] * low + self.weights[1] * high
    }
}

/// RLE runs from foreground pixel numbers in rising order.
#[derive(Default)]
struct Runs {
    counts: Vec<u32>,
    /// One past the last foreground pixel so far.
    end: u64,
}

impl Runs {
    // Every number is below height * width, which `paste_mask` checked to fit u32.
    fn foreground(&mut self, pixel: u64) {
        match self.counts.last_mut() {
            Some(run) if pixel == self.end => *run += 1,
            _ => self.counts.extend([(pixel - self.end) as u32, 1]),
        }
        self.end = pixel + 1;
    }

    fn finish(mut self, pixels: u64) -> Vec<u32> {
        if self.end < pixels || self.counts.is_empty() {
            self.counts.push((pixels - self.end) as u32);
        }
        self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mask::{decode_rows, encode_rows};
    use proptest::prelude::*;

    /// The same formula over the whole image, pixel by pixel, with the padded mask spelled out.
    fn dense(mask: &[f32], m: usize, box_xyxy: [f32; 4], height: u32, width: u32) -> Vec<u8> {
        let side = m + 2;
        let mut padded = vec![0f32; side * side];
        for y in 0..m {
            for x in 0..m {
                padded[(y + 1) * side + x + 1] = mask[y * m + x];
            }
        }
        let [x0, y0, x1, y1] = expand(box_xyxy, m);
        let position = |pixel: i64, start: i64, end: i64| {
            let scale = side as f32 / (end - start + 1).max(1) as f32;
            let inside = (pixel - start) as f32 + 0.5;
            let source = ((f64::from(scale) * f64::from(inside) - 0.5) as f32).max(0.0);
            let low = (source as usize).min(side - 1);
            (low, (low + 1).min(side - 1), (source - low as f32).min(1.0))
        };
        let mut image = vec![0u8; (height * width) as usize];
        for y in 0..i64::from(height) {
            for x in 0..i64::from(width) {
                if x < x0 || x > x1 || y < y0 || y > y1 {
                    continue;
                }
                let (xl, xh, wx) = position(x, x0, x1);
                let (yl, yh, wy) = position(y, y0, y1);
                let row = |r: usize| (1.0 - wx) * padded[r * side + xl] + wx * padded[r * side + xh];
                let value = (1.0 - wy) * row(yl) + wy * row(yh);
                image[y as usize * width as usize + x as usize] = u8::from(value > 0.5);
            }
        }
        image
    }

    proptest! {
        #[test]
        fn equals_the_dense_reference(
            m in 1usize..9,
            seed in prop::collection::vec(0f32..1.0, 64),
            height in 0u32..30,
            width in 0u32..30,
            corner in (-20f32..40.0, -20f32..40.0),
            size in (-3f32..40.0, -3f32..40.0),
        ) {
            let mask = &seed[..m * m];
            let box_xyxy = [corner.0, corner.1, corner.0 + size.0, corner.1 + size.1];
            let rle = paste_mask(mask, m, box_xyxy, height, width).unwrap();
            let expected = dense(mask, m, box_xyxy, height, width);
            prop_assert_eq!(&decode_rows(&rle).unwrap(), &expected);
            prop_assert_eq!(rle, encode_rows(&expected, height, width).unwrap());
        }

        #[test]
        fn never_panics(box_xyxy in prop::array::uniform4(any::<f32>()), m in 1usize..4) {
            let _ = paste_mask(&vec![0.9; m * m], m, box_xyxy, 9, 11);
        }
    }

    #[test]
    fn one_half_is_background() {
        let rle = paste_mask(&[0.5; 28 * 28], 28, [1.0, 2.0, 61.3, 47.9], 64, 64).unwrap();
        assert_eq!(rle.area().unwrap(), 0);
        assert_eq!(rle, encode_rows(&[0; 64 * 64], 64, 64).unwrap());
    }

    #[test]
    fn refuses_wrong_shapes_and_boxes() {
        let box_xyxy = [0.0, 0.0, 1.0, 1.0];
        assert!(paste_mask(&[0.0; 5], 2, box_xyxy, 4, 4).is_err());
        assert!(paste_mask(&[], 0, box_xyxy, 4, 4).is_err());
        assert!(paste_mask(&[0.0], 1, [0.0, f32::NAN, 1.0, 1.0], 4, 4).is_err());
        assert!(paste_mask(&[0.0], 1, box_xyxy, u32::MAX, 2).is_err());
    }
}
