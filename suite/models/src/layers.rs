//! The layers that everything here is made of. Forward passes use tch's panicking calls: shapes were checked when
//! the model was built, and whoever runs a model from outside turns what is left into an error.

use tch::{Kind, Tensor};

use crate::params::{Init, Scope};
use crate::vit::Mode;

/// y = x W^T + b; W [out, in].
#[derive(Debug)]
pub struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    pub fn new(mut scope: Scope, inputs: usize, outputs: usize, init: Init) -> Self {
        Self {
            weight: scope.weight("weight", &[outputs, inputs], init),
            bias: scope.undecayed("bias", &[outputs], Init::Zeros),
        }
    }

    /// [.., in] -> [.., out].
    pub fn forward(&self, x: &Tensor) -> Tensor {
        x.linear(&self.weight, Some(&self.bias))
    }

    /// Multiply-adds for `rows` rows.
    pub fn macs(&self, rows: usize) -> u64 {
        rows as u64 * self.weight.numel() as u64
    }
}

/// LayerNorm over the last axis, eps 1e-6.
#[derive(Debug)]
pub struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
}

impl LayerNorm {
    pub fn new(mut scope: Scope, width: usize) -> Self {
        Self {
            weight: scope.undecayed("weight", &[width], Init::Ones),
            bias: scope.undecayed("bias", &[width], Init::Zeros),
        }
    }

    /// [.., D] -> [.., D].
    pub fn forward(&self, x: &Tensor) -> Tensor {
        x.layer_norm(self.weight.size(), Some(&self.weight), Some(&self.bias), 1e-6, false)
    }
}

/// A square convolution with bias; W [out, in, size, size]. Odd sizes keep the map's size at stride 1.
#[derive(Debug)]
pub struct Conv {
    weight: Tensor,
    bias: Tensor,
    stride: i64,
    padding: i64,
}

impl Conv {
    pub fn new(mut scope: Scope, inputs: usize, outputs: usize, size: usize, init: Init) -> Self {
        Self {
            weight: scope.weight("weight", &[outputs, inputs, size, size], init),
            bias: scope.undecayed("bias", &[outputs], Init::Zeros),
            stride: 1,
            padding: (size as i64 - 1) / 2,
        }
    }

    /// The same convolution at every `stride`-th position.
    pub fn stride(self, stride: usize) -> Self {
        Self { stride: stride as i64, ..self }
    }

    /// Without padding, as a patch embedding is.
    pub fn unpadded(self) -> Self {
        Self { padding: 0, ..self }
    }

    /// [B, in, Y, X] -> [B, out, Y', X'].
    pub fn forward(&self, x: &Tensor) -> Tensor {
        x.conv2d(&self.weight, Some(&self.bias), self.stride, self.padding, 1, 1)
    }

    /// Multiply-adds for one square map of `side` cells; at the border, the padding's count too.
    pub fn macs(&self, side: usize) -> u64 {
        let kernel = self.weight.size()[2];
        let out = ((side as i64 + 2 * self.padding - kernel) / self.stride + 1) as u64;
        out * out * self.weight.numel() as u64
    }
}

/// A 2x2 transposed convolution of stride 2 with bias: doubles both sides of a map; W [in, out, 2, 2].
#[derive(Debug)]
pub struct Upsample {
    weight: Tensor,
    bias: Tensor,
}

impl Upsample {
    pub fn new(mut scope: Scope, inputs: usize, outputs: usize) -> Self {
        // Each output pixel is fed by one input pixel, so the fan is the number of input channels.
        let init = Init::Normal((2.0 / inputs as f64).sqrt());
        Self {
            weight: scope.weight("weight", &[inputs, outputs, 2, 2], init),
            bias: scope.undecayed("bias", &[outputs], Init::Zeros),
        }
    }

