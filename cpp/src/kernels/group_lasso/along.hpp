// Lines that are groups, or parts of them.

#ifndef TAUT_KERNELS_GROUP_LASSO_ALONG_HPP_
#define TAUT_KERNELS_GROUP_LASSO_ALONG_HPP_

#include "kernels/elementwise/half_slope.hpp"
#include "kernels/group_lasso/products.hpp"
#include "kernels/group_lasso/short.hpp"
#include "kernels/group_lasso/tails.hpp"

namespace taut::TAUT_LEVEL {
namespace {

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

// The lanes of Σx² of at most kElementwiseBlock elements.
template <typename T>
[[gnu::always_inline]] inline SumLanes squares_of_block(const T* x, std::size_t length,
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
    return lanes.square_lanes;
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
  return lanes.square_lanes;
}

template <typename T>
void sum_along(const GroupLines& lines, double* sums) {
  if (is_short<T>(lines)) return sum_short<T>(lines, sums);
  const T* x = static_cast<const T*>(lines.x);
  const char* ahead = static_cast<const char*>(lines.ahead);
  const auto next_line = [&]() __attribute__((always_inline)) {
    x = skip(x, lines.x_stride);
    if (ahead != nullptr) ahead += lines.ahead_stride;
  };
  std::size_t line = 0;
  if (lines.length <= kElementwiseBlock) {
    for (; line + kDoubles <= lines.count; line += kDoubles) {
      Doubles folded[kDoubles];
      for (std::size_t i = 0; i < kDoubles; ++i) {
        folded[i] = squares_of_block(x, lines.length, ahead).folded();
        next_line();
      }
      store(sums + line, load<Doubles>(sums + line) + sums_of_each(folded));
    }
  }
  for (; line < lines.count; ++line) {
    double sum = sums[line];
    for (std::size_t i = 0; i < lines.length; i += kElementwiseBlock) {
      const std::size_t left = lines.length - i;
      sum += squares_of_block(x + i, left < kElementwiseBlock ? left : kElementwiseBlock,
                              ahead == nullptr ? nullptr : ahead + i * sizeof(T))
                 .sum();
    }
    sums[line] = sum;
    next_line();
  }
}

// kPair products of one group.
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
  if (is_short<T>(lines) && are_dense<G>(lines, target.stride)) {
    return write_short<T, G, kWriting>(lines, target, factors);
  }
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

}  // namespace
}  // namespace taut::TAUT_LEVEL

#endif  // TAUT_KERNELS_GROUP_LASSO_ALONG_HPP_
