// Groups of few elements, one behind the other: many at a time.
//
// The sums have the lanes and the tree of longer groups; most lanes are empty here.

#ifndef TAUT_KERNELS_GROUP_LASSO_SHORT_HPP_
#define TAUT_KERNELS_GROUP_LASSO_SHORT_HPP_

#include "kernels/group_lasso/products.hpp"
#include "kernels/group_lasso/tails.hpp"

namespace taut::TAUT_LEVEL {
namespace {

// Elements that are taken at once, on the stack, with what is read and written behind them.
constexpr std::size_t kShortBlock = 320;

// Whether lines of elements of type T follow one another without gaps.
template <typename T>
[[gnu::always_inline]] inline bool are_dense(const GroupLines& lines, std::ptrdiff_t stride) {
  return stride == static_cast<std::ptrdiff_t>(lines.length * sizeof(T));
}

template <typename T>
[[gnu::always_inline]] inline bool is_short(const GroupLines& lines) {
  return lines.length < kSumLanes && are_dense<T>(lines, lines.x_stride);
}

// Groups at once: whole pairs of elements, but for the longest, and whole vectors of sums.
[[gnu::always_inline]] inline std::size_t short_groups(std::size_t length) {
  const std::size_t groups = kShortBlock / length / kPair * kPair;
  return groups > 0 ? groups : kDoubles;
}

// Calls work(i, few) for each pair of `count` elements, where `few` is how many are left of them,
// or 0 if they are there all.
template <typename Work>
[[gnu::always_inline]] inline void for_each_pair(std::size_t count, Work work) {
  std::size_t i = 0;
  for (; i + kPair <= count; i += kPair) work(i, std::size_t{0});
  if (i < count) work(i, count - i);
}

// The lanes of a group, of which only the first kLanes are used.
template <std::size_t kLanes>
[[gnu::always_inline]] inline Doubles folded_group(const double* squares,
                                                   const Int64s (&is_within)[kLanes / kDoubles]) {
  Lanes<kLanes> lanes;
  TAUT_UNROLL
  for (std::size_t part = 0; part < kLanes / kDoubles; ++part) {
    const Doubles numbers = load<Doubles>(squares + part * kDoubles);
    lanes.parts[part] = (Doubles)((Int64s)numbers & is_within[part]);
  }
  return lanes.folded();
}

template <typename T, std::size_t kLanes>
void sum_short_in(const GroupLines& lines, double* sums) {
  Int64s is_within[kLanes / kDoubles];
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    is_within[lane / kDoubles][lane % kDoubles] = lane < lines.length ? -1 : 0;
  }
  double squares[kShortBlock + kSumLanes] = {};
  const T* x = static_cast<const T*>(lines.x);
  const std::size_t at_once = short_groups(lines.length);
  for (std::size_t line = 0; line < lines.count; line += at_once) {
    const std::size_t groups = lines.count - line < at_once ? lines.count - line : at_once;
    for_each_pair(
        groups * lines.length, [&](std::size_t i, std::size_t few) __attribute__((always_inline)) {
          DoublePair numbers;
          if (few == 0) {
            numbers = load_pair(x + i);
          } else {
            T last[kWindow] = {};
            copy_few(last, x + i, few);
            numbers = load_pair(last);
          }
          store_pair(squares + i, {numbers.first * numbers.first, numbers.second * numbers.second});
        });
    for (std::size_t group = 0; group < groups; group += kDoubles) {
      Doubles folded[kDoubles];
      TAUT_UNROLL
      for (std::size_t i = 0; i < kDoubles; ++i) {
        folded[i] = folded_group<kLanes>(squares + (group + i) * lines.length, is_within);
      }
      const Doubles of_each = sums_of_each(folded);
      double* to = sums + line + group;
      if (group + kDoubles <= groups) {
        store(to, load<Doubles>(to) + of_each);
      } else {
        for (std::size_t i = 0; group + i < groups; ++i) to[i] += of_each[i];
      }
    }
    x += groups * lines.length;
  }
}

template <typename T>
void sum_short(const GroupLines& lines, double* sums) {
  if (lines.length <= 8) return sum_short_in<T, 8>(lines, sums);
  if (lines.length <= 16) return sum_short_in<T, 16>(lines, sums);
  return sum_short_in<T, kSumLanes>(lines, sums);
}

template <typename T, typename G, Writing kWriting>
void write_short(const GroupLines& lines, const GroupTarget& target, const double* factors) {
  double spread[kShortBlock + kSumLanes];  // each element's factor
  const T* x = static_cast<const T*>(lines.x);
  G* to = static_cast<G*>(target.data);
  const std::size_t at_once = short_groups(lines.length);
  for (std::size_t line = 0; line < lines.count; line += at_once) {
    const std::size_t groups = lines.count - line < at_once ? lines.count - line : at_once;
    for (std::size_t group = 0; group < groups; ++group) {  // what is too much is overwritten
      const Doubles factor = broadcast<Doubles>(factors[line + group]);
      for (std::size_t i = 0; i < lines.length; i += kDoubles) {
        store(spread + group * lines.length + i, factor);
      }
    }
    for_each_pair(
        groups * lines.length, [&](std::size_t i, std::size_t few) __attribute__((always_inline)) {
          const DoublePair own = load_pair(spread + i);
          if (few == 0) {
            store_pair(to + i, products_of<T, G, kWriting>(x + i, to + i, own));
          } else {
            T last[kWindow] = {};
            G last_products[kWindow] = {};
            copy_few(last, x + i, few);
            copy_few(last_products, to + i, few);
            store_pair(last_products, products_of<T, G, kWriting>(last, last_products, own));
            copy_few(to + i, last_products, few);
          }
        });
    x += groups * lines.length;
    to += groups * lines.length;
  }
}

}  // namespace
}  // namespace taut::TAUT_LEVEL

#endif  // TAUT_KERNELS_GROUP_LASSO_SHORT_HPP_
