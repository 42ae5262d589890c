//! Instance masks as COCO's run-length encoding. The mechanics are hotcoco's, a port of the COCO API's; this room adds
//! the validation that it leaves to its callers, and a decoder for a part of a mask. Knows no images and no files.

use serde::{Deserialize, Serialize};

/// Why a mask cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MaskError(String);

impl MaskError {
    pub(crate) fn new(what: String) -> Self {
        MaskError(what)
    }
}

/// Run lengths of a binary mask, column by column from the top left: background, foreground, background, ...
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rle {
    /// Height and width in pixels.
    pub size: [u32; 2],
    /// Run lengths; they sum to height x width.
    pub counts: Vec<u32>,
}

/// A rectangle of a mask, decoded.
#[derive(Clone, Debug)]
pub struct Region {
    /// First column and row of the rectangle in the whole mask.
    pub origin: [u32; 2],
    /// Columns and rows.
    pub extent: [u32; 2],
    /// [X, Y]: column by column, 0 or 1.
    pub pixels: Vec<u8>,
}

impl Region {
    /// The pixel at a column and row of the whole mask; 0 outside the rectangle.
    pub fn at(&self, x: i64, y: i64) -> u8 {
        let (x, y) = (x - i64::from(self.origin[0]), y - i64::from(self.origin[1]));
        let (w, h) = (i64::from(self.extent[0]), i64::from(self.extent[1]));
        if x < 0 || y < 0 || x >= w || y >= h {
            return 0;
        }
        self.pixels[(x * h + y) as usize]
    }

    /// Whether any pixel of columns `x0..x1` and rows `y0..y1` of the whole mask is set.
    pub fn any_in(&self, x0: u32, y0: u32, x1: u32, y1: u32) -> bool {
        let clip = |v: u32, axis: usize| v.saturating_sub(self.origin[axis]).min(self.extent[axis]) as usize;
        let h = self.extent[1] as usize;
        let (top, bottom) = (clip(y0, 1), clip(y1.max(y0), 1));
        (clip(x0, 0)..clip(x1, 0)).any(|x| self.pixels[x * h + top..x * h + bottom].iter().any(|&p| p != 0))
    }
}

/// Longest outline that is rasterised, in pixels within the image: forty times around a photograph of 6,000 x 6,000.
/// The walk along an outline holds 5 points a pixel in memory (maskApi.c's upsampling), and a few numbers in a file can
/// draw many pixels: a zigzag of n corners across a width of w is n w long.
const MAX_OUTLINE: f64 = 1e6;

/// Refuses polygons whose outline is out of proportion.
///
/// # Errors
/// When the edges, each cut to no more than the image can show of it, are over a million pixels long.
pub(crate) fn check_outline(polygons: &[Vec<f64>], height: u32, width: u32) -> Result<(), MaskError> {
    // An edge shows at most one pixel a column or row.
    let most = f64::from(height) + f64::from(width);
    let edge = |a: &[f64], b: &[f64]| 1.0 + (a[0] - b[0]).abs().max((a[1] - b[1]).abs()).min(most);
    let length: f64 = polygons
        .iter()
        .map(|p| {
            let corners = p.chunks_exact(2);
            corners.clone().zip(corners.cycle().skip(1)).map(|(a, b)| edge(a, b)).sum::<f64>()
        })
        .sum();
    if length > MAX_OUTLINE {
        return Err(MaskError(format!("the polygons' outline is {length:.0} pixels long, over the limit of 1000000")));
    }
    Ok(())
}

impl Rle {
    /// An encoding from run lengths.
    ///
    /// # Errors
    /// When the lengths do not sum to height x width.
    pub fn new(size: [u32; 2], counts: Vec<u32>) -> Result<Self, MaskError> {
        let pixels = u64::from(size[0]) * u64::from(size[1]);
        let sum: u64 = counts.iter().map(|&c| u64::from(c)).sum();
        if sum != pixels {
            return Err(MaskError(format!(
                "the run lengths sum to {sum}, but height x width is {} x {} = {pixels}",
                size[0], size[1]
            )));
        }
        Ok(Rle { size, counts })
    }

    /// From COCO's compressed string.
    ///
    /// # Errors
    /// When the string does not decode or its runs do not sum to height x width.
    pub fn from_compressed(text: &str, height: u32, width: u32) -> Result<Self, MaskError> {
        let rle = hotcoco::mask::rle_from_string(text, height, width)
            .map_err(|e| MaskError(format!("the RLE string does not decode ({e})")))?;
        Rle::new([height, width], rle.counts)
    }

