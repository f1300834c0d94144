// How an array is cut into pieces.

#ifndef TAUT_PLANS_CUT_HPP_
#define TAUT_PLANS_CUT_HPP_

#include <algorithm>
#include <cstddef>

#include "kernels/kernels.hpp"
#include "run/arena.hpp"

namespace taut {

// By its size alone, so that what the pieces' sums add up to does not depend on who computes them:
// in whole blocks, and few pieces enough that their sums take no memory to speak of.
class Cut {
 public:
  explicit Cut(std::size_t elements) : elements_(elements) {
    const std::size_t blocks = divide_up(elements, kElementwiseBlock);
    piece_ = std::max(kSmallestPiece, divide_up(blocks, kMostPieces) * kElementwiseBlock);
  }
  std::size_t pieces() const { return divide_up(elements_, piece_); }
  std::size_t begin(std::size_t piece) const { return piece * piece_; }
  std::size_t end(std::size_t piece) const { return std::min(elements_, begin(piece) + piece_); }

 private:
  static constexpr std::size_t kMostPieces = 1024;
  static constexpr std::size_t kSmallestPiece = 16 * kElementwiseBlock;

  std::size_t elements_;
  std::size_t piece_;
};

}  // namespace taut

#endif  // TAUT_PLANS_CUT_HPP_
