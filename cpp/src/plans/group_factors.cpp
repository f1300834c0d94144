#include "plans/group_factors.hpp"

#include <algorithm>
#include <cfloat>
#include <cmath>

namespace taut {
namespace {

// Whether a number that is not 0 is none that float64 has with all its digits.
bool needs_range(double number, const ScaledNumber& coefficient) {
  return coefficient.number != 0 && std::isfinite(coefficient.number) && !std::isnormal(number);
}

// Norms of sums that did not leave the range are between 2^-450 and 2^512: what is between these
// numbers does not leave it either, divided by one.
bool is_wide(double coefficient) {
  return coefficient == 0 || (coefficient > 0x1p-500 && coefficient < 0x1p500);
}

GroupFinishFunction finish_of(const Problem& problem, const Call& call) {
  const GroupLassoKernel& kernel =
      call.kernels().group_lasso[static_cast<std::size_t>(problem.dtype)];
  switch (problem.task) {
    case Task::kValue:
      return kernel.finish_value;
    case Task::kAccumulate:
    case Task::kOverwrite:
      return kernel.finish_slopes;
    case Task::kProx:
      return kernel.finish_shrinkages;
  }
  __builtin_unreachable();
}

// Numbers that are far from float64's ends make of what is beyond them what the ends would: but 0
// stays 0.
double plain_value(const ScaledNumber& coefficient, bool is_float64) {
  const double value = coefficient.value();
  const bool is_exact = is_float64 || !std::isfinite(coefficient.number);
  return is_exact ? value : std::clamp(value, -DBL_MAX, DBL_MAX);
}

}  // namespace

GroupFactors::GroupFactors(const GroupLasso& regularizer, const Problem& problem,
                           const Groups& groups, const Call& call)
    : task_(problem.task),
      is_float64_(problem.dtype == DType::kFloat64),
      groups_(groups),
      finish_(finish_of(problem, call)) {
  const double root = std::sqrt(static_cast<double>(groups.members()));
  coefficient_ = scaled(problem.scale) * scaled(regularizer.factor) * scaled(root);
  weights_ = {regularizer.factor, root, plain_value(coefficient_, is_float64_)};
  is_wide_ = task_ == Task::kValue || is_wide(std::abs(weights_.coefficient));
}

bool GroupFactors::are_in_range(const double* sums, std::size_t count) const {
  return is_wide_ && std::none_of(sums, sums + count, left_range);
}

double GroupFactors::finish(std::size_t begin, std::size_t count, double* sums) {
  if (is_float64_ && !are_in_range(sums, count)) return finish_each(begin, count, sums);
  return finish_(sums, count, weights_);
}

double GroupFactors::finish_each(std::size_t begin, std::size_t count, double* sums) {
  double value = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (is_wide_ && !left_range(sums[i])) {
      value += finish_(sums + i, 1, weights_);
    } else {
      value += finish_in_range(begin + i, sums[i]);
    }
  }
  return value;
}

double GroupFactors::finish_in_range(std::size_t group, double& sum) {
  if (std::isnan(sum)) return sum;
  const ScaledNumber norm = norm_in_range(groups_.members_of(group));
  const double ratio = (coefficient_ / norm).value();
  if (norm.number == 0) {
    sum = task_ == Task::kProx ? 0 : 0 * coefficient_.number;
  } else if (task_ == Task::kProx) {
    sum = std::max(0.0, 1 - ratio);
  } else {
    sum = ratio;
    if (std::isfinite(norm.number) && needs_range(ratio, coefficient_)) {
      sum = 0;
      left_range_ = true;
    }
  }
  return (scaled(weights_.factor) * scaled(weights_.root) * norm).value();
}

void GroupFactors::write_in_range(std::size_t begin, std::size_t count,
                                  const double* factors) const {
  if (!left_range_ || task_ == Task::kValue || task_ == Task::kProx) return;
  for (std::size_t i = 0; i < count; ++i) {
    if (factors[i] != 0) continue;
    const Layout group = groups_.members_of(begin + i);
    const ScaledNumber norm = norm_in_range(group);
    if (norm.number == 0 || !std::isfinite(norm.number)) continue;
    const ScaledNumber slope = coefficient_ / norm;
    if (needs_range(slope.value(), coefficient_)) {
      taut::write_in_range(group, slope, task_ == Task::kAccumulate);
    }
  }
}

}  // namespace taut
