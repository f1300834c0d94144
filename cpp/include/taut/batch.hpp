// The penalties of many tensors in one call, whose work is shared out over all of them by size.
//
// What is said in penalty.hpp holds here too, and each value and gradient has the bits that a call
// for its tensor alone would give. Everything is checked before anything is written; a mistake in
// one term is an InvalidTerm, which has its index. A term whose x is the very memory of an earlier
// term's is left out: a tied weight counts once, with what belongs to the first term. One tensor
// alone is a batch of one term, where it has a reference or an importance.
//
// With a workspace, a batch that is done again allocates no memory.

#ifndef TAUT_BATCH_HPP_
#define TAUT_BATCH_HPP_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "taut/api.hpp"
#include "taut/penalty.hpp"
#include "taut/workspace.hpp"

namespace taut {

// L1, L2 and L1L2 may be drawn to a reference in place of 0, and count each element by its
// importance:
//
//   value     l1 * Σ importance * |x - reference| + l2 * Σ importance * (x - reference)²
//   gradient  importance * (l1 * sign(x - reference) + 2 * l2 * (x - reference))
//   prox      x moves towards the reference by step * l1 * importance, to the reference itself
//             where that is nearer; what is left of the way is divided by
//             1 + 2 * step * l2 * importance
//
// Towards the weights that training began with, this is L2-SP (Li, Grandvalet and Davoine,
// "Explicit Inductive Bias for Transfer Learning with Convolutional Networks", 2018); with Fisher
// information as the importance, elastic weight consolidation (Kirkpatrick et al., "Overcoming
// catastrophic forgetting in neural networks", 2017).
//
// Both have x's shape and any strides, and x's dtype or float32; nothing that is written overlaps
// them; of any other penalty they are an InvalidTerm. They are read in the same pass as x, in
// float64: the difference is rounded to that, then multiplied by the importance, then by the
// factor; the first product may leave the range where both together would not. NaN and Inf in any
// of them show as they do in x. Without one its results have the bits of a reference of zeros, or
// an importance of ones. An importance must not be negative, which is not looked at here.
struct Term {
  Regularizer regularizer;
  ConstView x;
  std::optional<ConstView> reference{};
  std::optional<ConstView> importance{};
};

struct GradientTerm {
  Regularizer regularizer;
  ConstView x;
  View gradient;
  std::optional<ConstView> reference{};
  std::optional<ConstView> importance{};
};

struct ProxTerm {
  Regularizer regularizer;
  View x;
  std::optional<ConstView> reference{};
  std::optional<ConstView> importance{};
};

// The sum of all penalties. `values`, unless empty, has as many elements as there are terms and
// receives the penalty of each, 0 for one that was left out. A term one of whose views overlaps it
// is an InvalidTerm.
TAUT_API double value(std::span<const Term> terms, std::span<double> values = {},
                      Workspace* workspace = nullptr);

// gradient += scale * d(penalty)/dx for every term. A gradient that overlaps another term's
// gradient or x is an InvalidTerm too: the later one, or the one that would be written.
TAUT_API double accumulate_grad(std::span<const GradientTerm> terms, double scale = 1.0,
                                std::span<double> values = {}, Workspace* workspace = nullptr);

// Throws what accumulate_grad would, and writes nothing: for several batches, of which either all
// are to be written or none.
TAUT_API void check_accumulate_grad(std::span<const GradientTerm> terms, double scale = 1.0);

// The same as accumulate_grad, but overwrites the gradients; that of a term that was left out
// becomes 0.
TAUT_API double value_and_grad(std::span<const GradientTerm> terms, double scale = 1.0,
                               std::span<double> values = {}, Workspace* workspace = nullptr);

// Elements of any kind in memory, which are read, or read and written. Strides are in bytes. Where
// elements have no bytes, there is nothing to read or write.
struct Memory {
  const void* data;
  std::size_t element_size;
  std::span<const std::ptrdiff_t> shape;
  std::span<const std::ptrdiff_t> strides;
  bool is_written;
};

// Throws an InvalidTerm, which has its index, for an array that is written and overlaps another
// one or itself: for what several batches read and write in one go. Throws what memory_key throws,
// too.
TAUT_API void check_apart(std::span<const Memory> arrays);

// What tells the elements of an array from all others: the numbers are equal for two arrays exactly
// if both have elements of one size at the same places in memory, each as often in the one as in
// the other, whatever their order, shape and direction. So a weight and its transpose have the same
// ones; by this rule a batch counts tied weights once. None for an array without elements, or with
// elements of no bytes. Strides are in bytes. Throws InvalidArgument for spans of different
// lengths, more than kMaxRank axes, a negative extent, and what reaches beyond memory.
TAUT_API std::vector<std::uint64_t> memory_key(const void* data, std::size_t element_size,
                                               std::span<const std::ptrdiff_t> shape,
                                               std::span<const std::ptrdiff_t> strides);

// The proximal step of every term.
TAUT_API void prox(std::span<const ProxTerm> terms, double step, Workspace* workspace = nullptr);

// Throws what prox would, and writes nothing: as check_accumulate_grad.
TAUT_API void check_prox(std::span<const ProxTerm> terms, double step);

}  // namespace taut

#endif  // TAUT_BATCH_HPP_
