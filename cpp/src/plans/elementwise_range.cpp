// Elementwise penalties whose intermediates leave float64's range. Rare, and so neither parallel
// nor vectorized.

#include <algorithm>
#include <array>
#include <cfloat>
#include <climits>
#include <cmath>

#include "plans/elementwise.hpp"
#include "plans/float64_blocks.hpp"

namespace taut {
namespace {

// Calls element(x - reference, importance) for the elements of float64 arrays, whose reference and
// importance may be float32.
template <typename Element>
void for_each_weighted(const Layout& layout, Element element) {
  constexpr std::size_t kElements = 256;
  std::array<double, kElements> x, reference, importance;
  const auto read = [&](std::size_t side, std::size_t begin, std::size_t count, double* to,
                        double otherwise) {
    if (!layout.has(side)) {
      std::fill_n(to, count, otherwise);
    } else if (layout.arrays[side].element_size == sizeof(double)) {
      gather(layout, side, begin, count, to);
    } else {
      std::array<float, kElements> numbers;
      gather(layout, side, begin, count, numbers.data());
      std::copy_n(numbers.begin(), count, to);
    }
  };
  for (std::size_t begin = 0; begin < layout.size; begin += kElements) {
    const std::size_t count = std::min(kElements, layout.size - begin);
    gather(layout, 0, begin, count, x.data());
    read(kReference, begin, count, reference.data(), 0);
    read(kImportance, begin, count, importance.data(), 1);
    for (std::size_t i = 0; i < count; ++i) element(x[i] - reference[i], importance[i]);
    Questions::ask_if_due(kElements * 5.0);
  }
}

// factor * sum * 2^exponent, rounded once where that is a normal number.
double scaled_product(double factor, double sum, int exponent) {
  int factor_exponent, sum_exponent;
  const double product = std::frexp(factor, &factor_exponent) * std::frexp(sum, &sum_exponent);
  return std::ldexp(product, factor_exponent + sum_exponent + exponent);
}

}  // namespace

bool left_range(const ElementwiseFactors& factors, const ElementwiseSums& sums) {
  return (factors.l1 != 0 && sums.absolute > DBL_MAX) ||
         (factors.l2 != 0 && (sums.square > DBL_MAX || sums.square < kSmallestSquares));
}

double penalty_in_range(const ElementwiseFactors& factors, const Layout& layout) {
  const double largest = largest_magnitude(layout);
  if (largest == 0 || std::isinf(largest)) return largest;
  const int exponent = std::ilogb(largest);
  double absolute = 0;
  double square = 0;
  for_each_block(layout, [&](const double* x, std::size_t, std::size_t count) {
    double block_absolute = 0;
    double block_square = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const double scaled = std::ldexp(x[i], -exponent);
      block_absolute += std::abs(scaled);
      block_square += scaled * scaled;
    }
    absolute += block_absolute;
    square += block_square;
  });
  return scaled_product(factors.l1, absolute, exponent) +
         scaled_product(factors.l2, square, 2 * exponent);
}

bool left_range_towards(const ElementwiseFactors& factors, const ElementwiseSums& sums) {
  const auto left = [](double factor, double sum) {
    return factor != 0 && (sum > DBL_MAX || std::abs(sum) < kSmallestSquares);
  };
  return left(factors.l1, sums.absolute) || left(factors.l2, sums.square);
}

double penalty_towards_in_range(const ElementwiseFactors& factors, const Layout& layout) {
  // Of the products, the largest exponents; and what is beyond any range, or no number.
  constexpr int kNone = INT_MIN;
  int absolute_exponent = kNone;
  int square_exponent = kNone;
  double beyond = 0;
  for_each_weighted(layout, [&](double difference, double importance) {
    const double product = importance * std::abs(difference);
    if (!std::isfinite(difference) || !std::isfinite(importance)) beyond += product;
    if (difference == 0 || importance == 0 || beyond != 0) return;
    const int exponent = std::ilogb(difference);
    const int weight = std::ilogb(importance);
    absolute_exponent = std::max(absolute_exponent, weight + exponent);
    square_exponent = std::max(square_exponent, weight + 2 * exponent);
  });
  if (beyond != 0 || absolute_exponent == kNone) return beyond;
  double absolute = 0;
  double square = 0;
  for_each_weighted(layout, [&](double difference, double importance) {
    if (difference == 0 || importance == 0) return;
    int exponent, weight;
    difference = std::frexp(difference, &exponent);
    importance = std::frexp(importance, &weight);
    absolute +=
        std::ldexp(importance * std::abs(difference), weight + exponent - absolute_exponent);
    square +=
        std::ldexp(importance * difference * difference, weight + 2 * exponent - square_exponent);
  });
  double penalty = 0;
  if (factors.l1 != 0) penalty += scaled_product(factors.l1, absolute, absolute_exponent);
  if (factors.l2 != 0) penalty += scaled_product(factors.l2, square, square_exponent);
  return penalty;
}

ScaledSlopes slopes_of(const ElementwiseFactors& factors, double scale, DType dtype) {
  const double sign = scale * factors.l1;
  const double linear = 2 * (scale * factors.l2);
  const double magnitude = std::abs(linear);
  const bool is_exact_zero = scale == 0 || factors.l2 == 0;
  const bool is_normal = magnitude >= DBL_MIN && magnitude <= DBL_MAX;
  if (is_exact_zero || is_normal || !std::isfinite(scale)) return {{sign, linear}, 0};
  if (dtype != DType::kFloat64) {
    // Of numbers that are far from float64's ends, the product is beyond their range or nothing:
    // but 0 stays 0.
    return {{sign, std::clamp(linear, -DBL_MAX, DBL_MAX)}, 0};
  }
  int scale_exponent, factor_exponent;
  const double product =
      std::frexp(scale, &scale_exponent) * std::frexp(factors.l2, &factor_exponent);
  return {{sign, product}, 1 + scale_exponent + factor_exponent};
}

}  // namespace taut
