// The orthogonal penalty. The Gram matrix is walked strip by strip: the tiles of kGramStrip rows
// and everything to the right of the diagonal give the value and the signs, then the signs are
// multiplied with the directions, for the strip's own rows and for those below, and can be
// forgotten. So the signs of one strip are all that is ever stored of the n x n matrix.

#include <algorithm>
#include <array>
#include <atomic>
#include <cfloat>
#include <cmath>
#include <limits>
#include <span>

#include "kernels/kernels.hpp"
#include "plans/fill.hpp"
#include "plans/registry.hpp"
#include "plans/strip.hpp"
#include "plans/vectors.hpp"
#include "views/check.hpp"

namespace taut {
namespace {

constexpr std::size_t kGramStrip = 12 * kGramTile;
static_assert(kGramStrip % kGramSignBlock == 0);

constexpr std::size_t kFinishedVectors = 64;  // per piece

// Up to so many vectors, tables of their sums are not worth their making.
constexpr std::size_t kMostMultipliedDirectly = 36;
static_assert(kMostMultipliedDirectly <= kGramSmallTile);

// What one thread does in a nanosecond, about: see benchmarks/.
constexpr double kMultiplyAddsPerNanosecond = 60;
constexpr double kSignsPerNanosecond = 130;
constexpr double kCopiesPerNanosecond = 1.5;

// Throws std::bad_alloc for what no memory can have.
std::size_t round_up(std::size_t number, std::size_t multiple) {
  return checked_product(divide_up(number, multiple), multiple);
}

// The signs of a strip in one direction.
struct SignStore {
  std::uint64_t* positive = nullptr;
  std::uint64_t* negative = nullptr;  // touched only where there are zeros
  std::uint8_t* has_zero = nullptr;
  void* own;
  std::size_t own_group;
  double* cosines;
  std::size_t tile;

  void place(Block& block, std::size_t targets, std::size_t others) {
    if (own_group < others) {
      const std::size_t words = checked_product(targets, divide_up(others, kGramSignBlock));
      positive = block.take<std::uint64_t>(words);
      negative = block.take<std::uint64_t>(words);
      has_zero = block.take<std::uint8_t>(words);
    }
    cosines = block.take<double>(checked_product(targets, divide_up(others, tile)));
  }
  void place_own(Block& block, std::size_t targets, std::size_t compute_size) {
    const std::size_t numbers =
        checked_product(round_up(targets, kGramSignGroup), own_group + kGramSurplus);
    own = block.take<std::byte>(checked_product(numbers, compute_size));
  }
  GramSigns signs(std::size_t targets, std::size_t target_base, std::size_t other_base) const {
    return {positive, negative, has_zero, own,         own_group,
            cosines,  tile,     targets,  target_base, other_base};
  }
};

class GramPlan final : public Plan {
 public:
  GramPlan(double factor, const Problem& problem, const Vectors& vectors, const Call& call)
      : factor_(factor),
        kernel_(call.kernels().gram[static_cast<std::size_t>(problem.dtype)]),
        problem_(problem),
        target_(vectors.arrays[1]),
        vectors_(vectors.count),
        length_(vectors.length),
        padded_(round_up(vectors_, kernel_.vector_multiple)),
        panel_vectors_(round_up(vectors_, kGramSignGroup)),
        tile_(tile_side(vectors_)),
        streams_(is_streamed()),
        sums_{call.arena().take<double>(strip(0).tiles()),
              call.arena().take<double>(strip(0).tiles())} {
    const Vectors::Array& x = vectors.arrays[0];
    matrix_.source = {x.data, x.vector_stride, x.coordinate_stride};
    matrix_.vectors = vectors_;
    matrix_.length = length_;
    matrix_.padded_vectors = padded_;
    matrix_.panel_vectors = panel_vectors_;
    row_store_.tile = column_store_.tile = tile_;
    row_store_.own_group = column_store_.own_group =
        vectors_ <= kMostMultipliedDirectly ? panel_vectors_ : kGramSignGroup;
    set_needs(count_phases(), std::max(kernel_.tile_scratch, kernel_.sign_scratch));
  }

