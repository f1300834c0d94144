// Which vectors soft orthogonality is computed of. Of n vectors W of length d, ‖WWᵀ-I‖² =
// ‖WᵀW-I‖² + n - d, and the gradients of both are the same: so the vectors V are the rows or the
// columns of x, whichever are fewer.
//
// Without the diagonal, Σ⟨wᵢ,wⱼ⟩² = ‖WᵀW‖² - Σ|wᵢ|⁴. Where n ≥ 2d and norms are alike, less than
// half of ‖WᵀW‖² is taken away, so that a bit is lost at most. Between d and 2d vectors all but a
// d-th part could be, and V is W itself, which takes at most twice the time.

#ifndef TAUT_PLANS_SOFT_ORTHOGONAL_ROUTE_HPP_
#define TAUT_PLANS_SOFT_ORTHOGONAL_ROUTE_HPP_

#include <utility>

#include "kernels/kernels.hpp"
#include "plans/vectors.hpp"

namespace taut {

// The same numbers, read as the vectors' coordinates.
inline Vectors turned(const Vectors& vectors) {
  Vectors turned{vectors.length, vectors.count, {0, vectors.length}, vectors.arrays, 0};
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

}  // namespace taut

#endif  // TAUT_PLANS_SOFT_ORTHOGONAL_ROUTE_HPP_
