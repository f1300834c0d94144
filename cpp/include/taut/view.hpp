// Non-owning views of weights and gradients, of any dtype, rank and strides.

#ifndef TAUT_VIEW_HPP_
#define TAUT_VIEW_HPP_

#include <array>
#include <cstddef>
#include <ranges>
#include <span>
#include <type_traits>
#include <vector>

#include "taut/dtype.hpp"
#include "taut/error.hpp"

namespace taut {

constexpr std::size_t kMaxRank = 64;  // NumPy's

// A strided array in the caller's memory, which must outlive the view. Strides may be negative or
// zero; elements need not be aligned. `Pointer` is `const void*` for what is read, `void*` for what
// is written.
template <typename Pointer>
class BasicView {
  static constexpr bool kConst = std::is_same_v<Pointer, const void*>;

  // Whether the elements of a range lie side by side, outlive an expression, and may be written if
  // this view writes.
  template <typename Range>
  static constexpr bool kIsViewable = [] {
    if constexpr (std::ranges::contiguous_range<Range> && std::ranges::sized_range<Range> &&
                  std::ranges::borrowed_range<Range>) {
      using T = std::remove_reference_t<std::ranges::range_reference_t<Range>>;
      return Element<T> && (kConst || !std::is_const_v<T>);
    } else {
      return false;
    }
  }();

 public:
  // `strides` are in bytes. Throws InvalidArgument for a rank above kMaxRank, a negative extent,
  // spans of different lengths, or more elements than memory can have, counted as often as a
  // stride of 0 repeats them.
  BasicView(Pointer data, DType dtype, std::span<const std::ptrdiff_t> shape,
            std::span<const std::ptrdiff_t> strides)
      : data_(data), dtype_(dtype), rank_(shape.size()) {
    if (shape.size() > kMaxRank) throw InvalidArgument("a view has at most 64 dimensions");
    if (shape.size() != strides.size()) {
      throw InvalidArgument("a view needs as many strides as extents");
    }
    for (std::size_t axis = 0; axis < rank_; ++axis) {
      if (shape[axis] < 0) throw InvalidArgument("the extents of a view are not negative");
      set_axis(axis, shape[axis], strides[axis]);
    }
    check_size();
  }

  // `count` contiguous elements. Throws InvalidArgument for more than memory can have.
  template <Element T>
    requires(kConst || !std::is_const_v<T>)
  BasicView(T* data, std::size_t count)
      : data_(data), dtype_(DTypeOf<std::remove_const_t<T>>::value), rank_(1) {
    set_axis(0, static_cast<std::ptrdiff_t>(count), sizeof(T));
    check_size();
  }

  // A std::vector, std::array, std::span or the like, that does not end before the view.
  template <typename Range>
    requires kIsViewable<Range>
  BasicView(Range&& elements)  // NOLINT: implicit, as a span is from an array
      : BasicView(std::ranges::data(elements), std::ranges::size(elements)) {}

  // What can be written can be read.
  template <typename Other>
    requires(kConst && std::is_same_v<Other, void*>)
  BasicView(const BasicView<Other>& view)  // NOLINT: implicit, as a pointer's conversion is
      : data_(view.data_), dtype_(view.dtype_), rank_(view.rank_) {
    for (std::size_t axis = 0; axis < rank_; ++axis) {
      set_axis(axis, view.axes()[axis].extent, view.axes()[axis].stride);
    }
  }

  // A matrix; strides count elements. A row-major one has a row stride of `columns`. Throws
  // InvalidArgument for more elements than memory can have.
  template <Element T>
  static BasicView matrix(T* data, std::size_t rows, std::size_t columns, std::ptrdiff_t row_stride,
                          std::ptrdiff_t column_stride = 1) {
    constexpr std::ptrdiff_t kSize = sizeof(T);
    const std::array<std::ptrdiff_t, 2> shape{static_cast<std::ptrdiff_t>(rows),
                                              static_cast<std::ptrdiff_t>(columns)};
    const std::array<std::ptrdiff_t, 2> strides{row_stride * kSize, column_stride * kSize};
    return BasicView(data, DTypeOf<std::remove_const_t<T>>::value, shape, strides);
  }

  // The same of a whole std::vector or the like, row after row. Throws InvalidArgument unless it
  // has rows * columns elements.
  template <typename Range>
    requires kIsViewable<Range>
  static BasicView matrix(Range&& elements, std::size_t rows, std::size_t columns) {
    const std::size_t size = std::ranges::size(elements);
    if (columns == 0 ? size != 0 : size % columns != 0 || size / columns != rows) {
      throw InvalidArgument("a matrix needs as many elements as rows times columns");
    }
    return matrix(std::ranges::data(elements), rows, columns, static_cast<std::ptrdiff_t>(columns));
  }

  Pointer data() const { return data_; }
  DType dtype() const { return dtype_; }
  std::size_t rank() const { return rank_; }
  std::size_t extent(std::size_t axis) const {
    return static_cast<std::size_t>(axes()[axis].extent);
  }
  std::ptrdiff_t stride(std::size_t axis) const { return axes()[axis].stride; }  // bytes

  // Whether the elements lie one after the other, the last axis innermost.
  bool is_contiguous() const {
    const Axis* axes = this->axes();
    std::size_t stride = size_of(dtype_);
    for (std::size_t axis = rank_; axis-- > 0; stride *= extent(axis)) {
      if (axes[axis].extent != 1 && axes[axis].stride != static_cast<std::ptrdiff_t>(stride)) {
        return false;
      }
    }
    return true;
  }

  std::size_t size() const {  // elements
    std::size_t size = 1;
    for (std::size_t axis = 0; axis < rank_; ++axis) size *= extent(axis);
    return size;
  }

 private:
  template <typename>
  friend class BasicView;

  struct Axis {
    std::ptrdiff_t extent;
    std::ptrdiff_t stride;  // bytes
  };
  static constexpr std::size_t kInlineRank = 8;  // beyond it, the axes are allocated

  void check_size() const {
    auto bytes = static_cast<std::ptrdiff_t>(size_of(dtype_));
    bool overflows = false;
    bool is_empty = false;
    for (std::size_t axis = 0; axis < rank_; ++axis) {
      const std::ptrdiff_t extent = axes()[axis].extent;
      overflows |= extent < 0 || __builtin_mul_overflow(bytes, extent, &bytes);
      is_empty |= extent == 0;
    }
    if (overflows && !is_empty) {
      throw InvalidArgument("a view has no more elements than memory can have");
    }
  }

  const Axis* axes() const { return rank_ <= kInlineRank ? few_.data() : many_.data(); }
  void set_axis(std::size_t axis, std::ptrdiff_t extent, std::ptrdiff_t stride) {
    if (rank_ <= kInlineRank) {
      few_[axis] = {extent, stride};
    } else {
      many_.resize(rank_);
      many_[axis] = {extent, stride};
    }
  }

  Pointer data_;
  DType dtype_;
  std::size_t rank_;
  std::array<Axis, kInlineRank> few_;
  std::vector<Axis> many_;
};

using ConstView = BasicView<const void*>;
using View = BasicView<void*>;

}  // namespace taut

#endif  // TAUT_VIEW_HPP_
