// The orthogonal penalty. The Gram matrix is walked strip by strip: the tiles of kGramStrip rows
// and everything to the right of the diagonal give the value and the signs, then the signs are
// multiplied with the directions, for the strip's own rows and for those below, and can be
// forgotten. So the signs of one strip are all that is stored of the n x n matrix.
//
// Three copies of a large matrix may be too much memory. Then all signs are kept, 0.4 bytes a pair,
// and what is multiplied with them is copied window by window (gram_window.hpp); that takes less
// unless the vectors are many times as many as coordinates. For these, strips stay, of fewer rows,
// but the copy that signs are multiplied with has a part of the coordinates at a time. Where that
// is too much as well, as of half types, whose copies are in float32, a strip keeps its signs
// towards all vectors, for which the tiles above it are computed again. The bits are the same.
//
// For a range of the vectors, the strips are those of its own square; each looks, beyond it, to the
// other vectors, in one direction alone, and a pair with one of them counts half.

#ifndef TAUT_PLANS_GRAM_PLAN_HPP_
#define TAUT_PLANS_GRAM_PLAN_HPP_

#include <algorithm>
#include <array>
#include <atomic>
#include <limits>
#include <span>

#include "kernels/kernels.hpp"
#include "plans/gram_cut.hpp"
#include "plans/gram_vectors.hpp"
#include "plans/gram_window.hpp"
#include "plans/plan.hpp"
#include "plans/sign_store.hpp"
#include "plans/vectors.hpp"

namespace taut {

constexpr std::size_t kFinishedVectors = 64;  // per piece

class GramPlan final : public Plan {
 public:
  GramPlan(double factor, const Problem& problem, const Vectors& vectors, const Call& call)
      : factor_(factor),
        kernel_(call.kernels().gram[static_cast<std::size_t>(problem.dtype)]),
        problem_(problem),
        source_(vectors.arrays[0]),
        target_(vectors.arrays[1]),
        vectors_(vectors.count),
        length_(vectors.length),
        blocks_(vectors_, vectors.range),
        own_(blocks_.first().size()),
        padded_(round_up(blocks_.end(), kernel_.vector_multiple)),
        panel_vectors_(round_up(blocks_.end(), kGramSignGroup)),
        cut_{own_, length_, tile_side(vectors_), problem.has_gradient()} {
    matrix_ = matrix_towards(blocks_.first());
    row_store_.tile = column_store_.tile = cut_.tile;
    row_store_.own_group = column_store_.own_group = own_group_of(own_);
    for (SignStore& store : other_stores_) store.tile = cut_.tile;
    choose_way(most_memory(*problem.x, vectors));
    for (auto& sums : sums_) sums = call.arena().take<double>(tiles(cut_.strip(0)));
    if (has_windows()) {
      matrix_.gradient_vectors = round_up(keeps_signs() ? own_ : cut_.strip(0).end, kGramSignGroup);
      windows_ = GramWindows(kernel_, matrix_, length_);
    }
    Block of_tile;
    [[maybe_unused]] const TileMemory counted(*this, of_tile);
    set_needs(cut_.count_phases(),
              std::max({of_tile.used(), kernel_.sign_scratch, windows_.scratch()}));
  }

  void place(Block& block) override;
  Phase phase(std::size_t index) const override;
  void run(std::size_t phase, std::size_t piece, std::byte* scratch) override;
  double combine() override {
    if (!finite_) return std::numeric_limits<double>::quiet_NaN();
    add_to_total(cut_.strips() - 1);
    return factor_ * (total_ / number_of_pairs(vectors_));
  }

 private:
  // Where no tile is but the first, the sum of a part of its vectors is that of their signs'
  // cosines.
  bool wants_signs() const { return problem_.has_gradient() || blocks_.is_part_of_first(); }

