#include "views/divided.hpp"

#include <algorithm>
#include <functional>
#include <limits>

namespace taut {
namespace {

// Steps, the largest first.
class Steps {
 public:
  std::span<const std::uint64_t> sizes() const { return std::span(sizes_).first(count_); }
  bool are_full() const { return count_ == kMostSteps; }

  // Not one of them; nor one that a smaller one does not divide, which it would hide from uses that
  // lie across rows.
  bool accept(std::uint64_t size) const {
    return std::none_of(sizes().begin(), sizes().end(), [&](std::uint64_t other) {
      return other == size || (other < size && size % other != 0);
    });
  }

  void add(std::uint64_t size) {
    std::size_t at = count_++;
    for (; at > 0 && sizes_[at - 1] < size; --at) sizes_[at] = sizes_[at - 1];
    sizes_[at] = size;
  }

 private:
  std::array<std::uint64_t, kMostSteps> sizes_;
  std::size_t count_ = 0;
};

// The steps that most uses have.
Steps common_steps(std::span<const Divided> uses, std::span<std::uint64_t> room) {
  std::size_t count = 0;
  for (const Divided& use : uses) {
    for (const Axis& axis : use.runs.axes) room[count++] = axis.step;
  }
  const auto sizes = room.first(count);
  std::sort(sizes.begin(), sizes.end(), std::greater<>());
  Steps steps;
  while (!steps.are_full()) {
    std::uint64_t best = 0;
    std::size_t most = 0;
    for (std::size_t begin = 0, end = 0; begin < count; begin = end) {
      while (end < count && sizes[end] == sizes[begin]) ++end;
      if (end - begin <= most || !steps.accept(sizes[begin])) continue;
      best = sizes[begin];
      most = end - begin;
    }
    if (most == 0) break;
    steps.add(best);
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
    if (reach_of(use) <= longest) continue;
    longest = reach_of(use);
    begin = use.place % step;
  }
  return begin;
}

constexpr Numbers kAny{0, std::numeric_limits<std::uint64_t>::max()};

void divide(std::span<Divided> uses, std::size_t level, std::uint64_t step) {
  for (Divided& use : uses) use.numbers[level].last = take_rows(use, step);
  const std::uint64_t shift = step - first_row(uses, step);
  for (Divided& use : uses) {
    const std::uint64_t place = use.place + shift;
    const std::uint64_t last = place + use.numbers[level].last * step + reach_of(use) - 1;
    use.numbers[level] = use.modulus == 0 ? Numbers{place / step, last / step} : kAny;
    use.place = place % step;
    if (use.modulus % step != 0) {
      use.modulus = 1;  // nothing is known of it any more
    } else {
      use.modulus = use.place + reach_of(use) > step ? step : 0;
    }
  }
}

}  // namespace

std::size_t divide(std::span<Divided> uses, std::span<std::uint64_t> room) {
  for (Divided& use : uses) {
    use.place = use.runs.begin;
    use.modulus = 0;
    use.rank = use.runs.axes.size();
  }
  const Steps steps = common_steps(uses, room);
  const std::size_t levels = steps.sizes().size();
  for (std::size_t level = 0; level < levels; ++level) divide(uses, level, steps.sizes()[level]);
  for (Divided& use : uses) {
    use.numbers[levels] =
        use.modulus == 0 ? Numbers{use.place, use.place + reach_of(use) - 1} : kAny;
  }
  return levels + 1;
}

}  // namespace taut
