// Where the arrays of a batch lie: which of them are the same, and which meet.

#ifndef TAUT_BATCH_MEMORY_HPP_
#define TAUT_BATCH_MEMORY_HPP_

#include <algorithm>
#include <span>
#include <type_traits>

#include "layout.hpp"
#include "taut/batch.hpp"
#include "workspace.hpp"

namespace taut {

struct Place {
  Extent extent;
  std::size_t term;
  bool written;

  bool operator<(const Place& other) const {
    if (extent.begin != other.extent.begin) return extent.begin < other.extent.begin;
    if (extent.end != other.extent.end) return extent.end < other.extent.end;
    return term < other.term;
  }
};

// Where the terms' arrays are, and the gradients of those that have one, in the order of memory.
template <typename AnyTerm>
std::span<Place> places_of(std::span<const AnyTerm> terms, WorkspaceScope& memory) {
  constexpr bool kHasGradient = std::is_same_v<AnyTerm, GradientTerm>;
  const auto places = memory.take<Place>(terms.size() * (kHasGradient ? 2 : 1));
  auto next = places.begin();
  for (std::size_t term = 0; term < terms.size(); ++term) {
    *next++ = {extent_of(terms[term].x), term, false};
    if constexpr (kHasGradient) *next++ = {extent_of(terms[term].gradient), term, true};
  }
  std::sort(places.begin(), places.end());
  return places;
}

// Whether two views of one extent are of the very same elements, in whatever order.
bool is_same_memory(const ConstView& x, const ConstView& y);

// Which terms count: all but those whose x has appeared before.
template <typename AnyTerm>
std::span<bool> find_counted(std::span<const AnyTerm> terms, std::span<const Place> places,
                             WorkspaceScope& memory) {
  const auto counted = memory.take<bool>(terms.size());
  std::fill(counted.begin(), counted.end(), true);
  for (std::size_t i = 1; i < places.size(); ++i) {
    if (places[i].written) continue;
    const auto [begin, end] = places[i].extent;
    for (std::size_t j = i; j-- > 0;) {  // those of the same extent stand side by side
      if (places[j].extent.begin != begin || places[j].extent.end != end) break;
      if (!places[j].written && is_same_memory(terms[places[j].term].x, terms[places[i].term].x)) {
        counted[places[i].term] = false;
        break;
      }
    }
  }
  return counted;
}

// The places that satisfy `is_kept`, in the same order and memory.
template <typename IsKept>
std::span<Place> keep_places(std::span<Place> places, IsKept is_kept) {
  const auto end = std::remove_if(places.begin(), places.end(),
                                  [&](const Place& place) { return !is_kept(place); });
  return {places.begin(), end};
}

// Throws InvalidTerm for a term that writes another one's memory, or for the later one where both
// do.
[[noreturn]] void refuse_overlap(const Place& place, const Place& other);

// Calls refuse_overlap where memory that one term writes meets another term's. The places are in
// order; meet(written, other) decides for those whose extents meet.
template <typename Meet>
void check_apart(std::span<const Place> places, WorkspaceScope& memory, Meet meet) {
  // Those that reach beyond the place at hand.
  const auto open = memory.take<const Place*>(places.size());
  std::size_t count = 0;
  for (const Place& place : places) {
    const auto end =
        std::remove_if(open.begin(), open.begin() + static_cast<std::ptrdiff_t>(count),
                       [&](const Place* other) { return !other->extent.meets(place.extent); });
    count = static_cast<std::size_t>(end - open.begin());
    for (const Place* other : open.first(count)) {
      if (other->term == place.term || (!other->written && !place.written)) continue;
      if (place.written ? meet(place, *other) : meet(*other, place)) refuse_overlap(place, *other);
    }
    open[count++] = &place;
  }
}

}  // namespace taut

#endif  // TAUT_BATCH_MEMORY_HPP_
