// Elementwise penalties towards a reference, and weighted: plans/elementwise.cpp with two more
// arrays that are read, each of which may be missing, or have a dtype of its own.

#include <algorithm>
#include <array>
#include <cmath>

#include "plans/elementwise_plan.hpp"

namespace taut {
namespace {

template <typename T>
constexpr std::array<T, kElementwiseLanes> constant(T number) {
  std::array<T, kElementwiseLanes> numbers{};
  numbers.fill(number);
  return numbers;
}
constexpr auto kZeros = constant<double>(0);  // of either dtype
constexpr auto kOnes = constant<double>(1);
constexpr auto kFloatOnes = constant<float>(1);

// Whether the elements lie one behind the other in the layout's order.
bool is_dense(const Layout& layout, std::size_t array) {
  auto next = static_cast<std::ptrdiff_t>(layout.arrays[array].element_size);
  bool is_dense = true;
  for (std::size_t axis = 0; axis < layout.rank; ++axis) {
    is_dense = is_dense && layout.arrays[array].strides[axis] == next;
    next *= static_cast<std::ptrdiff_t>(layout.extents[axis]);
  }
  return is_dense;
}
std::byte* dense_element(const Layout& layout, std::size_t array, std::size_t index) {
  const Layout::Array& of = layout.arrays[array];
  return const_cast<std::byte*>(of.origin) + index * of.element_size;
}

// What is read: x and its sides, as the dtype that is wide enough for all of them. Either all where
// they are, or block by block, in which case each one that lies so, and has that dtype, is read
// where it is, and the others are copied.
class Sources {
 public:
  static constexpr std::size_t kBlocks = 4;

  Sources(const Problem& problem, const Call& call)
      : wide_(problem.dtype == DType::kFloat64 ? DType::kFloat64 : DType::kFloat32),
        widen_{widen_of(problem.dtype, call), nullptr, nullptr} {
    const SideViews& sides = problem.sides;
    if (sides.reference != nullptr) widen_[1] = widen_of(sides.reference->dtype(), call);
    if (sides.importance != nullptr) widen_[2] = widen_of(sides.importance->dtype(), call);
  }

  DType wide() const { return wide_; }

  bool are_direct(const Layout& layout) const {
    bool are_direct = true;
    for (std::size_t source = 0; source < kPlaces.size(); ++source) {
      const std::size_t array = kPlaces[source];
      if (!layout.has(array)) continue;
      are_direct = are_direct && widen_[source] == nullptr && lies_in_rows(layout, array);
    }
    return are_direct;
  }
  ElementwiseSides sides_from(const Layout& layout, std::size_t index) const {
    const auto side = [&](std::size_t array) -> ElementwiseSide {
      if (!layout.has(array)) return constant_side(array);
      return {element(layout, array, index), false, row_gap(layout, array)};
    };
    return {side(kReference), side(kImportance)};
  }

  // Some elements; the memory has kBlocks blocks.
  struct Block {
    const void* x;
    ElementwiseSides sides;
  };
  Block read(const Layout& layout, std::size_t begin, std::size_t count, std::byte* memory) const {
    const auto side = [&](std::size_t source) -> ElementwiseSide {
      const std::size_t array = kPlaces[source];
      if (!layout.has(array)) return constant_side(array);
      return {read_one(layout, source, begin, count, memory), false, 0};
    };
    return {read_one(layout, 0, begin, count, memory), {side(1), side(2)}};
  }

 private:
  static constexpr std::array<std::size_t, 3> kPlaces{0, kReference, kImportance};

  WidenFunction widen_of(DType dtype, const Call& call) const {
    return dtype == wide_ ? nullptr : kernel_of(dtype, call).towards.widen;
  }

  ElementwiseSide constant_side(std::size_t array) const {
    if (array == kReference) return {kZeros.data(), true, 0};
    if (wide_ == DType::kFloat64) return {kOnes.data(), true, 0};
    return {kFloatOnes.data(), true, 0};
  }

