// The same towards a reference: of d = x - reference in place of x, each element times its
// importance, in one pass over all the arrays.
//
// What is computed of an element is in an order in which a reference of 0 and an importance of 1
// change no bit; so an array that is not there is one that holds these, and stands still.

#ifndef TAUT_KERNELS_ELEMENTWISE_TOWARDS_HPP_
#define TAUT_KERNELS_ELEMENTWISE_TOWARDS_HPP_

#include "kernels/elementwise/pass.hpp"

namespace taut::TAUT_LEVEL {
namespace {

// A reference and an importance, which a pass walks along with x.
template <typename T>
class Sides {
 public:
  struct Tail;

  explicit Sides(const ElementwiseSides& sides)
      : Sides(side_of(sides.reference), side_of(sides.importance)) {}

  [[gnu::always_inline]] DoublePair reference() const { return load_pair(reference_.at); }
  [[gnu::always_inline]] DoublePair importance() const { return load_pair(importance_.at); }

  // Those of the elements from the index on.
  [[gnu::always_inline]] Sides from(std::size_t index) const {
    Sides sides = *this;
    sides.pass(index);
    return sides;
  }
  [[gnu::always_inline]] void pass(std::size_t elements) {
    reference_.at += elements & reference_.moves;
    importance_.at += elements & importance_.moves;
  }
  [[gnu::always_inline]] void pass_gap() {
    reference_.at = skip(reference_.at, reference_.gap);
    importance_.at = skip(importance_.at, importance_.gap);
  }

 private:
  struct Side {
    const T* at;
    std::size_t moves;  // no bit of a constant, else all
    std::ptrdiff_t gap;
  };
  static Side side_of(const ElementwiseSide& side) {
    return {static_cast<const T*>(side.data), side.is_constant ? 0 : ~std::size_t{0}, side.gap};
  }

  Sides(Side reference, Side importance) : reference_(reference), importance_(importance) {}

  Side reference_;
  Side importance_;
};

// The last elements, with zeros behind them, which add nothing.
template <typename T>
struct Sides<T>::Tail {
  Sides copy(const Sides& from, std::size_t elements) {
    __builtin_memset(reference, 0, sizeof(reference));
    __builtin_memset(importance, 0, sizeof(importance));
    __builtin_memcpy(reference, from.reference_.at, elements * sizeof(T));
    __builtin_memcpy(importance, from.importance_.at, elements * sizeof(T));
    return {Side{reference, ~std::size_t{0}, 0}, Side{importance, ~std::size_t{0}, 0}};
  }

  T reference[kSumLanes];
  T importance[kSumLanes];
};

// The lanes of the sums that are wanted, of importance * |d| and importance * d².
template <unsigned kTerms>
struct WeightedLanes {
  SumLanes absolute_lanes;
  SumLanes square_lanes;

  [[gnu::always_inline]] void add(Doubles difference, Doubles importance, std::size_t part) {
    if constexpr (kTerms & kAbsolute) {
      absolute_lanes.parts[part] += importance * absolute(difference);
    }
    if constexpr (kTerms & kSquare) {
      // In this order an importance of 0 is 0 whatever the square would be.
      square_lanes.parts[part] += importance * difference * difference;
    }
  }

  [[gnu::always_inline]] void add_to(ElementwiseSums& sums) const {
    if constexpr (kTerms & kAbsolute) sums.absolute += absolute_lanes.sum();
    if constexpr (kTerms & kSquare) sums.square += square_lanes.sum();
  }
};

template <typename T, unsigned kTerms>
struct TowardsSum {
  static constexpr bool kWrites = false;
  using Gradient = T;
  using Sums = WeightedLanes<kTerms>;

  [[gnu::always_inline]] void operator()(const T* x, Gradient*, Sums& sums, std::size_t part,
                                         const Sides<T>& sides) const {
    const DoublePair values = load_pair(x);
    const DoublePair reference = sides.reference();
    const DoublePair importance = sides.importance();
    sums.add(values.first - reference.first, importance.first, part);
    sums.add(values.second - reference.second, importance.second, part + 1);
  }
};

template <unsigned kTerms>
[[gnu::always_inline]] inline Doubles weighted_slope_of(Doubles difference, Doubles importance,
                                                        ElementwiseSlopes slopes) {
  if constexpr (kTerms == kBoth) {
    return importance * difference * slopes.linear +
           importance * signed_slope(difference, slopes.sign);
  } else if constexpr (kTerms == kSquare) {
    return importance * difference * slopes.linear;
  } else {
    return importance * signed_slope(difference, slopes.sign);
  }
}

// Adds to the gradient, or overwrites it, which costs a kernel of its own more code than it saves
// time: memory that is written is read by the processor anyway.
template <typename T, typename G, unsigned kTerms>
struct TowardsSlope {
  static constexpr bool kWrites = true;
  using Gradient = G;
  using Sums = WeightedLanes<kTerms>;

  ElementwiseSlopes slopes;
  bool accumulates;

