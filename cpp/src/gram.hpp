// The orthogonal penalty over a whole matrix.

#ifndef TAUT_GRAM_HPP_
#define TAUT_GRAM_HPP_

#include "taut/regularizers.hpp"
#include "taut/view.hpp"
#include "taut/workspace.hpp"

namespace taut {

// A workspace is used if there is one.
double gram_value(const OrthogonalRegularizer& regularizer, const ConstView& x,
                  Workspace* workspace);

// gradient (+)= scale * d(penalty)/dx; returns the value, with the very bits of gram_value. The
// views have been checked.
double gram_gradient(const OrthogonalRegularizer& regularizer, const ConstView& x,
                     const View& gradient, double scale, bool accumulate, Workspace* workspace);

}  // namespace taut

#endif  // TAUT_GRAM_HPP_
