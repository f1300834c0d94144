// Sums that are kept in a fixed number of float64 lanes, whatever the width of the hardware's
// vectors, and added in a fixed tree: so every level gives the same bits.

#ifndef TAUT_KERNELS_LANES_HPP_
#define TAUT_KERNELS_LANES_HPP_

#include "kernels/vectors.hpp"

namespace taut::TAUT_LEVEL {
namespace {

template <std::size_t kCount>
struct Lanes {
  static constexpr std::size_t kParts = kCount / kDoubles;
  Doubles parts[kParts];

  // Vector by vector: GCC would fill the whole with a loop over words.
  [[gnu::always_inline]] Lanes() {
    TAUT_UNROLL
    for (std::size_t part = 0; part < kParts; ++part) parts[part] = Doubles{};
  }

  // Adds the second half to the first until one is left; vector by vector while there are several.
  [[gnu::always_inline]] double sum() const {
    Lanes left = *this;
    TAUT_UNROLL
    for (std::size_t half = kParts / 2; half > 0; half /= 2) {
      TAUT_UNROLL
      for (std::size_t part = 0; part < half; ++part) left.parts[part] += left.parts[part + half];
    }
    double sums[kDoubles];
    __builtin_memcpy(sums, left.parts, sizeof(sums));
    TAUT_UNROLL
    for (std::size_t width = kDoubles / 2; width > 0; width /= 2) {
      TAUT_UNROLL
      for (std::size_t lane = 0; lane < width; ++lane) sums[lane] += sums[lane + width];
    }
    return sums[0];
  }
};

}  // namespace
}  // namespace taut::TAUT_LEVEL

#endif  // TAUT_KERNELS_LANES_HPP_
