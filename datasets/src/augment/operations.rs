//! Image operations of automatic augmentation: plain functions of an 8-bit RGB image and a parameter, in place. No
//! randomness here, and no ranges: [`super::randaugment`] has them.
//!
//! Each gives the bytes that torchvision's function of the same name gives for a Pillow image. That is possible to the
//! last bit because Pillow itself works in integers (fixed point for geometry, tables, a grey level in 16 bits) or in
//! single precision with one rounding toward zero at the end (blending); the same steps are taken here.

use crate::image::Image;

/// Slides row y by `slope * y` pixels, to the left where positive; the first row stays. Black where nothing is left.
pub fn shear_x(image: &mut Image, slope: f64) {
    affine(image, [1.0, slope, 0.0, 0.0, 1.0, 0.0]);
}

/// Slides column x by `slope * x` pixels, upwards where positive; the first column stays.
pub fn shear_y(image: &mut Image, slope: f64) {
    affine(image, [1.0, 0.0, 0.0, slope, 1.0, 0.0]);
}

/// Moves the image to the right, or to the left where negative.
pub fn translate_x(image: &mut Image, pixels: i32) {
    let row = 3 * image.width as usize;
    for row in image.rgb.chunks_exact_mut(row.max(1)) {
        shift(row, pixels, 3);
    }
}

/// Moves the image down, or up where negative.
pub fn translate_y(image: &mut Image, pixels: i32) {
    shift(&mut image.rgb, pixels, 3 * image.width as usize);
}

/// Turns the image about its centre, counterclockwise.
pub fn rotate(image: &mut Image, degrees: f64) {
    let angle = -degrees.rem_euclid(360.0).to_radians();
    // As Pillow does, so that a right angle has a sine of exactly 0 or 1.
    let [cos, sin] = [angle.cos(), angle.sin()].map(|v| (v * 1e15).round() / 1e15);
    let (x, y) = (f64::from(image.width) / 2.0, f64::from(image.height) / 2.0);
    affine(image, [cos, sin, x - cos * x - sin * y, -sin, cos, y + sin * x - cos * y]);
}

/// Away from black: 0 is black, 1 the image itself.
pub fn brightness(image: &mut Image, factor: f64) {
    let factor = factor as f32;
    point(image, &table(|v| blend(0, v, factor)));
}

/// Away from the image's mean grey: 0 is that grey, 1 the image itself.
pub fn contrast(image: &mut Image, factor: f64) {
    let factor = factor as f32;
    let sum: u64 = image.rgb.chunks_exact(3).map(|p| u64::from(grey(p))).sum();
    let mean = (sum as f64 / (image.rgb.len() / 3) as f64 + 0.5) as u8;
    point(image, &table(|v| blend(mean, v, factor)));
}

/// Away from grey: 0 has no colour, 1 is the image itself. torchvision's `adjust_saturation`.
pub fn color(image: &mut Image, factor: f64) {
    let factor = factor as f32;
    for p in image.rgb.chunks_exact_mut(3) {
        let grey = grey(p);
        for v in p {
            *v = blend(grey, *v, factor);
        }
    }
}

/// Away from a 3 x 3 smoothing (5 in the centre, 1 around it): 0 is smooth, 1 the image itself. The border stays.
pub fn sharpness(image: &mut Image, factor: f64) {
    let factor = factor as f32;
    let row = 3 * image.width as usize;
    if image.width < 3 || image.height < 3 {
        return;
    }
    let source = image.rgb.clone();
    for (rows, out) in source.windows(3 * row).step_by(row).zip(image.rgb.chunks_exact_mut(row).skip(1)) {
        let (above, rest) = rows.split_at(row);
        let (here, below) = rest.split_at(row);
        // One pixel in from either end; a neighbour in a row is 3 bytes away.
        let (above, below, out) = (&above[..row], &below[..row], &mut out[3..row - 3]);
        for (i, out) in out.iter_mut().enumerate() {
            let sum = |r: &[u8]| u16::from(r[i]) + u16::from(r[i + 3]) + u16::from(r[i + 6]);
            let centre = here[i + 3];
            let weighted = sum(above) + sum(here) + sum(below) + 4 * u16::from(centre);
            // weighted / 13, rounded; there are no ties.
            let smooth = ((2 * weighted + 13) / 26) as u8;
            *out = blend(smooth, centre, factor);
        }
    }
}

/// Keeps the upper `bits` of each value, 0 to 8.
pub fn posterize(image: &mut Image, bits: u32) {
    let mask = (0xFF00_u16 >> bits.min(8)) as u8;
    point(image, &table(|v| v & mask));
}

/// Inverts the values from `threshold` on.
pub fn solarize(image: &mut Image, threshold: f64) {
    point(image, &table(|v| if f64::from(v) < threshold { v } else { 255 - v }));
}

