//! The losses that keep experts evenly used (paper.md section 3; vmoe's `NoisyTopExpertsPerItemRouter`). Sums over
//! tokens and what comes of them are in f64: rounding would show in a squared variation near zero.
//!
//! Both are computed in each group of tokens by itself and averaged, as in the released router (`moe_mtl/router/router.py`). There
//! all groups are equal; here the last may be smaller, and a group weighs what it holds: so every token, and every image, bears
//! on the loss alike, and a nearly empty last group, whose few tokens can't be spread over all experts, doesn't outweigh them.

use tch::{Kind, Tensor};

use super::router::Choice;

/// CV² over experts of the sum over tokens of the noise-free softmax: `probs` `[T,E]` -> scalar; in groups of `group` tokens, all
/// at once if that's T or more.
pub fn importance(probs: &Tensor, group: i64) -> Tensor {
    let variation = |part: &Tensor| squared_variation(&part.sum_dim_intlist([1].as_slice(), false, Kind::Double));
    over_groups(probs, group, variation).to_kind(probs.kind())
}

/// CV² over experts of the mean over tokens of p = 1 - Φ((threshold - logit) / sigma): how likely the expert is selected
/// when its noise, of standard deviation `sigma`, is drawn once more. A scalar; in groups as [`importance`]. Logits are without
/// noise, the threshold is the K-th largest with it.
pub fn load(choice: &Choice, sigma: f64, group: i64) -> Tensor {
    let margin = &choice.logits - choice.threshold();
    let selected = (margin / sigma).special_ndtr();
    let variation = |part: &Tensor| squared_variation(&part.mean_dim([1].as_slice(), false, Kind::Double));
    over_groups(&selected, group, variation).to_kind(choice.kind())
}

/// The mean over tokens of what `loss`, `[G,S,E]` -> `[G]`, says of their groups: `x` `[T,E]` -> scalar.
fn over_groups(x: &Tensor, group: i64, loss: impl Fn(&Tensor) -> Tensor) -> Tensor {
    let (tokens, experts) = (x.size()[0], x.size()[1]);
    let group = group.min(tokens);
    let rest = tokens % group;
    let whole = loss(&x.narrow(0, 0, tokens - rest).view([-1, group, experts])).mean(None);
    if rest == 0 {
        return whole;
    }
    let last = loss(&x.narrow(0, tokens - rest, rest).unsqueeze(0)).mean(None);
    (whole * (tokens - rest) + last * rest) / tokens
}

/// Population variance over squared mean of `[G,E]` along its last axis: `[G]`. Not as a squared standard deviation, whose
/// gradient is NaN where all values are equal.
fn squared_variation(values: &Tensor) -> Tensor {
    let mean = values.mean_dim([-1].as_slice(), true, None);
    (values - &mean).square().mean_dim([-1].as_slice(), false, None) / mean.square().squeeze_dim(-1)
}
