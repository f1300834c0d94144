#include "elementwise.hpp"

#include <algorithm>
#include <array>

#include "level.hpp"
#include "parallel.hpp"

namespace taut {
namespace {

constexpr std::size_t kSmallestPiece = 16 * kElementwiseBlock;

struct alignas(64) BlockBuffer {
  std::byte bytes[kElementwiseBlock * sizeof(double)];
};

const ElementwiseKernel& kernel_of(DType dtype) {
  return active_kernels().elementwise[static_cast<std::size_t>(dtype)];
}

// The index of the sums that are wanted, of which there must be one.
std::size_t terms_index(const ElementwiseFactors& factors) {
  const unsigned terms =
      (factors.l1 != 0 ? unsigned{kAbsolute} : 0) | (factors.l2 != 0 ? unsigned{kSquare} : 0);
  return terms - 1;
}

const SlopeFunction* slope_functions(const ElementwiseKernel& kernel, bool same_dtype,
                                     bool accumulate) {
  if (same_dtype) return accumulate ? kernel.accumulate : kernel.assign;
  return accumulate ? kernel.accumulate_float32 : kernel.assign_float32;
}

// The layout's array at an element, for writing: the view that it is of could be written.
template <std::size_t kArrays>
void* element(const Layout<kArrays>& layout, std::size_t array, std::size_t index) {
  return const_cast<std::byte*>(layout.origins[array]) + index * layout.element_sizes[array];
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

// Does all of one array's work; calls finish(sums, count).
template <typename Work, typename Finish>
auto run_all(const Work& work, std::size_t size, Finish finish) {
  const Pieces pieces(size);
  std::array<ElementwiseSums, kMostPieces> sums;
  const std::size_t workers =
      count_workers(pieces.count, static_cast<double>(size) * Work::kNanoseconds);
  parallel_for(pieces.count, workers, [&](std::size_t piece, std::size_t) {
    sums[piece] = work.run(pieces.begin(piece), pieces.end(piece));
  });
  return finish(sums.data(), pieces.count);
}

}  // namespace

Pieces::Pieces(std::size_t elements) : size(elements) {
  const std::size_t blocks = (elements + kElementwiseBlock - 1) / kElementwiseBlock;
  piece = std::max(kSmallestPiece, (blocks + kMostPieces - 1) / kMostPieces * kElementwiseBlock);
  count = (elements + piece - 1) / piece;
}

// Adds the second half to the first until one is left.
double combine(const ElementwiseFactors& factors, ElementwiseSums* sums, std::size_t count) {
  if (count == 0) return 0;
  while (count > 1) {
    const std::size_t half = (count + 1) / 2;
    for (std::size_t i = half; i < count; ++i) {
      sums[i - half].absolute += sums[i].absolute;
      sums[i - half].square += sums[i].square;
    }
    count = half;
  }
  double value = 0;
  if (factors.l1 != 0) value += factors.l1 * sums[0].absolute;
  if (factors.l2 != 0) value += factors.l2 * sums[0].square;
  return value;
}

ElementwiseValue::ElementwiseValue(const ElementwiseFactors& factors, const ConstView& x)
    : sum_(kernel_of(x.dtype()).sum[terms_index(factors)]), layout_(layout_of(x)) {}

ElementwiseSums ElementwiseValue::run(std::size_t begin, std::size_t end) const {
  if (layout_.is_contiguous(0)) return sum_(element(layout_, 0, begin), end - begin);
  return sum_blocks(begin, end, [&](std::size_t block, std::size_t count) {
    BlockBuffer buffer;
    gather(layout_, 0, block, count, buffer.bytes);
    return sum_(buffer.bytes, count);
  });
}

ElementwiseGradient::ElementwiseGradient(const ElementwiseFactors& factors, const ConstView& x,
                                         const View& gradient, double scale, bool accumulate)
    : write_(slope_functions(kernel_of(x.dtype()), x.dtype() == gradient.dtype(),
                             accumulate)[terms_index(factors)]),
      slopes_{scale * factors.l1, 2 * (scale * factors.l2)},
      accumulate_(accumulate),
      layout_(layout_of(x, gradient)) {}

ElementwiseSums ElementwiseGradient::run(std::size_t begin, std::size_t end) const {
  if (layout_.is_contiguous(0) && layout_.is_contiguous(1)) {
    return write_(element(layout_, 0, begin), element(layout_, 1, begin), end - begin, slopes_);
  }
  return sum_blocks(begin, end, [&](std::size_t block, std::size_t count) {
    BlockBuffer x_buffer;
    BlockBuffer gradient_buffer;
    gather(layout_, 0, block, count, x_buffer.bytes);
    if (accumulate_) gather(layout_, 1, block, count, gradient_buffer.bytes);
    const ElementwiseSums sums = write_(x_buffer.bytes, gradient_buffer.bytes, count, slopes_);
    scatter(layout_, 1, block, count, gradient_buffer.bytes);
    return sums;
  });
}

ElementwiseProx::ElementwiseProx(const ElementwiseFactors& factors, const View& x, double step)
    : shrink_(kernel_of(x.dtype()).shrink),
      shrinkage_{step * factors.l1, 1 / (1 + 2 * (step * factors.l2))},
      layout_(layout_of(x)) {}

ElementwiseSums ElementwiseProx::run(std::size_t begin, std::size_t end) const {
  if (layout_.is_contiguous(0)) {
    shrink_(element(layout_, 0, begin), end - begin, shrinkage_);
    return {0, 0};
  }
  return sum_blocks(begin, end, [&](std::size_t block, std::size_t count) {
    BlockBuffer buffer;
    gather(layout_, 0, block, count, buffer.bytes);
    shrink_(buffer.bytes, count, shrinkage_);
    scatter(layout_, 0, block, count, buffer.bytes);
    return ElementwiseSums{0, 0};
  });
}

double elementwise_value(const ElementwiseFactors& factors, const ConstView& x) {
  if (is_zero(factors)) return 0;
  return run_all(
      ElementwiseValue(factors, x), x.size(),
      [&](ElementwiseSums* sums, std::size_t count) { return combine(factors, sums, count); });
}

double elementwise_gradient(const ElementwiseFactors& factors, const ConstView& x,
                            const View& gradient, double scale, bool accumulate) {
  if (is_zero(factors)) {
    if (!accumulate) fill(gradient, 0);
    return 0;
  }
  return run_all(
      ElementwiseGradient(factors, x, gradient, scale, accumulate), x.size(),
      [&](ElementwiseSums* sums, std::size_t count) { return combine(factors, sums, count); });
}

void elementwise_prox(const ElementwiseFactors& factors, const View& x, double step) {
  run_all(ElementwiseProx(factors, x, step), x.size(), [](ElementwiseSums*, std::size_t) {});
}

void fill(const View& view, double zero_or_nan) {
  const Layout<1> layout = layout_of(view);
  // The kernels alone know how to write a dtype: its zeros times the number are the number.
  BlockBuffer zeros{};
  BlockBuffer numbers;
  kernel_of(view.dtype())
      .assign[kSquare - 1](zeros.bytes, numbers.bytes, kElementwiseBlock, {0, zero_or_nan});
  for (std::size_t begin = 0; begin < layout.size; begin += kElementwiseBlock) {
    scatter(layout, 0, begin, std::min(kElementwiseBlock, layout.size - begin), numbers.bytes);
  }
}

}  // namespace taut
