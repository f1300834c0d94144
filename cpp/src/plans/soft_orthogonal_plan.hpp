// Soft orthogonality, of the vectors V that soft_orthogonal_route.hpp chooses.
//
// With H = VVᵀ but for its diagonal, the penalty is Σ H², and its gradient 4 H V. H is walked strip
// by strip: its tiles from the diagonal on give the value, and are kept until they have been
// multiplied with V for the vectors of the strip and those below.
//
// Where that takes too much memory, all of H is kept, and multiplied with some coordinates of V at
// a time, which are copied for it; and of a few long vectors no other copy is kept either, but each
// window is copied where it is measured, and again where it is multiplied. The bits are the same.

#ifndef TAUT_PLANS_SOFT_ORTHOGONAL_PLAN_HPP_
#define TAUT_PLANS_SOFT_ORTHOGONAL_PLAN_HPP_

#include <algorithm>
#include <atomic>
#include <cfloat>
#include <cmath>
#include <span>

#include "kernels/kernels.hpp"
#include "plans/plan.hpp"
#include "plans/soft_orthogonal_route.hpp"
#include "plans/strip.hpp"
#include "plans/vectors.hpp"

namespace taut {

constexpr std::size_t kSoftStrip = 6 * kGramTile;
static_assert(kSoftStrip % kGramDepthBlock == 0);

// Coordinates whose products are summed at once. What the windows of longer vectors give is kept,
// less than a third of the matrix, and added up afterwards: so there is work for every thread where
// there are few vectors, and no long chain of additions in float32.
constexpr std::size_t kSoftWindow = 32 * kGramDepthBlock;

// Where memory is short, V's coordinates are copied in so many parts.
constexpr std::size_t kSoftParts = 8;

// A whole number of register rows at every level: see products.
constexpr std::size_t kSoftProductRows = 16;

// Sums of products of three such numbers are far from the ends of float32's range.
constexpr double kSoftLargest = 0x1p20;
constexpr double kSoftSmallest = 0x1p-20;
constexpr int kMostShift = 1000;  // whose power of two float64 has, and the reciprocal's

class SoftOrthogonalPlan final : public Plan {
 public:
  SoftOrthogonalPlan(const SoftOrthogonalRegularizer& regularizer, const Problem& problem,
                     const Vectors& w, const Call& call)
      : factor_(regularizer.factor),
        kernel_(call.kernels().soft_orthogonal[static_cast<std::size_t>(problem.dtype)]),
        shape_(call.kernels().gram[static_cast<std::size_t>(problem.dtype)]),
        problem_(problem),
        route_(regularizer, w),
        target_(route_.vectors(w).arrays[1]),
        matrix_(copies_of(route_.vectors(w))),
        turned_(copies_of(turned(route_.vectors(w)))),
        tile_(tile_side(matrix_.vectors)),
        block_(tile_side(turned_.vectors)),
        tile_sums_(call.arena().take<double>(tiles_before(strips()))) {
    if (matrix_.vectors == 0) return;
    stay_within(most_memory(*problem.x, w));
    set_needs(count_phases(), count_scratch());
  }

  void place(Block& block) override;
  Phase phase(std::size_t index) const override;
  void run(std::size_t phase, std::size_t piece, std::byte* scratch) override;
  double combine() override;

 private:
  enum class Step { kPack, kTurn, kWindows, kTiles, kMultiply, kTurnPart, kMultiplyPart };
  struct Place {
    Step step;
    std::size_t strip;  // or part
  };
  std::size_t count_phases() const {
    const std::size_t of_parts = saves_memory_ && has_gradient() ? 2 * parts() : 0;
    return 2 + strips() * steps_of_strip() + of_parts;
  }
  Place place_of(std::size_t phase) const {
    if (phase < 2) return {phase == 0 ? Step::kPack : Step::kTurn, 0};
    const std::size_t strip = (phase - 2) / steps_of_strip();
    if (strip >= strips()) {
      const std::size_t step_of_part = phase - 2 - strips() * steps_of_strip();
      return {step_of_part % 2 == 0 ? Step::kTurnPart : Step::kMultiplyPart, step_of_part / 2};
    }
    const std::size_t step = (phase - 2) % steps_of_strip();
    if (windows() > 1 && step == 0) return {Step::kWindows, strip};
    return {step == (windows() > 1 ? 1 : 0) ? Step::kTiles : Step::kMultiply, strip};
  }
  std::size_t steps_of_strip() const {
    const bool multiplies = has_gradient() && !saves_memory_;
    return std::size_t{1} + (windows() > 1 ? 1 : 0) + (multiplies ? 1 : 0);
  }

  // Chooses the way, and so what memory is taken: see soft_orthogonal_memory.cpp.
  void stay_within(std::size_t most);
  std::size_t count_memory();
  std::size_t count_scratch() const;
  // Whether no vectors are kept side by side: few long ones, whose copies would be padded.
  bool is_streamed() const {
    return saves_memory_ && windows() > 1 && matrix_.vectors <= kGramSmallTile;
  }

  bool has_gradient() const { return problem_.has_gradient(); }
  bool subtracts_norms() const { return route_.diagonal == SoftDiagonal::kWhole; }
  bool is_turned() const { return has_gradient() || subtracts_norms(); }
  // Where H is kept, a strip is what has its windows' products at once.
  std::size_t height() const { return saves_memory_ ? kGramTile : kSoftStrip; }
  std::size_t strips() const { return divide_up(matrix_.vectors, height()); }
  Strip strip(std::size_t index) const {
    const std::size_t begin = index * height();
    return {begin, std::min(matrix_.vectors, begin + height()), matrix_.vectors, tile_};
  }
  std::size_t tiles_before(std::size_t strip_index) const {
    std::size_t tiles = 0;
    for (std::size_t index = 0; index < strip_index; ++index) tiles += strip(index).tiles();
    return tiles;
  }
  std::size_t bytes_of_products() const {
    const std::size_t rows = std::min(tile_, round_up(matrix_.vectors, kSoftProductRows));
    return rows * kGramTile * shape_.compute_size;
  }

