//! The process-wide switches read back what was set. One test: they are one state for the whole process.

use adamv_native::{Determinism, Tf32, deterministic, set_deterministic, set_tf32, tf32};
use tch::{Device, Kind, Tensor};

#[test]
fn switches_read_back() {
    let off = Determinism { on: false, warn_only: false };
    assert_eq!(deterministic().expect("readable"), off);

    set_deterministic(true, false).expect("on");
    assert_eq!(deterministic().expect("readable"), Determinism { on: true, warn_only: false });
    assert_eq!(std::env::var("CUBLAS_WORKSPACE_CONFIG").as_deref(), Ok(":4096:8"));
    // An operation that has no deterministic form says so, as an error.
    let unpool = || {
        let pool = Tensor::ones([1, 1, 4, 4], (Kind::Float, Device::Cpu));
        let (values, indices) = pool.max_pool2d_with_indices([2, 2], [2, 2], [0, 0], [1, 1], false);
        values.f_max_unpool2d(&indices, [4, 4]).map(|_| ())
    };
    let refused = unpool().expect_err("max_unpool2d has no deterministic form").to_string();
    assert!(refused.contains("deterministic"), "{refused}");

    set_deterministic(true, true).expect("warn");
    assert_eq!(deterministic().expect("readable"), Determinism { on: true, warn_only: true });
    unpool().expect("only warns");

    set_deterministic(false, false).expect("off");
    assert_eq!(deterministic().expect("readable"), off);
    unpool().expect("allowed");

    for on in [true, false, true] {
        set_tf32(on).expect("switch");
        assert_eq!(tf32().expect("readable"), Tf32 { matmul: on, convolution: on });
    }
}
