#include "layout.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

namespace taut {
namespace {

const std::byte* bytes(const void* data) { return static_cast<const std::byte*>(data); }

template <std::size_t kArrays>
class LayoutBuilder {
 public:
  LayoutBuilder(const ConstView& x, Layout<kArrays>& layout) : x_(x), layout_(layout) {
    layout_.rank = 0;
  }

  template <typename Pointer>
  void add_array(std::size_t array, const BasicView<Pointer>& view) {
    layout_.origins[array] = bytes(view.data());
    layout_.element_sizes[array] = size_of(view.dtype());
    all_contiguous_ &= view.is_contiguous();
    for (std::size_t axis = 0; axis < view.rank(); ++axis) {
      strides_[array][axis] = view.stride(axis);
    }
  }

  void build() {
    layout_.size = x_.size();
    if (layout_.size == 0) return;
    if (all_contiguous_) {
      layout_.rank = 1;
      layout_.extents[0] = layout_.size;
      for (std::size_t array = 0; array < kArrays; ++array) {
        layout_.strides[array][0] = static_cast<std::ptrdiff_t>(layout_.element_sizes[array]);
      }
      return;
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
    for (std::size_t i = 0; i < count; ++i) append(axes[i]);
  }

 private:
  void flip_if_negative(std::size_t axis) {
    std::size_t deciding = 0;
    while (deciding + 1 < kArrays && strides_[deciding][axis] == 0) ++deciding;
    if (strides_[deciding][axis] >= 0) return;
    const auto last = static_cast<std::ptrdiff_t>(x_.extent(axis) - 1);
    for (std::size_t array = 0; array < kArrays; ++array) {
      layout_.origins[array] += last * strides_[array][axis];
      strides_[array][axis] = -strides_[array][axis];
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
        const auto inner_extent = static_cast<std::ptrdiff_t>(layout_.extents[inner]);
        merges &= strides_[array][axis] == layout_.strides[array][inner] * inner_extent;
      }
      if (merges) {
        layout_.extents[inner] *= extent;
        return;
      }
    }
    layout_.extents[layout_.rank] = extent;
    for (std::size_t array = 0; array < kArrays; ++array) {
      layout_.strides[array][layout_.rank] = strides_[array][axis];
    }
    ++layout_.rank;
  }

