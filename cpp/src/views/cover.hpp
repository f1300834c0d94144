// Whether runs of bytes cover a byte, decided without going through them.

#ifndef TAUT_VIEWS_COVER_HPP_
#define TAUT_VIEWS_COVER_HPP_

#include <array>
#include <cstdint>
#include <optional>

#include "taut/view.hpp"
#include "views/effort.hpp"
#include "views/runs.hpp"

namespace taut {

// Steps that a search may still take.
using Budget = std::uint64_t;

// Runs that begin at 0 and may have the axes of two arrays.
class Cover {
 public:
  explicit Cover(std::uint64_t length) : length_(length) {}
  void add(const Axis& axis) { rank_ = insert(axis, axes_, rank_); }

  // Whether a run covers the byte at `target`, or nothing where it takes more than the budget to
  // tell. The axes are as they were added no longer.
  std::optional<bool> has(std::uint64_t target, Budget& budget, Effort& effort);

 private:
  // The sums of the first k axes' steps lie between 0 and `reach`, are multiples of `divisor`, and
  // are nowhere farther from the next one than `gap`.
  struct Sums {
    std::int64_t reach;
    std::int64_t divisor;
    std::int64_t gap;

    bool have_all() const { return gap == divisor; }
  };

  std::optional<bool> search(std::size_t rank, std::int64_t low, std::int64_t high) const;

  std::uint64_t length_;
  std::size_t rank_ = 0;
  std::array<Axis, 2 * kMaxRank> axes_;
  std::array<Sums, 2 * kMaxRank + 1> sums_;
  Budget* budget_ = nullptr;
  Effort* effort_ = nullptr;
};

// Whether a byte belongs to both, or nothing where it takes more than the budget to tell.
std::optional<bool> share_a_byte(const Runs& a, const Runs& b, Budget& budget, Effort& effort);

// Whether two of the runs share a byte, or nothing likewise.
std::optional<bool> meet_one_another(const Runs& runs, Budget& budget, Effort& effort);

}  // namespace taut

#endif  // TAUT_VIEWS_COVER_HPP_
