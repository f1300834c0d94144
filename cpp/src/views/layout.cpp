#include "views/layout.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace taut {
namespace {

// Sorts and merges the axes of some views of one shape.
template <std::size_t kArrays>
class LayoutBuilder {
 public:
  LayoutBuilder(const ConstView& x, Arena& arena) : x_(x), arena_(arena) {}

  template <typename Pointer>
  void add_array(std::size_t array, const BasicView<Pointer>& view) {
    layout_.arrays[array].origin = static_cast<const std::byte*>(view.data());
    layout_.arrays[array].element_size = size_of(view.dtype());
    all_contiguous_ &= view.is_contiguous();
    for (std::size_t axis = 0; axis < view.rank(); ++axis) {
      strides_[array][axis] = view.stride(axis);
    }
  }

  // One that is not there: its strides are 0, which decides about no axis.
  void leave_out(std::size_t array) {
    std::fill_n(strides_[array].begin(), x_.rank(), std::ptrdiff_t{0});
  }

  Layout build() {
    layout_.size = x_.size();
    if (layout_.size == 0) return layout_;
    if (all_contiguous_) {
      take_axes(1);
      layout_.rank = 1;
      extents_[0] = layout_.size;
      for (std::size_t array = 0; array < kArrays; ++array) {
        kept_strides_[array][0] = static_cast<std::ptrdiff_t>(layout_.arrays[array].element_size);
      }
      return layout_;
    }
    std::array<std::size_t, kMaxRank> axes;
    std::size_t count = 0;
    for (std::size_t axis = 0; axis < x_.rank(); ++axis) {
      if (x_.extent(axis) == 1) continue;
      flip_if_negative(axis);
      std::size_t at = count++;  // insertion: few axes, and no allocation
      for (; at > 0 && lies_inside(axis, axes[at - 1]); --at) axes[at] = axes[at - 1];
      axes[at] = axis;
    }
    take_axes(count);
    for (std::size_t i = 0; i < count; ++i) append(axes[i]);
    return layout_;
  }

 private:
  void take_axes(std::size_t count) {
    std::ptrdiff_t* next = arena_.take<std::ptrdiff_t>(count * (1 + kArrays)).data();
    layout_.extents = extents_ = reinterpret_cast<std::size_t*>(next);
    for (std::size_t array = 0; array < kArrays; ++array) {
      layout_.arrays[array].strides = kept_strides_[array] = next += count;
    }
  }

  void flip_if_negative(std::size_t axis) {
    std::size_t deciding = 0;
    while (deciding + 1 < kArrays && strides_[deciding][axis] == 0) ++deciding;
    if (strides_[deciding][axis] >= 0) return;
    // In unsigned numbers, which may leave the range: an array that reaches beyond memory is
    // refused where its range is looked at.
    const std::uintptr_t last = x_.extent(axis) - 1;
    for (std::size_t array = 0; array < kArrays; ++array) {
      const std::byte*& origin = layout_.arrays[array].origin;
      const auto stride = static_cast<std::uintptr_t>(strides_[array][axis]);
      origin = reinterpret_cast<const std::byte*>(reinterpret_cast<std::uintptr_t>(origin) +
                                                  last * stride);
      strides_[array][axis] = static_cast<std::ptrdiff_t>(0 - stride);
    }
  }

  // Among equal strides, the later axis is the inner one, as in C order.
  bool lies_inside(std::size_t axis, std::size_t other) const {
    return strides_[0][axis] <= strides_[0][other];
  }

