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

// Across lines, the squares of so many are added at once: their sums are then loaded and stored
// once for all of them, and the processor has no more than that many places to fetch from.
constexpr std::size_t kLinesAtOnce = 4;

enum class Writing { kAccumulate, kAssign, kShrink };

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
  if (count & 1) *to = *from;
}

// ---- sums of squares ---------------------------------------------------------------------------

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

// Fetches what belongs to the elements from `i` on of a line, kSumLanes of them.
template <typename T>
[[gnu::always_inline]] inline void fetch(const char* ahead, std::size_t i) {
  constexpr std::size_t kCacheLine = 64;
  if (ahead == nullptr) return;
  TAUT_UNROLL
  for (std::size_t at = 0; at < kSumLanes * sizeof(T); at += kCacheLine) {
    __builtin_prefetch(ahead + i * sizeof(T) + at);
  }
}

// Σx² of at most kElementwiseBlock elements.
template <typename T>
[[gnu::always_inline]] inline double squares_of_block(const T* x, std::size_t length,
                                                      const char* ahead) {
  TermLanes<T, kSquare> lanes;
  const std::size_t tail = length % kWindow;
  if (length < kWindow) {
    T few[kWindow] = {};
    copy_few(few, x, length);
    TAUT_UNROLL
    for (std::size_t part = 0; part < kWindowParts; part += 2) {
      lanes.add(load_pair(few + part * kDoubles), part);
    }
    return lanes.square_lanes.sum();
  }
  std::size_t i = 0;
  for (; i + kSumLanes <= length; i += kSumLanes) {
    fetch<T>(ahead, i);
    TAUT_UNROLL
    for (std::size_t part = 0; part < kParts; part += 2) {
      lanes.add(load_pair(x + i + part * kDoubles), part);
    }
  }
  if (i + kWindow <= length) {
    TAUT_UNROLL
    for (std::size_t part = 0; part < kWindowParts; part += 2) {
      lanes.add(load_pair(x + i + part * kDoubles), part);
    }
  }
  if (tail > 0) {
    TAUT_UNROLL
    for (std::size_t part = 0; part < kWindowParts; part += 2) {
      const DoublePair values = load_pair(x + (length - kWindow) + part * kDoubles);
      lanes.add(last_of_window(values, part, tail), kWindowParts + part);
    }
  }
  return lanes.square_lanes.sum();
}

template <typename T>
void sum_along(const GroupLines& lines, double* sums) {
  const T* x = static_cast<const T*>(lines.x);
  const char* ahead = static_cast<const char*>(lines.ahead);
  for (std::size_t line = 0; line < lines.count; ++line) {
    double sum = sums[line];
    for (std::size_t i = 0; i < lines.length; i += kElementwiseBlock) {
      const std::size_t left = lines.length - i;
      sum += squares_of_block(x + i, left < kElementwiseBlock ? left : kElementwiseBlock,
                              ahead == nullptr ? nullptr : ahead + i * sizeof(T));
    }
    sums[line] = sum;
    x = skip(x, lines.x_stride);
    if (ahead != nullptr) ahead += lines.ahead_stride;
  }
}

template <typename T>
[[gnu::always_inline]] inline Doubles add_square(Doubles x, Doubles sum) {
  // As in TermLanes: where the square is exact, fusing changes no bit.
  return sizeof(T) < sizeof(double) ? multiply_add(x, x, sum) : sum + x * x;
}

// Of lines that have a window or more.
template <std::size_t kLines, typename T>
[[gnu::always_inline]] inline void add_squares_across(const T* x, std::ptrdiff_t stride,
                                                      std::size_t length, double* sums) {
  const auto add = [&](std::size_t i, auto numbers_of) __attribute__((always_inline)) {
    DoublePair sum = load_pair(sums + i);
    TAUT_UNROLL
    for (std::size_t line = 0; line < kLines; ++line) {
      const T* from = skip(x + i, static_cast<std::ptrdiff_t>(line) * stride);
      const DoublePair values = numbers_of(load_pair(from));
      sum = {add_square<T>(values.first, sum.first), add_square<T>(values.second, sum.second)};
    }
    store_pair(sums + i, sum);
  };
  for (std::size_t i = 0; i + kPair <= length; i += kPair) {
    add(i, [](DoublePair numbers) __attribute__((always_inline)) { return numbers; });
  }
  const std::size_t tail = length % kPair;
  if (tail == 0) return;
  // Zeros are added to the sums that are complete.
  add(length - kPair, [&](DoublePair numbers) __attribute__((always_inline)) {
    return last_of_window(numbers, kWindowParts - 2, tail);
  });
}

