#include "shim.h"

#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <ATen/Version.h>
#include <ATen/autocast_mode.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <dlfcn.h>
#include <torch/headeronly/version.h>

#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>
#include <unordered_set>
#include <vector>

#include "guarded.h"

namespace {

std::vector<at::Tensor> list(const adamv_tensor* tensors, size_t n) {
  std::vector<at::Tensor> out;
  out.reserve(n);
  for (size_t i = 0; i < n; ++i) {
    out.push_back(*tensors[i]);
  }
  return out;
}

// The fused and foreach kernels trust their caller: a wrong list is read out of bounds. So look first.
void check_alike(const char* name, const std::vector<at::Tensor>& tensors, const at::Tensor& first) {
  for (size_t i = 0; i < tensors.size(); ++i) {
    const at::Tensor& t = tensors[i];
    TORCH_CHECK_VALUE(t.defined(), name, "[", i, "] is undefined");
    TORCH_CHECK_VALUE(t.layout() == at::kStrided, name, "[", i, "] is ", t.layout(), ", not strided");
    TORCH_CHECK_VALUE(
        at::isFloatingType(t.scalar_type()), name, "[", i, "] is ", t.scalar_type(), ", not a floating type");
    TORCH_CHECK_VALUE(t.scalar_type() == first.scalar_type(), name, "[", i, "] is ", t.scalar_type(),
                      ", but the first tensor is ", first.scalar_type(), "; all must be one dtype");
    TORCH_CHECK_VALUE(t.device() == first.device(), name, "[", i, "] is on ", t.device(),
                      ", but the first tensor is on ", first.device(), "; all must be on one device");
  }
}

void check_same_shape(const char* name, const std::vector<at::Tensor>& tensors, const char* other_name,
                      const std::vector<at::Tensor>& others) {
  for (size_t i = 0; i < tensors.size(); ++i) {
    TORCH_CHECK_VALUE(tensors[i].sizes() == others[i].sizes(), name, "[", i, "] has shape ", tensors[i].sizes(),
                      ", but ", other_name, "[", i, "] has shape ", others[i].sizes());
  }
}

// Fused kernels walk the memory of parameter, gradient and moments with one index.
void check_same_memory(const char* name, const std::vector<at::Tensor>& tensors,
                       const std::vector<at::Tensor>& params) {
  for (size_t i = 0; i < tensors.size(); ++i) {
    TORCH_CHECK_VALUE(params[i].is_non_overlapping_and_dense(), "params[", i, "] has gaps or overlaps in memory");
    TORCH_CHECK_VALUE(tensors[i].strides() == params[i].strides(), name, "[", i, "] has strides ",
                      tensors[i].strides(), ", but params[", i, "] has ", params[i].strides());
  }
}

// One step count shared by several parameters would grow once for each of them.
void check_distinct_steps(const std::vector<at::Tensor>& steps) {
  std::unordered_set<const void*> seen;
  for (size_t i = 0; i < steps.size(); ++i) {
    TORCH_CHECK_VALUE(seen.insert(steps[i].const_data_ptr()).second, "steps[", i,
                      "] shares its memory with another step; each parameter needs its own");
  }
}

at::Device device_of(int32_t index) {
  if (index < 0) {
    return at::Device(at::kCPU);
  }
  TORCH_CHECK_VALUE(index < 128, "there is no CUDA device ", index);
  return at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(index));
}

// Starts CUDA and checks that the device exists, before anything indexes by it.
void need_cuda(const at::Device& device) {
  TORCH_CHECK(at::globalContext().hasCUDA(), "no usable CUDA device");
  const auto count = at::detail::getCUDAHooks().deviceCount();
  TORCH_CHECK_VALUE(device.index() < count, "there is no CUDA device ", static_cast<int>(device.index()),
                    ": this machine has ", static_cast<int>(count));
  at::globalContext().lazyInitDevice(at::kCUDA);
}

at::Generator generator(int32_t index) {
  const at::Device device = device_of(index);
  if (device.is_cuda()) {
    need_cuda(device);
  }
  return at::globalContext().defaultGenerator(device);
}

}  // namespace

void adamv_free(char* text) {
  if (text != kNoMemory) {
    std::free(text);
  }
}

