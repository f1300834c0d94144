#include <algorithm>

#include "plans/fill.hpp"
#include "plans/gram_plan.hpp"
#include "plans/registry.hpp"
#include "views/check.hpp"

namespace taut {

void GramPlan::run(std::size_t phase, std::size_t piece, std::byte* scratch) {
  const auto [step, strip_index, part] = cut_.place_of(phase);
  switch (step) {
    case GramStep::kPack:
      return pack(piece);
    case GramStep::kTiles:
      return tile(strip_index, piece, scratch);
    case GramStep::kSigns:
      return multiply_signs(cut_.strip(strip_index), part, piece, scratch);
    case GramStep::kCopyPart:
      return copy_part(cut_.strip(strip_index), part, piece);
    case GramStep::kFinish:
      return finish(part, piece);
    case GramStep::kWindows:
      return finish_window(cut_.strip(strip_index), piece, scratch);
    case GramStep::kStreamTile:
      return stream_tile(scratch);
    case GramStep::kStreamFinish:
      return stream_finish(scratch);
  }
}

void GramPlan::pack(std::size_t piece) {
  const VectorBlock* block = blocks_.all().data();
  for (; piece >= groups(*block); ++block) piece -= groups(*block);
  if (piece == 0) clear_padding(*block);
  GramMatrix matrix = matrix_towards(*block);
  matrix.source = matrix.column_source;
  if (!kernel_.pack(matrix, block->begin + piece * kernel_.register_columns)) finite_ = false;
}

void GramPlan::tile(std::size_t strip_index, std::size_t piece, std::byte* scratch) {
  if (!finite_) return;
  if (piece == 0 && strip_index > 0) add_to_total(strip_index - 1);
  const Strip rows = cut_.strip(strip_index);
  if (piece >= tiles(rows)) {
    return tile_above(rows, rows.tile_above(piece - tiles(rows)), scratch);
  }
  double& sum = sums_[strip_index % 2][piece];
  if (piece < rows.tiles()) {
    sum = sum_of_targets(own_tile(rows, rows.tile_at(piece), scratch));
    return;
  }
  piece -= rows.tiles();
  std::size_t other = 0;
  for (; piece >= rows.tiles_towards(blocks_.others()[other]); ++other) {
    piece -= rows.tiles_towards(blocks_.others()[other]);
  }
  const VectorBlock& others = blocks_.others()[other];
  const GramSigns signs = signs_towards(other, rows);
  sum = kernel_.tile(matrix_towards(others), rows.tile_towards(others, piece),
                     wants_signs() ? &signs : nullptr, nullptr, scratch);
}

// Its sum, and the signs of the vectors above, were computed with their strip.
void GramPlan::tile_above(const Strip& rows, const GramTile& tile, std::byte* scratch) {
  Block block(scratch);
  const TileMemory memory(*this, block);
  const GramSigns known = memory.known.signs(cut_.tile, tile.row, tile.column);
  const GramSigns signs = signs_of_rows(rows);
  kernel_.tile(matrix_, tile, &known, &signs, memory.products);
}

// The tiles inside the strip's own square have both directions in its row signs.
double GramPlan::own_tile(const Strip& rows, const GramTile& tile, std::byte* scratch) {
  const GramSigns row_signs = signs_of_rows(rows);
  const GramSigns column_signs = signs_of_columns(rows);
  const GramSigns* of_columns = tile.column < rows.end ? &row_signs : &column_signs;
  if (tile.column >= rows.end && cut_.way == GramWay::kStripSigns) of_columns = nullptr;
  return kernel_.tile(matrix_, tile, wants_signs() ? &row_signs : nullptr,
                      wants_signs() ? of_columns : nullptr, scratch);
}

// Of the vectors from the strip on: no others are looked to.
void GramPlan::copy_part(const Strip& rows, std::size_t part, std::size_t piece) {
  if (!finite_) return;
  kernel_.copy_panels(part_of_matrix(part), rows.begin + piece * kernel_.register_columns);
}

// The strip's rows look to all vectors from the strip on, those below look to the strip; and where
// only a range is asked for, its rows to all others.
void GramPlan::multiply_signs(const Strip& rows, std::size_t part, std::size_t piece,
                              std::byte* scratch) {
  if (!finite_) return;
  GramMatrix matrix = part_of_matrix(part);
  if (part > 0) matrix.projections = nullptr;  // they are of all coordinates
  const std::size_t panel = piece / target_pieces(rows) * panels_per_piece();
  const std::size_t panel_end = std::min(panels_of_part(part), panel + panels_per_piece());
  const std::size_t index = piece % target_pieces(rows);
  const std::size_t step = targets_per_piece();
  const auto multiply = [&](std::size_t begin, std::size_t end, std::size_t other_end,
                            const GramSigns& signs) {
    kernel_.multiply_signs(matrix, panel, panel_end, begin, std::min(end, begin + step), other_end,
                           signs, scratch);
  };
  if (index >= row_pieces(rows)) {
    const std::size_t begin = rows.end + (index - row_pieces(rows)) * step;
    return multiply(begin, own_, rows.end, signs_of_columns(rows));
  }
  const VectorRange targets = this->targets(rows);
  const std::size_t begin = targets.begin + index * step;
  multiply(begin, targets.end, own_, signs_of_rows(rows));
  for (std::size_t other = 0; other < blocks_.others().size(); ++other) {
    multiply(begin, targets.end, blocks_.others()[other].end, signs_towards(other, rows));
  }
}

void GramPlan::finish(std::size_t part, std::size_t piece) {
  if (!finite_) {
    if (part == 0) fill_gradient_with_nan(problem_, piece, finish_pieces());
    return;
  }
  const auto [first, last] = blocks_.targets();
  const std::size_t begin = first + piece * kFinishedVectors;
  const std::size_t end = std::min(last, begin + kFinishedVectors);
  const GramCoefficient by = coefficient();
  if (part == 0) by.scale_reciprocals(matrix_.reciprocals, begin, end);
  kernel_.finish(part_of_matrix(part), begin, end, by.number,
                 target(part * cut_.coordinates_of_part()));
}

void GramPlan::finish_window(const Strip& rows, std::size_t piece, std::byte* scratch) {
  if (!finite_) {
    if (rows.begin > 0) return;
    return fill_gradient_with_nan(problem_, piece, windows_.count() * window_pieces());
  }
  const std::size_t begin = rows.begin + piece % window_pieces() * targets_of_window();
  const std::size_t end = std::min(keeps_signs() ? own_ : rows.end, begin + targets_of_window());
  windows_.finish(piece / window_pieces(), matrix_, {begin, end}, signs_of_rows(rows),
                  coefficient(), target(0), scratch);
}

void GramPlan::stream_tile(std::byte* scratch) {
  clear_padding(blocks_.first());
  for (std::size_t begin = 0; begin < vectors_; begin += kernel_.register_columns) {
    if (!kernel_.stream_pack(matrix_, begin)) finite_ = false;
  }
  if (!finite_) return;
  const GramSigns signs = signs_of_rows(cut_.strip(0));
  sums_[0][0] =
      sum_of_targets(kernel_.stream_tile(matrix_, wants_signs() ? &signs : nullptr, scratch));
}

void GramPlan::stream_finish(std::byte* scratch) {
  if (!finite_) return fill_gradient_with_nan(problem_, 0, 1);
  const auto [begin, end] = blocks_.targets();
  const GramCoefficient by = coefficient();
  by.scale_reciprocals(matrix_.reciprocals, begin, end);
  kernel_.stream_finish(matrix_, begin, end, signs_of_rows(cut_.strip(0)), by.number, target(0),
                        scratch);
}

// From a coordinate on.
GramTarget GramPlan::target(std::size_t coordinate) const {
  const auto begin = static_cast<std::ptrdiff_t>(coordinate);
  return {target_.data + begin * target_.coordinate_stride,
          target_.vector_stride,
          target_.coordinate_stride,
          problem_.gradient->dtype() == DType::kFloat32,
          problem_.task == Task::kAccumulate,
          blocks_.targets().begin};
}

namespace {

class GramPlanMaker final : public VectorPlanMaker {
 public:
  explicit GramPlanMaker(double factor) : factor_(factor) {}
  Plan& make(const Problem& problem, const Vectors& vectors, const Call& call) const override {
    return call.arena().make<GramPlan>(factor_, problem, vectors, call);
  }

 private:
  double factor_;
};

}  // namespace

void check(const OrthogonalRegularizer& regularizer, Task task, const ConstView& x, double) {
  check_factor("factor", regularizer.factor);
  check_matrix("OrthogonalRegularizer", regularizer.flatten, x);
  if (task == Task::kProx) refuse_prox("OrthogonalRegularizer");
}

Plan& make_plan(const OrthogonalRegularizer& regularizer, const Problem& problem,
                const Call& call) {
  const std::size_t vectors = count_of_vectors(*problem.x, regularizer.mode);
  return make_plan(regularizer, VectorRange{0, vectors}, problem, call);
}

Plan& make_plan(const OrthogonalRegularizer& regularizer, VectorRange range, const Problem& problem,
                const Call& call) {
  const ConstView& x = *problem.x;
  if (regularizer.factor == 0 || range.begin == range.end ||
      count_of_vectors(x, regularizer.mode) < 2 || length_of_vectors(x, regularizer.mode) == 0) {
    return make_zero_plan(problem, call);
  }
  return make_vector_plan(problem, regularizer.mode, range, call,
                          GramPlanMaker(regularizer.factor));
}

}  // namespace taut