  const void* read_one(const Layout& layout, std::size_t source, std::size_t begin,
                       std::size_t count, std::byte* memory) const {
    const std::size_t array = kPlaces[source];
    std::byte* const block = memory + source * kBlockBytes;
    const WidenFunction widen = widen_[source];
    const std::byte* numbers = nullptr;
    if (is_dense(layout, array)) {
      numbers = dense_element(layout, array, begin);
    } else {
      std::byte* const gathered = widen == nullptr ? block : memory + kPlaces.size() * kBlockBytes;
      gather(layout, array, begin, count, gathered);
      numbers = gathered;
    }
    if (widen == nullptr) return numbers;
    widen(numbers, block, count);
    return block;
  }

  DType wide_;
  std::array<WidenFunction, 3> widen_;  // null of what has the wide dtype
};

// What is written, block by block: where it is, or a copy that is put there afterwards.
class Target {
 public:
  Target(const Layout& layout, std::size_t array, std::size_t begin, std::size_t count,
         std::byte* block, bool is_read)
      : layout_(layout),
        array_(array),
        begin_(begin),
        count_(count),
        is_dense_(is_dense(layout, array)),
        data_(is_dense_ ? dense_element(layout, array, begin) : block) {
    if (!is_dense_ && is_read) gather(layout, array, begin, count, data_);
  }

  void* data() const { return data_; }
  void put_back() const {
    if (!is_dense_) scatter(layout_, array_, begin_, count_, data_);
  }

 private:
  const Layout& layout_;
  std::size_t array_;
  std::size_t begin_;
  std::size_t count_;
  bool is_dense_;
  std::byte* data_;
};

class Towards {
 public:
  static bool left_range(const ElementwiseFactors& factors, const ElementwiseSums& sums) {
    return left_range_towards(factors, sums);
  }
  static double penalty_in_range(const ElementwiseFactors& factors, const Layout& layout) {
    return penalty_towards_in_range(factors, layout);
  }

 protected:
  Towards(const Problem& problem, const Call& call) : sources_(problem, call) {}

  Sources sources_;
};

class TowardsValue : public Towards {
 public:
  static constexpr double kNanoseconds = 0.6;  // per element
  static constexpr bool kHasSums = true;

  TowardsValue(const ElementwiseFactors& factors, const Problem& problem, const Call& call)
      : Towards(problem, call),
        sum_(kernel_of(sources_.wide(), call).towards.sum[terms_index(factors)]) {}

  std::size_t scratch(const Layout& layout) const {
    return sources_.are_direct(layout) ? 0 : Sources::kBlocks * kBlockBytes;
  }
  ElementwiseSums run(const Layout& layout, std::size_t begin, std::size_t end,
                      std::byte* scratch) const {
    if (sources_.are_direct(layout)) {
      return sum_(element(layout, 0, begin), sources_.sides_from(layout, begin), end - begin,
                  rows_from(layout, begin, row_gap(layout, 0), 0));
    }
    return sum_blocks(begin, end, [&](std::size_t block, std::size_t count) {
      const auto [x, sides] = sources_.read(layout, block, count, scratch);
      return sum_(x, sides, count, kOneRow);
    });
  }

 private:
  TowardsSumFunction sum_;
};

class TowardsGradient : public Towards {
 public:
  static constexpr double kNanoseconds = 1.2;
  static constexpr bool kHasSums = true;

  TowardsGradient(const ElementwiseFactors& factors, const Problem& problem, const Call& call)
      : Towards(problem, call),
        wide_(kernel_of(sources_.wide(), call)),
        terms_(terms_index(factors)),
        slopes_(slopes_of(factors, problem.scale, problem.dtype)),
        accumulates_(problem.task == Task::kAccumulate),
        write_(kernel_of(problem.gradient->dtype(), call).towards.write[terms_]) {}

  std::size_t scratch(const Layout& layout) const {
    return writes_directly(layout) ? 0 : (Sources::kBlocks + 2) * kBlockBytes;
  }
  ElementwiseSums run(const Layout& layout, std::size_t begin, std::size_t end,
                      std::byte* scratch) const {
    if (writes_directly(layout)) {
      return write_(element(layout, 0, begin), sources_.sides_from(layout, begin),
                    element(layout, 1, begin), accumulates_, end - begin, slopes_.slopes,
                    rows_from(layout, begin, row_gap(layout, 0), row_gap(layout, 1)));
    }
    std::byte* const gradient_block = scratch + Sources::kBlocks * kBlockBytes;
    return sum_blocks(begin, end, [&](std::size_t block, std::size_t count) {
      const Sources::Block from = sources_.read(layout, block, count, scratch);
      const Target gradient(layout, 1, block, count, gradient_block, accumulates_);
      const ElementwiseSums sums =
          slopes_.exponent == 0
              ? write_(from.x, from.sides, gradient.data(), accumulates_, count, slopes_.slopes,
                       kOneRow)
              : write_scaled(from, gradient.data(), count, gradient_block + kBlockBytes);
      gradient.put_back();
      return sums;
    });
  }

