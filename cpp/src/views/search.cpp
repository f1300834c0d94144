#include "views/search.hpp"

#include <algorithm>

namespace taut {
namespace {

// So often are parts divided into parts.
constexpr int kDeepest = 16;
// What it costs to decide about a pair, in steps of a search beside those that it takes, and what
// the marks cost for each use beside its runs.
constexpr Budget kPairCost = 8;
constexpr Budget kUseCost = 32;

bool lies_before(const Divided* a, const Divided* b) {
  if (a->runs.begin != b->runs.begin) return a->runs.begin < b->runs.begin;
  return a->term != b->term ? a->term < b->term : a->index < b->index;
}

SharedUse in_order(const Divided& a, const Divided& b) {
  return lies_before(&a, &b) ? SharedUse{a.index, b.index} : SharedUse{b.index, a.index};
}

bool concern(const Divided& a, const Divided& b) {
  return a.term != b.term && (a.is_written || b.is_written);
}

}  // namespace

Found Search::find(Part part, std::size_t numbers, int depth) {
  if (!matter(part, [](const Divided* use) -> const Divided& { return *use; })) return {};
  for (std::size_t level = 0; level < numbers && depth < kDeepest; ++level) {
    const auto first = [&](const Divided* use) { return use->numbers[level].first; };
    const auto last = [&](const Divided* use) { return use->numbers[level].last; };
    effort_.spend(part.size());
    std::sort(part.begin(), part.end(),
              [&](const Divided* a, const Divided* b) { return first(a) < first(b); });
    bool is_one = false;
    const Found found = find_in_chains(part, first, last, [&](Part chain) {
      is_one = chain.size() == part.size();
      return is_one ? Found() : find(chain, numbers, depth + 1);
    });
    if (!is_one) return found;
  }
  // Those that could not be divided hide whether the others fall into parts.
  const auto divided_end = std::partition(part.begin(), part.end(),
                                          [](const Divided* use) { return use->modulus == 0; });
  Part divided(part.begin(), divided_end);
  Part others(divided_end, part.end());
  if (others.empty()) {
    std::swap(divided, others);
  } else if (const Found found = find(divided, numbers, depth + 1)) {
    return found;
  }
  std::sort(others.begin(), others.end(), lies_before);
  bool is_decided = false;
  const Found found = find_among_pairs(divided, others, is_decided);
  return found || is_decided ? found : find_by_marks(part);
}

Found Search::find_among_pairs(Part apart, Part part, bool& is_decided) {
  Budget budget = kUseCost * (apart.size() + part.size());
  for (const Divided* use : part) budget += std::min(use->runs.count(), Marks::kMost) / 4;
  std::size_t open = 0;  // all before it end before the use at hand
  for (std::size_t i = 0; i < part.size(); ++i) {
    while (part[open]->runs.end() <= part[i]->runs.begin) ++open;
    for (const Part others : {apart, part.subspan(open, i - open)}) {
      for (const Divided* other : others) {
        const auto shared = overlap(*other, *part[i], budget);
        if (!shared) return {};
        if (*shared) return in_order(*other, *part[i]);
      }
    }
  }
  is_decided = true;
  return {};
}

std::optional<bool> Search::overlap(const Divided& a, const Divided& b, Budget& budget) {
  effort_.spend(1);
  const bool concerns = concern(a, b);
  const Budget cost = concerns ? kPairCost : 1;
  if (budget < cost) return std::nullopt;
  budget -= cost;
  return concerns ? share_a_byte(a.runs, b.runs, budget, effort_) : false;
}

Found Search::find_by_marks(Part part) {
  if (!marks_) {
    marks_.emplace(MarksOfUses{{reach_, effort_}, {reach_, effort_}, {reach_, effort_}});
  }
  std::sort(part.begin(), part.end(), lies_before);
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

Found Search::find_partner(Part before, const Divided& use, Window window) {
  marks_->own.move_to(window);
  marks_->own.add(use.runs);
  for (const Divided* other : before) {
    if (concern(*other, use) && marks_->own.has(other->runs)) {
      return SharedUse{other->index, use.index};
    }
  }
  return {};
}

}  // namespace taut
