//! Tensors over memory of ours: a batch becomes a tensor without being copied.

use std::ffi::c_void;

use tch::kind::Element;
use tch::{Kind, Tensor};

use crate::{NativeError, Result, ffi};

/// The values as a CPU tensor of `shape`, row by row. Nothing is copied: the tensor owns the vector and frees it when the
/// last tensor over it is gone. For f32, i64 and u8.
///
/// # Errors
/// Another type; a shape that doesn't hold as many values.
pub fn tensor_from_vec<T: Element + Send + 'static>(values: Vec<T>, shape: &[i64]) -> Result<Tensor> {
    const CALL: &str = "tensor_from_vec";
    let wrong = |message: String| NativeError::Argument { call: CALL, message };
    // The numbers of c10::ScalarType.
    let kind = match T::KIND {
        Kind::Uint8 => 0,
        Kind::Int64 => 4,
        Kind::Float => 6,
        other => return Err(wrong(format!("{other:?} is not one of Float, Int64 and Uint8"))),
    };
    let count = shape.iter().try_fold(1, |product: i64, &size| product.checked_mul(size).filter(|_| size >= 0));
    if count.and_then(|count| usize::try_from(count).ok()) != Some(values.len()) {
        return Err(wrong(format!("a shape of {shape:?} doesn't hold {} values", values.len())));
    }
    let mut owner = Box::new(values);
    let data = owner.as_mut_ptr().cast::<c_void>();
    let owner = Box::into_raw(owner).cast::<c_void>();
    let mut tensor = std::ptr::null_mut();
    // SAFETY: `data` holds as many values as the shape says and lives until `release` takes `owner`, which the tensor does
    // once. After an error nobody touches either again; the vector may then be lost, which is no harm.
    unsafe {
        ffi::check(
            CALL,
            ffi::adamv_tensor_over(data, shape.as_ptr(), shape.len(), kind, release::<T>, owner, &mut tensor),
        )?;
        Ok(Tensor::from_ptr(tensor))
    }
}

/// Frees the vector of a tensor.
unsafe extern "C" fn release<T>(owner: *mut c_void) {
    // SAFETY: `owner` is the box that `tensor_from_vec` gave away, and it comes back once.
    drop(unsafe { Box::from_raw(owner.cast::<Vec<T>>()) });
}
