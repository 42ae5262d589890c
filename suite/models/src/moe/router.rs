//! A router: which experts a token uses, and with what weight.

use adamv_native::autocast_bf16;
use tch::{Kind, Tensor};

use crate::params::{Init, Scope};

/// One linear layer without bias; W `[E,D]`.
#[derive(Debug)]
pub struct Router {
    weight: Tensor,
}

/// What a router says of T tokens.
#[derive(Debug)]
pub struct Choice {
    /// `[T,E]`, without noise.
    pub logits: Tensor,
    /// `[T,E]`, with noise in training.
    pub noisy: Tensor,
    /// Softmax of `logits`, `[T,E]`.
    pub probs: Tensor,
    /// The K experts of the largest noisy logits, best first, `[T,K]` int64.
    pub selected: Tensor,
    /// Their share of the softmax of `noisy` over all experts, `[T,K]`: they don't sum to one.
    pub gates: Tensor,
}

impl Router {
    /// Creates `weight` in `scope`; starts with the spread of vmoe's (standard deviation 1/sqrt(D)).
    pub fn new(mut scope: Scope, width: usize, experts: usize) -> Self {
        Self { weight: scope.weight("weight", &[experts, width], Init::FanIn { gain: 1.0 }) }
    }

    /// Multiply-adds for `rows` tokens.
    pub fn macs(&self, rows: usize) -> u64 {
        rows as u64 * self.weight.numel() as u64
    }

    /// Tokens `[T,D]` -> the choice of `k` experts for each. `sigma` is the standard deviation of the noise in training.
    /// In the weights' own precision also under autocast: a rounded logit can be another expert.
    pub fn forward(&self, tokens: &Tensor, k: usize, sigma: Option<f64>) -> Choice {
        let kind = self.weight.kind();
        autocast_bf16(tokens.device(), false, || {
            let logits = tokens.to_kind(kind).linear(&self.weight, None::<&Tensor>);
            let probs = logits.softmax(-1, kind);
            // A choice among one needs no noise, and then draws nothing: training is what it is without experts.
            let sigma = sigma.filter(|_| self.weight.size()[0] > 1);
            let (noisy, noisy_probs) = match sigma {
                Some(sigma) => {
                    let noisy = &logits + logits.detach().randn_like() * sigma;
                    let probs = noisy.softmax(-1, kind);
                    (noisy, probs)
                }
                None => (logits.shallow_clone(), probs.shallow_clone()),
            };
            // From the logits, not their softmax: where one expert has it all, the others' shares are all the same zero.
            let (_, selected) = noisy.detach().topk(k as i64, -1, true, true);
            let gates = noisy_probs.gather(-1, &selected, false);
            Choice { logits, noisy, probs, selected, gates }
        })
        .expect("a router runs where its tokens are")
    }
}

impl Choice {
    /// The logit that an expert needed to be selected, the K-th largest noisy one: `[T,1]`.
    pub fn threshold(&self) -> Tensor {
        let last = self.selected.size()[1] - 1;
        self.noisy.gather(-1, &self.selected.narrow(-1, last, 1), false)
    }

    /// The kind that logits and gates have.
    pub fn kind(&self) -> Kind {
        self.logits.kind()
    }
}
