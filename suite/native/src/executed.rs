//! How many multiply-adds libtorch executes: what an analytic count is held to.

use crate::{Result, ffi};

/// Runs `body` and counts the multiply-adds of the convolutions, linear layers, matrix products and attention products that the
/// process executes meanwhile, in any thread; forward, and backward where it is made of matrix products. Slows every
/// operation down: for checks. One at a time, and no other thread may begin or end one meanwhile.
///
/// # Errors
/// An operation among those counted has inputs that can't be read, such as a convolution whose padding has a name.
pub fn executed_macs<T>(body: impl FnOnce() -> T) -> Result<(T, u64)> {
    let mut watch = Watch::begin()?;
    let value = body();
    Ok((value, watch.end()?))
}

/// Ends the count when a panic passes through.
struct Watch(Option<u64>);

impl Watch {
    fn begin() -> Result<Self> {
        let mut handle = 0;
        // SAFETY: the shim writes the handle of the callback it has added.
        unsafe { ffi::check("count multiply-adds", ffi::adamv_count_begin(&mut handle))? };
        Ok(Self(Some(handle)))
    }

    fn end(&mut self) -> Result<u64> {
        let mut count = 0;
        if let Some(handle) = self.0.take() {
            // SAFETY: the handle is that of `begin`, ended once.
            unsafe { ffi::check("count multiply-adds", ffi::adamv_count_end(handle, &mut count))? };
        }
        Ok(count.max(0) as u64)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Nobody is left to be told of an error.
        let _ended = self.end();
    }
}