char* adamv_fused_adamw(const adamv_tensor* params, const adamv_tensor* grads, const adamv_tensor* exp_avgs,
                        const adamv_tensor* exp_avg_sqs, const adamv_tensor* steps, size_t n, double lr,
                        double beta1, double beta2, double eps, double weight_decay) {
  return guarded([&] {
    if (n == 0) {
      return;
    }
    const at::NoGradGuard no_grad;
    auto p = list(params, n), g = list(grads, n), m = list(exp_avgs, n), v = list(exp_avg_sqs, n);
    auto s = list(steps, n);
    TORCH_CHECK_VALUE(p[0].defined(), "params[0] is undefined");
    check_alike("params", p, p[0]);
    check_alike("grads", g, p[0]);
    check_alike("exp_avgs", m, p[0]);
    check_alike("exp_avg_sqs", v, p[0]);
    check_same_shape("grads", g, "params", p);
    check_same_shape("exp_avgs", m, "params", p);
    check_same_shape("exp_avg_sqs", v, "params", p);
    for (size_t i = 0; i < n; ++i) {
      TORCH_CHECK_VALUE(s[i].defined() && s[i].scalar_type() == at::kFloat && s[i].numel() == 1 &&
                            s[i].device() == p[0].device(),
                        "steps[", i, "] must be one float32 number on ", p[0].device());
      // A gradient's layout is autograd's choice; a copy in the parameter's layout is all it needs.
      if (g[i].strides() != p[i].strides()) {
        g[i] = at::empty_like(p[i]).copy_(g[i]);
      }
    }
    check_distinct_steps(s);
    check_same_memory("grads", g, p);
    check_same_memory("exp_avgs", m, p);
    check_same_memory("exp_avg_sqs", v, p);
    at::_foreach_add_(s, 1);
    at::_fused_adamw_(p, g, m, v, {}, s, lr, beta1, beta2, weight_decay, eps, /*amsgrad=*/false,
                      /*maximize=*/false);
  });
}

char* adamv_clip_grad_norm(const adamv_tensor* grads, size_t n, double max_norm, adamv_tensor* total_norm) {
  return guarded([&] {
    const at::NoGradGuard no_grad;
    if (n == 0) {
      *total_norm = new at::Tensor(at::zeros({}));
      return;
    }
    auto g = list(grads, n);
    TORCH_CHECK_VALUE(g[0].defined(), "grads[0] is undefined");
    check_alike("grads", g, g[0]);
    const at::Tensor total = at::stack(at::_foreach_norm(g, 2)).norm(2);
    // The factor stays a tensor on the device: reading it would wait for the whole backward pass.
    const at::Tensor factor = (max_norm / (total + 1e-6)).clamp_max(1.0);
    at::_foreach_mul_(g, factor);
    *total_norm = new at::Tensor(total);
  });
}

char* adamv_ema_update(const adamv_tensor* shadow, const adamv_tensor* params, size_t n, double decay) {
  return guarded([&] {
    if (n == 0) {
      return;
    }
    const at::NoGradGuard no_grad;
    auto s = list(shadow, n), p = list(params, n);
    TORCH_CHECK_VALUE(s[0].defined(), "shadow[0] is undefined");
    check_alike("shadow", s, s[0]);
    check_alike("params", p, s[0]);
    check_same_shape("params", p, "shadow", s);
    at::_foreach_lerp_(s, p, 1.0 - decay);
  });
}

char* adamv_tensor_over(void* data, const int64_t* sizes, size_t dims, int32_t kind, void (*release)(void*), void* owner,
                        adamv_tensor* tensor) {
  return guarded([&] {
    const auto options = at::TensorOptions().dtype(static_cast<at::ScalarType>(kind));
    const auto deleter = [release, owner](void*) { release(owner); };
    *tensor = new at::Tensor(at::from_blob(data, at::IntArrayRef(sizes, dims), deleter, options));
  });
}

char* adamv_rng_state(int32_t device, adamv_tensor* state) {
  return guarded([&] {
    at::Generator gen = generator(device);
    const std::lock_guard<std::mutex> lock(gen.mutex());
    *state = new at::Tensor(gen.get_state());
  });
}

char* adamv_set_rng_state(int32_t device, adamv_tensor state) {
  return guarded([&] {
    TORCH_CHECK_VALUE(state->defined() && state->device().is_cpu() && state->scalar_type() == at::kByte &&
                          state->is_contiguous(),
                      "a generator state is a contiguous uint8 tensor on the CPU, as rng_state returns it");
    at::Generator gen = generator(device);
    const std::lock_guard<std::mutex> lock(gen.mutex());
    gen.set_state(*state);
  });
}

