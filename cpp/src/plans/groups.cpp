#include "plans/groups.hpp"

#include <cstdlib>
#include <numeric>

#include "plans/first_slice.hpp"

namespace taut {
namespace {

// Lines across that are shorter than this are made longer.
constexpr std::size_t kShortLine = 64;

// The axes of `inner` with one more as the innermost or the outermost of them.
Layout with_axis(const Layout& inner, std::size_t extent,
                 const std::array<std::ptrdiff_t, 2>& strides, bool is_innermost, Arena& arena) {
  Layout layout = inner;
  layout.size = inner.size * extent;
  layout.rank = inner.rank + 1;
  const std::size_t at = is_innermost ? 0 : inner.rank;
  const std::size_t from = is_innermost ? 1 : 0;
  const auto extents = arena.take<std::size_t>(layout.rank);
  std::copy_n(inner.extents, inner.rank, extents.begin() + static_cast<std::ptrdiff_t>(from));
  extents[at] = extent;
  layout.extents = extents.data();
  for (std::size_t array = 0; array < layout.arrays.size(); ++array) {
    if (inner.arrays[array].strides == nullptr) continue;
    const auto own = arena.take<std::ptrdiff_t>(layout.rank);
    std::copy_n(inner.arrays[array].strides, inner.rank,
                own.begin() + static_cast<std::ptrdiff_t>(from));
    own[at] = strides[array];
    layout.arrays[array].strides = own.data();
  }
  return layout;
}

}  // namespace

Groups::Groups(const Problem& problem, std::size_t axis, const Call& call) {
  Arena& arena = call.arena();
  const ConstView x = problem.stepped == nullptr ? *problem.x : ConstView(*problem.stepped);
  groups_ = x.extent(axis);
  group_strides_ = {x.stride(axis), 0};
  if (problem.gradient == nullptr) {
    members_layout_ = layout_of(first_slice(x, axis), arena);
  } else {
    group_strides_[1] = problem.gradient->stride(axis);
    members_layout_ = layout_of(first_slice(x, axis), first_slice(*problem.gradient, axis), arena);
  }
  members_ = members_layout_.size;
  are_across_ = groups_ > 1 && members_layout_.rank > 0 &&
                std::abs(group_strides_[0]) < members_layout_.arrays[0].strides[0];
  if (are_across_ && group_strides_[0] < 0) {  // elements of a line ascend in memory
    for (std::size_t array = 0; array < arrays(); ++array) {
      members_layout_.arrays[array].origin +=
          static_cast<std::ptrdiff_t>(groups_ - 1) * group_strides_[array];
      group_strides_[array] = -group_strides_[array];
    }
  }
  layout_ = with_axis(members_layout_, groups_, group_strides_, are_across_, arena);
  length_ = are_across_ ? groups_ : members_;
  for (std::size_t array = 0; array < arrays(); ++array) {
    line_strides_[array] =
        are_across_ ? members_layout_.arrays[array].strides[0] : group_strides_[array];
  }
  is_direct_ = is_direct();
  if (!are_across_ || length_ >= kShortLine) return;

  // So many lines that no element is left over in the kernels' lanes.
  length_ *= kElementwiseLanes / std::gcd(length_, kElementwiseLanes);
  for (std::size_t array = 0; array < arrays(); ++array) {
    const auto bytes = static_cast<std::ptrdiff_t>(groups_ * layout_.arrays[array].element_size);
    is_direct_ &= line_strides_[array] == bytes;
    line_strides_[array] *= static_cast<std::ptrdiff_t>(length_ / groups_);
  }
}

bool Groups::is_direct() const {
  bool is_direct = members_layout_.rank <= 1;
  for (std::size_t array = 0; array < arrays(); ++array) {
    const auto size = static_cast<std::ptrdiff_t>(layout_.arrays[array].element_size);
    is_direct &= layout_.arrays[array].strides[0] == size;
  }
  return is_direct;
}

std::size_t Groups::scratch() const { return is_direct_ ? 0 : arrays() * kCopied * sizeof(double); }

Layout Groups::members_of(std::size_t group) const {
  Layout layout = members_layout_;
  for (std::size_t array = 0; array < arrays(); ++array) {
    layout.arrays[array].origin += static_cast<std::ptrdiff_t>(group) * group_strides_[array];
  }
  return layout;
}

}  // namespace taut
