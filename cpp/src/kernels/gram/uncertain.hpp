// Pairs of vectors whose dot product may have lost something that counts, since terms of it left
// the range of Compute: their signs and their cosines are those of the exact dot product, computed
// from the source. Whether that may be is told from the vectors' smallest numbers, so that pairs of
// ordinary magnitudes, the orthogonal ones too, never come to that.

#ifndef TAUT_KERNELS_GRAM_UNCERTAIN_HPP_
#define TAUT_KERNELS_GRAM_UNCERTAIN_HPP_

#include "kernels/gram/exact_dot.hpp"
#include "kernels/gram/products.hpp"

namespace taut::TAUT_LEVEL {
namespace {

// Whether anything may be lost of a dot product below the range of T, from the smallest magnitudes
// of its two vectors. A term is a whole number of ulp(a) ulp(b): while that is no smaller than T's
// own smallest number, every result that is too small to be rounded is exact.
template <typename T>
[[gnu::always_inline]] inline bool may_lose(double smallest, double other_smallest) {
  constexpr double kUnits = static_cast<double>(INT64_C(1) << (GramRange<T>::kDigits - 1));
  return smallest * other_smallest < GramRange<T>::kSmallest * kUnits * kUnits;
}

// The dot products that what is lost could change by more than rounding does. Each term may be off
// by T's smallest number; and by half of that times a number of the other vector, which is at most
// kSafeLargest, where one was scaled to below the range.
template <typename T>
[[gnu::always_inline]] inline double uncertain_below(std::size_t length) {
  constexpr double kLost = GramRange<T>::kSmallest * (2 * kSafeLargest);
  constexpr double kRounding = static_cast<double>(INT64_C(1) << GramRange<T>::kDigits);
  return static_cast<double>(length) * (kLost * kRounding);
}

template <typename T>
inline bool may_lose_any(const GramMatrix& matrix, const GramTile& place) {
  double row = matrix.smallest[place.row];
  double column = matrix.smallest[place.column];
  for (std::size_t i = 1; i < place.rows; ++i) {
    const double smallest = matrix.smallest[place.row + i];
    row = smallest < row ? smallest : row;
  }
  for (std::size_t j = 1; j < place.columns; ++j) {
    const double smallest = matrix.smallest[place.column + j];
    column = smallest < column ? smallest : column;
  }
  return may_lose<T>(row, column);
}

// The pairs (i, j) of a tile in which something that counts may be lost; without those below the
// diagonal of a diagonal tile.
template <typename T, typename Visit>
[[gnu::always_inline]] inline void visit_uncertain(const GramMatrix& matrix, const GramTile& place,
                                                   const T* tile, Visit visit) {
  const double bound = uncertain_below<T>(matrix.length);
  for (std::size_t i = 0; i < place.rows; ++i) {
    for (std::size_t j = place.diagonal() ? i + 1 : 0; j < place.columns; ++j) {
      if (__builtin_fabs(tile[i * kGramTile + j]) <= bound &&
          may_lose<T>(matrix.smallest[place.row + i], matrix.smallest[place.column + j])) {
        visit(i, j);
      }
    }
  }
}

template <typename T>
[[gnu::noinline]] void clear_uncertain(const GramMatrix& matrix, const GramTile& place, T* tile) {
  visit_uncertain(matrix, place, tile, [&](std::size_t i, std::size_t j) {
    tile[i * kGramTile + j] = 0;
    if (place.diagonal()) tile[j * kGramTile + i] = 0;
  });
}

// Gives each of these pairs the sign of its exact dot product, in the smallest number that has
// one, and calls add(i, j, |cosine|).
template <typename T, typename Add>
[[gnu::noinline]] void complete_uncertain(const GramMatrix& matrix, const GramTile& place,
                                          ExactDotFunction exact, T* tile, Add add) {
  visit_uncertain(matrix, place, tile, [&](std::size_t i, std::size_t j) {
    const ExactDot dot = exact(matrix, place.row + i, place.column + j);
    if (dot.sign == 0) return;
    // The reciprocals are multiplied without their exponents, which may leave the range.
    const double row = matrix.reciprocals[place.row + i];
    const double column = matrix.reciprocals[place.column + j];
    const int row_exponent = __builtin_ilogb(row);
    const int column_exponent = __builtin_ilogb(column);
    const double significand = dot.magnitude * __builtin_ldexp(row, -row_exponent) *
                               __builtin_ldexp(column, -column_exponent);
    const double cosine =
        __builtin_ldexp(significand, dot.exponent + row_exponent + column_exponent);
    add(i, j, cosine);
    const T signed_number = static_cast<T>(dot.sign * GramRange<T>::kSmallest);
    tile[i * kGramTile + j] = signed_number;
    if (place.diagonal()) tile[j * kGramTile + i] = signed_number;
  });
}

}  // namespace
}  // namespace taut::TAUT_LEVEL

#endif  // TAUT_KERNELS_GRAM_UNCERTAIN_HPP_
