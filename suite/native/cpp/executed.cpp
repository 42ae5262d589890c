// Counts the multiply-adds that libtorch executes, by watching its operations and their sizes: what an analytic count is held to.
#include "shim.h"

#include <ATen/ATen.h>
#include <ATen/record_function.h>

#include <atomic>
#include <functional>
#include <map>
#include <string>

#include "guarded.h"

namespace {

using Inputs = c10::ArrayRef<const c10::IValue>;

int64_t size(const c10::IValue& tensor, int64_t axis) { return tensor.toTensor().size(axis); }
int64_t numel(const c10::IValue& tensor) { return tensor.toTensor().numel(); }

// Side of the output of a convolution along an axis of the input.
int64_t out_side(const Inputs& in, int64_t axis) {
  const auto stride = in[3].toIntVector(), padding = in[4].toIntVector();
  const auto i = static_cast<size_t>(axis - 2);
  return (size(in[0], axis) + 2 * padding[i % padding.size()] - size(in[1], axis)) / stride[i % stride.size()] + 1;
}

// By name, multiply-adds of an operation with these inputs. Convolutions here have one group and no dilation. An operation that
// runs inside another one of the table is part of it.
const std::map<std::string, std::function<int64_t(const Inputs&)>> kOperations = {
    {"aten::linear", [](const Inputs& in) { return numel(in[0]) * size(in[1], 0); }},
    {"aten::mm", [](const Inputs& in) { return numel(in[0]) * size(in[1], 1); }},
    {"aten::addmm", [](const Inputs& in) { return numel(in[1]) * size(in[2], 1); }},
    {"aten::bmm", [](const Inputs& in) { return numel(in[0]) * size(in[1], 2); }},
    {"aten::baddbmm", [](const Inputs& in) { return numel(in[1]) * size(in[2], 2); }},
    {"aten::_grouped_mm", [](const Inputs& in) { return numel(in[0]) * size(in[1], 2); }},
    {"aten::conv2d",
     [](const Inputs& in) { return size(in[0], 0) * out_side(in, 2) * out_side(in, 3) * numel(in[1]); }},
    {"aten::conv_transpose2d", [](const Inputs& in) { return numel(in[0]) / size(in[0], 1) * numel(in[1]); }},
    {"aten::scaled_dot_product_attention",
     // Queries [B,H,N,d] with M keys [B,H,M,d], then weights with M values [B,H,M,v].
     [](const Inputs& in) {
       const int64_t rows = numel(in[0]) / size(in[0], 3), keys = size(in[1], 2);
       return rows * keys * (size(in[0], 3) + size(in[2], 3));
     }},
};

std::atomic<int64_t> total{0};
// libtorch only warns of what a callback throws.
std::atomic<bool> missed{false};
thread_local int depth = 0;

struct Counted : at::ObserverContext {};

std::unique_ptr<at::ObserverContext> enter(const at::RecordFunction& operation) {
  const auto found = kOperations.find(operation.name());
  if (found == kOperations.end()) {
    return nullptr;
  }
  auto counted = std::make_unique<Counted>();
  if (depth == 0) {
    try {
      total += found->second(operation.inputs());
    } catch (...) {
      missed = true;
    }
  }
  ++depth;
  return counted;
}

void leave(const at::RecordFunction&, at::ObserverContext* context) {
  if (context != nullptr) {
    --depth;
  }
}

}  // namespace

char* adamv_count_begin(uint64_t* handle) {
  return guarded([&] {
    total = 0;
    missed = false;
    *handle = at::addGlobalCallback(
        at::RecordFunctionCallback(enter, leave).needsInputs(true).scopes({at::RecordScope::FUNCTION}));
  });
}

char* adamv_count_end(uint64_t handle, int64_t* count) {
  return guarded([&] {
    at::removeCallback(handle);
    TORCH_CHECK(!missed, "an operation came with inputs that aren't counted, such as padding by name");
    *count = total;
  });
}
