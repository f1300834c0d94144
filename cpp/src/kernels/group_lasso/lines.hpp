// Group lasso: sums of squares per group, and x times a number per group, over lines of elements
// that lie side by side.
//
// Along a line the squares go to the lanes of elementwise/pass.hpp; across lines each group has a
// sum of its own, to which the lines are added one after the other. Neither depends on the width of
// the hardware's vectors, so every level gives the same bits.

#ifndef TAUT_KERNELS_GROUP_LASSO_LINES_HPP_
#define TAUT_KERNELS_GROUP_LASSO_LINES_HPP_

#include "kernels/elementwise/pass.hpp"

namespace taut::TAUT_LEVEL {
namespace {

// Across lines, so many are taken at once: what belongs to their groups is then loaded once for all
// of them, and the processor has no more than that many places to fetch from.
constexpr std::size_t kLinesAtOnce = 4;

enum class Writing { kAccumulate, kAssign, kShrink };

// The first `count` of kPair numbers, and zeros for the others.
template <typename T>
[[gnu::always_inline]] inline DoublePair load_some(const T* from, std::size_t count) {
  if (count >= kPair) return load_pair(from);
  T padded[kPair] = {};
  __builtin_memcpy(padded, from, count * sizeof(T));
  return load_pair(padded);
}
template <typename T>
[[gnu::always_inline]] inline void store_some(T* to, DoublePair x, std::size_t count) {
  if (count >= kPair) return store_pair(to, x);
  T padded[kPair];
  store_pair(padded, x);
  __builtin_memcpy(to, padded, count * sizeof(T));
}

// ---- sums of squares ---------------------------------------------------------------------------

template <typename T>
[[gnu::always_inline]] inline double add_squares_along(const T* x, std::size_t length, double sum) {
  while (length > 0) {
    const std::size_t block = length < kElementwiseBlock ? length : kElementwiseBlock;
    const std::size_t tail = block % kSumLanes;
    TermLanes<T, kSquare> lanes;
    for (std::size_t i = 0; i < block - tail; i += kSumLanes) {
      TAUT_UNROLL
      for (std::size_t part = 0; part < kParts; part += 2) {
        lanes.add(load_pair(x + i + part * kDoubles), part);
      }
    }
    const T* rest = x + (block - tail);
    TAUT_UNROLL
    for (std::size_t part = 0; part < kParts; part += 2) {
      const std::size_t at = part * kDoubles;
      if (at < tail) lanes.add(load_some(rest + at, tail - at), part);
    }
    sum += lanes.square_lanes.sum();
    x += block;
    length -= block;
  }
  return sum;
}

template <typename T>
void sum_along(const GroupLines& lines, double* sums) {
  const T* x = static_cast<const T*>(lines.x);
  for (std::size_t line = 0; line < lines.count; ++line) {
    sums[line] = add_squares_along(x, lines.length, sums[line]);
    x = skip(x, lines.x_stride);
  }
}

template <typename T>
[[gnu::always_inline]] inline Doubles add_square(Doubles x, Doubles sum) {
  // As in TermLanes: where the square is exact, fusing changes no bit.
  return sizeof(T) < sizeof(double) ? multiply_add(x, x, sum) : sum + x * x;
}

template <std::size_t kLines, typename T>
[[gnu::always_inline]] inline void add_squares_across(const T* x, std::ptrdiff_t stride,
                                                      std::size_t length, double* sums) {
  const auto add = [&](std::size_t i, std::size_t count) __attribute__((always_inline)) {
    DoublePair sum = load_some(sums + i, count);
    TAUT_UNROLL
    for (std::size_t line = 0; line < kLines; ++line) {
      const T* from = skip(x + i, static_cast<std::ptrdiff_t>(line) * stride);
      const DoublePair values = load_some(from, count);
      sum = {add_square<T>(values.first, sum.first), add_square<T>(values.second, sum.second)};
    }
    store_some(sums + i, sum, count);
  };
  std::size_t i = 0;
  for (; i + kPair <= length; i += kPair) add(i, kPair);
  if (i < length) add(i, length - i);
}

template <typename T>
void sum_across(const GroupLines& lines, double* sums) {
  const T* x = static_cast<const T*>(lines.x);
  std::size_t left = lines.count;
  for (; left >= kLinesAtOnce; left -= kLinesAtOnce) {
    add_squares_across<kLinesAtOnce>(x, lines.x_stride, lines.length, sums);
    x = skip(x, kLinesAtOnce * lines.x_stride);
  }
  for (; left > 0; --left) {
    add_squares_across<1>(x, lines.x_stride, lines.length, sums);
    x = skip(x, lines.x_stride);
  }
}

// ---- x times a number --------------------------------------------------------------------------

template <Writing kWriting>
[[gnu::always_inline]] inline Doubles product_of(Doubles x, Doubles factor) {
  const Doubles product = x * factor;
  if constexpr (kWriting != Writing::kShrink) return product;
  return (Doubles)((Int64s)product & (Int64s)(factor != 0));  // what vanishes is +0
}

// kPair products, or the first `count` of them.
template <typename T, typename G, Writing kWriting>
[[gnu::always_inline]] inline void write_products(const T* x, G* to, DoublePair factors,
                                                  std::size_t count) {
  const DoublePair values = load_some(x, count);
  DoublePair products{product_of<kWriting>(values.first, factors.first),
                      product_of<kWriting>(values.second, factors.second)};
  if constexpr (kWriting == Writing::kAccumulate) {
    const DoublePair before = load_some(to, count);
    products.first += before.first;
    products.second += before.second;
  }
  store_some(to, products, count);
}

// The same by a factor that is many numbers' own.
template <typename T, typename G, Writing kWriting>
class ProductsAlong {
 public:
  explicit ProductsAlong(double factor)
      : factors_{broadcast<Doubles>(factor), broadcast<Doubles>(factor)} {}
  [[gnu::always_inline]] void write(const T* x, G* to, std::size_t count) const {
    write_products<T, G, kWriting>(x, to, factors_, count);
  }

