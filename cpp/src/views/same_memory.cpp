// The places of an array's elements are the exponents of the polynomial
//   x^begin * prod_k (1 + x^step_k + ... + x^(step_k * (count_k - 1)))
//   = x^begin * prod_k (1 - x^(step_k * count_k)) / (1 - x^step_k),
// where a place that comes several times has that coefficient. As power series, products of factors
// (1 - x^m) to integer powers are equal only if the powers are, for every m. (The least m whose
// powers differ gives different coefficients of x^m.) So what remains of the numbers above and
// below the line, after those on both sides are struck out, tells an array's places from all
// others.

#include "views/same_memory.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <tuple>

#include "taut/view.hpp"
#include "views/sort.hpp"

namespace taut {
namespace {

// What arrays of the very same elements have in common.
struct Places {
  ByteRange range;
  std::size_t element_size;
  std::uint64_t times;  // that each element comes by axes with stride 0; 0: empty or too many
  std::span<const std::uint64_t> above;
  std::span<const std::uint64_t> below;
};

std::uint64_t magnitude(std::ptrdiff_t stride) {
  const auto bits = static_cast<std::uint64_t>(stride);
  return stride < 0 ? 0 - bits : bits;
}

// `room` has two numbers for each axis.
Places places_of(const Strided& array, std::span<std::uint64_t> room) {
  Places places{range_of(array), array.element_size, array.is_empty() ? 0u : 1u, {}, {}};
  const auto above = room.first(room.size() / 2);
  const auto below = room.last(room.size() / 2);
  std::size_t count = 0;
  for (std::size_t axis = 0; axis < array.extents.size(); ++axis) {
    const std::uint64_t extent = array.extents[axis];
    const std::uint64_t step = magnitude(array.strides[axis]);
    if (step == 0 || extent == 0) {
      if (__builtin_mul_overflow(places.times, extent, &places.times)) places.times = 0;
    } else {
      above[count] = step * extent;
      below[count++] = step;
    }
  }
  std::sort(above.begin(), above.begin() + static_cast<std::ptrdiff_t>(count));
  std::sort(below.begin(), below.begin() + static_cast<std::ptrdiff_t>(count));
  std::size_t kept_above = 0;
  std::size_t kept_below = 0;
  for (std::size_t i = 0, j = 0; i < count || j < count;) {
    if (i < count && j < count && above[i] == below[j]) {
      ++i;
      ++j;
    } else if (j == count || (i < count && above[i] < below[j])) {
      above[kept_above++] = above[i++];
    } else {
      below[kept_below++] = below[j++];
    }
  }
  places.above = above.first(kept_above);
  places.below = below.first(kept_below);
  return places;
}

// The one that is before or after another one wherever they differ in what arrays of one memory
// have in common; 0 where they do not.
int compare(std::span<const std::uint64_t> a, std::span<const std::uint64_t> b) {
  if (a.size() != b.size()) return a.size() < b.size() ? -1 : 1;
  const auto [in_a, in_b] = std::mismatch(a.begin(), a.end(), b.begin());
  return in_a == a.end() ? 0 : (*in_a < *in_b ? -1 : 1);
}

int compare(const Places& a, const Places& b) {
  if (a.times != b.times) return a.times < b.times ? -1 : 1;
  const int above = compare(a.above, b.above);
  return above != 0 ? above : compare(a.below, b.below);
}

struct Entry {
  Places places;
  int kind;
  std::size_t index;

  auto kinship() const {
    return std::tuple(places.range.begin, places.range.end, places.element_size, kind);
  }
};

// Writes for all of the entries, whose ranges and kinds are one, where each one's memory is first.
void find_first(std::span<Entry> entries, std::span<std::size_t> firsts) {
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    const int order = compare(a.places, b.places);
    return order != 0 ? order < 0 : a.index < b.index;
  });
  const Entry* first = &entries.front();
  for (const Entry& entry : entries) {
    if (entry.places.times == 0) continue;
    if (compare(first->places, entry.places) != 0) first = &entry;
    firsts[entry.index] = first->index;
  }
}

}  // namespace

bool is_same_memory(const Strided& a, const Strided& b) {
  std::array<std::uint64_t, 2 * kMaxRank> a_room;
  std::array<std::uint64_t, 2 * kMaxRank> b_room;
  const Places in_a = places_of(a, std::span(a_room).first(2 * a.extents.size()));
  const Places in_b = places_of(b, std::span(b_room).first(2 * b.extents.size()));
  return in_a.times != 0 && in_a.range.begin == in_b.range.begin &&
         in_a.element_size == in_b.element_size && compare(in_a, in_b) == 0;
}

std::vector<std::uint64_t> key_of_memory(const Strided& array) {
  std::array<std::uint64_t, 2 * kMaxRank> room;
  const Places places = places_of(array, std::span(room).first(2 * array.extents.size()));
  if (places.times == 0) return {};
  std::vector<std::uint64_t> key{
      reinterpret_cast<std::uintptr_t>(places.range.begin),
      reinterpret_cast<std::uintptr_t>(places.range.end),
      places.element_size,
      places.times,
      places.above.size(),
  };
  key.insert(key.end(), places.above.begin(), places.above.end());
  key.insert(key.end(), places.below.begin(), places.below.end());
  return key;
}

std::span<const std::size_t> find_first_readings(std::span<const Reading> readings,
                                                 Effort& effort) {
  const auto firsts = effort.take<std::size_t>(readings.size());
  const auto entries = effort.take<Entry>(readings.size());
  for (std::size_t i = 0; i < readings.size(); ++i) {
    const Strided& array = readings[i].array;
    firsts[i] = i;
    entries[i] = {{range_of(array), array.element_size, 1, {}, {}}, readings[i].kind, i};
  }
  effort.spend(entries.size());
  sort_unless_sorted(entries,
                     [](const Entry& a, const Entry& b) { return a.kinship() < b.kinship(); });
  // Calls visit(those of one range and kind) for all that are not alone.
  const auto for_each_kin = [&](auto visit) {
    for (std::size_t begin = 0, end = 0; begin < entries.size(); begin = end) {
      while (end < entries.size() && entries[end].kinship() == entries[begin].kinship()) ++end;
      if (end - begin > 1) visit(entries.subspan(begin, end - begin));
    }
  };
  std::size_t numbers = 0;
  for_each_kin([&](std::span<const Entry> kin) {
    for (const Entry& entry : kin) numbers += 2 * readings[entry.index].array.extents.size();
  });
  auto room = effort.take<std::uint64_t>(numbers);
  for_each_kin([&](std::span<Entry> kin) {
    for (Entry& entry : kin) {
      const Strided& array = readings[entry.index].array;
      entry.places = places_of(array, room.first(2 * array.extents.size()));
      room = room.subspan(2 * array.extents.size());
    }
    effort.spend(kin.size());
    find_first(kin, firsts);
  });
  return firsts;
}

}  // namespace taut
