//! MixUp (Zhang et al., ICLR 2018) and CutMix (Yun et al., ICCV 2019) of a whole batch. The partner of sample i is
//! sample B - 1 - i, and one lambda serves the batch, as in the released AdaMV-MoE code and in timm's `Mixup` by batch.

use rayon::prelude::*;

use crate::batch::ClassificationBatch;
use crate::config::{ClassificationOptions, CutMixBox};
use crate::image::Rectangle;
use crate::order::Pick;
use crate::rng::{Rng, Stream};

/// What happens to a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mix {
    /// A sample becomes `lambda * sample + (1 - lambda) * partner`.
    MixUp {
        /// Weight of the sample, and of its label.
        lambda: f32,
    },
    /// A sample and its partner exchange a rectangle.
    CutMix {
        /// In pixels, the same for the whole batch; perhaps empty.
        cut: Rectangle,
        /// Share of its own pixels that a sample keeps: the weight of its label.
        lambda: f32,
    },
}

/// Mixes a training batch as the options say and notes the lambda in it: a function of (seed, first pick) alone, and no
/// two steps of a run begin with the same pick. Does nothing where both alphas are 0.
pub fn apply(batch: &mut ClassificationBatch, options: &ClassificationOptions, seed: u64, picks: &[Pick]) {
    let Some(mix) = picks.first().and_then(|&first| Mix::draw(options, seed, first, batch.image_size)) else {
        return;
    };
    mix.apply(&mut batch.images, batch.image_size);
    batch.lambda = mix.lambda();
}

impl Mix {
    /// The mix of the batch that begins with `first`, of samples of `side` x `side`: either kind with probability 1/2
    /// when both are on, lambda from Beta(alpha, alpha). None where both are off.
    pub fn draw(options: &ClassificationOptions, seed: u64, first: Pick, side: usize) -> Option<Self> {
        let mut rng = Rng::new(seed, Stream::Mix, first.epoch, first.index as u64);
        let (mixup, cutmix) = (options.mixup > 0.0, options.cutmix > 0.0);
        if !mixup && !cutmix {
            return None;
        }
        let cut = cutmix && (!mixup || rng.coin());
        if !cut {
            return Some(Mix::MixUp { lambda: rng.beta(f64::from(options.mixup)) as f32 });
        }
        let lambda = rng.beta(f64::from(options.cutmix));
        let centre = [0, 1].map(|_| rng.below(side as u64) as u32);
        Some(Self::cutmix(options.cutmix_box, lambda, centre, side as u32))
    }

    /// Cuts the box that `lambda` says about `centre` (column, row), as far as it lies in the image; lambda is then
    /// corrected to the share that is kept. Rounding as in torchvision, timm and the released code: an even number of
    /// pixels a side, down.
    pub fn cutmix(size: CutMixBox, lambda: f64, centre: [u32; 2], side: u32) -> Self {
        let half = match size {
            CutMixBox::Area => (0.5 * (1.0 - lambda).sqrt() * f64::from(side)) as u32,
            // In float32, as in the released code.
            CutMixBox::Side => (lambda as f32 * side as f32) as u32 / 2,
        };
        let [left, top] = centre.map(|c| c.saturating_sub(half));
        let [right, bottom] = centre.map(|c| (c + half).min(side));
        let cut = Rectangle { left, top, width: right - left, height: bottom - top };
        let share = f64::from(cut.width) * f64::from(cut.height) / (f64::from(side) * f64::from(side));
        Mix::CutMix { cut, lambda: (1.0 - share) as f32 }
    }

    /// Weight of a sample's own label.
    pub fn lambda(&self) -> f32 {
        match *self {
            Mix::MixUp { lambda } | Mix::CutMix { lambda, .. } => lambda,
        }
    }

    /// Mixes `images` `[B, 3, side, side]` in place. The middle sample of an odd B is its own partner and stays.
    pub fn apply(&self, images: &mut [f32], side: usize) {
        let stride = (3 * side * side).max(1);
        let pairs = images.len() / stride / 2;
        let (first, rest) = images.split_at_mut(pairs * stride);
        let last = rest.len() - pairs * stride;
        first
            .par_chunks_exact_mut(stride)
            .zip(rest[last..].par_chunks_exact_mut(stride).rev())
            .for_each(|(a, b)| self.pair(a, b, side));
    }

    /// Mixes two samples with each other.
    fn pair(&self, a: &mut [f32], b: &mut [f32], side: usize) {
        match *self {
            Mix::MixUp { lambda } => {
                let rest = 1.0 - lambda;
                for (a, b) in a.iter_mut().zip(b) {
                    (*a, *b) = (*a * lambda + *b * rest, *b * lambda + *a * rest);
                }
            }
            Mix::CutMix { cut, .. } => {
                let (left, width) = (cut.left as usize, cut.width as usize);
                let (top, height) = (cut.top as usize, cut.height as usize);
                for (a, b) in a.chunks_exact_mut(side * side).zip(b.chunks_exact_mut(side * side)) {
                    for y in top..top + height {
                        let row = y * side + left..y * side + left + width;
                        a[row.clone()].swap_with_slice(&mut b[row]);
                    }
                }
            }
        }
    }
}