  void append(std::size_t axis) {
    const std::size_t extent = x_.extent(axis);
    if (layout_.rank > 0) {
      const std::size_t inner = layout_.rank - 1;
      bool merges = true;
      for (std::size_t array = 0; array < kArrays; ++array) {
        const auto inner_extent = static_cast<std::ptrdiff_t>(extents_[inner]);
        std::ptrdiff_t reach;
        const bool overflows =
            __builtin_mul_overflow(kept_strides_[array][inner], inner_extent, &reach);
        merges &= !overflows && strides_[array][axis] == reach;
      }
      if (merges) {
        extents_[inner] *= extent;
        return;
      }
    }
    extents_[layout_.rank] = extent;
    for (std::size_t array = 0; array < kArrays; ++array) {
      kept_strides_[array][layout_.rank] = strides_[array][axis];
    }
    ++layout_.rank;
  }

  const ConstView& x_;
  Arena& arena_;
  bool all_contiguous_ = true;
  Layout layout_;
  std::size_t* extents_ = nullptr;
  std::array<std::ptrdiff_t*, kArrays> kept_strides_;
  std::array<std::array<std::ptrdiff_t, kMaxRank>, kArrays> strides_;
};

// Short runs that lie far apart, as the rows of a slice do, are fetched before they are reached: no
// hardware prefetcher looks there.
constexpr std::ptrdiff_t kRunsAhead = 6;
void fetch_ahead(const std::byte* run, std::size_t length, std::ptrdiff_t stride) {
  constexpr std::size_t kMostLines = 8;
  constexpr std::size_t kLineBytes = 64;
  const std::size_t bytes = length * static_cast<std::size_t>(std::abs(stride));
  const std::size_t lines = bytes / kLineBytes + 1;
  for (std::size_t line = 0; line < lines && line < kMostLines; ++line) {
    __builtin_prefetch(run + line * kLineBytes);
  }
}

// Calls run(first byte, elements, stride) for each run along the innermost axis within the elements
// [begin, begin + count).
template <typename Run>
void for_each_run(const Layout& layout, std::size_t array, std::size_t begin, std::size_t count,
                  Run run) {
  const std::byte* origin = layout.arrays[array].origin;
  if (layout.rank == 0) {
    if (count > 0) run(origin, std::size_t{1}, std::ptrdiff_t{0});
    return;
  }
  const std::ptrdiff_t* strides = layout.arrays[array].strides;
  std::array<std::size_t, kMaxRank> index;
  const std::byte* at = origin;
  for (std::size_t axis = 0; axis < layout.rank; ++axis) {
    index[axis] = begin % layout.extents[axis];
    begin /= layout.extents[axis];
    at += static_cast<std::ptrdiff_t>(index[axis]) * strides[axis];
  }
  while (count > 0) {
    const std::size_t length = std::min(count, layout.extents[0] - index[0]);
    if (layout.rank > 1) fetch_ahead(at + kRunsAhead * strides[1], length, strides[0]);
    run(at, length, strides[0]);
    count -= length;
    index[0] += length;
    at += static_cast<std::ptrdiff_t>(length) * strides[0];
    for (std::size_t axis = 0; axis + 1 < layout.rank && index[axis] == layout.extents[axis];
         ++axis) {
      at += strides[axis + 1] - static_cast<std::ptrdiff_t>(layout.extents[axis]) * strides[axis];
      index[axis] = 0;
      ++index[axis + 1];
    }
  }
}

// Copies `count` elements of kSize bytes between strided places; the sizes are constants, so that
// each copy is one load and one store.
template <std::size_t kSize>
void copy_strided(std::byte* to, std::ptrdiff_t to_stride, const std::byte* from,
                  std::ptrdiff_t from_stride, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    std::memcpy(to, from, kSize);
    to += to_stride;
    from += from_stride;
  }
}

// Copies `count` elements that lie side by side, the last one first.
template <std::size_t kSize>
void copy_reversed(std::byte* to, const std::byte* from, std::size_t count) {
  constexpr std::size_t kBlock = 16;  // a constant, so that the compiler turns whole vectors
  std::size_t i = 0;
  for (; i + kBlock <= count; i += kBlock) {
    std::array<std::array<std::byte, kSize>, kBlock> block;
    std::memcpy(block.data(), from + (count - i - kBlock) * kSize, sizeof(block));
    std::reverse(block.begin(), block.end());
    std::memcpy(to + i * kSize, block.data(), sizeof(block));
  }
  for (; i < count; ++i) std::memcpy(to + i * kSize, from + (count - i - 1) * kSize, kSize);
}

