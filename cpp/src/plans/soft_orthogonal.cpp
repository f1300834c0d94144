#include <limits>

#include "plans/fill.hpp"
#include "plans/registry.hpp"
#include "plans/scaled_number.hpp"
#include "plans/soft_orthogonal_plan.hpp"
#include "views/check.hpp"

namespace taut {
namespace {

// What one thread does in a nanosecond: see benchmarks/.
constexpr double kMultiplyAddsPerNanosecond = 40;
constexpr double kCopiesPerNanosecond = 0.5;

}  // namespace

Plan::Phase SoftOrthogonalPlan::phase(std::size_t index) const {
  const auto [step, strip_index] = place_of(index);
  const bool is_of_part = step == Step::kTurnPart || step == Step::kMultiplyPart;
  const Strip rows = strip(is_of_part ? 0 : strip_index);
  const auto length = static_cast<double>(matrix_.length);
  const auto height = static_cast<double>(rows.end - rows.begin);
  const auto right = static_cast<double>(matrix_.vectors - rows.begin);
  const double copies = static_cast<double>(matrix_.vectors) * length / kCopiesPerNanosecond;
  const double products = height * (right - height / 2) * length / kMultiplyAddsPerNanosecond;
  switch (step) {
    case Step::kPack:
      return {groups(matrix_) * windows(), copies};
    case Step::kTurn:
      return {groups(matrix_) * windows() + groups_turned_first(), is_turned() ? copies : 0};
    case Step::kWindows:
      return {rows.tiles() * windows(), products};
    case Step::kTiles:
      return {rows.tiles(), windows() > 1 ? height * right / kCopiesPerNanosecond : products};
    case Step::kMultiply:
      return {divide_up(matrix_.vectors - rows.begin, tile_) * blocks(),
              height * (2 * right - height) * length / kMultiplyAddsPerNanosecond};
    case Step::kTurnPart:
      return {groups(part_of_turned(strip_index)), copies / static_cast<double>(parts())};
    case Step::kMultiplyPart: {
      const GramMatrix part = part_of_turned(strip_index);
      const auto vectors = static_cast<double>(matrix_.vectors);
      return {divide_up(matrix_.vectors, tile_) * divide_up(part.vectors, block_),
              vectors * vectors * static_cast<double>(part.vectors) / kMultiplyAddsPerNanosecond};
    }
  }
  __builtin_unreachable();
}

void SoftOrthogonalPlan::run(std::size_t phase, std::size_t piece, std::byte* scratch) {
  const auto [step, strip_index] = place_of(phase);
  switch (step) {
    case Step::kPack:
      return pack(piece, scratch);
    case Step::kTurn:
      return turn(piece, scratch);
    case Step::kWindows:
      return multiply_window(strip_index, piece, scratch);
    case Step::kTiles:
      return compute_tile(strip_index, piece, scratch);
    case Step::kMultiply:
      return multiply(strip_index, piece, scratch);
    case Step::kTurnPart:
      return turn_part(strip_index, piece);
    case Step::kMultiplyPart:
      return multiply_part(strip_index, piece, scratch);
  }
}

void SoftOrthogonalPlan::pack(std::size_t piece, std::byte* scratch) {
  const std::size_t group = piece % groups(matrix_);
  const double largest =
      kernel_.pack(window(piece / groups(matrix_), scratch), group * shape_.register_columns);
  double before = largest_;
  while (before < largest && !largest_.compare_exchange_weak(before, largest)) {
  }
}

void SoftOrthogonalPlan::turn(std::size_t piece, std::byte* scratch) {
  if (!is_finite()) return;
  const double factor = std::ldexp(1.0, shift());
  const std::size_t copied = groups(matrix_) * windows();
  if (piece >= copied) {
    const std::size_t begin = (piece - copied) * shape_.register_columns;
    if (!saves_memory_) return kernel_.pack_turned(turned_, begin, factor, norms_);
    GramMatrix group = slice_of_turned(begin, shape_.register_columns);
    group.rows = scratch;
    kernel_.pack_turned(group, 0, factor, norms_ + begin);
  } else if (factor != 1 && !is_streamed()) {
    const std::size_t group = piece % groups(matrix_);
    kernel_.scale(window(piece / groups(matrix_), nullptr), group * shape_.register_columns,
                  factor);
  }
}

void SoftOrthogonalPlan::multiply_window(std::size_t strip_index, std::size_t piece,
                                         std::byte* scratch) {
  if (!is_finite()) return;
  const GramMatrix copies = window(piece % windows(), scratch);
  const double factor = std::ldexp(1.0, shift());
  for (std::size_t group = 0; is_streamed() && group < groups(matrix_); ++group) {
    kernel_.pack(copies, group * shape_.register_columns);
    if (factor != 1) kernel_.scale(copies, group * shape_.register_columns, factor);
  }
  const GramTile tile = strip(strip_index).tile_at(piece / windows());
  kernel_.multiply_window(copies, tile, products_ + piece * bytes_of_products());
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

void SoftOrthogonalPlan::turn_part(std::size_t part, std::size_t piece) {
  if (!is_finite()) return;
  kernel_.pack_turned(part_of_turned(part), piece * shape_.register_columns,
                      std::ldexp(1.0, shift()), nullptr);
}

// All vectors look to all, in some coordinates.
void SoftOrthogonalPlan::multiply_part(std::size_t part, std::size_t piece, std::byte* scratch) {
  const GramMatrix copies = part_of_turned(part);
  const std::size_t targets = divide_up(matrix_.vectors, tile_);
  if (!is_finite()) {
    const std::size_t pieces = targets * divide_up(copies.vectors, block_);
    if (part == parts() - 1) fill_gradient_with_nan(problem_, piece, pieces);
    return;
  }
  const std::size_t target = piece % targets * tile_;
  const std::size_t coordinate = piece / targets * block_;
  const std::size_t first = part * coordinates_of_part();
  SoftFinish how = finish();
  how.target.data = static_cast<std::byte*>(how.target.data) +
                    static_cast<std::ptrdiff_t>(first) * how.target.coordinate_stride;
  if (how.norms != nullptr) how.norms += first;
  const SoftProduct product{
      .turned = copies,
      .weights = static_cast<const std::byte*>(store_.own) + target * shape_.compute_size,
      .weight_stride = store_.own_stride,
      .others_begin = 0,
      .others_end = matrix_.vectors,
      .target = target,
      .targets = std::min(tile_, matrix_.vectors - target),
      .coordinate = coordinate,
      .coordinates = std::min(block_, copies.vectors - coordinate),
      .sums = nullptr,
      .sum_stride = 0,
      .finish = &how,
  };
  kernel_.multiply(product, scratch);
}

// 4 * factor * scale, and what the vectors' own factor is to the power of -3. Where the product is
// beyond float64's range, a power of two is taken out of it: what makes numbers smaller comes last.
SoftFinish SoftOrthogonalPlan::finish() const {
  const ScaledNumber coefficient = scaled(4) * scaled(factor_) * scaled(problem_.scale);
  const int exponent = coefficient.exponent - 3 * shift();
  SoftFinish finish{
      std::ldexp(coefficient.number, exponent),
      1,
      1,
      norms_,
      {target_.data, target_.vector_stride, target_.coordinate_stride,
       problem_.gradient->dtype() == DType::kFloat32, problem_.task == Task::kAccumulate}};
  constexpr int kPlainExponent = 900;
  if (coefficient.number == 0 || !std::isfinite(coefficient.number)) return finish;
  if (std::abs(exponent) <= kPlainExponent) return finish;
  const int third = std::clamp((exponent - 1) / 3, -kMostShift, kMostShift);
  const double rest = std::ldexp(coefficient.number, exponent - 3 * third);
  finish.coefficient = exponent < 0 ? rest : 1;
  finish.power = std::ldexp(1.0, third);
  finish.last = exponent < 0 ? 1 : rest;
  return finish;
}

double SoftOrthogonalPlan::combine() {
  // W's vectors without coordinates are zeros, and each is away from 1.
  if (matrix_.vectors == 0) return factor_ * route_.constant;
  if (!is_finite()) return std::numeric_limits<double>::quiet_NaN();
  double sum = 0;
  for (const double of_tile : tile_sums_) sum += of_tile;
  if (subtracts_norms()) sum = std::max(0.0, sum - fourth_powers_);
  const ScaledNumber scaled_sum = scaled(factor_) * scaled(sum);
  return std::ldexp(scaled_sum.number, scaled_sum.exponent - 4 * shift()) +
         factor_ * route_.constant;
}

namespace {

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
  if (task == Task::kProx) refuse_prox("SoftOrthogonalRegularizer");
}

Plan& make_plan(const SoftOrthogonalRegularizer& regularizer, const Problem& problem,
                const Call& call) {
  if (regularizer.factor == 0) return make_zero_plan(problem, call);
  return make_vector_plan(problem, regularizer.mode, call, SoftOrthogonalPlanMaker(regularizer));
}

}  // namespace taut
