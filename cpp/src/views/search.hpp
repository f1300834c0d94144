// An overlap among uses of one piece of memory.

#ifndef TAUT_VIEWS_SEARCH_HPP_
#define TAUT_VIEWS_SEARCH_HPP_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "views/chains.hpp"
#include "views/divided.hpp"
#include "views/effort.hpp"
#include "views/marks.hpp"

namespace taut {

// Looks for an overlap among divided uses: what the numbers tell apart falls into parts, each of
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
  // Whether there is none is decided or not.
  Found find_among_pairs(Part part, bool& is_decided);
  Found find_by_marks(Part part);
  Found find_partner(Part before, const Divided& use, Window window);

  std::uint64_t reach_;
  std::optional<MarksOfUses> marks_;  // made where they are needed, and once
  Effort& effort_;
};

}  // namespace taut

#endif  // TAUT_VIEWS_SEARCH_HPP_
