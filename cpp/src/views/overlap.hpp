// Whether strided arrays share memory. The answers are exact for all strides.
//
// Slices of a matrix, transposed, reversed, padded and interleaved arrays are told apart by
// arithmetic, in a time that depends on their axes alone and without memory. Axes that neither nest
// nor divide one another are searched, and where that takes too long, the arrays are marked in a
// map of the memory that they have in common. Functions throw what the effort throws, and what
// range_of throws.

#ifndef TAUT_VIEWS_OVERLAP_HPP_
#define TAUT_VIEWS_OVERLAP_HPP_

#include <cstddef>
#include <optional>
#include <span>

#include "views/effort.hpp"
#include "views/strided.hpp"

namespace taut {

// Whether two elements with different indices share a byte.
bool overlaps_itself(const Strided& array, Effort& effort);

// Whether an element of each share a byte.
bool overlap(const Strided& a, const Strided& b, Effort& effort);

// An array that a term of a batch reads, or reads and writes.
struct Use {
  Strided array;
  std::size_t term;
  bool is_written;
};

// Two uses of different terms that share a byte which one of them writes, by their indices; the
// first lies first in memory. Which ones of several follows from where the arrays are. The time is
// that of sorting the uses where they lie apart, or in rows, columns, tiles and the like of common
// arrays; elsewhere it is at most that of marking all of their elements.
struct SharedUse {
  std::size_t first;
  std::size_t second;
};
// Whether all ranges are apart, so that nothing else is to be decided.
bool are_ranges_apart(std::span<const Use> uses, Effort& effort);

std::optional<SharedUse> find_overlap(std::span<const Use> uses, Effort& effort);

}  // namespace taut

#endif  // TAUT_VIEWS_OVERLAP_HPP_