    /// The union of polygons, each `x0 y0 x1 y1 ...` in pixels, rasterised as the COCO API does. A polygon of fewer
    /// than three points covers nothing.
    ///
    /// # Errors
    /// When height x width does not fit 32 bits, or the outlines are over a million pixels long within the image.
    pub fn from_polygons(polygons: &[Vec<f64>], height: u32, width: u32) -> Result<Self, MaskError> {
        let refused = |e: hotcoco::Error| MaskError(e.to_string());
        check_outline(polygons, height, width)?;
        if polygons.is_empty() {
            let empty = hotcoco::mask::fr_polys(&[], height, width).map_err(refused)?;
            return Rle::new([height, width], empty.counts);
        }
        let mut masks = polygons
            .iter()
            .map(|p| hotcoco::mask::fr_poly(p, height, width))
            .collect::<Result<Vec<_>, _>>()
            .map_err(refused)?;
        // Pairs, then pairs of pairs: a union one by one takes the square of the number of polygons.
        while masks.len() > 1 {
            masks = masks
                .chunks(2)
                .map(|pair| hotcoco::mask::merge(pair, false))
                .collect::<Result<Vec<_>, _>>()
                .map_err(refused)?;
        }
        Rle::new([height, width], masks.swap_remove(0).counts)
    }

    /// From `[Y, X]` bytes, row by row; non-zero is foreground.
    ///
    /// # Errors
    /// When the number of bytes is not height x width.
    pub fn from_dense(mask: &[u8], height: u32, width: u32) -> Result<Self, MaskError> {
        let (h, w) = (height as usize, width as usize);
        if mask.len() != h * w {
            return Err(MaskError(format!("{} pixels given for a mask of {h} x {w}", mask.len())));
        }
        let mut columns = vec![0u8; h * w];
        for y in 0..h {
            for x in 0..w {
                columns[x * h + y] = mask[y * w + x];
            }
        }
        let rle = hotcoco::mask::encode(&columns, height, width).map_err(|e| MaskError(e.to_string()))?;
        Rle::new([height, width], rle.counts)
    }

    /// COCO's compressed string.
    pub fn to_compressed(&self) -> String {
        hotcoco::mask::rle_to_string(&self.to_hotcoco())
    }

    /// `[Y, X]` bytes, row by row, 0 or 1.
    pub fn to_dense(&self) -> Vec<u8> {
        let (h, w) = (self.size[0] as usize, self.size[1] as usize);
        let columns = hotcoco::mask::decode(&self.to_hotcoco());
        let mut rows = vec![0u8; h * w];
        for x in 0..w {
            for y in 0..h {
                rows[y * w + x] = columns[x * h + y];
            }
        }
        rows
    }

    /// Columns `x0..x1` and rows `y0..y1` (clipped to the mask), without decoding the rest.
    pub fn region(&self, x0: u32, y0: u32, x1: u32, y1: u32) -> Region {
        let [height, width] = self.size;
        let (x1, y1) = (x1.min(width), y1.min(height));
        let (x0, y0) = (x0.min(x1), y0.min(y1));
        let (w, h) = ((x1 - x0) as usize, (y1 - y0) as usize);
        let mut pixels = vec![0u8; w * h];
        let column = u64::from(height);
        let (mut at, end) = (0u64, u64::from(x1) * column);
        for (run, &count) in self.counts.iter().enumerate() {
            let next = at + u64::from(count);
            let from = at.max(u64::from(x0) * column);
            if run % 2 == 1 && next > from && w * h > 0 {
                let to = next.min(end);
                let mut p = from;
                while p < to {
                    // One column of the run at a time.
                    let x = p / column;
                    let stop = to.min((x + 1) * column);
                    let top = (p % column).max(u64::from(y0));
                    let bottom = (stop - x * column).min(u64::from(y1));
                    if bottom > top {
                        let start = (x - u64::from(x0)) as usize * h;
                        let rows = (top - u64::from(y0)) as usize..(bottom - u64::from(y0)) as usize;
                        pixels[start + rows.start..start + rows.end].fill(1);
                    }
                    p = stop;
                }
            }
            at = next;
            if at >= end {
                break;
            }
        }
        Region { origin: [x0, y0], extent: [x1 - x0, y1 - y0], pixels }
    }

    /// Number of foreground pixels.
    pub fn area(&self) -> u64 {
        let foreground = self.counts.iter().skip(1).step_by(2);
        foreground.map(|&c| u64::from(c)).sum()
    }

    /// The smallest box around the foreground, `x y w h`; zeros for an empty mask.
    pub fn bbox(&self) -> [f64; 4] {
        hotcoco::mask::to_bbox(&self.to_hotcoco())
    }

