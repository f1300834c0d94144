#include "elementwise.hpp"

#include <algorithm>
#include <array>

#include "kernels/kernels.hpp"
#include "layout.hpp"
#include "level.hpp"
#include "parallel.hpp"

namespace taut {
namespace {

constexpr std::size_t kMostPieces = 1024;
constexpr std::size_t kSmallestPiece = 16 * kElementwiseBlock;

// How an array is cut, by its size alone: whole blocks, and few enough pieces that their sums fit
// on the stack.
struct Pieces {
  std::size_t size;
  std::size_t piece;
  std::size_t count;

  explicit Pieces(std::size_t elements) : size(elements) {
    const std::size_t blocks = (elements + kElementwiseBlock - 1) / kElementwiseBlock;
    piece = std::max(kSmallestPiece, (blocks + kMostPieces - 1) / kMostPieces * kElementwiseBlock);
    count = (elements + piece - 1) / piece;
  }
  std::size_t begin(std::size_t index) const { return index * piece; }
  std::size_t end(std::size_t index) const { return std::min(size, (index + 1) * piece); }
};

// Adds the second half to the first until one is left.
ElementwiseSums add_tree(ElementwiseSums* sums, std::size_t count) {
  if (count == 0) return {0, 0};
  while (count > 1) {
    const std::size_t half = (count + 1) / 2;
    for (std::size_t i = half; i < count; ++i) {
      sums[i - half].absolute += sums[i].absolute;
      sums[i - half].square += sums[i].square;
    }
    count = half;
  }
  return sums[0];
}

double combine(const ElementwiseFactors& factors, const ElementwiseSums& sums) {
  double value = 0;
  if (factors.l1 != 0) value += factors.l1 * sums.absolute;
  if (factors.l2 != 0) value += factors.l2 * sums.square;
  return value;
}

unsigned terms_of(const ElementwiseFactors& factors) {
  return (factors.l1 != 0 ? unsigned{kAbsolute} : 0) | (factors.l2 != 0 ? unsigned{kSquare} : 0);
}

// Calls work(begin, end) -> ElementwiseSums for the pieces of an array and adds what they return.
template <typename Work>
ElementwiseSums sum_pieces(std::size_t size, double nanoseconds_per_element, Work work) {
  const Pieces pieces(size);
  std::array<ElementwiseSums, kMostPieces> sums;
  const std::size_t workers =
      count_workers(pieces.count, static_cast<double>(size) * nanoseconds_per_element);
  parallel_for(pieces.count, workers, [&](std::size_t piece, std::size_t) {
    sums[piece] = work(pieces.begin(piece), pieces.end(piece));
  });
  return add_tree(sums.data(), pieces.count);
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

struct alignas(64) BlockBuffer {
  std::byte bytes[kElementwiseBlock * sizeof(double)];
};

// One element takes about this long, in memory: see benchmarks/.
constexpr double kReadNanoseconds = 0.3;
constexpr double kWriteNanoseconds = 0.6;

SlopeFunction slope_function(const ElementwiseKernel& kernel, bool same_dtype, bool accumulate,
                             unsigned terms) {
  if (same_dtype) return (accumulate ? kernel.accumulate : kernel.assign)[terms - 1];
  return (accumulate ? kernel.accumulate_float32 : kernel.assign_float32)[terms - 1];
}

}  // namespace

double elementwise_value(const ElementwiseFactors& factors, const ConstView& x) {
  const unsigned terms = terms_of(factors);
  if (terms == 0) return 0;
  const auto& kernel = active_kernels().elementwise[static_cast<std::size_t>(x.dtype())];
  const SumFunction sum = kernel.sum[terms - 1];
  const Layout<1> layout = layout_of(x);
  const std::size_t element_size = layout.element_sizes[0];
  const ElementwiseSums sums =
      sum_pieces(layout.size, kReadNanoseconds, [&](std::size_t begin, std::size_t end) {
        if (layout.is_contiguous(0)) {
          return sum(layout.origins[0] + begin * element_size, end - begin);
        }
        return sum_blocks(begin, end, [&](std::size_t block, std::size_t count) {
          BlockBuffer buffer;
          gather(layout, 0, block, count, buffer.bytes);
          return sum(buffer.bytes, count);
        });
      });
  return combine(factors, sums);
}

double elementwise_gradient(const ElementwiseFactors& factors, const ConstView& x,
                            const View& gradient, double scale, bool accumulate) {
  const unsigned terms = terms_of(factors);
  if (terms == 0) {
    if (!accumulate) fill(gradient, 0);
    return 0;
  }
  const auto& kernel = active_kernels().elementwise[static_cast<std::size_t>(x.dtype())];
  const SlopeFunction write =
      slope_function(kernel, x.dtype() == gradient.dtype(), accumulate, terms);
  const ElementwiseSlopes slopes{scale * factors.l1, 2 * (scale * factors.l2)};
  const Layout<2> layout = layout_of(x, gradient);
  const std::size_t x_size = layout.element_sizes[0];
  const std::size_t gradient_size = layout.element_sizes[1];
  std::byte* target = static_cast<std::byte*>(gradient.data()) +
                      (layout.origins[1] - static_cast<const std::byte*>(gradient.data()));
  const ElementwiseSums sums =
      sum_pieces(layout.size, kWriteNanoseconds, [&](std::size_t begin, std::size_t end) {
        if (layout.is_contiguous(0) && layout.is_contiguous(1)) {
          return write(layout.origins[0] + begin * x_size, target + begin * gradient_size,
                       end - begin, slopes);
        }
        return sum_blocks(begin, end, [&](std::size_t block, std::size_t count) {
          BlockBuffer x_buffer;
          BlockBuffer gradient_buffer;
          gather(layout, 0, block, count, x_buffer.bytes);
          if (accumulate) gather(layout, 1, block, count, gradient_buffer.bytes);
          const ElementwiseSums block_sums =
              write(x_buffer.bytes, gradient_buffer.bytes, count, slopes);
          scatter(layout, 1, block, count, gradient_buffer.bytes);
          return block_sums;
        });
      });
  return combine(factors, sums);
}

void fill(const View& view, double zero_or_nan) {
  const Layout<1> layout = layout_of(view);
  // The kernels alone know how to write a dtype: its zeros times the number are the number.
  const auto& kernel = active_kernels().elementwise[static_cast<std::size_t>(view.dtype())];
  BlockBuffer zeros{};
  BlockBuffer numbers;
  kernel.assign[kSquare - 1](zeros.bytes, numbers.bytes, kElementwiseBlock, {0, zero_or_nan});
  for (std::size_t begin = 0; begin < layout.size; begin += kElementwiseBlock) {
    scatter(layout, 0, begin, std::min(kElementwiseBlock, layout.size - begin), numbers.bytes);
  }
}

}  // namespace taut
