// The orthogonal penalty. The Gram matrix is walked strip by strip: the tiles of kGramStrip rows
// and everything to the right of the diagonal give the value and the signs, then the signs are
// multiplied with the directions, for the strip's own rows and for those below, and can be
// forgotten. So the signs of one strip are all that is ever stored of the n x n matrix.
//
// For a range of the vectors, the strips are those of its own square; each looks, beyond it, to the
// other vectors, in one direction alone, and a pair with one of them counts half.

#include <algorithm>
#include <array>
#include <atomic>
#include <limits>
#include <span>

#include "kernels/kernels.hpp"
#include "plans/fill.hpp"
#include "plans/gram_vectors.hpp"
#include "plans/registry.hpp"
#include "plans/sign_store.hpp"
#include "views/check.hpp"

namespace taut {
namespace {

constexpr std::size_t kGramStrip = 12 * kGramTile;
static_assert(kGramStrip % kGramSignBlock == 0);

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
        tile_(tile_side(vectors_)),
        streams_(is_streamed()),
        sums_{call.arena().take<double>(tiles(strip(0))),
              call.arena().take<double>(tiles(strip(0)))} {
    matrix_ = matrix_towards(blocks_.first());
    row_store_.tile = column_store_.tile = tile_;
    row_store_.own_group = column_store_.own_group = own_group_of(own_);
    for (SignStore& store : other_stores_) store.tile = tile_;
    set_needs(count_phases(), std::max(kernel_.tile_scratch, kernel_.sign_scratch));
  }

  void place(Block& block) override {
    place_vectors(matrix_, kernel_.compute_size, block);
    const std::size_t copied = streams_ ? kGramWindow : length_;
    matrix_.rows = block.take<std::byte>(checked_product(padded_, copied, kernel_.compute_size));
    matrix_.panels = nullptr;
    matrix_.gradients = nullptr;
    matrix_.projections = nullptr;
    if (wants_signs()) {
      row_store_.place(block, strip(0).end, own_);
      row_store_.place_own(block, strip(0).end, kernel_.compute_size);
    }
    if (!problem_.has_gradient()) return;
    const std::size_t coordinates = round_up(copied, kGramCoordinates);
    matrix_.panels =
        block.take<std::byte>(checked_product(panel_vectors_, coordinates, kernel_.compute_size));
    matrix_.gradients = block.take<std::byte>(
        checked_product(matrix_.gradient_vectors, coordinates, kernel_.compute_size));
    matrix_.projections = block.take<double>(own_);
    column_store_.place(block, own_ - strip(0).end, strip(0).end);
    for (std::size_t i = 0; i < blocks_.others().size(); ++i) {
      other_stores_[i].place(block, strip(0).end, blocks_.others()[i].size());
    }
  }

