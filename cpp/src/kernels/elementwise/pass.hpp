// L1, L2 and both: the sums of |x| and x², and their slopes, in one pass over contiguous memory.
//
// Element i of a block goes to lane i mod 32 whatever the width of the hardware's vectors; lanes
// are added in a fixed tree, blocks one after the other. So every level gives the same bits.

#ifndef TAUT_KERNELS_ELEMENTWISE_PASS_HPP_
#define TAUT_KERNELS_ELEMENTWISE_PASS_HPP_

#include <type_traits>

#include "kernels/elementwise/half_slope.hpp"
#include "kernels/kernels.hpp"
#include "kernels/lanes.hpp"
#include "kernels/storage.hpp"

namespace taut::TAUT_LEVEL {
namespace {

constexpr std::size_t kSumLanes = kElementwiseLanes;
using SumLanes = Lanes<kSumLanes>;
constexpr std::size_t kParts = SumLanes::kParts;  // vectors that make up the lanes

// sign(x) * slope, with sign(0) = 0 and sign(NaN) = NaN.
[[gnu::always_inline]] inline Doubles signed_slope(Doubles x, double slope) {
  const Int64s sign = (Int64s)x & kSignBit64;
  const Int64s nonzero = (Int64s)(x != 0);
  const Doubles value = (Doubles)((sign ^ (Int64s)broadcast<Doubles>(slope)) & nonzero);
  const Int64s is_nan = (Int64s)(x != x);
  return (Doubles)((is_nan & (Int64s)x) | (~is_nan & (Int64s)value));
}

// The lanes of the sums that are wanted, of numbers that are stored as T.
template <typename T, unsigned kTerms>
struct TermLanes {
  SumLanes absolute_lanes;
  SumLanes square_lanes;

  // The numbers of the vectors `part` and `part` + 1.
  [[gnu::always_inline]] void add(DoublePair values, std::size_t part) {
    add(values.first, part);
    add(values.second, part + 1);
  }

  [[gnu::always_inline]] void add_to(ElementwiseSums& sums) const {
    if constexpr (kTerms & kAbsolute) sums.absolute += absolute_lanes.sum();
    if constexpr (kTerms & kSquare) sums.square += square_lanes.sum();
  }

 private:
  [[gnu::always_inline]] void add(Doubles value, std::size_t part) {
    if constexpr (kTerms & kAbsolute) absolute_lanes.parts[part] += absolute(value);
    if constexpr (kTerms & kSquare) {
      // The square of anything shorter than float64 is exact, so that a fused addition rounds as a
      // separate one does.
      Doubles& square = square_lanes.parts[part];
      square =
          sizeof(T) < sizeof(double) ? multiply_add(value, value, square) : square + value * value;
    }
  }
};

// What happens to kPair elements: operation(x, gradient, lanes, part). The loop below is the only
// one that knows about lengths and tails.

template <typename T, unsigned kTerms>
struct Sum {
  static constexpr bool kWrites = false;
  using Gradient = T;
  using Sums = TermLanes<T, kTerms>;

  [[gnu::always_inline]] void operator()(const T* x, Gradient*, Sums& sums,
                                         std::size_t part) const {
    sums.add(load_pair(x), part);
  }
};

template <unsigned kTerms>
[[gnu::always_inline]] inline Doubles slope_of(Doubles value, ElementwiseSlopes slopes) {
  if constexpr (kTerms == kBoth) {
    return value * slopes.linear + signed_slope(value, slopes.sign);
  } else if constexpr (kTerms == kSquare) {
    return value * slopes.linear;
  } else {
    return signed_slope(value, slopes.sign);
  }
}

// gradient (+)= the slopes of kPair elements.
template <typename G, unsigned kTerms, bool kAccumulate>
[[gnu::always_inline]] inline void write_slopes(DoublePair values, G* gradient,
                                                ElementwiseSlopes slopes) {
  DoublePair sum{slope_of<kTerms>(values.first, slopes), slope_of<kTerms>(values.second, slopes)};
  if constexpr (kAccumulate) {
    const DoublePair before = load_pair(gradient);
    sum.first += before.first;
    sum.second += before.second;
  }
  store_pair(gradient, sum);
}

// The same from memory, for where it is seldom needed: kept out of the loop.
template <typename T, unsigned kTerms, bool kAccumulate>
[[gnu::noinline]] void write_slopes_seldom(const T* x, T* gradient, ElementwiseSlopes slopes) {
  write_slopes<T, kTerms, kAccumulate>(load_pair(x), gradient, slopes);
}

template <typename T, typename G, unsigned kTerms, bool kAccumulate>
struct Slope {
  static constexpr bool kWrites = true;
  using Gradient = G;
  using Sums = TermLanes<T, kTerms>;

