//! The losses in groups: by hand, at the limit of one group, and in any order within a group.

use adamv_datasets::Task;
use adamv_models::config::MoeConfig;
use adamv_models::moe::router::Choice;
use adamv_models::moe::{MoeLayer, Route, losses};
use adamv_models::params::Params;
use adamv_models::vit::Mode;
use tch::{Device, Kind, Tensor};

use crate::difference;

const FLOAT: (Kind, Device) = (Kind::Float, Device::Cpu);

fn choice(logits: &Tensor, noisy: &Tensor, k: i64) -> Choice {
    let probs = logits.softmax(-1, Kind::Float);
    let (_, selected) = noisy.topk(k, -1, true, true);
    let gates = noisy.softmax(-1, Kind::Float).gather(-1, &selected, false);
    Choice { logits: logits.shallow_clone(), noisy: noisy.shallow_clone(), probs, selected, gates }
}

/// Importance and load loss in groups of `group` tokens.
fn both(choice: &Choice, group: i64) -> [f64; 2] {
    [losses::importance(&choice.probs, group), losses::load(choice, 0.25, group)].map(|loss| {
        assert_eq!((loss.dim(), loss.kind()), (0, Kind::Float));
        loss.double_value(&[])
    })
}

#[test]
fn each_group_is_balanced_by_itself_and_weighs_its_tokens() {
    // Two experts. Tokens 0 and 1 are sure of expert 0, tokens 2 and 3 of expert 1; token 4 is undecided. A sure token adds (1, 0)
    // or (0, 1) to the importance, and has p = 0.5 for its expert, whose logit is the threshold, and 0 for the other; token 4 adds
    // (0.5, 0.5), and has p = 0.5 for both.
    let logits = Tensor::from_slice(&[50f32, 0.0, 50.0, 0.0, 0.0, 50.0, 0.0, 50.0, 0.0, 0.0]).view([5, 2]);
    let choice = choice(&logits, &logits, 1);
    // A group with tokens of one expert alone has CV² = 1, an even one 0.
    for (group, wanted) in [
        (1, [4.0 / 5.0, 4.0 / 5.0]), // 1, 1, 1, 1, 0
        (2, [4.0 / 5.0, 4.0 / 5.0]), // 1, 1, and the last group of one token: 0; (2 + 2 + 0) / 5
        // (2, 1): mean 3/2, variance 1/4, CV² = 1/9 of three tokens; then (0.5, 1.5): mean 1, variance 1/4 of two. Load: means
        // (1/3, 1/6), CV² = 1/9; then (1/4, 1/2), CV² = 1/9.
        (3, [(3.0 / 9.0 + 2.0 / 4.0) / 5.0, 1.0 / 9.0]),
        (4, [0.0, 0.0]), // even, then even
        (5, [0.0, 0.0]),
        (64, [0.0, 0.0]),
    ] {
        let found = both(&choice, group);
        for (found, wanted) in found.into_iter().zip(wanted) {
            assert!((found - wanted).abs() < 1e-6, "{group}: {found}, not {wanted}");
        }
    }
}

#[test]
fn groups_are_averaged_and_a_group_of_all_is_the_whole_batch() {
    tch::manual_seed(6);
    for (tokens, group) in [(24, 6), (24, 8), (22, 6), (7, 3), (5, 1)] {
        let (logits, noise) = (Tensor::randn([tokens, 5], FLOAT), Tensor::randn([tokens, 5], FLOAT));
        let noisy = &logits + noise * 0.25;
        let of = |first: i64, count: i64, group: i64| {
            both(&choice(&logits.narrow(0, first, count), &noisy.narrow(0, first, count), 2), group)
        };
        let mut wanted = [0.0; 2];
        for first in (0..tokens).step_by(group as usize) {
            let count = group.min(tokens - first);
            let alone = of(first, count, count);
            (0..2).for_each(|i| wanted[i] += alone[i] * count as f64 / tokens as f64);
        }
        let found = of(0, tokens, group);
        assert!((0..2).all(|i| (found[i] - wanted[i]).abs() < 1e-6), "{tokens} by {group}: {found:?}, {wanted:?}");
        let whole = of(0, tokens, tokens);
        assert!((0..2).all(|i| (whole[i] - wanted[i]).abs() > 1e-4), "{tokens} by {group} would be as all at once");
        assert_eq!(of(0, tokens, 10 * tokens), whole);
    }
}

#[test]
fn order_within_a_group_changes_nothing_and_across_groups_it_does() {
    tch::manual_seed(7);
    let logits = Tensor::randn([24, 5], FLOAT);
    let noisy = &logits + Tensor::randn([24, 5], FLOAT) * 0.25;
    let permuted = |order: &[i64]| {
        let order = Tensor::from_slice(order);
        both(&choice(&logits.index_select(0, &order), &noisy.index_select(0, &order), 2), 8)
    };
    let straight: Vec<i64> = (0..24).collect();
    let mut within = straight.clone();
    within.chunks_mut(8).enumerate().for_each(|(i, group)| group.rotate_left(i + 2));
    let across: Vec<i64> = (0..24).map(|i| i % 3 * 8 + i / 3).collect();
    let [a, b, c] = [&straight, &within, &across].map(|order| permuted(order));
    assert!((0..2).all(|i| (a[i] - b[i]).abs() < 1e-7), "{a:?} {b:?}");
    assert!((0..2).all(|i| (a[i] - c[i]).abs() > 1e-4), "{a:?} {c:?}");
}

#[test]
fn a_group_is_so_many_images_with_all_their_windows() {
    // Images in turn are sure of expert 0 and of expert 1; each is two windows of two tokens.
    let task = Task::Classification;
    let tokens = Tensor::from_slice(&[9f32, -9.0, 9.0, -9.0]).view([4, 1, 1, 1]).expand([4, 2, 2, 1], false);
    let of = |loss_group: Option<usize>, mode: Mode| {
        let config = MoeConfig { experts: 2, k: 1, loss_group, ..MoeConfig::default() };
        let mut params = Params::new(0, Device::Cpu);
        let layer = MoeLayer::new(params.root(), 1, 2, &config, &[task]);
        let router = params.by_name()["moe.routers.classification.weight"];
        tch::no_grad(|| router.shallow_clone().copy_(&Tensor::from_slice(&[1f32, -1.0]).view([2, 1])));
        let (_, routing) = tch::no_grad(|| layer.forward(&tokens.reshape([8, 2, 1]), 2, Route { task, k: 1 }, mode));
        [routing.importance_loss, routing.load_loss.unwrap()]
    };
    for (group, wanted) in [(Some(1), 1.0), (Some(2), 0.0), (Some(3), 1.0 / 9.0 * 0.75 + 0.25), (None, 0.0)] {
        let near = |loss: &Tensor| (loss.double_value(&[]) - wanted).abs() < 1e-6;
        let [importance, load] = of(group, Mode::Evaluate);
        assert!(near(&importance) && near(&load), "{group:?}: {importance} {load}, not {wanted}");
        // The importance is without the noise of training.
        let [importance, _] = of(group, Mode::Train);
        assert!(near(&importance), "{group:?}: {importance}, not {wanted}");
    }
    // All at once is what four images a group are, to the bit.
    for (all, four) in of(None, Mode::Evaluate).iter().zip(of(Some(4), Mode::Evaluate)) {
        assert_eq!(difference(all, &four), 0.0);
    }
}
