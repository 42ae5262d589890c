//! Cropping, resizing and normalising pixels. Knows no tasks.

use std::cell::RefCell;

use fast_image_resize as fir;

use crate::image::Image;

thread_local! {
    // A resizer keeps its buffers, so each thread has one.
    static RESIZER: RefCell<fir::Resizer> = RefCell::new(fir::Resizer::new());
}

/// All of an image resized, as [`resize_box`] does it.
pub fn resize(image: &Image, width: u32, height: u32) -> Image {
    resize_box(image, [0.0, 0.0, f64::from(image.width), f64::from(image.height)], width, height)
}

/// Exchanges left and right.
pub fn mirror(image: &mut Image) {
    let row = 3 * image.width as usize;
    for row in image.rgb.chunks_exact_mut(row.max(1)) {
        // Backwards byte by byte, then each pixel's bytes put in order again.
        row.reverse();
        for pixel in row.chunks_exact_mut(3) {
            pixel.swap(0, 2);
        }
    }
}

/// A rectangle of an image (`left top width height` in source pixels, fractions allowed) resized to `width` x `height`,
/// bilinear with antialiasing: Pillow's `resize(..., BILINEAR, box)`. The rectangle is clipped to the image.
pub fn resize_box(image: &Image, rectangle: [f64; 4], width: u32, height: u32) -> Image {
    let (iw, ih) = (f64::from(image.width), f64::from(image.height));
    let left = rectangle[0].clamp(0.0, iw - f64::EPSILON * iw);
    let top = rectangle[1].clamp(0.0, ih - f64::EPSILON * ih);
    let w = rectangle[2].min(iw - left);
    let h = rectangle[3].min(ih - top);
    let source = fir::images::ImageRef::new(image.width, image.height, &image.rgb, fir::PixelType::U8x3);
    let mut target = fir::images::Image::new(width, height, fir::PixelType::U8x3);
    let options = fir::ResizeOptions::new()
        .resize_alg(fir::ResizeAlg::Convolution(fir::FilterType::Bilinear))
        .crop(left, top, w, h);
    RESIZER.with_borrow_mut(|resizer| {
        // Invariant: `Image` holds width x height x 3 bytes and the rectangle was clipped above; these are the only
        // causes of an error here.
        let source = source.expect("an image holds three bytes a pixel");
        resizer.resize(&source, &mut target, &options).expect("the crop lies inside the image");
    });
    Image { width, height, rgb: target.into_vec() }
}

/// Writes an image into the top left of a canvas `[3, side, side]` as `(value / 255 - mean) / std`, optionally mirrored,
/// and zeros the rest.
pub fn write_normalised(image: &Image, mirrored: bool, mean: [f32; 3], std: [f32; 3], side: usize, canvas: &mut [f32]) {
    let (w, h) = (image.width as usize, image.height as usize);
    canvas.fill(0.0);
    for c in 0..3 {
        // One multiply-add a value: value * a + b.
        let (a, b) = (1.0 / (255.0 * std[c]), -mean[c] / std[c]);
        for y in 0..h {
            let row = &image.rgb[3 * y * w..3 * (y + 1) * w];
            let out = &mut canvas[(c * side + y) * side..][..w];
            if mirrored {
                for (o, p) in out.iter_mut().rev().zip(row.chunks_exact(3)) {
                    *o = f32::from(p[c]) * a + b;
                }
            } else {
                for (o, p) in out.iter_mut().zip(row.chunks_exact(3)) {
                    *o = f32::from(p[c]) * a + b;
                }
            }
        }
    }
}
