// A linear layer for each segment of rows. Of tch's parts it would be a view of the weights for each segment, whose
// gradients libtorch stacks: a copy of all weights in every backward pass. Here each lands in its place.
#include "shim.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <atomic>
#include <numeric>
#include <vector>

#include "guarded.h"

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Rows first .. first + n go through the weights at e.
struct Segment {
  int64_t e, first, n;
};

// Calls body for every segment. On a CPU segments run side by side, the longest first, each in one thread: their matrix
// products are too small to be shared among threads. One after the other, with threads inside the products, where there
// are too few segments or one is most of the work. Which thread takes which segment changes no result.
template <typename F>
void each_segment(const std::vector<int64_t>& lengths, bool on_cpu, const F& body) {
  std::vector<Segment> segments;
  int64_t first = 0;
  for (size_t e = 0; e < lengths.size(); ++e) {
    segments.push_back({static_cast<int64_t>(e), first, lengths[e]});
    first += lengths[e];
  }
  std::stable_sort(segments.begin(), segments.end(), [](const Segment& a, const Segment& b) { return a.n > b.n; });
  const int64_t threads = at::get_num_threads();
  const auto busy = std::count_if(segments.begin(), segments.end(), [](const Segment& s) { return s.n > 0; });
  if (!on_cpu || threads == 1 || busy < 2 * threads || segments[0].n * threads > first) {
    std::for_each(segments.begin(), segments.end(), body);
    return;
  }
  std::atomic<size_t> next{0};
  at::parallel_for(0, threads, 1, [&](int64_t begin, int64_t end) {
    const at::NoGradGuard no_grad;  // a worker doesn't inherit it
    for (; begin < end; ++begin) {
      for (size_t i = next++; i < segments.size(); i = next++) {
        body(segments[i]);
      }
    }
  });
}

struct SegmentedLinear : torch::autograd::Function<SegmentedLinear> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& rows, std::vector<int64_t> lengths,
                            const at::Tensor& weight, const at::Tensor& bias) {
    at::Tensor out = at::empty({rows.size(0), weight.size(1)}, rows.options());
    each_segment(lengths, rows.is_cpu(), [&](const Segment& s) {
      const auto [e, first, n] = s;
      if (n > 0) {
        at::Tensor segment = out.narrow(0, first, n);
        at::addmm_out(segment, bias.select(0, e), rows.narrow(0, first, n), weight.select(0, e).t());
      }
    });
    ctx->save_for_backward({rows, weight});
    ctx->saved_data["lengths"] = lengths;
    return out;
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const at::Tensor &rows = saved[0], &weight = saved[1];
    const at::Tensor grad = grads[0].contiguous();
    const bool wants_rows = ctx->needs_input_grad(0);
    at::Tensor grad_rows = wants_rows ? at::empty_like(rows) : at::Tensor();
    at::Tensor grad_weight = at::empty_like(weight);
    at::Tensor grad_bias = at::empty({weight.size(0), weight.size(1)}, weight.options());
    each_segment(ctx->saved_data["lengths"].toIntVector(), rows.is_cpu(), [&](const Segment& s) {
      const auto [e, first, n] = s;
      at::Tensor weights = grad_weight.select(0, e), biases = grad_bias.select(0, e);
      if (n == 0) {
        weights.zero_();
        biases.zero_();
        return;
      }
      const at::Tensor segment = grad.narrow(0, first, n);
      at::mm_out(weights, segment.t(), rows.narrow(0, first, n));
      at::sum_out(biases, segment, {0});
      if (wants_rows) {
        at::Tensor inputs = grad_rows.narrow(0, first, n);
        at::mm_out(inputs, segment, weight.select(0, e));
      }
    });
    return {grad_rows, at::Tensor(), grad_weight, grad_bias};
  }
};

}  // namespace

char* adamv_segmented_linear(adamv_tensor rows, const int64_t* lengths, size_t n, adamv_tensor weight,
                             adamv_tensor bias, adamv_tensor* out) {
  return guarded([&] {
    const at::Tensor &x = *rows, &w = *weight, &b = *bias;
    const std::vector<int64_t> parts(lengths, lengths + n);
    const auto e = static_cast<int64_t>(n);
    TORCH_CHECK_VALUE(x.dim() == 2 && w.dim() == 3 && b.dim() == 2, "rows, weight and bias have ", x.dim(), ", ",
                      w.dim(), " and ", b.dim(), " axes, not 2, 3 and 2");
    TORCH_CHECK_VALUE(w.size(0) == e && w.size(2) == x.size(1), "weight has shape ", w.sizes(), ", not [", e,
                      ", out, ", x.size(1), "]");
    TORCH_CHECK_VALUE(b.size(0) == e && b.size(1) == w.size(1), "bias has shape ", b.sizes(), ", not [", e, ", ",
                      w.size(1), "]");
    TORCH_CHECK_VALUE(x.scalar_type() == w.scalar_type() && x.scalar_type() == b.scalar_type(),
                      "rows, weight and bias are ", x.scalar_type(), ", ", w.scalar_type(), " and ", b.scalar_type(),
                      "; all must be one dtype");
    for (const int64_t part : parts) {
      TORCH_CHECK_VALUE(part >= 0, "a segment of ", part, " rows");
    }
    const int64_t sum = std::accumulate(parts.begin(), parts.end(), int64_t{0});
    TORCH_CHECK_VALUE(sum == x.size(0), "the segments have ", sum, " rows, but there are ", x.size(0));
    *out = new at::Tensor(SegmentedLinear::apply(x, parts, w.contiguous(), b));
  });
}
