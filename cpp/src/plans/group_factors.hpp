// What the groups of a group lasso are multiplied with, from the sums of their squares.

#ifndef TAUT_PLANS_GROUP_FACTORS_HPP_
#define TAUT_PLANS_GROUP_FACTORS_HPP_

#include <atomic>
#include <cstddef>

#include "kernels/kernels.hpp"
#include "plans/group_lasso.hpp"
#include "plans/groups.hpp"
#include "run/call.hpp"
#include "taut/regularizers.hpp"
#include "views/problem.hpp"

namespace taut {

// factor * √g / |w| for a gradient, max(0, 1 - step * factor * √g / |w|) for a proximal step.
class GroupFactors {
 public:
  GroupFactors(const GroupLasso& regularizer, const Problem& problem, const Groups& groups,
               const Call& call);

  // Of `count` groups from `begin` on, in place; returns their penalty.
  double finish(std::size_t begin, std::size_t count, double* sums);

  // Writes the gradients of those whose factor left float64's range, and stands there as 0.
  void write_in_range(std::size_t begin, std::size_t count, const double* factors) const;

 private:
  bool are_in_range(const double* sums, std::size_t count) const;
  double finish_each(std::size_t begin, std::size_t count, double* sums);
  double finish_in_range(std::size_t group, double& sum);

  Task task_;
  bool is_float64_;
  const Groups& groups_;
  ScaledNumber coefficient_;  // scale * factor * √g
  GroupWeights weights_;
  bool is_wide_;  // no number on the way to a factor leaves the range if the sum of squares did not
  GroupFinishFunction finish_;
  std::atomic<bool> left_range_{false};  // a factor did
};

}  // namespace taut

#endif  // TAUT_PLANS_GROUP_FACTORS_HPP_
