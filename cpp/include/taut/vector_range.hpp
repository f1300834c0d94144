// One part of the orthogonal penalty of a matrix that is spread over several processes or devices:
// that of a range of its vectors, each of which has the pairs that it stands in.
//
// Everybody needs the whole x, and nothing else of anybody. The part of a range is
//
//   factor * Σᵢ Σⱼ |<x̂ᵢ,x̂ⱼ>| / (n (n-1)), for i in the range and j over all others of the n
//   vectors:
//
// each pair counts half for either vector, so that the parts of ranges that partition the vectors
// add up to the penalty. The gradient is the whole penalty's with respect to the range's own
// vectors; it is complete, and asks for no exchange with other ranges. A range of r vectors costs
// r (n - r/2) dot products, and the copying of all n.
//
// What penalty.hpp says of workspaces, errors, the float environment and bits holds here, too: the
// same range has the same bits for any number of threads. Ranges and the whole agree but for
// rounding; the range of all vectors is the whole. One vector of x with NaN or Inf makes the part
// and the gradient of every range NaN. A range of no vectors has the part 0.

#ifndef TAUT_VECTOR_RANGE_HPP_
#define TAUT_VECTOR_RANGE_HPP_

#include <cstddef>

#include "taut/api.hpp"
#include "taut/regularizers.hpp"
#include "taut/view.hpp"
#include "taut/workspace.hpp"

namespace taut {

// The vectors [begin, end): rows or columns, as the regularizer's mode says.
struct VectorRange {
  std::size_t begin;
  std::size_t end;
};

// All three return the range's part of the penalty of x, and throw InvalidArgument, before anything
// is written, for a range that is not one of x's vectors.
TAUT_API double value(const OrthogonalRegularizer& regularizer, const ConstView& x,
                      VectorRange range, Workspace* workspace = nullptr);

// gradient += scale * d(penalty)/d(the range's vectors). `gradient` has the shape of that slice of
// x, and else what penalty.hpp asks for: it overlaps no part of x.
TAUT_API double accumulate_grad(const OrthogonalRegularizer& regularizer, const ConstView& x,
                                VectorRange range, const View& gradient, double scale = 1.0,
                                Workspace* workspace = nullptr);

// The same, but overwrites the gradient.
TAUT_API double value_and_grad(const OrthogonalRegularizer& regularizer, const ConstView& x,
                               VectorRange range, const View& gradient, double scale = 1.0,
                               Workspace* workspace = nullptr);

}  // namespace taut

#endif  // TAUT_VECTOR_RANGE_HPP_
