//! The state of libtorch's default generators, so that a stopped run goes on with the numbers it would have
//! drawn.

use crate::cuda::need_cuda;
use crate::{Result, ffi};
use tch::{Device, Tensor};

/// The state of the default generator of a device: a uint8 tensor on the CPU, opaque, a few KiB.
///
/// # Errors
/// A CUDA device that is not there.
pub fn rng_state(device: Device) -> Result<Tensor> {
    const CALL: &str = "rng_state";
    let index = ffi::device(CALL, device)?;
    need_cuda(CALL, device)?;
    let mut state = std::ptr::null_mut();
    // SAFETY: on success `state` is a tensor that the shim gives away.
    unsafe {
        ffi::check(CALL, ffi::adamv_rng_state(index, &mut state))?;
        Ok(Tensor::from_ptr(state))
    }
}

/// Puts back what [`rng_state`] returned for the same kind of device.
///
/// # Errors
/// A CUDA device that is not there; a tensor that is not a generator state.
pub fn set_rng_state(device: Device, state: &Tensor) -> Result<()> {
    const CALL: &str = "set_rng_state";
    let index = ffi::device(CALL, device)?;
    need_cuda(CALL, device)?;
    // SAFETY: a live handle, which the shim only reads.
    unsafe { ffi::check(CALL, ffi::adamv_set_rng_state(index, state.as_ptr().cast_mut())) }
}
