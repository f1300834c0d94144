#include "check.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <string>

#include "elementwise.hpp"
#include "layout.hpp"
#include "overloaded.hpp"

namespace taut {
namespace {

// As Python writes it, whatever the locale: the shortest text that is read back as the number.
std::string text_of(double number) {
  if (std::isnan(number)) return "nan";
  const double magnitude = std::abs(number);
  const bool is_fixed = magnitude == 0 || (magnitude >= 1e-4 && magnitude < 1e16);
  std::array<char, 32> text;
  const auto [end, error] =
      std::to_chars(text.data(), text.data() + text.size(), number,
                    is_fixed ? std::chars_format::fixed : std::chars_format::scientific);
  std::string written(text.data(), end);
  if (is_fixed && written.find('.') == std::string::npos) written += ".0";
  return written;
}

void check_factor(const char* name, double factor) {
  if (std::isfinite(factor) && factor >= 0) return;
  throw InvalidArgument(std::string("Invalid value for argument `") + name +
                        "`: expected a non-negative float. Received: " + name + "=" +
                        text_of(factor));
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

}  // namespace

void check_penalty(const Regularizer& regularizer, const ConstView& x) {
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

void check_step(double step) { check_factor("step", step); }

void check_prox(const Regularizer& regularizer, const View& x, double step) {
  check_penalty(regularizer, x);
  const bool is_finite = std::visit(
      Overloaded{
          [](const OrthogonalRegularizer&) -> bool {
            throw InvalidArgument("OrthogonalRegularizer has no proximal step in closed form");
          },
          [&](const auto& r) {
            const ElementwiseFactors factors = factors_of(r);
            return std::isfinite(step * factors.l1) && std::isfinite(2 * (step * factors.l2));
          },
      },
      regularizer);
  if (!is_finite) throw InvalidArgument("step times a factor is beyond the range of float64");
  if (overlaps_itself(x)) {
    throw InvalidArgument("x must not overlap itself: some of its elements share memory");
  }
}

}  // namespace taut
