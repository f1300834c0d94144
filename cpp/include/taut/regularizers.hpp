// The penalties, as plain values.

#ifndef TAUT_REGULARIZERS_HPP_
#define TAUT_REGULARIZERS_HPP_

#include <variant>

namespace taut {

// l1 * Σ|x|
struct L1 {
  double l1 = 0.01;
};

// l2 * Σx²
struct L2 {
  double l2 = 0.01;
};

// l1 * Σ|x| + l2 * Σx²
struct L1L2 {
  double l1 = 0.0;
  double l2 = 0.0;
};

enum class Mode { kRows, kColumns };

// factor * mean over pairs i < j of |<x̂ᵢ,x̂ⱼ>|, where x̂ = x / max(|x|, 1e-7) and the vectors x are
// the rows or the columns of a matrix. Fewer than two vectors: 0. A pair's sign in the gradient is
// that of <xᵢ,xⱼ>, computed in the dtype (half types: in float32), and exactly where a product may
// leave its range; a pair of sign 0 adds nothing. With `flatten` an array of more axes is read as a
// matrix too, as convolutions' kernels are: for rows as the first axis by the rest, for columns as
// the rest by the last.
struct OrthogonalRegularizer {
  double factor = 0.01;
  Mode mode = Mode::kRows;
  bool flatten = false;
};

// factor * ‖WWᵀ-I‖², the sum of all squares, where W's rows are the rows or the columns of a
// matrix; without the diagonal factor * Σ⟨wᵢ,wⱼ⟩² over all ordered pairs of them. One number that
// is not finite makes the value and the whole gradient NaN; beside one beyond 2²⁰, those below
// 2⁻¹²⁶ of it (float64: 2⁻¹⁰²²) may count for nothing. Products are those of WᵀW wherever there are
// more vectors than coordinates; without the diagonal, twice as many, and errors are then relative
// to ‖WᵀW‖²: larger than the value where all but few of the vectors are next to nothing. `flatten`
// is OrthogonalRegularizer's.
struct SoftOrthogonalRegularizer {
  double factor = 0.01;
  Mode mode = Mode::kRows;
  bool diagonal = true;
  bool flatten = false;
};

// factor * √g * Σ|w|₂ over the groups w of g elements each, which are the slices of x along its
// first axis (rows) or along its last (columns); of a rank of 1 each element is a group. A group of
// zeros has the gradient 0. NaN in a group makes the penalty and the group's gradient NaN; Inf
// makes the penalty Inf, and in the gradient, factor * √g * w / |w|, its own place NaN and the rest
// of its group 0. Groups of one element are L1's, in all of that.
struct GroupLasso {
  double factor = 0.01;
  Mode mode = Mode::kRows;
};

using Regularizer =
    std::variant<L1, L2, L1L2, OrthogonalRegularizer, SoftOrthogonalRegularizer, GroupLasso>;

}  // namespace taut

#endif  // TAUT_REGULARIZERS_HPP_
