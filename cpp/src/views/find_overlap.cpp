// Uses whose ranges are apart are told apart by sorting these. Those whose ranges are chained
// together are divided by the steps that they have in common, and searched.

#include <algorithm>
#include <cstdint>
#include <numeric>

#include "views/chains.hpp"
#include "views/divided.hpp"
#include "views/marks.hpp"
#include "views/overlap.hpp"
#include "views/runs.hpp"
#include "views/search.hpp"
#include "views/sort.hpp"

namespace taut {
namespace {

struct Place {
  ByteRange range;
  std::size_t index;
};

// Uses whose ranges are chained together, in the form in which they are divided and searched.
class Cluster {
 public:
  // For so many uses, that have so many axes in all, at the most.
  Cluster(std::size_t uses, std::size_t axes, Effort& effort)
      : uses_(effort.take<Divided>(uses)),
        order_(effort.take<Divided*>(uses)),
        axes_(effort.take<Axis>(axes)),
        steps_(effort.take<std::uint64_t>(axes)) {}

  Found find(std::span<const Use> uses, std::span<const Place> places, Search& search) {
    auto room = axes_;
    std::uint64_t divisor = 0;
    for (std::size_t i = 0; i < places.size(); ++i) {
      const Use& use = uses[places[i].index];
      const Runs runs = bytes_of(use.array, room);
      room = room.subspan(runs.axes.size());
      uses_[i] = {places[i].index, use.term, use.is_written, runs, {}, 0, 0, 0};
      order_[i] = &uses_[i];
      divisor = common_divisor(runs, std::gcd(divisor, runs.begin - uses_[0].runs.begin));
    }
    const std::uint64_t origin = uses_[0].runs.begin;
    const auto own = uses_.first(places.size());
    for (Divided& use : own) scale(use.runs, origin, divisor);
    return search.find(order_.first(places.size()), divide(own, steps_));
  }

 private:
  std::span<Divided> uses_;
  std::span<Divided*> order_;
  std::span<Axis> axes_;
  std::span<std::uint64_t> steps_;
};

// Where the uses are that have elements, in the order of memory.
std::span<Place> places_of(std::span<const Use> uses, Effort& effort) {
  const auto places = effort.take<Place>(uses.size());
  std::size_t count = 0;
  for (std::size_t i = 0; i < uses.size(); ++i) {
    const ByteRange range = range_of(uses[i].array);
    if (range.begin != range.end) places[count++] = {range, i};
  }
  effort.spend(count);
  sort_unless_sorted(places.first(count), [](const Place& a, const Place& b) {
    if (a.range.begin != b.range.begin) return a.range.begin < b.range.begin;
    return a.index < b.index;
  });
  return places.first(count);
}

}  // namespace

bool are_ranges_apart(std::span<const Use> uses, Effort& effort) {
  const std::span<const Place> places = places_of(uses, effort);
  return std::adjacent_find(places.begin(), places.end(), [](const Place& a, const Place& b) {
           return b.range.begin < a.range.end;
         }) == places.end();
}

Found find_overlap(std::span<const Use> uses, Effort& effort) {
  const std::span<const Place> places = places_of(uses, effort);
  const auto find_in_clusters = [&](auto find) {
    return find_in_chains(
        places, [](const Place& place) { return place.range.begin; },
        [](const Place& place) { return place.range.end - 1; },
        [&](std::span<const Place> chain) {
          const bool matters =
              matter(chain, [&](const Place& place) -> const Use& { return uses[place.index]; });
          return matters ? find(chain) : Found();
        });
  };
  std::size_t most_uses = 0;
  std::size_t most_axes = 0;
  std::uint64_t reach = 0;
  find_in_clusters([&](std::span<const Place> chain) {
    std::size_t axes = 0;
    const std::byte* end = chain.front().range.end;
    for (const Place& place : chain) {
      axes += uses[place.index].array.extents.size();
      end = std::max(end, place.range.end);
    }
    most_uses = std::max(most_uses, chain.size());
    most_axes = std::max(most_axes, axes);
    reach = std::max(reach, static_cast<std::uint64_t>(end - chain.front().range.begin));
    return Found();
  });
  if (most_uses == 0) return std::nullopt;
  Cluster cluster(most_uses, most_axes, effort);
  Search search(reach, effort);
  return find_in_clusters(
      [&](std::span<const Place> chain) { return cluster.find(uses, chain, search); });
}

}  // namespace taut
