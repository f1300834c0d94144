// How an array lies in memory, in the order that is quickest to walk.

#ifndef TAUT_LAYOUT_HPP_
#define TAUT_LAYOUT_HPP_

#include <array>
#include <cstddef>

#include "taut/view.hpp"

namespace taut {

// Arrays of one shape, walked together. Axes are flipped and sorted so that the first array's
// strides are positive and grow outwards, extents of 1 are dropped, and axes are merged where every
// array allows it. A transposed array therefore walks like the contiguous one that it is.
template <std::size_t kArrays>
struct Layout {
  std::array<const std::byte*, kArrays> origins;
  std::array<std::size_t, kArrays> element_sizes;
  std::size_t size;                           // elements
  std::size_t rank;                           // 0: a single element, or none
  std::array<std::size_t, kMaxRank> extents;  // innermost first; the first `rank` count
  std::array<std::array<std::ptrdiff_t, kMaxRank>, kArrays> strides;  // bytes

  bool is_contiguous(std::size_t array) const {
    return rank == 0 ||
           (rank == 1 && strides[array][0] == static_cast<std::ptrdiff_t>(element_sizes[array]));
  }
};

Layout<1> layout_of(const ConstView& x);
// Both views have one shape.
Layout<2> layout_of(const ConstView& x, const View& gradient);

// Copies elements [begin, begin + count) of one of the arrays, counted in the layout's order, to or
// from contiguous memory.
template <std::size_t kArrays>
void gather(const Layout<kArrays>& layout, std::size_t array, std::size_t begin, std::size_t count,
            void* to);
template <std::size_t kArrays>
void scatter(const Layout<kArrays>& layout, std::size_t array, std::size_t begin, std::size_t count,
             const void* from);

// The bytes from an array's first element in memory to its last; empty where it has none.
struct Extent {
  const std::byte* begin;
  const std::byte* end;

  bool meets(const Extent& other) const { return begin < other.end && other.begin < end; }
};
Extent extent_of(const ConstView& x);

// Whether two elements of the view, or an element of each view, share a byte.
bool overlaps_itself(const View& view);
bool overlap(const ConstView& x, const View& gradient);

}  // namespace taut

#endif  // TAUT_LAYOUT_HPP_
