// From the caller's matrix, whatever its dtype and strides, to the copies that the kernels read:
// the vectors side by side, and their directions. A vector whose numbers are so large or so small
// that a dot product could overflow, or all of it underflow, is scaled by a power of two. That is
// exact, but for small numbers beside very large ones; pairs in which they could count are computed
// from the source again: see tile.hpp.

#ifndef TAUT_KERNELS_GRAM_PACK_HPP_
#define TAUT_KERNELS_GRAM_PACK_HPP_

#include <type_traits>

#include "kernels/gram/lines.hpp"
#include "kernels/gram/shape.hpp"

namespace taut::TAUT_LEVEL {
namespace {

constexpr double kSmallestNorm = 1e-7;

// A square of the source whose lines are coordinates: `present` vectors by `coordinates`, the rest
// zeros.
template <typename Storage>
[[gnu::always_inline]] inline Square<ComputeOf<Storage>> read_square(const GramSource& source,
                                                                     std::size_t vector,
                                                                     std::size_t present,
                                                                     std::size_t coordinate,
                                                                     std::size_t coordinates) {
  using S = Square<ComputeOf<Storage>>;
  const char* from = static_cast<const char*>(source.data) + offset(vector, source.vector_stride) +
                     offset(coordinate, source.coordinate_stride);
  const bool along_coordinates = is_nearer(source.coordinate_stride, source.vector_stride);
  const std::ptrdiff_t line_stride =
      along_coordinates ? source.vector_stride : source.coordinate_stride;
  const std::ptrdiff_t stride = along_coordinates ? source.coordinate_stride : source.vector_stride;
  const std::size_t lines = along_coordinates ? present : coordinates;
  const std::size_t length = along_coordinates ? coordinates : present;
  S square;
  if (lines == S::kLanes && length == S::kLanes && stride == std::ptrdiff_t{sizeof(Storage)}) {
    TAUT_UNROLL
    for (std::size_t i = 0; i < S::kLanes; ++i) {
      square.lines[i] = load_line<Storage>(from + offset(i, line_stride));
    }
  } else {
    for (std::size_t i = 0; i < S::kLanes; ++i) {
      square.lines[i] = typename S::V{};
      if (i < lines) {
        square.lines[i] = gather_vector<Storage>(from + offset(i, line_stride), stride, length);
      }
    }
  }
  if (along_coordinates) square.transpose();
  return square;
}

// `rows` of one group: [coordinate][vector], with zeros for vectors that are not there.
template <typename Storage>
inline void pack_rows(const GramSource& source, std::size_t vector, std::size_t vectors,
                      std::size_t length, ComputeOf<Storage>* rows) {
  using T = ComputeOf<Storage>;
  constexpr std::size_t kColumns = GramShape<T>::kColumns;
  constexpr std::size_t kLanes = kLanesOf<T>;
  // Some coordinates at a time, so that a cache line is used up before it is left.
  for (std::size_t begin = 0; begin < length; begin += kGramCoordinates) {
    for (std::size_t v = 0; v < kColumns; v += kLanes) {
      const std::size_t present = v >= vectors ? 0 : vectors - v < kLanes ? vectors - v : kLanes;
      for (std::size_t c = begin; c < begin + kGramCoordinates && c < length; c += kLanes) {
        const std::size_t coordinates = length - c < kLanes ? length - c : kLanes;
        const auto square = read_square<Storage>(source, vector + v, present, c, coordinates);
        TAUT_UNROLL
        for (std::size_t i = 0; i < kLanes; ++i) {
          if (i < coordinates) store(rows + (c + i) * kColumns + v, square.lines[i]);
        }
      }
    }
  }
}

// The smallest magnitude of each vector in a group, its zeros left out.
template <typename T>
class SmallestOf {
 public:
  SmallestOf() {
    for (Bits& least : least_) least = ~Bits{};
  }

