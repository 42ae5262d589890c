//! The scores of all adapted layers as training sees them: which deltas count, the penalty that keeps them few, and what is
//! frozen.

use adamv_datasets::Task;
use tch::{Kind, Tensor};

use super::config::{Frozen, Taps};
use crate::systems::{Phase, Stage};
use crate::vit::Trunk;

/// One score.
#[derive(Debug)]
struct Indicator {
    task: Task,
    /// Names the layer: `3.mlp.fc1` is one of block 3.
    layer: String,
    /// A scalar; shares its storage with the layer's.
    score: Tensor,
}

/// The scores of a trunk's adapted layers.
#[derive(Debug)]
pub struct Indicators {
    list: Vec<Indicator>,
    taps: Taps,
}

impl Indicators {
    /// Those of `trunk`.
    pub fn new(trunk: &Trunk, taps: Taps) -> Self {
        let list = trunk
            .adapted()
            .flat_map(|(layer, linear)| {
                let of = move |own: &super::Delta| Indicator {
                    task: own.task,
                    layer: layer.clone(),
                    score: own.indicator.shallow_clone(),
                };
                linear.deltas().iter().map(of)
            })
            .collect();
        Self { list, taps }
    }

    /// Layers of `task` by name, in order: those of [`Indicators::scores`].
    pub fn layers(&self, task: Task) -> impl Iterator<Item = &str> {
        self.of(task).map(|own| own.layer.as_str())
    }

    /// The scores of `task`, one a layer, `[2L]` f32.
    pub fn scores(&self, task: Task) -> Tensor {
        Tensor::stack(&self.of(task).map(|own| &own.score).collect::<Vec<_>>(), 0)
    }

    /// A delta counts from this score on.
    pub fn threshold(&self) -> f64 {
        self.taps.threshold
    }

    /// `penalty` times the mean of the absolute scores of `task`, a scalar, once it sets in: `epochs` of the task's data lie
    /// behind.
    pub fn penalty(&self, task: Task, epochs: f64) -> Option<Tensor> {
        let due = epochs >= self.taps.penalty_after_epochs;
        due.then(|| self.scores(task).abs().mean(Kind::Float) * self.taps.penalty)
    }

    /// Whether `phase` trains a weight of this name that its tasks activate. The first stage makes the weights that deltas are
    /// added to; what comes after it leaves them.
    pub fn trains(&self, weight: &str, phase: &Phase) -> bool {
        let own = own_part(weight);
        match (phase.stage, self.taps.frozen) {
            (Stage::First, _) => own.is_none(),
            (Stage::Only, _) | (Stage::Second, Frozen::Nothing) => true,
            (Stage::Second, Frozen::AdaptedWeights) => {
                own.is_some() || !(weight.contains(".mlp.fc") && weight.ends_with(".weight"))
            }
            (Stage::Second, Frozen::Shared) => {
                own.is_some() || !(weight.starts_with("blocks.") || weight.starts_with("norm."))
            }
        }
    }

    /// Of the parameters of a weight of this name, `all`, those that an image can touch: a delta's when its score is over the
    /// threshold. Scores themselves are folded into the weights.
    pub fn activated(&self, weight: &str, all: u64) -> u64 {
        match own_part(weight) {
            None => all,
            Some(("delta", layer, task)) if self.counts(layer, task) => all,
            Some(_) => 0,
        }
    }

    fn counts(&self, layer: &str, task: &str) -> bool {
        let own = self.list.iter().find(|own| own.layer == layer && own.task.as_str() == task);
        // In f32, as the layer compares.
        own.is_some_and(|own| own.score.detach().ge(self.taps.threshold).int64_value(&[]) == 1)
    }

    fn of(&self, task: Task) -> impl Iterator<Item = &Indicator> {
        self.list.iter().filter(move |own| own.task == task)
    }
}

/// `blocks.3.mlp.fc1.delta.TASK` -> `("delta", "3.mlp.fc1", TASK)`, and so for `indicator`; none for what the tasks share.
fn own_part(weight: &str) -> Option<(&str, &str, &str)> {
    ["delta", "indicator"].into_iter().find_map(|kind| {
        let (layer, task) = weight.strip_prefix("blocks.")?.split_once(&format!(".{kind}."))?;
        Some((kind, layer, task))
    })
}