  // Chooses the way, and so what memory is taken: see gram_memory.cpp.
  void choose_way(std::size_t most);
  bool is_streamed() const;
  std::size_t memory_of(GramWay way, std::size_t height);
  bool keeps_signs() const { return cut_.way == GramWay::kAllSigns; }
  bool has_windows() const { return keeps_signs() || cut_.way == GramWay::kStripSigns; }

  std::size_t groups(const VectorBlock& block) const {
    return divide_up(block.size(), kernel_.register_columns);
  }
  // The copies of a block as those of a matrix that ends with it; for tiles, the first block's
  // vectors towards those of this one.
  GramMatrix matrix_towards(const VectorBlock& block) const {
    GramMatrix matrix = matrix_;
    matrix.vectors = block.end;
    matrix.length = length_;
    matrix.padded_vectors = padded_;
    matrix.panel_vectors = panel_vectors_;
    matrix.gradient_vectors = round_up(own_, kGramSignGroup);
    matrix.source = source_of(blocks_.first());
    matrix.column_source = source_of(block);
    return matrix;
  }
  GramSource source_of(const VectorBlock& block) const {
    const auto vector = static_cast<std::ptrdiff_t>(block.vector);
    return {source_.data + vector * source_.vector_stride, source_.vector_stride,
            source_.coordinate_stride, block.begin};
  }
  // What tiles read beyond the last vector of a block counts for nothing.
  void clear_padding(const VectorBlock& block) {
    const std::size_t packed = block.begin + groups(block) * kernel_.register_columns;
    const bool is_last = &block == &blocks_.all().back();
    std::fill(matrix_.weights + std::min(packed, padded_),
              matrix_.weights + (is_last ? padded_weights(matrix_) : (&block + 1)->begin), 0.0);
  }
  // Towards all blocks.
  std::size_t tiles(const Strip& rows) const {
    std::size_t tiles = rows.tiles();
    for (const VectorBlock& others : blocks_.others()) tiles += rows.tiles_towards(others);
    return tiles;
  }
  std::size_t panels_of_part(std::size_t part) const {
    return divide_up(cut_.length_of_part(part), kGramCoordinates) *
           (kGramCoordinates / kernel_.panel);
  }
  // The matrix of a part's coordinates, without rows.
  GramMatrix part_of_matrix(std::size_t part) const {
    const std::size_t begin = part * cut_.coordinates_of_part();
    GramMatrix matrix = matrix_;
    matrix.length = cut_.length_of_part(part);
    matrix.source.data = static_cast<const std::byte*>(matrix_.source.data) +
                         static_cast<std::ptrdiff_t>(begin) * matrix_.source.coordinate_stride;
    matrix.rows = nullptr;
    matrix.gradients = static_cast<std::byte*>(matrix_.gradients) +
                       begin * matrix_.gradient_vectors * kernel_.compute_size;
    return matrix;
  }
  // Adds up the tiles of a strip, whose sums are overwritten two strips later. Lower strips are
  // added as those of kGramStrip rows that they are parts of.
  void add_to_total(std::size_t strip_index) {
    const Strip rows = cut_.strip(strip_index);
    const auto sums = sums_[strip_index % 2].first(tiles(rows));
    for (const double of_tile : sums.first(rows.tiles())) sum_ += of_tile;
    double towards_others = 0;
    for (const double of_tile : sums.subspan(rows.tiles())) towards_others += of_tile;
    if (rows.end % kGramStrip != 0 && rows.end != own_) return;
    total_ += sum_ + towards_others / 2;
    sum_ = 0;
  }
  // The sum of the only tile, from that of all its pairs.
  double sum_of_targets(double sum) const {
    if (!blocks_.is_part_of_first()) return sum;
    const auto [begin, end] = blocks_.targets();
    double cosines = 0;
    for (std::size_t i = begin; i < end; ++i) cosines += row_store_.cosines[i];
    return cosines / 2;
  }

  // One thread's, for a tile: its products, and, of a tile above its strip, signs that are known.
  struct TileMemory {
    TileMemory(const GramPlan& plan, Block& block)
        : products(block.take<std::byte>(plan.kernel_.tile_scratch)) {
      if (plan.cut_.way != GramWay::kStripSigns) return;
      known.tile = plan.cut_.tile;
      known.place(block, known.tile, known.tile);
    }

