#include "views/runs.hpp"

#include <algorithm>
#include <limits>

namespace taut {
namespace {

// The runs are single elements.
Runs unmerged(const Strided& array, std::span<Axis> room) {
  const auto begin = reinterpret_cast<std::uintptr_t>(range_of(array).begin);
  std::size_t count = 0;
  for (std::size_t axis = 0; axis < array.extents.size(); ++axis) {
    const auto bits = static_cast<std::uint64_t>(array.strides[axis]);
    if (bits == 0) continue;
    const std::uint64_t step = array.strides[axis] < 0 ? 0 - bits : bits;
    count = insert({step, array.extents[axis]}, room, count);
  }
  return {begin, array.element_size, room.first(count)};
}

// Whether the steps of `outer` fall onto those of `inner` or go on with them.
bool goes_on(const Axis& inner, const Axis& outer) {
  return outer.step % inner.step == 0 && outer.step / inner.step <= inner.count;
}

}  // namespace

std::uint64_t Runs::end() const {
  std::uint64_t end = begin + length;
  for (const Axis& axis : axes) end += axis.step * (axis.count - 1);
  return end;
}

std::uint64_t Runs::count() const {
  std::uint64_t count = 1;
  for (const Axis& axis : axes) {
    if (__builtin_mul_overflow(count, axis.count, &count)) {
      return std::numeric_limits<std::uint64_t>::max();
    }
  }
  return count;
}

std::size_t insert(const Axis& axis, std::span<Axis> axes, std::size_t count) {
  if (axis.count < 2) return count;
  std::size_t at = count;
  for (; at > 0 && axis.step < axes[at - 1].step; --at) axes[at] = axes[at - 1];
  axes[at] = axis;
  return count + 1;
}

void merge(Runs& runs) {
  std::size_t kept = 0;
  for (const Axis axis : runs.axes) {
    if (axis.step <= runs.length) {
      runs.length += axis.step * (axis.count - 1);
      continue;
    }
    const auto end = runs.axes.begin() + static_cast<std::ptrdiff_t>(kept);
    const auto inner = std::find_if(runs.axes.begin(), end,
                                    [&](const Axis& other) { return goes_on(other, axis); });
    if (inner == end) {
      runs.axes[kept++] = axis;
    } else {
      inner->count += axis.step / inner->step * (axis.count - 1);
    }
  }
  runs.axes = runs.axes.first(kept);
}

Runs bytes_of(const Strided& array, std::span<Axis> room) {
  Runs runs = unmerged(array, room);
  merge(runs);
  return runs;
}

Runs elements_of(const Strided& array, std::span<Axis> room) {
  Runs runs = unmerged(array, room);
  std::size_t kept = 0;
  for (const Axis axis : runs.axes) {
    if (axis.step == runs.length) {
      runs.length *= axis.count;
    } else if (kept > 0 && axis.step == runs.axes[kept - 1].step * runs.axes[kept - 1].count) {
      runs.axes[kept - 1].count *= axis.count;
    } else {
      runs.axes[kept++] = axis;
    }
  }
  runs.axes = runs.axes.first(kept);
  return runs;
}

}  // namespace taut
