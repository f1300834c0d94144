// How arrays of one shape lie in memory, in the order that is quickest to walk.

#ifndef TAUT_VIEWS_LAYOUT_HPP_
#define TAUT_VIEWS_LAYOUT_HPP_

#include <array>
#include <cstddef>

#include "run/arena.hpp"
#include "taut/view.hpp"
#include "views/strided.hpp"

namespace taut {

// Arrays of one shape, up to four of them, walked together. Axes are flipped and sorted so that the
// first array's strides are positive and grow outwards, extents of 1 are dropped, and axes are
// merged where every array allows it. A transposed array therefore walks like the contiguous one
// that it is. Made once for a call; the axes are in the call's arena.
struct Layout {
  struct Array {
    const std::byte* origin = nullptr;
    std::size_t element_size = 0;
    const std::ptrdiff_t* strides = nullptr;  // bytes; null of an array that is not there
  };

  std::size_t size = 0;                  // elements
  std::size_t rank = 0;                  // 0: a single element, or none
  const std::size_t* extents = nullptr;  // innermost first
  std::array<Array, 4> arrays;

  bool has(std::size_t array) const { return arrays[array].strides != nullptr; }
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
// All views that are there have one shape; they are the layout's arrays in this order.
Layout layout_of(const ConstView& x, const View* gradient, const ConstView* reference,
                 const ConstView* importance, Arena& arena);

// Copies elements [begin, begin + count) of one of the arrays, counted in the layout's order, to or
// from contiguous memory.
void gather(const Layout& layout, std::size_t array, std::size_t begin, std::size_t count,
            void* to);
void scatter(const Layout& layout, std::size_t array, std::size_t begin, std::size_t count,
             const void* from);

}  // namespace taut

#endif  // TAUT_VIEWS_LAYOUT_HPP_
