//! Mixture of experts: against an independent implementation, ways of dispatch against each other, gradients, losses.

mod dispatch;
mod golden;
mod gradients;
mod layer;
mod losses;

use tch::Tensor;

/// The largest difference between two tensors of one size.
#[track_caller]
fn difference(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    (a.to_kind(tch::Kind::Double) - b.to_kind(tch::Kind::Double)).abs().max().double_value(&[])
}