  ElementwiseSlopes slopes;

  explicit Slope(ElementwiseSlopes all) : slopes(all) {}

  [[gnu::always_inline]] void operator()(const T* x, Gradient* gradient, Sums& sums,
                                         std::size_t part) const {
    const DoublePair values = load_pair(x);
    sums.add(values, part);
    write_slopes<G, kTerms, kAccumulate>(values, gradient, slopes);
  }
};

// A half type's gradient of its own type; the bits are those of Slope.
template <typename T, unsigned kTerms, bool kAccumulate>
struct QuickSlope {
  static constexpr bool kWrites = true;
  using Gradient = T;
  using Sums = TermLanes<T, kTerms>;

  ElementwiseSlopes slopes;
  HalfSlope<T, kTerms, kAccumulate> half_slope;

  explicit QuickSlope(ElementwiseSlopes all) : slopes(all), half_slope(all) {}

  [[gnu::always_inline]] void operator()(const T* x, Gradient* gradient, Sums& sums,
                                         std::size_t part) const {
    const Floats numbers = widen(load<Halves>(x), T{});
    sums.add(to_doubles(numbers), part);
    Floats before{};
    if constexpr (kAccumulate) before = widen(load<Halves>(gradient), T{});
    Halves rounded;
    if (half_slope.round(numbers, before, rounded)) [[likely]] {
      store(gradient, rounded);
    } else {
      write_slopes_seldom<T, kTerms, kAccumulate>(x, gradient, slopes);
    }
  }
};

template <typename T, typename G, unsigned kTerms, bool kAccumulate>
struct SlopeOperation {
  using type = Slope<T, G, kTerms, kAccumulate>;
};
template <typename T, unsigned kTerms, bool kAccumulate>
  requires(HalfFormat<T>::kNarrowRounds)
struct SlopeOperation<T, T, kTerms, kAccumulate> {
  using type = QuickSlope<T, kTerms, kAccumulate>;
};

template <typename T>
struct Shrink {
  static constexpr bool kWrites = true;
  using Gradient = T;
  using Sums = TermLanes<T, 0>;

  ElementwiseShrinkage shrinkage;

  [[gnu::always_inline]] Doubles shrink(Doubles value) const {
    const Doubles left = absolute(value) - shrinkage.threshold;
    // A NaN is not moved, and stays one. What is moved to 0 is +0, and what is not moved keeps the
    // sign of its zero.
    const Int64s is_gone = (Int64s)(left <= 0) & (shrinkage.threshold > 0 ? -1 : 0);
    const Int64s sign = (Int64s)value & kSignBit64;
    return (Doubles)(~is_gone & ((Int64s)left | sign)) * shrinkage.factor;
  }

