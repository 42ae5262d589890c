//! Fused AdamW, clipping and EMA against the same formulas in plain tch, and against PyTorch's numbers
//! (`golden/make_optimizer.py`).

use adamv_native::{AdamWParams, NativeError, clip_grad_norm, ema_update, fused_adamw};
use tch::{Device, Kind, Tensor};

const HYPER: AdamWParams = AdamWParams { lr: 1e-2, beta1: 0.9, beta2: 0.95, eps: 1e-6, weight_decay: 0.1 };

/// `scale * sin(1 + 0.7 i + 1.3 step)`, as in the golden script.
fn wave(n: i64, step: f64, scale: f64) -> Tensor {
    let values: Vec<f32> = (0..n).map(|i| (scale * (1.0 + 0.7 * i as f64 + 1.3 * step).sin()) as f32).collect();
    Tensor::from_slice(&values)
}

fn golden(name: &str) -> Tensor {
    let text = include_str!("golden/optimizer.txt");
    let line = text.lines().find(|line| line.split(' ').next() == Some(name)).expect(name);
    let values: Vec<f32> = line.split(' ').skip(1).map(|v| v.parse().expect(name)).collect();
    Tensor::from_slice(&values)
}

fn distance(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.numel(), b.numel());
    if a.numel() == 0 {
        return 0.0;
    }
    (a.reshape([-1]) - b.reshape([-1])).abs().max().double_value(&[])
}

fn clones(tensors: &[Tensor]) -> Vec<Tensor> {
    tensors.iter().map(Tensor::copy).collect()
}

struct State {
    params: Vec<Tensor>,
    exp_avgs: Vec<Tensor>,
    exp_avg_sqs: Vec<Tensor>,
    steps: Vec<Tensor>,
}

impl State {
    fn new(params: Vec<Tensor>) -> State {
        let zeros = || params.iter().map(Tensor::zeros_like).collect::<Vec<_>>();
        let steps = params.iter().map(|p| Tensor::zeros([], (Kind::Float, p.device()))).collect();
        State { exp_avgs: zeros(), exp_avg_sqs: zeros(), steps, params }
    }

    fn step(&self, grads: &[Tensor], hyper: &AdamWParams) -> Result<(), NativeError> {
        fused_adamw(&self.params, grads, &self.exp_avgs, &self.exp_avg_sqs, &self.steps, hyper)
    }
}

fn two_params() -> Vec<Tensor> {
    vec![wave(6, 0.0, 1.0).view([2, 3]), wave(4, 5.0, 0.5)]
}

fn two_grads(step: i64) -> Vec<Tensor> {
    vec![wave(6, step as f64, 2.0).view([2, 3]), wave(4, (step + 10) as f64, 2.0)]
}

#[test]
fn adamw_equals_pytorch() {
    let state = State::new(two_params());
    for step in 0..10 {
        state.step(&two_grads(step), &HYPER).expect("a step");
    }
    for k in 0..2 {
        let close = |name: &str, got: &Tensor| {
            let off = distance(got, &golden(&format!("adamw_{name}{k}")));
            assert!(off <= 1e-6, "{name}{k} is off by {off}");
        };
        close("param", &state.params[k]);
        close("exp_avg", &state.exp_avgs[k]);
        close("exp_avg_sq", &state.exp_avg_sqs[k]);
        assert_eq!(state.steps[k].double_value(&[]), 10.0);
    }
}

/// The formula of the paper in single tch operations.
fn plain_adamw(p: &mut Tensor, g: &Tensor, m: &mut Tensor, v: &mut Tensor, t: i32, h: &AdamWParams) {
    *p = &*p * (1.0 - h.lr * h.weight_decay);
    *m = &*m * h.beta1 + g * (1.0 - h.beta1);
    *v = &*v * h.beta2 + g * g * (1.0 - h.beta2);
    let m_hat = &*m / (1.0 - h.beta1.powi(t));
    let v_hat = &*v / (1.0 - h.beta2.powi(t));
    *p = &*p - m_hat / (v_hat.sqrt() + h.eps) * h.lr;
}

