// The ends of lines, which fill no vector.

#ifndef TAUT_KERNELS_GROUP_LASSO_TAILS_HPP_
#define TAUT_KERNELS_GROUP_LASSO_TAILS_HPP_

#include "kernels/elementwise/pass.hpp"

namespace taut::TAUT_LEVEL {
namespace {

// Lines end in windows of so many elements, at every level: a whole number of pairs.
constexpr std::size_t kWindow = 16;
static_assert(kWindow % kPair == 0 && 2 * kWindow == kSumLanes);
constexpr std::size_t kWindowParts = kWindow / kDoubles;

// Copies `count` elements, fewer than a window, by moves of sizes that the compiler knows.
template <typename T>
[[gnu::always_inline]] inline void copy_few(T* to, const T* from, std::size_t count) {
  if (count & 8) __builtin_memcpy(to, from, 8 * sizeof(T)), to += 8, from += 8;
  if (count & 4) __builtin_memcpy(to, from, 4 * sizeof(T)), to += 4, from += 4;
  if (count & 2) __builtin_memcpy(to, from, 2 * sizeof(T)), to += 2, from += 2;
  if (count & 1) __builtin_memcpy(to, from, sizeof(T));
}

// The last `count` of a window's numbers, from the vector `part` on, and zeros for the others.
[[gnu::always_inline]] inline Doubles last_of_window(Doubles x, std::size_t part,
                                                     std::size_t count) {
  Int64s lane;
  TAUT_UNROLL
  for (std::size_t i = 0; i < kDoubles; ++i)
    lane[i] = static_cast<std::int64_t>(part * kDoubles + i);
  return (Doubles)((Int64s)x & (Int64s)(lane >= static_cast<std::int64_t>(kWindow - count)));
}
[[gnu::always_inline]] inline DoublePair last_of_window(DoublePair x, std::size_t part,
                                                        std::size_t count) {
  return {last_of_window(x.first, part, count), last_of_window(x.second, part + 1, count)};
}

}  // namespace
}  // namespace taut::TAUT_LEVEL

#endif  // TAUT_KERNELS_GROUP_LASSO_TAILS_HPP_
