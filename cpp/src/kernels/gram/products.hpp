// The dot products of a tile of the Gram matrix.
//
// They are partial sums over kGramDepthBlock coordinates, each a chain of multiply-adds in a
// register, added in order. The tile stays in the second-level cache between the blocks; it is
// never part of a larger matrix. How much of it is in registers at once changes no bit.

#ifndef TAUT_KERNELS_GRAM_PRODUCTS_HPP_
#define TAUT_KERNELS_GRAM_PRODUCTS_HPP_

#include "kernels/gram/groups.hpp"

namespace taut::TAUT_LEVEL {
namespace {

// tile[kRows][kVectors of columns] (+)= Σ a[k][row] * b[k][column] over `depth` coordinates k,
// which are `a_width` and `b_width` numbers apart.
template <typename T, bool kFirst, std::size_t kVectors>
[[gnu::always_inline]] inline void multiply_registers(const T* a, std::size_t a_width, const T* b,
                                                      std::size_t b_width, std::size_t depth,
                                                      T* tile) {
  constexpr std::size_t kRows = GramShape<T>::kRows;
  using V = Vector<T, kLanesOf<T>>;
  V sums[kRows][kVectors] = {};
  for (std::size_t k = 0; k < depth; ++k) {
    V columns[kVectors];
    TAUT_UNROLL
    for (std::size_t j = 0; j < kVectors; ++j) columns[j] = load<V>(b + j * kLanesOf<T>);
    TAUT_UNROLL
    for (std::size_t i = 0; i < kRows; ++i) {
      const V row = broadcast<V>(a[i]);
      TAUT_UNROLL
      for (std::size_t j = 0; j < kVectors; ++j) {
        sums[i][j] = multiply_add(row, columns[j], sums[i][j]);
      }
    }
    a += a_width;
    b += b_width;
  }
  TAUT_UNROLL
  for (std::size_t i = 0; i < kRows; ++i) {
    TAUT_UNROLL
    for (std::size_t j = 0; j < kVectors; ++j) {
      T* to = tile + i * kGramTile + j * kLanesOf<T>;
      store(to, kFirst ? sums[i][j] : load<V>(to) + sums[i][j]);
    }
  }
}

// The same for a number of vectors that is known only now: fewer at an edge, and on the diagonal.
template <typename T, bool kFirst, std::size_t kVectors = GramShape<T>::kColumnVectors>
[[gnu::always_inline]] inline void multiply_vectors(std::size_t vectors, const T* a,
                                                    std::size_t a_width, const T* b,
                                                    std::size_t b_width, std::size_t depth,
                                                    T* tile) {
  if constexpr (kVectors > 1) {
    if (vectors < kVectors) {
      return multiply_vectors<T, kFirst, kVectors - 1>(vectors, a, a_width, b, b_width, depth,
                                                       tile);
    }
  }
  multiply_registers<T, kFirst, kVectors>(a, a_width, b, b_width, depth, tile);
}

// Asks for the next depth block of some vectors, a few cache lines at a time, while this one is
// multiplied: it lies where no hardware prefetcher looks.
template <typename T>
class NextBlock {
 public:
  NextBlock(const GramMatrix& matrix, std::size_t first, std::size_t vectors, std::size_t k)
      : matrix_(matrix), vector_(first), end_(k < matrix.length ? first + vectors : first), k_(k) {
    if (vector_ < end_) enter_group();
  }

  [[gnu::always_inline]] void fetch_some() {
    constexpr std::size_t kLines = 6;
    constexpr std::size_t kLineBytes = 64;
    for (std::size_t line = 0; line < kLines && vector_ < end_; ++line) {
      __builtin_prefetch(at_, 0, 2);
      at_ += kLineBytes;
      if (at_ < group_end_) continue;
      vector_ += GramShape<T>::kColumns;
      if (vector_ < end_) enter_group();
    }
  }

 private:
  void enter_group() {
    const Group<T> group = group_of<T>(matrix_, vector_);
    const std::size_t left = matrix_.length - k_;
    const std::size_t depth = left < kGramDepthBlock ? left : kGramDepthBlock;
    at_ = reinterpret_cast<const char*>(group.rows + k_ * group.width);
    group_end_ = at_ + depth * group.width * sizeof(T);
  }

  const GramMatrix& matrix_;
  std::size_t vector_;
  std::size_t end_;
  std::size_t k_;
  const char* at_ = nullptr;
  const char* group_end_ = nullptr;
};

// The products above the diagonal, in whole vectors. `adds`: to what is there, as to the tile of
// earlier coordinates.
template <typename T>
inline void multiply_tile(const GramMatrix& matrix, const GramTile& place, bool adds, T* tile) {
  using Shape = GramShape<T>;
  constexpr std::size_t kLanes = kLanesOf<T>;
  for (std::size_t k = 0; k < matrix.length; k += kGramDepthBlock) {
    const std::size_t left = matrix.length - k;
    const std::size_t depth = left < kGramDepthBlock ? left : kGramDepthBlock;
    NextBlock<T> next_rows(matrix, place.row, place.rows, k + kGramDepthBlock);
    NextBlock<T> next_columns(matrix, place.column, place.columns, k + kGramDepthBlock);
    for (std::size_t j = 0; j < place.columns; j += Shape::kColumns) {
      const Group<T> columns = group_of<T>(matrix, place.column + j);
      const std::size_t columns_left = place.columns - j;
      const std::size_t vectors =
          (columns_left < Shape::kColumns ? columns_left + kLanes - 1 : Shape::kColumns) / kLanes;
      for (std::size_t i = 0; i < place.rows; i += Shape::kRows) {
        const std::size_t below = place.diagonal() && i > j ? (i - j) / kLanes : 0;
        if (below >= vectors) break;
        next_rows.fetch_some();
        next_columns.fetch_some();
        const Group<T> rows = group_of<T>(matrix, place.row + i);
        const T* a = rows.rows + k * rows.width + (place.row + i - rows.first);
        const T* b = columns.rows + k * columns.width + below * kLanes;
        T* to = tile + i * kGramTile + j + below * kLanes;
        if (k == 0 && !adds) {
          multiply_vectors<T, true>(vectors - below, a, rows.width, b, columns.width, depth, to);
        } else {
          multiply_vectors<T, false>(vectors - below, a, rows.width, b, columns.width, depth, to);
        }
      }
    }
  }
}

}  // namespace
}  // namespace taut::TAUT_LEVEL

#endif  // TAUT_KERNELS_GRAM_PRODUCTS_HPP_
