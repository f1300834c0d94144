// The penalty of a weight, and its gradient.
//
// Sums are taken in float64 whatever the dtype, under round-to-nearest without flush-to-zero
// whatever the caller set. NaN and Inf are never hidden, but for a term whose factor is 0, which is
// skipped, and in an orthogonal penalty of fewer than two vectors, which is 0. The same arguments
// give the same bits for any number of threads.
//
// What a call works in is taken from the workspace, if there is one, else from memory that the
// process keeps (see trim_memory in runtime.hpp); all of it before anything is written: a call that
// throws std::bad_alloc has written nothing. L1, L2 and L1L2 need next to none, and none of their
// calls but a thread's first allocates, unless a view has more than 8 dimensions.
//
// All of them throw InvalidArgument, before anything is written, for a factor that is negative or
// not finite, for an orthogonal penalty, soft or not, of anything but a matrix, or what it may read
// as one (see `flatten`), and for group lasso of a scalar. They may be called from many threads at
// once.

#ifndef TAUT_PENALTY_HPP_
#define TAUT_PENALTY_HPP_

#include "taut/api.hpp"
#include "taut/regularizers.hpp"
#include "taut/view.hpp"
#include "taut/workspace.hpp"

namespace taut {

// The penalty of x.
TAUT_API double value(const Regularizer& regularizer, const ConstView& x,
                      Workspace* workspace = nullptr);

// gradient += scale * d(penalty)/dx, and returns the penalty (not scaled).
//
// The product with `scale` and the sum are formed in float64 and rounded once. The subgradient is
// used where the penalty has no derivative: sign(0) = 0. `gradient` has the shape of x and its
// dtype (or float32 where x has a half type), and overlaps neither x nor itself: else
// InvalidArgument.
TAUT_API double accumulate_grad(const Regularizer& regularizer, const ConstView& x,
                                const View& gradient, double scale = 1.0,
                                Workspace* workspace = nullptr);

// The same, but overwrites the gradient.
TAUT_API double value_and_grad(const Regularizer& regularizer, const ConstView& x,
                               const View& gradient, double scale = 1.0,
                               Workspace* workspace = nullptr);

// The proximal step: x = argmin over y of step * penalty(y) + |y - x|² / 2, in place.
//
// L1 moves every element towards 0 by step * l1, to exactly 0 where it is nearer; L2 multiplies by
// 1 / (1 + 2 * step * l2); L1L2 does one after the other; group lasso multiplies each group w by
// max(0, 1 - step * factor * √g / |w|). In float64, rounded once. NaN stays NaN.
// Throws InvalidArgument, before anything is written, for a step that is negative or not finite or
// whose product with a factor is not (with l2: twice the product), for the orthogonal penalties,
// which have no such step in closed form, and for an x that overlaps itself.
TAUT_API void prox(const Regularizer& regularizer, const View& x, double step);

}  // namespace taut

#endif  // TAUT_PENALTY_HPP_
