// Compares the three functions of the public face with the reference, and with each other.

#ifndef TAUT_TESTS_CHECK_PENALTY_HPP_
#define TAUT_TESTS_CHECK_PENALTY_HPP_

#include <cstddef>
#include <string>
#include <taut/taut.hpp>
#include <tuple>
#include <vector>

#include "catch2.hpp"
#include "numbers.hpp"
#include "reference.hpp"

namespace taut_test {

// What an input and its gradient are stored in.
template <typename T, typename G = T>
struct Dtypes {
  using Element = T;
  using Gradient = G;
};
using EveryDtype = std::tuple<Dtypes<double>, Dtypes<float>, Dtypes<Float16>, Dtypes<BFloat16>,
                              Dtypes<Float16, float>, Dtypes<BFloat16, float>>;

// One array, without gaps, as many axes as `shape` has extents.
template <typename T>
taut::View contiguous_view(std::vector<T>& numbers, const std::vector<std::ptrdiff_t>& shape) {
  std::vector<std::ptrdiff_t> strides(shape.size());
  std::ptrdiff_t stride = sizeof(T);
  for (std::size_t axis = shape.size(); axis-- > 0;) {
    strides[axis] = stride;
    stride *= shape[axis];
  }
  return {numbers.data(), taut::DTypeOf<T>::value, shape, strides};
}

inline std::vector<std::ptrdiff_t> shape_of(const taut::ConstView& view) {
  std::vector<std::ptrdiff_t> shape(view.rank());
  for (std::size_t axis = 0; axis < view.rank(); ++axis) {
    shape[axis] = static_cast<std::ptrdiff_t>(view.extent(axis));
  }
  return shape;
}

template <typename G>
struct Result {
  double value;
  std::vector<G> gradient;  // in C order
};

template <typename G>
Result<G> value_and_grad(const taut::Regularizer& regularizer, const taut::ConstView& x,
                         double scale = 1) {
  // What is there beforehand does not count.
  std::vector<G> gradient(x.size(), from_double<G>(std::numeric_limits<double>::quiet_NaN()));
  const taut::View view = contiguous_view(gradient, shape_of(x));
  return {taut::value_and_grad(regularizer, x, view, scale), gradient};
}

template <typename G>
Result<G> accumulate_grad(const taut::Regularizer& regularizer, const taut::ConstView& x,
                          const std::vector<double>& before, double scale = 1) {
  std::vector<G> gradient = store<G>(before);
  const taut::View view = contiguous_view(gradient, shape_of(x));
  return {taut::accumulate_grad(regularizer, x, view, scale), gradient};
}

// The shape of a range's slice.
inline std::vector<std::ptrdiff_t> shape_of_slice(const taut::ConstView& x, taut::Mode mode,
                                                  taut::VectorRange range) {
  std::vector<std::ptrdiff_t> shape = shape_of(x);
  (mode == taut::Mode::kRows ? shape.front() : shape.back()) =
      static_cast<std::ptrdiff_t>(range.end - range.begin);
  return shape;
}

template <typename G>
Result<G> part_and_grad(const taut::OrthogonalRegularizer& regularizer, const taut::ConstView& x,
                        taut::VectorRange range, double scale = 1) {
  const auto shape = shape_of_slice(x, regularizer.mode, range);
  std::size_t size = 1;
  for (const std::ptrdiff_t extent : shape) size *= static_cast<std::size_t>(extent);
  std::vector<G> gradient(size, from_double<G>(std::numeric_limits<double>::quiet_NaN()));
  const taut::View view = contiguous_view(gradient, shape);
  return {taut::value_and_grad(regularizer, x, range, view, scale), gradient};
}

// `reference` is of the penalty divided by `factor`.
template <typename G>
void check_penalty(const taut::Regularizer& regularizer, const taut::ConstView& x,
                   const Reference& reference, double factor = 1) {
  const double value = taut::value(regularizer, x);
  INFO("shape " << Catch::Detail::stringify(shape_of(x)) << ", value " << value << ", exact "
                << static_cast<double>(factor * reference.value));
  const Real value_rounding = 2 * kRoundoff64 * std::abs(factor * reference.value) + kSmallest64;
  CHECK(is_close(value, factor * reference.value,
                 factor * reference.value_tolerance + value_rounding, kFormat<double>));
  const std::vector<double> before = random_numbers<G>(x.size(), 7);
  for (const double scale : {1.0, -0.7}) {
    INFO("scale " << scale);
    const Real exact_scale = static_cast<Real>(scale) * factor;
    const auto overwritten = value_and_grad<G>(regularizer, x, scale);
    CHECK(gradient_error(reference, exact_scale, {}, overwritten.gradient) == "");
    const auto accumulated = accumulate_grad<G>(regularizer, x, before, scale);
    CHECK(gradient_error(reference, exact_scale, before, accumulated.gradient) == "");
    CHECK(same_bits(overwritten.value, value));
    CHECK(same_bits(accumulated.value, value));
  }
}

// What a call says that it refuses.
template <typename Call>
std::string message_of(Call call) {
  try {
    call();
  } catch (const taut::InvalidArgument& error) {
    return error.what();
  }
  return "nothing was thrown";
}

}  // namespace taut_test

#endif  // TAUT_TESTS_CHECK_PENALTY_HPP_