/// Stretches each channel so that it reaches from 0 to 255.
pub fn autocontrast(image: &mut Image) {
    let tables = histograms(image).map(|h| {
        let low = h.iter().position(|&n| n > 0).unwrap_or(0);
        let high = h.iter().rposition(|&n| n > 0).unwrap_or(0);
        if high <= low {
            return table(|v| v);
        }
        let scale = 255.0 / (high - low) as f64;
        let offset = -(low as f64) * scale;
        table(|v| (f64::from(v) * scale + offset) as u8)
    });
    point_by_channel(image, &tables);
}

/// Spreads each channel's values so that their histogram becomes flat.
pub fn equalize(image: &mut Image) {
    let tables = histograms(image).map(|h| {
        let last = h.iter().rfind(|&&n| n > 0).copied().unwrap_or(0);
        let step = (h.iter().sum::<u32>() - last) / 255;
        if step == 0 {
            return table(|v| v);
        }
        let mut below = step / 2;
        let mut counts = h.iter();
        table(|_| {
            let v = (below / step).min(255) as u8;
            below += counts.next().unwrap_or(&0);
            v
        })
    });
    point_by_channel(image, &tables);
}

/// The output pixel (x, y) is the input pixel at (a x + b y + c, d x + e y + f), by nearest neighbour; black where that
/// lies outside. Coordinates are those of pixel centres, in fixed point with 16 bits after the point, as in Pillow.
fn affine(image: &mut Image, [a, b, c, d, e, f]: [f64; 6]) {
    const BITS: u32 = 16;
    let fixed = |v: f64| (v * f64::from(1u32 << BITS) + 0.5).floor() as i64;
    let (w, h) = (image.width as usize, image.height as usize);
    let mut out = vec![0; image.rgb.len()];
    let step_x = [fixed(a), fixed(d)];
    let step_y = [fixed(b), fixed(e)];
    let mut start = [fixed(c + a * 0.5 + b * 0.5), fixed(f + d * 0.5 + e * 0.5)];
    for row in out.chunks_exact_mut(3 * w.max(1)) {
        let [mut u, mut v] = start;
        for pixel in row.chunks_exact_mut(3) {
            // A negative coordinate becomes a huge one.
            let (x, y) = ((u >> BITS) as usize, (v >> BITS) as usize);
            if x < w && y < h {
                let at = 3 * (y * w + x);
                pixel.copy_from_slice(&image.rgb[at..at + 3]);
            }
            u += step_x[0];
            v += step_x[1];
        }
        start = [start[0] + step_y[0], start[1] + step_y[1]];
    }
    image.rgb = out;
}

/// Moves what `values` holds by `steps` of `size` values towards its end, or its start where negative; zeros follow.
fn shift(values: &mut [u8], steps: i32, size: usize) {
    let len = values.len();
    let by = (steps.unsigned_abs() as usize).saturating_mul(size).min(len);
    if steps >= 0 {
        values.copy_within(..len - by, by);
        values[..by].fill(0);
    } else {
        values.copy_within(by.., 0);
        values[len - by..].fill(0);
    }
}

/// On the line from `from` (factor 0) through `value` (factor 1), clipped. Pillow's `Image.blend`: single precision,
/// rounded toward zero.
fn blend(from: u8, value: u8, factor: f32) -> u8 {
    let (from, value) = (f32::from(from), f32::from(value));
    (from + factor * (value - from)) as u8
}

/// ITU-R 601 luma of an RGB pixel, in 16-bit fixed point.
fn grey(p: &[u8]) -> u8 {
    let [r, g, b] = [p[0], p[1], p[2]].map(u32::from);
    ((r * 19_595 + g * 38_470 + b * 7_471 + 0x8000) >> 16) as u8
}

/// The values of a function of 0 to 255, in this order.
fn table(mut f: impl FnMut(u8) -> u8) -> [u8; 256] {
    let mut table = [0; 256];
    for (v, out) in (0..=255).zip(&mut table) {
        *out = f(v);
    }
    table
}

fn point(image: &mut Image, table: &[u8; 256]) {
    for v in &mut image.rgb {
        *v = table[usize::from(*v)];
    }
}

fn point_by_channel(image: &mut Image, tables: &[[u8; 256]; 3]) {
    for p in image.rgb.chunks_exact_mut(3) {
        for (v, table) in p.iter_mut().zip(tables) {
            *v = table[usize::from(*v)];
        }
    }
}

/// How often each value occurs, by channel.
fn histograms(image: &Image) -> [[u32; 256]; 3] {
    let mut counts = [[0; 256]; 3];
    for p in image.rgb.chunks_exact(3) {
        for (v, counts) in p.iter().zip(&mut counts) {
            counts[usize::from(*v)] += 1;
        }
    }
    counts
}