  // Without its sign, and less 1, a zero has the largest bits that there are.
  [[gnu::always_inline]] void add(const T* numbers) {
    TAUT_UNROLL
    for (std::size_t v = 0; v < kVectors; ++v) {
      const Bits bits = load<Bits>(numbers + v * kLanesOf<T>);
      const Bits order = bits + bits - 1;
      least_[v] = order < least_[v] ? order : least_[v];
    }
  }

  // A number beside which nothing is small, where there is none.
  double of(std::size_t vector) const {
    const Unsigned least = least_[vector / kLanesOf<T>][vector % kLanesOf<T>];
    return least == ~Unsigned{} ? 0x1p64 : __builtin_bit_cast(T, (least >> 1) + 1);
  }

 private:
  using Unsigned = std::make_unsigned_t<typename IntegerOf<sizeof(T)>::type>;
  using Bits = Vector<Unsigned, kLanesOf<T>>;
  static constexpr std::size_t kVectors = GramShape<T>::kColumnVectors;
  Bits least_[kVectors];
};

// The magnitudes of each vector in a group, and the sum of its squares.
template <typename T>
struct GroupMeasure {
  static constexpr std::size_t kColumns = GramShape<T>::kColumns;
  static constexpr std::size_t kVectors = kColumns / kDoubles;
  Doubles largest[kVectors];
  Doubles squares[kVectors];
  SmallestOf<T> smallest;
  bool finite;

  GroupMeasure() : largest{}, squares{}, finite(true) {}

