//! Every way of dispatch against one table, each other, and vmoe's capacity by hand.

use adamv_models::moe::capacity::{capacity, kept};
use adamv_models::moe::dispatch::{Dispatch, Grouped, Loop, Sorted};
use adamv_models::moe::experts::Experts;
use proptest::prelude::*;
use tch::{Device, Kind, Tensor};

use crate::difference;

const WAYS: [(&str, &dyn Dispatch); 3] = [("loop", &Loop), ("sorted", &Sorted), ("grouped", &Grouped(Kind::Float))];

#[test]
fn every_way_gives_the_table() {
    // fc1 adds 16, where GELU is the identity to the last bit of f32; fc2 takes it away again. Expert e is then
    // (e + 1) x + 10 e. Nobody chooses expert 3.
    let identity = Tensor::eye(4, (Kind::Float, Device::Cpu));
    let scale = Tensor::from_slice(&[1f32, 2.0, 3.0, 4.0]).view([4, 1, 1]);
    let bias = Tensor::from_slice(&[-16f32, 10.0 - 32.0, 20.0 - 48.0, 30.0 - 64.0]).view([4, 1]);
    let experts = Experts {
        fc1: (identity.expand([4, 4, 4], false).contiguous(), Tensor::full([4, 4], 16.0, (Kind::Float, Device::Cpu))),
        fc2: (&identity * scale, bias.expand([4, 4], false).contiguous()),
    };
    let tokens = Tensor::from_slice(&[1f32, 2.0, -1.0, 0.0, 3.0, -1.0, 0.0, 2.0, 0.0, 4.0, 1.0, -2.0]).view([3, 4]);
    let selected = Tensor::from_slice(&[0i64, 2, 1, 0, 2, 1]).view([3, 2]);
    let gates = Tensor::from_slice(&[0.5f32, 0.25, 0.75, 0.125, 1.0, 0.0]).view([3, 2]);
    // Token 0: 0.5 (1, 2, -1, 0) + 0.25 (23, 26, 17, 20). Token 1: 0.75 (16, 8, 10, 14) + 0.125 (3, -1, 0, 2).
    // Token 2: 1 (20, 32, 23, 14), and a choice that a gate of 0 leaves out.
    let expected =
        Tensor::from_slice(&[6.25f32, 7.5, 3.75, 5.0, 12.375, 5.875, 7.5, 10.75, 20.0, 32.0, 23.0, 14.0]).view([3, 4]);
    for (name, way) in WAYS {
        let out = way.run(&tokens, &selected, &gates, &experts);
        assert!(difference(&out, &expected) < 1e-6, "{name}: {out}");
    }
}

/// Random experts of width 8 and hidden width 16, tokens and choices, all with gradient.
struct Case {
    tokens: Tensor,
    selected: Tensor,
    gates: Tensor,
    experts: Experts,
}

impl Case {
    fn new(tokens: i64, count: i64, k: i64, seed: i64) -> Self {
        tch::manual_seed(seed);
        let random = |size: &[i64]| (Tensor::randn(size, (Kind::Float, Device::Cpu)) * 0.5).set_requires_grad(true);
        let (gates, selected) = Tensor::rand([tokens, count], (Kind::Float, Device::Cpu)).topk(k, -1, true, true);
        Self {
            tokens: random(&[tokens, 8]),
            selected,
            gates: gates.set_requires_grad(true),
            experts: Experts {
                fc1: (random(&[count, 16, 8]), random(&[count, 16])),
                fc2: (random(&[count, 8, 16]), random(&[count, 8])),
            },
        }
    }

    /// The result, and the gradients of a sum of its squares.
    fn run(&self, way: &dyn Dispatch) -> Vec<Tensor> {
        let out = way.run(&self.tokens, &self.selected, &self.gates, &self.experts);
        let Experts { fc1, fc2 } = &self.experts;
        let inputs = [&self.tokens, &self.gates, &fc1.0, &fc1.1, &fc2.0, &fc2.1];
        let mut all = Tensor::run_backward(&[out.square().sum(Kind::Float)], &inputs, false, false);
        all.push(out);
        all
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_way_gives_what_the_loop_gives(
        tokens in 1i64..40, (count, k) in (1i64..9).prop_flat_map(|count| (Just(count), 1..=count)), seed: u16,
    ) {
        let case = Case::new(tokens, count, k, seed.into());
        let expected = case.run(&Loop);
        for (name, way) in WAYS {
            for (i, (ours, expected)) in case.run(way).iter().zip(&expected).enumerate() {
                let scale = expected.abs().max().double_value(&[]).max(1.0);
                prop_assert!(difference(ours, expected) < 1e-5 * scale, "{name}: result or gradient {i}");
            }
        }
    }
}

#[test]
fn grouped_products_in_bf16_are_right_within_its_rounding() {
    let case = Case::new(64, 5, 3, 1);
    for (ours, expected) in case.run(&Grouped(Kind::BFloat16)).iter().zip(case.run(&Loop)) {
        // bf16 has 8 bits; sums of a few dozen products.
        let scale = expected.abs().max().double_value(&[]);
        assert!(difference(ours, &expected) < 0.03 * scale);
    }
}

#[test]
fn capacity_is_an_even_share_rounded_up_to_a_multiple_of_four() {
    // ceil(10 * 2 * 1 / 4) = 5; ceil(8 * 1 * 1 / 2) = 4; ceil(16 * 2 * 1.05 / 8) = ceil(4.2) = 5; never 0.
    assert_eq!([capacity(10, 2, 4, 1.0), capacity(8, 1, 2, 1.0), capacity(16, 2, 8, 1.05)], [8, 4, 8]);
    assert_eq!(capacity(1, 1, 8, 1e-9), 4);
}

#[test]
fn first_choices_find_room_before_any_second_choice() {
    // 6 tokens, 2 choices, 3 experts, factor 0.9: capacity ceil(3.6) = 4. Expert 0 takes the first choices of tokens 0 to 3;
    // token 4's and the second choice of token 5 find it full. Expert 1 takes token 5's first choice, then the second
    // choices of tokens 0, 1 and 2.
    let one = [0i64, 1, 0, 1, 0, 1, 0, 1, 0, 2, 1, 0];
    let (t, f) = (true, false);
    let room = [t, t, t, t, t, t, t, f, f, t, t, f];
    // A second group starts afresh, and so does a third that has one token only.
    let selected = [&one[..], &one[..], &[0, 1]].concat();
    let found = kept(&Tensor::from_slice(&selected).view([13, 2]), 3, 6, 0.9);
    let found: Vec<bool> = Vec::try_from(found.reshape([-1])).unwrap();
    assert_eq!(found, [&room[..], &room[..], &[t, t]].concat());
}
