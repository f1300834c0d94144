// Soft orthogonality. Of n vectors W of length d, ‖WWᵀ-I‖² = ‖WᵀW-I‖² + n - d, and the gradients of
// both are the same: so the vectors V here are the rows or the columns of x, whichever are fewer.
//
// Without the diagonal, Σ⟨wᵢ,wⱼ⟩² = ‖WᵀW‖² - Σ|wᵢ|⁴. Where n ≥ 2d and norms are alike, less than
// half of ‖WᵀW‖² is taken away, so that a bit is lost at most. Between d and 2d vectors all but a
// d-th part could be, and V is W itself, which takes at most twice the time.
//
// With H = VVᵀ but for its diagonal, the penalty is Σ H², and its gradient 4 H V. H is walked strip
// by strip: its tiles from the diagonal on give the value, and are kept until they have been
// multiplied with V for the vectors of the strip and those below.

#include <algorithm>
#include <atomic>
#include <cfloat>
#include <cmath>
#include <limits>
#include <span>
#include <utility>

#include "kernels/kernels.hpp"
#include "plans/fill.hpp"
#include "plans/registry.hpp"
#include "plans/strip.hpp"
#include "plans/vectors.hpp"
#include "views/check.hpp"

namespace taut {
namespace {

constexpr std::size_t kSoftStrip = 6 * kGramTile;
static_assert(kSoftStrip % kGramDepthBlock == 0);

// Coordinates whose products are summed at once. What the windows of longer vectors give is kept,
// less than a third of the matrix, and added up afterwards: so there is work for every thread where
// there are few vectors, and no long chain of additions in float32.
constexpr std::size_t kSoftWindow = 32 * kGramDepthBlock;

// Sums of products of three such numbers are far from the ends of float32's range.
constexpr double kSoftLargest = 0x1p20;
constexpr double kSoftSmallest = 0x1p-20;
constexpr int kMostShift = 1000;  // whose power of two float64 has, and the reciprocal's

// What one thread does in a nanosecond: see benchmarks/.
constexpr double kMultiplyAddsPerNanosecond = 40;
constexpr double kCopiesPerNanosecond = 0.5;

// The same numbers, read as the vectors' coordinates.
Vectors turned(const Vectors& vectors) {
  Vectors turned{vectors.length, vectors.count, {0, vectors.length}, vectors.arrays};
  for (Vectors::Array& array : turned.arrays) {
    std::swap(array.vector_stride, array.coordinate_stride);
  }
  return turned;
}

// Whether the vectors V are W's own or its coordinates, and what stands on the diagonal of H.
struct Route {
  bool is_across;
  SoftDiagonal diagonal;
  double constant;  // is added to Σ H²

  Route(const SoftOrthogonalRegularizer& regularizer, const Vectors& w)
      : is_across(w.count > w.length && (regularizer.diagonal || w.count - w.length >= w.length)),
        diagonal(regularizer.diagonal ? SoftDiagonal::kLessOne
                 : is_across          ? SoftDiagonal::kWhole
                                      : SoftDiagonal::kNone),
        constant(is_across && regularizer.diagonal ? static_cast<double>(w.count - w.length) : 0) {}

  Vectors vectors(const Vectors& w) const { return is_across ? turned(w) : w; }
};

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
    if (matrix_.vectors > 0) set_needs(2 + strips() * steps_of_strip(), kernel_.scratch);
  }

  void place(Block& block) override {
    matrix_.rows = take(block, matrix_.padded_vectors, matrix_.length);
    if (is_turned()) turned_.rows = take(block, turned_.padded_vectors, turned_.length);
    if (subtracts_norms()) norms_ = block.take<double>(turned_.padded_vectors);
    if (windows() > 1) {
      const std::size_t products = checked_product(strip(0).tiles(), windows());
      products_ = block.take<std::byte>(checked_product(products, bytes_of_products()));
    }
    if (!has_gradient()) return;
    const std::size_t height = strip(0).end;
    const std::size_t below = matrix_.vectors - height;
    store_.own_stride = round_up(height, shape_.vector_multiple);
    store_.below_stride = round_up(below, shape_.vector_multiple);
    store_.own = take(block, matrix_.vectors, store_.own_stride);
    store_.below = take(block, height, store_.below_stride);
    if (strips() > 1) {
      sums_ = static_cast<std::byte*>(take(block, below, turned_.padded_vectors));
    }
  }

