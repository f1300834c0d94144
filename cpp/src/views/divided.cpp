#include "views/divided.hpp"

#include <algorithm>
#include <functional>
#include <limits>

namespace taut {
namespace {

struct Step {
  std::uint64_t size;
  std::size_t uses;
};

// The steps that most uses have, the largest first.
struct Steps {
  std::array<Step, kMostSteps> steps;
  std::size_t count = 0;

  void add(const Step& step) {
    if (count == kMostSteps) {
      const auto rarest = std::min_element(
          steps.begin(), steps.end(), [](const Step& a, const Step& b) { return a.uses < b.uses; });
      if (step.uses <= rarest->uses) return;
      std::copy(rarest + 1, steps.end(), rarest);
      --count;
    }
    steps[count++] = step;
  }
};

Steps common_steps(std::span<const Divided> uses, std::span<std::uint64_t> room) {
  std::size_t count = 0;
  for (const Divided& use : uses) {
    for (const Axis& axis : use.runs.axes) room[count++] = axis.step;
  }
  const auto sizes = room.first(count);
  std::sort(sizes.begin(), sizes.end(), std::greater<>());
  Steps steps;
  for (std::size_t begin = 0, end = 0; begin < count; begin = end) {
    while (end < count && sizes[end] == sizes[begin]) ++end;
    // What only one use has tells nothing from it, and could hide what others have in common.
    if (end - begin > 1) steps.add({sizes[begin], end - begin});
  }
  return steps;
}

// Takes the axes that go from row to row out of what is left; returns how many rows they go.
std::uint64_t take_rows(Divided& use, std::uint64_t step) {
  std::uint64_t rows = 0;
  for (; use.rank > 0; --use.rank) {
    const Axis& axis = use.runs.axes[use.rank - 1];
    if (axis.step % step != 0) break;
    rows += axis.step / step * (axis.count - 1);
  }
  return rows;
}

std::uint64_t reach_of(const Divided& use) {
  std::uint64_t reach = use.runs.length;
  for (const Axis& axis : use.runs.axes.first(use.rank)) reach += axis.step * (axis.count - 1);
  return reach;
}

// Rows begin where the longest ones among the uses do, so that, if possible, none lies across.
std::uint64_t first_row(std::span<const Divided> uses, std::uint64_t step) {
  std::uint64_t longest = 0;
  std::uint64_t begin = 0;
  for (const Divided& use : uses) {
    if (use.is_across || reach_of(use) <= longest) continue;
    longest = reach_of(use);
    begin = use.place % step;
  }
  return begin;
}

void divide(std::span<Divided> uses, std::size_t level, std::uint64_t step) {
  for (Divided& use : uses) {
    use.numbers[level] = {0, std::numeric_limits<std::uint64_t>::max()};
    if (!use.is_across) use.numbers[level].last = take_rows(use, step);
  }
  const std::uint64_t shift = step - first_row(uses, step);
  for (Divided& use : uses) {
    if (use.is_across) continue;
    const std::uint64_t rows = use.numbers[level].last;
    const std::uint64_t end = use.place + shift + rows * step + reach_of(use);
    const std::uint64_t first = (use.place + shift) / step;
    use.place = (use.place + shift) % step;
    use.is_across = use.place + reach_of(use) > step;
    use.numbers[level] = {first, (end - 1) / step};
  }
}

}  // namespace

std::size_t divide(std::span<Divided> uses, std::span<std::uint64_t> room) {
  for (Divided& use : uses) {
    use.is_across = false;
    use.place = use.runs.begin;
    use.rank = use.runs.axes.size();
  }
  const Steps steps = common_steps(uses, room);
  for (std::size_t level = 0; level < steps.count; ++level) {
    divide(uses, level, steps.steps[level].size);
  }
  for (Divided& use : uses) {
    use.numbers[steps.count] = use.is_across ? Numbers{0, std::numeric_limits<std::uint64_t>::max()}
                                             : Numbers{use.place, use.place + reach_of(use) - 1};
  }
  return steps.count + 1;
}

}  // namespace taut
