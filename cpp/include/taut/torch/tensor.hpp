// The functions of penalty.hpp and batch.hpp on LibTorch's tensors.
//
// What is said there holds here, and the bits are the same. A tensor is dense, in the CPU's memory,
// and of float64, float32, float16 or bfloat16; any shape and strides will do, and nothing is
// copied. Everything else is an InvalidArgument, before anything is written, in the words that
// Python's package has for it.
//
// What is written is written in place whether or not autograd records, as by
// `torch::NoGradGuard`; leaves that require a gradient can be written, and inference tensors
// in inference mode. The tensor's version counts the write, so that a graph that has kept it for
// its backward says so. No graph is recorded: see penalty() for that.
//
// One tensor takes no memory but the core's. Many take one std::vector of views in each call.

#ifndef TAUT_TORCH_TENSOR_HPP_
#define TAUT_TORCH_TENSOR_HPP_

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "taut/batch.hpp"
#include "taut/penalty.hpp"
#include "taut/regularizers.hpp"
#include "taut/torch/memory.hpp"
#include "taut/workspace.hpp"

namespace taut {

inline double value(const Regularizer& regularizer, const at::Tensor& x,
                    Workspace* workspace = nullptr) {
  return value(regularizer, view(x), workspace);
}

inline double accumulate_grad(const Regularizer& regularizer, const at::Tensor& x,
                              const at::Tensor& gradient, double scale = 1.0,
                              Workspace* workspace = nullptr) {
  const View target = torch::detail::writable(gradient, "the gradient");
  return torch::detail::counted(
      [&] { return accumulate_grad(regularizer, view(x), target, scale, workspace); },
      [&] { torch::detail::count_write(gradient); });
}

inline double value_and_grad(const Regularizer& regularizer, const at::Tensor& x,
                             const at::Tensor& gradient, double scale = 1.0,
                             Workspace* workspace = nullptr) {
  const View target = torch::detail::writable(gradient, "the gradient");
  return torch::detail::counted(
      [&] { return value_and_grad(regularizer, view(x), target, scale, workspace); },
      [&] { torch::detail::count_write(gradient); });
}

inline void prox(const Regularizer& regularizer, const at::Tensor& x, double step) {
  const View target = torch::detail::writable(x, "x");
  torch::detail::counted([&] { prox(regularizer, target, step); },
                         [&] { torch::detail::count_write(x); });
}

namespace torch {

// Terms of a batch. An undefined tensor stands for no reference and no importance.
struct Term {
  Regularizer regularizer;
  at::Tensor x;
  at::Tensor reference{};
  at::Tensor importance{};
};

struct GradientTerm {
  Regularizer regularizer;
  at::Tensor x;
  at::Tensor gradient;
  at::Tensor reference{};
  at::Tensor importance{};
};

namespace detail {

inline std::optional<ConstView> side(const at::Tensor& x, const std::string& name) {
  return x.defined() ? std::optional(readable(x, name)) : std::nullopt;
}

// Not inlined, since GCC 12 then warns that an empty optional's inside is read.
template <typename CoreTerm>
[[gnu::noinline]] void append(std::vector<CoreTerm>& terms, CoreTerm term) {
  terms.push_back(std::move(term));
}

// Calls make(term) for each term, and says which one is wrong.
template <typename CoreTerm, typename AnyTerm, typename Make>
std::vector<CoreTerm> views_of(std::span<const AnyTerm> terms, Make make) {
  std::vector<CoreTerm> views;
  views.reserve(terms.size());
  for (const AnyTerm& term : terms) {
    try {
      append(views, make(term));
      views.back().reference = side(term.reference, "the reference");
      views.back().importance = side(term.importance, "the importance");
    } catch (const InvalidArgument& error) {
      throw InvalidTerm(static_cast<std::size_t>(&term - terms.data()), error.what());
    }
  }
  return views;
}

inline std::vector<taut::GradientTerm> views_of(std::span<const GradientTerm> terms) {
  return views_of<taut::GradientTerm>(terms, [](const GradientTerm& term) {
    return taut::GradientTerm{term.regularizer, view(term.x),
                              writable(term.gradient, "the gradient")};
  });
}

inline void count_writes(std::span<const GradientTerm> terms) {
  for (const GradientTerm& term : terms) count_write(term.gradient);
}

}  // namespace detail
}  // namespace torch

inline double value(std::span<const torch::Term> terms, std::span<double> values = {},
                    Workspace* workspace = nullptr) {
  const auto views = torch::detail::views_of<Term>(
      terms, [](const torch::Term& term) { return Term{term.regularizer, view(term.x)}; });
  return value(views, values, workspace);
}

inline double accumulate_grad(std::span<const torch::GradientTerm> terms, double scale = 1.0,
                              std::span<double> values = {}, Workspace* workspace = nullptr) {
  const auto views = torch::detail::views_of(terms);
  return torch::detail::counted([&] { return accumulate_grad(views, scale, values, workspace); },
                                [&] { torch::detail::count_writes(terms); });
}

inline double value_and_grad(std::span<const torch::GradientTerm> terms, double scale = 1.0,
                             std::span<double> values = {}, Workspace* workspace = nullptr) {
  const auto views = torch::detail::views_of(terms);
  return torch::detail::counted([&] { return value_and_grad(views, scale, values, workspace); },
                                [&] { torch::detail::count_writes(terms); });
}

inline void prox(std::span<const torch::Term> terms, double step, Workspace* workspace = nullptr) {
  const auto views = torch::detail::views_of<ProxTerm>(terms, [](const torch::Term& term) {
    return ProxTerm{term.regularizer, torch::detail::writable(term.x, "x")};
  });
  torch::detail::counted([&] { prox(views, step, workspace); },
                         [&] {
                           for (const torch::Term& term : terms) torch::detail::count_write(term.x);
                         });
}

}  // namespace taut

#endif  // TAUT_TORCH_TENSOR_HPP_
