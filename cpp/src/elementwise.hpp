// The elementwise penalties over a whole array.

#ifndef TAUT_ELEMENTWISE_HPP_
#define TAUT_ELEMENTWISE_HPP_

#include "taut/view.hpp"

namespace taut {

// l1 * Σ|x| + l2 * Σx², where a factor of 0 leaves its term out.
struct ElementwiseFactors {
  double l1;
  double l2;
};

double elementwise_value(const ElementwiseFactors& factors, const ConstView& x);

// gradient (+)= scale * (l1 * sign(x) + 2 * l2 * x); returns the value, with the very bits of
// elementwise_value. The views have been checked.
double elementwise_gradient(const ElementwiseFactors& factors, const ConstView& x,
                            const View& gradient, double scale, bool accumulate);

// Overwrites every element with 0 or NaN.
void fill(const View& view, double zero_or_nan);

}  // namespace taut

#endif  // TAUT_ELEMENTWISE_HPP_
