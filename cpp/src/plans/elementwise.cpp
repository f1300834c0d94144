#include "plans/elementwise.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <span>

#include "plans/cut.hpp"
#include "plans/registry.hpp"
#include "views/check.hpp"

namespace taut {
namespace {

constexpr std::size_t kBlockBytes = kElementwiseBlock * sizeof(double);

ElementwiseFactors factors_of(const L1& regularizer) { return {regularizer.l1, 0}; }
ElementwiseFactors factors_of(const L2& regularizer) { return {0, regularizer.l2}; }
ElementwiseFactors factors_of(const L1L2& regularizer) { return {regularizer.l1, regularizer.l2}; }

const ElementwiseKernel& kernel_of(const Problem& problem, const Call& call) {
  return call.kernels().elementwise[static_cast<std::size_t>(problem.dtype)];
}

// The index of the sums that are wanted, of which there must be one.
std::size_t terms_index(const ElementwiseFactors& factors) {
  const unsigned terms =
      (factors.l1 != 0 ? unsigned{kAbsolute} : 0) | (factors.l2 != 0 ? unsigned{kSquare} : 0);
  return terms - 1;
}

// Whether the kernels can pass over the first arrays where they are: without gaps, or in rows of
// whole lanes.
bool is_direct(const Layout& layout, std::size_t arrays) {
  bool is_direct =
      layout.rank < 2 || (layout.rank == 2 && layout.extents[0] % kElementwiseLanes == 0);
  for (std::size_t array = 0; is_direct && layout.rank > 0 && array < arrays; ++array) {
    const Layout::Array& of = layout.arrays[array];
    is_direct = of.strides[0] == static_cast<std::ptrdiff_t>(of.element_size);
  }
  return is_direct;
}

// Where an element of such an array is, for writing: the view that it is of could be written; and
// the rows from there on.
void* element(const Layout& layout, std::size_t array, std::size_t index) {
  const Layout::Array& of = layout.arrays[array];
  std::byte* origin = const_cast<std::byte*>(of.origin);
  if (layout.rank < 2) return origin + index * of.element_size;
  const auto row = static_cast<std::ptrdiff_t>(index / layout.extents[0]);
  return origin + row * of.strides[1] + index % layout.extents[0] * of.element_size;
}
ElementwiseRows rows_from(const Layout& layout, std::size_t arrays, std::size_t index) {
  if (layout.rank < 2) return kOneRow;
  const auto gap = [&](std::size_t array) {
    const Layout::Array& of = layout.arrays[array];
    return of.strides[1] - static_cast<std::ptrdiff_t>(layout.extents[0] * of.element_size);
  };
  return {layout.extents[0] - index % layout.extents[0], layout.extents[0], gap(0),
          arrays > 1 ? gap(1) : 0};
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
ElementwiseSums add_up(std::span<ElementwiseSums> sums) {
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

// What happens to the elements [begin, end), in the order of the layout. `scratch` has as many
// bytes as scratch(layout) says.

class Value {
 public:
  static constexpr double kNanoseconds = 0.3;  // per element
  static constexpr bool kHasSums = true;

  Value(const ElementwiseFactors& factors, const Problem& problem, const Call& call)
      : sum_(kernel_of(problem, call).sum[terms_index(factors)]) {}

  std::size_t scratch(const Layout& layout) const { return is_direct(layout, 1) ? 0 : kBlockBytes; }
  ElementwiseSums run(const Layout& layout, std::size_t begin, std::size_t end,
                      std::byte* scratch) const {
    if (is_direct(layout, 1)) {
      return sum_(element(layout, 0, begin), end - begin, rows_from(layout, 1, begin));
    }
    return sum_blocks(begin, end, [&](std::size_t block, std::size_t count) {
      gather(layout, 0, block, count, scratch);
      return sum_(scratch, count, kOneRow);
    });
  }

 private:
  SumFunction sum_;
};

// gradient (+)= scale * (l1 * sign(x) + 2 * l2 * x); the sums are those of Value.
class Gradient {
 public:
  static constexpr double kNanoseconds = 0.6;
  static constexpr bool kHasSums = true;

  Gradient(const ElementwiseFactors& factors, const Problem& problem, const Call& call)
      : kernel_(kernel_of(problem, call)),
        terms_(terms_index(factors)),
        slopes_(slopes_of(factors, problem.scale, problem.dtype)),
        accumulate_(problem.task == Task::kAccumulate),
        write_(problem.dtype == problem.gradient->dtype()
                   ? (accumulate_ ? kernel_.accumulate : kernel_.assign)[terms_]
                   : (accumulate_ ? kernel_.accumulate_float32 : kernel_.assign_float32)[terms_]) {}

  std::size_t scratch(const Layout& layout) const {
    return writes_directly(layout) ? 0 : 3 * kBlockBytes;
  }
  ElementwiseSums run(const Layout& layout, std::size_t begin, std::size_t end,
                      std::byte* scratch) const {
    if (writes_directly(layout)) {
      return write_(element(layout, 0, begin), element(layout, 1, begin), end - begin,
                    slopes_.slopes, rows_from(layout, 2, begin));
    }
    std::byte* x = scratch;
    std::byte* gradient = scratch + kBlockBytes;
    return sum_blocks(begin, end, [&](std::size_t block, std::size_t count) {
      gather(layout, 0, block, count, x);
      if (accumulate_) gather(layout, 1, block, count, gradient);
      const ElementwiseSums sums =
          slopes_.exponent == 0 ? write_(x, gradient, count, slopes_.slopes, kOneRow)
                                : write_scaled(x, gradient, count, scratch + 2 * kBlockBytes);
      scatter(layout, 1, block, count, gradient);
      return sums;
    });
  }

 private:
  bool writes_directly(const Layout& layout) const {
    return is_direct(layout, 2) && slopes_.exponent == 0;
  }

  // The power of two comes in steps that each are in range, and in the direction of the result, so
  // that nothing on the way is beyond it.
  ElementwiseSums write_scaled(const std::byte* x, std::byte* gradient, std::size_t count,
                               std::byte* product) const {
    constexpr int kMostInOneStep = 1000;
    constexpr std::size_t kLinear = kSquare - 1;
    // Upwards at once, so that the product with a subnormal number has all its digits.
    const int first = std::clamp(slopes_.exponent, 0, kMostInOneStep);
    const double linear = std::ldexp(slopes_.slopes.linear, first);
    kernel_.assign[kLinear](x, product, count, {0, linear}, kOneRow);
    int left = slopes_.exponent - first;
    while (std::abs(left) > kMostInOneStep) {
      const int step = left > 0 ? kMostInOneStep : -kMostInOneStep;
      kernel_.assign[kLinear](product, product, count, {0, std::ldexp(1.0, step)}, kOneRow);
      left -= step;
    }
    (accumulate_ ? kernel_.accumulate : kernel_.assign)[kLinear](
        product, gradient, count, {0, std::ldexp(1.0, left)}, kOneRow);
    constexpr std::size_t kSign = kAbsolute - 1;
    if (terms_ != kLinear) kernel_.accumulate[kSign](x, gradient, count, slopes_.slopes, kOneRow);
    return kernel_.sum[terms_](x, count, kOneRow);
  }

  const ElementwiseKernel& kernel_;
  std::size_t terms_;
  ScaledSlopes slopes_;
  bool accumulate_;
  SlopeFunction write_;
};

// x = argmin over y of penalty(y) * step + |y - x|² / 2.
class Prox {
 public:
  static constexpr double kNanoseconds = 0.6;
  static constexpr bool kHasSums = false;

  Prox(const ElementwiseFactors& factors, const Problem& problem, const Call& call)
      : shrink_(kernel_of(problem, call).shrink),
        shrinkage_{problem.scale * factors.l1, 1 / (1 + 2 * (problem.scale * factors.l2))} {}

  std::size_t scratch(const Layout& layout) const {
    return layout.is_contiguous(0) ? 0 : kBlockBytes;
  }
  ElementwiseSums run(const Layout& layout, std::size_t begin, std::size_t end,
                      std::byte* scratch) const {
    if (layout.is_contiguous(0)) {
      shrink_(element(layout, 0, begin), end - begin, shrinkage_);
      return {0, 0};
    }
    return sum_blocks(begin, end, [&](std::size_t block, std::size_t count) {
      gather(layout, 0, block, count, scratch);
      shrink_(scratch, count, shrinkage_);
      scatter(layout, 0, block, count, scratch);
      return ElementwiseSums{0, 0};
    });
  }

 private:
  ShrinkFunction shrink_;
  ElementwiseShrinkage shrinkage_;
};

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
    if (is_float64_ && left_range(factors_, sums)) return penalty_in_range(factors_, layout_);
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

template <typename R>
Plan& make_elementwise(const R& regularizer, const Problem& problem, const Call& call) {
  const ElementwiseFactors factors = factors_of(regularizer);
  if (factors.l1 == 0 && factors.l2 == 0 && problem.task != Task::kProx) {
    return make_zero_plan(problem, call);
  }
  switch (problem.task) {
    case Task::kValue:
      return call.arena().make<ElementwisePlan<Value>>(factors, problem, call);
    case Task::kAccumulate:
    case Task::kOverwrite:
      return call.arena().make<ElementwisePlan<Gradient>>(factors, problem, call);
    case Task::kProx:
      return call.arena().make<ElementwisePlan<Prox>>(factors, problem, call);
  }
  __builtin_unreachable();
}

template <typename R>
void check_prox(const R& regularizer, Task task, double step) {
  if (task != Task::kProx) return;
  const ElementwiseFactors factors = factors_of(regularizer);
  if (!std::isfinite(step * factors.l1) || !std::isfinite(2 * (step * factors.l2))) {
    throw InvalidArgument("step times a factor is beyond the range of float64");
  }
}

}  // namespace

void check(const L1& regularizer, Task task, const ConstView&, double scale) {
  check_factor("l1", regularizer.l1);
  check_prox(regularizer, task, scale);
}
void check(const L2& regularizer, Task task, const ConstView&, double scale) {
  check_factor("l2", regularizer.l2);
  check_prox(regularizer, task, scale);
}
void check(const L1L2& regularizer, Task task, const ConstView&, double scale) {
  check_factor("l1", regularizer.l1);
  check_factor("l2", regularizer.l2);
  check_prox(regularizer, task, scale);
}

Plan& make_plan(const L1& regularizer, const Problem& problem, const Call& call) {
  return make_elementwise(regularizer, problem, call);
}
Plan& make_plan(const L2& regularizer, const Problem& problem, const Call& call) {
  return make_elementwise(regularizer, problem, call);
}
Plan& make_plan(const L1L2& regularizer, const Problem& problem, const Call& call) {
  return make_elementwise(regularizer, problem, call);
}

}  // namespace taut
