// How the Gram matrix is cut: into strips of rows, and those into tiles.

#ifndef TAUT_PLANS_STRIP_HPP_
#define TAUT_PLANS_STRIP_HPP_

#include <algorithm>
#include <cstddef>

#include "kernels/kernels.hpp"
#include "run/arena.hpp"

namespace taut {

// Rows [begin, end) of the Gram matrix, from the diagonal on.
struct Strip {
  std::size_t begin;
  std::size_t end;
  std::size_t vectors;
  std::size_t tile;  // vectors along each side of a tile

  // Tile rows are counted from the top; each begins on the diagonal.
  std::size_t tiles_of_row(std::size_t row) const {
    return divide_up(vectors - begin - row * tile, tile);
  }
  std::size_t tile_rows() const { return divide_up(end - begin, tile); }
  std::size_t tiles() const {
    std::size_t tiles = 0;
    for (std::size_t row = 0; row < tile_rows(); ++row) tiles += tiles_of_row(row);
    return tiles;
  }
  // Row by row.
  GramTile tile_at(std::size_t index) const {
    std::size_t tile_row = 0;
    for (; index >= tiles_of_row(tile_row); ++tile_row) index -= tiles_of_row(tile_row);
    const std::size_t row = begin + tile_row * tile;
    const std::size_t column = row + index * tile;
    return {row, column, std::min(tile, end - row), std::min(tile, vectors - column)};
  }
};

// Few vectors are cut into small tiles, so that there is work for every thread; of many, a tile is
// as large as its cache allows, since it is read anew for each.
inline std::size_t tile_side(std::size_t vectors) {
  if (vectors <= 2 * kGramTile) return kGramSmallTile;
  return vectors <= 6 * kGramTile ? 2 * kGramSmallTile : kGramTile;
}

}  // namespace taut

#endif  // TAUT_PLANS_STRIP_HPP_
