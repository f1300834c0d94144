// The memory that soft orthogonality is computed in, and by which way, so that this is bounded.

#include <algorithm>

#include "plans/soft_orthogonal_plan.hpp"

namespace taut {

void SoftOrthogonalPlan::place(Block& block) {
  if (!is_streamed()) matrix_.rows = take(block, matrix_.padded_vectors, matrix_.length);
  if (saves_memory_ ? has_gradient() : is_turned()) {
    const std::size_t vectors =
        saves_memory_ ? part_of_turned(0).padded_vectors : turned_.padded_vectors;
    turned_.rows = take(block, vectors, turned_.length);
  }
  if (subtracts_norms()) norms_ = block.take<double>(turned_.padded_vectors);
  if (windows() > 1) {
    const std::size_t products = checked_product(strip(0).tiles(), windows());
    products_ = block.take<std::byte>(checked_product(products, bytes_of_products()));
  }
  if (!has_gradient()) return;
  const std::size_t height = saves_memory_ ? matrix_.vectors : strip(0).end;
  const std::size_t below = matrix_.vectors - height;
  store_.own_stride = round_up(height, shape_.vector_multiple);
  store_.below_stride = round_up(below, shape_.vector_multiple);
  store_.own = take(block, matrix_.vectors, store_.own_stride);
  store_.below = take(block, height, store_.below_stride);
  if (height < matrix_.vectors) {
    sums_ = static_cast<std::byte*>(take(block, below, turned_.padded_vectors));
  }
}

std::size_t SoftOrthogonalPlan::count_memory() {
  Block counted;
  place(counted);
  return counted.used();
}

// Chooses the quicker way, unless it takes more and the other one less.
void SoftOrthogonalPlan::stay_within(std::size_t most) {
  // Without counting, which a small matrix would notice: copies and sums in float64, and H.
  const auto vectors = static_cast<double>(matrix_.vectors + kGramSmallTile);
  const auto length = static_cast<double>(matrix_.length + kGramSmallTile);
  const double numbers = vectors * (4 * length + 2 * vectors);
  if (numbers * sizeof(double) <= static_cast<double>(most)) return;
  const std::size_t quick = count_memory();
  if (quick <= most) return;
  saves_memory_ = true;
  saves_memory_ = count_memory() < quick;
}

std::size_t SoftOrthogonalPlan::count_scratch() const {
  std::size_t copied = 0;
  if (is_streamed()) copied = checked_product(matrix_.padded_vectors, kSoftWindow);
  if (saves_memory_ && subtracts_norms()) {
    copied = std::max(copied, checked_product(shape_.register_columns, matrix_.vectors));
  }
  return std::max(kernel_.scratch, checked_product(copied, shape_.compute_size));
}

}  // namespace taut
