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

// Copies a group of a window, scaled if its factors say so, and measured if they do.
template <typename Storage>
void copy_scaled(const GramMatrix& window, std::size_t begin,
                 GroupMeasure<ComputeOf<Storage>>* measures) {
  const Group<ComputeOf<Storage>> group = group_of<ComputeOf<Storage>>(window, begin);
  copy_group<Storage>(window, group, nullptr);
  bool is_scaled = false;
  for (std::size_t v = 0; v < group.width; ++v) is_scaled |= window.factors[begin + v] != 1;
  if (is_scaled) scale_group(window, group, measures);
}

template <typename Storage>
void copy_panels(const GramMatrix& matrix, std::size_t begin) {
  copy_scaled<Storage>(matrix, begin, nullptr);
}

template <typename Storage>
bool stream_pack(const GramMatrix& matrix, std::size_t begin) {
  using T = ComputeOf<Storage>;
  GroupMeasure<T> measures;
  visit_windows(matrix, [&](const GramMatrix& window, std::size_t) {
    copy_group<Storage>(window, group_of<T>(window, begin), &measures);
  });
  const Group<T> group = group_of<T>(matrix, begin);
  if (!measures.is_finite(group)) return false;
  if (choose_factors(matrix, group, measures)) {
    measures.clear();
    visit_windows(matrix, [&](const GramMatrix& window, std::size_t) {
      copy_scaled<Storage>(window, begin, &measures);
    });
  }
  set_weights(matrix, group, measures);
  return true;
}

template <typename Storage>
double stream_tile(const GramMatrix& matrix, const GramSigns* signs, void* scratch) {
  using T = ComputeOf<Storage>;
  T* products = static_cast<T*>(scratch);
  const GramTile tile{0, 0, matrix.vectors, matrix.vectors};
  visit_windows(matrix, [&](const GramMatrix& window, std::size_t first) {
    for (std::size_t begin = 0; begin < matrix.vectors; begin += GramShape<T>::kColumns) {
      copy_scaled<Storage>(window, begin, nullptr);
    }
    multiply_tile(window, tile, first > 0, products);
  });
  return finish_tile(matrix, tile, signs, signs, exact_dot<Storage>, products);
}

template <typename Storage>
void stream_finish(const GramMatrix& matrix, std::size_t target_begin, std::size_t target_end,
                   const GramSigns& signs, double coefficient, const GramTarget& target,
                   void* tables) {
  const std::size_t first_target = target_begin - target_begin % kGramSignGroup;
  using T = ComputeOf<Storage>;
  GramMatrix of_panels = matrix;
  of_panels.rows = nullptr;
  visit_windows(of_panels, [&](const GramMatrix& window, std::size_t first) {
    for (std::size_t begin = 0; begin < matrix.vectors; begin += GramShape<T>::kColumns) {
      copy_scaled<Storage>(window, begin, nullptr);
    }
    const std::size_t panels = round_up(window.length, kGramCoordinates) / GramShape<T>::kPanel;
    multiply_signs<T>(window, 0, panels, first_target, target_end, window.vectors, signs, tables);
    GramTarget part = target;
    part.data = static_cast<char*>(target.data) + offset(first, target.coordinate_stride);
    finish<Storage>(window, target_begin, target_end, coefficient, part);
  });
}

}  // namespace
}  // namespace taut::TAUT_LEVEL

#endif  // TAUT_KERNELS_GRAM_STREAM_HPP_
