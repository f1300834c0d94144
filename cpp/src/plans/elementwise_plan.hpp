// A plan whose pieces each walk over some elements and give sums.

#ifndef TAUT_PLANS_ELEMENTWISE_PLAN_HPP_
#define TAUT_PLANS_ELEMENTWISE_PLAN_HPP_

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <span>

#include "plans/cut.hpp"
#include "plans/elementwise.hpp"
#include "plans/plan.hpp"
#include "run/call.hpp"
#include "views/problem.hpp"

namespace taut {

constexpr std::size_t kBlockBytes = kElementwiseBlock * sizeof(double);

inline const ElementwiseKernel& kernel_of(DType dtype, const Call& call) {
  return call.kernels().elementwise[static_cast<std::size_t>(dtype)];
}

// The index of the sums that are wanted, of which there must be one.
inline std::size_t terms_index(const ElementwiseFactors& factors) {
  const unsigned terms =
      (factors.l1 != 0 ? unsigned{kAbsolute} : 0) | (factors.l2 != 0 ? unsigned{kSquare} : 0);
  return terms - 1;
}

// Whether the kernels can pass over an array where it is: without gaps, or in rows of whole lanes.
inline bool lies_in_rows(const Layout& layout, std::size_t array) {
  if (layout.rank == 0) return true;
  const Layout::Array& of = layout.arrays[array];
  return (layout.rank == 1 || (layout.rank == 2 && layout.extents[0] % kElementwiseLanes == 0)) &&
         of.strides[0] == static_cast<std::ptrdiff_t>(of.element_size);
}
inline bool is_direct(const Layout& layout, std::size_t first_arrays) {
  bool is_direct = true;
  for (std::size_t array = 0; array < first_arrays; ++array) {
    is_direct = is_direct && lies_in_rows(layout, array);
  }
  return is_direct;
}

// Where an element of such an array is, for writing: the view that it is of could be written; and
// the rows from there on.
inline void* element(const Layout& layout, std::size_t array, std::size_t index) {
  const Layout::Array& of = layout.arrays[array];
  std::byte* origin = const_cast<std::byte*>(of.origin);
  if (layout.rank < 2) return origin + index * of.element_size;
  const auto row = static_cast<std::ptrdiff_t>(index / layout.extents[0]);
  return origin + row * of.strides[1] + index % layout.extents[0] * of.element_size;
}
inline std::ptrdiff_t row_gap(const Layout& layout, std::size_t array) {
  if (layout.rank < 2) return 0;
  const Layout::Array& of = layout.arrays[array];
  return of.strides[1] - static_cast<std::ptrdiff_t>(layout.extents[0] * of.element_size);
}
inline ElementwiseRows rows_from(const Layout& layout, std::size_t index, std::ptrdiff_t x_gap,
                                 std::ptrdiff_t gradient_gap) {
  if (layout.rank < 2) return kOneRow;
  const std::size_t length = layout.extents[0];
  return {length - index % length, length, x_gap, gradient_gap};
}

// Calls work(begin, count) for each block and adds what it returns, block after block as the
// kernels do, so that a gathered array gives the bits of a contiguous one.
template <typename Work>
ElementwiseSums sum_blocks(std::size_t begin, std::size_t end, Work work) {
  ElementwiseSums sums{0, 0};
  for (; begin < end; begin += kElementwiseBlock) {
    const ElementwiseSums block = work(begin, std::min(kElementwiseBlock, end - begin));
    sums.absolute += block.absolute;
    sums.square += block.square;
  }
  return sums;
}

// Adds the second half to the first until one is left; they are not kept.
inline ElementwiseSums add_up(std::span<ElementwiseSums> sums) {
  if (sums.empty()) return {0, 0};
  for (std::size_t count = sums.size(); count > 1;) {
    const std::size_t half = (count + 1) / 2;
    for (std::size_t i = half; i < count; ++i) {
      sums[i - half].absolute += sums[i].absolute;
      sums[i - half].square += sums[i].square;
    }
    count = half;
  }
  return sums[0];
}

// Multiplies by 2^exponent in steps that each are in range, and in the direction of the result, so
// that nothing on the way is beyond it: first(power), next(power) as often as it takes, and
// last(power). Upwards at once, so that a product with a subnormal number has all its digits.
template <typename First, typename Next, typename Last>
void multiply_by_power(int exponent, First first, Next next, Last last) {
  constexpr int kMostInOneStep = 1000;
  const int at_once = std::clamp(exponent, 0, kMostInOneStep);
  first(std::ldexp(1.0, at_once));
  int left = exponent - at_once;
  while (std::abs(left) > kMostInOneStep) {
    const int step = left > 0 ? kMostInOneStep : -kMostInOneStep;
    next(std::ldexp(1.0, step));
    left -= step;
  }
  last(std::ldexp(1.0, left));
}

// `Work` says what happens to the elements [begin, end), in the order of the layout, and how much
// `scratch` that takes.
template <typename Work>
class ElementwisePlan final : public Plan {
 public:
  ElementwisePlan(const ElementwiseFactors& factors, const Problem& problem, const Call& call)
      : factors_(factors),
        layout_(problem.layout),
        is_float64_(problem.dtype == DType::kFloat64),
        cut_(layout_.size),
        work_(factors, problem, call),
        sums_(call.arena().take<ElementwiseSums>(cut_.pieces())) {
    constexpr double kPlanNanoseconds = 100;  // beside the elements
    needs_ = {1, static_cast<double>(layout_.size) * Work::kNanoseconds + kPlanNanoseconds, 0,
              work_.scratch(layout_)};
  }

  Phase phase(std::size_t) const override { return {cut_.pieces(), needs_.nanoseconds}; }
  void run(std::size_t, std::size_t piece, std::byte* scratch) override {
    sums_[piece] = work_.run(layout_, cut_.begin(piece), cut_.end(piece), scratch);
  }
  double combine() override {
    if constexpr (!Work::kHasSums) return 0;
    const ElementwiseSums sums = add_up(sums_);
    if (is_float64_ && work_.left_range(factors_, sums)) {
      return work_.penalty_in_range(factors_, layout_);
    }
    double value = 0;
    if (factors_.l1 != 0) value += factors_.l1 * sums.absolute;
    if (factors_.l2 != 0) value += factors_.l2 * sums.square;
    return value;
  }

 private:
  ElementwiseFactors factors_;
  const Layout& layout_;
  bool is_float64_;
  Cut cut_;
  Work work_;
  std::span<ElementwiseSums> sums_;
};

}  // namespace taut

#endif  // TAUT_PLANS_ELEMENTWISE_PLAN_HPP_