  std::size_t windows() const { return divide_up(matrix_.length, kSoftWindow); }
  // The matrix of a window's coordinates, whose copies are behind those of the windows before; in
  // the scratch memory where they are not kept.
  GramMatrix window(std::size_t index, std::byte* scratch) const {
    const std::size_t begin = index * kSoftWindow;
    GramMatrix window = matrix_;
    window.length = std::min(kSoftWindow, matrix_.length - begin);
    window.source.data = static_cast<const std::byte*>(matrix_.source.data) +
                         static_cast<std::ptrdiff_t>(begin) * matrix_.source.coordinate_stride;
    window.rows = is_streamed() ? scratch
                                : static_cast<std::byte*>(matrix_.rows) +
                                      begin * matrix_.padded_vectors * shape_.compute_size;
    return window;
  }

  std::size_t coordinates_of_part() const {
    return round_up(divide_up(turned_.vectors, kSoftParts), block_);
  }
  std::size_t parts() const { return divide_up(turned_.vectors, coordinates_of_part()); }
  // Some of the coordinates, whose copies are the only ones.
  GramMatrix slice_of_turned(std::size_t begin, std::size_t count) const {
    GramMatrix slice = turned_;
    slice.vectors = std::min(count, turned_.vectors - begin);
    slice.padded_vectors = round_up(slice.vectors, shape_.vector_multiple);
    slice.source.data = static_cast<const std::byte*>(turned_.source.data) +
                        static_cast<std::ptrdiff_t>(begin) * turned_.source.vector_stride;
    return slice;
  }
  GramMatrix part_of_turned(std::size_t index) const {
    return slice_of_turned(index * coordinates_of_part(), coordinates_of_part());
  }

  std::size_t groups(const GramMatrix& matrix) const {
    return divide_up(matrix.padded_vectors, shape_.register_columns);
  }
  std::size_t blocks() const { return divide_up(turned_.vectors, block_); }
  // Before the tiles: for the norms, and for the product, unless that has its coordinates in parts.
  std::size_t groups_turned_first() const {
    const bool are_turned = saves_memory_ ? subtracts_norms() : is_turned();
    return are_turned ? groups(turned_) : 0;
  }

  GramMatrix copies_of(const Vectors& vectors) const {
    const Vectors::Array& x = vectors.arrays[0];
    GramMatrix matrix{};
    matrix.vectors = vectors.count;
    matrix.length = vectors.length;
    matrix.padded_vectors = round_up(matrix.vectors, shape_.vector_multiple);
    matrix.source = {x.data, x.vector_stride, x.coordinate_stride};
    return matrix;
  }
  void* take(Block& block, std::size_t rows, std::size_t columns) const {
    return block.take<std::byte>(checked_product(rows, columns, shape_.compute_size));
  }

  bool is_finite() const { return largest_ <= DBL_MAX; }
  // The vectors are multiplied by two to this power: 0 unless their products could leave the range.
  // Small numbers are nothing beside the ones on the diagonal.
  int shift() const {
    const double largest = largest_;
    const bool is_small = largest < kSoftSmallest && route_.diagonal != SoftDiagonal::kLessOne;
    if (largest == 0 || (largest <= kSoftLargest && !is_small)) return 0;
    return std::clamp(-std::ilogb(largest), -kMostShift, kMostShift);
  }

  void pack(std::size_t piece, std::byte* scratch);
  void turn(std::size_t piece, std::byte* scratch);
  void multiply_window(std::size_t strip_index, std::size_t piece, std::byte* scratch);
  void compute_tile(std::size_t strip_index, std::size_t piece, std::byte* scratch);
  void add_fourth_powers();
  void multiply(std::size_t strip_index, std::size_t piece, std::byte* scratch);
  void turn_part(std::size_t part, std::size_t piece);
  void multiply_part(std::size_t part, std::size_t piece, std::byte* scratch);
  SoftStrip strip_store(const Strip& rows) const {
    if (saves_memory_) return {0, matrix_.vectors, store_.own, store_.own_stride, nullptr, 0};
    return {rows.begin, rows.end, store_.own, store_.own_stride, store_.below, store_.below_stride};
  }
  // The vectors of the first strip have theirs at once.
  void* sums_of(std::size_t target) const {
    if (target < kSoftStrip) return nullptr;
    return sums_ + (target - kSoftStrip) * turned_.padded_vectors * shape_.compute_size;
  }
  SoftFinish finish() const;

  double factor_;
  const SoftOrthogonalKernel& kernel_;
  const GramKernel& shape_;  // of the copies
  const Problem& problem_;
  Route route_;
  Vectors::Array target_;  // the gradient, as V's vectors
  GramMatrix matrix_;      // V
  GramMatrix turned_;      // its coordinates
  std::size_t tile_;       // vectors along each side of a tile of H
  std::size_t block_;      // coordinates of a block of the gradient
  bool saves_memory_ = false;
  SoftStrip store_{};
  std::byte* products_ = nullptr;     // of a strip's tiles, window by window
  std::byte* sums_ = nullptr;         // of the strips before, for the vectors below the first
  double* norms_ = nullptr;           // squared, of x's vectors
  double fourth_powers_ = 0;          // of all norms
  std::span<double> tile_sums_;       // of all tiles
  std::atomic<double> largest_{0.0};  // of all magnitudes; Inf where one is NaN
};

}  // namespace taut

#endif  // TAUT_PLANS_SOFT_ORTHOGONAL_PLAN_HPP_
