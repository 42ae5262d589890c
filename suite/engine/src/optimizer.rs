//! AdamW with decoupled weight decay, and the moving average of the weights; both with a state that can be saved.

use std::collections::BTreeMap;

use adamv_models::params::Param;
use adamv_native::{AdamWParams, clip_grad_norm, ema_update, fused_adamw};
use tch::{Kind, Tensor};

use crate::config::TrainingConfig;
use crate::error::EngineError;

/// Weights that share a weight decay, with their moments.
struct Group {
    names: Vec<String>,
    weights: Vec<Tensor>,
    mean: Vec<Tensor>,
    square: Vec<Tensor>,
    /// Steps taken, a scalar f32 for each weight as libtorch wants it.
    taken: Vec<Tensor>,
    decayed: bool,
}

/// AdamW over the weights of one phase, all f32. Norms, biases and embeddings have no weight decay, unless all weights have.
pub struct Optimizer {
    groups: [Group; 2],
    average: Vec<Tensor>,
    config: TrainingConfig,
    weight_decay: f64,
}

impl Optimizer {
    /// Zero moments, and an average that starts at the weights, after `steps` steps.
    pub fn new<'a>(
        params: impl Iterator<Item = &'a Param>,
        config: &TrainingConfig,
        weight_decay: f64,
        steps: u64,
    ) -> Self {
        let empty =
            |decayed| Group { names: vec![], weights: vec![], mean: vec![], square: vec![], taken: vec![], decayed };
        let mut groups = [empty(true), empty(false)];
        for param in params {
            let group = &mut groups[usize::from(!(param.decay || config.decay_all))];
            group.names.push(param.name.clone());
            group.weights.push(param.tensor.shallow_clone());
            group.mean.push(param.tensor.detach().zeros_like());
            group.square.push(param.tensor.detach().zeros_like());
            group.taken.push(Tensor::full([0i64; 0], steps as f64, (Kind::Float, param.tensor.device())));
        }
        let average = if config.ema_decay > 0.0 {
            groups.iter().flat_map(|g| &g.weights).map(|w| w.detach().copy()).collect()
        } else {
            Vec::new()
        };
        Self { groups, average, config: config.clone(), weight_decay }
    }

    /// One step with the gradients that the weights hold, which are zero afterwards. Returns the norm of the whole
    /// gradient before clipping, a scalar on the device.
    pub fn step(&mut self, learning_rate: f64) -> Result<Tensor, EngineError> {
        let gradients: Vec<Tensor> = self.weights().map(gradient).collect();
        let most = if self.config.clip_norm > 0.0 { self.config.clip_norm } else { f64::INFINITY };
        let norm = clip_grad_norm(&gradients, most)?;
        let (first, second) = gradients.split_at(self.groups[0].weights.len());
        for (group, gradients) in self.groups.iter().zip([first, second]) {
            if group.weights.is_empty() {
                continue;
            }
            let hyper = AdamWParams {
                lr: learning_rate,
                beta1: self.config.beta1,
                beta2: self.config.beta2,
                eps: self.config.eps,
                weight_decay: if group.decayed { self.weight_decay } else { 0.0 },
            };
            fused_adamw(&group.weights, gradients, &group.mean, &group.square, &group.taken, &hyper)?;
        }
        if !self.average.is_empty() {
            let weights: Vec<Tensor> = self.weights().map(Tensor::shallow_clone).collect();
            ema_update(&self.average, &weights, self.config.ema_decay)?;
        }
        for mut gradient in gradients {
            let _same = gradient.f_zero_()?;
        }
        Ok(norm)
    }

    /// Ends a phase: the averaged weights, if there are any, become the weights. Buffers, such as a batch norm's running
    /// statistics, stay as they are: they are averages already.
    pub fn adopt_average(&self) -> Result<(), EngineError> {
        tch::no_grad(|| {
            for (weight, average) in self.weights().zip(&self.average) {
                weight.shallow_clone().f_copy_(average)?;
            }
            Ok(())
        })
    }

    /// Moments and averages by name, for a checkpoint; they share storage with the optimizer's.
    pub fn state(&self) -> BTreeMap<String, Tensor> {
        let mut state = BTreeMap::new();
        for group in &self.groups {
            for (i, name) in group.names.iter().enumerate() {
                state.insert(format!("mean.{name}"), group.mean[i].shallow_clone());
                state.insert(format!("square.{name}"), group.square[i].shallow_clone());
            }
        }
        let names = self.groups.iter().flat_map(|g| &g.names);
        for (name, average) in names.zip(&self.average) {
            state.insert(format!("average.{name}"), average.shallow_clone());
        }
        state
    }

    fn weights(&self) -> impl Iterator<Item = &Tensor> {
        self.groups.iter().flat_map(|g| &g.weights)
    }
}

/// The gradient of a weight; zeros for one that no loss reached.
fn gradient(weight: &Tensor) -> Tensor {
    let gradient = weight.grad();
    if gradient.defined() { gradient } else { weight.detach().zeros_like() }
}

#[cfg(test)]
mod tests {
    use adamv_models::params::{Init, Params};
    use tch::Device;

    use super::*;

    /// A weight and a bias, both ones, with zero gradient: an Adam step leaves them, so only the decay moves them.
    fn params() -> Params {
        let mut params = Params::new(0, Device::Cpu);
        let mut root = params.root();
        let (weight, bias) = (root.weight("weight", &[2], Init::Ones), root.undecayed("bias", &[2], Init::Ones));
        ((weight + bias) * 0.0).sum(Kind::Float).backward();
        params
    }

    fn value(params: &Params, name: &str) -> f64 {
        params.by_name()[name].double_value(&[0])
    }

    #[test]
    fn weight_decay_leaves_biases_alone_unless_all_weights_decay() {
        for (decay_all, bias) in [(false, 1.0), (true, 0.95)] {
            let params = params();
            let config = TrainingConfig { decay_all, ..TrainingConfig::default() };
            let mut optimizer = Optimizer::new(params.iter(), &config, 0.1, 0);
            let norm = optimizer.step(0.5).unwrap();
            assert_eq!(norm.double_value(&[]), 0.0);
            assert!((value(&params, "weight") - 0.95).abs() < 1e-6, "1 - 0.5 * 0.1");
            assert!((value(&params, "bias") - bias).abs() < 1e-6, "{decay_all}: {}", value(&params, "bias"));
        }
    }

    #[test]
    fn the_average_follows_and_becomes_the_weights() {
        let params = params();
        let mut optimizer = Optimizer::new(params.iter(), &TrainingConfig::default(), 0.1, 0);
        for _ in 0..2 {
            let _norm = optimizer.step(0.5).unwrap();
        }
        // Weights 1, 0.95, 0.9025; average with decay 0.9: 1, 0.995, 0.9 * 0.995 + 0.1 * 0.9025.
        optimizer.adopt_average().unwrap();
        assert!((value(&params, "weight") - 0.98575).abs() < 1e-6, "{}", value(&params, "weight"));
    }

    #[test]
    fn gradients_are_zero_after_a_step() {
        let params = params();
        let weight = params.by_name()["weight"];
        (weight * 3.0).sum(Kind::Float).backward();
        let mut optimizer = Optimizer::new(params.iter(), &TrainingConfig::default(), 0.0, 0);
        let norm = optimizer.step(0.1).unwrap().double_value(&[]);
        assert!((norm - 18f64.sqrt()).abs() < 1e-5, "{norm}");
        assert_eq!(weight.grad().abs().max().double_value(&[]), 0.0);
    }
}
