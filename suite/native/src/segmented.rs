//! A linear layer for each segment of rows: what experts are made of where the segments' lengths are known.

use tch::Tensor;

use crate::{Result, ffi};

/// `rows` `[P,in]` lie segment by segment, `lengths` of them each; segment e goes through `weight` `[E,out,in]` and `bias`
/// `[E,out]` at e: `[P,out]`. All of one floating dtype, on one device; recorded by autograd, once differentiable. A
/// segment without rows gives its weights a gradient of zero.
///
/// # Errors
/// Shapes or dtypes that don't fit, lengths that are negative or don't add up to P.
pub fn segmented_linear(rows: &Tensor, lengths: &[i64], weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    let handle = |tensor: &Tensor| tensor.as_ptr().cast_mut();
    let mut out = std::ptr::null_mut();
    // SAFETY: live handles and a list with its own length, which the shim only reads; on success `out` is a tensor that
    // it gives away.
    unsafe {
        ffi::check(
            "segmented_linear",
            ffi::adamv_segmented_linear(
                handle(rows),
                lengths.as_ptr(),
                lengths.len(),
                handle(weight),
                handle(bias),
                &mut out,
            ),
        )?;
        Ok(Tensor::from_ptr(out))
    }
}
