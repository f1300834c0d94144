// The groups of vectors in GramMatrix::rows, whose coordinates stand side by side.

#ifndef TAUT_KERNELS_GRAM_GROUPS_HPP_
#define TAUT_KERNELS_GRAM_GROUPS_HPP_

#include "kernels/gram/shape.hpp"

namespace taut::TAUT_LEVEL {
namespace {

// Number i of vector first + v is rows[i * width + v]; null where the matrix has no rows.
template <typename T>
struct Group {
  T* rows;
  std::size_t first;
  std::size_t width;    // in memory
  std::size_t vectors;  // that there are
};

template <typename T>
[[gnu::always_inline]] inline Group<T> group_of(const GramMatrix& matrix, std::size_t vector) {
  constexpr std::size_t kColumns = GramShape<T>::kColumns;
  const std::size_t first = vector - vector % kColumns;
  const std::size_t padded = matrix.padded_vectors - first;
  const std::size_t left = matrix.vectors - first;
  const std::size_t width = padded < kColumns ? padded : kColumns;
  T* const rows = static_cast<T*>(matrix.rows);
  return {rows == nullptr ? nullptr : rows + first * matrix.length, first, width,
          left < width ? left : width};
}

}  // namespace
}  // namespace taut::TAUT_LEVEL

#endif  // TAUT_KERNELS_GRAM_GROUPS_HPP_
