// Uses whose ranges are apart are told apart by sorting these; those whose ranges meet by the steps
// that they have in common (divided.hpp); what is left pair by pair, and where these are too many,
// by marks for all of it.

#include <algorithm>
#include <cstdint>
#include <numeric>

#include "views/cover.hpp"
#include "views/divided.hpp"
#include "views/marks.hpp"
#include "views/overlap.hpp"
#include "views/runs.hpp"

namespace taut {
namespace {

using Found = std::optional<SharedUse>;

// So often are uses divided anew by the numbers of all steps.
constexpr int kDeepest = 16;
// What one pair costs, in steps of a search, and each use where all are marked.
constexpr Budget kPairCost = 8;
constexpr Budget kUseCost = 32;

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

// Marks for what is read, what is written, and one use alone.
class MarksOfUses {
 public:
  MarksOfUses(std::uint64_t size, Effort& effort)
      : read(size, effort), written(size, effort), own(size, effort) {}

  Marks read;
  Marks written;
  Marks own;
};

// Finds an overlap among uses whose ranges are chained together.
class Search {
 public:
  // `reach` is that of all uses that there are.
  Search(std::uint64_t reach, Effort& effort) : reach_(reach), effort_(effort) {}

  Found find(std::span<Divided*> uses, std::size_t numbers) {
    numbers_ = numbers;
    return find(uses, 0);
  }

 private:
  using Part = std::span<Divided*>;

  static bool lies_before(const Divided* a, const Divided* b) {
    if (a->runs.begin != b->runs.begin) return a->runs.begin < b->runs.begin;
    return a->term != b->term ? a->term < b->term : a->index < b->index;
  }

  static bool concern(const Divided& a, const Divided& b) {
    return a.term != b.term && (a.is_written || b.is_written);
  }

  Found find(Part part, int depth) {
    if (!matter(part, [](const Divided* use) -> const Divided& { return *use; })) return {};
    for (std::size_t level = 0; level < numbers_ && depth < kDeepest; ++level) {
      const auto first = [&](const Divided* use) { return use->numbers[level].first; };
      const auto last = [&](const Divided* use) { return use->numbers[level].last; };
      effort_.spend(part.size());
      std::sort(part.begin(), part.end(),
                [&](const Divided* a, const Divided* b) { return first(a) < first(b); });
      bool is_one = false;
      const Found found = find_in_chains(part, first, last, [&](Part chain) {
        is_one = chain.size() == part.size();
        return is_one ? Found() : find(chain, depth + 1);
      });
      if (!is_one) return found;
    }
    std::sort(part.begin(), part.end(), lies_before);
    bool is_decided;
    const Found found = find_among_pairs(part, is_decided);
    return found || is_decided ? found : find_by_marks(part);
  }

  // Nothing found is nothing to be found if it `is_decided`.
  Found find_among_pairs(Part part, bool& is_decided) {
    Budget budget = kUseCost * part.size();
    for (const Divided* use : part) budget += std::min(use->runs.count(), Marks::kMost) / 4;
    is_decided = false;
    for (std::size_t i = 0; i < part.size(); ++i) {
      const std::uint64_t end = part[i]->runs.end();
      for (std::size_t j = i + 1; j < part.size() && part[j]->runs.begin < end; ++j) {
        effort_.spend(1);
        const bool concerns = concern(*part[i], *part[j]);
        const Budget cost = concerns ? kPairCost : 1;
        if (budget < cost) return {};
        budget -= cost;
        if (!concerns) continue;
        const auto shared = share_a_byte(part[i]->runs, part[j]->runs, budget, effort_);
        if (!shared) return {};
        if (*shared) return SharedUse{part[i]->index, part[j]->index};
      }
    }
    is_decided = true;
    return {};
  }

  Found find_by_marks(Part part) {
    if (!marks_) marks_.emplace(reach_, effort_);
    Window all{part.front()->runs.begin, 0};
    for (const Divided* use : part) all.end = std::max(all.end, use->runs.end());
    Found found;
    any_window(all, [&](Window window) {
      marks_->read.move_to(window);
      marks_->written.move_to(window);
      for (std::size_t i = 0; i < part.size() && !found; ++i) {
        const Divided& use = *part[i];
        if (marks_->written.has(use.runs) || (use.is_written && marks_->read.has(use.runs))) {
          found = find_partner(part.first(i), use, window);
        }
        (use.is_written ? marks_->written : marks_->read).add(use.runs);
      }
      return found.has_value();
    });
    return found;
  }

  // None, if the use shares bytes of the window only with its own term.
  Found find_partner(Part before, const Divided& use, Window window) {
    marks_->own.move_to(window);
    marks_->own.add(use.runs);
    for (const Divided* other : before) {
      if (concern(*other, use) && marks_->own.has(other->runs)) {
        return SharedUse{other->index, use.index};
      }
    }
    return {};
  }

  std::uint64_t reach_;
  std::size_t numbers_ = 0;
  std::optional<MarksOfUses> marks_;
  Effort& effort_;
};

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
      uses_[i] = {places[i].index, use.term, use.is_written, runs, {}, false, 0, 0};
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
  std::sort(places.begin(), places.begin() + static_cast<std::ptrdiff_t>(count),
            [](const Place& a, const Place& b) {
              if (a.range.begin != b.range.begin) return a.range.begin < b.range.begin;
              return a.index < b.index;
            });
  return places.first(count);
}

}  // namespace

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
