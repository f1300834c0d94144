// A mark per byte, or per group of bytes that are always together: what decides where nothing else
// does.

#ifndef TAUT_VIEWS_MARKS_HPP_
#define TAUT_VIEWS_MARKS_HPP_

#include <cstddef>
#include <cstdint>
#include <span>

#include "views/effort.hpp"
#include "views/runs.hpp"

namespace taut {

struct Window {
  std::uint64_t begin;
  std::uint64_t end;
};

// The greatest number that divides the run's length, the axes' steps and `divisor`.
std::uint64_t common_divisor(const Runs& runs, std::uint64_t divisor);
// Counts from `origin`, and by so many bytes.
void scale(Runs& runs, std::uint64_t origin, std::uint64_t divisor);

// Marks for a window of memory. Whoever has more to look at goes from window to window, so that the
// marks stay few and in the cache, however far arrays reach.
class Marks {
 public:
  static constexpr std::uint64_t kMost = std::uint64_t{1} << 20;

  // For windows that are no larger than `size`, nor than kMost.
  Marks(std::uint64_t size, Effort& effort);

  // Forgets all marks.
  void move_to(Window window);
  // Whether one of the runs has a mark within the window.
  bool has(const Runs& runs) const;
  // Marks the runs within the window, and returns whether one of them had a mark before its turn.
  bool add(const Runs& runs);

 private:
  Window window_{0, 0};
  bool is_clean_ = true;
  std::span<std::uint64_t> words_;
  Effort& effort_;
};

// Calls look(window) for one window after another until one returns true; returns whether one did.
template <typename Look>
bool any_window(Window all, Look look) {
  for (; all.end - all.begin > Marks::kMost; all.begin += Marks::kMost) {
    if (look(Window{all.begin, all.begin + Marks::kMost})) return true;
  }
  return look(all);
}

// What share_a_byte and meet_one_another tell, told by marks. The runs are scaled.
bool share_a_mark(Runs& a, Runs& b, Effort& effort);
bool mark_one_another(Runs& runs, Effort& effort);

}  // namespace taut

#endif  // TAUT_VIEWS_MARKS_HPP_
