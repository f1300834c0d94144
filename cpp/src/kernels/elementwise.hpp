// L1, L2 and both: the sums of |x| and x², and their slopes, in one pass over contiguous memory.
//
// Element i of a block goes to lane i mod 16 whatever the width of the hardware's vectors; lanes
// are added in a fixed tree, blocks one after the other. So every level gives the same bits.

#ifndef TAUT_KERNELS_ELEMENTWISE_HPP_
#define TAUT_KERNELS_ELEMENTWISE_HPP_

#include "kernels/kernels.hpp"
#include "kernels/storage.hpp"

namespace taut::TAUT_LEVEL {
namespace {

constexpr std::size_t kSumLanes = 16;
constexpr std::size_t kParts = kSumLanes / kDoubles;  // vectors that make up the 16 lanes

struct SumLanes {
  Doubles parts[kParts];
};

[[gnu::always_inline]] inline double add_lanes(const SumLanes& lanes) {
  double sums[kSumLanes];
  __builtin_memcpy(sums, &lanes, sizeof(sums));
  TAUT_UNROLL
  for (std::size_t width = kSumLanes / 2; width > 0; width /= 2) {
    TAUT_UNROLL
    for (std::size_t lane = 0; lane < width; ++lane) sums[lane] += sums[lane + width];
  }
  return sums[0];
}

// sign(x) * slope, with sign(0) = 0 and sign(NaN) = NaN.
[[gnu::always_inline]] inline Doubles signed_slope(Doubles x, double slope) {
  const Int64s sign = (Int64s)x & kSignBit64;
  const Int64s nonzero = (Int64s)(x != 0);
  const Doubles value = (Doubles)((sign ^ (Int64s)broadcast<Doubles>(slope)) & nonzero);
  const Int64s is_nan = (Int64s)(x != x);
  return (Doubles)((is_nan & (Int64s)x) | (~is_nan & (Int64s)value));
}

// What happens to 16 elements; the loop below is the only one that knows about lengths and tails.
template <typename T, unsigned kTerms>
struct Sum {
  static constexpr bool kWrites = false;
  using Gradient = T;

  SumLanes absolute_lanes{};
  SumLanes square_lanes{};

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

  [[gnu::always_inline]] void operator()(const T* x, Gradient*) {
    TAUT_UNROLL
    for (std::size_t part = 0; part < kParts; part += 2) {
      const DoublePair values = load_pair(x + part * kDoubles);
      add(values.first, part);
      add(values.second, part + 1);
    }
  }
};

template <typename T, typename G, unsigned kTerms, bool kAccumulate>
struct Slope : Sum<T, kTerms> {
  static constexpr bool kWrites = true;
  using Gradient = G;

  ElementwiseSlopes slopes;

  [[gnu::always_inline]] Doubles slope(Doubles value) const {
    if constexpr (kTerms == kBoth) {
      return value * slopes.linear + signed_slope(value, slopes.sign);
    } else if constexpr (kTerms == kSquare) {
      return value * slopes.linear;
    } else {
      return signed_slope(value, slopes.sign);
    }
  }

  [[gnu::always_inline]] void operator()(const T* x, Gradient* gradient) {
    TAUT_UNROLL
    for (std::size_t part = 0; part < kParts; part += 2) {
      const DoublePair values = load_pair(x + part * kDoubles);
      this->add(values.first, part);
      this->add(values.second, part + 1);
      DoublePair sum{slope(values.first), slope(values.second)};
      if constexpr (kAccumulate) {
        const DoublePair before = load_pair(gradient + part * kDoubles);
        sum.first += before.first;
        sum.second += before.second;
      }
      store_pair(gradient + part * kDoubles, sum);
    }
  }
};

template <typename T>
struct Shrink : Sum<T, 0> {
  static constexpr bool kWrites = true;
  using Gradient = T;

  ElementwiseShrinkage shrinkage;

  [[gnu::always_inline]] Doubles shrink(Doubles value) const {
    const Doubles left = absolute(value) - shrinkage.threshold;
    // A NaN is not moved, and stays one. What is moved to 0 is +0, and what is not moved keeps the
    // sign of its zero.
    const Int64s is_gone = (Int64s)(left <= 0) & (shrinkage.threshold > 0 ? -1 : 0);
    const Int64s sign = (Int64s)value & kSignBit64;
    return (Doubles)(~is_gone & ((Int64s)left | sign)) * shrinkage.factor;
  }

  [[gnu::always_inline]] void operator()(const T* x, T* to) {
    TAUT_UNROLL
    for (std::size_t part = 0; part < kParts; part += 2) {
      const DoublePair values = load_pair(x + part * kDoubles);
      store_pair(to + part * kDoubles, {shrink(values.first), shrink(values.second)});
    }
  }
};

template <typename T, typename Operation>
[[gnu::always_inline]] inline ElementwiseSums run(Operation operation, const T* x,
                                                  typename Operation::Gradient* gradient,
                                                  std::size_t count) {
  using G = typename Operation::Gradient;
  ElementwiseSums sums{0, 0};
  while (count > 0) {
    const std::size_t block = count < kElementwiseBlock ? count : kElementwiseBlock;
    const std::size_t whole = block - block % kSumLanes;
    Operation lanes = operation;
    for (std::size_t i = 0; i < whole; i += kSumLanes) {
      lanes(x + i, Operation::kWrites ? gradient + i : nullptr);
    }
    if (const std::size_t tail = block - whole; tail > 0) {
      T x_tail[kSumLanes] = {};  // zeros add nothing to either sum
      G gradient_tail[kSumLanes] = {};
      __builtin_memcpy(x_tail, x + whole, tail * sizeof(T));
      if constexpr (Operation::kWrites) {
        __builtin_memcpy(gradient_tail, gradient + whole, tail * sizeof(G));
      }
      lanes(x_tail, gradient_tail);
      if constexpr (Operation::kWrites) {
        __builtin_memcpy(gradient + whole, gradient_tail, tail * sizeof(G));
      }
    }
    sums.absolute += add_lanes(lanes.absolute_lanes);
    sums.square += add_lanes(lanes.square_lanes);
    x += block;
    if constexpr (Operation::kWrites) gradient += block;
    count -= block;
  }
  return sums;
}

template <typename T, unsigned kTerms>
ElementwiseSums sum(const void* x, std::size_t count) {
  return run<T>(Sum<T, kTerms>{}, static_cast<const T*>(x), nullptr, count);
}

template <typename T, typename G, unsigned kTerms, bool kAccumulate>
ElementwiseSums write_slope(const void* x, void* gradient, std::size_t count,
                            ElementwiseSlopes slopes) {
  Slope<T, G, kTerms, kAccumulate> operation{};
  operation.slopes = slopes;
  return run<T>(operation, static_cast<const T*>(x), static_cast<G*>(gradient), count);
}

template <typename T>
void shrink(void* x, std::size_t count, ElementwiseShrinkage shrinkage) {
  Shrink<T> operation{};
  operation.shrinkage = shrinkage;
  run<T>(operation, static_cast<const T*>(x), static_cast<T*>(x), count);
}

template <typename T>
constexpr ElementwiseKernel elementwise_kernel() {
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
  };
}

}  // namespace
}  // namespace taut::TAUT_LEVEL

#endif  // TAUT_KERNELS_ELEMENTWISE_HPP_
