#include "views/overlap.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

#include "taut/view.hpp"
#include "views/cover.hpp"
#include "views/marks.hpp"
#include "views/runs.hpp"

namespace taut {
namespace {

// So long a search costs as much as the marks for so many runs.
Budget search_budget(std::uint64_t runs) {
  constexpr Budget kLeast = 256;
  constexpr Budget kMost = Budget{1} << 24;
  return std::clamp(runs / 4, kLeast, kMost);
}

}  // namespace

bool overlaps_itself(const Strided& array, Effort& effort) {
  if (array.is_empty()) return false;
  for (std::size_t axis = 0; axis < array.extents.size(); ++axis) {
    if (array.extents[axis] > 1 && array.strides[axis] == 0) return true;
  }
  std::array<Axis, kMaxRank> room;
  Runs runs = elements_of(array, room);
  if (runs.axes.empty()) return false;
  if (runs.count() > (runs.end() - runs.begin) / runs.length) return true;  // no room for all
  Budget budget = search_budget(runs.count());
  const std::optional<bool> found = meet_one_another(runs, budget, effort);
  return found ? *found : mark_one_another(runs, effort);
}

bool overlap(const Strided& a, const Strided& b, Effort& effort) {
  if (!range_of(a).meets(range_of(b))) return false;
  std::array<Axis, kMaxRank> a_room;
  std::array<Axis, kMaxRank> b_room;
  Runs a_runs = bytes_of(a, a_room);
  Runs b_runs = bytes_of(b, b_room);
  Budget budget = search_budget(std::max(a_runs.count(), b_runs.count()));
  const std::optional<bool> found = share_a_byte(a_runs, b_runs, budget, effort);
  return found ? *found : share_a_mark(a_runs, b_runs, effort);
}

}  // namespace taut
