// The Gram matrix is walked strip by strip: the tiles of kGramStrip rows and everything to the
// right of the diagonal give the value and the signs, then the signs are multiplied with the
// directions, for the strip's own rows and for those below, and can be forgotten. So the signs of
// one strip are all that is ever stored of the n x n matrix.

#include "gram.hpp"

#include <algorithm>
#include <atomic>
#include <limits>
#include <span>

#include "elementwise.hpp"
#include "kernels/kernels.hpp"
#include "level.hpp"
#include "parallel.hpp"
#include "workspace.hpp"

namespace taut {
namespace {

constexpr std::size_t kGramStrip = 12 * kGramTile;
static_assert(kGramStrip % kGramSignBlock == 0);

// What one thread does in a nanosecond: see benchmarks/.
constexpr double kMultiplyAddsPerNanosecond = 40;
constexpr double kSignsPerNanosecond = 130;
constexpr double kCopiesPerNanosecond = 0.5;

constexpr std::size_t divide_up(std::size_t number, std::size_t divisor) {
  return (number + divisor - 1) / divisor;
}
constexpr std::size_t round_up(std::size_t number, std::size_t multiple) {
  return divide_up(number, multiple) * multiple;
}

// The signs of a strip in one direction, with the memory they stand in.
struct SignStore {
  std::span<std::uint64_t> positive;
  std::span<std::uint64_t> negative;  // touched only where there are zeros
  std::span<std::uint8_t> has_zero;

  SignStore() = default;
  SignStore(WorkspaceScope& memory, std::size_t targets, std::size_t others) {
    const std::size_t words = targets * divide_up(others, kGramSignBlock);
    positive = memory.take<std::uint64_t>(words);
    negative = memory.take<std::uint64_t>(words);
    has_zero = memory.take<std::uint8_t>(words);
  }

  GramSigns signs(std::size_t targets, std::size_t target_base, std::size_t other_base) const {
    return {positive.data(), negative.data(), has_zero.data(), targets, target_base, other_base};
  }
};

GramSource source_of(const ConstView& x, Mode mode) {
  const std::size_t axis = mode == Mode::kRows ? 0 : 1;
  return {x.data(), x.stride(axis), x.stride(1 - axis)};
}

// One evaluation: the matrix's copies, and the walk over its strips.
class Gram {
 public:
  Gram(const ConstView& x, Mode mode, bool with_gradient, Workspace& workspace)
      : workspace_(workspace),
        memory_(workspace),
        kernel_(active_kernels().gram[static_cast<std::size_t>(x.dtype())]),
        vectors_(x.extent(mode == Mode::kRows ? 0 : 1)),
        length_(x.extent(mode == Mode::kRows ? 1 : 0)),
        padded_(round_up(vectors_, kernel_.vector_multiple)),
        streams_(is_streamed()) {
    const auto weights = memory_.take<double>(round_up(vectors_, kGramTile));
    std::fill(weights.begin(), weights.end(), 0.0);
    matrix_ = {};
    matrix_.vectors = vectors_;
    matrix_.length = length_;
    matrix_.padded_vectors = padded_;
    matrix_.source = source_of(x, mode);
    matrix_.weights = weights.data();
    matrix_.reciprocals = memory_.take<double>(padded_).data();
    matrix_.clamped = memory_.take<bool>(padded_).data();
    matrix_.factors = memory_.take<double>(padded_).data();
    matrix_.smallest = memory_.take<double>(padded_).data();
    const std::size_t copied = streams_ ? kGramWindow : length_;
    matrix_.rows = memory_.take<std::byte>(padded_ * copied * kernel_.compute_size).data();
    if (with_gradient) {
      const std::size_t size = padded_ * round_up(copied, kGramCoordinates) * kernel_.compute_size;
      matrix_.directions = memory_.take<std::byte>(size).data();
      matrix_.gradients = memory_.take<std::byte>(size).data();
    }
  }

  // The mean over pairs of |<x̂ᵢ,x̂ⱼ>|, or NaN.
  double mean() {
    if (streams_) return stream_tile() / pairs();
    if (!pack()) return std::numeric_limits<double>::quiet_NaN();
    double total = 0;
    for (std::size_t begin = 0; begin < vectors_; begin += kGramStrip) total += strip(begin);
    return total / pairs();
  }

