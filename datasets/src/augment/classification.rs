//! Classification samples: inception crop, flip and RandAugment for training, centre crop or none for
//! evaluation.

use super::pixels::{mirror, resize, resize_box, write_normalised};
use super::randaugment;
use crate::config::ClassificationOptions;
use crate::error::Error;
use crate::image::{Encoded, Image, Rectangle};
use crate::order::Pick;
use crate::rng::{Rng, Stream};

/// Tries before the crop falls back to the centre, as in torchvision.
const TRIES: usize = 10;

/// Writes the training sample of a pick to `canvas` `[3, side, side]`: crop, resize, flip, RandAugment, normalise, in
/// torchvision's order. Only the crop is decoded, so no pixel outside it bleeds in.
///
/// # Errors
/// When the crop cannot be decoded.
pub fn train(
    image: &Encoded,
    options: &ClassificationOptions,
    seed: u64,
    pick: Pick,
    side: usize,
    canvas: &mut [f32],
) -> Result<(), Error> {
    let mut rng = Rng::new(seed, Stream::Augment, pick.epoch, pick.index as u64);
    let area = random_crop(&mut rng, image.width(), image.height(), options);
    let mut mirrored = options.flip && rng.coin();
    let mut resized = resize(&image.decode_part(area)?, side as u32, side as u32);
    // Last to draw, so that crop and flip are the same with it and without.
    if let Some(options) = options.randaugment {
        if std::mem::take(&mut mirrored) {
            mirror(&mut resized);
        }
        randaugment::apply(&mut rng, options, &mut resized);
    }
    write_normalised(&resized, mirrored, options.mean, options.std, side, canvas);
    Ok(())
}

/// Writes the evaluation sample to `canvas` `[3, side, side]`: the centre crop that the options name, or without one the
/// whole image squashed into the square.
pub fn eval(image: &Image, options: &ClassificationOptions, side: usize, canvas: &mut [f32]) {
    let resized = match options.eval_crop {
        Some(share) => centre(image, share, side as u32),
        None => resize(image, side as u32, side as u32),
    };
    write_normalised(&resized, false, options.mean, options.std, side, canvas);
}

/// torchvision's `RandomResizedCrop.get_params`: a random share of the area and a log-uniform aspect ratio; after ten
/// misses the largest centred rectangle within the allowed ratios.
pub fn random_crop(rng: &mut Rng, width: u32, height: u32, options: &ClassificationOptions) -> Rectangle {
    let [scale_from, scale_to] = options.crop_scale.map(f64::from);
    let [ratio_from, ratio_to] = options.crop_ratio.map(f64::from);
    let (w, h) = (f64::from(width), f64::from(height));
    for _ in 0..TRIES {
        let area = w * h * rng.uniform(scale_from, scale_to);
        let ratio = rng.uniform(ratio_from.ln(), ratio_to.ln()).exp();
        let crop_w = (area * ratio).sqrt().round_ties_even();
        let crop_h = (area / ratio).sqrt().round_ties_even();
        if crop_w >= 1.0 && crop_w <= w && crop_h >= 1.0 && crop_h <= h {
            let (crop_w, crop_h) = (crop_w as u32, crop_h as u32);
            return Rectangle {
                top: rng.below(u64::from(height - crop_h) + 1) as u32,
                left: rng.below(u64::from(width - crop_w) + 1) as u32,
                width: crop_w,
                height: crop_h,
            };
        }
    }
    let (mut crop_w, mut crop_h) = (width, height);
    if w / h < ratio_from {
        crop_h = ((w / ratio_from).round_ties_even() as u32).clamp(1, height);
    } else if w / h > ratio_to {
        crop_w = ((h * ratio_to).round_ties_even() as u32).clamp(1, width);
    }
    Rectangle { top: (height - crop_h) / 2, left: (width - crop_w) / 2, width: crop_w, height: crop_h }
}

/// torchvision's `Resize(side / share)` and `CenterCrop(side)`, in one pass over the pixels that remain. `share` of the
/// shorter side is kept, 0.01 to 1.
pub fn centre(image: &Image, share: f64, side: u32) -> Image {
    let (w, h) = (f64::from(image.width), f64::from(image.height));
    let short = (f64::from(side) / share).round();
    let (resized_w, resized_h) =
        if w <= h { (short, (short * h / w).floor()) } else { ((short * w / h).floor(), short) };
    let left = ((resized_w - f64::from(side)) / 2.0).round_ties_even();
    let top = ((resized_h - f64::from(side)) / 2.0).round_ties_even();
    let (per_x, per_y) = (w / resized_w, h / resized_h);
    let area = [left * per_x, top * per_y, f64::from(side) * per_x, f64::from(side) * per_y];
    resize_box(image, area, side, side)
}
