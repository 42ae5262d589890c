//! Autocast computes in bfloat16 inside its scope and leaves nothing behind, not even after a panic.

use adamv_native::{autocast_bf16, autocast_is_on};
use std::panic::{AssertUnwindSafe, catch_unwind};
use tch::{Device, Kind, Tensor};

fn product_kind() -> Kind {
    let a = Tensor::ones([4, 4], (Kind::Float, Device::Cpu));
    a.matmul(&a).kind()
}

#[test]
fn inside_is_bf16_and_after_is_float() {
    assert_eq!(product_kind(), Kind::Float);
    assert_eq!(autocast_bf16(Device::Cpu, true, product_kind).expect("cpu"), Kind::BFloat16);
    assert_eq!(product_kind(), Kind::Float);
    assert_eq!(autocast_bf16(Device::Cpu, false, product_kind).expect("cpu"), Kind::Float);
}

#[test]
fn it_says_whether_it_is_on() {
    let on = || autocast_is_on(Device::Cpu).expect("cpu");
    assert_eq!((on(), autocast_bf16(Device::Cpu, true, on).expect("cpu"), on()), (false, true, false));
}

#[test]
fn scopes_nest() {
    let kinds = autocast_bf16(Device::Cpu, true, || {
        let off = autocast_bf16(Device::Cpu, false, product_kind).expect("off inside on");
        let on = autocast_bf16(Device::Cpu, true, product_kind).expect("on inside on");
        (off, on, product_kind())
    });
    assert_eq!(kinds.expect("cpu"), (Kind::Float, Kind::BFloat16, Kind::BFloat16));
    assert_eq!(product_kind(), Kind::Float);
}

#[test]
fn a_panic_inside_restores_the_state() {
    let caught = catch_unwind(AssertUnwindSafe(|| {
        autocast_bf16(Device::Cpu, true, || {
            assert_eq!(product_kind(), Kind::BFloat16);
            panic!("on purpose")
        })
    }));
    assert!(caught.is_err());
    assert_eq!(product_kind(), Kind::Float);
}

#[test]
fn an_early_return_of_an_error_passes_through() {
    let inner: Result<(), String> = autocast_bf16(Device::Cpu, true, || Err("no".to_owned())).expect("cpu");
    assert_eq!(inner, Err("no".to_owned()));
    assert_eq!(product_kind(), Kind::Float);
}

/// The cache holds bf16 copies of leaves that require gradients. A copy that outlived its scope would make
/// the next step compute with the weights of the last one.
#[test]
fn changed_weights_are_seen_by_the_next_scope() {
    let weight = Tensor::ones([2, 2], (Kind::Float, Device::Cpu)).set_requires_grad(true);
    let input = Tensor::ones([1, 2], (Kind::Float, Device::Cpu));
    let product = || {
        let run = || input.matmul(&weight).to_kind(Kind::Float).detach();
        autocast_bf16(Device::Cpu, true, run).expect("cpu").double_value(&[0, 0])
    };
    assert_eq!(product(), 2.0);
    tch::no_grad(|| {
        let mut weight = weight.shallow_clone();
        let _ = weight.fill_(3.0);
    });
    assert_eq!(product(), 6.0);
}

#[test]
fn gradients_of_float_weights_are_float() {
    let weight = Tensor::ones([2, 2], (Kind::Float, Device::Cpu)).set_requires_grad(true);
    let input = Tensor::ones([1, 2], (Kind::Float, Device::Cpu));
    let loss = autocast_bf16(Device::Cpu, true, || input.matmul(&weight).sum(Kind::Float));
    loss.expect("cpu").backward();
    assert_eq!(weight.grad().kind(), Kind::Float);
    assert_eq!(weight.grad().sum(Kind::Float).double_value(&[]), 4.0);
}

#[test]
fn other_devices_are_refused_before_anything_runs() {
    let mut ran = false;
    assert!(autocast_bf16(Device::Mps, true, || ran = true).is_err());
    assert!(!ran);
}
