// A byte is covered if sum(x_k * step_k), for some 0 <= x_k < count_k, lies in an interval as long
// as a run. This is the bounded Diophantine equation that NumPy solves too (mem_overlap.c); it is
// NP-hard where there are many axes. The search goes from the largest step to the smallest. What is
// left of the interval is decided at once where the smaller steps' reach, greatest common divisor
// or gaps decide it, and for the last two steps. So only three and more steps that neither nest nor
// divide one another are tried out.

#include "views/cover.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

namespace taut {
namespace {

// Of a number above 0, and a divisor above 0.
std::int64_t divide_up(std::int64_t number, std::int64_t divisor) {
  return (number - 1) / divisor + 1;
}

constexpr std::int64_t kNone = std::numeric_limits<std::int64_t>::max();

// The least x with low <= factor * x % modulus <= high, where 0 < low <= high < modulus and
// 0 <= factor < modulus; kNone if there is none, nothing if the numbers become too large. As Euclid
// finds the greatest common divisor: where no multiple of the factor hits before it passes the
// modulus, how often it passes is the same question modulo the factor.
std::optional<std::int64_t> least_multiple(std::int64_t factor, std::int64_t modulus,
                                           std::int64_t low, std::int64_t high) {
  if (factor == 0) return kNone;
  const std::int64_t x = divide_up(low, factor);
  if (x <= high / factor) return x;
  const auto passes =
      least_multiple(modulus % factor, factor, factor - high % factor, factor - low % factor);
  if (!passes || *passes == kNone) return passes;
  std::int64_t place;
  if (__builtin_mul_overflow(modulus, *passes, &place) ||
      __builtin_add_overflow(place, low, &place)) {
    return std::nullopt;
  }
  return divide_up(place, factor);
}

}  // namespace

std::optional<bool> Cover::has(std::uint64_t target, Budget& budget, Effort& effort) {
  Runs runs{0, length_, std::span(axes_).first(rank_)};
  merge(runs);
  rank_ = runs.axes.size();
  sums_[0] = {0, 0, 0};
  for (std::size_t axis = 0; axis < rank_; ++axis) {
    const auto step = static_cast<std::int64_t>(axes_[axis].step);
    const Sums& inner = sums_[axis];
    sums_[axis + 1] = {inner.reach + step * static_cast<std::int64_t>(axes_[axis].count - 1),
                       std::gcd(inner.divisor, step), std::max(inner.gap, step - inner.reach)};
  }
  budget_ = &budget;
  effort_ = &effort;
  const auto high = static_cast<std::int64_t>(target);
  return search(rank_, high - static_cast<std::int64_t>(runs.length) + 1, high);
}

// Whether the sums of the first `rank` axes have one in [low, high].
std::optional<bool> Cover::search(std::size_t rank, std::int64_t low, std::int64_t high) const {
  if (*budget_ == 0) return std::nullopt;
  --*budget_;
  effort_->spend(1);
  const Sums& sums = sums_[rank];
  if (high < 0 || low > sums.reach) return false;
  if (low <= 0 || high >= sums.reach) return true;  // the least sum is 0
  low = divide_up(low, sums.divisor) * sums.divisor;
  high = high / sums.divisor * sums.divisor;
  if (low > high) return false;
  if (high - low + sums.divisor >= sums.gap) return true;

  const Axis& axis = axes_[rank - 1];
  const auto step = static_cast<std::int64_t>(axis.step);
  const Sums& inner = sums_[rank - 1];
  const std::int64_t first = low > inner.reach ? divide_up(low - inner.reach, step) : 0;
  const std::int64_t last = std::min(high / step, static_cast<std::int64_t>(axis.count - 1));
  if (first > last) return false;
  // Where the inner sums are all multiples of their divisor, it is enough that what is left of the
  // interval has one: if it reaches beyond these sums, it has the first or the last of them.
  if (inner.have_all()) {
    const std::int64_t width = high - low;
    const std::int64_t rest = (high - first * step) % inner.divisor;
    if (rest <= width) return true;
    const std::int64_t back = (inner.divisor - step % inner.divisor) % inner.divisor;
    const std::int64_t up = inner.divisor - rest;
    const auto more = least_multiple(back, inner.divisor, up, up + width);
    if (more) return *more <= last - first;
  }
  for (std::int64_t x = first; x <= last; ++x) {
    const std::optional<bool> found = search(rank - 1, low - x * step, high - x * step);
    if (!found || *found) return found;
  }
  return false;
}

// A byte of a and one of b are at the same place:
//   a.begin + sum(i_k * step_k) + p = b.begin + sum(j_l * step_l) + q.
// With j_l and q counted from their ends, all have the same sign.
std::optional<bool> share_a_byte(const Runs& a, const Runs& b, Budget& budget, Effort& effort) {
  if (a.begin >= b.end() || b.begin >= a.end()) return false;
  Cover cover(a.length + b.length - 1);
  for (const Axis& axis : a.axes) cover.add(axis);
  for (const Axis& axis : b.axes) cover.add(axis);
  return cover.has(b.end() - 1 - a.begin, budget, effort);
}

// Two runs with different indices are d apart, with d = sum(y_k * step_k) and |y_k| < count_k. One
// of the two has the larger index along the last axis where they differ; y_k = 1 + x_k there, and
// y_k = x_k - (count_k - 1) along the axes before it. They meet if |d| < length.
std::optional<bool> meet_one_another(const Runs& runs, Budget& budget, Effort& effort) {
  std::uint64_t reach = 0;  // of the axes before
  for (std::size_t last = 0; last < runs.axes.size(); ++last) {
    const Axis& axis = runs.axes[last];
    if (axis.step < reach + runs.length) {  // else it steps over all that lies inside
      Cover cover(2 * runs.length - 1);
      cover.add({axis.step, axis.count - 1});
      for (const Axis& inner : runs.axes.first(last)) {
        cover.add({inner.step, 2 * inner.count - 1});
      }
      const auto found = cover.has(reach + runs.length - 1 - axis.step, budget, effort);
      if (!found || *found) return found;
    }
    reach += axis.step * (axis.count - 1);
  }
  return false;
}

}  // namespace taut
