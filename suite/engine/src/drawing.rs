//! Draws what a cell said of an image on the image. Knows no model and no files.

use adamv_datasets::draw::{CHIP_HEIGHT, INK, Mark, chip, chip_width, colour_of, fitted, large_first, names, shapes};
use adamv_datasets::image::Rectangle;
use adamv_datasets::{Image, Rle};
use adamv_metrics::Detection;

use crate::error::EngineError;

/// An image of which no side has so many pixels is enlarged until one has.
const LEAST_SIDE: u32 = 384;

/// Names and threshold of the drawings of one cell.
pub struct Drawer<'a> {
    /// COCO category id and name, by label.
    pub categories: &'a [(u64, String)],
    /// Detections of a lower score are left out.
    pub least_score: f64,
}

impl Drawer<'_> {
    /// The image with the best class and its score in the upper left corner, and with box, mask, class and score of the
    /// detections. A small one is enlarged by a whole factor, each pixel to a square. The names of high scores find a
    /// place first; one without a free place is left out, its box is not.
    pub fn draw(&self, image: &Image, best: (&str, f32), found: &[&Detection]) -> Result<Image, EngineError> {
        let factor = LEAST_SIDE.div_ceil(image.width.max(image.height).max(1));
        let mut picture = enlarged(image, factor);
        let mut found: Vec<&Detection> = found.iter().copied().filter(|d| d.score >= self.least_score).collect();
        found.sort_by(|a, b| b.score.total_cmp(&a.score));
        let marks: Vec<Mark> = found.into_iter().map(|d| self.mark(d, factor)).collect::<Result<_, _>>()?;
        shapes(&mut picture, &large_first(&marks));
        let title = fitted(&format!("{} {:.2}", best.0, best.1), picture.width.saturating_sub(chip_width("")));
        let title_area = [0, 0, i64::from(chip_width(&title)), i64::from(CHIP_HEIGHT)];
        names(&mut picture, &marks.iter().collect::<Vec<_>>(), vec![title_area]);
        chip(&mut picture, [0, 0], &title, INK);
        Ok(picture)
    }

    /// A detection in the pixels of the enlarged image.
    fn mark(&self, detection: &Detection, factor: u32) -> Result<Mark, EngineError> {
        let lacks = |what: &str| EngineError::Internal(format!("a detection lacks its {what}"));
        let label = self.categories.iter().position(|(id, _)| *id == detection.category_id);
        let label = label.ok_or_else(|| lacks("category"))?;
        let [x, y, w, h] = detection.bbox.ok_or_else(|| lacks("box"))?;
        let mask = detection.segmentation.as_ref().ok_or_else(|| lacks("mask"))?;
        let mask = Rle::new(mask.size, mask.runs()?).map_err(|e| EngineError::Internal(e.to_string()))?;
        let [left, top, width, height] = mask.bbox().map(|v| v as u32);
        let region = mask.region(left, top, left + width, top + height);
        let area = Rectangle { left: left * factor, top: top * factor, width: width * factor, height: height * factor };
        let mut pixels = Vec::with_capacity(area.width as usize * area.height as usize);
        for row in area.top..area.top + area.height {
            let row = i64::from(row / factor);
            let columns = area.left..area.left + area.width;
            pixels.extend(columns.map(|column| region.at(i64::from(column / factor), row) == 1));
        }
        Ok(Mark {
            name: format!("{} {:.2}", self.categories[label].1, detection.score),
            colour: colour_of(label),
            crowd: false,
            corners: [x, y, x + w, y + h].map(|v| v * f64::from(factor)),
            area,
            mask: pixels,
        })
    }
}

/// Each pixel as a square of `factor` x `factor`.
fn enlarged(image: &Image, factor: u32) -> Image {
    let mut rgb = Vec::with_capacity(image.rgb.len() * (factor * factor) as usize);
    for row in image.rgb.chunks_exact(3 * image.width as usize) {
        let wide: Vec<u8> = row.chunks_exact(3).flat_map(|pixel| pixel.repeat(factor as usize)).collect();
        (0..factor).for_each(|_| rgb.extend_from_slice(&wide));
    }
    Image { width: image.width * factor, height: image.height * factor, rgb }
}

#[cfg(test)]
mod tests {
    use super::*;
    use adamv_metrics::mask::encode_rows;

