#include "taut/penalty.hpp"

#include <cmath>
#include <cstdio>
#include <string>

#include "elementwise.hpp"
#include "float_environment.hpp"
#include "gram.hpp"
#include "layout.hpp"

namespace taut {
namespace {

template <typename... Functions>
struct Overloaded : Functions... {
  using Functions::operator()...;
};
template <typename... Functions>
Overloaded(Functions...) -> Overloaded<Functions...>;

void check_factor(const char* name, double factor) {
  if (std::isfinite(factor) && factor >= 0) return;
  char number[32];
  std::snprintf(number, sizeof(number), "%g", factor);
  throw InvalidArgument(std::string("Invalid value for argument `") + name +
                        "`: expected a non-negative float. Received: " + name + "=" + number);
}

template <typename Pointer>
std::string shape_of(const BasicView<Pointer>& view) {
  std::string shape = "(";
  for (std::size_t axis = 0; axis < view.rank(); ++axis) {
    if (axis > 0) shape += ", ";
    shape += std::to_string(view.extent(axis));
  }
  return shape + (view.rank() == 1 ? ",)" : ")");
}

void check(const Regularizer& regularizer, const ConstView& x) {
  std::visit(Overloaded{
                 [](const L1& r) { check_factor("l1", r.l1); },
                 [](const L2& r) { check_factor("l2", r.l2); },
                 [](const L1L2& r) {
                   check_factor("l1", r.l1);
                   check_factor("l2", r.l2);
                 },
                 [&](const OrthogonalRegularizer& r) {
                   check_factor("factor", r.factor);
                   if (x.rank() != 2) {
                     throw InvalidArgument(
                         "Inputs to OrthogonalRegularizer must have rank 2. "
                         "Received: inputs.shape=" +
                         shape_of(x));
                   }
                 },
             },
             regularizer);
}

void check_gradient(const ConstView& x, const View& gradient) {
  bool same_shape = x.rank() == gradient.rank();
  for (std::size_t axis = 0; same_shape && axis < x.rank(); ++axis) {
    same_shape = x.extent(axis) == gradient.extent(axis);
  }
  if (!same_shape) {
    throw InvalidArgument("The gradient must have the shape of the input. Received: shapes " +
                          shape_of(gradient) + " and " + shape_of(x));
  }
  const bool wider = size_of(x.dtype()) == 2 && gradient.dtype() == DType::kFloat32;
  if (x.dtype() != gradient.dtype() && !wider) {
    throw InvalidArgument(std::string("The gradient must have the dtype of the input, or float32 "
                                      "where that is a half type. Received: ") +
                          name_of(gradient.dtype()) + " and " + name_of(x.dtype()));
  }
  if (overlaps_itself(gradient)) {
    throw InvalidArgument(
        "The gradient must not overlap itself: some of its elements share memory");
  }
  if (overlap(x, gradient)) {
    throw InvalidArgument("The gradient must not overlap the input: they share memory");
  }
}

// The environment is set around a call, so that no arithmetic is moved out of it.
template <typename Call>
[[gnu::noinline]] double call_isolated(Call&& call) {
  return call();
}

double evaluate(const Regularizer& regularizer, const ConstView& x) {
  return std::visit(Overloaded{
                        [&](const L1& r) { return elementwise_value({r.l1, 0}, x); },
                        [&](const L2& r) { return elementwise_value({0, r.l2}, x); },
                        [&](const L1L2& r) { return elementwise_value({r.l1, r.l2}, x); },
                        [&](const OrthogonalRegularizer& r) { return gram_value(r, x); },
                    },
                    regularizer);
}

double differentiate(const Regularizer& regularizer, const ConstView& x, const View& gradient,
                     double scale, bool accumulate) {
  const auto elementwise = [&](double l1, double l2) {
    return elementwise_gradient({l1, l2}, x, gradient, scale, accumulate);
  };
  return std::visit(Overloaded{
                        [&](const L1& r) { return elementwise(r.l1, 0); },
                        [&](const L2& r) { return elementwise(0, r.l2); },
                        [&](const L1L2& r) { return elementwise(r.l1, r.l2); },
                        [&](const OrthogonalRegularizer& r) {
                          return gram_gradient(r, x, gradient, scale, accumulate);
                        },
                    },
                    regularizer);
}

double checked_gradient(const Regularizer& regularizer, const ConstView& x, const View& gradient,
                        double scale, bool accumulate) {
  check(regularizer, x);
  check_gradient(x, gradient);
  const DefaultFloatEnvironment environment;
  return call_isolated([&] { return differentiate(regularizer, x, gradient, scale, accumulate); });
}

}  // namespace

double value(const Regularizer& regularizer, const ConstView& x) {
  check(regularizer, x);
  const DefaultFloatEnvironment environment;
  return call_isolated([&] { return evaluate(regularizer, x); });
}

double accumulate_grad(const Regularizer& regularizer, const ConstView& x, const View& gradient,
                       double scale) {
  return checked_gradient(regularizer, x, gradient, scale, true);
}

double value_and_grad(const Regularizer& regularizer, const ConstView& x, const View& gradient,
                      double scale) {
  return checked_gradient(regularizer, x, gradient, scale, false);
}

}  // namespace taut
