//! A generator that is put back draws the same numbers again. One test, since the generator of the CPU is
//! one for the whole process.

use adamv_native::{rng_state, set_rng_state};
use tch::{Device, Kind, Tensor};

#[test]
fn the_state_goes_round() {
    let draw = || Tensor::randn([257], (Kind::Float, Device::Cpu));
    tch::manual_seed(11);
    // An odd number of draws leaves half a pair of normals behind, which belongs to the state too.
    let _ = Tensor::randn([3], (Kind::Float, Device::Cpu));
    let state = rng_state(Device::Cpu).expect("a state");
    assert_eq!((state.kind(), state.device()), (Kind::Uint8, Device::Cpu));
    let first = draw();
    assert_ne!(first, draw());
    set_rng_state(Device::Cpu, &state).expect("put back");
    assert_eq!(first, draw());

    // What is no state is refused, and the generator goes on as if nothing had been said.
    set_rng_state(Device::Cpu, &state).expect("put back");
    for wrong in [
        Tensor::new(),
        state.to_kind(Kind::Float),
        state.narrow(0, 0, 10),
        Tensor::zeros([0], (Kind::Uint8, Device::Cpu)),
        state.zeros_like(),
    ] {
        assert!(set_rng_state(Device::Cpu, &wrong).is_err(), "{wrong:?}");
    }
    assert_eq!(first, draw());

    assert!(rng_state(Device::Mps).is_err());
    match tch::Cuda::is_available() {
        true => {
            let cuda = Device::Cuda(0);
            let state = rng_state(cuda).expect("a state");
            let first = Tensor::randn([64], (Kind::Float, cuda));
            set_rng_state(cuda, &state).expect("put back");
            assert_eq!(first, Tensor::randn([64], (Kind::Float, cuda)));
        }
        false => {
            let error = rng_state(Device::Cuda(0)).expect_err("no CUDA").to_string();
            assert!(error.contains("CUDA is not usable"), "{error}");
            println!("skipped: generator state on CUDA (no CUDA device)");
        }
    }
}
