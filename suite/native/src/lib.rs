//! The libtorch calls that tch lacks, as safe functions over a small C++ shim (`cpp/shim.cpp`).
//!
//! Who lives here: fused AdamW, gradient clipping without a host sync, weight averaging, generator state,
//! determinism and TF32 switches, bf16 autocast, tensors over Rust's memory, a linear layer for each segment of
//! rows, counting the multiply-adds that run, and loading CUDA at start-up. This crate knows tensors; it must not know
//! models, tasks or files.
//!
//! **Invariant:** no C++ exception crosses the shim, and no function of this crate panics or aborts on a
//! wrong argument: each returns a [`Result`].
//!
//! **Invariant:** [`load_cuda`] runs before anything else asks libtorch about CUDA. libtorch looks for its
//! CUDA half once and keeps the answer.

mod allocator;
mod autocast;
mod cuda;
mod error;
mod executed;
mod ffi;
mod memory;
mod optimizer;
mod rng;
mod segmented;
mod switches;
mod version;

pub use allocator::keep_freed_memory;
pub use autocast::{autocast_bf16, autocast_is_on};
pub use cuda::{CudaLoad, CudaMemory, cuda_device_count, cuda_memory, load_cuda, reset_peak_memory};
pub use error::{NativeError, Result};
pub use executed::executed_macs;
pub use memory::tensor_from_vec;
pub use optimizer::{AdamWParams, clip_grad_norm, ema_update, fused_adamw};
pub use rng::{rng_state, set_rng_state};
pub use segmented::segmented_linear;
pub use switches::{Determinism, Tf32, deterministic, set_deterministic, set_tf32, tf32};
pub use version::{REQUIRED_LIBTORCH, check_version, libtorch_path, libtorch_version, libtorch_version_full};
