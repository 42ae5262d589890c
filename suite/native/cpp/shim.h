// The C face of the shim. Who lives here: every libtorch call that tch lacks, one function each.
//
// Rules, all of them relied on by src/ffi.rs:
//  - No exception leaves a function. Each returns nullptr, or an error text that adamv_free releases.
//  - Tensors are at::Tensor*, tch's own representation. Inputs are borrowed; a tensor written through an
//    out pointer is owned by the caller.
//  - A device is one int32: -1 the CPU, i >= 0 CUDA device i.
#pragma once

#include <cstddef>
#include <cstdint>

namespace at {
class Tensor;
}

extern "C" {

typedef at::Tensor* adamv_tensor;

void adamv_free(char* text);

// optimizer
char* adamv_fused_adamw(const adamv_tensor* params, const adamv_tensor* grads, const adamv_tensor* exp_avgs,
                        const adamv_tensor* exp_avg_sqs, const adamv_tensor* steps, size_t n, double lr,
                        double beta1, double beta2, double eps, double weight_decay);
char* adamv_clip_grad_norm(const adamv_tensor* grads, size_t n, double max_norm, adamv_tensor* total_norm);
char* adamv_ema_update(const adamv_tensor* shadow, const adamv_tensor* params, size_t n, double decay);

// experts: rows lie expert by expert, `lengths` of them each; recorded by autograd
char* adamv_segmented_linear(adamv_tensor rows, const int64_t* lengths, size_t n, adamv_tensor weight,
                             adamv_tensor bias, adamv_tensor* out);

// multiply-adds that the process executes between the two calls
char* adamv_count_begin(uint64_t* handle);
char* adamv_count_end(uint64_t handle, int64_t* count);

// a tensor over memory that the caller gives away: release(owner) is called once, when the last tensor over it is gone.
// After an error the memory may or may not have been released later on: it must not be touched again.
char* adamv_tensor_over(void* data, const int64_t* sizes, size_t dims, int32_t kind, void (*release)(void*), void* owner,
                        adamv_tensor* tensor);

// random numbers
char* adamv_rng_state(int32_t device, adamv_tensor* state);
char* adamv_set_rng_state(int32_t device, adamv_tensor state);

// switches
char* adamv_set_deterministic(bool on, bool warn_only);
char* adamv_deterministic(bool* on, bool* warn_only);
char* adamv_set_tf32(bool on);
char* adamv_tf32(bool* matmul, bool* convolution);

// autocast: enter fills the previous state, which exit restores
char* adamv_autocast_enter(int32_t device, bool enabled, bool* was_enabled, int32_t* was_dtype);
char* adamv_autocast_exit(int32_t device, bool was_enabled, int32_t was_dtype);

// the library and its devices
char* adamv_libtorch_path(char** path);
char* adamv_build_config(char** text);
const char* adamv_header_version();
char* adamv_load_cuda(const char* path, bool* registered);
char* adamv_cuda_devices(int64_t* count);
char* adamv_cuda_memory(int32_t device, int64_t* allocated, int64_t* peak, int64_t* free_bytes, int64_t* total);
char* adamv_reset_peak_memory(int32_t device);

}  // extern "C"