  Phase phase(std::size_t index) const override;
  void run(std::size_t phase, std::size_t piece, std::byte* scratch) override;
  double combine() override;

 private:
  enum class Step { kPack, kTurn, kWindows, kTiles, kMultiply };
  struct Place {
    Step step;
    std::size_t strip;
  };
  Place place_of(std::size_t phase) const {
    if (phase < 2) return {phase == 0 ? Step::kPack : Step::kTurn, 0};
    const std::size_t strip = (phase - 2) / steps_of_strip();
    const std::size_t step = (phase - 2) % steps_of_strip();
    if (windows() > 1 && step == 0) return {Step::kWindows, strip};
    return {step == (windows() > 1 ? 1 : 0) ? Step::kTiles : Step::kMultiply, strip};
  }
  std::size_t steps_of_strip() const {
    return std::size_t{1} + (windows() > 1 ? 1 : 0) + (has_gradient() ? 1 : 0);
  }

  bool has_gradient() const { return problem_.has_gradient(); }
  bool subtracts_norms() const { return route_.diagonal == SoftDiagonal::kWhole; }
  bool is_turned() const { return has_gradient() || subtracts_norms(); }
  std::size_t strips() const { return divide_up(matrix_.vectors, kSoftStrip); }
  Strip strip(std::size_t index) const {
    const std::size_t begin = index * kSoftStrip;
    return {begin, std::min(matrix_.vectors, begin + kSoftStrip), matrix_.vectors, tile_};
  }
  std::size_t tiles_before(std::size_t strip_index) const {
    std::size_t tiles = 0;
    for (std::size_t index = 0; index < strip_index; ++index) tiles += strip(index).tiles();
    return tiles;
  }
  std::size_t bytes_of_products() const { return tile_ * kGramTile * shape_.compute_size; }

  std::size_t windows() const { return divide_up(matrix_.length, kSoftWindow); }
  // The matrix of a window's coordinates, whose copies are behind those of the windows before.
  GramMatrix window(std::size_t index) const {
    const std::size_t begin = index * kSoftWindow;
    GramMatrix window = matrix_;
    window.length = std::min(kSoftWindow, matrix_.length - begin);
    window.source.data = static_cast<const std::byte*>(matrix_.source.data) +
                         static_cast<std::ptrdiff_t>(begin) * matrix_.source.coordinate_stride;
    window.rows = static_cast<std::byte*>(matrix_.rows) +
                  begin * matrix_.padded_vectors * shape_.compute_size;
    return window;
  }

  std::size_t groups(const GramMatrix& matrix) const {
    return divide_up(matrix.padded_vectors, shape_.register_columns);
  }
  std::size_t blocks() const { return divide_up(turned_.vectors, block_); }

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

