// Strided arrays in the blocks of a case, and what a walk over all of their elements says of them.

#ifndef TAUT_TESTS_FUZZ_ARRAY_HPP_
#define TAUT_TESTS_FUZZ_ARRAY_HPP_

#include <cstddef>
#include <string>
#include <taut/taut.hpp>
#include <utility>
#include <vector>

#include "block.hpp"

namespace taut_test {

using Shape = std::vector<std::ptrdiff_t>;
// A byte of a block.
using Place = std::pair<std::size_t, std::ptrdiff_t>;

struct Array {
  taut::DType dtype;
  Shape shape;
  Shape strides;  // bytes
  std::size_t block;
  std::ptrdiff_t offset;  // of the first element, bytes

  taut::View view(const Memory& memory) const {
    return {memory.at(block, offset), dtype, shape, strides};
  }
  std::size_t size() const;
  std::vector<Place> places() const;  // of the elements, in C order
  std::vector<Place> bytes() const;   // of all elements, sorted
  std::vector<double> numbers(const std::vector<Bytes>& contents) const;
  // The statement that makes a view of it.
  std::string text(const std::string& name) const;
};

bool overlaps_itself(const Array& array);
bool overlap(const Array& a, const Array& b);
// Whether a batch would count them as one weight.
bool are_same_memory(const Array& a, const Array& b);

// A shape of few elements, of many vectors, or, if it may be large, of so many elements that
// threads share them.
Shape read_shape(Reader& reader, bool may_be_large);
taut::DType read_dtype(Reader& reader);
// Reads how the array lies, and in which block: one of its own, which is added, or, if there is
// room, one of another array's.
Array read_array(Reader& reader, taut::DType dtype, const Shape& shape, std::vector<Block>& blocks);

}  // namespace taut_test

#endif  // TAUT_TESTS_FUZZ_ARRAY_HPP_