// A copy for elements of each size; the sizes are constants to it.
template <std::size_t kSize>
void copy_elements(std::byte* to, std::ptrdiff_t to_stride, const std::byte* from,
                   std::ptrdiff_t from_stride, std::size_t count) {
  constexpr std::ptrdiff_t kStep = kSize;
  if (to_stride == kStep && from_stride == -kStep) {
    copy_reversed<kSize>(to, from - static_cast<std::ptrdiff_t>(count - 1) * kStep, count);
  } else if (to_stride == -kStep && from_stride == kStep) {
    copy_reversed<kSize>(to - static_cast<std::ptrdiff_t>(count - 1) * kStep, from, count);
  } else {
    copy_strided<kSize>(to, to_stride, from, from_stride, count);
  }
}

void copy_run(std::byte* to, std::ptrdiff_t to_stride, const std::byte* from,
              std::ptrdiff_t from_stride, std::size_t count, std::size_t element_size) {
  const auto step = static_cast<std::ptrdiff_t>(element_size);
  if (to_stride == step && from_stride == step) {
    std::memcpy(to, from, count * element_size);
  } else if (element_size == 8) {
    copy_elements<8>(to, to_stride, from, from_stride, count);
  } else if (element_size == 4) {
    copy_elements<4>(to, to_stride, from, from_stride, count);
  } else {
    copy_elements<2>(to, to_stride, from, from_stride, count);
  }
}

}  // namespace

Layout layout_of(const ConstView& x, Arena& arena) {
  LayoutBuilder<1> builder(x, arena);
  builder.add_array(0, x);
  return builder.build();
}

Layout layout_of(const ConstView& x, const View& gradient, Arena& arena) {
  LayoutBuilder<2> builder(x, arena);
  builder.add_array(0, x);
  builder.add_array(1, gradient);
  return builder.build();
}

Layout layout_of(const ConstView& x, const View* gradient, const ConstView* reference,
                 const ConstView* importance, Arena& arena) {
  LayoutBuilder<4> builder(x, arena);
  builder.add_array(0, x);
  const auto add = [&](std::size_t array, const auto* view) {
    if (view != nullptr) {
      builder.add_array(array, *view);
    } else {
      builder.leave_out(array);
    }
  };
  add(1, gradient);
  add(2, reference);
  add(3, importance);
  Layout layout = builder.build();
  for (Layout::Array& array : layout.arrays) {
    if (array.element_size == 0) array.strides = nullptr;
  }
  return layout;
}

void gather(const Layout& layout, std::size_t array, std::size_t begin, std::size_t count,
            void* to) {
  const std::size_t element_size = layout.arrays[array].element_size;
  auto* out = static_cast<std::byte*>(to);
  for_each_run(layout, array, begin, count,
               [&](const std::byte* from, std::size_t length, std::ptrdiff_t stride) {
                 copy_run(out, static_cast<std::ptrdiff_t>(element_size), from, stride, length,
                          element_size);
                 out += length * element_size;
               });
}

void scatter(const Layout& layout, std::size_t array, std::size_t begin, std::size_t count,
             const void* from) {
  const std::size_t element_size = layout.arrays[array].element_size;
  const auto* in = static_cast<const std::byte*>(from);
  for_each_run(layout, array, begin, count,
               [&](const std::byte* to, std::size_t length, std::ptrdiff_t stride) {
                 copy_run(const_cast<std::byte*>(to), stride, in,
                          static_cast<std::ptrdiff_t>(element_size), length, element_size);
                 in += length * element_size;
               });
}

}  // namespace taut
