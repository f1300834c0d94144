// A share of the pairs of the orthogonal penalty: some tiles of the Gram matrix's upper triangle.
// They are the tiles of the whole penalty, and so are their bits.

#include <algorithm>
#include <atomic>
#include <cstring>
#include <limits>
#include <span>

#include "plans/gram_share.hpp"
#include "plans/gram_vectors.hpp"
#include "plans/pair_words.hpp"
#include "plans/sign_store.hpp"
#include "run/stop.hpp"

namespace taut {
namespace {

class PairsPlan final : public Plan {
 public:
  PairsPlan(double factor, PairShare share, const PairSigns* signs, const Problem& problem,
            const Vectors& vectors, const Call& call)
      : factor_(factor),
        kernel_(call.kernels().gram[static_cast<std::size_t>(problem.dtype)]),
        share_(share),
        signs_(signs),
        vectors_(vectors.count),
        words_(vectors_, share.count, kernel_.compute_size),
        tiles_(call.arena().take<GramTile>(count_tiles())),
        sums_(call.arena().take<double>(tiles_.size())) {
    matrix_.vectors = vectors_;
    matrix_.length = vectors.length;
    matrix_.padded_vectors = round_up(vectors_, kernel_.vector_multiple);
    matrix_.panel_vectors = round_up(vectors_, kGramSignGroup);
    matrix_.source = {vectors.arrays[0].data, vectors.arrays[0].vector_stride,
                      vectors.arrays[0].coordinate_stride};
    matrix_.column_source = matrix_.source;
    auto tile = tiles_.begin();
    visit_tiles([&](const GramTile& own) { *tile++ = own; });
    Block scratch;
    [[maybe_unused]] const Memory counted(*this, scratch);
    set_needs(2, scratch.used());
  }

  void place(Block& block) override {
    place_vectors(matrix_, kernel_.compute_size, block);
    matrix_.rows = block.take<std::byte>(
        checked_product(matrix_.padded_vectors, matrix_.length, kernel_.compute_size));
  }

  Phase phase(std::size_t index) const override {
    const auto length = static_cast<double>(matrix_.length);
    if (index == 0) {
      return {groups(), static_cast<double>(vectors_) * length / kCopiesPerNanosecond};
    }
    return {tiles_.size(), number_of_pairs(vectors_) / static_cast<double>(share_.count) * length /
                               kMultiplyAddsPerNanosecond};
  }

  void run(std::size_t phase, std::size_t piece, std::byte* scratch) override {
    return phase == 0 ? pack(piece) : compute(piece, scratch);
  }

  double combine() override {
    if (!finite_) {
      if (signs_ != nullptr) mark_not_finite(signs_->measures);
      return std::numeric_limits<double>::quiet_NaN();
    }
    double sum = 0;
    for (const double of_tile : sums_) sum += of_tile;
    return factor_ * (sum / number_of_pairs(vectors_));
  }

 private:
  // One thread's, for a tile: its products, and its signs in both directions.
  struct Memory {
    Memory(const PairsPlan& plan, Block& block)
        : products(block.take<std::byte>(plan.kernel_.tile_scratch)) {
      if (plan.signs_ == nullptr) return;
      const PairWords& words = plan.words_;
      const std::size_t others = words.blocks > 0 ? words.tile : plan.vectors_;
      for (SignStore* store : {&rows, &columns}) {
        store->tile = words.tile;
        store->own_group = words.own_group;
        store->place(block, words.tile, others);
      }
      rows.place_own(block, words.tile, plan.kernel_.compute_size);
    }

    std::byte* products;
    SignStore rows;
    SignStore columns;
  };

  std::size_t groups() const { return divide_up(vectors_, kernel_.register_columns); }

  // Calls visit(tile) for those of the share.
  template <typename Visit>
  void visit_tiles(Visit visit) const {
    constexpr std::size_t kAsking = std::size_t{1} << 16;  // tiles between two questions
    const std::size_t side = words_.tile;
    for (std::size_t i = 0; i < words_.tiles; ++i) {
      for (std::size_t j = i; j < words_.tiles; ++j) {
        if (j % kAsking == 0) Questions::ask_if_due(kAsking);
        if (words_.share_of(i, j) != share_.index) continue;
        const std::size_t row = i * side;
        const std::size_t column = j * side;
        visit({row, column, std::min(side, vectors_ - row), std::min(side, vectors_ - column)});
      }
    }
  }
  std::size_t count_tiles() const {
    std::size_t count = 0;
    visit_tiles([&](const GramTile&) { ++count; });
    return count;
  }

