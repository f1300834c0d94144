// Intervals that are chained together.

#ifndef TAUT_VIEWS_CHAINS_HPP_
#define TAUT_VIEWS_CHAINS_HPP_

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>

#include "views/overlap.hpp"

namespace taut {

using Found = std::optional<SharedUse>;

// Calls find(those whose [first, last] are chained together) for one chain after another, in the
// order of `things`, whose firsts ascend, until there is something found.
template <typename Thing, typename First, typename Last, typename Find>
Found find_in_chains(std::span<Thing> things, First first, Last last, Find find) {
  for (std::size_t begin = 0, end = 0; begin < things.size(); begin = end) {
    auto reached = last(things[begin]);
    for (end = begin + 1; end < things.size() && first(things[end]) <= reached; ++end) {
      reached = std::max(reached, last(things[end]));
    }
    if (const Found found = find(things.subspan(begin, end - begin))) return found;
  }
  return std::nullopt;
}

// Whether one of them is written, and another one is another term's.
template <typename Thing, typename UseOf>
bool matter(std::span<Thing> things, UseOf use_of) {
  bool is_written = false;
  bool has_others = false;
  for (const Thing& thing : things) {
    is_written |= use_of(thing).is_written;
    has_others |= use_of(thing).term != use_of(things.front()).term;
  }
  return is_written && has_others;
}

}  // namespace taut

#endif  // TAUT_VIEWS_CHAINS_HPP_
