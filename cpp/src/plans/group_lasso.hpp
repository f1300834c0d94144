// Group lasso where numbers leave float64's range on the way: of float64 arrays alone, and rare, so
// neither parallel nor vectorized.

#ifndef TAUT_PLANS_GROUP_LASSO_HPP_
#define TAUT_PLANS_GROUP_LASSO_HPP_

#include "plans/scaled_number.hpp"
#include "views/layout.hpp"

namespace taut {

// Whether a sum of squares may have left the range, or lost digits at its end.
bool left_range(double squares);

// |w| of the first array's elements.
ScaledNumber norm_in_range(const Layout& group);

// gradient (+)= slope * w, of the second array's elements.
void write_in_range(const Layout& group, const ScaledNumber& slope, bool accumulate);

}  // namespace taut

#endif  // TAUT_PLANS_GROUP_LASSO_HPP_
