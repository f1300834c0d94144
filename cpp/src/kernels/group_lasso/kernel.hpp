// Group lasso: sums of squares per group, and x times a number per group, over lines of elements
// that lie side by side.
//
// Along a line the squares go to the lanes of elementwise/pass.hpp; across lines each group has a
// sum of its own, to which the lines are added one after the other. Neither depends on the width of
// the hardware's vectors, so every level gives the same bits.

#ifndef TAUT_KERNELS_GROUP_LASSO_KERNEL_HPP_
#define TAUT_KERNELS_GROUP_LASSO_KERNEL_HPP_

#include "kernels/group_lasso/across.hpp"
#include "kernels/group_lasso/along.hpp"
#include "kernels/group_lasso/finish.hpp"

namespace taut::TAUT_LEVEL {
namespace {

template <typename T>
constexpr GroupLassoKernel group_lasso_kernel() {
  using G = typename WideGradient<T>::type;
  constexpr Writing kAccumulate = Writing::kAccumulate, kAssign = Writing::kAssign;
  return {
      .along = {sum_along<T>, write_along<T, T, kAccumulate>, write_along<T, T, kAssign>,
                write_along<T, G, kAccumulate>, write_along<T, G, kAssign>,
                write_along<T, T, Writing::kShrink>},
      .across = {sum_across<T>, write_across<T, T, kAccumulate>, write_across<T, T, kAssign>,
                 write_across<T, G, kAccumulate>, write_across<T, G, kAssign>,
                 write_across<T, T, Writing::kShrink>},
      .finish_value = finish_groups<NoFactors>,
      .finish_slopes = finish_groups<Slopes>,
      .finish_shrinkages = finish_groups<Shrinkages>,
  };
}

}  // namespace
}  // namespace taut::TAUT_LEVEL

#endif  // TAUT_KERNELS_GROUP_LASSO_KERNEL_HPP_
