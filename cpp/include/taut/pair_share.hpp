// The orthogonal penalty of one matrix by several processes or devices, each of which has all of
// it, and which together do no more arithmetic than one would.
//
// Each computes the dot products of its share of the pairs, and writes their signs down:
//
//   value = taut::value_and_signs(orthogonal, x, PairShare{index, count}, signs);
//
// The sum of the shares' values is the penalty. Each sends the others the signs of their vectors,
// and multiplies those of its own vectors, a range of them, with all:
//
//   taut::grad_from_signs(orthogonal, x, range, received, gradient);
//
// which is the gradient of the penalty with respect to the range's vectors, and has the bits of the
// whole penalty's. For the value alone there is nothing to exchange but values.
//
// What penalty.hpp says of workspaces, errors, the float environment and bits holds here, too: the
// same share has the same bits for any number of threads and on every level that has fused
// multiply-add. One vector of x with NaN or Inf makes each share's value and every gradient NaN.

#ifndef TAUT_PAIR_SHARE_HPP_
#define TAUT_PAIR_SHARE_HPP_

#include <cstddef>

#include "taut/api.hpp"
#include "taut/regularizers.hpp"
#include "taut/vector_range.hpp"
#include "taut/view.hpp"
#include "taut/workspace.hpp"

namespace taut {

// The index-th of so many shares of the pairs of a matrix's vectors, which are equal but for what
// tiles of the Gram matrix are not to be divided.
struct PairShare {
  std::size_t index;
  std::size_t count;
};

// What a share says, in words of 8 bytes and in numbers of each vector. What they mean is the
// library's own matter; they are undefined where the value is NaN. They overlap neither one another
// nor x.
struct PairSigns {
  std::byte* words;  // rows of words, one for each vector: see pair_words
  double* measures;  // rows of kPairMeasures; every share has the same, so that none are sent
};
constexpr std::size_t kPairMeasures = 4;

// What all shares said of a range of the vectors.
struct ReceivedSigns {
  const std::byte* words;  // of each share, the rows of the range's vectors
  std::size_t stride;      // words from one share's rows to the next one's
  std::size_t count;       // of shares
  const double* measures;  // of all vectors, by any share of this process
};

// How many words a row has: about a byte for each three pairs of the share, of which two vectors
// have a row. Throws InvalidArgument where there are no shares.
TAUT_API std::size_t pair_words(std::size_t vectors, std::size_t shares, DType dtype);

// The value of a share's pairs, as parts of the whole penalty: shares add up to it. Throws
// InvalidArgument for a share that is none of `count`.
TAUT_API double value(const OrthogonalRegularizer& regularizer, const ConstView& x, PairShare share,
                      Workspace* workspace = nullptr);

// The same, and overwrites `signs`. Throws InvalidArgument where these overlap what they must not.
TAUT_API double value_and_signs(const OrthogonalRegularizer& regularizer, const ConstView& x,
                                PairShare share, const PairSigns& signs,
                                Workspace* workspace = nullptr);

// gradient = scale * d(penalty)/d(the range's vectors). `gradient` has the shape of that slice of
// x, and else what penalty.hpp asks for: it overlaps no part of x, nor of the signs. Throws
// InvalidArgument for a range that is not one of x's vectors.
TAUT_API void grad_from_signs(const OrthogonalRegularizer& regularizer, const ConstView& x,
                              VectorRange range, const ReceivedSigns& signs, const View& gradient,
                              double scale = 1.0, Workspace* workspace = nullptr);

}  // namespace taut

#endif  // TAUT_PAIR_SHARE_HPP_
