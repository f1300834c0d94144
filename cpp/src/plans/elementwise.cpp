#include "plans/elementwise.hpp"

#include "plans/elementwise_plan.hpp"
#include "plans/registry.hpp"
#include "views/check.hpp"

namespace taut {
namespace {

ElementwiseFactors factors_of(const L1& regularizer) { return {regularizer.l1, 0}; }
ElementwiseFactors factors_of(const L2& regularizer) { return {0, regularizer.l2}; }
ElementwiseFactors factors_of(const L1L2& regularizer) { return {regularizer.l1, regularizer.l2}; }

// Beside a factor's, no number enters a product.
class FromZero {
 public:
  static bool left_range(const ElementwiseFactors& factors, const ElementwiseSums& sums) {
    return taut::left_range(factors, sums);
  }
  static double penalty_in_range(const ElementwiseFactors& factors, const Layout& layout) {
    return taut::penalty_in_range(factors, layout);
  }
};

class Value : public FromZero {
 public:
  static constexpr double kNanoseconds = 0.3;  // per element
  static constexpr bool kHasSums = true;

  Value(const ElementwiseFactors& factors, const Problem& problem, const Call& call)
      : sum_(kernel_of(problem.dtype, call).sum[terms_index(factors)]) {}

  std::size_t scratch(const Layout& layout) const { return is_direct(layout, 1) ? 0 : kBlockBytes; }
  ElementwiseSums run(const Layout& layout, std::size_t begin, std::size_t end,
                      std::byte* scratch) const {
    if (is_direct(layout, 1)) {
      return sum_(element(layout, 0, begin), end - begin,
                  rows_from(layout, begin, row_gap(layout, 0), 0));
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
class Gradient : public FromZero {
 public:
  static constexpr double kNanoseconds = 0.6;
  static constexpr bool kHasSums = true;

  Gradient(const ElementwiseFactors& factors, const Problem& problem, const Call& call)
      : kernel_(kernel_of(problem.dtype, call)),
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
                    slopes_.slopes,
                    rows_from(layout, begin, row_gap(layout, 0), row_gap(layout, 1)));
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

  ElementwiseSums write_scaled(const std::byte* x, std::byte* gradient, std::size_t count,
                               std::byte* product) const {
    constexpr std::size_t kLinear = kSquare - 1;
    const auto multiply = [&](SlopeFunction write, const std::byte* from, std::byte* to,
                              double linear) { write(from, to, count, {0, linear}, kOneRow); };
    multiply_by_power(
        slopes_.exponent,
        [&](double power) {
          multiply(kernel_.assign[kLinear], x, product, slopes_.slopes.linear * power);
        },
        [&](double power) { multiply(kernel_.assign[kLinear], product, product, power); },
        [&](double power) {
          multiply((accumulate_ ? kernel_.accumulate : kernel_.assign)[kLinear], product, gradient,
                   power);
        });
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
class Prox : public FromZero {
 public:
  static constexpr double kNanoseconds = 0.6;
  static constexpr bool kHasSums = false;

  Prox(const ElementwiseFactors& factors, const Problem& problem, const Call& call)
      : shrink_(kernel_of(problem.dtype, call).shrink),
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

template <typename R>
Plan& make_elementwise(const R& regularizer, const Problem& problem, const Call& call) {
  const ElementwiseFactors factors = factors_of(regularizer);
  if (factors.l1 == 0 && factors.l2 == 0 && problem.task != Task::kProx) {
    return make_zero_plan(problem, call);
  }
  if (problem.sides.are_there()) return make_towards_plan(factors, problem, call);
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
  check_product(step, factors.l1);
  check_product(step, factors.l2, 2);
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