  const ConstView& x_;
  bool all_contiguous_ = true;
  Layout<kArrays>& layout_;  // the caller's, which is too large to be copied
  std::array<std::array<std::ptrdiff_t, kMaxRank>, kArrays> strides_;
};

// Calls run(first byte, elements, stride) for each run along the innermost axis within the elements
// [begin, begin + count).
template <std::size_t kArrays, typename Run>
void for_each_run(const Layout<kArrays>& layout, std::size_t array, std::size_t begin,
                  std::size_t count, Run run) {
  const std::byte* origin = layout.origins[array];
  if (layout.rank == 0) {
    if (count > 0) run(origin, std::size_t{1}, std::ptrdiff_t{0});
    return;
  }
  const auto& strides = layout.strides[array];
  std::array<std::size_t, kMaxRank> index;
  const std::byte* at = origin;
  for (std::size_t axis = 0; axis < layout.rank; ++axis) {
    index[axis] = begin % layout.extents[axis];
    begin /= layout.extents[axis];
    at += static_cast<std::ptrdiff_t>(index[axis]) * strides[axis];
  }
  while (count > 0) {
    const std::size_t length = std::min(count, layout.extents[0] - index[0]);
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

Extent extent_of(const Layout<1>& layout) {
  const std::byte* end = layout.origins[0] + layout.element_sizes[0];
  for (std::size_t axis = 0; axis < layout.rank; ++axis) {
    end += static_cast<std::ptrdiff_t>(layout.extents[axis] - 1) * layout.strides[0][axis];
  }
  return {layout.origins[0], end};
}

// Whether each axis steps over all that lies inside it, so that no element can meet another.
bool is_nested(const Layout<1>& layout) {
  auto inside = static_cast<std::ptrdiff_t>(layout.element_sizes[0]);
  for (std::size_t axis = 0; axis < layout.rank; ++axis) {
    if (layout.strides[0][axis] < inside) return false;
    inside += static_cast<std::ptrdiff_t>(layout.extents[axis] - 1) * layout.strides[0][axis];
  }
  return true;
}

// A mark per byte of a range of memory. Strided arrays can interleave in ways that no simple rule
// decides; this is exact, and only arrays whose extents meet pay for it.
class ByteMarks {
 public:
  explicit ByteMarks(Extent range) : range_(range) {
    marks_.resize(static_cast<std::size_t>(range.end - range.begin));
  }

  // Marks the elements of the array; returns whether a byte of them was marked before.
  bool mark(const Layout<1>& layout) {
    bool met = false;
    for_each_run(layout, 0, 0, layout.size,
                 [&](const std::byte* at, std::size_t count, std::ptrdiff_t stride) {
                   for (std::size_t i = 0; i < count; ++i, at += stride) {
                     met |= mark_element(at, layout.element_sizes[0]);
                   }
                 });
    return met;
  }

 private:
  bool mark_element(const std::byte* element, std::size_t element_size) {
    bool met = false;
    for (std::size_t i = 0; i < element_size; ++i) {
      const std::byte* byte = element + i;
      if (byte < range_.begin || byte >= range_.end) continue;
      auto mark = marks_[static_cast<std::size_t>(byte - range_.begin)];
      met |= mark;
      mark = true;
    }
    return met;
  }

  Extent range_;
  std::vector<bool> marks_;
};

}  // namespace

Layout<1> layout_of(const ConstView& x) {
  Layout<1> layout;
  LayoutBuilder<1> builder(x, layout);
  builder.add_array(0, x);
  builder.build();
  return layout;
}

Layout<2> layout_of(const ConstView& x, const View& gradient) {
  Layout<2> layout;
  LayoutBuilder<2> builder(x, layout);
  builder.add_array(0, x);
  builder.add_array(1, gradient);
  builder.build();
  return layout;
}

Extent extent_of(const ConstView& x) {
  const std::byte* begin = bytes(x.data());
  if (x.size() == 0) return {begin, begin};
  if (x.is_contiguous()) return {begin, begin + x.size() * size_of(x.dtype())};
  return extent_of(layout_of(x));
}

template <std::size_t kArrays>
void gather(const Layout<kArrays>& layout, std::size_t array, std::size_t begin, std::size_t count,
            void* to) {
  const std::size_t element_size = layout.element_sizes[array];
  auto* out = static_cast<std::byte*>(to);
  for_each_run(layout, array, begin, count,
               [&](const std::byte* from, std::size_t length, std::ptrdiff_t stride) {
                 copy_run(out, static_cast<std::ptrdiff_t>(element_size), from, stride, length,
                          element_size);
                 out += length * element_size;
               });
}

template <std::size_t kArrays>
void scatter(const Layout<kArrays>& layout, std::size_t array, std::size_t begin, std::size_t count,
             const void* from) {
  const std::size_t element_size = layout.element_sizes[array];
  const auto* in = static_cast<const std::byte*>(from);
  for_each_run(layout, array, begin, count,
               [&](const std::byte* to, std::size_t length, std::ptrdiff_t stride) {
                 copy_run(const_cast<std::byte*>(to), stride, in,
                          static_cast<std::ptrdiff_t>(element_size), length, element_size);
                 in += length * element_size;
               });
}

template void gather(const Layout<1>&, std::size_t, std::size_t, std::size_t, void*);
template void gather(const Layout<2>&, std::size_t, std::size_t, std::size_t, void*);
template void scatter(const Layout<1>&, std::size_t, std::size_t, std::size_t, const void*);
template void scatter(const Layout<2>&, std::size_t, std::size_t, std::size_t, const void*);

bool overlaps_itself(const View& view) {
  if (view.is_contiguous()) return false;
  const Layout<1> layout = layout_of(view);
  if (layout.size < 2 || is_nested(layout)) return false;
  if (layout.strides[0][0] == 0) return true;
  return ByteMarks(extent_of(layout)).mark(layout);
}

bool overlap(const ConstView& x, const View& gradient) {
  if (x.size() == 0 || gradient.size() == 0) return false;
  const Extent a = extent_of(x);
  const Extent b = extent_of(gradient);
  if (!a.meets(b)) return false;
  if (x.is_contiguous() && gradient.is_contiguous()) return true;
  ByteMarks marks({std::max(a.begin, b.begin), std::min(a.end, b.end)});
  marks.mark(layout_of(x));
  return marks.mark(layout_of(gradient));
}

}  // namespace taut
