//! The weights of a layer's experts: each is a linear layer, an exact GELU and a linear layer.

use tch::Tensor;

use super::config::ExpertInit;
use crate::params::{Init, Scope};

/// E experts; each weight has E in front.
#[derive(Debug)]
pub struct Experts {
    /// W `[E,M,D]`, b `[E,M]`.
    pub fc1: (Tensor, Tensor),
    /// W `[E,D,M]`, b `[E,D]`.
    pub fc2: (Tensor, Tensor),
}

/// One of them.
pub struct Expert {
    fc1: (Tensor, Tensor),
    fc2: (Tensor, Tensor),
}

impl Experts {
    /// Creates `moe.experts.{fc1,fc2}.{weight,bias}` in the `block`. Identical experts start as the block's `mlp` of the same
    /// hidden width would.
    pub fn new(mut block: Scope, width: usize, hidden: usize, experts: usize, init: ExpertInit) -> Self {
        let mut linear = |name: &str, inputs: usize, outputs: usize| {
            let sources = |leaf: &str| -> Vec<String> {
                let source = |e: usize| match init {
                    ExpertInit::Identical => block.full_name(&format!("mlp.{name}.{leaf}")),
                    ExpertInit::Independent => block.full_name(&format!("moe.experts.{e}.{name}.{leaf}")),
                };
                (0..experts).map(source).collect()
            };
            let (weights, biases) = (sources("weight"), sources("bias"));
            let mut moe = block.sub("moe");
            let mut all = moe.sub("experts");
            let mut scope = all.sub(name);
            (
                scope.stacked("weight", &weights, &[outputs, inputs], Init::Glorot, true),
                scope.stacked("bias", &biases, &[outputs], Init::Zeros, false),
            )
        };
        Self { fc1: linear("fc1", width, hidden), fc2: linear("fc2", hidden, width) }
    }

    /// E.
    pub fn count(&self) -> i64 {
        self.fc1.0.size()[0]
    }

    /// Multiply-adds of one expert for `rows` rows.
    pub fn macs(&self, rows: usize) -> u64 {
        let weights = self.fc1.0.numel() + self.fc2.0.numel();
        rows as u64 * weights as u64 / self.count() as u64
    }

    /// Each expert by itself.
    pub fn each(&self) -> impl Iterator<Item = Expert> {
        let pairs = |(weight, bias): &(Tensor, Tensor)| weight.unbind(0).into_iter().zip(bias.unbind(0));
        pairs(&self.fc1).zip(pairs(&self.fc2)).map(|(fc1, fc2)| Expert { fc1, fc2 })
    }
}

impl Expert {
    /// `[n,D]` -> `[n,D]`.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let hidden = x.linear(&self.fc1.0, Some(&self.fc1.1)).gelu("none");
        hidden.linear(&self.fc2.0, Some(&self.fc2.1))
    }
}