#[test]
fn adamw_equals_the_formula() {
    tch::manual_seed(3);
    let shapes: [&[i64]; 4] = [&[17, 5], &[33], &[], &[2, 3, 3, 3]];
    let randn = || shapes.iter().map(|s| Tensor::randn(*s, (Kind::Float, Device::Cpu)));
    let state = State::new(randn().collect());
    let mut plain = State::new(clones(&state.params));
    for t in 1..=10 {
        let grads: Vec<Tensor> = randn().collect();
        let hyper = AdamWParams { lr: 1e-3 * f64::from(t), ..HYPER };
        state.step(&grads, &hyper).expect("a step");
        for (k, grad) in grads.iter().enumerate() {
            let (p, m) = (&mut plain.params[k], &mut plain.exp_avgs[k]);
            plain_adamw(p, grad, m, &mut plain.exp_avg_sqs[k], t, &hyper);
        }
    }
    for (a, b) in state.params.iter().zip(&plain.params) {
        assert!(distance(a, b) <= 1e-6);
    }
}

#[test]
fn adamw_takes_leaves_that_require_gradients_and_any_gradient_layout() {
    let leaf = wave(6, 0.0, 1.0).view([2, 3]).set_requires_grad(true);
    let plain = State::new(vec![leaf.detach().copy()]);
    let state = State::new(vec![leaf.shallow_clone()]);
    let transposed = wave(6, 1.0, 1.0).view([3, 2]).transpose(0, 1);
    state.step(&[transposed.shallow_clone()], &HYPER).expect("a strided gradient");
    plain.step(&[transposed.contiguous()], &HYPER).expect("a contiguous gradient");
    assert_eq!(distance(&leaf.detach(), &plain.params[0]), 0.0);
    assert!(leaf.requires_grad() && leaf.is_leaf());
}

#[test]
fn adamw_refuses_wrong_lists_and_changes_nothing() {
    let fresh = || State::new(two_params());
    let fails = |state: &State, grads: &[Tensor], hyper: &AdamWParams, what: &str| {
        let before = clones(&state.params);
        let error = state.step(grads, hyper).expect_err(what).to_string();
        assert!(error.contains(what), "{error:?} does not say {what:?}");
        for (a, b) in before.iter().zip(&state.params) {
            assert_eq!(a, b);
        }
    };
    let grads = two_grads(0);
    fails(&fresh(), &grads[..1], &HYPER, "grads has 1");
    fails(&fresh(), &[wave(6, 0.0, 1.0), wave(4, 0.0, 1.0)], &HYPER, "grads[0] has shape [6]");
    let half = vec![grads[0].to_kind(Kind::Half), grads[1].copy()];
    fails(&fresh(), &half, &HYPER, "grads[0] is Half");
    let whole = vec![grads[0].to_kind(Kind::Int64), grads[1].copy()];
    fails(&fresh(), &whole, &HYPER, "not a floating type");
    fails(&fresh(), &[Tensor::new(), grads[1].copy()], &HYPER, "grads[0] is undefined");
    let mut state = fresh();
    state.steps[1] = Tensor::zeros([], (Kind::Int64, Device::Cpu));
    fails(&state, &grads, &HYPER, "steps[1] must be one float32");
    state.steps[1] = state.steps[0].shallow_clone();
    fails(&state, &grads, &HYPER, "shares its memory");
    fails(&fresh(), &grads, &AdamWParams { lr: f64::NAN, ..HYPER }, "lr is NaN");
    fails(&fresh(), &grads, &AdamWParams { beta2: 1.0, ..HYPER }, "beta2 is 1");
}

#[test]
fn adamw_of_nothing_is_fine() {
    fused_adamw(&[], &[], &[], &[], &[], &HYPER).expect("empty lists");
}

