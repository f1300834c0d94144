// Lines whose elements belong to groups of their own: the lines are added one after the other.
//
// Lines are read as they lie in memory, and what comes next is fetched: sums and factors, which are
// in the cache, would else be held up by stores to memory whose addresses look like theirs (the
// last twelve bits do), and the processor does not foresee where a strip's next line is.

#ifndef TAUT_KERNELS_GROUP_LASSO_ACROSS_HPP_
#define TAUT_KERNELS_GROUP_LASSO_ACROSS_HPP_

#include "kernels/group_lasso/products.hpp"
#include "kernels/group_lasso/tails.hpp"

namespace taut::TAUT_LEVEL {
namespace {

// Short lines are added some at once, so that their sums are loaded and stored once for all of
// them.
constexpr std::size_t kShortLine = 4096;  // bytes
constexpr std::size_t kLinesAtOnce = 4;
constexpr std::size_t kFetchedAhead = 8192;  // bytes, or a line if that is shorter

// What is so far ahead of the elements from i on of a line: on the same line, or on the next or, if
// lines are shorter than that, on one some lines on.
class FetchAhead {
 public:
  template <typename T>
  FetchAhead(const T*, std::size_t length, std::ptrdiff_t stride, std::size_t lines_at_once = 1) {
    const std::size_t bytes = length * sizeof(T);
    if (bytes <= kFetchedAhead) {
      const std::size_t lines = kFetchedAhead / bytes;
      behind_ = static_cast<std::ptrdiff_t>(lines < lines_at_once ? lines_at_once : lines) * stride;
    } else {
      near_ = length - kFetchedAhead / sizeof(T);
      behind_ = stride - static_cast<std::ptrdiff_t>(near_ * sizeof(T));
    }
  }
  // For reading and, unless they are constant, writing.
  template <typename T>
  [[gnu::always_inline]] void fetch(T* line, std::size_t i) const {
    constexpr std::size_t kCacheLine = 64;
    const auto* ahead = skip(line + i, i < near_ ? std::ptrdiff_t{kFetchedAhead} : behind_);
    TAUT_UNROLL
    for (std::size_t at = 0; at < kPair * sizeof(T); at += kCacheLine) {
      __builtin_prefetch(skip(ahead, static_cast<std::ptrdiff_t>(at)), !std::is_const_v<T>);
    }
  }

 private:
  std::size_t near_ = 0;  // elements that have what is so far ahead on their line
  std::ptrdiff_t behind_;
};

template <typename T>
[[gnu::always_inline]] inline Doubles add_square(Doubles x, Doubles sum) {
  // As in TermLanes: where the square is exact, fusing changes no bit.
  return sizeof(T) < sizeof(double) ? multiply_add(x, x, sum) : sum + x * x;
}

// Adds the squares of kPair elements of some lines.
template <std::size_t kLines, typename T>
[[gnu::always_inline]] inline void add_squares(const T* x, std::ptrdiff_t stride, double* sums) {
  DoublePair sum = load_pair(sums);
  TAUT_UNROLL
  for (std::size_t line = 0; line < kLines; ++line) {
    const DoublePair values = load_pair(skip(x, static_cast<std::ptrdiff_t>(line) * stride));
    sum = {add_square<T>(values.first, sum.first), add_square<T>(values.second, sum.second)};
  }
  store_pair(sums, sum);
}

// Of as many lines at once as there are whole kLines; returns how many those are.
template <std::size_t kLines, bool kFetches, typename T>
[[gnu::always_inline]] inline std::size_t sum_lines_across(const GroupLines& lines, double* sums,
                                                           double* last_sums) {
  const std::size_t tail = lines.length % kPair;
  const std::size_t whole = lines.length - tail;
  const T* x = static_cast<const T*>(lines.x);
  const FetchAhead fetched(x, lines.length, lines.x_stride, kLines);
  std::size_t line = 0;
  for (; line + kLines <= lines.count; line += kLines) {
    for (std::size_t i = 0; i < whole; i += kPair) {
      TAUT_UNROLL
      for (std::size_t of = 0; kFetches && of < kLines; ++of) {
        fetched.fetch(skip(x, static_cast<std::ptrdiff_t>(of) * lines.x_stride), i);
      }
      add_squares<kLines>(x + i, lines.x_stride, sums + i);
    }
    for (std::size_t of = 0; of < kLines; ++of) {
      if (tail > 0) {
        T few[kWindow] = {};
        copy_few(few, x + whole, tail);
        add_squares<1>(few, 0, last_sums);
      }
      x = skip(x, lines.x_stride);
    }
  }
  return line;
}

template <bool kFetches, typename T>
[[gnu::always_inline]] inline void sum_all_across(const GroupLines& lines, double* sums) {
  const std::size_t tail = lines.length % kPair;
  const std::size_t whole = lines.length - tail;
  double last_sums[kWindow] = {};
  copy_few(last_sums, sums + whole, tail);
  GroupLines rest = lines;
  if (lines.length * sizeof(T) <= kShortLine || lines.length * sizeof(T) > 4 * kShortLine) {
    const std::size_t done = sum_lines_across<kLinesAtOnce, kFetches, T>(lines, sums, last_sums);
    rest.x =
        skip(static_cast<const T*>(lines.x), static_cast<std::ptrdiff_t>(done) * lines.x_stride);
    rest.count -= done;
  }
  sum_lines_across<1, kFetches, T>(rest, sums, last_sums);
  copy_few(sums + whole, last_sums, tail);
}

template <typename T>
void sum_across(const GroupLines& lines, double* sums) {
  if (lines.ahead != nullptr) {
    sum_all_across<true, T>(lines, sums);
  } else {
    sum_all_across<false, T>(lines, sums);
  }
}

template <bool kFetches, typename T, typename G, Writing kWriting>
[[gnu::always_inline]] inline void write_all_across(const GroupLines& lines,
                                                    const GroupTarget& target,
                                                    const double* factors) {
  const T* x = static_cast<const T*>(lines.x);
  G* to = static_cast<G*>(target.data);
  const FetchAhead x_fetched(x, lines.length, lines.x_stride);
  const FetchAhead to_fetched(to, lines.length, target.stride);
  const std::size_t tail = lines.length % kPair;
  const std::size_t whole = lines.length - tail;
  double last_factors[kWindow] = {};
  copy_few(last_factors, factors + whole, tail);
  for (std::size_t line = 0; line < lines.count; ++line) {
    for (std::size_t i = 0; i < whole; i += kPair) {
      if constexpr (kFetches && kWriting != Writing::kShrink) x_fetched.fetch(x, i);
      if constexpr (kFetches) to_fetched.fetch(to, i);
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

template <typename T, typename G, Writing kWriting>
void write_across(const GroupLines& lines, const GroupTarget& target, const double* factors) {
  if (lines.ahead != nullptr) {
    write_all_across<true, T, G, kWriting>(lines, target, factors);
  } else {
    write_all_across<false, T, G, kWriting>(lines, target, factors);
  }
}

}  // namespace
}  // namespace taut::TAUT_LEVEL

#endif  // TAUT_KERNELS_GROUP_LASSO_ACROSS_HPP_