template <typename T>
void sum_across(const GroupLines& lines, double* sums) {
  const T* x = static_cast<const T*>(lines.x);
  if (lines.length < kWindow) {
    for (std::size_t line = 0; line < lines.count; ++line) {
      T few[kWindow] = {};
      double few_sums[kWindow] = {};
      copy_few(few, x, lines.length);
      copy_few(few_sums, sums, lines.length);
      add_squares_across<1>(few, 0, kWindow, few_sums);
      copy_few(sums, few_sums, lines.length);
      x = skip(x, lines.x_stride);
    }
    return;
  }
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

// a + b, as a fused multiplication by 1 where there is one: conversions, of which there are many,
// go where additions would, on AMD's processors, while what multiplies has time.
[[gnu::always_inline]] inline Doubles sum_of(Doubles a, Doubles b) {
  Doubles one = broadcast<Doubles>(1.0);
  keep_in_register(one);  // the compiler would make an addition of it
  return multiply_add(a, one, b);
}

// kPair products, added to what is there if they accumulate.
template <typename T, typename G, Writing kWriting>
[[gnu::always_inline]] inline DoublePair products_of(const T* x, const G* to, DoublePair factors) {
  const DoublePair values = load_pair(x);
  DoublePair products{product_of<kWriting>(values.first, factors.first),
                      product_of<kWriting>(values.second, factors.second)};
  if constexpr (kWriting == Writing::kAccumulate) {
    const DoublePair before = load_pair(to);
    products = {sum_of(products.first, before.first), sum_of(products.second, before.second)};
  }
  return products;
}

// The same where the factor is that of many numbers.
template <typename T, typename G, Writing kWriting>
class ProductsAlong {
 public:
  explicit ProductsAlong(double factor)
      : factors_{broadcast<Doubles>(factor), broadcast<Doubles>(factor)} {}
  [[gnu::always_inline]] void write(const T* x, G* to) const {
    store_pair(to, products_of<T, G, kWriting>(x, to, factors_));
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
  [[gnu::always_inline]] void write(const T* x, T* to) const {
    constexpr bool kAccumulate = kWriting == Writing::kAccumulate;
    Floats before{};
    if constexpr (kAccumulate) before = widen(load<Halves>(to), T{});
    Halves rounded;
    if (half_slope_.round(widen(load<Halves>(x), T{}), before, rounded)) [[likely]] {
      store(to, rounded);
    } else {
      write_slopes_seldom<T, kSquare, kAccumulate>(x, to, slopes_);
    }
  }

 private:
  ElementwiseSlopes slopes_;
  HalfSlope<T, kSquare, kWriting == Writing::kAccumulate> half_slope_;
};

template <typename T, typename G, Writing kWriting>
void write_along(const GroupLines& lines, const GroupTarget& target, const double* factors) {
  const T* x = static_cast<const T*>(lines.x);
  G* to = static_cast<G*>(target.data);
  const char* ahead = static_cast<const char*>(lines.ahead);
  const std::size_t tail = lines.length % kPair;
  for (std::size_t line = 0; line < lines.count; ++line) {
    const ProductsAlong<T, G, kWriting> products(factors[line]);
    std::size_t i = 0;
    for (; i + kSumLanes <= lines.length; i += kSumLanes) {
      fetch<T>(ahead, i);
      TAUT_UNROLL
      for (std::size_t at = 0; at < kSumLanes; at += kPair) products.write(x + i + at, to + i + at);
    }
    for (; i + kPair <= lines.length; i += kPair) products.write(x + i, to + i);
    if (tail > 0) {
      T few[kWindow] = {};
      G few_products[kWindow] = {};
      copy_few(few, x + i, tail);
      copy_few(few_products, to + i, tail);
      products.write(few, few_products);
      copy_few(to + i, few_products, tail);
    }
    x = skip(x, lines.x_stride);
    to = skip(to, target.stride);
    if (ahead != nullptr) ahead += lines.ahead_stride;
  }
}

// Stores that wait for memory hold up the loads of factors whose addresses look like theirs (the
// last twelve bits do), so that where they go is fetched so many bytes before: a fourth of the
// time.
constexpr std::ptrdiff_t kFetchedAhead = 4096;

// A line at a time: of several, whose gradients are to be fetched, the processor foresees less.
template <typename T, typename G, Writing kWriting>
void write_across(const GroupLines& lines, const GroupTarget& target, const double* factors) {
  const T* x = static_cast<const T*>(lines.x);
  G* to = static_cast<G*>(target.data);
  const std::size_t tail = lines.length % kPair;
  const std::size_t whole = lines.length - tail;
  double last_factors[kWindow] = {};
  copy_few(last_factors, factors + whole, tail);
  for (std::size_t line = 0; line < lines.count; ++line) {
    for (std::size_t i = 0; i < whole; i += kPair) {
      if (lines.ahead != nullptr) {
        __builtin_prefetch(skip(x + i, kFetchedAhead));
        __builtin_prefetch(skip(to + i, kFetchedAhead), 1);
      }
      store_pair(to + i, products_of<T, G, kWriting>(x + i, to + i, load_pair(factors + i)));
    }
    if (tail > 0) {
      T few[kWindow] = {};
      G few_products[kWindow] = {};
      copy_few(few, x + whole, tail);
      copy_few(few_products, to + whole, tail);
      store_pair(few_products,
                 products_of<T, G, kWriting>(few, few_products, load_pair(last_factors)));
      copy_few(to + whole, few_products, tail);
    }
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
