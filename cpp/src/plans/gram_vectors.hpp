// What the plans of the orthogonal penalty have in common: a matrix's vectors, but for how they are
// copied, and what a gradient is multiplied with.

#ifndef TAUT_PLANS_GRAM_VECTORS_HPP_
#define TAUT_PLANS_GRAM_VECTORS_HPP_

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstddef>

#include "kernels/kernels.hpp"
#include "plans/strip.hpp"
#include "plans/vectors.hpp"
#include "run/arena.hpp"

namespace taut {

// What one thread does in a nanosecond, about: see benchmarks/.
constexpr double kMultiplyAddsPerNanosecond = 60;
constexpr double kSignsPerNanosecond = 130;
constexpr double kCopiesPerNanosecond = 1.5;

// Up to so many vectors, tables of their sums are not worth their making.
constexpr std::size_t kMostMultipliedDirectly = 36;
static_assert(kMostMultipliedDirectly <= kGramSmallTile);

// See GramSigns.
inline std::size_t own_group_of(std::size_t vectors) {
  return vectors <= kMostMultipliedDirectly ? round_up(vectors, kGramSignGroup) : kGramSignGroup;
}

inline double number_of_pairs(std::size_t vectors) {
  return static_cast<double>(vectors) * static_cast<double>(vectors - 1) / 2;
}

inline std::size_t padded_weights(const GramMatrix& matrix) {
  return round_up(matrix.padded_vectors, kGramWeights);
}

// Memory for what is known of each vector, beside the copies.
inline void place_vectors(GramMatrix& matrix, std::size_t compute_size, Block& block) {
  matrix.weights = block.take<double>(padded_weights(matrix));
  matrix.unit_weights = block.take<std::byte>(checked_product(matrix.panel_vectors, compute_size));
  matrix.reciprocals = block.take<double>(matrix.padded_vectors);
  matrix.clamped = block.take<bool>(matrix.padded_vectors);
  matrix.factors = block.take<double>(matrix.padded_vectors);
  matrix.smallest = block.take<double>(matrix.padded_vectors);
}

// number * 2^exponent: what a vector's gradient is multiplied with, beside its reciprocal. Where
// the product is beyond float64's range, half of its exponent is for the reciprocals.
struct GramCoefficient {
  double number;
  int exponent;

  GramCoefficient(double scale, double factor, double pairs)
      : number(scale * factor / pairs), exponent(0) {
    const double magnitude = std::abs(number);
    const bool is_normal = magnitude >= DBL_MIN && magnitude <= DBL_MAX;
    if (is_normal || scale == 0 || !std::isfinite(scale)) return;
    int scale_exponent, factor_exponent;
    scale = std::frexp(scale, &scale_exponent);
    factor = std::frexp(factor, &factor_exponent);
    const int both = scale_exponent + factor_exponent;
    number = std::ldexp(scale * factor / pairs, both / 2);
    exponent = both - both / 2;
  }

  void scale_reciprocals(double* reciprocals, std::size_t begin, std::size_t end) const {
    if (exponent == 0) return;
    for (std::size_t vector = begin; vector < end; ++vector) {
      reciprocals[vector] = std::ldexp(reciprocals[vector], exponent);
    }
  }
};

}  // namespace taut

#endif  // TAUT_PLANS_GRAM_VECTORS_HPP_
