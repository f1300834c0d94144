// Which arrays are of the very same elements.

#ifndef TAUT_VIEWS_SAME_MEMORY_HPP_
#define TAUT_VIEWS_SAME_MEMORY_HPP_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "views/effort.hpp"
#include "views/strided.hpp"

namespace taut {

// Whether two arrays have elements of one size at the same places, each as often in the one as in
// the other: so a sum over the elements is the same. In which order, shape and direction they come
// does not matter. An axis with stride 0 has its elements as often as it is long; so a broadcast
// array is the same as its transpose, and not the same as the array that it was made from. Decided
// exactly from the axes alone, for all strides. An array without elements is the same as none, nor
// is one whose axes with stride 0 have 2^64 indices and more. Throws what range_of throws.
bool is_same_memory(const Strided& a, const Strided& b);

// Equal for two arrays exactly if they are the same memory; empty for one that is the same as none.
std::vector<std::uint64_t> key_of_memory(const Strided& array);

// An array, and a number for what its elements are read as.
struct Reading {
  Strided array;
  int kind;
};

// For each array the index of the first one of its kind that is the same memory, which is its own
// index if none before it is. As quick as sorting them. The result lies in the effort's memory.
std::span<const std::size_t> find_first_readings(std::span<const Reading> readings, Effort& effort);

}  // namespace taut

#endif  // TAUT_VIEWS_SAME_MEMORY_HPP_
