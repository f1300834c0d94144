// Arrays as runs of bytes that repeat along axes, the form in which overlaps are decided.

#ifndef TAUT_VIEWS_RUNS_HPP_
#define TAUT_VIEWS_RUNS_HPP_

#include <cstddef>
#include <cstdint>
#include <span>

#include "views/strided.hpp"

namespace taut {

struct Axis {
  std::uint64_t step;   // above 0
  std::uint64_t count;  // above 1
};

// Runs of `length` bytes, one at begin + sum(i_k * axes[k].step) for all 0 <= i_k < axes[k].count.
// Another unit than the byte will do too.
struct Runs {
  std::uint64_t begin;
  std::uint64_t length;
  std::span<Axis> axes;  // in ascending order of their steps

  std::uint64_t end() const;    // behind the last run
  std::uint64_t count() const;  // of runs, or the largest number if they are more
};

// The bytes of an array that is not empty, where it matters only which ones they are: elements that
// come again, runs that touch and axes that go on with one another are one. `room` has as many axes
// as the array. Throws what range_of throws.
Runs bytes_of(const Strided& array, std::span<Axis> room);

// The elements of an array that is not empty and has no stride of 0, as often as they come. A run
// is several of them if they lie side by side.
Runs elements_of(const Strided& array, std::span<Axis> room);

// Inserts an axis where it belongs among the first `count` ones of `axes`; one of a single index is
// left out. Returns how many there are now.
std::size_t insert(const Axis& axis, std::span<Axis> axes, std::size_t count);

// Merges what is one set of bytes.
void merge(Runs& runs);

}  // namespace taut

#endif  // TAUT_VIEWS_RUNS_HPP_
