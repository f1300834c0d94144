// One tile of the Gram matrix: its dot products, their weighted absolute sum, and their signs,
// while it is in a cache.

#ifndef TAUT_KERNELS_GRAM_TILE_HPP_
#define TAUT_KERNELS_GRAM_TILE_HPP_

#include "kernels/gram/codes.hpp"
#include "kernels/gram/lines.hpp"
#include "kernels/gram/products.hpp"
#include "kernels/gram/uncertain.hpp"
#include "kernels/lanes.hpp"

namespace taut::TAUT_LEVEL {
namespace {

constexpr std::size_t kRowsAtOnce = 4;  // their sums fit the registers
static_assert(kCoded % kRowsAtOnce == 0 && kCoded <= kGramWeights);

// Turns the products above the diagonal of a diagonal tile over to those below.
template <typename T>
inline void mirror_tile(const GramTile& place, T* tile) {
  constexpr std::size_t kLanes = kLanesOf<T>;
  for (std::size_t i = kLanes; i < place.rows; i += kLanes) {
    for (std::size_t j = 0; j < i; j += kLanes) {
      Square<T> square;
      TAUT_UNROLL
      for (std::size_t line = 0; line < kLanes; ++line) {
        square.lines[line] = load<typename Square<T>::V>(tile + (j + line) * kGramTile + i);
      }
      square.transpose();
      TAUT_UNROLL
      for (std::size_t line = 0; line < kLanes; ++line) {
        store(tile + (i + line) * kGramTile + j, square.lines[line]);
      }
    }
  }
}

template <typename T>
inline void set_diagonal(const GramTile& place, T number, T* tile) {
  for (std::size_t i = 0; i < place.rows; ++i) tile[i * kGramTile + i] = number;
}

// Makes the tile one that needs no special case: it has both halves of a diagonal tile, in which a
// vector has no cosine with itself; and vectors beyond the last (weight 0) have sign 1, so that
// nobody takes them for orthogonal.
template <typename T>
inline void complete_tile(const GramTile& place, T* tile) {
  if (place.diagonal()) {
    mirror_tile(place, tile);
    set_diagonal(place, T{0}, tile);
  }
  const std::size_t rows = round_up(place.rows, kCoded);
  const std::size_t columns = round_up(place.columns, kCoded);
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = i < place.rows ? place.columns : 0; j < columns; ++j) {
      tile[i * kGramTile + j] = 1;
    }
  }
}

// 8 lanes whatever the width of the vectors, added in a tree.
constexpr std::size_t kCosineLanes = 8;
using CosineLanes = Lanes<kCosineLanes>;

// Σ |tile[i][j]| weightᵢ weightⱼ: per row in lanes, column j to lane j mod 8; rows are then added
// in order. Sets the sums of each row and of each column as well, unless they are null.
template <typename T, bool kSetsColumns>
inline double sum_tile(const GramMatrix& matrix, const GramTile& place, const T* tile,
                       double* row_sums, double* column_sums) {
  const double* row_weights = matrix.weights + place.row;
  const double* column_weights = matrix.weights + place.column;
  double columns[kSetsColumns ? kGramTile : 1];
  if constexpr (kSetsColumns) __builtin_memset(columns, 0, sizeof(columns));
  CosineLanes total;
  for (std::size_t i = 0; i < place.rows; i += kRowsAtOnce) {
    CosineLanes sums[kRowsAtOnce];
    for (std::size_t j = 0; j < place.columns; j += kCosineLanes) {
      TAUT_UNROLL
      for (std::size_t part = 0; part < CosineLanes::kParts; ++part) {
        const std::size_t at = j + part * kDoubles;
        const Doubles weights = load<Doubles>(column_weights + at);
        Doubles column;
        if constexpr (kSetsColumns) column = load<Doubles>(columns + at);
        TAUT_UNROLL
        for (std::size_t r = 0; r < kRowsAtOnce; ++r) {
          const Doubles magnitude = absolute(load_doubles(tile + (i + r) * kGramTile + at));
          sums[r].parts[part] = multiply_add(magnitude, weights, sums[r].parts[part]);
          if constexpr (kSetsColumns) {
            column = multiply_add(magnitude, broadcast<Doubles>(row_weights[i + r]), column);
          }
        }
        if constexpr (kSetsColumns) store(columns + at, column);
      }
    }
    TAUT_UNROLL
    for (std::size_t r = 0; r < kRowsAtOnce; ++r) {
      const double weight = row_weights[i + r];
      TAUT_UNROLL
      for (std::size_t part = 0; part < CosineLanes::kParts; ++part) {
        total.parts[part] =
            multiply_add(sums[r].parts[part], broadcast<Doubles>(weight), total.parts[part]);
      }
      if (row_sums != nullptr && i + r < place.rows) row_sums[i + r] = sums[r].sum() * weight;
    }
  }
  if constexpr (kSetsColumns) {
    for (std::size_t j = 0; j < place.columns; ++j) column_sums[j] = columns[j] * column_weights[j];
  }
  return total.sum();
}