  [[gnu::always_inline]] void operator()(const T* x, Gradient* gradient, Sums& sums,
                                         std::size_t part, const Sides<T>& sides) const {
    const DoublePair values = load_pair(x);
    const DoublePair reference = sides.reference();
    const DoublePair importance = sides.importance();
    const DoublePair before = load_pair(gradient);
    const DoublePair difference{values.first - reference.first, values.second - reference.second};
    sums.add(difference.first, importance.first, part);
    sums.add(difference.second, importance.second, part + 1);
    store_pair(gradient,
               {start(before.first) +
                    weighted_slope_of<kTerms>(difference.first, importance.first, slopes),
                start(before.second) +
                    weighted_slope_of<kTerms>(difference.second, importance.second, slopes)});
  }

 private:
  // What the slope is added to: -0 changes no number, not even a zero.
  [[gnu::always_inline]] Doubles start(Doubles before) const {
    const std::int64_t kept = accumulates ? -1 : 0;
    return (Doubles)(((Int64s)before & kept) | (kSignBit64 & ~kept));
  }
};

template <typename T, typename G>
struct Attract {
  static constexpr bool kWrites = true;
  using Gradient = G;
  using Sums = WeightedLanes<0>;

  ElementwiseAttraction attraction;
  bool is_weighted;
  double constant_factor;  // where it is not

  Attract(ElementwiseAttraction all, bool weighted)
      : attraction(all), is_weighted(weighted), constant_factor(1 / (1 + all.growth)) {}

  // By how much elements move, and what is left of the way.
  struct Pull {
    Doubles threshold;
    Doubles factor;
  };
  [[gnu::always_inline]] Pull pull_of(Doubles importance) const {
    // The same for all elements: a division that is not needed would take most of the time. And
    // what is not asked for is skipped, NaN or not.
    if (!is_weighted) {
      return {broadcast<Doubles>(attraction.threshold), broadcast<Doubles>(constant_factor)};
    }
    Pull pull{Doubles{}, broadcast<Doubles>(1.0)};
    if (attraction.threshold != 0) pull.threshold = importance * attraction.threshold;
    if (attraction.growth != 0) pull.factor = 1 / (1 + importance * attraction.growth);
    return pull;
  }

  [[gnu::always_inline]] Doubles attract(Doubles x, Doubles reference, Doubles importance) const {
    const auto [threshold, factor] = pull_of(importance);
    const Doubles difference = x - reference;
    const Int64s sign = (Int64s)difference & kSignBit64;
    // As Shrink does it: no zero is added where the reference is one, nor loses its sign.
    const Doubles left = absolute(difference) - threshold;
    const Int64s is_gone = (Int64s)(left <= 0) & (Int64s)(threshold > 0);
    const Doubles shrunk = (Doubles)(~is_gone & ((Int64s)left | sign)) * factor;
    const Int64s is_from_zero = (Int64s)(reference == 0);
    const Doubles result = choose(is_from_zero, shrunk, reference + shrunk);
    // Without a factor x itself moves, so that its last bits are not lost in the difference; but
    // what is NaN or Inf there shows.
    const Int64s has_no_factor = (Int64s)(factor == 1);
    if (mask_bits(has_no_factor) == 0) return result;
    const Int64s moves_alone =
        has_no_factor & ~is_gone & ~is_from_zero & (Int64s)(absolute(difference) <= __DBL_MAX__);
    const Doubles moved = choose(moves_alone, x - (Doubles)((Int64s)threshold | sign), result);
    return choose(has_no_factor & (Int64s)(threshold == 0), x, moved);
  }

