// Uses of memory, told apart by the steps that they have in common.

#ifndef TAUT_VIEWS_DIVIDED_HPP_
#define TAUT_VIEWS_DIVIDED_HPP_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "views/runs.hpp"

namespace taut {

// A step, as the pitch of a matrix, divides places into a row and a place within the row; the next
// smaller one divides that, and so on. So every byte has a number at each step, and a last one
// within the smallest. Uses that share a byte share its numbers; so they are apart where the
// numbers that they reach are apart at one of the steps, as those of columns, rows, tiles and
// interleaved arrays are.
struct Numbers {
  std::uint64_t first;
  std::uint64_t last;
};
constexpr std::size_t kMostSteps = 5;

struct Divided {
  std::size_t index;
  std::size_t term;
  bool is_written;
  Runs runs;
  std::array<Numbers, kMostSteps + 1> numbers;  // all that the runs reach, and maybe more

  // What is left when it has been divided: the place, exactly if the modulus is 0, else up to its
  // multiples; and how many of the axes lie within the step.
  std::uint64_t place;
  std::uint64_t modulus;
  std::size_t rank;
};

// Chooses the steps that most of the uses have, and finds the numbers. Returns how many numbers
// there are. `room` holds as many numbers as all uses have axes.
std::size_t divide(std::span<Divided> uses, std::span<std::uint64_t> room);

}  // namespace taut

#endif  // TAUT_VIEWS_DIVIDED_HPP_
