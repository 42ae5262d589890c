//! RandAugment (Cubuk et al., CVPR 2020) as torchvision's `transforms.RandAugment` has it: which operations, how
//! strong. The pixels are [`super::operations`]'s.

use super::operations as op;
use crate::config::RandAugmentOptions;
use crate::image::Image;
use crate::rng::Rng;

/// Magnitudes run over this many bins, from 0.
pub const BINS: u32 = 31;

/// What may happen to an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Nothing.
    Identity,
    /// [`op::shear_x`] by the magnitude.
    ShearX,
    /// [`op::shear_y`] by the magnitude.
    ShearY,
    /// [`op::translate_x`] by the magnitude's whole pixels.
    TranslateX,
    /// [`op::translate_y`] by the magnitude's whole pixels.
    TranslateY,
    /// [`op::rotate`] by the magnitude in degrees.
    Rotate,
    /// [`op::brightness`] at 1 + magnitude.
    Brightness,
    /// [`op::color`] at 1 + magnitude.
    Color,
    /// [`op::contrast`] at 1 + magnitude.
    Contrast,
    /// [`op::sharpness`] at 1 + magnitude.
    Sharpness,
    /// [`op::posterize`] to the magnitude in bits.
    Posterize,
    /// [`op::solarize`] from the magnitude on.
    Solarize,
    /// [`op::autocontrast`].
    AutoContrast,
    /// [`op::equalize`].
    Equalize,
}

impl Operation {
    /// All of them, each as likely as the others; torchvision's order.
    pub const ALL: [Operation; 14] = [
        Operation::Identity,
        Operation::ShearX,
        Operation::ShearY,
        Operation::TranslateX,
        Operation::TranslateY,
        Operation::Rotate,
        Operation::Brightness,
        Operation::Color,
        Operation::Contrast,
        Operation::Sharpness,
        Operation::Posterize,
        Operation::Solarize,
        Operation::AutoContrast,
        Operation::Equalize,
    ];

    /// torchvision's `_augmentation_space`: the magnitude at a bin (0 to 30), for an image of `width` x `height`; 0
    /// where the operation takes none. Translations are in pixels, 150 of 331 of a side at most.
    pub fn magnitude(self, bin: u32, width: u32, height: u32) -> f64 {
        let translation = |side: u32| linspace(0.0, (150.0 / 331.0 * f64::from(side)) as f32, bin);
        match self {
            Operation::Identity | Operation::AutoContrast | Operation::Equalize => 0.0,
            Operation::ShearX | Operation::ShearY => linspace(0.0, 0.3, bin),
            Operation::TranslateX => translation(width),
            Operation::TranslateY => translation(height),
            Operation::Rotate => linspace(0.0, 30.0, bin),
            Operation::Brightness | Operation::Color | Operation::Contrast | Operation::Sharpness => {
                linspace(0.0, 0.9, bin)
            }
            Operation::Posterize => 8.0 - (f64::from(bin) / (f64::from(BINS - 1) / 4.0)).round_ties_even(),
            Operation::Solarize => linspace(255.0, 0.0, bin),
        }
    }

    /// Whether half of the time the magnitude is negated.
    pub fn signed(self) -> bool {
        use Operation::{Brightness, Color, Contrast, Rotate, Sharpness, ShearX, ShearY, TranslateX, TranslateY};
        matches!(self, ShearX | ShearY | TranslateX | TranslateY | Rotate | Brightness | Color | Contrast | Sharpness)
    }

    /// Changes an image: torchvision's `_apply_op`, nearest neighbour, black outside.
    pub fn apply(self, image: &mut Image, magnitude: f64) {
        match self {
            Operation::Identity => {}
            Operation::ShearX => op::shear_x(image, magnitude),
            Operation::ShearY => op::shear_y(image, magnitude),
            Operation::TranslateX => op::translate_x(image, magnitude as i32),
            Operation::TranslateY => op::translate_y(image, magnitude as i32),
            Operation::Rotate => op::rotate(image, magnitude),
            Operation::Brightness => op::brightness(image, 1.0 + magnitude),
            Operation::Color => op::color(image, 1.0 + magnitude),
            Operation::Contrast => op::contrast(image, 1.0 + magnitude),
            Operation::Sharpness => op::sharpness(image, 1.0 + magnitude),
            Operation::Posterize => op::posterize(image, magnitude as u32),
            Operation::Solarize => op::solarize(image, magnitude),
            Operation::AutoContrast => op::autocontrast(image),
            Operation::Equalize => op::equalize(image),
        }
    }
}

/// One random operation and its magnitude, sign included, for an image of `width` x `height`.
pub fn draw(rng: &mut Rng, bin: u32, width: u32, height: u32) -> (Operation, f64) {
    let operation = Operation::ALL[rng.below(Operation::ALL.len() as u64) as usize];
    let magnitude = operation.magnitude(bin, width, height);
    (operation, if operation.signed() && rng.coin() { -magnitude } else { magnitude })
}

/// Applies `options.ops` random operations, one after the other.
pub fn apply(rng: &mut Rng, options: RandAugmentOptions, image: &mut Image) {
    for _ in 0..options.ops {
        let (operation, magnitude) = draw(rng, options.magnitude, image.width, image.height);
        operation.apply(image, magnitude);
    }
}

/// `torch.linspace(start, end, 31)[bin]`: in single precision, from the nearer end, product and sum rounded once.
fn linspace(start: f32, end: f32, bin: u32) -> f64 {
    let step = (end - start) / (BINS - 1) as f32;
    f64::from(if bin < BINS / 2 {
        step.mul_add(bin as f32, start)
    } else {
        (-step).mul_add((BINS - 1 - bin) as f32, end)
    })
}
