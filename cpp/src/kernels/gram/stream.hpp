// A few very long vectors, a window of coordinates after the other: what is copied of them is one
// window, and read anew for each of the passes. The bits are those of the other path, since every
// sum goes on from window to window in the same order.

#ifndef TAUT_KERNELS_GRAM_STREAM_HPP_
#define TAUT_KERNELS_GRAM_STREAM_HPP_

#include "kernels/gram/finish.hpp"
#include "kernels/gram/pack.hpp"
#include "kernels/gram/signs.hpp"
#include "kernels/gram/tile.hpp"

namespace taut::TAUT_LEVEL {
namespace {

static_assert(kGramWindow % kGramDepthBlock == 0 && kGramWindow % kGramCoordinates == 0);

// Calls visit(window, begin) with the matrix of each window's coordinates, from `begin` on.
template <typename Visit>
[[gnu::always_inline]] inline void visit_windows(const GramMatrix& matrix, Visit visit) {
  GramMatrix window = matrix;
  for (std::size_t begin = 0; begin < matrix.length; begin += kGramWindow) {
    const std::size_t left = matrix.length - begin;
    window.length = left < kGramWindow ? left : kGramWindow;
    window.source.data = static_cast<const char*>(matrix.source.data) +
                         offset(begin, matrix.source.coordinate_stride);
    visit(window, begin);
  }
}

// A group's rows, scaled if its factors say so.
template <typename Storage>
inline ComputeOf<Storage>* read_scaled_rows(const GramMatrix& window, std::size_t group) {
  using T = ComputeOf<Storage>;
  T* rows = read_rows<Storage>(window, group);
  bool scales = false;
  for (std::size_t v = 0; v < GramShape<T>::kColumns; ++v) scales |= window.factors[group + v] != 1;
  if (scales) scale_rows(window.factors + group, window.length, rows);
  return rows;
}

template <typename Storage>
[[gnu::noinline]] bool stream_weights(const GramMatrix& matrix, std::size_t group) {
  using T = ComputeOf<Storage>;
  GroupMeasure<T> measure;
  visit_windows(matrix, [&](const GramMatrix& window, std::size_t) {
    measure.add(read_rows<Storage>(window, group), window.length);
  });
  if (!measure.finite) return false;
  if (choose_factors(matrix, group, measure)) {
    measure = GroupMeasure<T>();
    visit_windows(matrix, [&](const GramMatrix& window, std::size_t) {
      measure.add(read_scaled_rows<Storage>(window, group), window.length);
    });
  }
  set_weights(matrix, group, measure);
  return true;
}

template <typename Storage>
double stream_tile(const GramMatrix& matrix, const GramSigns* signs, void* scratch) {
  using T = ComputeOf<Storage>;
  constexpr std::size_t kColumns = GramShape<T>::kColumns;
  for (std::size_t group = 0; group < matrix.padded_vectors; group += kColumns) {
    if (!stream_weights<Storage>(matrix, group)) return __builtin_nan("");
  }
  T* products = static_cast<T*>(scratch);
  const TilePlace place{0, 0, matrix.vectors, matrix.vectors};
  visit_windows(matrix, [&](const GramMatrix& window, std::size_t begin) {
    for (std::size_t group = 0; group < matrix.padded_vectors; group += kColumns) {
      read_scaled_rows<Storage>(window, group);
    }
    multiply_tile(window, place, begin > 0, products);
  });
  return finish_tile(matrix, place, signs, signs, exact_dot<Storage>, products);
}

// The directions and the gradients of a window.
template <typename Storage>
[[gnu::noinline]] void read_window(const GramMatrix& window, const GramSigns& signs, void* tables) {
  using T = ComputeOf<Storage>;
  for (std::size_t group = 0; group < window.padded_vectors; group += GramShape<T>::kColumns) {
    write_directions(window, group, read_scaled_rows<Storage>(window, group));
  }
  const std::size_t panels = round_up(window.length, kGramCoordinates) / GramShape<T>::kPanel;
  for (std::size_t panel = 0; panel < panels; ++panel) {
    multiply_signs<T>(window, panel, 0, window.vectors, window.vectors, signs, tables);
  }
}

template <typename Storage>
void stream_finish(const GramMatrix& matrix, const GramSigns& signs, double coefficient,
                   const GramTarget& target, void* scratch) {
  void* tables = static_cast<char*>(scratch) + kGramTile * sizeof(FinishedLanes);
  auto* lanes = static_cast<FinishedLanes*>(scratch);
  for (std::size_t v = 0; v < matrix.vectors; ++v) lanes[v] = FinishedLanes();
  visit_windows(matrix, [&](const GramMatrix& window, std::size_t) {
    read_window<Storage>(window, signs, tables);
    visit_finished<Storage>(
        window, 0, matrix.vectors, target,
        [&](auto vectors, std::size_t first) { vectors.project(lanes + first); });
  });
  visit_windows(matrix, [&](const GramMatrix& window, std::size_t begin) {
    read_window<Storage>(window, signs, tables);
    GramTarget part = target;
    part.data = static_cast<char*>(target.data) + offset(begin, target.coordinate_stride);
    visit_finished<Storage>(window, 0, matrix.vectors, part, [&](auto vectors, std::size_t first) {
      vectors.set(lanes + first, coefficient);
      vectors.write(part);
    });
  });
}

template <typename T>
constexpr std::size_t kStreamScratch = kGramTile * sizeof(FinishedLanes) + kSignScratch<T>;

}  // namespace
}  // namespace taut::TAUT_LEVEL

#endif  // TAUT_KERNELS_GRAM_STREAM_HPP_
