// Penalties as nodes of autograd's graph.

#ifndef TAUT_TORCH_PENALTY_HPP_
#define TAUT_TORCH_PENALTY_HPP_

#include <ATen/Functions.h>
#include <c10/core/GradMode.h>
#include <c10/util/Exception.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/custom_class.h>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "taut/regularizers.hpp"
#include "taut/torch/tensor.hpp"

namespace taut::torch {
namespace detail {

using Context = ::torch::autograd::AutogradContext;
using ::torch::autograd::variable_list;

// What a node keeps beside its tensors: the regularizers as they were when it was made.
struct Regularizers : ::torch::CustomClassHolder {
  explicit Regularizers(std::vector<Regularizer> regularizers) : each(std::move(regularizers)) {}
  std::vector<Regularizer> each;
};
using RegularizersPtr = c10::intrusive_ptr<Regularizers>;

inline void keep(Context* context, const RegularizersPtr& regularizers) {
  context->saved_data["regularizers"] = c10::IValue::make_capsule(regularizers);
}
inline RegularizersPtr kept(Context* context) {
  return c10::static_intrusive_pointer_cast<Regularizers>(
      context->saved_data["regularizers"].toCapsule());
}

// Penalties are float64 if one of the tensors is, else float32, so that no sum overflows.
inline c10::ScalarType value_dtype(at::TensorList tensors) {
  const bool has_doubles = std::any_of(tensors.begin(), tensors.end(), [](const at::Tensor& x) {
    return x.scalar_type() == c10::ScalarType::Double;
  });
  return has_doubles ? c10::ScalarType::Double : c10::ScalarType::Float;
}

// Whether the gradient is worth computing with the value, where both will be asked for.
inline bool is_bound_by_arithmetic(const Regularizer& regularizer) {
  return std::holds_alternative<OrthogonalRegularizer>(regularizer) ||
         std::holds_alternative<SoftOrthogonalRegularizer>(regularizer);
}

// L1's and L2's factors, of what is differentiable twice here.
struct Factors {
  double l1;
  double l2;
};
inline std::optional<Factors> elementwise(const L1& regularizer) {
  return Factors{regularizer.l1, 0};
}
inline std::optional<Factors> elementwise(const L2& regularizer) {
  return Factors{0, regularizer.l2};
}
inline std::optional<Factors> elementwise(const L1L2& regularizer) {
  return Factors{regularizer.l1, regularizer.l2};
}
template <typename Other>
std::optional<Factors> elementwise(const Other&) {
  return std::nullopt;
}

// The derivative of <direction, scale * gradient(x)> with respect to scale and x, in LibTorch's
// operations, which are differentiable in turn.
inline std::pair<at::Tensor, at::Tensor> pull_back(Factors factors, const at::Tensor& x,
                                                   const at::Tensor& scale,
                                                   const at::Tensor& direction) {
  const auto wide = [](const at::Tensor& tensor) { return tensor.to(c10::ScalarType::Double); };
  const at::Tensor along = wide(direction);
  at::Tensor by_scale = at::zeros({}, along.options());
  at::Tensor by_x = at::zeros_like(along);
  if (factors.l1 != 0) {
    const at::Tensor signs = at::where(x.isnan(), x, x.sign()).detach();
    by_scale = by_scale + factors.l1 * (along * wide(signs)).sum();
  }
  if (factors.l2 != 0) {
    by_scale = by_scale + 2 * factors.l2 * (along * wide(x)).sum();
    by_x = 2 * factors.l2 * wide(scale) * along;
  }
  return {by_scale.to(scale.scalar_type()), by_x.to(x.scalar_type())};
}

inline void check_differentiable_twice(const std::optional<Factors>& factors) {
  TORCH_CHECK_NOT_IMPLEMENTED(factors,
                              "a second derivative was asked for: in C++ taut has those of L1, L2 "
                              "and L1L2 alone, in Python "
                              "those of all penalties");
}

// `scale` times the gradients of some penalties; of one, `wide` may be its gradient, which is still
// to be scaled and rounded.
struct Slopes : ::torch::autograd::Function<Slopes> {
  static variable_list forward(Context* context, const RegularizersPtr& regularizers,
                               const at::Tensor& scale, const std::optional<at::Tensor>& wide,
                               at::TensorList tensors) {
    keep(context, regularizers);
    context->set_materialize_grads(false);
    variable_list saved(tensors.begin(), tensors.end());
    saved.push_back(scale);
    context->save_for_backward(std::move(saved));
    if (wide) return {(*wide * scale).to(tensors[0].scalar_type())};
    variable_list gradients;
    std::vector<GradientTerm> terms;
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      gradients.push_back(at::empty_like(tensors[i]));
      terms.push_back({regularizers->each[i], tensors[i], gradients[i]});
    }
    value_and_grad(terms, scale.item<double>());
    return gradients;
  }

