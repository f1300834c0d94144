// From the signs of all pairs to the gradient of a range of the vectors, window by window.

#include <algorithm>
#include <cmath>
#include <cstring>

#include "plans/fill.hpp"
#include "plans/gram_share.hpp"
#include "plans/gram_vectors.hpp"
#include "plans/gram_window.hpp"
#include "plans/pair_words.hpp"
#include "plans/sign_store.hpp"

namespace taut {
namespace {

class SlopesPlan final : public Plan {
 public:
  SlopesPlan(double factor, const ReceivedSigns& signs, const Problem& problem,
             const Vectors& vectors, const Call& call)
      : kernel_(call.kernels().gram[static_cast<std::size_t>(problem.dtype)]),
        problem_(problem),
        target_(vectors.arrays[1]),
        received_(signs),
        range_(vectors.range),
        length_(vectors.length),
        first_(range_.begin - range_.begin % kGramSignGroup),
        targets_(range_.end - first_),
        words_(vectors.count, signs.count, kernel_.compute_size),
        coefficient_(problem.scale, factor, number_of_pairs(vectors.count)),
        finite_(are_finite(signs.measures)) {
    const Vectors::Array& source = vectors.arrays[0];
    matrix_.vectors = vectors.count;
    matrix_.padded_vectors = round_up(vectors.count, kernel_.vector_multiple);
    matrix_.panel_vectors = round_up(vectors.count, kGramSignGroup);
    matrix_.gradient_vectors = round_up(targets_, kGramSignGroup);
    store_.tile = words_.tile;
    store_.own_group = words_.own_group;
    matrix_.source = {source.data, source.vector_stride, source.coordinate_stride};
    windows_ = GramWindows(kernel_, matrix_, length_);
    set_needs(2, windows_.scratch());
  }

  void place(Block& block) override {
    place_vectors(matrix_, kernel_.compute_size, block);
    store_.place(block, targets_, matrix_.vectors);
    store_.place_own(block, targets_, kernel_.compute_size);
  }

  Phase phase(std::size_t index) const override {
    const auto vectors = static_cast<double>(matrix_.vectors);
    const auto targets = static_cast<double>(targets_);
    if (index == 0) {
      return {words_.tiles + 2, vectors + targets * vectors / kGramSignBlock};
    }
    const auto length = static_cast<double>(length_);
    return {windows_.count(), vectors * length / kCopiesPerNanosecond +
                                  targets * vectors * length / kSignsPerNanosecond};
  }

  void run(std::size_t phase, std::size_t piece, std::byte* scratch) override {
    if (phase == 1) return multiply(piece, scratch);
    if (!finite_) return;
    if (piece < words_.tiles) return read_slots(piece);
    return piece == words_.tiles ? read_own_groups() : read_vectors();
  }

  double combine() override { return 0; }

 private:
  // Targets before the range, up to a whole group: they are computed, and not used.
  std::size_t before() const { return range_.begin - first_; }

  // What a share said of a vector of the range.
  const std::byte* row_of(std::size_t vector, std::size_t share) const {
    return received_.words +
           (share * received_.stride + (vector - range_.begin) * words_.row_size()) *
               sizeof(PairWord);
  }

  // Of all targets towards the vectors of a tile.
  void read_slots(std::size_t column) {
    const std::size_t others = std::min(words_.tile, matrix_.vectors - column * words_.tile);
    const std::size_t blocks = words_.blocks > 0 ? divide_up(others, kGramSignBlock) : 0;
    const std::size_t first = column * words_.blocks * targets_;
    double* const cosines = store_.cosines + column * targets_;
    constexpr PairWord kNoSigns = UINT64_C(0x0101010101010101) * kGramOwnGroup;
    for (std::size_t target = 0; target < before(); ++target) {
      for (std::size_t block = 0; block < blocks; ++block) {
        store_.positive[first + block * targets_ + target] = kNoSigns;
        store_.has_zero[first + block * targets_ + target] = 0;
      }
      cosines[target] = 0;
    }
    for (std::size_t target = before(); target < targets_; ++target) {
      const std::size_t vector = first_ + target;
      const std::byte* const row = row_of(vector, words_.share_of(vector / words_.tile, column));
      const auto read = [&](std::size_t place, auto& word) {
        static_assert(sizeof(word) == sizeof(PairWord));
        std::memcpy(&word, row + (words_.slot_of(column) + place) * sizeof(word), sizeof(word));
      };
      for (std::size_t block = 0; block < blocks; ++block) {
        const std::size_t at = first + block * targets_ + target;
        PairWord negative;
        read(block, store_.positive[at]);
        read(words_.blocks + block, negative);
        store_.has_zero[at] = (negative & PairWords::kHasZero) != 0;
        store_.negative[at] = negative & ~PairWords::kHasZero;
      }
      read(2 * words_.blocks, cosines[target]);
    }
  }