    /// [B, in, Y, X] -> [B, out, 2Y, 2X].
    pub fn forward(&self, x: &Tensor) -> Tensor {
        // The bias apart: on the CPU its gradient inside the transposed convolution runs in a slow reference kernel.
        x.conv_transpose2d(&self.weight, None::<&Tensor>, 2, 0, 0, 1, 1) + self.bias.view([-1, 1, 1])
    }

    /// Multiply-adds for one square map of `side` cells.
    pub fn macs(&self, side: usize) -> u64 {
        (side * side) as u64 * self.weight.numel() as u64
    }
}

/// GroupNorm over groups of channels, eps 1e-5 (Wu and He, ECCV 2018): 32 groups, the paper's and detectron2's number, or the
/// largest divisor of the channels below that. A group has two channels or more: one alone, on a single position, would be
/// normed to 0.
#[derive(Debug)]
pub struct GroupNorm {
    weight: Tensor,
    bias: Tensor,
    groups: i64,
}

impl GroupNorm {
    pub fn new(mut scope: Scope, channels: usize) -> Self {
        let groups = (1..=32.min(channels / 2)).rev().find(|&groups| channels.is_multiple_of(groups)).unwrap_or(1);
        Self {
            weight: scope.undecayed("weight", &[channels], Init::Ones),
            bias: scope.undecayed("bias", &[channels], Init::Zeros),
            groups: groups as i64,
        }
    }

    /// [B, C, ..] -> same.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        x.group_norm(self.groups, Some(&self.weight), Some(&self.bias), 1e-5, false)
    }
}

/// BatchNorm of each channel (Ioffe and Szegedy, ICML 2015), with F-VLM's eps of 1e-4 and momentum of 0.997. Training uses the
/// mean and variance of the batch and moves the running ones towards them, evaluation uses the running ones. These are buffers,
/// `running_mean` and `running_var`: no optimizer touches or averages them. Both variances are sums over N, as in flax.
#[derive(Debug)]
pub struct BatchNorm {
    weight: Tensor,
    bias: Tensor,
    mean: Tensor,
    variance: Tensor,
}

impl BatchNorm {
    const EPS: f64 = 1e-4;
    /// Share of the running statistics that a step keeps.
    const MOMENTUM: f64 = 0.997;

    pub fn new(mut scope: Scope, channels: usize) -> Self {
        Self {
            weight: scope.undecayed("weight", &[channels], Init::Ones),
            bias: scope.undecayed("bias", &[channels], Init::Zeros),
            mean: scope.buffer("running_mean", &[channels], Init::Zeros),
            variance: scope.buffer("running_var", &[channels], Init::Ones),
        }
    }

    /// [B, C, ..] -> same. Running statistics move in training alone: a loss that is only measured, which has no gradient, leaves
    /// them as they are in every mode, as `val_step` of the authors' release does.
    pub fn forward(&self, x: &Tensor, mode: Mode) -> Tensor {
        let (weight, bias) = (Some(&self.weight), Some(&self.bias));
        // libtorch would move the variance towards the sum over N - 1: the statistics are moved here instead.
        let none = None::<&Tensor>;
        match mode {
            Mode::Evaluate => {
                x.batch_norm(weight, bias, Some(&self.mean), Some(&self.variance), false, 0.0, Self::EPS, false)
            }
            Mode::Train => {
                let out = x.batch_norm(weight, bias, none, none, true, 0.0, Self::EPS, false);
                if out.requires_grad() {
                    tch::no_grad(|| self.observe(x));
                }
                out
            }
        }
    }

    fn observe(&self, x: &Tensor) {
        let others: Vec<i64> = (0..x.dim() as i64).filter(|&axis| axis != 1).collect();
        let (variance, mean) = x.to_kind(Kind::Float).var_mean_correction(others.as_slice(), 0, false);
        for (running, batch) in [(&self.mean, mean), (&self.variance, variance)] {
            let _same = running.shallow_clone().lerp_(&batch, 1.0 - Self::MOMENTUM);
        }
    }
}