  // The next coordinates. Each vector's squares are added one after the other.
  void add(const T* rows, std::size_t length) {
    Int64s not_finite{};
    for (std::size_t c = 0; c < length; ++c) {
      TAUT_UNROLL
      for (std::size_t v = 0; v < kVectors; ++v) {
        const Doubles x = load_doubles(rows + c * kColumns + v * kDoubles);
        const Doubles magnitude = absolute(x);
        not_finite |= ~(magnitude <= __DBL_MAX__);
        largest[v] = magnitude > largest[v] ? magnitude : largest[v];
        squares[v] = multiply_add(x, x, squares[v]);
      }
      smallest.add(rows + c * kColumns);
    }
    for (std::size_t lane = 0; lane < kDoubles; ++lane) finite &= not_finite[lane] == 0;
  }
};

// 2^-exponent(largest), kept inside the range of normal float64.
[[gnu::always_inline]] inline double power_of_two_below(double largest) {
  if (largest == 0) return 1;
  int exponent = __builtin_ilogb(largest);
  if (exponent < -1000) exponent = -1000;
  return __builtin_ldexp(1.0, -exponent);
}

// Multiplies a group's rows by powers of two.
template <typename T>
[[gnu::noinline]] void scale_rows(const double* factors, std::size_t length, T* rows) {
  constexpr std::size_t kColumns = GramShape<T>::kColumns;
  for (std::size_t c = 0; c < length; ++c) {
    for (std::size_t v = 0; v < kColumns; ++v) {
      T& number = rows[c * kColumns + v];
      number = static_cast<T>(static_cast<double>(number) * factors[v]);
    }
  }
}

// Sets a group's factors, and its smallest magnitudes after scaling; returns whether it is scaled.
template <typename T>
inline bool choose_factors(const GramMatrix& matrix, std::size_t begin,
                           const GroupMeasure<T>& measure) {
  bool scales = false;
  for (std::size_t v = 0; v < GramShape<T>::kColumns; ++v) {
    const double largest = measure.largest[v / kDoubles][v % kDoubles];
    const bool is_safe = largest == 0 || (largest < kSafeLargest && largest > kSafeSmallest);
    const double factor = is_safe ? 1 : power_of_two_below(largest);
    const double smallest = measure.smallest.of(v) * factor;
    matrix.factors[begin + v] = factor;
    matrix.smallest[begin + v] = smallest < GramRange<T>::kSmallestNormal ? 0 : smallest;
    scales |= !is_safe;
  }
  return scales;
}

// Sets what a group's norms give, measured after scaling.
template <typename T>
inline void set_weights(const GramMatrix& matrix, std::size_t begin,
                        const GroupMeasure<T>& measure) {
  for (std::size_t v = 0; v < GramShape<T>::kColumns; ++v) {
    const double factor = matrix.factors[begin + v];
    const double norm = __builtin_sqrt(measure.squares[v / kDoubles][v % kDoubles]);
    const bool clamped = norm < kSmallestNorm * factor;  // both of the scaled vector
    const double weight = clamped ? 1 / kSmallestNorm / factor : 1 / norm;
    matrix.weights[begin + v] = begin + v < matrix.vectors ? weight : 0;
    matrix.reciprocals[begin + v] = clamped ? 1 / kSmallestNorm : factor / norm;
    matrix.clamped[begin + v] = clamped;
  }
}

// The directions of a group, from its rows.
template <typename T>
inline void write_directions(const GramMatrix& matrix, std::size_t begin, const T* rows) {
  constexpr std::size_t kColumns = GramShape<T>::kColumns;
  constexpr std::size_t kLanes = kLanesOf<T>;
  constexpr std::size_t kPanel = GramShape<T>::kPanel;
  const std::size_t length = matrix.length;
  T weights[kColumns];
  for (std::size_t v = 0; v < kColumns; ++v) weights[v] = static_cast<T>(matrix.weights[begin + v]);
  for (std::size_t c = 0; c < round_up(length, kGramCoordinates); c += kPanel) {
    T* panel = static_cast<T*>(matrix.directions) + c * matrix.padded_vectors + begin * kPanel;
    for (std::size_t part = 0; part < kPanel; part += kLanes) {
      const std::size_t first = c + part;
      const std::size_t present = first >= length           ? 0
                                  : length - first < kLanes ? length - first
                                                            : kLanes;
      for (std::size_t v = 0; v < kColumns; v += kLanes) {
        const auto weight = load<typename Square<T>::V>(weights + v);
        Square<T> square;
        TAUT_UNROLL
        for (std::size_t i = 0; i < kLanes; ++i) {
          square.lines[i] = typename Square<T>::V{};
          if (i < present) {
            const T* from = rows + (first + i) * kColumns + v;
            square.lines[i] = load<typename Square<T>::V>(from) * weight;
          }
        }
        square.transpose();
        TAUT_UNROLL
        for (std::size_t i = 0; i < kLanes; ++i) {
          store(panel + (v + i) * kPanel + part, square.lines[i]);
        }
      }
    }
  }
}

// A group's rows, where they stand in `matrix`, not scaled.
template <typename Storage>
inline ComputeOf<Storage>* read_rows(const GramMatrix& matrix, std::size_t begin) {
  using T = ComputeOf<Storage>;
  constexpr std::size_t kColumns = GramShape<T>::kColumns;
  const std::size_t remaining = begin < matrix.vectors ? matrix.vectors - begin : 0;
  T* rows = static_cast<T*>(matrix.rows) + begin * matrix.length;
  pack_rows<Storage>(matrix.source, begin, remaining < kColumns ? remaining : kColumns,
                     matrix.length, rows);
  return rows;
}

template <typename Storage>
bool pack(const GramMatrix& matrix, std::size_t begin) {
  using T = ComputeOf<Storage>;
  T* rows = read_rows<Storage>(matrix, begin);
  GroupMeasure<T> measure;
  measure.add(rows, matrix.length);
  if (!measure.finite) return false;
  if (choose_factors(matrix, begin, measure)) {
    scale_rows(matrix.factors + begin, matrix.length, rows);
    measure = GroupMeasure<T>();
    measure.add(rows, matrix.length);
  }
  set_weights(matrix, begin, measure);
  if (matrix.directions != nullptr) write_directions(matrix, begin, rows);
  return true;
}

}  // namespace
}  // namespace taut::TAUT_LEVEL

#endif  // TAUT_KERNELS_GRAM_PACK_HPP_