  void place(Block& block) override {
    matrix_.weights = block.take<double>(padded_weights());
    matrix_.unit_weights =
        block.take<std::byte>(checked_product(panel_vectors_, kernel_.compute_size));
    matrix_.reciprocals = block.take<double>(padded_);
    matrix_.clamped = block.take<bool>(padded_);
    matrix_.factors = block.take<double>(padded_);
    matrix_.smallest = block.take<double>(padded_);
    const std::size_t copied = streams_ ? kGramWindow : length_;
    matrix_.rows = block.take<std::byte>(checked_product(padded_, copied, kernel_.compute_size));
    matrix_.panels = nullptr;
    matrix_.gradients = nullptr;
    matrix_.projections = nullptr;
    if (!problem_.has_gradient()) return;
    const std::size_t size =
        checked_product(panel_vectors_, round_up(copied, kGramCoordinates), kernel_.compute_size);
    matrix_.panels = block.take<std::byte>(size);
    matrix_.gradients = block.take<std::byte>(size);
    matrix_.projections = block.take<double>(vectors_);
    row_store_.place(block, strip(0).end, vectors_);
    row_store_.place_own(block, strip(0).end, kernel_.compute_size);
    column_store_.place(block, vectors_ - strip(0).end, strip(0).end);
  }

  Phase phase(std::size_t index) const override;
  void run(std::size_t phase, std::size_t piece, std::byte* scratch) override;
  double combine() override {
    if (!finite_) return std::numeric_limits<double>::quiet_NaN();
    add_to_total(strips() - 1);
    return factor_ * (total_ / pairs());
  }

 private:
  enum class Step { kPack, kTiles, kSigns, kFinish, kStreamTile, kStreamFinish };
  struct Place {
    Step step;
    std::size_t strip;
  };
  // Packing, then tiles and signs of each strip, then finishing; without a gradient, packing and
  // the tiles of each strip. A stream has one piece for all before the signs, and one for the rest.
  std::size_t count_phases() const {
    if (streams_) return problem_.has_gradient() ? 2 : 1;
    return problem_.has_gradient() ? 2 + 2 * strips() : 1 + strips();
  }
  Place place_of(std::size_t phase) const {
    if (streams_) return {phase == 0 ? Step::kStreamTile : Step::kStreamFinish, 0};
    if (phase == 0) return {Step::kPack, 0};
    if (!problem_.has_gradient()) return {Step::kTiles, phase - 1};
    if (phase == count_phases() - 1) return {Step::kFinish, 0};
    return {phase % 2 == 1 ? Step::kTiles : Step::kSigns, (phase - 1) / 2};
  }

  // Whether the copies of a few long vectors would be larger than kSmallCopies. A stream is work
  // for one thread, as their tile is in either case. Longer than memory are vectors that a stride
  // of 0 repeats.
  bool is_streamed() const {
    constexpr std::size_t kSmallCopies = std::size_t{16} << 20;
    const std::size_t bytes_of_coordinate = (padded_ + 2 * panel_vectors_) * kernel_.compute_size;
    return vectors_ <= kGramSmallTile && length_ > kSmallCopies / bytes_of_coordinate &&
           length_ < kMostMemory / bytes_of_coordinate;
  }

  std::size_t padded_weights() const { return round_up(padded_, kGramWeights); }
  // What tiles read beyond the last vector counts for nothing.
  void clear_padding() {
    std::fill(matrix_.weights + padded_, matrix_.weights + padded_weights(), 0.0);
  }
  std::size_t strips() const { return divide_up(vectors_, kGramStrip); }
  Strip strip(std::size_t index) const {
    const std::size_t begin = index * kGramStrip;
    return {begin, std::min(vectors_, begin + kGramStrip), vectors_, tile_};
  }
  double pairs() const {
    return static_cast<double>(vectors_) * static_cast<double>(vectors_ - 1) / 2;
  }
  std::size_t panels() const {
    return divide_up(length_, kGramCoordinates) * (kGramCoordinates / kernel_.panel);
  }
  // Adds up the tiles of a strip, whose sums are overwritten two strips later.
  void add_to_total(std::size_t strip_index) {
    double sum = 0;
    for (const double of_tile : sums_[strip_index % 2].first(strip(strip_index).tiles())) {
      sum += of_tile;
    }
    total_ += sum;
  }

  // Of a strip's rows towards all vectors from the strip on, and of those below towards the strip.
  GramSigns signs_of_rows(const Strip& rows) const {
    return row_store_.signs(rows.end - rows.begin, rows.begin, rows.begin);
  }
  GramSigns signs_of_columns(const Strip& rows) const {
    return column_store_.signs(vectors_ - rows.end, rows.end, rows.begin);
  }

