//! Process-wide switches of libtorch: deterministic algorithms and TF32.

use crate::{Result, ffi};

/// What [`deterministic`] reads back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Determinism {
    pub on: bool,
    /// An operation without a deterministic form warns instead of failing.
    pub warn_only: bool,
}

/// Whether float32 work on CUDA may be rounded to TF32 (10 bits of mantissa).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tf32 {
    pub matmul: bool,
    pub convolution: bool,
}

/// Makes libtorch use deterministic algorithms, and fail (or warn) where it has none. Covers ATen, cuDNN and
/// oneDNN, turns cuDNN's benchmark mode off, and sets `CUBLAS_WORKSPACE_CONFIG` unless it is set already.
/// Fresh memory is not filled: that finds bugs, and costs a pass over every tensor.
///
/// Call it at start-up, before CUDA starts and before other threads read the environment.
///
/// # Errors
/// None known; kept as a `Result` because the call goes through libtorch.
pub fn set_deterministic(on: bool, warn_only: bool) -> Result<()> {
    // SAFETY: plain values.
    unsafe { ffi::check("set_deterministic", ffi::adamv_set_deterministic(on, warn_only)) }
}

/// The present state of the deterministic switch.
///
/// # Errors
/// None known.
pub fn deterministic() -> Result<Determinism> {
    let mut state = Determinism { on: false, warn_only: false };
    // SAFETY: two places to write a bool.
    unsafe {
        ffi::check("deterministic", ffi::adamv_deterministic(&mut state.on, &mut state.warn_only))?;
    }
    Ok(state)
}

/// Allows or forbids TF32 in float32 matrix products and convolutions on CUDA. Nothing changes on the CPU.
///
/// # Errors
/// None known.
pub fn set_tf32(on: bool) -> Result<()> {
    // SAFETY: a plain value.
    unsafe { ffi::check("set_tf32", ffi::adamv_set_tf32(on)) }
}

/// The present state of the TF32 switches.
///
/// # Errors
/// None known.
pub fn tf32() -> Result<Tf32> {
    let mut state = Tf32 { matmul: false, convolution: false };
    // SAFETY: two places to write a bool.
    unsafe { ffi::check("tf32", ffi::adamv_tf32(&mut state.matmul, &mut state.convolution))? };
    Ok(state)
}
