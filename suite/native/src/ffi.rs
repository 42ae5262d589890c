//! The C face of the shim, as declared in `cpp/shim.h`, and the only place that turns its raw answers into
//! Rust values. `unsafe` lives here and in the one-line calls of the other files.

use crate::{NativeError, Result};
use std::ffi::{CStr, c_char, c_void};
use tch::{Device, Tensor};
use torch_sys::C_tensor;

unsafe extern "C" {
    fn adamv_free(text: *mut c_char);

    pub fn adamv_fused_adamw(
        params: *const *mut C_tensor,
        grads: *const *mut C_tensor,
        exp_avgs: *const *mut C_tensor,
        exp_avg_sqs: *const *mut C_tensor,
        steps: *const *mut C_tensor,
        n: usize,
        lr: f64,
        beta1: f64,
        beta2: f64,
        eps: f64,
        weight_decay: f64,
    ) -> *mut c_char;
    pub fn adamv_clip_grad_norm(
        grads: *const *mut C_tensor,
        n: usize,
        max_norm: f64,
        total_norm: *mut *mut C_tensor,
    ) -> *mut c_char;
    pub fn adamv_ema_update(
        shadow: *const *mut C_tensor,
        params: *const *mut C_tensor,
        n: usize,
        decay: f64,
    ) -> *mut c_char;

    pub fn adamv_segmented_linear(
        rows: *mut C_tensor,
        lengths: *const i64,
        n: usize,
        weight: *mut C_tensor,
        bias: *mut C_tensor,
        out: *mut *mut C_tensor,
    ) -> *mut c_char;

    pub fn adamv_count_begin(handle: *mut u64) -> *mut c_char;
    pub fn adamv_count_end(handle: u64, count: *mut i64) -> *mut c_char;

    pub fn adamv_tensor_over(
        data: *mut c_void,
        sizes: *const i64,
        dims: usize,
        kind: i32,
        release: unsafe extern "C" fn(*mut c_void),
        owner: *mut c_void,
        tensor: *mut *mut C_tensor,
    ) -> *mut c_char;

    pub fn adamv_rng_state(device: i32, state: *mut *mut C_tensor) -> *mut c_char;
    pub fn adamv_set_rng_state(device: i32, state: *mut C_tensor) -> *mut c_char;

    pub fn adamv_set_deterministic(on: bool, warn_only: bool) -> *mut c_char;
    pub fn adamv_deterministic(on: *mut bool, warn_only: *mut bool) -> *mut c_char;
    pub fn adamv_set_tf32(on: bool) -> *mut c_char;
    pub fn adamv_tf32(matmul: *mut bool, convolution: *mut bool) -> *mut c_char;

    pub fn adamv_autocast_enter(device: i32, enabled: bool, was_enabled: *mut bool, was_dtype: *mut i32)
    -> *mut c_char;
    pub fn adamv_autocast_exit(device: i32, was_enabled: bool, was_dtype: i32) -> *mut c_char;

    pub fn adamv_libtorch_path(path: *mut *mut c_char) -> *mut c_char;
    pub fn adamv_build_config(text: *mut *mut c_char) -> *mut c_char;
    pub fn adamv_header_version() -> *const c_char;
    pub fn adamv_load_cuda(path: *const c_char, registered: *mut bool) -> *mut c_char;
    pub fn adamv_cuda_devices(count: *mut i64) -> *mut c_char;
    pub fn adamv_cuda_memory(
        device: i32,
        allocated: *mut i64,
        peak: *mut i64,
        free: *mut i64,
        total: *mut i64,
    ) -> *mut c_char;
    pub fn adamv_reset_peak_memory(device: i32) -> *mut c_char;
}

/// Takes a text that the shim gave away, and releases it.
///
/// # Safety
/// `text` is null or came from the shim and was not taken before.
pub unsafe fn take_text(text: *mut c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: the shim's texts end in a zero and live until adamv_free.
    unsafe {
        let copy = CStr::from_ptr(text).to_string_lossy().into_owned();
        adamv_free(text);
        Some(copy)
    }
}

/// Null is success; anything else is the error text, which is taken.
///
/// # Safety
/// `error` is what a function of the shim just returned.
pub unsafe fn check(call: &'static str, error: *mut c_char) -> Result<()> {
    // SAFETY: passed on from the caller.
    match unsafe { take_text(error) } {
        None => Ok(()),
        Some(message) => Err(NativeError::Libtorch { call, message }),
    }
}

/// The handles of a list. They stay valid as long as `tensors` is borrowed.
pub fn handles(tensors: &[Tensor]) -> Vec<*mut C_tensor> {
    tensors.iter().map(|tensor| tensor.as_ptr().cast_mut()).collect()
}

/// The shim's number of a device: -1 the CPU, i CUDA device i.
pub fn device(call: &'static str, device: Device) -> Result<i32> {
    let unsupported = || NativeError::Device { call, device: format!("{device:?}") };
    match device {
        Device::Cpu => Ok(-1),
        Device::Cuda(index) => i32::try_from(index).map_err(|_| unsupported()),
        Device::Mps | Device::Vulkan => Err(unsupported()),
    }
}