  // After mean(), unless it was NaN.
  void write_gradient(const View& gradient, Mode mode, double scale, bool accumulate) {
    const std::size_t axis = mode == Mode::kRows ? 0 : 1;
    const GramTarget target{gradient.data(), gradient.stride(axis), gradient.stride(1 - axis),
                            gradient.dtype() == DType::kFloat32, accumulate};
    if (streams_) {
      WorkspaceScope memory(workspace_);
      kernel_.stream_finish(matrix_, row_store_.signs(vectors_, 0, 0), scale / pairs(), target,
                            memory.take<std::byte>(kernel_.stream_scratch).data());
      return;
    }
    constexpr std::size_t kPiece = 64;
    const std::size_t pieces = divide_up(vectors_, kPiece);
    parallel_for(pieces, workers_for_copies(pieces), [&](std::size_t piece, std::size_t) {
      kernel_.finish(matrix_, piece * kPiece, std::min(vectors_, (piece + 1) * kPiece),
                     scale / pairs(), target);
    });
  }

 private:
  double pairs() const {
    return static_cast<double>(vectors_) * static_cast<double>(vectors_ - 1) / 2;
  }
  std::size_t panels() const { return round_up(length_, kGramCoordinates) / kernel_.panel; }
  std::size_t workers_for_copies(std::size_t pieces) const {
    return count_workers(pieces, static_cast<double>(vectors_) * static_cast<double>(length_) /
                                     kCopiesPerNanosecond);
  }

  // Whether the copies of a few long vectors would be padded, and larger than kSmallCopies. A
  // stream is work for one thread, as the tile is in either case; it was measured to be faster up
  // to some 100 vectors.
  bool is_streamed() const {
    constexpr std::size_t kSmallCopies = std::size_t{48} << 20;
    return vectors_ <= kGramTile && padded_ > vectors_ &&
           length_ > kSmallCopies / (3 * padded_ * kernel_.compute_size);
  }

  double stream_tile() {
    const bool with_gradient = matrix_.gradients != nullptr;
    if (with_gradient) row_store_ = SignStore(memory_, vectors_, vectors_);
    const GramSigns signs = row_store_.signs(vectors_, 0, 0);
    WorkspaceScope memory(workspace_);
    return kernel_.stream_tile(matrix_, with_gradient ? &signs : nullptr,
                               memory.take<std::byte>(kernel_.tile_scratch).data());
  }

  bool pack() {
    const std::size_t pieces = padded_ / kernel_.register_columns;
    std::atomic<bool> finite{true};
    parallel_for(pieces, workers_for_copies(pieces), [&](std::size_t piece, std::size_t) {
      if (!kernel_.pack(matrix_, piece * kernel_.register_columns)) finite = false;
    });
    return finite;
  }

  double strip(std::size_t begin) {
    const std::size_t end = std::min(vectors_, begin + kGramStrip);
    const bool with_gradient = matrix_.gradients != nullptr;
    if (with_gradient && begin == 0) {
      row_store_ = SignStore(memory_, end, vectors_);
      column_store_ = SignStore(memory_, vectors_ - end, end);
    }
    const GramSigns row_signs = row_store_.signs(end - begin, begin, begin);
    const GramSigns column_signs = column_store_.signs(vectors_ - end, end, begin);

    const double sum = tiles(begin, end, with_gradient ? &row_signs : nullptr,
                             with_gradient ? &column_signs : nullptr);
    if (with_gradient) multiply_signs(begin, end, row_signs, column_signs);
    return sum;
  }