 private:
  DoublePair factors_;
};

// A half type's gradient of its own type, in float32 where that is certain; the bits are those of
// float64. See elementwise/half_slope.hpp.
template <typename T, Writing kWriting>
  requires(HalfFormat<T>::kNarrowRounds && kWriting != Writing::kShrink)
class ProductsAlong<T, T, kWriting> {
 public:
  explicit ProductsAlong(double factor) : slopes_{0, factor}, half_slope_(slopes_) {}
  [[gnu::always_inline]] void write(const T* x, T* to, std::size_t count) const {
    constexpr bool kAccumulate = kWriting == Writing::kAccumulate;
    if (count >= kPair) {
      Floats before{};
      if constexpr (kAccumulate) before = widen(load<Halves>(to), T{});
      Halves rounded;
      if (half_slope_.round(widen(load<Halves>(x), T{}), before, rounded)) [[likely]] {
        return store(to, rounded);
      }
      return write_slopes_seldom<T, kSquare, kAccumulate>(x, to, slopes_);
    }
    const Doubles factor = broadcast<Doubles>(slopes_.linear);
    write_products<T, T, kWriting>(x, to, {factor, factor}, count);
  }

 private:
  ElementwiseSlopes slopes_;
  HalfSlope<T, kSquare, kWriting == Writing::kAccumulate> half_slope_;
};

template <typename T, typename G, Writing kWriting>
void write_along(const GroupLines& lines, const GroupTarget& target, const double* factors) {
  const T* x = static_cast<const T*>(lines.x);
  G* to = static_cast<G*>(target.data);
  for (std::size_t line = 0; line < lines.count; ++line) {
    const ProductsAlong<T, G, kWriting> products(factors[line]);
    std::size_t i = 0;
    for (; i + kSumLanes <= lines.length; i += kSumLanes) {
      TAUT_UNROLL
      for (std::size_t at = 0; at < kSumLanes; at += kPair) {
        products.write(x + i + at, to + i + at, kPair);
      }
    }
    for (; i + kPair <= lines.length; i += kPair) products.write(x + i, to + i, kPair);
    if (i < lines.length) products.write(x + i, to + i, lines.length - i);
    x = skip(x, lines.x_stride);
    to = skip(to, target.stride);
  }
}

template <typename T, typename G, Writing kWriting, std::size_t kLines>
[[gnu::always_inline]] inline void write_lines_across(const T* x, std::ptrdiff_t x_stride, G* to,
                                                      std::ptrdiff_t stride, std::size_t length,
                                                      const double* factors) {
  const auto write = [&](std::size_t i, std::size_t count) __attribute__((always_inline)) {
    const DoublePair own = load_some(factors + i, count);
    TAUT_UNROLL
    for (std::size_t line = 0; line < kLines; ++line) {
      const auto index = static_cast<std::ptrdiff_t>(line);
      write_products<T, G, kWriting>(skip(x + i, index * x_stride), skip(to + i, index * stride),
                                     own, count);
    }
  };
  std::size_t i = 0;
  for (; i + kPair <= length; i += kPair) write(i, kPair);
  if (i < length) write(i, length - i);
}

template <typename T, typename G, Writing kWriting>
void write_across(const GroupLines& lines, const GroupTarget& target, const double* factors) {
  const T* x = static_cast<const T*>(lines.x);
  G* to = static_cast<G*>(target.data);
  std::size_t left = lines.count;
  for (; left >= kLinesAtOnce; left -= kLinesAtOnce) {
    write_lines_across<T, G, kWriting, kLinesAtOnce>(x, lines.x_stride, to, target.stride,
                                                     lines.length, factors);
    x = skip(x, kLinesAtOnce * lines.x_stride);
    to = skip(to, kLinesAtOnce * target.stride);
  }
  for (; left > 0; --left) {
    write_lines_across<T, G, kWriting, 1>(x, lines.x_stride, to, target.stride, lines.length,
                                          factors);
    x = skip(x, lines.x_stride);
    to = skip(to, target.stride);
  }
}

template <typename T>
constexpr GroupLassoKernel group_lasso_kernel() {
  using G = typename WideGradient<T>::type;
  constexpr Writing kAccumulate = Writing::kAccumulate, kAssign = Writing::kAssign;
  return {
      .along = {sum_along<T>, write_along<T, T, kAccumulate>, write_along<T, T, kAssign>,
                write_along<T, G, kAccumulate>, write_along<T, G, kAssign>,
                write_along<T, T, Writing::kShrink>},
      .across = {sum_across<T>, write_across<T, T, kAccumulate>, write_across<T, T, kAssign>,
                 write_across<T, G, kAccumulate>, write_across<T, G, kAssign>,
                 write_across<T, T, Writing::kShrink>},
  };
}

}  // namespace
}  // namespace taut::TAUT_LEVEL

#endif  // TAUT_KERNELS_GROUP_LASSO_LINES_HPP_
