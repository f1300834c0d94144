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

  // Adds the second half to the first until one vector is left.
  [[gnu::always_inline]] Doubles folded() const {
    Lanes left = *this;
    TAUT_UNROLL
    for (std::size_t half = kParts / 2; half > 0; half /= 2) {
      TAUT_UNROLL
      for (std::size_t part = 0; part < half; ++part) left.parts[part] += left.parts[part + half];
    }
    return left.parts[0];
  }

  // Goes on with that until one lane is left.
  [[gnu::always_inline]] double sum() const {
    double sums[kDoubles];
    store(sums, folded());
    TAUT_UNROLL
    for (std::size_t width = kDoubles / 2; width > 0; width /= 2) {
      TAUT_UNROLL
      for (std::size_t lane = 0; lane < width; ++lane) sums[lane] += sums[lane + width];
    }
    return sums[0];
  }
};

// The first half of the lanes of both vectors, in turns of kWidth, plus the second halves.
template <std::size_t kWidth>
[[gnu::always_inline]] inline Doubles sum_halves(Doubles first, Doubles second) {
  Int64s low;
  TAUT_UNROLL
  for (std::size_t lane = 0; lane < kDoubles; ++lane) {
    const std::size_t turn = lane / kWidth;
    const std::size_t from = turn / 2 * 2 * kWidth + lane % kWidth + turn % 2 * kDoubles;
    low[lane] = static_cast<std::int64_t>(from);
  }
  return shuffle(first, second, low) +
         shuffle(first, second, low + static_cast<std::int64_t>(kWidth));
}

// What Lanes::sum makes of each of kDoubles vectors, all at once.
template <std::size_t kWidth = kDoubles / 2>
[[gnu::always_inline]] inline Doubles sums_of_each(Doubles (&vectors)[kDoubles]) {
  if constexpr (kWidth == 0) {
    return vectors[0];
  } else {
    TAUT_UNROLL
    for (std::size_t i = 0; i < kWidth; ++i) {
      vectors[i] = sum_halves<kWidth>(vectors[i], vectors[i + kWidth]);
    }
    return sums_of_each<kWidth / 2>(vectors);
  }
}

}  // namespace
}  // namespace taut::TAUT_LEVEL

#endif  // TAUT_KERNELS_LANES_HPP_
