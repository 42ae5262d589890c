//! The losses that keep experts evenly used (paper.md section 3; vmoe's `NoisyTopExpertsPerItemRouter`). Sums over
//! tokens and what comes of them are in f64: rounding would show in a squared variation near zero.

use tch::{Kind, Tensor};

use super::router::Choice;

/// CV² over experts of the sum over tokens of the noise-free softmax: `probs` `[T,E]` -> scalar.
pub fn importance(probs: &Tensor) -> Tensor {
    let sums = probs.sum_dim_intlist([0].as_slice(), false, Kind::Double);
    squared_variation(&sums).to_kind(probs.kind())
}

/// CV² over experts of the mean over tokens of p = 1 - Φ((threshold - logit) / sigma): how likely the expert is selected
/// when its noise, of standard deviation `sigma`, is drawn once more. A scalar. Logits are without noise, the threshold is
/// the K-th largest with it.
pub fn load(choice: &Choice, sigma: f64) -> Tensor {
    let margin = &choice.logits - choice.threshold();
    let selected = (margin / sigma).special_ndtr().mean_dim([0].as_slice(), false, Kind::Double);
    squared_variation(&selected).to_kind(choice.kind())
}

/// Population variance over squared mean of `[E]`: a scalar. Not as a squared standard deviation, whose gradient is NaN
/// where all values are equal.
fn squared_variation(values: &Tensor) -> Tensor {
    let mean = values.mean(None);
    (values - &mean).square().mean(None) / mean.square()
}
