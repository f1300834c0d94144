// How the Gram matrix is cut: into blocks of vectors, strips of rows, and those into tiles.

#ifndef TAUT_PLANS_STRIP_HPP_
#define TAUT_PLANS_STRIP_HPP_

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>

#include "kernels/kernels.hpp"
#include "run/arena.hpp"
#include "taut/vector_range.hpp"

namespace taut {

// Throws std::bad_alloc for what no memory can have.
inline std::size_t round_up(std::size_t number, std::size_t multiple) {
  return checked_product(divide_up(number, multiple), multiple);
}

// Vectors that stand side by side in the copies, at [begin, end); and which one is the first.
struct VectorBlock {
  std::size_t begin;
  std::size_t end;
  std::size_t vector;

  std::size_t size() const { return end - begin; }
};

// Where a matrix's vectors stand in the copies. A range of them comes first, so that it is the
// square at the top of the Gram matrix, of which the upper triangle is enough; the others follow in
// up to two blocks, to whom it is a rectangle. All vectors are one block, and so are those of one
// tile, of which a range is a part.
class VectorBlocks {
 public:
  VectorBlocks(std::size_t vectors, VectorRange range) {
    if (range.end - range.begin == vectors || vectors <= kGramSmallTile) {
      add(0, vectors);
      targets_ = range;
      return;
    }
    add(range.begin, range.end);
    add(0, range.begin);
    add(range.end, vectors);
    targets_ = {0, first().end};
  }

  std::span<const VectorBlock> all() const { return std::span(blocks_).first(count_); }
  const VectorBlock& first() const { return blocks_[0]; }
  std::span<const VectorBlock> others() const { return all().subspan(1); }
  std::size_t end() const { return blocks_[count_ - 1].end; }

  // The range, in the copies.
  VectorRange targets() const { return targets_; }
  // Whether vectors of the first block are not in the range.
  bool is_part_of_first() const { return targets_.end - targets_.begin < first().size(); }

 private:
  // Where every level begins a group of registers, and no tile of the block before reads anything.
  static constexpr std::size_t kAlignment = kGramSmallTile;
  static_assert(kAlignment % kGramWeights == 0 && kAlignment % kGramSignGroup == 0);

  void add(std::size_t begin, std::size_t end) {
    if (begin == end && count_ > 0) return;
    const std::size_t at = count_ == 0 ? 0 : round_up(blocks_[count_ - 1].end, kAlignment);
    blocks_[count_++] = {at, at + (end - begin), begin};
  }

  std::array<VectorBlock, 3> blocks_{};
  std::size_t count_ = 0;
  VectorRange targets_;
};

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

  // Those above, in the columns of the strip's vectors.
  std::size_t tiles_above() const { return tile_rows() * (begin / tile); }
  GramTile tile_above(std::size_t index) const {
    const std::size_t column = begin + index % tile_rows() * tile;
    return {index / tile_rows() * tile, column, tile, std::min(tile, end - column)};
  }

  // The same rows towards vectors of another block.
  std::size_t tiles_towards(const VectorBlock& others) const {
    return tile_rows() * divide_up(others.size(), tile);
  }
  GramTile tile_towards(const VectorBlock& others, std::size_t index) const {
    const std::size_t row = begin + index % tile_rows() * tile;
    const std::size_t column = others.begin + index / tile_rows() * tile;
    return {row, column, std::min(tile, end - row), std::min(tile, others.end - column)};
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