  static variable_list backward(Context* context, const variable_list& directions) {
    const RegularizersPtr regularizers = kept(context);
    const variable_list saved = context->get_saved_variables();
    const at::Tensor& scale = saved.back();
    variable_list all{at::Tensor(), at::zeros_like(scale), at::Tensor()};
    for (std::size_t i = 0; i < directions.size(); ++i) {
      if (!directions[i].defined()) {  // nobody asks for this one's second derivative
        all.emplace_back();
        continue;
      }
      const std::optional<Factors> factors = std::visit(
          [](const auto& regularizer) { return elementwise(regularizer); }, regularizers->each[i]);
      check_differentiable_twice(factors);
      const auto [by_scale, by_x] = pull_back(*factors, saved[i], scale, directions[i]);
      all[1] = all[1] + by_scale;
      all.push_back(by_x);
    }
    return all;
  }
};

// The sum of some penalties. What is bound by arithmetic has its gradient computed in the same pass
// where there is one tensor; of many, all gradients are computed in one batch, when they are asked
// for.
struct Total : ::torch::autograd::Function<Total> {
  static at::Tensor forward(Context* context, const RegularizersPtr& regularizers,
                            bool with_gradient, at::TensorList tensors) {
    keep(context, regularizers);
    variable_list saved(tensors.begin(), tensors.end());
    const c10::ScalarType dtype = value_dtype(tensors);
    double total = 0;
    if (with_gradient) {
      saved.push_back(at::empty_like(tensors[0], tensors[0].options().dtype(dtype)));
      total = value_and_grad(regularizers->each[0], tensors[0], saved.back());
    } else {
      std::vector<Term> terms;
      for (std::size_t i = 0; i < tensors.size(); ++i) {
        terms.push_back({regularizers->each[i], tensors[i]});
      }
      total = value(terms);
    }
    context->save_for_backward(std::move(saved));
    return at::scalar_tensor(total, dtype);
  }

  static variable_list backward(Context* context, const variable_list& scales) {
    const RegularizersPtr regularizers = kept(context);
    variable_list tensors = context->get_saved_variables();
    std::optional<at::Tensor> wide;
    if (tensors.size() > regularizers->each.size()) {
      wide = tensors.back();
      tensors.pop_back();
    }
    const variable_list gradients =
        Slopes::apply(regularizers, scales[0], wide, at::TensorList(tensors));
    variable_list all{at::Tensor(), at::Tensor()};
    all.insert(all.end(), gradients.begin(), gradients.end());
    return all;
  }
};

}  // namespace detail

// The penalty of x as a 0-d tensor, float64 for float64 and else float32: one node of the graph
// where autograd records. Its gradient has the bits that Python's has; it is scaled by what comes
// in before its one rounding, but for the orthogonal penalties', which are computed with the value,
// as float64 for float64 and else as float32. x must be what value() takes.
//
// L1, L2 and L1L2 are differentiable as often as one likes, through LibTorch's operations; the
// second derivative of another penalty is a c10::NotImplementedError. Forward-mode derivatives and
// transforms of torch.func are refused by LibTorch.
inline at::Tensor penalty(const Regularizer& regularizer, const at::Tensor& x) {
  view(x);  // or it is no tensor that a node can keep
  const bool with_gradient = detail::is_bound_by_arithmetic(regularizer) && x.requires_grad() &&
                             c10::GradMode::is_enabled();
  return detail::Total::apply(
      c10::make_intrusive<detail::Regularizers>(std::vector<Regularizer>{regularizer}),
      with_gradient, at::TensorList(x));
}

}  // namespace taut::torch

#endif  // TAUT_TORCH_PENALTY_HPP_
