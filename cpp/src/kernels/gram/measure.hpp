// The magnitudes and the norms of the vectors in a group, and what follows from them: the power of
// two that a vector is multiplied with, and its weight.

#ifndef TAUT_KERNELS_GRAM_MEASURE_HPP_
#define TAUT_KERNELS_GRAM_MEASURE_HPP_

#include <type_traits>

#include "kernels/gram/groups.hpp"
#include "kernels/storage.hpp"

namespace taut::TAUT_LEVEL {
namespace {

constexpr double kSmallestNorm = 1e-7;

// Of as many vectors as there are lanes.
template <typename T>
class Measure {
 public:
  static constexpr std::size_t kLanes = kLanesOf<T>;
  static constexpr std::size_t kParts = kLanes / kDoubles;
  using V = Vector<T, kLanes>;

  Measure() : largest_{}, least_{~Bits{}}, squares_{} {}

  // The next coordinate. Squares go to kChains sums in turn, so that none waits for the one before.
  static constexpr std::size_t kChains = 4;
  [[gnu::always_inline]] void add(V numbers, std::size_t coordinate) {
    const Bits magnitude = (Bits)numbers & kMagnitude;
    largest_ = magnitude > largest_ ? magnitude : largest_;
    const Bits order = magnitude - 1;  // in which a zero is the largest
    least_ = order < least_ ? order : least_;
    Doubles(&squares)[kParts] = squares_[coordinate % kChains];
    if constexpr (kParts == 1) {
      squares[0] = multiply_add(numbers, numbers, squares[0]);
    } else {
      const DoublePair x = to_doubles(numbers);
      squares[0] = multiply_add(x.first, x.first, squares[0]);
      squares[1] = multiply_add(x.second, x.second, squares[1]);
    }
  }

  bool is_finite() const {
    const auto infinite = largest_ >= kInfinity;
    bool any = false;
    for (std::size_t lane = 0; lane < kLanes; ++lane) any |= infinite[lane] != 0;
    return !any;
  }
  // Of the vectors part * kDoubles and following; the smallest of those that are not 0, or a number
  // beside which nothing is small.
  Doubles largest(std::size_t part) const { return numbers(largest_, part); }
  Doubles smallest(std::size_t part) const {
    const Doubles smallest = numbers(least_ + 1, part);
    return smallest == 0 ? broadcast<Doubles>(0x1p64) : smallest;
  }
  Doubles squares(std::size_t part) const {
    return (squares_[0][part] + squares_[1][part]) + (squares_[2][part] + squares_[3][part]);
  }

 private:
  using Unsigned = std::make_unsigned_t<typename IntegerOf<sizeof(T)>::type>;
  using Bits = Vector<Unsigned, kLanes>;
  static constexpr Unsigned kMagnitude = ~Unsigned{} >> 1;
  static constexpr Unsigned kInfinity = sizeof(T) == 4 ? 0x7f800000 : 0x7ff0000000000000;

  static Doubles numbers(Bits bits, std::size_t part) {
    T numbers[kLanes];
    store(numbers, bits);
    return load_doubles(numbers + part * kDoubles);
  }

  Bits largest_;
  Bits least_;
  Doubles squares_[kChains][kParts];
};

template <typename T>
struct GroupMeasure {
  Measure<T> columns[GramShape<T>::kColumnVectors];

  void clear() {
    for (Measure<T>& measure : columns) measure = Measure<T>();
  }

  // The group's coordinates [begin, end).
  void add(const Group<T>& group, std::size_t begin, std::size_t end) {
    using V = typename Measure<T>::V;
    for (std::size_t v = 0; v < group.width; v += kLanesOf<T>) {
      Measure<T> measure = columns[v / kLanesOf<T>];
      std::size_t c = begin;
      for (; c + Measure<T>::kChains <= end; c += Measure<T>::kChains) {
        TAUT_UNROLL
        for (std::size_t chain = 0; chain < Measure<T>::kChains; ++chain) {
          measure.add(load<V>(group.rows + (c + chain) * group.width + v), chain);
        }
      }
      for (; c < end; ++c) measure.add(load<V>(group.rows + c * group.width + v), c - begin);
      columns[v / kLanesOf<T>] = measure;
    }
  }