  void pack(std::size_t piece);
  void turn(std::size_t piece);
  void multiply_window(std::size_t strip_index, std::size_t piece);
  void compute_tile(std::size_t strip_index, std::size_t piece, std::byte* scratch);
  void add_fourth_powers();
  void multiply(std::size_t strip_index, std::size_t piece, std::byte* scratch);
  SoftStrip strip_store(const Strip& rows) const {
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
  SoftStrip store_{};
  std::byte* products_ = nullptr;     // of a strip's tiles, window by window
  std::byte* sums_ = nullptr;         // of the strips before, for the vectors below the first
  double* norms_ = nullptr;           // squared, of x's vectors
  double fourth_powers_ = 0;          // of all norms
  std::span<double> tile_sums_;       // of all tiles
  std::atomic<double> largest_{0.0};  // of all magnitudes; Inf where one is NaN
};

Plan::Phase SoftOrthogonalPlan::phase(std::size_t index) const {
  const auto [step, strip_index] = place_of(index);
  const Strip rows = strip(strip_index);
  const auto length = static_cast<double>(matrix_.length);
  const auto height = static_cast<double>(rows.end - rows.begin);
  const auto right = static_cast<double>(matrix_.vectors - rows.begin);
  const double copies = static_cast<double>(matrix_.vectors) * length / kCopiesPerNanosecond;
  const double products = height * (right - height / 2) * length / kMultiplyAddsPerNanosecond;
  switch (step) {
    case Step::kPack:
      return {groups(matrix_) * windows(), copies};
    case Step::kTurn:
      return {groups(matrix_) * windows() + (is_turned() ? groups(turned_) : 0),
              is_turned() ? copies : 0};
    case Step::kWindows:
      return {rows.tiles() * windows(), products};
    case Step::kTiles:
      return {rows.tiles(), windows() > 1 ? height * right / kCopiesPerNanosecond : products};
    case Step::kMultiply:
      return {divide_up(matrix_.vectors - rows.begin, tile_) * blocks(),
              height * (2 * right - height) * length / kMultiplyAddsPerNanosecond};
  }
  __builtin_unreachable();
}

void SoftOrthogonalPlan::run(std::size_t phase, std::size_t piece, std::byte* scratch) {
  const auto [step, strip_index] = place_of(phase);
  switch (step) {
    case Step::kPack:
      return pack(piece);
    case Step::kTurn:
      return turn(piece);
    case Step::kWindows:
      return multiply_window(strip_index, piece);
    case Step::kTiles:
      return compute_tile(strip_index, piece, scratch);
    case Step::kMultiply:
      return multiply(strip_index, piece, scratch);
  }
}

void SoftOrthogonalPlan::pack(std::size_t piece) {
  const std::size_t group = piece % groups(matrix_);
  const double largest =
      kernel_.pack(window(piece / groups(matrix_)), group * shape_.register_columns);
  double before = largest_;
  while (before < largest && !largest_.compare_exchange_weak(before, largest)) {
  }
}

void SoftOrthogonalPlan::turn(std::size_t piece) {
  if (!is_finite()) return;
  const double factor = std::ldexp(1.0, shift());
  const std::size_t copied = groups(matrix_) * windows();
  if (piece >= copied) {
    kernel_.pack_turned(turned_, (piece - copied) * shape_.register_columns, factor, norms_);
  } else if (factor != 1) {
    const std::size_t group = piece % groups(matrix_);
    kernel_.scale(window(piece / groups(matrix_)), group * shape_.register_columns, factor);
  }
}

void SoftOrthogonalPlan::multiply_window(std::size_t strip_index, std::size_t piece) {
  if (!is_finite()) return;
  const GramTile tile = strip(strip_index).tile_at(piece / windows());
  kernel_.multiply_window(window(piece % windows()), tile, products_ + piece * bytes_of_products());
}

void SoftOrthogonalPlan::compute_tile(std::size_t strip_index, std::size_t piece,
                                      std::byte* scratch) {
  if (!is_finite()) return;
  if (subtracts_norms() && strip_index == 0 && piece == 0) add_fourth_powers();
  const Strip rows = strip(strip_index);
  const GramTile tile = rows.tile_at(piece);
  const std::byte* products = scratch;
  if (windows() == 1) {
    kernel_.multiply_window(matrix_, tile, scratch);
  } else {
    products = products_ + piece * windows() * bytes_of_products();
  }
  const SoftStrip store = strip_store(rows);
  tile_sums_[tiles_before(strip_index) + piece] =
      kernel_.finish_tile(products, windows(), bytes_of_products(), tile, route_.diagonal,
                          std::ldexp(1.0, 2 * shift()), has_gradient() ? &store : nullptr, scratch);
}

void SoftOrthogonalPlan::add_fourth_powers() {
  for (std::size_t i = 0; i < turned_.vectors; ++i) fourth_powers_ += norms_[i] * norms_[i];
}

// The strip's vectors look to all from the strip on, those below look to the strip.
void SoftOrthogonalPlan::multiply(std::size_t strip_index, std::size_t piece, std::byte* scratch) {
  const Strip rows = strip(strip_index);
  const std::size_t targets = divide_up(matrix_.vectors - rows.begin, tile_);
  if (!is_finite()) {
    if (rows.end == matrix_.vectors) fill_gradient_with_nan(problem_, piece, targets * blocks());
    return;
  }
  const std::size_t target = rows.begin + piece % targets * tile_;
  const std::size_t coordinate = piece / targets * block_;
  const bool is_own = target < rows.end;
  const std::size_t stride = is_own ? store_.own_stride : store_.below_stride;
  const auto* weights = static_cast<const std::byte*>(is_own ? store_.own : store_.below);
  const SoftFinish how = finish();
  const SoftProduct product{
      .turned = turned_,
      .weights = weights + (target - (is_own ? rows.begin : rows.end)) * shape_.compute_size,
      .weight_stride = stride,
      .others_begin = rows.begin,
      .others_end = is_own ? matrix_.vectors : rows.end,
      .target = target,
      .targets = std::min(tile_, (is_own ? rows.end : matrix_.vectors) - target),
      .coordinate = coordinate,
      .coordinates = std::min(block_, turned_.vectors - coordinate),
      .sums = sums_of(target),
      .sum_stride = turned_.padded_vectors,
      .finish = is_own ? &how : nullptr,
  };
  kernel_.multiply(product, scratch);
}

// 4 * factor * scale, and what the vectors' own factor is to the power of -3. Where the product is
// beyond float64's range, a power of two is taken out of it.
SoftFinish SoftOrthogonalPlan::finish() const {
  SoftFinish finish{
      4 * factor_ * problem_.scale,
      1,
      norms_,
      {target_.data, target_.vector_stride, target_.coordinate_stride,
       problem_.gradient->dtype() == DType::kFloat32, problem_.task == Task::kAccumulate}};
  if (problem_.scale == 0 || !std::isfinite(problem_.scale)) return finish;
  int scale_exponent, factor_exponent;
  const double scale = std::frexp(problem_.scale, &scale_exponent);
  const double factor = std::frexp(factor_, &factor_exponent);
  const int exponent = scale_exponent + factor_exponent + 2 - 3 * shift();
  constexpr int kPlainExponent = 900;
  if (std::abs(exponent) <= kPlainExponent) {
    finish.coefficient = std::ldexp(scale * factor, exponent);
    return finish;
  }
  const int third = std::clamp(exponent / 3, -kMostShift, kMostShift);
  finish.coefficient = std::ldexp(scale * factor, exponent % 3);
  finish.power = std::ldexp(1.0, third);
  return finish;
}

double SoftOrthogonalPlan::combine() {
  // W's vectors without coordinates are zeros, and each is away from 1.
  if (matrix_.vectors == 0) return factor_ * route_.constant;
  if (!is_finite()) return std::numeric_limits<double>::quiet_NaN();
  double sum = 0;
  for (const double of_tile : tile_sums_) sum += of_tile;
  if (subtracts_norms()) sum = std::max(0.0, sum - fourth_powers_);
  return std::ldexp(factor_ * sum, -4 * shift()) + factor_ * route_.constant;
}

class SoftOrthogonalPlanMaker final : public VectorPlanMaker {
 public:
  explicit SoftOrthogonalPlanMaker(const SoftOrthogonalRegularizer& regularizer)
      : regularizer_(regularizer) {}
  Plan& make(const Problem& problem, const Vectors& vectors, const Call& call) const override {
    return call.arena().make<SoftOrthogonalPlan>(regularizer_, problem, vectors, call);
  }

 private:
  const SoftOrthogonalRegularizer& regularizer_;
};

}  // namespace

void check(const SoftOrthogonalRegularizer& regularizer, Task task, const ConstView& x, double) {
  check_factor("factor", regularizer.factor);
  check_matrix("SoftOrthogonalRegularizer", regularizer.flatten, x);
  if (task == Task::kProx) {
    throw InvalidArgument("SoftOrthogonalRegularizer has no proximal step in closed form");
  }
}

Plan& make_plan(const SoftOrthogonalRegularizer& regularizer, const Problem& problem,
                const Call& call) {
  if (regularizer.factor == 0) return make_zero_plan(problem, call);
  return make_vector_plan(problem, regularizer.mode, call, SoftOrthogonalPlanMaker(regularizer));
}

}  // namespace taut