 private:
  bool writes_directly(const Layout& layout) const {
    return slopes_.exponent == 0 && sources_.are_direct(layout) && lies_in_rows(layout, 1);
  }

  // As without a reference, of float64 alone: the power of two comes in steps.
  ElementwiseSums write_scaled(const Sources::Block& from, void* gradient, std::size_t count,
                               std::byte* product) const {
    constexpr std::size_t kLinear = kSquare - 1;
    const void* const x = from.x;
    const ElementwiseSides& sides = from.sides;
    multiply_by_power(
        slopes_.exponent,
        [&](double power) {
          wide_.towards.write[kLinear](x, sides, product, false, count,
                                       {0, slopes_.slopes.linear * power}, kOneRow);
        },
        [&](double power) { wide_.assign[kLinear](product, product, count, {0, power}, kOneRow); },
        [&](double power) {
          (accumulates_ ? wide_.accumulate : wide_.assign)[kLinear](product, gradient, count,
                                                                    {0, power}, kOneRow);
        });
    constexpr std::size_t kSign = kAbsolute - 1;
    if (terms_ != kLinear) {
      wide_.towards.write[kSign](x, sides, gradient, true, count, slopes_.slopes, kOneRow);
    }
    return wide_.towards.sum[terms_](x, sides, count, kOneRow);
  }

  const ElementwiseKernel& wide_;
  std::size_t terms_;
  ScaledSlopes slopes_;
  bool accumulates_;
  TowardsSlopeFunction write_;
};

// x = argmin over y of penalty(y) * step + |y - x|² / 2.
class TowardsProx : public Towards {
 public:
  static constexpr double kNanoseconds = 1.2;
  static constexpr bool kHasSums = false;

  TowardsProx(const ElementwiseFactors& factors, const Problem& problem, const Call& call)
      : Towards(problem, call),
        attract_(kernel_of(problem.dtype, call).towards.attract),
        attraction_{problem.scale * factors.l1, 2 * (problem.scale * factors.l2)} {}

  std::size_t scratch(const Layout& layout) const {
    return sources_.are_direct(layout) ? 0 : (Sources::kBlocks + 1) * kBlockBytes;
  }
  ElementwiseSums run(const Layout& layout, std::size_t begin, std::size_t end,
                      std::byte* scratch) const {
    if (sources_.are_direct(layout)) {
      void* const x = element(layout, 0, begin);
      const std::ptrdiff_t gap = row_gap(layout, 0);
      attract_(x, sources_.sides_from(layout, begin), x, end - begin, attraction_,
               rows_from(layout, begin, gap, gap));
      return {0, 0};
    }
    std::byte* const stepped = scratch + Sources::kBlocks * kBlockBytes;
    return sum_blocks(begin, end, [&](std::size_t block, std::size_t count) {
      const auto [x, sides] = sources_.read(layout, block, count, scratch);
      const Target target(layout, 0, block, count, stepped, false);
      attract_(x, sides, target.data(), count, attraction_, kOneRow);
      target.put_back();
      return ElementwiseSums{0, 0};
    });
  }

 private:
  AttractFunction attract_;
  ElementwiseAttraction attraction_;
};

}  // namespace

Plan& make_towards_plan(const ElementwiseFactors& factors, const Problem& problem,
                        const Call& call) {
  switch (problem.task) {
    case Task::kValue:
      return call.arena().make<ElementwisePlan<TowardsValue>>(factors, problem, call);
    case Task::kAccumulate:
    case Task::kOverwrite:
      return call.arena().make<ElementwisePlan<TowardsGradient>>(factors, problem, call);
    case Task::kProx:
      return call.arena().make<ElementwisePlan<TowardsProx>>(factors, problem, call);
  }
  __builtin_unreachable();
}

}  // namespace taut
