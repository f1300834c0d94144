// Group lasso where numbers leave float64's range on the way: of float64 arrays alone, and rare, so
// neither parallel nor vectorized.

#ifndef TAUT_PLANS_GROUP_LASSO_HPP_
#define TAUT_PLANS_GROUP_LASSO_HPP_

#include "views/layout.hpp"

namespace taut {

// number * 2^exponent. The number is 0, not finite, or in [1/2, 1) but for its sign.
struct ScaledNumber {
  double number;
  int exponent;

  double value() const;  // rounded, to 0 or Inf too
};
ScaledNumber scaled(double number);
ScaledNumber operator*(const ScaledNumber& a, const ScaledNumber& b);
ScaledNumber operator/(const ScaledNumber& a, const ScaledNumber& b);

// Whether a sum of squares may have left the range, or lost digits at its end.
bool left_range(double squares);

// |w| of the first array's elements.
ScaledNumber norm_in_range(const Layout& group);

// gradient (+)= slope * w, of the second array's elements.
void write_in_range(const Layout& group, const ScaledNumber& slope, bool accumulate);

}  // namespace taut

#endif  // TAUT_PLANS_GROUP_LASSO_HPP_