// Where the sums of |cosine| of some targets with a tile's others stand; null without signs.
[[gnu::always_inline]] inline double* cosines_of(const GramSigns* signs, std::size_t target,
                                                 std::size_t other) {
  if (signs == nullptr) return nullptr;
  return signs->cosines +
         ((other - signs->other_base) / signs->tile * signs->targets + target - signs->target_base);
}

// The signs of both directions, and which of them are 0.
template <typename T>
inline void write_words(const GramTile& place, const GramSigns* row_signs,
                        const GramSigns* column_signs, T* products) {
  if (place.diagonal()) set_diagonal(place, T{1}, products);
  const bool any_zero = write_codes<T, Coded::kNonzero>(place, products, *row_signs, column_signs);
  if (any_zero) {
    write_codes<T, Coded::kPositive>(place, products, *row_signs, column_signs);
    write_codes<T, Coded::kNegative>(place, products, *row_signs, column_signs);
  }
  write_flags(*row_signs, place.row, place.rows, place.column, place.columns, any_zero);
  if (column_signs != nullptr) {
    write_flags(*column_signs, place.column, place.columns, place.row, place.rows, any_zero);
  }
  if (place.diagonal()) skip_own_groups(place, *row_signs, any_zero);
}

// From a tile's products to its sum and its signs.
template <typename T>
[[gnu::noinline]] double finish_tile(const GramMatrix& matrix, const GramTile& place,
                                     const GramSigns* row_signs, const GramSigns* column_signs,
                                     ExactDotFunction exact, T* products) {
  complete_tile(place, products);
  if (place.diagonal()) column_signs = nullptr;  // its rows have both directions
  double* row_sums = cosines_of(row_signs, place.row, place.column);
  double* column_sums = cosines_of(column_signs, place.column, place.row);
  const bool loses = may_lose_any<T>(matrix, place);
  if (loses) clear_uncertain(matrix, place, products);
  double sum = column_sums == nullptr
                   ? sum_tile<T, false>(matrix, place, products, row_sums, nullptr)
                   : sum_tile<T, true>(matrix, place, products, row_sums, column_sums);
  if (loses) {
    complete_uncertain(matrix, place, exact, products,
                       [&](std::size_t i, std::size_t j, double cosine) {
                         sum += place.diagonal() ? 2 * cosine : cosine;
                         if (row_sums != nullptr) row_sums[i] += cosine;
                         double* other_sums = place.diagonal() ? row_sums : column_sums;
                         if (other_sums != nullptr) other_sums[j] += cosine;
                       });
  }
  if (row_signs != nullptr) {
    if (place.diagonal()) write_own_signs(place, products, *row_signs);
    if (row_signs->positive != nullptr) write_words(place, row_signs, column_signs, products);
  }
  return place.diagonal() ? sum / 2 : sum;  // a diagonal tile has every pair twice
}

// The tile of any Storage that is computed in T.
template <typename T>
[[gnu::noinline]] double tile_of(const GramMatrix& matrix, const GramTile& place,
                                 const GramSigns* row_signs, const GramSigns* column_signs,
                                 ExactDotFunction exact, void* scratch) {
  T* products = static_cast<T*>(scratch);
  multiply_tile(matrix, place, false, products);
  return finish_tile(matrix, place, row_signs, column_signs, exact, products);
}

template <typename Storage>
double tile(const GramMatrix& matrix, const GramTile& tile, const GramSigns* row_signs,
            const GramSigns* column_signs, void* scratch) {
  return tile_of<ComputeOf<Storage>>(matrix, tile, row_signs, column_signs, exact_dot<Storage>,
                                     scratch);
}

// A vector that begins in a tile may end behind it.
template <typename T>
constexpr std::size_t kTileScratch = (kGramTile * kGramTile + kOwnStep) * sizeof(T);

}  // namespace
}  // namespace taut::TAUT_LEVEL

#endif  // TAUT_KERNELS_GRAM_TILE_HPP_
