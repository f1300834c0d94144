// The orthogonal penalty in two steps, between which the shares of its pairs are put together.

#ifndef TAUT_PLANS_GRAM_SHARE_HPP_
#define TAUT_PLANS_GRAM_SHARE_HPP_

#include "plans/plan.hpp"
#include "run/call.hpp"
#include "taut/pair_share.hpp"
#include "views/problem.hpp"

namespace taut {

// A share's value, and its signs unless these are null. There are two vectors or more, with a
// coordinate.
Plan& make_pairs_plan(const OrthogonalRegularizer&, PairShare, const PairSigns*, const Problem&,
                      const Call&);

// From the signs of all shares to the gradient of a range, which is not empty, of such vectors.
Plan& make_slopes_plan(const OrthogonalRegularizer&, VectorRange, const ReceivedSigns&,
                       const Problem&, const Call&);

}  // namespace taut

#endif  // TAUT_PLANS_GRAM_SHARE_HPP_