#[test]
fn clip_equals_pytorch_and_the_formula() {
    for (name, max_norm) in [("0.5", 0.5), ("100", 100.0)] {
        let grads = [wave(6, 0.0, 2.0), wave(4, 1.0, 2.0)];
        let squares: f64 = grads.iter().map(|g| g.square().sum(Kind::Double).double_value(&[])).sum();
        let expected_norm = squares.sqrt();
        let factor = (max_norm / (expected_norm + 1e-6)).min(1.0);
        let expected: Vec<Tensor> = grads.iter().map(|g| g * factor).collect();

        let norm = clip_grad_norm(&grads, max_norm).expect("clip");
        assert_eq!((norm.dim(), norm.kind()), (0, Kind::Float));
        assert!((norm.double_value(&[]) - expected_norm).abs() <= 1e-6);
        assert!(distance(&norm, &golden(&format!("clip_{name}_norm"))) <= 1e-6);
        for (k, (grad, expected)) in grads.iter().zip(&expected).enumerate() {
            assert!(distance(grad, expected) <= 1e-6);
            assert!(distance(grad, &golden(&format!("clip_{name}_grad{k}"))) <= 1e-6);
        }
    }
}

#[test]
fn clip_leaves_small_gradients_bit_for_bit() {
    let grads = [wave(6, 0.0, 1e-3)];
    let before = grads[0].copy();
    let _norm = clip_grad_norm(&grads, 1.0).expect("clip");
    assert_eq!(before, grads[0]);
}

#[test]
fn clip_reports_a_norm_that_is_not_finite() {
    let grads = [Tensor::from_slice(&[1.0f32, f32::INFINITY])];
    let norm = clip_grad_norm(&grads, 1.0).expect("clip").double_value(&[]);
    assert!(norm.is_infinite());
}

#[test]
fn clip_refuses_wrong_arguments() {
    let float = wave(3, 0.0, 1.0);
    for (grads, max_norm) in [
        (vec![float.copy()], f64::NAN),
        (vec![float.copy()], -1.0),
        (vec![float.to_kind(Kind::Int)], 1.0),
        (vec![float.copy(), float.to_kind(Kind::Double)], 1.0),
        (vec![Tensor::new()], 1.0),
        (vec![float.to_sparse(None::<tch::Layout>, None::<i64>, 0)], 1.0),
    ] {
        assert!(clip_grad_norm(&grads, max_norm).is_err(), "{grads:?} {max_norm}");
    }
    assert_eq!(clip_grad_norm(&[], 1.0).expect("no gradients").double_value(&[]), 0.0);
}

#[test]
fn ema_equals_pytorch_and_the_formula() {
    let shadow = wave(6, 0.0, 1.0);
    let params = wave(6, 3.0, 1.0).set_requires_grad(true);
    let expected = &shadow * 0.999 + params.detach() * 0.001;
    ema_update(&[shadow.shallow_clone()], &[params.shallow_clone()], 0.999).expect("an update");
    assert!(!shadow.requires_grad());
    assert!(distance(&shadow, &expected) <= 1e-6);
    assert!(distance(&shadow, &golden("ema")) <= 1e-6);
}

#[test]
fn ema_at_the_ends_keeps_or_copies() {
    let (shadow, params) = (wave(6, 0.0, 1.0), wave(6, 3.0, 1.0));
    let before = shadow.copy();
    ema_update(&[shadow.shallow_clone()], &[params.shallow_clone()], 1.0).expect("decay 1");
    assert_eq!(shadow, before);
    ema_update(&[shadow.shallow_clone()], &[params.shallow_clone()], 0.0).expect("decay 0");
    assert_eq!(shadow, params);
}

#[test]
fn ema_refuses_wrong_arguments() {
    let (a, b) = (wave(6, 0.0, 1.0), wave(6, 3.0, 1.0));
    assert!(ema_update(&[a.copy()], &[], 0.9).is_err());
    assert!(ema_update(&[a.copy()], &[b.copy()], 1.5).is_err());
    assert!(ema_update(&[a.copy()], &[b.view([2, 3])], 0.9).is_err());
    assert!(ema_update(&[a.copy()], &[b.to_kind(Kind::Double)], 0.9).is_err());
}
