// What is asked of a caller's arguments before anything is written. All throw InvalidArgument.

#ifndef TAUT_CHECK_HPP_
#define TAUT_CHECK_HPP_

#include "taut/regularizers.hpp"
#include "taut/view.hpp"

namespace taut {

// Factors are finite and not negative, and an orthogonal penalty is of a matrix.
void check_penalty(const Regularizer& regularizer, const ConstView& x);

// `gradient` has x's shape and a dtype that suits x's, and overlaps neither x nor itself.
void check_gradient(const ConstView& x, const View& gradient);

// A proximal step's length is finite and not negative.
void check_step(double step);

// The regularizer has a proximal step, of a length that float64 can hold, and x does not overlap
// itself. The step has been checked.
void check_prox(const Regularizer& regularizer, const View& x, double step);

}  // namespace taut

#endif  // TAUT_CHECK_HPP_
