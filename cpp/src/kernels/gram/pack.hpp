// From the caller's matrix, whatever its dtype and strides, to the copies that the kernels read:
// the vectors side by side, and in panels of coordinates. A vector whose numbers are so large or so
// small that a dot product could overflow, or all of it underflow, is scaled by a power of two.
// That is exact, but for small numbers beside very large ones; pairs in which they could count are
// computed from the source again: see uncertain.hpp.

#ifndef TAUT_KERNELS_GRAM_PACK_HPP_
#define TAUT_KERNELS_GRAM_PACK_HPP_

#include "kernels/gram/groups.hpp"
#include "kernels/gram/lines.hpp"
#include "kernels/gram/measure.hpp"
#include "kernels/gram/panels.hpp"

namespace taut::TAUT_LEVEL {
namespace {

// A square of the source: lines along its coordinates, or along its vectors; zeros for what is not
// there.
template <typename Storage, bool kAlongCoordinates>
[[gnu::always_inline]] inline Square<ComputeOf<Storage>> read_square(const GramSource& source,
                                                                     std::size_t vector,
                                                                     std::size_t vectors,
                                                                     std::size_t coordinate,
                                                                     std::size_t coordinates) {
  using S = Square<ComputeOf<Storage>>;
  const char* from = place_in(source, vector, coordinate);
  std::ptrdiff_t line_stride = kAlongCoordinates ? source.vector_stride : source.coordinate_stride;
  const std::ptrdiff_t stride = kAlongCoordinates ? source.coordinate_stride : source.vector_stride;
  const std::size_t lines = kAlongCoordinates ? vectors : coordinates;
  const std::size_t length = kAlongCoordinates ? coordinates : vectors;
  const char zeros[sizeof(Storage) * S::kLanes] = {};
  Storage copy[S::kLanes][S::kLanes];
  if (length < S::kLanes || stride != std::ptrdiff_t{sizeof(Storage)}) {
    for (std::size_t i = 0; i < lines; ++i) {
      gather_line(from + offset(i, line_stride), stride, length, copy[i]);
    }
    from = reinterpret_cast<const char*>(copy);
    line_stride = sizeof(copy[0]);
  }
  S square;
  TAUT_UNROLL
  for (std::size_t i = 0; i < S::kLanes; ++i) {
    square.lines[i] = load_line<Storage>(i < lines ? from + offset(i, line_stride) : zeros);
  }
  return square;
}

// A square whose lines are along the coordinates, to the panels.
template <typename T>
[[gnu::always_inline]] inline void write_panels(const GramMatrix& matrix, const Square<T>& square,
                                                std::size_t vector, std::size_t vectors,
                                                std::size_t c) {
  constexpr std::size_t kPanel = GramShape<T>::kPanel;
  T* to = panel_of<T>(matrix, matrix.panels, vector, c - c % kPanel) + c % kPanel;
  TAUT_UNROLL
  for (std::size_t i = 0; i < Square<T>::kLanes; ++i) {
    if (i < vectors) store(to + i * kPanel, square.lines[i]);
  }
}

// Zeros for the panels beyond the last vector, up to a whole group.
template <typename T>
inline void clear_panels(const GramMatrix& matrix) {
  const std::size_t numbers =
      (round_up(matrix.vectors, kGramSignGroup) - matrix.vectors) * GramShape<T>::kPanel;
  for (std::size_t c = 0; c < round_up(matrix.length, kGramCoordinates);
       c += GramShape<T>::kPanel) {
    __builtin_memset(panel_of<T>(matrix, matrix.panels, matrix.vectors, c), 0, numbers * sizeof(T));
  }
}

// Copies a group to its rows and to panels, as far as there are any. `measures` are of its rows,
// and may be null.
template <typename Storage, bool kAlongCoordinates>
[[gnu::noinline]] void copy_group_along(const GramMatrix& matrix,
                                        const Group<ComputeOf<Storage>>& group,
                                        GroupMeasure<ComputeOf<Storage>>* measures) {
  using T = ComputeOf<Storage>;
  constexpr std::size_t kLanes = kLanesOf<T>;
  const std::size_t length = matrix.length;
  // Some coordinates at a time, so that a cache line is used up before it is left, and what was
  // copied is measured before it has left the first-level cache.
  constexpr std::size_t kCopied = 64;
  static_assert(kCopied % kGramCoordinates == 0);
  const std::size_t padded = round_up(length, kGramCoordinates);
  for (std::size_t begin = 0; begin < length; begin += kCopied) {
    const std::size_t copied_end = begin + kCopied < padded ? begin + kCopied : padded;
    for (std::size_t v = 0; v < group.width; v += kLanes) {
      const std::size_t vectors_left = v < group.vectors ? group.vectors - v : 0;
      const std::size_t vectors = vectors_left < kLanes ? vectors_left : kLanes;
      for (std::size_t c = begin; c < copied_end; c += kLanes) {
        const std::size_t left = c < length ? length - c : 0;
        const std::size_t coordinates = left < kLanes ? left : kLanes;
        auto square = read_square<Storage, kAlongCoordinates>(matrix.source, group.first + v,
                                                              vectors, c, coordinates);
        if constexpr (kAlongCoordinates) {
          if (matrix.panels != nullptr) write_panels(matrix, square, group.first + v, vectors, c);
          if (matrix.rows == nullptr) continue;
          square.transpose();
        }
        TAUT_UNROLL
        for (std::size_t i = 0; i < kLanes; ++i) {
          if (i < coordinates && matrix.rows != nullptr)
            store(group.rows + (c + i) * group.width + v, square.lines[i]);
        }
        if constexpr (!kAlongCoordinates) {
          if (matrix.panels == nullptr) continue;
          square.transpose();
          write_panels(matrix, square, group.first + v, vectors, c);
        }
      }
    }
    const std::size_t end = copied_end < length ? copied_end : length;
    if (measures != nullptr) measures->add(group, begin, end);
  }
}

template <typename Storage>
inline void copy_group(const GramMatrix& matrix, const Group<ComputeOf<Storage>>& group,
                       GroupMeasure<ComputeOf<Storage>>* measures) {
  const GramSource& source = matrix.source;
  if (is_nearer(source.coordinate_stride, source.vector_stride)) {
    copy_group_along<Storage, true>(matrix, group, measures);
  } else {
    copy_group_along<Storage, false>(matrix, group, measures);
  }
  const bool is_last = group.first + group.vectors == matrix.vectors;
  if (is_last && matrix.panels != nullptr) clear_panels<ComputeOf<Storage>>(matrix);
}

// Multiplies a group's vectors by their powers of two, and measures what they are then, unless
// `measures` is null.
template <typename T>
[[gnu::noinline]] void scale_group(const GramMatrix& matrix, const Group<T>& group,
                                   GroupMeasure<T>* measures) {
  const auto scale = [&](std::size_t vector, T& number) {
    number = static_cast<T>(static_cast<double>(number) * matrix.factors[vector]);
  };
  for (std::size_t c = 0; matrix.rows != nullptr && c < matrix.length; ++c) {
    for (std::size_t v = 0; v < group.width; ++v) {
      scale(group.first + v, group.rows[c * group.width + v]);
    }
  }
  for (std::size_t c = 0; matrix.panels != nullptr && c < matrix.length;
       c += GramShape<T>::kPanel) {
    for (std::size_t v = group.first; v < group.first + group.vectors; ++v) {
      T* panel = panel_of<T>(matrix, matrix.panels, v, c);
      for (std::size_t i = 0; i < GramShape<T>::kPanel; ++i) scale(v, panel[i]);
    }
  }
  if (measures != nullptr) measures->add(group, 0, matrix.length);
}

template <typename Storage>
bool pack(const GramMatrix& matrix, std::size_t begin) {
  using T = ComputeOf<Storage>;
  const Group<T> group = group_of<T>(matrix, begin);
  GroupMeasure<T> measures;
  copy_group<Storage>(matrix, group, &measures);
  if (!measures.is_finite(group)) return false;
  if (choose_factors(matrix, group, measures)) {
    measures.clear();
    scale_group(matrix, group, &measures);
  }
  set_weights(matrix, group, measures);
  return true;
}

}  // namespace
}  // namespace taut::TAUT_LEVEL

#endif  // TAUT_KERNELS_GRAM_PACK_HPP_
