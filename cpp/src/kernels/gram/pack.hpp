// From the caller's matrix, whatever its dtype and strides, to the copies that the kernels read:
// the vectors side by side, and their directions. A vector whose numbers are so large or so small
// that a dot product could overflow, or all of it underflow, is scaled by a power of two. That is
// exact, but for small numbers beside very large ones; pairs in which they could count are computed
// from the source again: see tile.hpp.

#ifndef TAUT_KERNELS_GRAM_PACK_HPP_
#define TAUT_KERNELS_GRAM_PACK_HPP_

#include <type_traits>

#include "kernels/gram/groups.hpp"
#include "kernels/gram/lines.hpp"
#include "kernels/gram/measure.hpp"

namespace taut::TAUT_LEVEL {
namespace {

// A square of the source whose lines are coordinates: `present` vectors by `coordinates`, the rest
// zeros.
template <typename Storage>
[[gnu::always_inline]] inline Square<ComputeOf<Storage>> read_square(const GramSource& source,
                                                                     std::size_t vector,
                                                                     std::size_t present,
                                                                     std::size_t coordinate,
                                                                     std::size_t coordinates) {
  using S = Square<ComputeOf<Storage>>;
  const char* from = static_cast<const char*>(source.data) + offset(vector, source.vector_stride) +
                     offset(coordinate, source.coordinate_stride);
  const bool along_coordinates = is_nearer(source.coordinate_stride, source.vector_stride);
  const std::ptrdiff_t line_stride =
      along_coordinates ? source.vector_stride : source.coordinate_stride;
  const std::ptrdiff_t stride = along_coordinates ? source.coordinate_stride : source.vector_stride;
  const std::size_t lines = along_coordinates ? present : coordinates;
  const std::size_t length = along_coordinates ? coordinates : present;
  S square;
  if (lines == S::kLanes && length == S::kLanes && stride == std::ptrdiff_t{sizeof(Storage)}) {
    TAUT_UNROLL
    for (std::size_t i = 0; i < S::kLanes; ++i) {
      square.lines[i] = load_line<Storage>(from + offset(i, line_stride));
    }
  } else {
    for (std::size_t i = 0; i < S::kLanes; ++i) {
      square.lines[i] = typename S::V{};
      if (i < lines) {
        square.lines[i] = gather_vector<Storage>(from + offset(i, line_stride), stride, length);
      }
    }
  }
  if (along_coordinates) square.transpose();
  return square;
}

// A group's rows, with zeros for vectors that are not there, each square of them measured while it
// is in registers; `measures` may be null.
template <typename Storage>
[[gnu::noinline]] void pack_rows(const GramMatrix& matrix, const Group<ComputeOf<Storage>>& group,
                                 GroupMeasure<ComputeOf<Storage>>* measures) {
  using T = ComputeOf<Storage>;
  constexpr std::size_t kLanes = kLanesOf<T>;
  const std::size_t length = matrix.length;
  // Some coordinates at a time, so that a cache line is used up before it is left.
  for (std::size_t begin = 0; begin < length; begin += kGramCoordinates) {
    for (std::size_t v = 0; v < group.width; v += kLanes) {
      const std::size_t left = v < group.vectors ? group.vectors - v : 0;
      const std::size_t present = left < kLanes ? left : kLanes;
      Measure<T> measure;
      if (measures != nullptr) measure = measures->columns[v / kLanes];
      for (std::size_t c = begin; c < begin + kGramCoordinates && c < length; c += kLanes) {
        const std::size_t coordinates = length - c < kLanes ? length - c : kLanes;
        const auto square =
            read_square<Storage>(matrix.source, group.first + v, present, c, coordinates);
        TAUT_UNROLL
        for (std::size_t i = 0; i < kLanes; ++i) {
          measure.add(square.lines[i], c + i);
          if (i < coordinates) store(group.rows + (c + i) * group.width + v, square.lines[i]);
        }
      }
      if (measures != nullptr) measures->columns[v / kLanes] = measure;
    }
  }
}

// Multiplies a group's rows by powers of two, and measures what they are then, unless `measures` is
// null.
template <typename T>
[[gnu::noinline]] void scale_rows(const GramMatrix& matrix, const Group<T>& group,
                                  GroupMeasure<T>* measures) {
  using V = Vector<T, kLanesOf<T>>;
  for (std::size_t c = 0; c < matrix.length; ++c) {
    T* numbers = group.rows + c * group.width;
    for (std::size_t v = 0; v < group.width; ++v) {
      const double factor = matrix.factors[group.first + v];
      numbers[v] = static_cast<T>(static_cast<double>(numbers[v]) * factor);
    }
    if (measures == nullptr) continue;
    for (std::size_t v = 0; v < group.width; v += kLanesOf<T>) {
      measures->columns[v / kLanesOf<T>].add(load<V>(numbers + v), c);
    }
  }
}

// Where the directions of a vector stand in the panel that begins at coordinate c.
template <typename T>
[[gnu::always_inline]] inline T* direction(const GramMatrix& matrix, std::size_t vector,
                                           std::size_t c) {
  constexpr std::size_t kPanel = GramShape<T>::kPanel;
  return static_cast<T*>(matrix.directions) + c * matrix.direction_vectors + vector * kPanel;
}

// The directions of a group from the source, whose coordinates stand side by side.
template <typename Storage>
[[gnu::noinline]] void copy_directions(const GramMatrix& matrix,
                                       const Group<ComputeOf<Storage>>& group) {
  using T = ComputeOf<Storage>;
  constexpr std::size_t kLanes = kLanesOf<T>;
  constexpr std::size_t kPanel = GramShape<T>::kPanel;
  const GramSource& source = matrix.source;
  const bool is_dense = source.coordinate_stride == std::ptrdiff_t{sizeof(Storage)};
  for (std::size_t c = 0; c < round_up(matrix.length, kGramCoordinates); c += kPanel) {
    const std::size_t left = c < matrix.length ? matrix.length - c : 0;
    for (std::size_t v = 0; v < group.vectors; ++v) {
      const std::size_t vector = group.first + v;
      const char* from = static_cast<const char*>(source.data) +
                         offset(vector, source.vector_stride) + offset(c, source.coordinate_stride);
      const auto weight = static_cast<T>(matrix.weights[vector]);
      T* to = direction<T>(matrix, vector, c);
      TAUT_UNROLL
      for (std::size_t part = 0; part < kPanel; part += kLanes) {
        if (is_dense && left >= kPanel) {
          store(to + part, load_line<Storage>(from + part * sizeof(Storage)) * weight);
          continue;
        }
        const std::size_t present = part >= left ? 0 : left - part < kLanes ? left - part : kLanes;
        const auto line = gather_vector<Storage>(from + offset(part, source.coordinate_stride),
                                                 source.coordinate_stride, present);
        store(to + part, line * weight);
      }
    }
  }
}

// The same from the group's rows.
template <typename T>
[[gnu::noinline]] void turn_directions(const GramMatrix& matrix, const Group<T>& group) {
  constexpr std::size_t kLanes = kLanesOf<T>;
  constexpr std::size_t kPanel = GramShape<T>::kPanel;
  using V = typename Square<T>::V;
  for (std::size_t c = 0; c < round_up(matrix.length, kGramCoordinates); c += kLanes) {
    const std::size_t left = c < matrix.length ? matrix.length - c : 0;
    for (std::size_t v = 0; v < group.vectors; v += kLanes) {
      V weights;
      for (std::size_t lane = 0; lane < kLanes; ++lane) {
        weights[lane] = static_cast<T>(matrix.weights[group.first + v + lane]);
      }
      Square<T> square;
      TAUT_UNROLL
      for (std::size_t i = 0; i < kLanes; ++i) {
        square.lines[i] = V{};
        if (i < left) square.lines[i] = load<V>(group.rows + (c + i) * group.width + v) * weights;
      }
      square.transpose();
      const std::size_t present = group.vectors - v;
      TAUT_UNROLL
      for (std::size_t i = 0; i < kLanes; ++i) {
        if (i >= present) break;
        store(direction<T>(matrix, group.first + v + i, c - c % kPanel) + c % kPanel,
              square.lines[i]);
      }
    }
  }
}

// Zeros for the directions beyond the last vector.
template <typename T>
inline void clear_directions(const GramMatrix& matrix) {
  constexpr std::size_t kPanel = GramShape<T>::kPanel;
  const std::size_t numbers = (matrix.direction_vectors - matrix.vectors) * kPanel;
  for (std::size_t c = 0; c < round_up(matrix.length, kGramCoordinates); c += kPanel) {
    __builtin_memset(direction<T>(matrix, matrix.vectors, c), 0, numbers * sizeof(T));
  }
}

// The directions of a group, whose rows stand in `matrix`; of the last one with zeros behind them.
template <typename Storage>
inline void write_directions(const GramMatrix& matrix, const Group<ComputeOf<Storage>>& group,
                             bool is_scaled) {
  const GramSource& source = matrix.source;
  if (!is_scaled && is_nearer(source.coordinate_stride, source.vector_stride)) {
    copy_directions<Storage>(matrix, group);
  } else {
    turn_directions(matrix, group);
  }
  if (group.first + group.vectors == matrix.vectors) clear_directions<ComputeOf<Storage>>(matrix);
}

template <typename Storage>
bool pack(const GramMatrix& matrix, std::size_t begin) {
  using T = ComputeOf<Storage>;
  const Group<T> group = group_of<T>(matrix, begin);
  GroupMeasure<T> measures;
  pack_rows<Storage>(matrix, group, &measures);
  if (!measures.is_finite(group)) return false;
  const bool is_scaled = choose_factors(matrix, group, measures);
  if (is_scaled) {
    measures.clear();
    scale_rows(matrix, group, &measures);
  }
  set_weights(matrix, group, measures);
  if (matrix.directions != nullptr) write_directions<Storage>(matrix, group, is_scaled);
  return true;
}

}  // namespace
}  // namespace taut::TAUT_LEVEL

#endif  // TAUT_KERNELS_GRAM_PACK_HPP_
