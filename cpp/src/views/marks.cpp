#include "views/marks.hpp"

#include <algorithm>
#include <array>
#include <numeric>

#include "taut/view.hpp"

namespace taut {
namespace {

constexpr std::uint64_t kWord = 64;
constexpr std::uint64_t words_for(std::uint64_t marks) { return (marks + kWord - 1) / kWord; }

// Calls visit(begin, end) for each run that meets the window, or for what of it lies within, until
// one returns true. Runs beyond the window cost nothing, but for the axes that hold others.
template <typename Visit>
class RunVisitor {
 public:
  RunVisitor(const Runs& runs, Window window, Effort& effort, Visit visit)
      : runs_(runs), window_(window), effort_(effort), visit_(visit) {
    reaches_[0] = runs.length;
    for (std::size_t axis = 0; axis < runs.axes.size(); ++axis) {
      reaches_[axis + 1] = reaches_[axis] + runs.axes[axis].step * (runs.axes[axis].count - 1);
    }
  }

  bool any() const { return any(runs_.axes.size(), runs_.begin); }

 private:
  bool any(std::size_t rank, std::uint64_t begin) const {
    if (begin >= window_.end || begin + reaches_[rank] <= window_.begin) return false;
    if (rank == 0) return any_of_run(begin);
    const Axis& axis = runs_.axes[rank - 1];
    const std::uint64_t inner = begin + reaches_[rank - 1];  // where the first inner ones end
    const std::uint64_t first = inner > window_.begin ? 0 : (window_.begin - inner) / axis.step + 1;
    const std::uint64_t end = std::min(axis.count, (window_.end - 1 - begin) / axis.step + 1);
    effort_.spend(1);
    for (std::uint64_t i = first; i < end; ++i) {
      if (any(rank - 1, begin + i * axis.step)) return true;
    }
    return false;
  }

  bool any_of_run(std::uint64_t begin) const {
    const std::uint64_t from = std::max(begin, window_.begin) - window_.begin;
    const std::uint64_t to = std::min(begin + runs_.length, window_.end) - window_.begin;
    effort_.spend(1 + (to - from) / kWord);
    return visit_(from, to);
  }

  const Runs& runs_;
  const Window window_;
  Effort& effort_;
  Visit visit_;
  std::array<std::uint64_t, kMaxRank + 1> reaches_;
};

// Calls visit(word, bits) for the words of bits [from, to).
template <typename Words, typename Visit>
bool any_word(Words words, std::uint64_t from, std::uint64_t to, Visit visit) {
  bool any = false;
  const std::uint64_t last = (to - 1) / kWord;
  std::uint64_t bits = ~std::uint64_t{0} << (from % kWord);
  for (std::uint64_t word = from / kWord; word < last; ++word) {
    any |= visit(words[word], bits);
    bits = ~std::uint64_t{0};
  }
  bits &= ~std::uint64_t{0} >> (kWord - 1 - (to - 1) % kWord);
  return visit(words[last], bits) || any;
}

}  // namespace

std::uint64_t common_divisor(const Runs& runs, std::uint64_t divisor) {
  divisor = std::gcd(divisor, runs.length);
  for (const Axis& axis : runs.axes) divisor = std::gcd(divisor, axis.step);
  return divisor;
}

void scale(Runs& runs, std::uint64_t origin, std::uint64_t divisor) {
  runs.begin = (runs.begin - origin) / divisor;
  runs.length /= divisor;
  for (Axis& axis : runs.axes) axis.step /= divisor;
}

Marks::Marks(std::uint64_t size, Effort& effort)
    : words_(effort.take<std::uint64_t>(words_for(std::min(size, kMost)))), effort_(effort) {
  std::fill(words_.begin(), words_.end(), std::uint64_t{0});
}

void Marks::move_to(Window window) {
  const std::size_t used = words_for(window_.end - window_.begin);
  effort_.spend(1 + (is_clean_ ? 0 : used / kWord));
  if (!is_clean_) std::fill_n(words_.begin(), used, std::uint64_t{0});
  is_clean_ = true;
  window_ = window;
}

bool Marks::has(const Runs& runs) const {
  if (is_clean_) return false;
  const auto visit = [&](std::uint64_t from, std::uint64_t to) {
    return any_word(words_, from, to,
                    [](std::uint64_t word, std::uint64_t bits) { return (word & bits) != 0; });
  };
  return RunVisitor(runs, window_, effort_, visit).any();
}

bool Marks::add(const Runs& runs) {
  bool met = false;
  const auto visit = [&](std::uint64_t from, std::uint64_t to) {
    is_clean_ = false;
    met |= any_word(words_, from, to, [](std::uint64_t& word, std::uint64_t bits) {
      const bool has = (word & bits) != 0;
      word |= bits;
      return has;
    });
    return false;
  };
  RunVisitor(runs, window_, effort_, visit).any();
  return met;
}

bool share_a_mark(Runs& a, Runs& b, Effort& effort) {
  const Window shared{std::max(a.begin, b.begin), std::min(a.end(), b.end())};
  const std::uint64_t apart = a.begin < b.begin ? b.begin - a.begin : a.begin - b.begin;
  const std::uint64_t divisor = common_divisor(a, common_divisor(b, apart));
  const std::uint64_t origin = std::min(a.begin, b.begin);
  scale(a, origin, divisor);
  scale(b, origin, divisor);
  const Window window{(shared.begin - origin) / divisor, (shared.end - origin) / divisor};
  Marks marks(window.end - window.begin, effort);
  return any_window(window, [&](Window part) {
    marks.move_to(part);
    marks.add(a);
    return marks.has(b);
  });
}

bool mark_one_another(Runs& runs, Effort& effort) {
  const std::uint64_t divisor = common_divisor(runs, 0);
  scale(runs, runs.begin, divisor);
  Marks marks(runs.end(), effort);
  return any_window({0, runs.end()}, [&](Window part) {
    marks.move_to(part);
    return marks.add(runs);
  });
}

}  // namespace taut
