//! One optimizer step, gradient clipping and weight averaging over whole lists of tensors: one call each
//! instead of one per parameter, and none of them waits for the device.
//!
//! All tensors of a call have one floating dtype and are on one device. Parameters may require gradients;
//! none of these calls is recorded by autograd.

use crate::{NativeError, Result, ffi};
use tch::Tensor;

/// AdamW with decoupled weight decay (Loshchilov and Hutter, 2019), as `torch.optim.AdamW`:
/// `p <- p * (1 - lr * weight_decay)`, then the Adam step with bias correction and `eps` outside the root.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWParams {
    /// Learning rate of this step, >= 0.
    pub lr: f64,
    /// Decay of the first moment, in [0, 1).
    pub beta1: f64,
    /// Decay of the second moment, in [0, 1).
    pub beta2: f64,
    /// Added to the root of the second moment, >= 0.
    pub eps: f64,
    /// >= 0; multiplied by `lr`.
    pub weight_decay: f64,
}

impl AdamWParams {
    fn check(&self, call: &'static str) -> Result<()> {
        let wrong = |name: &str, value: f64, range: &str| {
            let message = format!("{name} is {value}; it must be {range}");
            Err(NativeError::Argument { call, message })
        };
        for (name, value) in [("lr", self.lr), ("eps", self.eps), ("weight_decay", self.weight_decay)] {
            if !(value.is_finite() && value >= 0.0) {
                return wrong(name, value, "a finite number >= 0");
            }
        }
        for (name, value) in [("beta1", self.beta1), ("beta2", self.beta2)] {
            if !(0.0..1.0).contains(&value) {
                return wrong(name, value, "in [0, 1)");
            }
        }
        Ok(())
    }
}

/// One AdamW step in place (`at::_fused_adamw_`), on the CPU as on CUDA.
///
/// `params`, `grads`, `exp_avgs`, `exp_avg_sqs`: i-th entries of one shape. `steps`: one float32 number per
/// parameter on the parameters' device, the number of steps done so far; each grows by one.
///
/// # Errors
/// Lists of different lengths or shapes, more than one dtype or device, an integer dtype, a hyperparameter
/// out of range. Nothing has been changed then.
pub fn fused_adamw(
    params: &[Tensor],
    grads: &[Tensor],
    exp_avgs: &[Tensor],
    exp_avg_sqs: &[Tensor],
    steps: &[Tensor],
    hyper: &AdamWParams,
) -> Result<()> {
    const CALL: &str = "fused_adamw";
    hyper.check(CALL)?;
    for (name, tensors) in [("grads", grads), ("exp_avgs", exp_avgs), ("exp_avg_sqs", exp_avg_sqs), ("steps", steps)] {
        same_length(CALL, "params", params, name, tensors)?;
    }
    let (p, g, m) = (ffi::handles(params), ffi::handles(grads), ffi::handles(exp_avgs));
    let (v, s) = (ffi::handles(exp_avg_sqs), ffi::handles(steps));
    // SAFETY: five lists of live handles, each `p.len()` long.
    unsafe {
        ffi::check(
            CALL,
            ffi::adamv_fused_adamw(
                p.as_ptr(),
                g.as_ptr(),
                m.as_ptr(),
                v.as_ptr(),
                s.as_ptr(),
                p.len(),
                hyper.lr,
                hyper.beta1,
                hyper.beta2,
                hyper.eps,
                hyper.weight_decay,
            ),
        )
    }
}

/// Scales the gradients in place so that their joint 2-norm is at most `max_norm`, and returns the norm
/// before scaling as a 0-dim tensor that stays on the device.
///
/// The factor is `min(1, max_norm / (norm + 1e-6))`, as in `torch.nn.utils.clip_grad_norm_`. A norm that is
/// not finite is returned like any other, and spoils the gradients: look at it where you next wait for the
/// device anyway. No gradients: the norm is 0, on the CPU.
///
/// # Errors
/// More than one dtype or device, an integer dtype, `max_norm` negative or NaN.
pub fn clip_grad_norm(grads: &[Tensor], max_norm: f64) -> Result<Tensor> {
    const CALL: &str = "clip_grad_norm";
    if max_norm.is_nan() || max_norm < 0.0 {
        let message = format!("max_norm is {max_norm}; it must be a number >= 0");
        return Err(NativeError::Argument { call: CALL, message });
    }
    let g = ffi::handles(grads);
    let mut total = std::ptr::null_mut();
    // SAFETY: live handles; on success `total` is a tensor that the shim gives away.
    unsafe {
        ffi::check(CALL, ffi::adamv_clip_grad_norm(g.as_ptr(), g.len(), max_norm, &mut total))?;
        Ok(Tensor::from_ptr(total))
    }
}

/// Exponential moving average in place: `shadow <- decay * shadow + (1 - decay) * params`.
///
/// # Errors
/// Lists of different lengths or shapes, more than one dtype or device, `decay` outside [0, 1].
pub fn ema_update(shadow: &[Tensor], params: &[Tensor], decay: f64) -> Result<()> {
    const CALL: &str = "ema_update";
    if !(0.0..=1.0).contains(&decay) {
        let message = format!("decay is {decay}; it must be in [0, 1]");
        return Err(NativeError::Argument { call: CALL, message });
    }
    same_length(CALL, "shadow", shadow, "params", params)?;
    let (s, p) = (ffi::handles(shadow), ffi::handles(params));
    // SAFETY: two lists of live handles of one length.
    unsafe { ffi::check(CALL, ffi::adamv_ema_update(s.as_ptr(), p.as_ptr(), s.len(), decay)) }
}

fn same_length(call: &'static str, name: &str, tensors: &[Tensor], other_name: &str, others: &[Tensor]) -> Result<()> {
    if tensors.len() == others.len() {
        return Ok(());
    }
    let message = format!(
        "{name} has {} tensors, but {other_name} has {}; they are matched by position",
        tensors.len(),
        others.len()
    );
    Err(NativeError::Argument { call, message })
}