  Phase phase(std::size_t index) const override;
  void run(std::size_t phase, std::size_t piece, std::byte* scratch) override;
  double combine() override {
    if (!finite_) return std::numeric_limits<double>::quiet_NaN();
    add_to_total(strips() - 1);
    return factor_ * (total_ / number_of_pairs(vectors_));
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

  // Where no tile is but the first, the sum of a part of its vectors is that of their signs'
  // cosines.
  bool wants_signs() const { return problem_.has_gradient() || blocks_.is_part_of_first(); }

  // Whether the copies of a few long vectors would be larger than kSmallCopies. A stream is work
  // for one thread, as their tile is in either case. Longer than memory are vectors that a stride
  // of 0 repeats.
  bool is_streamed() const {
    constexpr std::size_t kSmallCopies = std::size_t{16} << 20;
    const std::size_t bytes_of_coordinate = (padded_ + 2 * panel_vectors_) * kernel_.compute_size;
    return vectors_ <= kGramSmallTile && length_ > kSmallCopies / bytes_of_coordinate &&
           length_ < kMostMemory / bytes_of_coordinate;
  }

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
  // From where the first vector of the copies would stand.
  GramSource source_of(const VectorBlock& block) const {
    const auto first =
        static_cast<std::ptrdiff_t>(block.vector) - static_cast<std::ptrdiff_t>(block.begin);
    return {source_.data + first * source_.vector_stride, source_.vector_stride,
            source_.coordinate_stride};
  }
  // What tiles read beyond the last vector of a block counts for nothing.
  void clear_padding(const VectorBlock& block) {
    const std::size_t packed = block.begin + groups(block) * kernel_.register_columns;
    const bool is_last = &block == &blocks_.all().back();
    std::fill(matrix_.weights + std::min(packed, padded_),
              matrix_.weights + (is_last ? padded_weights(matrix_) : (&block + 1)->begin), 0.0);
  }
  std::size_t strips() const { return divide_up(own_, kGramStrip); }
  Strip strip(std::size_t index) const {
    const std::size_t begin = index * kGramStrip;
    return {begin, std::min(own_, begin + kGramStrip), own_, tile_};
  }
  // Towards all blocks.
  std::size_t tiles(const Strip& rows) const {
    std::size_t tiles = rows.tiles();
    for (const VectorBlock& others : blocks_.others()) tiles += rows.tiles_towards(others);
    return tiles;
  }
  std::size_t panels() const {
    return divide_up(length_, kGramCoordinates) * (kGramCoordinates / kernel_.panel);
  }
  // Adds up the tiles of a strip, whose sums are overwritten two strips later.
  void add_to_total(std::size_t strip_index) {
    const Strip rows = strip(strip_index);
    const auto sums = sums_[strip_index % 2].first(tiles(rows));
    double sum = 0;
    for (const double of_tile : sums.first(rows.tiles())) sum += of_tile;
    double towards_others = 0;
    for (const double of_tile : sums.subspan(rows.tiles())) towards_others += of_tile;
    total_ += sum + towards_others / 2;
  }
  // The sum of the only tile, from that of all its pairs.
  double sum_of_targets(double sum) const {
    if (!blocks_.is_part_of_first()) return sum;
    const auto [begin, end] = blocks_.targets();
    double cosines = 0;
    for (std::size_t i = begin; i < end; ++i) cosines += row_store_.cosines[i];
    return cosines / 2;
  }

  // Of a strip's rows towards all vectors from the strip on, and of those below towards the strip.
  GramSigns signs_of_rows(const Strip& rows) const {
    return row_store_.signs(rows.end - rows.begin, rows.begin, rows.begin);
  }
  GramSigns signs_of_columns(const Strip& rows) const {
    return column_store_.signs(own_ - rows.end, rows.end, rows.begin);
  }

  GramSigns signs_towards(std::size_t other, const Strip& rows) const {
    return other_stores_[other].signs(rows.end - rows.begin, rows.begin,
                                      blocks_.others()[other].begin);
  }

  void pack(std::size_t piece);
  void tile(std::size_t strip_index, std::size_t piece, std::byte* scratch);
  double own_tile(const Strip& rows, const GramTile& tile, std::byte* scratch);
  void multiply_signs(const Strip& strip, std::size_t piece, std::byte* scratch);
  // A piece is no smaller than the time that its taking costs.
  std::size_t panels_per_piece() const {
    constexpr std::size_t kSigns = 32 * 1024;
    const std::size_t targets = std::min(own_, targets_per_piece());
    return std::max<std::size_t>(1, kSigns / (targets * std::min(vectors_, kSigns)));
  }
  std::size_t panel_pieces() const { return divide_up(panels(), panels_per_piece()); }
  std::size_t targets_per_piece() const { return panels() < 16 ? kGramStrip / 4 : kGramStrip; }
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
  void finish(std::size_t piece);
  void stream_tile(std::byte* scratch);
  void stream_finish(std::byte* scratch);
  GramTarget target() const;
  double coefficient(std::size_t begin, std::size_t end);

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
  std::size_t tile_;  // vectors along each side of a tile
  bool streams_;
  GramMatrix matrix_{};
  SignStore row_store_;
  SignStore column_store_;
  std::array<SignStore, 2> other_stores_;  // of rows towards the other blocks
  std::array<std::span<double>, 2> sums_;  // of the tiles of this strip and of the one before
  double total_ = 0;                       // of the strips before those
  std::atomic<bool> finite_{true};
};

Plan::Phase GramPlan::phase(std::size_t index) const {
  const auto [step, strip_index] = place_of(index);
  const Strip rows = strip(strip_index);
  const auto length = static_cast<double>(length_);
  const auto height = static_cast<double>(rows.end - rows.begin);
  const auto right = static_cast<double>(own_ - rows.begin);
  const auto others = static_cast<double>(vectors_ - own_);
  const double copies = static_cast<double>(vectors_) * length / kCopiesPerNanosecond;
  switch (step) {
    case Step::kPack: {
      std::size_t pieces = 0;
      for (const VectorBlock& block : blocks_.all()) pieces += groups(block);
      return {pieces, copies};
    }
    case Step::kTiles:
      return {tiles(rows),
              height * (right - height / 2 + others) * length / kMultiplyAddsPerNanosecond};
    case Step::kSigns:
      return {target_pieces(rows) * panel_pieces(),
              height * (2 * right - height + others) * length / kSignsPerNanosecond};
    case Step::kFinish:
      return {finish_pieces(), copies * static_cast<double>(own_) / static_cast<double>(vectors_)};
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
  const Strip rows = strip(strip_index);
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

// The tiles inside the strip's own square have both directions in its row signs.
double GramPlan::own_tile(const Strip& rows, const GramTile& tile, std::byte* scratch) {
  const GramSigns row_signs = signs_of_rows(rows);
  const GramSigns column_signs = signs_of_columns(rows);
  return kernel_.tile(
      matrix_, tile, wants_signs() ? &row_signs : nullptr,
      wants_signs() ? (tile.column < rows.end ? &row_signs : &column_signs) : nullptr, scratch);
}

// The strip's rows look to all vectors from the strip on, those below look to the strip; and where
// only a range is asked for, its rows to all others.
void GramPlan::multiply_signs(const Strip& rows, std::size_t piece, std::byte* scratch) {
  if (!finite_) return;
  const std::size_t panel = piece / target_pieces(rows) * panels_per_piece();
  const std::size_t panel_end = std::min(panels(), panel + panels_per_piece());
  const std::size_t index = piece % target_pieces(rows);
  const std::size_t step = targets_per_piece();
  const auto multiply = [&](std::size_t begin, std::size_t end, std::size_t other_end,
                            const GramSigns& signs) {
    kernel_.multiply_signs(matrix_, panel, panel_end, begin, std::min(end, begin + step), other_end,
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

void GramPlan::finish(std::size_t piece) {
  if (!finite_) return fill_gradient_with_nan(problem_, piece, finish_pieces());
  const auto [first, last] = blocks_.targets();
  const std::size_t begin = first + piece * kFinishedVectors;
  const std::size_t end = std::min(last, begin + kFinishedVectors);
  kernel_.finish(matrix_, begin, end, coefficient(begin, end), target());
}

void GramPlan::stream_tile(std::byte* scratch) {
  clear_padding(blocks_.first());
  for (std::size_t begin = 0; begin < vectors_; begin += kernel_.register_columns) {
    if (!kernel_.stream_pack(matrix_, begin)) finite_ = false;
  }
  if (!finite_) return;
  const GramSigns signs = signs_of_rows(strip(0));
  sums_[0][0] =
      sum_of_targets(kernel_.stream_tile(matrix_, wants_signs() ? &signs : nullptr, scratch));
}

void GramPlan::stream_finish(std::byte* scratch) {
  if (!finite_) return fill_gradient_with_nan(problem_, 0, 1);
  const auto [begin, end] = blocks_.targets();
  kernel_.stream_finish(matrix_, begin, end, signs_of_rows(strip(0)), coefficient(begin, end),
                        target(), scratch);
}

// From where the gradient of the first vector of the copies would stand.
GramTarget GramPlan::target() const {
  const auto first = static_cast<std::ptrdiff_t>(blocks_.targets().begin);
  return {target_.data - first * target_.vector_stride, target_.vector_stride,
          target_.coordinate_stride, problem_.gradient->dtype() == DType::kFloat32,
          problem_.task == Task::kAccumulate};
}

// What the gradients of the vectors [begin, end) are multiplied with, beside their reciprocals.
double GramPlan::coefficient(std::size_t begin, std::size_t end) {
  const GramCoefficient coefficient(problem_.scale, factor_, number_of_pairs(vectors_));
  coefficient.scale_reciprocals(matrix_.reciprocals, begin, end);
  return coefficient.number;
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
