// From the caller's matrix, whatever its dtype and strides, to the copies that the kernels read:
// every vector scaled by a power of two (exactly), so that its largest coordinate is in [1, 2) and
// no dot product overflows or underflows; and its direction x̂.

#ifndef TAUT_KERNELS_GRAM_PACK_HPP_
#define TAUT_KERNELS_GRAM_PACK_HPP_

#include "kernels/gram_shape.hpp"

namespace taut::TAUT_LEVEL {
namespace {

constexpr double kSmallestNorm = 1e-7;

// Copies `count` <= kGramPanel numbers that are `stride` bytes apart; the rest of `line` is zero.
template <typename T>
[[gnu::always_inline]] inline void gather_line(const char* from, std::ptrdiff_t stride,
                                               std::size_t count, T* line) {
  if (count == kGramPanel && stride == static_cast<std::ptrdiff_t>(sizeof(T))) {
    __builtin_memcpy(line, from, kGramPanel * sizeof(T));
    return;
  }
  for (std::size_t i = 0; i < kGramPanel; ++i) {
    line[i] = T{};
    if (i < count) {
      __builtin_memcpy(line + i, from + static_cast<std::ptrdiff_t>(i) * stride, sizeof(T));
    }
  }
}

template <typename T>
[[gnu::always_inline]] inline void scatter_line(const T* line, std::size_t count, char* to,
                                                std::ptrdiff_t stride) {
  if (count == kGramPanel && stride == static_cast<std::ptrdiff_t>(sizeof(T))) {
    __builtin_memcpy(to, line, kGramPanel * sizeof(T));
    return;
  }
  for (std::size_t i = 0; i < count; ++i) {
    __builtin_memcpy(to + static_cast<std::ptrdiff_t>(i) * stride, line + i, sizeof(T));
  }
}

[[gnu::always_inline]] inline std::ptrdiff_t offset(std::size_t index, std::ptrdiff_t stride) {
  return static_cast<std::ptrdiff_t>(index) * stride;
}

[[gnu::always_inline]] inline bool is_near(std::ptrdiff_t stride, std::ptrdiff_t other) {
  return (stride < 0 ? -stride : stride) <= (other < 0 ? -other : other);
}

template <typename Storage>
using ComputeOf = typename GramCompute<Storage>::type;

// Loads `vectors` vectors by `coordinates` coordinates, both at most kGramPanel, into
// block[coordinate][vector], along whichever axis is nearer in memory.
template <typename Storage>
inline void load_block(const GramSource& source, std::size_t vector, std::size_t vectors,
                       std::size_t coordinate, std::size_t coordinates,
                       ComputeOf<Storage> (&block)[kGramPanel][kGramPanel]) {
  using T = ComputeOf<Storage>;
  const char* base = static_cast<const char*>(source.data) + offset(vector, source.vector_stride) +
                     offset(coordinate, source.coordinate_stride);
  const bool along_coordinates = is_near(source.coordinate_stride, source.vector_stride);
  const std::size_t lines = along_coordinates ? vectors : coordinates;
  const std::size_t count = along_coordinates ? coordinates : vectors;
  const std::ptrdiff_t line_stride =
      along_coordinates ? source.vector_stride : source.coordinate_stride;
  const std::ptrdiff_t stride = along_coordinates ? source.coordinate_stride : source.vector_stride;
  T converted[kGramPanel][kGramPanel];
  for (std::size_t i = 0; i < kGramPanel; ++i) {
    Storage line[kGramPanel];
    gather_line(base + offset(i < lines ? i : 0, line_stride), stride, i < lines ? count : 0, line);
    TAUT_UNROLL
    for (std::size_t j = 0; j < kGramPanel; j += kDoubles) {
      store_doubles(converted[i] + j, load_doubles(line + j));
    }
  }
  for (std::size_t i = 0; i < kGramPanel; ++i) {
    TAUT_UNROLL
    for (std::size_t j = 0; j < kGramPanel; ++j) {
      block[i][j] = along_coordinates ? converted[j][i] : converted[i][j];
    }
  }
}

// 2^-exponent(largest), kept inside the range of normal float64.
[[gnu::always_inline]] inline double power_of_two_below(double largest) {
  if (largest == 0) return 1;
  int exponent = __builtin_ilogb(largest);
  if (exponent < -1000) exponent = -1000;
  return __builtin_ldexp(1.0, -exponent);
}

template <typename Storage>
bool pack(const GramSource& source, const GramMatrix& matrix, std::size_t begin) {
  using T = ComputeOf<Storage>;
  using Shape = GramShape<T>;
  constexpr std::size_t kColumns = Shape::kColumns;
  const std::size_t length = matrix.length;
  const std::size_t remaining = matrix.vectors - begin;
  const std::size_t vectors = remaining < kColumns ? remaining : kColumns;
  T* rows = static_cast<T*>(matrix.rows) + begin * length;

  T largest[kColumns] = {};
  bool finite = true;
  T block[kGramPanel][kGramPanel];
  for (std::size_t c = 0; c < length; c += kGramPanel) {
    const std::size_t coordinates = length - c < kGramPanel ? length - c : kGramPanel;
    for (std::size_t v = 0; v < kColumns; v += kGramPanel) {
      const std::size_t width = kColumns - v < kGramPanel ? kColumns - v : kGramPanel;
      const std::size_t valid = v >= vectors ? 0 : vectors - v < width ? vectors - v : width;
      load_block<Storage>(source, begin + v, valid, c, coordinates, block);
      for (std::size_t i = 0; i < coordinates; ++i) {
        for (std::size_t j = 0; j < width; ++j) {
          const T magnitude = block[i][j] < 0 ? -block[i][j] : block[i][j];
          finite &= magnitude <= Shape::kLargestFinite;
          largest[v + j] = magnitude > largest[v + j] ? magnitude : largest[v + j];
          rows[(c + i) * kColumns + v + j] = block[i][j];
        }
      }
    }
  }
  if (!finite) return false;

  double factors[kColumns];
  double squares[kColumns] = {};
  for (std::size_t v = 0; v < kColumns; ++v) factors[v] = power_of_two_below(largest[v]);
  for (std::size_t c = 0; c < length; ++c) {
    for (std::size_t v = 0; v < kColumns; ++v) {
      const double scaled = static_cast<double>(rows[c * kColumns + v]) * factors[v];
      squares[v] += scaled * scaled;
      rows[c * kColumns + v] = static_cast<T>(scaled);
    }
  }
  double weights[kColumns];
  for (std::size_t v = 0; v < kColumns; ++v) {
    const double norm = __builtin_sqrt(squares[v]);  // of the scaled vector
    const bool clamped = norm < kSmallestNorm * factors[v];
    weights[v] = clamped ? 1 / kSmallestNorm / factors[v] : 1 / norm;
    matrix.weights[begin + v] = v < vectors ? weights[v] : 0;
    matrix.reciprocals[begin + v] = clamped ? 1 / kSmallestNorm : factors[v] / norm;
    matrix.clamped[begin + v] = clamped;
  }
  if (matrix.directions == nullptr) return true;

  for (std::size_t c = 0; c < length; c += kGramPanel) {
    const std::size_t at = c * matrix.padded_vectors + begin * kGramPanel;
    T* panel = static_cast<T*>(matrix.directions) + at;
    __builtin_memset(static_cast<T*>(matrix.gradients) + at, 0, kColumns * kGramPanel * sizeof(T));
    for (std::size_t v = 0; v < kColumns; ++v) {
      TAUT_UNROLL
      for (std::size_t i = 0; i < kGramPanel; ++i) {
        panel[v * kGramPanel + i] =
            c + i < length ? static_cast<T>(rows[(c + i) * kColumns + v] * weights[v]) : T{0};
      }
    }
  }
  return true;
}

}  // namespace
}  // namespace taut::TAUT_LEVEL

#endif  // TAUT_KERNELS_GRAM_PACK_HPP_
