// What the elementwise penalties have in common: l1 * Σ|x| + l2 * Σx².

#ifndef TAUT_PLANS_ELEMENTWISE_HPP_
#define TAUT_PLANS_ELEMENTWISE_HPP_

#include "kernels/kernels.hpp"
#include "plans/plan.hpp"
#include "run/call.hpp"
#include "taut/dtype.hpp"
#include "views/problem.hpp"

namespace taut {

// A factor of 0 leaves its term out.
struct ElementwiseFactors {
  double l1;
  double l2;
};

// The penalty where the sums of x itself left float64's range, though the penalty need not: the
// sums of x times a power of two, in a second pass over the array. Of float64 numbers, whose
// squares alone can do so.
bool left_range(const ElementwiseFactors& factors, const ElementwiseSums& sums);
double penalty_in_range(const ElementwiseFactors& factors, const Layout& layout);

// The same towards a reference, weighted; of sums whose products may have lost digits as well.
bool left_range_towards(const ElementwiseFactors& factors, const ElementwiseSums& sums);
double penalty_towards_in_range(const ElementwiseFactors& factors, const Layout& layout);

// The slopes of scale * penalty, where the product of scale and l2 leaves float64's range, though
// its product with x need not: `linear` is then to be multiplied by 2^exponent, after x.
struct ScaledSlopes {
  ElementwiseSlopes slopes;
  int exponent;
};
ScaledSlopes slopes_of(const ElementwiseFactors& factors, double scale, DType dtype);

// Of a problem with a reference or an importance, and with a factor unless it is a proximal step.
Plan& make_towards_plan(const ElementwiseFactors& factors, const Problem& problem,
                        const Call& call);

}  // namespace taut

#endif  // TAUT_PLANS_ELEMENTWISE_HPP_
