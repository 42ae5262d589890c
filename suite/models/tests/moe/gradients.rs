//! Where the losses' gradients could be infinite. (`tests/moe_seeded.rs` holds all gradients to finite differences.)

use adamv_models::moe::losses;
use adamv_models::moe::router::Choice;
use tch::{Device, Kind, Tensor};

/// Importance and load loss of logits `[T,E]` f32 with K = 1 and their gradients, all finite.
fn both_losses(logits: Tensor, sigma: f64) -> [f64; 2] {
    let (tokens, logits) = (logits.size()[0], logits.set_requires_grad(true));
    let probs = logits.softmax(-1, Kind::Float);
    let (gates, selected) = probs.topk(1, -1, true, true);
    let choice = Choice { logits: logits.shallow_clone(), noisy: logits.shallow_clone(), probs, selected, gates };
    [losses::importance(&choice.probs, tokens), losses::load(&choice, sigma, tokens)].map(|loss| {
        let gradient = Tensor::run_backward(&[&loss], &[&logits], true, false).remove(0);
        assert!(gradient.isfinite().all().int64_value(&[]) == 1, "{gradient}");
        loss.double_value(&[])
    })
}

#[test]
fn losses_and_their_gradients_are_finite_at_perfect_balance() {
    let [importance, load] = both_losses(Tensor::zeros([12, 4], (Kind::Float, Device::Cpu)), 0.25);
    assert_eq!([importance, load], [0.0, 0.0]);
    // Every expert is one token's clear choice.
    let [importance, load] = both_losses(Tensor::eye(4, (Kind::Float, Device::Cpu)) * 50.0, 0.25);
    assert!(importance.abs() < 1e-12 && load.abs() < 1e-12, "{importance} {load}");
}

#[test]
fn losses_and_their_gradients_are_finite_at_total_collapse() {
    for size in [10.0, 1e4, 1e30] {
        let logits = Tensor::zeros([12, 4], (Kind::Float, Device::Cpu));
        let _filled = logits.select(1, 2).fill_(size);
        // One of 4 experts has it all: mean 1/4, variance 3/16, so CV² = 3.
        let [importance, load] = both_losses(logits, 0.25);
        assert!((importance - 3.0).abs() < 2e-3 && (load - 3.0).abs() < 1e-6, "{size}: {importance} {load}");
    }
}