  bool is_finite(const Group<T>& group) const {
    bool finite = true;
    for (std::size_t v = 0; v < group.width; v += kLanesOf<T>) {
      finite &= columns[v / kLanesOf<T>].is_finite();
    }
    return finite;
  }
};

// Calls visit(column, part, vector) for kDoubles vectors of a group at a time, from `vector` on.
template <typename T, typename Visit>
[[gnu::always_inline]] inline void visit_parts(const Group<T>& group,
                                               const GroupMeasure<T>& measures, Visit visit) {
  for (std::size_t v = 0; v < group.width; v += kDoubles) {
    visit(measures.columns[v / kLanesOf<T>], v % kLanesOf<T> / kDoubles, group.first + v);
  }
}

// 2^-exponent(largest), kept inside the range of normal float64.
[[gnu::always_inline]] inline double power_of_two_below(double largest) {
  int exponent = __builtin_ilogb(largest);
  if (exponent < -1000) exponent = -1000;
  return __builtin_ldexp(1.0, -exponent);
}

// Sets a group's factors, and its smallest magnitudes after scaling; returns whether it is scaled.
template <typename T>
inline bool choose_factors(const GramMatrix& matrix, const Group<T>& group,
                           const GroupMeasure<T>& measures) {
  bool scales = false;
  visit_parts(group, measures,
              [&](const Measure<T>& measure, std::size_t part, std::size_t vector) {
                const Doubles largest = measure.largest(part);
                const auto is_safe =
                    (largest == 0) | ((largest < kSafeLargest) & (largest > kSafeSmallest));
                Doubles factors = broadcast<Doubles>(1.0);
                for (std::size_t lane = 0; lane < kDoubles; ++lane) {
                  if (is_safe[lane] != 0) continue;
                  factors[lane] = power_of_two_below(largest[lane]);
                  scales = true;
                }
                store(matrix.factors + vector, factors);
                const Doubles smallest = measure.smallest(part) * factors;
                store(matrix.smallest + vector,
                      smallest < GramRange<T>::kSmallestNormal ? Doubles{} : smallest);
              });
  return scales;
}

// Sets what a group's norms give, measured after scaling.
template <typename T>
inline void set_weights(const GramMatrix& matrix, const Group<T>& group,
                        const GroupMeasure<T>& measures) {
  visit_parts(group, measures,
              [&](const Measure<T>& measure, std::size_t part, std::size_t vector) {
                const Doubles factors = load<Doubles>(matrix.factors + vector);
                const Doubles norms = square_roots(measure.squares(part));
                const Doubles floors = kSmallestNorm * factors;  // both of the scaled vectors
                const auto is_clamped = norms < floors;
                const Doubles divisors = is_clamped ? floors : norms;
                store(matrix.weights + vector, 1 / divisors);
                store(matrix.reciprocals + vector, factors / divisors);
                for (std::size_t lane = 0; lane < kDoubles; ++lane) {
                  matrix.clamped[vector + lane] = is_clamped[lane] != 0;
                }
              });
  for (std::size_t v = group.vectors; v < group.width; ++v) matrix.weights[group.first + v] = 0;
  T* unit_weights = static_cast<T*>(matrix.unit_weights);
  for (std::size_t v = group.first; v < group.first + group.vectors; ++v) {
    unit_weights[v] = static_cast<T>(matrix.weights[v]);
  }
  if (group.first + group.vectors < matrix.vectors) return;
  for (std::size_t v = matrix.vectors; v < round_up(matrix.vectors, kGramSignGroup); ++v) {
    unit_weights[v] = 0;
  }
}

}  // namespace
}  // namespace taut::TAUT_LEVEL

#endif  // TAUT_KERNELS_GRAM_MEASURE_HPP_
