// The sizes that depend on the level: how much of the Gram matrix stays in registers at once.

#ifndef TAUT_KERNELS_GRAM_SHAPE_HPP_
#define TAUT_KERNELS_GRAM_SHAPE_HPP_

#include "kernels/kernels.hpp"
#include "kernels/storage.hpp"

namespace taut::TAUT_LEVEL {
namespace {

constexpr std::size_t round_up(std::size_t number, std::size_t multiple) {
  return (number + multiple - 1) / multiple * multiple;
}

// The type in which dot products are computed: half types in float32.
template <typename Storage>
struct GramCompute {
  using type = float;
};
template <>
struct GramCompute<double> {
  using type = double;
};

template <typename Storage>
using ComputeOf = typename GramCompute<Storage>::type;

// Squares of such numbers, and sums of them, are far from the ends of float32's range.
constexpr double kSafeLargest = 0x1p32;
constexpr double kSafeSmallest = 0x1p-32;

// Where a type's numbers end below.
template <typename T>
struct GramRange;
template <>
struct GramRange<float> {
  static constexpr int kDigits = 24;
  static constexpr double kSmallestNormal = 0x1p-126;
  static constexpr double kSmallest = 0x1p-149;
};
template <>
struct GramRange<double> {
  static constexpr int kDigits = 53;
  static constexpr double kSmallestNormal = 0x1p-1022;
  static constexpr double kSmallest = 0x1p-1074;
};

// A register tile is kRows vectors by kColumns vectors: its accumulators, kColumns of the one side
// and one broadcast number of the other must fit the level's registers.
template <typename T>
struct GramShape {
#if defined(__AVX512F__)
  // 32 registers
  static constexpr std::size_t kRows = 8;
  static constexpr std::size_t kColumnVectors = 3;
#elif defined(__AVX__)
  // 16 registers
  static constexpr std::size_t kRows = 4;
  static constexpr std::size_t kColumnVectors = 3;
#elif defined(__aarch64__)
  // 32 registers
  static constexpr std::size_t kRows = 4;
  static constexpr std::size_t kColumnVectors = 4;
#else
  // 16 registers, and no fused multiply-add that would ask for more
  static constexpr std::size_t kRows = 4;
  static constexpr std::size_t kColumnVectors = 2;
#endif
  static constexpr std::size_t kColumns = kColumnVectors * kLanesOf<T>;
  // A panel's coordinates of one vector are a cache line.
  static constexpr std::size_t kPanel = 64 / sizeof(T);
  // The last group of columns is as wide as it has to be, in whole vectors and register rows.
  static constexpr std::size_t kVectorMultiple = kLanesOf<T> < kRows ? kRows : kLanesOf<T>;
  static_assert(kGramCoordinates % kPanel == 0 && kGramCoordinates % kLanesOf<T> == 0);
  static_assert(kGramSmallTile % kColumns == 0 && kColumns % kVectorMultiple == 0);
};

}  // namespace
}  // namespace taut::TAUT_LEVEL

#endif  // TAUT_KERNELS_GRAM_SHAPE_HPP_