  void read_own_groups() {
    auto* const own = static_cast<std::byte*>(store_.own);
    const std::size_t stride = (words_.own_group + kGramSurplus) * kernel_.compute_size;
    std::memset(own, 0, round_up(targets_, kGramSignGroup) * stride);
    for (std::size_t target = before(); target < targets_; ++target) {
      const std::size_t vector = first_ + target;
      const std::size_t tile = vector / words_.tile;
      std::memcpy(
          own + target * stride,
          row_of(vector, words_.share_of(tile, tile)) + words_.own_place() * sizeof(PairWord),
          words_.own * sizeof(PairWord));
    }
  }

  void read_vectors() {
    const std::size_t vectors = matrix_.vectors;
    for (std::size_t vector = 0; vector < vectors; ++vector) {
      read_measures(received_.measures, vector, matrix_);
      set_unit_weight(vector, matrix_.weights[vector]);
    }
    for (std::size_t vector = vectors; vector < matrix_.panel_vectors; ++vector) {
      set_unit_weight(vector, 0);
    }
    std::fill(matrix_.factors + vectors, matrix_.factors + matrix_.padded_vectors, 1.0);
  }

  void set_unit_weight(std::size_t vector, double weight) {
    if (kernel_.compute_size == sizeof(double)) {
      static_cast<double*>(matrix_.unit_weights)[vector] = weight;
    } else {
      static_cast<float*>(matrix_.unit_weights)[vector] = static_cast<float>(weight);
    }
  }

  void multiply(std::size_t piece, std::byte* scratch) {
    if (!finite_) return fill_gradient_with_nan(problem_, piece, phase(1).pieces);
    const GramTarget target{target_.data,
                            target_.vector_stride,
                            target_.coordinate_stride,
                            problem_.gradient->dtype() == DType::kFloat32,
                            false,
                            range_.begin};
    windows_.finish(piece, matrix_, range_, store_.signs(targets_, first_, 0), coefficient_, target,
                    scratch);
  }

  const GramKernel& kernel_;
  const Problem& problem_;
  Vectors::Array target_;  // the gradient
  const ReceivedSigns& received_;
  VectorRange range_;
  std::size_t length_;
  std::size_t first_;    // of the targets
  std::size_t targets_;  // the range, from a whole group on
  PairWords words_;
  GramCoefficient coefficient_;
  bool finite_;
  GramMatrix matrix_{};
  GramWindows windows_;
  SignStore store_;
};

class SlopesPlanMaker final : public VectorPlanMaker {
 public:
  SlopesPlanMaker(double factor, const ReceivedSigns& signs) : factor_(factor), signs_(signs) {}
  Plan& make(const Problem& problem, const Vectors& vectors, const Call& call) const override {
    return call.arena().make<SlopesPlan>(factor_, signs_, problem, vectors, call);
  }

 private:
  double factor_;
  const ReceivedSigns& signs_;
};

}  // namespace

Plan& make_slopes_plan(const OrthogonalRegularizer& regularizer, VectorRange range,
                       const ReceivedSigns& signs, const Problem& problem, const Call& call) {
  return make_vector_plan(problem, regularizer.mode, range, call,
                          SlopesPlanMaker(regularizer.factor, signs));
}

}  // namespace taut
