// How arrays of one shape lie in memory, in the order that is quickest to walk.

#ifndef TAUT_VIEWS_LAYOUT_HPP_
#define TAUT_VIEWS_LAYOUT_HPP_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdlib>

#include "run/arena.hpp"
#include "taut/view.hpp"
#include "views/strided.hpp"

namespace taut {

// One array or two of one shape, walked together. Axes are flipped and sorted so that the first
// array's strides are positive and grow outwards, extents of 1 are dropped, and axes are merged
// where every array allows it. A transposed array therefore walks like the contiguous one that it
// is. Made once for a call; the axes are in the call's arena.
struct Layout {
  struct Array {
    const std::byte* origin = nullptr;
    std::size_t element_size = 0;
    const std::ptrdiff_t* strides = nullptr;  // bytes; null of an array that is not there
  };

  std::size_t size = 0;                  // elements
  std::size_t rank = 0;                  // 0: a single element, or none
  const std::size_t* extents = nullptr;  // innermost first
  std::array<Array, 2> arrays;

  bool is_contiguous(std::size_t array) const {
    return rank == 0 || (rank == 1 && arrays[array].strides[0] ==
                                          static_cast<std::ptrdiff_t>(arrays[array].element_size));
  }
  // One of the arrays; not of a layout without elements.
  Strided strided(std::size_t array) const {
    const Array& of = arrays[array];
    return {of.origin, of.element_size, {extents, rank}, {of.strides, rank}};
  }
};

Layout layout_of(const ConstView& x, Arena& arena);
// Both views have one shape.
Layout layout_of(const ConstView& x, const View& gradient, Arena& arena);

// Copies elements [begin, begin + count) of one of the arrays, counted in the layout's order, to or
// from contiguous memory.
void gather(const Layout& layout, std::size_t array, std::size_t begin, std::size_t count,
            void* to);
void scatter(const Layout& layout, std::size_t array, std::size_t begin, std::size_t count,
             const void* from);

// Short runs that lie far apart, as the rows of a slice do, are fetched before they are reached: no
// hardware prefetcher looks there.
constexpr std::ptrdiff_t kRunsAhead = 6;
inline void fetch_ahead(const std::byte* run, std::size_t length, std::ptrdiff_t stride) {
  constexpr std::size_t kMostLines = 8;
  constexpr std::size_t kLineBytes = 64;
  const std::size_t bytes = length * static_cast<std::size_t>(std::abs(stride));
  const std::size_t lines = bytes / kLineBytes + 1;
  for (std::size_t line = 0; line < lines && line < kMostLines; ++line) {
    __builtin_prefetch(run + line * kLineBytes);
  }
}

// Calls run(first byte, elements, stride) for each run along the innermost axis within the elements
// [begin, begin + count).
template <typename Run>
void for_each_run(const Layout& layout, std::size_t array, std::size_t begin, std::size_t count,
                  Run run) {
  const std::byte* origin = layout.arrays[array].origin;
  if (layout.rank == 0) {
    if (count > 0) run(origin, std::size_t{1}, std::ptrdiff_t{0});
    return;
  }
  const std::ptrdiff_t* strides = layout.arrays[array].strides;
  std::array<std::size_t, kMaxRank> index;
  const std::byte* at = origin;
  for (std::size_t axis = 0; axis < layout.rank; ++axis) {
    index[axis] = begin % layout.extents[axis];
    begin /= layout.extents[axis];
    at += static_cast<std::ptrdiff_t>(index[axis]) * strides[axis];
  }
  while (count > 0) {
    const std::size_t length = std::min(count, layout.extents[0] - index[0]);
    if (layout.rank > 1) fetch_ahead(at + kRunsAhead * strides[1], length, strides[0]);
    run(at, length, strides[0]);
    count -= length;
    index[0] += length;
    at += static_cast<std::ptrdiff_t>(length) * strides[0];
    for (std::size_t axis = 0; axis + 1 < layout.rank && index[axis] == layout.extents[axis];
         ++axis) {
      at += strides[axis + 1] - static_cast<std::ptrdiff_t>(layout.extents[axis]) * strides[axis];
      index[axis] = 0;
      ++index[axis + 1];
    }
  }
}

}  // namespace taut

#endif  // TAUT_VIEWS_LAYOUT_HPP_
