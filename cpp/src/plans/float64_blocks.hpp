// What penalties of float64 arrays have in common where intermediates leave the range. Rare, and so
// neither parallel nor vectorized.

#ifndef TAUT_PLANS_FLOAT64_BLOCKS_HPP_
#define TAUT_PLANS_FLOAT64_BLOCKS_HPP_

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

#include "run/stop.hpp"
#include "views/layout.hpp"

namespace taut {

// Below this, a sum of squares may hold squares that lost digits as subnormal numbers.
constexpr double kSmallestSquares = 0x1p-900;

constexpr double kBlockNanoseconds = 500;  // of a block below, about
using Float64Block = std::array<double, 256>;

// Calls block(numbers, begin, count) for the first array's elements, some at a time, and asks
// whether to stop in between.
template <typename Block>
void for_each_block(const Layout& layout, Block block) {
  Float64Block numbers;
  for (std::size_t begin = 0; begin < layout.size; begin += numbers.size()) {
    const std::size_t count = std::min(numbers.size(), layout.size - begin);
    gather(layout, 0, begin, count, numbers.data());
    block(numbers.data(), begin, count);
    Questions::ask_if_due(kBlockNanoseconds);
  }
}

inline double largest_magnitude(const Layout& layout) {
  double largest = 0;
  for_each_block(layout, [&](const double* x, std::size_t, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) largest = std::max(largest, std::abs(x[i]));
  });
  return largest;
}

}  // namespace taut

#endif  // TAUT_PLANS_FLOAT64_BLOCKS_HPP_