  // The tiles of a strip, row by row; those inside its own square have both directions in
  // row_signs.
  double tiles(std::size_t begin, std::size_t end, const GramSigns* row_signs,
               const GramSigns* column_signs) {
    struct Place {
      std::size_t row;
      std::size_t column;
    };
    WorkspaceScope memory(workspace_);
    std::size_t count = 0;
    for (std::size_t row = begin; row < end; row += kGramTile) {
      count += divide_up(vectors_ - row, kGramTile);
    }
    const auto places = memory.take<Place>(count);
    auto next = places.begin();
    for (std::size_t row = begin; row < end; row += kGramTile) {
      for (std::size_t column = row; column < vectors_; column += kGramTile) {
        *next++ = {row, column};
      }
    }
    const double multiply_adds =
        static_cast<double>(end - begin) *
        (static_cast<double>(vectors_ - begin) - static_cast<double>(end - begin) / 2) *
        static_cast<double>(length_);
    const std::size_t workers =
        count_workers(places.size(), multiply_adds / kMultiplyAddsPerNanosecond);
    const auto scratch = memory.take<std::byte>(workers * kernel_.tile_scratch);
    const auto sums = memory.take<double>(places.size());
    parallel_for(places.size(), workers, [&](std::size_t piece, std::size_t worker) {
      const auto [row, column] = places[piece];
      sums[piece] =
          kernel_.tile(matrix_, row, column, row_signs, column < end ? row_signs : column_signs,
                       scratch.data() + worker * kernel_.tile_scratch);
    });
    double total = 0;
    for (const double sum : sums) total += sum;
    return total;
  }

  // The strip's rows look to all vectors from the strip on, those below look to the strip.
  void multiply_signs(std::size_t begin, std::size_t end, const GramSigns& row_signs,
                      const GramSigns& column_signs) {
    const std::size_t chunk = panels() < 16 ? kGramStrip / 4 : kGramStrip;
    const std::size_t row_chunks = divide_up(end - begin, chunk);
    const std::size_t chunks = row_chunks + divide_up(vectors_ - end, chunk);
    const std::size_t pieces = chunks * panels();
    const double signs =
        static_cast<double>(end - begin) *
        (static_cast<double>(vectors_ - begin) + static_cast<double>(vectors_ - end)) *
        static_cast<double>(length_);
    const std::size_t workers = count_workers(pieces, signs / kSignsPerNanosecond);
    WorkspaceScope memory(workspace_);
    const auto scratch = memory.take<std::byte>(workers * kernel_.sign_scratch);
    parallel_for(pieces, workers, [&](std::size_t piece, std::size_t worker) {
      const std::size_t panel = piece / chunks;
      const std::size_t index = piece % chunks;
      const bool is_row = index < row_chunks;
      const std::size_t first = is_row ? begin + index * chunk : end + (index - row_chunks) * chunk;
      kernel_.multiply_signs(matrix_, panel, first,
                             std::min(is_row ? end : vectors_, first + chunk),
                             is_row ? vectors_ : end, is_row ? row_signs : column_signs,
                             scratch.data() + worker * kernel_.sign_scratch);
    });
  }

  Workspace& workspace_;
  WorkspaceScope memory_;
  const GramKernel& kernel_;
  std::size_t vectors_;
  std::size_t length_;
  std::size_t padded_;
  bool streams_;
  SignStore row_store_;
  SignStore column_store_;
  GramMatrix matrix_;
};

bool is_trivial(const OrthogonalRegularizer& regularizer, const ConstView& x) {
  const std::size_t axis = regularizer.mode == Mode::kRows ? 0 : 1;
  return regularizer.factor == 0 || x.extent(axis) < 2 || x.extent(1 - axis) == 0;
}

}  // namespace

double gram_value(const OrthogonalRegularizer& regularizer, const ConstView& x,
                  Workspace* workspace) {
  if (is_trivial(regularizer, x)) return 0;
  Workspace own;
  return regularizer.factor *
         Gram(x, regularizer.mode, false, workspace != nullptr ? *workspace : own).mean();
}

double gram_gradient(const OrthogonalRegularizer& regularizer, const ConstView& x,
                     const View& gradient, double scale, bool accumulate, Workspace* workspace) {
  if (is_trivial(regularizer, x)) {
    if (!accumulate) fill(gradient, 0);
    return 0;
  }
  Workspace own;
  Gram gram(x, regularizer.mode, true, workspace != nullptr ? *workspace : own);
  const double mean = gram.mean();
  if (mean != mean) {
    fill(gradient, mean);
  } else {
    gram.write_gradient(gradient, regularizer.mode, scale * regularizer.factor, accumulate);
  }
  return regularizer.factor * mean;
}

}  // namespace taut