  void pack(std::size_t piece) {
    const std::size_t begin = piece * kernel_.register_columns;
    const std::size_t end = std::min(vectors_, begin + kernel_.register_columns);
    if (piece == 0) {  // what tiles read beyond the last vector counts for nothing
      const std::size_t packed = groups() * kernel_.register_columns;
      std::fill(matrix_.weights + std::min(packed, matrix_.padded_vectors),
                matrix_.weights + padded_weights(matrix_), 0.0);
    }
    if (!kernel_.pack(matrix_, begin)) {
      finite_ = false;
      return;
    }
    if (signs_ == nullptr) return;
    for (std::size_t vector = begin; vector < end; ++vector) {
      write_measures(matrix_, vector, signs_->measures);
      clear_unused_words(vector);
    }
  }

  // In the last slot, which is not everybody's, and of those who have no tile on the diagonal.
  void clear_unused_words(std::size_t vector) const {
    const std::size_t first = words_.own_place() - words_.slot_size();
    std::memset(row_of(vector) + first * sizeof(PairWord), 0,
                (words_.row_size() - first) * sizeof(PairWord));
  }

  void compute(std::size_t piece, std::byte* scratch) {
    if (!finite_) return;
    const GramTile& tile = tiles_[piece];
    Block block(scratch);
    const Memory memory(*this, block);
    if (signs_ == nullptr) {
      sums_[piece] = kernel_.tile(matrix_, tile, nullptr, nullptr, memory.products);
      return;
    }
    const GramSigns rows = memory.rows.signs(tile.rows, tile.row, tile.column);
    const GramSigns columns = memory.columns.signs(tile.columns, tile.column, tile.row);
    sums_[piece] = kernel_.tile(matrix_, tile, &rows, &columns, memory.products);
    write_slots(rows, tile.columns);
    if (tile.diagonal()) {
      write_own_groups(rows);
    } else {
      write_slots(columns, tile.rows);
    }
  }

  // What the targets of a tile have of its others.
  void write_slots(const GramSigns& signs, std::size_t others) const {
    const std::size_t slot = words_.slot_of(signs.other_base / words_.tile);
    const std::size_t blocks = words_.blocks > 0 ? divide_up(others, kGramSignBlock) : 0;
    for (std::size_t target = 0; target < signs.targets; ++target) {
      std::byte* const row = row_of(signs.target_base + target);
      const auto write = [&](std::size_t place, auto word) {
        static_assert(sizeof(word) == sizeof(PairWord));
        std::memcpy(row + (slot + place) * sizeof(word), &word, sizeof(word));
      };
      for (std::size_t block = 0; block < blocks; ++block) {
        const std::size_t at = block * signs.targets + target;
        const PairWord written = codes_of(others - block * kGramSignBlock);
        write(block, signs.positive[at] & written);
        write(words_.blocks + block, signs.has_zero[at] != 0
                                         ? (signs.negative[at] & written) | PairWords::kHasZero
                                         : PairWord{0});
      }
      write(2 * words_.blocks, signs.cosines[target]);
    }
  }

  // The bits that a word of so many others has: behind them may be what was there before.
  static PairWord codes_of(std::size_t others) {
    const std::size_t groups = divide_up(std::min(others, kGramSignBlock), kGramSignGroup);
    return ~PairWord{0} >> (8 * (sizeof(PairWord) - groups));
  }

  void write_own_groups(const GramSigns& signs) const {
    const std::size_t bytes = words_.own * sizeof(PairWord);
    const std::size_t stride = (words_.own_group + kGramSurplus) * kernel_.compute_size;
    for (std::size_t target = 0; target < signs.targets; ++target) {
      std::memcpy(row_of(signs.target_base + target) + words_.own_place() * sizeof(PairWord),
                  static_cast<const std::byte*>(signs.own) + target * stride, bytes);
    }
  }

  std::byte* row_of(std::size_t vector) const {
    return signs_->words + vector * words_.row_size() * sizeof(PairWord);
  }

  double factor_;
  const GramKernel& kernel_;
  PairShare share_;
  const PairSigns* signs_;
  std::size_t vectors_;
  PairWords words_;
  GramMatrix matrix_{};
  std::span<GramTile> tiles_;
  std::span<double> sums_;
  std::atomic<bool> finite_{true};
};

class PairsPlanMaker final : public VectorPlanMaker {
 public:
  PairsPlanMaker(double factor, PairShare share, const PairSigns* signs)
      : factor_(factor), share_(share), signs_(signs) {}
  Plan& make(const Problem& problem, const Vectors& vectors, const Call& call) const override {
    return call.arena().make<PairsPlan>(factor_, share_, signs_, problem, vectors, call);
  }

 private:
  double factor_;
  PairShare share_;
  const PairSigns* signs_;
};

}  // namespace

Plan& make_pairs_plan(const OrthogonalRegularizer& regularizer, PairShare share,
                      const PairSigns* signs, const Problem& problem, const Call& call) {
  return make_vector_plan(problem, regularizer.mode, call,
                          PairsPlanMaker(regularizer.factor, share, signs));
}

}  // namespace taut
