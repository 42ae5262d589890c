//! bf16 autocast for one scope, on the CPU and on CUDA. tch's own has no dtype and does not survive a panic.

use crate::{Result, ffi};
use std::marker::PhantomData;
use tch::Device;

/// Runs `f` with autocast to bfloat16 on (`enabled`) or off for the kind of `device`, on this thread, and
/// then restores what was before, also when `f` panics. Scopes nest; the outermost one drops the cached bf16
/// copies of the parameters on its way out, so an optimizer step belongs outside.
///
/// # Errors
/// A device that is neither the CPU nor CUDA. `f` has not run then.
pub fn autocast_bf16<T>(device: Device, enabled: bool, f: impl FnOnce() -> T) -> Result<T> {
    let _scope = Scope::enter(device, enabled)?;
    Ok(f())
}

/// Whether autocast is on for the kind of `device`, on this thread.
///
/// # Errors
/// A device that is neither the CPU nor CUDA.
pub fn autocast_is_on(device: Device) -> Result<bool> {
    Ok(Scope::enter(device, false)?.was_enabled)
}

/// The state before the scope. libtorch keeps it per thread, so the scope stays on its thread.
struct Scope {
    device: i32,
    was_enabled: bool,
    was_dtype: i32,
    not_send: PhantomData<*const ()>,
}

impl Scope {
    fn enter(device: Device, enabled: bool) -> Result<Scope> {
        const CALL: &str = "autocast_bf16";
        let device = ffi::device(CALL, device)?;
        let (mut was_enabled, mut was_dtype) = (false, 0);
        // SAFETY: two places to write the previous state to.
        unsafe {
            ffi::check(CALL, ffi::adamv_autocast_enter(device, enabled, &mut was_enabled, &mut was_dtype))?;
        }
        Ok(Scope { device, was_enabled, was_dtype, not_send: PhantomData })
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        // SAFETY: plain values. An error is impossible for the values that enter() gave, and a destructor
        // has nobody to tell.
        let _ = unsafe {
            ffi::check("autocast_bf16", ffi::adamv_autocast_exit(self.device, self.was_enabled, self.was_dtype))
        };
    }
}
