#include <algorithm>
#include <array>
#include <cfloat>
#include <cmath>

#include "plans/float64_blocks.hpp"
#include "plans/group_lasso.hpp"

namespace taut {

bool left_range(double squares) { return squares > DBL_MAX || squares < kSmallestSquares; }

ScaledNumber norm_in_range(const Layout& group) {
  const double largest = largest_magnitude(group);
  if (largest == 0 || std::isinf(largest)) return {largest, 0};
  const int exponent = std::ilogb(largest);
  double squares = 0;
  for_each_block(group, [&](const double* x, std::size_t, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      const double number = std::ldexp(x[i], -exponent);
      squares += number * number;
    }
  });
  const ScaledNumber norm = scaled(std::sqrt(squares));
  return {norm.number, norm.exponent + exponent};
}

void write_in_range(const Layout& group, const ScaledNumber& slope, bool accumulate) {
  for_each_block(group, [&](const double* x, std::size_t begin, std::size_t count) {
    Float64Block gradient{};
    if (accumulate) gather(group, 1, begin, count, gradient.data());
    for (std::size_t i = 0; i < count; ++i) {
      const double product = (scaled(x[i]) * slope).value();
      gradient[i] = accumulate ? gradient[i] + product : product;
    }
    scatter(group, 1, begin, count, gradient.data());
  });
}

}  // namespace taut
