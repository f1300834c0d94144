// From the signs of all pairs to gradients: the signs times the directions, a window of coordinates
// after the other. A window of all vectors is copied, used for all targets, and forgotten, so that
// it stays in a cache. The bits are those of the whole at once: see kernels/gram/stream.hpp.

#ifndef TAUT_PLANS_GRAM_WINDOW_HPP_
#define TAUT_PLANS_GRAM_WINDOW_HPP_

#include <algorithm>
#include <cstddef>

#include "kernels/kernels.hpp"
#include "plans/gram_vectors.hpp"
#include "plans/strip.hpp"
#include "run/arena.hpp"
#include "taut/vector_range.hpp"

namespace taut {

class GramWindows {
 public:
  GramWindows() = default;
  // Of as many targets as the matrix has gradients, in whole groups.
  GramWindows(const GramKernel& kernel, const GramMatrix& matrix, std::size_t length)
      : kernel_(&kernel),
        length_(length),
        panel_vectors_(matrix.panel_vectors),
        gradient_vectors_(matrix.gradient_vectors) {
    // Measured as the best where a second-level cache has 1 MB, which they fill by half.
    constexpr std::size_t kBytes = std::size_t{512} << 10;
    const std::size_t fit = kBytes / kernel.compute_size / panel_vectors_;
    coordinates_ = std::clamp(fit - fit % kGramCoordinates, kGramCoordinates, kGramWindow);
    Block counted;
    [[maybe_unused]] const Memory memory(*this, counted);
    scratch_ = counted.used();
  }

  std::size_t count() const { return divide_up(length_, coordinates_); }
  std::size_t scratch() const { return scratch_; }  // bytes that one thread needs for a window

  // Writes the part of the gradient of the vectors `targets` that is in a window. The signs are
  // towards all vectors, and of those from the first group of a target on. Of the matrix, what is
  // known of each vector counts, and its source. `target` is that of the whole length.
  void finish(std::size_t index, const GramMatrix& matrix, VectorRange targets,
              const GramSigns& signs, const GramCoefficient& coefficient, const GramTarget& target,
              std::byte* scratch) const {
    Block block(scratch);
    const Memory memory(*this, block);
    const auto begin = static_cast<std::ptrdiff_t>(index * coordinates_);
    GramMatrix window = matrix;
    window.length = std::min(coordinates_, length_ - index * coordinates_);
    window.source.data =
        static_cast<const std::byte*>(matrix.source.data) + begin * matrix.source.coordinate_stride;
    window.panels = memory.panels;
    window.gradients = memory.gradients;
    window.gradient_vectors = gradient_vectors_;
    window.first_gradient = signs.target_base;
    window.projections = memory.projections;
    window.reciprocals = memory.reciprocals;
    std::copy(matrix.reciprocals + targets.begin, matrix.reciprocals + targets.end,
              window.reciprocals + targets.begin);
    coefficient.scale_reciprocals(window.reciprocals, targets.begin, targets.end);
    GramTarget part = target;
    part.data = static_cast<std::byte*>(target.data) + begin * target.coordinate_stride;
    kernel_->stream_finish(window, targets.begin, targets.end, signs, coefficient.number, part,
                           memory.tables);
  }

 private:
  struct Memory {
    Memory(const GramWindows& windows, Block& block)
        : panels(block.take<std::byte>(windows.copied(windows.panel_vectors_))),
          gradients(block.take<std::byte>(windows.copied(windows.gradient_vectors_))),
          projections(block.take<double>(windows.gradient_vectors_)),
          reciprocals(block.take<double>(windows.panel_vectors_)),
          tables(block.take<std::byte>(windows.kernel_->sign_scratch)) {}

    std::byte* panels;
    std::byte* gradients;
    double* projections;
    double* reciprocals;
    std::byte* tables;
  };

  std::size_t copied(std::size_t vectors) const {
    return checked_product(vectors, std::min(coordinates_, round_up(length_, kGramCoordinates)),
                           kernel_->compute_size);
  }

  const GramKernel* kernel_ = nullptr;
  std::size_t length_ = 0;
  std::size_t panel_vectors_ = 0;
  std::size_t gradient_vectors_ = 0;
  std::size_t coordinates_ = 0;  // of a window
  std::size_t scratch_ = 0;
};

}  // namespace taut

#endif  // TAUT_PLANS_GRAM_WINDOW_HPP_
