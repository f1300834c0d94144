// A view without one of its axes, for plans that walk along that one themselves.

#ifndef TAUT_PLANS_FIRST_SLICE_HPP_
#define TAUT_PLANS_FIRST_SLICE_HPP_

#include <array>
#include <cstddef>
#include <span>

#include "taut/view.hpp"

namespace taut {

// The slice at index 0 of an axis.
template <typename AnyView>
AnyView first_slice(const AnyView& view, std::size_t axis) {
  std::array<std::ptrdiff_t, kMaxRank> shape;
  std::array<std::ptrdiff_t, kMaxRank> strides;
  std::size_t rank = 0;
  for (std::size_t from = 0; from < view.rank(); ++from) {
    if (from == axis) continue;
    shape[rank] = static_cast<std::ptrdiff_t>(view.extent(from));
    strides[rank++] = view.stride(from);
  }
  return AnyView(view.data(), view.dtype(), std::span(shape).first(rank),
                 std::span(strides).first(rank));
}

}  // namespace taut

#endif  // TAUT_PLANS_FIRST_SLICE_HPP_