    std::byte* products;
    SignStore known;
  };

  // Of a strip's rows towards all vectors from the strip on, or towards all, and of those below
  // towards the strip.
  GramSigns signs_of_rows(const Strip& rows) const {
    if (keeps_signs()) return row_store_.signs(own_, 0, 0);
    return row_store_.signs(rows.end - rows.begin, rows.begin, has_windows() ? 0 : rows.begin);
  }
  GramSigns signs_of_columns(const Strip& rows) const {
    if (keeps_signs()) return signs_of_rows(rows);
    return column_store_.signs(own_ - rows.end, rows.end, rows.begin);
  }

  GramSigns signs_towards(std::size_t other, const Strip& rows) const {
    return other_stores_[other].signs(rows.end - rows.begin, rows.begin,
                                      blocks_.others()[other].begin);
  }

  void pack(std::size_t piece);
  void tile(std::size_t strip_index, std::size_t piece, std::byte* scratch);
  double own_tile(const Strip& rows, const GramTile& tile, std::byte* scratch);
  void tile_above(const Strip& rows, const GramTile& tile, std::byte* scratch);
  void copy_part(const Strip& strip, std::size_t part, std::size_t piece);
  void multiply_signs(const Strip& strip, std::size_t part, std::size_t piece, std::byte* scratch);
  std::size_t panels_per_piece() const;
  std::size_t panel_pieces(std::size_t part) const {
    return divide_up(panels_of_part(part), panels_per_piece());
  }
  std::size_t targets_per_piece() const {
    return panels_of_part(0) < 16 ? kGramStrip / 4 : kGramStrip;
  }
  // Of a strip: its rows that are in the range, from a whole group on.
  VectorRange targets(const Strip& rows) const {
    const auto [begin, end] = blocks_.targets();
    return {std::max(rows.begin, begin - begin % kGramSignGroup), std::min(rows.end, end)};
  }
  std::size_t row_pieces(const Strip& strip) const {
    const auto [begin, end] = targets(strip);
    return divide_up(end - begin, targets_per_piece());
  }
  std::size_t target_pieces(const Strip& strip) const {
    return row_pieces(strip) + divide_up(own_ - strip.end, targets_per_piece());
  }
  std::size_t finish_pieces() const {
    return divide_up(blocks_.targets().end - blocks_.targets().begin, kFinishedVectors);
  }
  std::size_t targets_of_window() const;
  std::size_t window_pieces() const;
  void finish(std::size_t part, std::size_t piece);
  void finish_window(const Strip& strip, std::size_t piece, std::byte* scratch);
  void stream_tile(std::byte* scratch);
  void stream_finish(std::byte* scratch);
  GramTarget target(std::size_t coordinate) const;
  GramCoefficient coefficient() const {
    return {problem_.scale, factor_, number_of_pairs(vectors_)};
  }

  double factor_;
  const GramKernel& kernel_;
  const Problem& problem_;
  Vectors::Array source_;
  Vectors::Array target_;  // the gradient
  std::size_t vectors_;
  std::size_t length_;
  VectorBlocks blocks_;
  std::size_t own_;     // vectors of the first block
  std::size_t padded_;  // of the copies
  std::size_t panel_vectors_;
  GramCut cut_;
  GramMatrix matrix_{};
  GramWindows windows_;
  SignStore row_store_;
  SignStore column_store_;
  std::array<SignStore, 2> other_stores_;  // of rows towards the other blocks
  std::array<std::span<double>, 2> sums_;  // of the tiles of this strip and of the one before
  double total_ = 0;                       // of the strips before those
  double sum_ = 0;                         // likewise, of the last one, where it is not whole yet
  std::atomic<bool> finite_{true};
};

}  // namespace taut

#endif  // TAUT_PLANS_GRAM_PLAN_HPP_
