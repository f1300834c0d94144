// How the lines of groups are cut into pieces.

#ifndef TAUT_PLANS_GROUP_CUT_HPP_
#define TAUT_PLANS_GROUP_CUT_HPP_

#include <algorithm>
#include <cstddef>

#include "kernels/kernels.hpp"
#include "plans/groups.hpp"
#include "run/arena.hpp"

namespace taut {

// By their number and length alone, into rectangles of some lines by some elements of each: strip
// after strip of lines, and within one strip after strip of elements.
class GroupCut {
 public:
  explicit GroupCut(const Groups& groups) : count_(groups.lines()), length_(groups.length()) {
    if (groups.are_across()) {
      const std::size_t strips = divide_up(length_, widest_strip());
      elements_ = divide_up(divide_up(length_, strips), kElementwiseLanes) * kElementwiseLanes;
      lines_ = std::max(
          {kFewestLines, 2 * kSmallestPiece / elements_, divide_up(count_, kMostLineStrips)});
    } else if (length_ <= kCached) {
      elements_ = length_;
      lines_ = std::max({std::size_t{1}, kSmallestPiece / length_, divide_up(count_, kMostPieces)});
    } else {
      const std::size_t blocks = divide_up(length_, kElementwiseBlock);
      elements_ = std::max(kSmallestPiece, divide_up(blocks, kMostPieces) * kElementwiseBlock);
      lines_ = 1;
    }
  }

  std::size_t lines() const { return lines_; }        // of a piece
  std::size_t elements() const { return elements_; }  // of each of its lines

  std::size_t line_strips() const { return divide_up(count_, lines_); }
  std::size_t element_strips() const { return divide_up(length_, elements_); }
  std::size_t pieces() const { return checked_product(line_strips(), element_strips()); }
  GroupPart part(std::size_t piece) const {
    const std::size_t line = piece / element_strips() * lines_;
    const std::size_t begin = piece % element_strips() * elements_;
    return {line, std::min(lines_, count_ - line), begin, std::min(elements_, length_ - begin)};
  }

 private:
  static constexpr std::size_t kSmallestPiece = 16 * kElementwiseBlock;  // elements
  static constexpr std::size_t kMostPieces = 1024;                       // along lines

  // A group along a line of so many elements at most is still in the cache when its norm is known,
  // and is then read a second time from there: its line is not cut.
  static constexpr std::size_t kCached = 32 * kElementwiseBlock;

  // Across lines, so that the sums of all pieces are few beside the elements.
  static constexpr std::size_t kFewestLines = 64;
  static constexpr std::size_t kMostLineStrips = 64;
  // Whole lines are the quickest to read from memory. But there are pieces for some threads, and
  // what a strip's elements have, a number each, is in the cache.
  std::size_t widest_strip() const {
    constexpr std::size_t kWidest = 16 * kElementwiseBlock;
    constexpr std::size_t kWanted = 16;  // pieces
    return std::clamp(count_ * length_ / (kFewestLines * kWanted), kElementwiseBlock, kWidest);
  }

  std::size_t count_;
  std::size_t length_;
  std::size_t lines_;
  std::size_t elements_;
};

}  // namespace taut

#endif  // TAUT_PLANS_GROUP_CUT_HPP_
