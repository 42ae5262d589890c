//! A linear layer that each task may adapt: w_task = w + [s >= threshold] * delta, where s is the score of task and layer.

use adamv_datasets::Task;
use tch::Tensor;

use super::config::Taps;
use crate::params::{Init, Scope};

/// What one task adds to a layer's weight.
#[derive(Debug)]
pub struct Delta {
    pub task: Task,
    /// `[out, in]`, zeros at first.
    pub delta: Tensor,
    /// The score, a scalar.
    pub indicator: Tensor,
}

/// y = x (w + [s >= threshold] delta)^T + b; w `[out, in]`. The bias is the tasks' own in neither setting.
#[derive(Debug)]
pub struct AdaptedLinear {
    weight: Tensor,
    bias: Tensor,
    deltas: Vec<Delta>,
    threshold: f64,
}

impl AdaptedLinear {
    /// Creates `weight` and `bias`, as a plain layer does, and for each of `tasks` `delta.TASK` and `indicator.TASK`.
    pub fn new(mut scope: Scope, inputs: usize, outputs: usize, taps: &Taps, tasks: &[Task]) -> Self {
        let delta = |scope: &mut Scope, task: Task| Delta {
            task,
            delta: scope.sub("delta").weight(task.as_str(), &[outputs, inputs], Init::Zeros),
            indicator: scope.sub("indicator").undecayed(task.as_str(), &[], Init::Constant(taps.indicator)),
        };
        Self {
            weight: scope.weight("weight", &[outputs, inputs], Init::Glorot),
            bias: scope.undecayed("bias", &[outputs], Init::Zeros),
            deltas: tasks.iter().map(|&task| delta(&mut scope, task)).collect(),
            threshold: taps.threshold,
        }
    }

    /// `[.., in]` -> `[.., out]` for `task`.
    pub fn forward(&self, x: &Tensor, task: Task) -> Tensor {
        let weight = match self.deltas.iter().find(|delta| delta.task == task) {
            Some(own) => &self.weight + straight_through(&own.indicator, self.threshold) * &own.delta,
            None => self.weight.shallow_clone(),
        };
        x.linear(&weight, Some(&self.bias))
    }

    /// Multiply-adds for `rows` rows. What is added to the weight isn't multiplied: it can be done once for all images.
    pub fn macs(&self, rows: usize) -> u64 {
        rows as u64 * self.weight.numel() as u64
    }

    /// What each task adds.
    pub fn deltas(&self) -> &[Delta] {
        &self.deltas
    }
}

/// 1 where `x` is `threshold` or more, else 0; its gradient is that of `x` itself.
pub fn straight_through(x: &Tensor, threshold: f64) -> Tensor {
    // x - x is exactly 0 and has the gradient 1.
    x.detach().ge(threshold).to_kind(x.kind()) + (x - x.detach())
}

/// Two adapted layers with an exact GELU between.
#[derive(Debug)]
pub struct AdaptedMlp {
    fc1: AdaptedLinear,
    fc2: AdaptedLinear,
}

impl AdaptedMlp {
    /// Creates `fc1` and `fc2` below `scope`.
    pub fn new(mut scope: Scope, width: usize, hidden: usize, taps: &Taps, tasks: &[Task]) -> Self {
        Self {
            fc1: AdaptedLinear::new(scope.sub("fc1"), width, hidden, taps, tasks),
            fc2: AdaptedLinear::new(scope.sub("fc2"), hidden, width, taps, tasks),
        }
    }

    /// `[B,N,D]` -> `[B,N,D]`.
    pub fn forward(&self, x: &Tensor, task: Task) -> Tensor {
        self.fc2.forward(&self.fc1.forward(x, task).gelu("none"), task)
    }

    /// Multiply-adds of `tokens` tokens.
    pub fn macs(&self, tokens: usize) -> u64 {
        self.fc1.macs(tokens) + self.fc2.macs(tokens)
    }

    /// The layers by name.
    pub fn layers(&self) -> [(&'static str, &AdaptedLinear); 2] {
        [("fc1", &self.fc1), ("fc2", &self.fc2)]
    }
}
