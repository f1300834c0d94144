// Where a strided array's elements are in memory.

#ifndef TAUT_VIEWS_STRIDED_HPP_
#define TAUT_VIEWS_STRIDED_HPP_

#include <algorithm>
#include <cstddef>
#include <span>

namespace taut {

// The elements of an array: (i0, i1, ...) begins at origin + sum(i_k * strides[k]).
struct Strided {
  const std::byte* origin;
  std::size_t element_size;                 // bytes; with 0, there are no elements in memory
  std::span<const std::size_t> extents;     // at most kMaxRank; with a 0, there are none either
  std::span<const std::ptrdiff_t> strides;  // bytes, of any sign, in any order, 0 too

  bool is_empty() const {
    return element_size == 0 ||
           std::find(extents.begin(), extents.end(), std::size_t{0}) != extents.end();
  }
};

// Bytes one after the other, as an array. It is used no longer than this lives.
struct Bytes {
  const void* begin;
  std::size_t size;

  Strided strided() const {
    return {static_cast<const std::byte*>(begin), 1, {&size, 1}, {&kStride, 1}};
  }

 private:
  static constexpr std::ptrdiff_t kStride = 1;
};

// The bytes from an array's first element in memory to its last; empty where it has none.
struct ByteRange {
  const std::byte* begin;
  const std::byte* end;

  bool meets(const ByteRange& other) const {
    return std::max(begin, other.begin) < std::min(end, other.end);
  }
};

// Throws InvalidArgument for an array that no memory can hold: it reaches beyond the first or the
// last address, or over 2^62 bytes and more. Extents of any size are fine where the stride is 0.
ByteRange range_of(const Strided& array);

}  // namespace taut

#endif  // TAUT_VIEWS_STRIDED_HPP_