  void pack(std::size_t piece);
  void tile(std::size_t strip_index, std::size_t piece, std::byte* scratch);
  void multiply_signs(const Strip& strip, std::size_t piece, std::byte* scratch);
  // A piece is no smaller than the time that its taking costs.
  std::size_t panels_per_piece() const {
    constexpr std::size_t kSigns = 32 * 1024;
    const std::size_t targets = std::min(vectors_, targets_per_piece());
    return std::max<std::size_t>(1, kSigns / (targets * std::min(vectors_, kSigns)));
  }
  std::size_t panel_pieces() const { return divide_up(panels(), panels_per_piece()); }
  std::size_t targets_per_piece() const { return panels() < 16 ? kGramStrip / 4 : kGramStrip; }
  std::size_t target_pieces(const Strip& strip) const {
    return divide_up(strip.end - strip.begin, targets_per_piece()) +
           divide_up(vectors_ - strip.end, targets_per_piece());
  }
  void finish(std::size_t piece);
  void stream_tile(std::byte* scratch);
  void stream_finish(std::byte* scratch);
  void fill_with_nan(std::size_t piece, std::size_t pieces);
  GramTarget target() const;
  double coefficient(std::size_t begin, std::size_t end);

  double factor_;
  const GramKernel& kernel_;
  const Problem& problem_;
  Vectors::Array target_;  // the gradient
  std::size_t vectors_;
  std::size_t length_;
  std::size_t padded_;
  std::size_t panel_vectors_;
  std::size_t tile_;  // vectors along each side of a tile
  bool streams_;
  GramMatrix matrix_;
  SignStore row_store_;
  SignStore column_store_;
  std::array<std::span<double>, 2> sums_;  // of the tiles of this strip and of the one before
  double total_ = 0;                       // of the strips before those
  std::atomic<bool> finite_{true};
};

Plan::Phase GramPlan::phase(std::size_t index) const {
  const auto [step, strip_index] = place_of(index);
  const Strip rows = strip(strip_index);
  const auto length = static_cast<double>(length_);
  const auto height = static_cast<double>(rows.end - rows.begin);
  const auto right = static_cast<double>(vectors_ - rows.begin);
  const double copies = static_cast<double>(vectors_) * length / kCopiesPerNanosecond;
  switch (step) {
    case Step::kPack:
      return {divide_up(padded_, kernel_.register_columns), copies};
    case Step::kTiles:
      return {rows.tiles(), height * (right - height / 2) * length / kMultiplyAddsPerNanosecond};
    case Step::kSigns:
      return {target_pieces(rows) * panel_pieces(),
              height * (2 * right - height) * length / kSignsPerNanosecond};
    case Step::kFinish:
      return {divide_up(vectors_, kFinishedVectors), copies};
    case Step::kStreamTile:
    case Step::kStreamFinish:
      return {1, copies + height * right / 2 * length / kMultiplyAddsPerNanosecond};
  }
  __builtin_unreachable();
}

void GramPlan::run(std::size_t phase, std::size_t piece, std::byte* scratch) {
  const auto [step, strip_index] = place_of(phase);
  switch (step) {
    case Step::kPack:
      return pack(piece);
    case Step::kTiles:
      return tile(strip_index, piece, scratch);
    case Step::kSigns:
      return multiply_signs(strip(strip_index), piece, scratch);
    case Step::kFinish:
      return finish(piece);
    case Step::kStreamTile:
      return stream_tile(scratch);
    case Step::kStreamFinish:
      return stream_finish(scratch);
  }
}

void GramPlan::pack(std::size_t piece) {
  if (piece == 0) clear_padding();
  if (!kernel_.pack(matrix_, piece * kernel_.register_columns)) finite_ = false;
}

// The tiles inside the strip's own square have both directions in its row signs.
void GramPlan::tile(std::size_t strip_index, std::size_t piece, std::byte* scratch) {
  if (!finite_) return;
  if (piece == 0 && strip_index > 0) add_to_total(strip_index - 1);
  const Strip rows = strip(strip_index);
  const GramTile tile = rows.tile_at(piece);
  const GramSigns row_signs = signs_of_rows(rows);
  const GramSigns column_signs = signs_of_columns(rows);
  const bool has_gradient = problem_.has_gradient();
  sums_[strip_index % 2][piece] = kernel_.tile(
      matrix_, tile, has_gradient ? &row_signs : nullptr,
      has_gradient ? (tile.column < rows.end ? &row_signs : &column_signs) : nullptr, scratch);
}

// The strip's rows look to all vectors from the strip on, those below look to the strip.
void GramPlan::multiply_signs(const Strip& rows, std::size_t piece, std::byte* scratch) {
  if (!finite_) return;
  const std::size_t targets = targets_per_piece();
  const std::size_t row_pieces = divide_up(rows.end - rows.begin, targets);
  const std::size_t panel = piece / target_pieces(rows) * panels_per_piece();
  const std::size_t index = piece % target_pieces(rows);
  const bool is_row = index < row_pieces;
  const std::size_t first =
      is_row ? rows.begin + index * targets : rows.end + (index - row_pieces) * targets;
  const GramSigns signs = is_row ? signs_of_rows(rows) : signs_of_columns(rows);
  kernel_.multiply_signs(matrix_, panel, std::min(panels(), panel + panels_per_piece()), first,
                         std::min(is_row ? rows.end : vectors_, first + targets),
                         is_row ? vectors_ : rows.end, signs, scratch);
}

void GramPlan::finish(std::size_t piece) {
  if (!finite_) return fill_with_nan(piece, divide_up(vectors_, kFinishedVectors));
  const std::size_t begin = piece * kFinishedVectors;
  const std::size_t end = std::min(vectors_, begin + kFinishedVectors);
  kernel_.finish(matrix_, begin, end, coefficient(begin, end), target());
}

void GramPlan::stream_tile(std::byte* scratch) {
  clear_padding();
  for (std::size_t begin = 0; begin < vectors_; begin += kernel_.register_columns) {
    if (!kernel_.stream_pack(matrix_, begin)) finite_ = false;
  }
  if (!finite_) return;
  const GramSigns signs = signs_of_rows(strip(0));
  sums_[0][0] = kernel_.stream_tile(matrix_, problem_.has_gradient() ? &signs : nullptr, scratch);
}

void GramPlan::stream_finish(std::byte* scratch) {
  if (!finite_) return fill_with_nan(0, 1);
  kernel_.stream_finish(matrix_, signs_of_rows(strip(0)), coefficient(0, vectors_), target(),
                        scratch);
}

// One of so many parts of the gradient.
void GramPlan::fill_with_nan(std::size_t piece, std::size_t pieces) {
  const std::size_t size = problem_.layout.size;
  const std::size_t elements = divide_up(size, pieces);
  fill(problem_.layout, 1, problem_.gradient->dtype(), std::min(size, piece * elements),
       std::min(size, (piece + 1) * elements), Filling::kNan);
}

GramTarget GramPlan::target() const {
  return {target_.data, target_.vector_stride, target_.coordinate_stride,
          problem_.gradient->dtype() == DType::kFloat32, problem_.task == Task::kAccumulate};
}

// What the gradients of the vectors [begin, end) are multiplied with, beside their reciprocals.
// Where it is beyond float64's range, a power of two of it goes to the reciprocals.
double GramPlan::coefficient(std::size_t begin, std::size_t end) {
  const double product = problem_.scale * factor_ / pairs();
  const double magnitude = std::abs(product);
  const bool is_normal = magnitude >= DBL_MIN && magnitude <= DBL_MAX;
  if (is_normal || problem_.scale == 0 || !std::isfinite(problem_.scale)) return product;
  int scale_exponent, factor_exponent;
  const double scale = std::frexp(problem_.scale, &scale_exponent);
  const double factor = std::frexp(factor_, &factor_exponent);
  for (std::size_t vector = begin; vector < end; ++vector) {
    matrix_.reciprocals[vector] =
        std::ldexp(matrix_.reciprocals[vector], scale_exponent + factor_exponent);
  }
  return scale * factor / pairs();
}

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
  if (task == Task::kProx) {
    throw InvalidArgument("OrthogonalRegularizer has no proximal step in closed form");
  }
}

Plan& make_plan(const OrthogonalRegularizer& regularizer, const Problem& problem,
                const Call& call) {
  const ConstView& x = *problem.x;
  if (regularizer.factor == 0 || count_of_vectors(x, regularizer.mode) < 2 ||
      length_of_vectors(x, regularizer.mode) == 0) {
    return make_zero_plan(problem, call);
  }
  return make_vector_plan(problem, regularizer.mode, call, GramPlanMaker(regularizer.factor));
}

}  // namespace taut
