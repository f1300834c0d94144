// How the Gram matrix's tiles are dealt out to shares, and how the signs lie that these tell one
// another: see taut/pair_share.hpp.

#ifndef TAUT_PLANS_PAIR_WORDS_HPP_
#define TAUT_PLANS_PAIR_WORDS_HPP_

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "plans/gram_vectors.hpp"
#include "taut/pair_share.hpp"

namespace taut {

using PairWord = std::uint64_t;

// The tile in row i and column j of the Gram matrix's tiles is of share (i + j) mod `shares`, and
// so is its mirror image. So every share has as many of each row as the others, but for one, and
// the same work, since a tile on the diagonal is half of one.
//
// For each vector, a share has a row of words: a slot for each of its tiles in the vector's row of
// tiles, in their order, and the vector's signs towards its own group, which the share has that has
// the tile on the diagonal. In a slot are the words of positive signs, those of negative ones (with
// kHasZero where there is a sign 0; else they do not count), and the vector's sum of cosines with
// the tile: see GramSigns.
struct PairWords {
  // A bit that no group's code has.
  static constexpr PairWord kHasZero = 0x80;

  std::size_t shares;
  std::size_t tile;   // vectors along each side
  std::size_t tiles;  // in a row
  std::size_t
      own_group;       // see GramSigns; of few vectors, all of them, and then there are no blocks
  std::size_t blocks;  // of others in a tile
  std::size_t own;     // words

  PairWords(std::size_t vectors, std::size_t share_count, std::size_t compute_size)
      : shares(share_count),
        tile(tile_side(vectors)),
        tiles(divide_up(vectors, tile)),
        own_group(own_group_of(vectors)),
        blocks(own_group < vectors ? tile / kGramSignBlock : 0),
        own(own_group * compute_size / sizeof(PairWord)) {}

  std::size_t share_of(std::size_t row, std::size_t column) const {
    return (row + column) % shares;
  }
  std::size_t slots() const { return divide_up(tiles, shares); }
  std::size_t slot_size() const { return 2 * blocks + 1; }
  std::size_t slot_of(std::size_t column) const { return column / shares * slot_size(); }
  std::size_t own_place() const { return slots() * slot_size(); }
  std::size_t row_size() const { return own_place() + own; }
};

// What is measured of a vector, as its row of numbers that a share gives: see GramMatrix.
inline void write_measures(const GramMatrix& matrix, std::size_t vector, double* measures) {
  double* const row = measures + vector * kPairMeasures;
  row[0] = matrix.weights[vector];
  row[1] = matrix.reciprocals[vector];
  row[2] = matrix.factors[vector];
  row[3] = matrix.clamped[vector] ? 1 : 0;
}
inline void read_measures(const double* measures, std::size_t vector, GramMatrix& matrix) {
  const double* const row = measures + vector * kPairMeasures;
  matrix.weights[vector] = row[0];
  matrix.reciprocals[vector] = row[1];
  matrix.factors[vector] = row[2];
  matrix.clamped[vector] = row[3] != 0;
}

// That a number of x is not finite: a weight is.
inline void mark_not_finite(double* measures) {
  measures[0] = std::numeric_limits<double>::quiet_NaN();
}
inline bool are_finite(const double* measures) { return !std::isnan(measures[0]); }

}  // namespace taut

#endif  // TAUT_PLANS_PAIR_WORDS_HPP_