char* adamv_set_deterministic(bool on, bool warn_only) {
  return guarded([&] {
    auto& context = at::globalContext();
    if (on) {
      // cuBLAS reads this once, when CUDA starts, and is not deterministic without it. A user's value wins.
      setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);
      context.setBenchmarkCuDNN(false);
    }
    context.setDeterministicAlgorithms(on, warn_only);
    context.setDeterministicCuDNN(on);
    context.setDeterministicMkldnn(on);
    // Filling fresh memory is for finding reads of it, costs a pass over every tensor, and is on by default.
    context.setDeterministicFillUninitializedMemory(false);
  });
}

char* adamv_deterministic(bool* on, bool* warn_only) {
  return guarded([&] {
    *on = at::globalContext().deterministicAlgorithms();
    *warn_only = at::globalContext().deterministicAlgorithmsWarnOnly();
  });
}

char* adamv_set_tf32(bool on) {
  return guarded([&] {
    at::globalContext().setAllowTF32CuBLAS(on);
    at::globalContext().setAllowTF32CuDNN(on);
  });
}

char* adamv_tf32(bool* matmul, bool* convolution) {
  return guarded([&] {
    using namespace at;
    const auto is_tf32 = [](Float32Op op) {
      return globalContext().float32Precision(Float32Backend::CUDA, op) == Float32Precision::TF32;
    };
    *matmul = is_tf32(Float32Op::MATMUL);
    *convolution = is_tf32(Float32Op::CONV);
  });
}

char* adamv_autocast_enter(int32_t device, bool enabled, bool* was_enabled, int32_t* was_dtype) {
  return guarded([&] {
    const at::DeviceType type = device_of(device).type();
    *was_enabled = at::autocast::is_autocast_enabled(type);
    *was_dtype = static_cast<int32_t>(at::autocast::get_autocast_dtype(type));
    at::autocast::set_autocast_dtype(type, at::kBFloat16);
    at::autocast::set_autocast_enabled(type, enabled);
    at::autocast::increment_nesting();
  });
}

char* adamv_autocast_exit(int32_t device, bool was_enabled, int32_t was_dtype) {
  return guarded([&] {
    const at::DeviceType type = device_of(device).type();
    // The cache keeps bf16 copies of parameters; they are stale once an optimizer step has run.
    if (at::autocast::decrement_nesting() == 0) {
      at::autocast::clear_cache();
    }
    at::autocast::set_autocast_enabled(type, was_enabled);
    at::autocast::set_autocast_dtype(type, static_cast<at::ScalarType>(was_dtype));
  });
}

char* adamv_libtorch_path(char** path) {
  return guarded([&] {
    // at::globalContext() by its mangled name: its address in here could be a stub of this executable.
    void* symbol = dlsym(RTLD_DEFAULT, "_ZN2at13globalContextEv");
    Dl_info info{};
    TORCH_CHECK(symbol != nullptr && dladdr(symbol, &info) != 0 && info.dli_fname != nullptr,
                "the dynamic loader does not know where libtorch_cpu.so is");
    *path = owned(info.dli_fname);
  });
}

char* adamv_build_config(char** text) {
  return guarded([&] { *text = owned(at::show_config().c_str()); });
}

const char* adamv_header_version() {
  return TORCH_VERSION;
}

char* adamv_load_cuda(const char* path, bool* registered) {
  return guarded([&] {
    if (dlopen(path, RTLD_LAZY | RTLD_GLOBAL) == nullptr) {
      const char* reason = dlerror();
      TORCH_CHECK(false, reason != nullptr ? reason : "dlopen gave no reason");
    }
    // libtorch looks for its CUDA half once. Asked before this call, it has already settled on "none".
    *registered = at::globalContext().hasCUDART();
  });
}

char* adamv_cuda_devices(int64_t* count) {
  return guarded([&] {
    *count = at::globalContext().hasCUDA() ? at::detail::getCUDAHooks().deviceCount() : 0;
  });
}

char* adamv_cuda_memory(int32_t device, int64_t* allocated, int64_t* peak, int64_t* free_bytes, int64_t* total) {
  return guarded([&] {
    const at::Device d = device_of(device);
    need_cuda(d);
    auto* allocator = c10::getDeviceAllocator(d.type());
    const auto stats = allocator->getDeviceStats(d.index());
    const auto& bytes =
        stats.allocated_bytes[static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE)];
    const auto info = allocator->getMemoryInfo(d.index());
    *allocated = bytes.current;
    *peak = bytes.peak;
    *free_bytes = static_cast<int64_t>(info.first);
    *total = static_cast<int64_t>(info.second);
  });
}

char* adamv_reset_peak_memory(int32_t device) {
  return guarded([&] {
    const at::Device d = device_of(device);
    need_cuda(d);
    c10::getDeviceAllocator(d.type())->resetPeakStats(d.index());
  });
}