    fn to_hotcoco(&self) -> hotcoco::Rle {
        hotcoco::Rle { h: self.size[0], w: self.size[1], counts: self.counts.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_form_says_the_same(h in 1u32..20, w in 1u32..20, bits: Vec<bool>) {
            let pixel = |i: usize| u8::from(bits.get(i % bits.len().max(1)).copied().unwrap_or(false));
            let dense: Vec<u8> = (0..(h * w) as usize).map(|i| pixel(i * 7 + i / 3)).collect();
            let rle = Rle::from_dense(&dense, h, w).unwrap();
            prop_assert_eq!(&rle.to_dense(), &dense);
            prop_assert_eq!(&Rle::from_compressed(&rle.to_compressed(), h, w).unwrap(), &rle);
            prop_assert_eq!(rle.area(), dense.iter().map(|&p| u64::from(p)).sum::<u64>());
            let [bx, by, bw, bh] = rle.bbox();
            for y in 0..h { for x in 0..w {
                if dense[(y * w + x) as usize] == 1 {
                    let (x, y) = (f64::from(x), f64::from(y));
                    prop_assert!(x >= bx && x + 1.0 <= bx + bw && y >= by && y + 1.0 <= by + bh);
                }
            }}
        }

        #[test]
        fn a_region_is_a_part_of_the_whole(h in 1u32..20, w in 1u32..20, bits in proptest::collection::vec(any::<bool>(), 400),
            x0 in 0u32..22, y0 in 0u32..22, dx in 0u32..22, dy in 0u32..22) {
            let dense: Vec<u8> = bits[..(h * w) as usize].iter().map(|&b| u8::from(b)).collect();
            let rle = Rle::from_dense(&dense, h, w).unwrap();
            let region = rle.region(x0, y0, x0 + dx, y0 + dy);
            for y in 0..h { for x in 0..w {
                let inside = x >= x0 && x < x0 + dx && y >= y0 && y < y0 + dy;
                let want = if inside { dense[(y * w + x) as usize] } else { 0 };
                prop_assert_eq!(region.at(i64::from(x), i64::from(y)), want);
            }}
            prop_assert_eq!(region.at(-1, 0), 0);
            let inner = (x0..x0 + dx).flat_map(|x| (y0 + 1..y0 + dy).map(move |y| (i64::from(x), i64::from(y))));
            prop_assert_eq!(region.any_in(x0, y0 + 1, 30, 30), inner.into_iter().any(|(x, y)| region.at(x, y) == 1));
        }
    }

    #[test]
    fn polygons_as_pycocotools() {
        // pycocotools 2.0.11: frPyObjects([[1.5, 1, 6, 2.25, 3, 7.5]], 9, 8); decode, area, toBbox
        let rle = Rle::from_polygons(&[vec![1.5, 1.0, 6.0, 2.25, 3.0, 7.5]], 9, 8).unwrap();
        assert_eq!(rle.to_compressed(), "c0452OM2Nb0");
        assert_eq!(rle.area(), 14);
        assert_eq!(rle.bbox(), [2.0, 1.0, 4.0, 6.0]);
    }

    proptest! {
        #[test]
        fn a_union_in_pairs_is_the_union(polygons in proptest::collection::vec(
            proptest::collection::vec(-5.0f64..30.0, 6..14), 0..9)) {
            let ours = Rle::from_polygons(&polygons, 20, 25).unwrap();
            prop_assert_eq!(ours.counts, hotcoco::mask::fr_polys(&polygons, 20, 25).unwrap().counts);
        }
    }

    proptest! {
        #[test]
        fn wild_polygons_in_wild_sizes_are_drawn_or_refused(
            size in proptest::array::uniform2(prop_oneof![Just(0u32), Just(1), Just(65_535), Just(u32::MAX), 0u32..5000]),
            polygon in proptest::collection::vec(prop_oneof![
                Just(f64::NAN), Just(f64::INFINITY), Just(-1e308), Just(1e308), Just(-1e9), -1e4f64..1e5, -5.0f64..50.0,
            ], 0..13)) {
            if let Ok(mask) = Rle::from_polygons(&[polygon.clone(), polygon], size[0], size[1]) {
                let pixels: u64 = mask.counts.iter().map(|&c| u64::from(c)).sum();
                prop_assert_eq!(pixels, u64::from(size[0]) * u64::from(size[1]));
                mask.bbox();
                mask.region(0, 0, 20, 20);
            }
        }
    }

    #[test]
    fn outlines_out_of_proportion_are_refused() {
        let zigzag: Vec<f64> = (0..40_000).flat_map(|i| [f64::from(i % 2) * 1e300, f64::from(i)]).collect();
        assert!(Rle::from_polygons(std::slice::from_ref(&zigzag), 10, 10).is_ok());
        let message = Rle::from_polygons(&[zigzag], 2, 60_000_000).unwrap_err().to_string();
        assert!(message.contains("outline") && message.contains("limit"), "{message}");
    }

    #[test]
    fn wrong_sums_and_strings_are_refused() {
        let short = Rle::new([2, 3], vec![1, 2]).unwrap_err().to_string();
        assert!(short.contains("sum to 3") && short.contains("2 x 3 = 6"), "{short}");
        assert!(Rle::from_compressed("\u{1}\u{2}", 4, 4).is_err());
        assert!(Rle::from_compressed("é", 4, 4).is_err());
        assert!(Rle::from_compressed("oooooooooooooooooooooooooooo", 4, 4).is_err());
        assert!(Rle::from_compressed("", 4, 4).is_err());
    }

    #[test]
    fn degenerate_polygons_cover_nothing() {
        assert_eq!(Rle::from_polygons(&[], 4, 5).unwrap().area(), 0);
        assert_eq!(Rle::from_polygons(&[vec![1.0, 1.0, 2.0, 2.0]], 4, 5).unwrap().area(), 0);
    }
}
