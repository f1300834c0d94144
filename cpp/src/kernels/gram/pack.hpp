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

  GroupMeasure(const T* rows, std::size_t length) : largest{}, squares{} {
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
    finite = true;
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

template <typename Storage>
bool pack(const GramMatrix& matrix, std::size_t begin) {
  using T = ComputeOf<Storage>;
  constexpr std::size_t kColumns = GramShape<T>::kColumns;
  constexpr std::size_t kLanes = kLanesOf<T>;
  const std::size_t length = matrix.length;
  const std::size_t remaining = begin < matrix.vectors ? matrix.vectors - begin : 0;
  const std::size_t vectors = remaining < kColumns ? remaining : kColumns;
  T* rows = static_cast<T*>(matrix.rows) + begin * length;

  pack_rows<Storage>(matrix.source, begin, vectors, length, rows);
  GroupMeasure<T> measure(rows, length);
  if (!measure.finite) return false;
  double factors[kColumns];
  bool scales = false;
  for (std::size_t v = 0; v < kColumns; ++v) {
    const double largest = measure.largest[v / kDoubles][v % kDoubles];
    const bool is_safe = largest == 0 || (largest < kSafeLargest && largest > kSafeSmallest);
    factors[v] = is_safe ? 1 : power_of_two_below(largest);
    scales |= !is_safe;
    const double smallest = measure.smallest.of(v) * factors[v];
    matrix.smallest[begin + v] = smallest < GramRange<T>::kSmallestNormal ? 0 : smallest;
  }
  if (scales) {
    for (std::size_t c = 0; c < length; ++c) {
      for (std::size_t v = 0; v < kColumns; ++v) {
        T& number = rows[c * kColumns + v];
        number = static_cast<T>(static_cast<double>(number) * factors[v]);
      }
    }
    measure = GroupMeasure<T>(rows, length);
  }

  T weights[kColumns];
  for (std::size_t v = 0; v < kColumns; ++v) {
    const double norm = __builtin_sqrt(measure.squares[v / kDoubles][v % kDoubles]);
    const bool clamped = norm < kSmallestNorm * factors[v];  // both of the scaled vector
    const double weight = clamped ? 1 / kSmallestNorm / factors[v] : 1 / norm;
    weights[v] = static_cast<T>(weight);
    matrix.weights[begin + v] = v < vectors ? weight : 0;
    matrix.reciprocals[begin + v] = clamped ? 1 / kSmallestNorm : factors[v] / norm;
    matrix.clamped[begin + v] = clamped;
  }
  if (matrix.directions == nullptr) return true;

  constexpr std::size_t kPanel = GramShape<T>::kPanel;
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
  return true;
}

}  // namespace
}  // namespace taut::TAUT_LEVEL

#endif  // TAUT_KERNELS_GRAM_PACK_HPP_
