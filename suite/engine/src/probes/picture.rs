//! What a model saw as a JPEG: the canvas of a batch, turned back into colours. Knows no model.

use adamv_datasets::Image;
use jpeg_encoder::{ColorType, Encoder};

use crate::error::EngineError;

/// Longest side of a picture that is kept, pixels.
const LONGEST: usize = 320;
const QUALITY: u8 = 88;

/// A picture, and how many of its pixels a canvas pixel is.
pub struct Picture {
    pub jpeg: Vec<u8>,
    pub width: u32,
    pub height: u32,
    pub scale: f64,
}

/// Normalisation of a canvas: what was subtracted from a channel in 0 to 1, and what it was divided by.
#[derive(Clone, Copy, Debug)]
pub struct Normalisation {
    pub mean: [f32; 3],
    pub std: [f32; 3],
}

/// The upper left `width` x `height` pixels of a canvas `[3, S, S]`; a large one is made smaller by a whole factor.
pub fn picture(
    canvas: &[f32],
    side: usize,
    [width, height]: [usize; 2],
    normalisation: Normalisation,
) -> Result<Picture, EngineError> {
    let (width, height) = (width.clamp(1, side), height.clamp(1, side));
    let factor = width.max(height).div_ceil(LONGEST);
    let image = shrunk(canvas, side, [width, height], factor, normalisation);
    let failed = |e: &dyn std::fmt::Display| EngineError::Internal(format!("a picture was not encoded: {e}"));
    let size = [image.width, image.height].map(u16::try_from);
    let (Ok(columns), Ok(rows)) = (size[0], size[1]) else { return Err(failed(&"it is too large")) };
    let mut jpeg = Vec::new();
    Encoder::new(&mut jpeg, QUALITY).encode(&image.rgb, columns, rows, ColorType::Rgb).map_err(|e| failed(&e))?;
    Ok(Picture { jpeg, width: image.width, height: image.height, scale: (factor as f64).recip() })
}

/// Means of `factor` x `factor` pixels as colours; what is left over at the right and at the bottom is dropped.
fn shrunk(
    canvas: &[f32],
    side: usize,
    [width, height]: [usize; 2],
    factor: usize,
    normalisation: Normalisation,
) -> Image {
    let (columns, rows) = (width / factor, height / factor);
    let mut rgb = Vec::with_capacity(3 * columns * rows);
    for y in 0..rows {
        for x in 0..columns {
            for channel in 0..3 {
                let plane = &canvas[channel * side * side..(channel + 1) * side * side];
                let row = |dy: usize| {
                    let from = (y * factor + dy) * side + x * factor;
                    plane[from..from + factor].iter().sum::<f32>()
                };
                let mean = (0..factor).map(row).sum::<f32>() / (factor * factor) as f32;
                let value = mean * normalisation.std[channel] + normalisation.mean[channel];
                rgb.push((255.0 * value).round().clamp(0.0, 255.0) as u8);
            }
        }
    }
    Image { width: columns as u32, height: rows as u32, rgb }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Normalisation = Normalisation { mean: [0.5; 3], std: [0.25; 3] };

    #[test]
    fn colours_come_back_and_large_canvases_shrink() {
        // A canvas of 4 x 4 px: red rises by column, (0.25 v + 0.5) * 255 for v = -2, -1, 0, 1.
        let row = [-2.0f32, -1.0, 0.0, 1.0];
        let canvas: Vec<f32> = row.repeat(4).into_iter().chain([0.0; 32]).collect();
        let red = |image: &Image| image.rgb.iter().step_by(3).copied().collect::<Vec<u8>>();
        assert_eq!(red(&shrunk(&canvas, 4, [4, 1], 1, PLAIN)), [0, 64, 128, 191]);
        // Means of pairs: -1.5 and 0.5.
        assert_eq!(red(&shrunk(&canvas, 4, [4, 2], 2, PLAIN)), [32, 159]);
    }

    #[test]
    fn a_picture_is_a_jpeg_of_its_size() {
        let canvas = vec![0.0; 3 * 700 * 700];
        let made = picture(&canvas, 700, [700, 350], PLAIN).unwrap();
        assert_eq!((made.width, made.height, made.scale), (233, 116, 1.0 / 3.0));
        assert!(made.jpeg.starts_with(&[0xff, 0xd8]) && made.jpeg.ends_with(&[0xff, 0xd9]));
    }
}