    fn noise(width: u32, height: u32) -> Image {
        let rgb = (0..3 * width * height).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        Image { width, height, rgb }
    }

    /// A square of `side` pixels at (x, y), whose mask fills it.
    fn square(image: &Image, [x, y]: [u32; 2], side: u32, score: f64) -> Detection {
        let inside = |at: u32, from: u32| (from..from + side).contains(&at);
        let mask: Vec<u8> = (0..image.width * image.height)
            .map(|i| u8::from(inside(i % image.width, x) && inside(i / image.width, y)))
            .collect();
        Detection {
            image_id: 1,
            category_id: 30,
            bbox: Some([x, y, side, side].map(f64::from)),
            score,
            segmentation: Some(encode_rows(&mask, image.height, image.width).unwrap()),
        }
    }

    fn drawn(image: &Image, found: &[&Detection]) -> Image {
        let categories = [(10, "cat".to_string()), (30, "dog".to_string())];
        Drawer { categories: &categories, least_score: 0.3 }.draw(image, ("tabby", 0.9), found).unwrap()
    }

    fn at(image: &Image, x: u32, y: u32) -> [u8; 3] {
        std::array::from_fn(|c| image.rgb[3 * (y * image.width + x) as usize + c])
    }

    #[test]
    fn a_detection_colours_its_own_pixels_and_no_others() {
        let image = noise(400, 390);
        let (good, poor) = (square(&image, [100, 200], 60, 0.87), square(&image, [300, 300], 40, 0.29));
        let picture = drawn(&image, &[&poor, &good]);
        assert_eq!((picture.width, picture.height), (400, 390));
        let colour = colour_of(1);
        let title = |x: u32, y: u32| x < chip_width("tabby 0.90") && y < CHIP_HEIGHT;
        let name = |x: u32, y: u32| (100..100 + chip_width("dog 0.87")).contains(&x) && (185..200).contains(&y);
        for y in 0..390 {
            for x in 0..400 {
                let (old, new) = (at(&image, x, y), at(&picture, x, y));
                let inside = (100..160).contains(&x) && (200..260).contains(&y);
                let edge = inside && ([100, 159].contains(&x) || [200, 259].contains(&y));
                let inner = (102..158).contains(&x) && (202..258).contains(&y);
                if edge {
                    assert_eq!(new, colour, "{x} {y}");
                } else if inner {
                    for c in 0..3 {
                        let tint = f64::from(old[c]) + 0.3 * (f64::from(colour[c]) - f64::from(old[c]));
                        assert!((f64::from(new[c]) - tint).abs() <= 1.0, "{x} {y}");
                    }
                } else if !inside && !title(x, y) && !name(x, y) {
                    assert_eq!(new, old, "{x} {y}");
                }
            }
        }
        assert_eq!((at(&picture, 0, 0), at(&picture, 100, 185)), (INK, colour));
    }

    #[test]
    fn small_images_are_enlarged_and_nothing_found_leaves_the_image() {
        let image = noise(64, 48);
        let picture = drawn(&image, &[]);
        assert_eq!((picture.width, picture.height), (384, 288));
        for y in CHIP_HEIGHT..288 {
            for x in 0..384 {
                assert_eq!(at(&picture, x, y), at(&image, x / 6, y / 6));
            }
        }
        let found = square(&image, [20, 20], 10, 0.5);
        let picture = drawn(&image, &[&found]);
        assert_eq!([at(&picture, 120, 120), at(&picture, 179, 179)], [colour_of(1); 2]);
        assert_eq!(at(&picture, 180, 179), at(&image, 30, 29));
        // Tinted up to its last column and row: the mask is enlarged with the picture.
        assert!((122..178).all(|k| at(&picture, k, 177) != at(&image, k / 6, 29) && at(&picture, 177, k) != at(&image, 29, k / 6)));
    }

    #[test]
    fn thin_and_large_images_and_long_names_fit() {
        for (width, height) in [(1, 3000), (4000, 3), (1, 1)] {
            let image = noise(width, height);
            let found = square(&image, [0, 0], 1, 1.0);
            let factor = 384u32.div_ceil(width.max(height));
            let picture = drawn(&image, &[&found]);
            assert_eq!((picture.width, picture.height), (width * factor, height * factor));
        }
    }
}