  [[gnu::always_inline]] void operator()(const T* x, T* to, Sums&, std::size_t) const {
    const DoublePair values = load_pair(x);
    store_pair(to, {shrink(values.first), shrink(values.second)});
  }
};

template <typename T>
[[gnu::always_inline]] inline T* skip(T* from, std::ptrdiff_t bytes) {
  using Byte = std::conditional_t<std::is_const_v<T>, const char, char>;
  return reinterpret_cast<T*>(reinterpret_cast<Byte*>(from) + bytes);
}

template <typename T, typename Operation>
[[gnu::always_inline]] inline ElementwiseSums run(const Operation& operation, const T* x,
                                                  typename Operation::Gradient* gradient,
                                                  std::size_t count, const ElementwiseRows& rows) {
  using G = typename Operation::Gradient;
  const auto run_lanes = [&](const T* from, G* to, typename Operation::Sums& lanes) {
    TAUT_UNROLL
    for (std::size_t part = 0; part < kParts; part += 2) {
      const std::size_t at = part * kDoubles;
      operation(from + at, Operation::kWrites ? to + at : nullptr, lanes, part);
    }
  };
  ElementwiseSums sums{0, 0};
  std::size_t left_in_row = rows.first;
  while (count > 0) {
    const std::size_t block = count < kElementwiseBlock ? count : kElementwiseBlock;
    const std::size_t tail = block % kSumLanes;
    typename Operation::Sums lanes;
    for (std::size_t left = block - tail; left > 0;) {
      const std::size_t length = left < left_in_row ? left : left_in_row;
      for (std::size_t i = 0; i < length; i += kSumLanes) {
        run_lanes(x + i, Operation::kWrites ? gradient + i : nullptr, lanes);
      }
      x += length;
      if constexpr (Operation::kWrites) gradient += length;
      left -= length;
      left_in_row -= length;
      if (left_in_row == 0) {
        x = skip(x, rows.x_gap);
        if constexpr (Operation::kWrites) gradient = skip(gradient, rows.gradient_gap);
        left_in_row = rows.length;
      }
    }
    if (tail > 0) {
      T x_tail[kSumLanes] = {};  // zeros add nothing to either sum
      G gradient_tail[kSumLanes] = {};
      __builtin_memcpy(x_tail, x, tail * sizeof(T));
      if constexpr (Operation::kWrites) __builtin_memcpy(gradient_tail, gradient, tail * sizeof(G));
      run_lanes(x_tail, gradient_tail, lanes);
      if constexpr (Operation::kWrites) __builtin_memcpy(gradient, gradient_tail, tail * sizeof(G));
      x += tail;
      if constexpr (Operation::kWrites) gradient += tail;
    }
    lanes.add_to(sums);
    count -= block;
  }
  return sums;
}

template <typename T, unsigned kTerms>
ElementwiseSums sum(const void* x, std::size_t count, const ElementwiseRows& rows) {
  return run<T>(Sum<T, kTerms>{}, static_cast<const T*>(x), nullptr, count, rows);
}

template <typename T, typename G, unsigned kTerms, bool kAccumulate>
ElementwiseSums write_slope(const void* x, void* gradient, std::size_t count,
                            ElementwiseSlopes slopes, const ElementwiseRows& rows) {
  const typename SlopeOperation<T, G, kTerms, kAccumulate>::type operation(slopes);
  return run<T>(operation, static_cast<const T*>(x), static_cast<G*>(gradient), count, rows);
}

template <typename T>
void shrink(void* x, std::size_t count, ElementwiseShrinkage shrinkage) {
  run<T>(Shrink<T>{shrinkage}, static_cast<const T*>(x), static_cast<T*>(x), count, kOneRow);
}

template <typename T>
constexpr ElementwiseKernel elementwise_kernel(const TowardsKernel& towards) {
  using G = typename WideGradient<T>::type;
  return {
      {sum<T, kAbsolute>, sum<T, kSquare>, sum<T, kBoth>},
      {write_slope<T, T, kAbsolute, true>, write_slope<T, T, kSquare, true>,
       write_slope<T, T, kBoth, true>},
      {write_slope<T, T, kAbsolute, false>, write_slope<T, T, kSquare, false>,
       write_slope<T, T, kBoth, false>},
      {write_slope<T, G, kAbsolute, true>, write_slope<T, G, kSquare, true>,
       write_slope<T, G, kBoth, true>},
      {write_slope<T, G, kAbsolute, false>, write_slope<T, G, kSquare, false>,
       write_slope<T, G, kBoth, false>},
      shrink<T>,
      towards,
  };
}

}  // namespace
}  // namespace taut::TAUT_LEVEL

#endif  // TAUT_KERNELS_ELEMENTWISE_PASS_HPP_
