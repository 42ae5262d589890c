//! The single-scale pyramid: every level is made from the backbone's one map (paper.md section 6).

use tch::Tensor;

use super::norm::Norm;
use crate::config::{DetectorConfig, InputConfig};
use crate::layers::{Conv, Upsample};
use crate::params::{Init, Scope};
use crate::vit::Mode;

/// Makes levels `min_level` to `max_level`, level l at stride 2^l. The level of the patch is a 1x1 convolution of the
/// map, finer ones are transposed convolutions of it, coarser ones stride-2 convolutions; a 3x3 convolution ends each, and
/// a norm follows it. The layers before have none: F-VLM's pyramid, too, makes its levels of one another before any is normed.
#[derive(Debug)]
pub struct Pyramid {
    lateral: Conv,
    /// From the patch's level downwards: base - 1, base - 2, ..
    finer: Vec<Upsample>,
    /// From the patch's level upwards: base + 1, ..
    coarser: Vec<Conv>,
    /// One for each level, finest first.
    outputs: Vec<Conv>,
    norms: Vec<Norm>,
}

impl Pyramid {
    pub fn new(mut scope: Scope, width: usize, input: &InputConfig, config: &DetectorConfig) -> Self {
        let base = input.patch_size.trailing_zeros() as usize;
        let c = config.channels;
        let he = Init::FanIn { gain: 2.0 };
        Self {
            lateral: Conv::new(scope.sub("lateral"), width, c, 1, Init::FanIn { gain: 1.0 }),
            finer: (config.min_level..base).rev().map(|l| Upsample::new(scope.sub("finer").sub(l), c, c)).collect(),
            coarser: (base + 1..=config.max_level)
                .map(|l| Conv::new(scope.sub("coarser").sub(l), c, c, 3, he).stride(2))
                .collect(),
            outputs: (config.min_level..=config.max_level)
                .map(|l| Conv::new(scope.sub("output").sub(l), c, c, 3, Init::FanIn { gain: 1.0 }))
                .collect(),
            norms: (config.min_level..=config.max_level)
                .map(|l| Norm::new(scope.sub("output_norm").sub(l), config.norm, c))
                .collect(),
        }
    }

    /// Sides in cells of the levels' maps, finest first.
    pub fn sides(input: &InputConfig, config: &DetectorConfig) -> Vec<usize> {
        let (side, base) = (input.image_size / input.patch_size, input.patch_size.trailing_zeros() as usize);
        // A padded stride-2 convolution rounds half a cell up.
        let coarser =
            std::iter::successors(Some(side), |side| Some(side.div_ceil(2))).take(config.max_level - base + 1);
        (config.min_level..base).map(|level| side << (base - level)).chain(coarser).collect()
    }

    /// Multiply-adds of one map of `side` cells, given the `sides` of the levels.
    pub fn macs(&self, side: usize, sides: &[usize]) -> u64 {
        let finer: u64 = self.finer.iter().enumerate().map(|(i, up)| up.macs(side << i)).sum();
        // Each coarser level is made of the one before it.
        let below = &sides[self.finer.len()..];
        let coarser: u64 = self.coarser.iter().zip(below).map(|(conv, &side)| conv.macs(side)).sum();
        let outputs: u64 = self.outputs.iter().zip(sides).map(|(conv, &side)| conv.macs(side)).sum();
        self.lateral.macs(side) + finer + coarser + outputs
    }

    /// Map `[B,D,Y,X]` -> one map `[B,C,Yl,Xl]` per level, finest first.
    pub fn forward(&self, map: &Tensor, mode: Mode) -> Vec<Tensor> {
        let base = self.lateral.forward(map);
        let mut levels = vec![base.shallow_clone()];
        for finer in &self.finer {
            let next = finer.forward(&levels[0].gelu("none"));
            levels.insert(0, next);
        }
        let mut top = base;
        for coarser in &self.coarser {
            top = coarser.forward(&top.gelu("none"));
            levels.push(top.shallow_clone());
        }
        let outputs = self.outputs.iter().zip(&self.norms);
        levels.iter().zip(outputs).map(|(x, (conv, norm))| norm.forward(conv.forward(x), mode)).collect()
    }
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind};

    use super::*;
    use crate::params::Params;

    #[test]
    fn the_maps_have_the_sides_that_were_said() {
        // 9 patches a side: levels 2 to 6 have 18, 9, 5, 3, 2 cells.
        let input = InputConfig { image_size: 72, patch_size: 8, windows: 1 };
        let config = DetectorConfig { min_level: 2, max_level: 6, channels: 4, ..DetectorConfig::default() };
        let mut params = Params::new(0, Device::Cpu);
        let pyramid = Pyramid::new(params.root(), 6, &input, &config);
        let maps = pyramid.forward(&Tensor::zeros([2, 6, 9, 9], (Kind::Float, Device::Cpu)), Mode::Train);
        assert_eq!(Pyramid::sides(&input, &config), [18, 9, 5, 3, 2]);
        for (map, side) in maps.iter().zip([18, 9, 5, 3, 2]) {
            assert_eq!(map.size(), [2, 4, side, side]);
        }
    }
}
