// An overlap among uses of one piece of memory.

#ifndef TAUT_VIEWS_SEARCH_HPP_
#define TAUT_VIEWS_SEARCH_HPP_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "views/chains.hpp"
#include "views/cover.hpp"
#include "views/divided.hpp"
#include "views/effort.hpp"
#include "views/marks.hpp"

namespace taut {

// Looks for an overlap among divided uses. What the numbers tell apart falls into parts. Each of
// these is decided pair by pair, and where the pairs take too long, by marks for the whole part.
class Search {
 public:
  // `reach` is at least that of all the uses of a call, from the first byte to the last.
  Search(std::uint64_t reach, Effort& effort) : reach_(reach), effort_(effort) {}

  // The uses have so many numbers each. Their order changes.
  Found find(std::span<Divided*> uses, std::size_t numbers) { return find(uses, numbers, 0); }

 private:
  using Part = std::span<Divided*>;

  struct MarksOfUses {
    Marks read;
    Marks written;
    Marks own;  // those of a single use
  };

  Found find(Part part, std::size_t numbers, int depth);
  // Looks at those of the part, sorted by place, and at each of them with those that are known to
  // be apart from one another. If nothing is found, nothing is there only if `is_decided`.
  Found find_among_pairs(Part apart, Part part, bool& is_decided);
  // Nothing where it takes more than the budget.
  std::optional<bool> overlap(const Divided& a, const Divided& b, Budget& budget);
  Found find_by_marks(Part part);
  // The one of those before the use with which it overlaps in the window.
  Found find_partner(Part before, const Divided& use, Window window);

  std::uint64_t reach_;
  std::optional<MarksOfUses> marks_;  // made where they are needed, and once
  Effort& effort_;
};

}  // namespace taut

#endif  // TAUT_VIEWS_SEARCH_HPP_