  [[gnu::always_inline]] void operator()(const T* x, G* to, Sums&, std::size_t,
                                         const Sides<T>& sides) const {
    const DoublePair values = load_pair(x);
    const DoublePair reference = sides.reference();
    const DoublePair importance = sides.importance();
    store_pair(to, {attract(values.first, reference.first, importance.first),
                    attract(values.second, reference.second, importance.second)});
  }
};

// As `run` of the plain passes, with its lanes, blocks and rows. A tail goes through the same loop
// as whole lanes do, which halves the code: the traffic hides what that takes.
template <typename T, typename Operation>
[[gnu::always_inline]] inline ElementwiseSums run_towards(const Operation& operation, const T* x,
                                                          typename Operation::Gradient* gradient,
                                                          std::size_t count,
                                                          const ElementwiseRows& rows,
                                                          Sides<T> sides) {
  using G = typename Operation::Gradient;
  ElementwiseSums sums{0, 0};
  std::size_t left_in_row = rows.first;
  T x_tail[kSumLanes];
  G gradient_tail[kSumLanes];
  typename Sides<T>::Tail side_tails;
  while (count > 0) {
    const std::size_t block = count < kElementwiseBlock ? count : kElementwiseBlock;
    typename Operation::Sums lanes;
    for (std::size_t left = block; left > 0;) {
      const bool is_tail = left < kSumLanes;
      std::size_t length = left - left % kSumLanes;
      const T* from = x;
      G* to = gradient;
      Sides<T> beside = sides;
      if (is_tail) {
        length = left;
        from = x_tail;
        to = gradient_tail;
        beside = side_tails.copy(sides, left);
        __builtin_memset(x_tail, 0, sizeof(x_tail));  // zeros add nothing to either sum
        __builtin_memcpy(x_tail, x, left * sizeof(T));
        if constexpr (Operation::kWrites) {
          __builtin_memset(gradient_tail, 0, sizeof(gradient_tail));
          __builtin_memcpy(gradient_tail, gradient, left * sizeof(G));
        }
      } else if (left_in_row < length) {
        length = left_in_row;
      }
      for (std::size_t i = 0; i < length; i += kSumLanes) {
        TAUT_UNROLL
        for (std::size_t part = 0; part < kParts; part += 2) {
          const std::size_t at = i + part * kDoubles;
          operation(from + at, Operation::kWrites ? to + at : nullptr, lanes, part,
                    beside.from(at));
        }
      }
      if constexpr (Operation::kWrites) {
        if (is_tail) __builtin_memcpy(gradient, gradient_tail, left * sizeof(G));
        gradient += length;
      }
      x += length;
      sides.pass(length);
      left -= length;
      left_in_row -= length;
      if (left_in_row == 0) {
        x = skip(x, rows.x_gap);
        if constexpr (Operation::kWrites) gradient = skip(gradient, rows.gradient_gap);
        sides.pass_gap();
        left_in_row = rows.length;
      }
    }
    lanes.add_to(sums);
    count -= block;
  }
  return sums;
}

template <typename T, unsigned kTerms>
ElementwiseSums sum_towards(const void* x, const ElementwiseSides& sides, std::size_t count,
                            const ElementwiseRows& rows) {
  return run_towards<T>(TowardsSum<T, kTerms>{}, static_cast<const T*>(x), nullptr, count, rows,
                        Sides<T>(sides));
}

template <typename T, typename G, unsigned kTerms>
ElementwiseSums write_slope_towards(const void* x, const ElementwiseSides& sides, void* gradient,
                                    bool accumulates, std::size_t count, ElementwiseSlopes slopes,
                                    const ElementwiseRows& rows) {
  return run_towards<T>(TowardsSlope<T, G, kTerms>{slopes, accumulates}, static_cast<const T*>(x),
                        static_cast<G*>(gradient), count, rows, Sides<T>(sides));
}

template <typename T, typename G>
void attract(const void* x, const ElementwiseSides& sides, void* to, std::size_t count,
             ElementwiseAttraction attraction, const ElementwiseRows& rows) {
  run_towards<T>(Attract<T, G>(attraction, !sides.importance.is_constant), static_cast<const T*>(x),
                 static_cast<G*>(to), count, rows, Sides<T>(sides));
}

// Whole vectors, of which the last may be written again.
template <typename T, typename Wide>
void widen_numbers(const void* from, void* to, std::size_t count) {
  const T* x = static_cast<const T*>(from);
  Wide* wide = static_cast<Wide*>(to);
  const auto widen_pair = [](const T* numbers, Wide* widened) {
    store_pair(widened, load_pair(numbers));
  };
  std::size_t i = 0;
  for (; i + kPair <= count; i += kPair) widen_pair(x + i, wide + i);
  if (i < count) {
    T tail[kPair] = {};
    Wide wide_tail[kPair];
    __builtin_memcpy(tail, x + i, (count - i) * sizeof(T));
    widen_pair(tail, wide_tail);
    __builtin_memcpy(wide + i, wide_tail, (count - i) * sizeof(Wide));
  }
}

// The dtype that a pass reads all of its arrays as, and the next wider one.
template <typename T>
struct Widened {
  using Read = float;
  using Next = float;
};
template <>
struct Widened<float> {
  using Read = float;
  using Next = double;
};
template <>
struct Widened<double> {
  using Read = double;
  using Next = void;
};

template <typename G>
constexpr TowardsKernel towards_kernel() {
  using T = typename Widened<G>::Read;
  using Next = typename Widened<G>::Next;
  TowardsKernel kernel{
      {},
      {write_slope_towards<T, G, kAbsolute>, write_slope_towards<T, G, kSquare>,
       write_slope_towards<T, G, kBoth>},
      attract<T, G>,
      nullptr,
  };
  if constexpr (std::is_same_v<T, G>) {
    kernel.sum[kAbsolute - 1] = sum_towards<T, kAbsolute>;
    kernel.sum[kSquare - 1] = sum_towards<T, kSquare>;
    kernel.sum[kBoth - 1] = sum_towards<T, kBoth>;
  }
  if constexpr (!std::is_void_v<Next>) kernel.widen = widen_numbers<G, Next>;
  return kernel;
}

}  // namespace
}  // namespace taut::TAUT_LEVEL

#endif  // TAUT_KERNELS_ELEMENTWISE_TOWARDS_HPP_
