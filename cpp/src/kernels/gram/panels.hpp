// Panels: some coordinates of one vector, or of a sum of vectors, a cache line of them.

#ifndef TAUT_KERNELS_GRAM_PANELS_HPP_
#define TAUT_KERNELS_GRAM_PANELS_HPP_

#include "kernels/gram/shape.hpp"

namespace taut::TAUT_LEVEL {
namespace {

template <typename T>
struct Panel {
  static constexpr std::size_t kNumbers = GramShape<T>::kPanel;
  using V = Vector<T, (kLanesOf<T> < kNumbers ? kLanesOf<T> : kNumbers)>;
  static constexpr std::size_t kLanes = sizeof(V) / sizeof(T);
  static constexpr std::size_t kVectors = kNumbers / kLanes;

  V vectors[kVectors];

  [[gnu::always_inline]] static Panel read(const T* from) {
    Panel panel;
    TAUT_UNROLL
    for (std::size_t v = 0; v < kVectors; ++v) panel.vectors[v] = load<V>(from + v * kLanes);
    return panel;
  }
  [[gnu::always_inline]] void write(T* to) const {
    TAUT_UNROLL
    for (std::size_t v = 0; v < kVectors; ++v) store(to + v * kLanes, vectors[v]);
  }
  [[gnu::always_inline]] void add(const T* from) {
    TAUT_UNROLL
    for (std::size_t v = 0; v < kVectors; ++v) vectors[v] += load<V>(from + v * kLanes);
  }
};

// Where a vector's panel that begins at coordinate c stands in an array of panels.
template <typename T>
[[gnu::always_inline]] inline T* panel_of(const GramMatrix& matrix, void* panels,
                                          std::size_t vector, std::size_t c) {
  return static_cast<T*>(panels) + c * matrix.panel_vectors + vector * GramShape<T>::kPanel;
}

// Where that of a vector's gradient stands.
template <typename T>
[[gnu::always_inline]] inline T* gradient_of(const GramMatrix& matrix, std::size_t vector,
                                             std::size_t c) {
  return static_cast<T*>(matrix.gradients) + c * matrix.gradient_vectors +
         (vector - matrix.first_gradient) * GramShape<T>::kPanel;
}

// The panel of a vector's direction that begins at coordinate c.
template <typename T>
[[gnu::always_inline]] inline Panel<T> direction(const GramMatrix& matrix, std::size_t vector,
                                                 std::size_t c) {
  Panel<T> panel = Panel<T>::read(panel_of<T>(matrix, matrix.panels, vector, c));
  const T weight = static_cast<const T*>(matrix.unit_weights)[vector];
  TAUT_UNROLL
  for (std::size_t v = 0; v < Panel<T>::kVectors; ++v) panel.vectors[v] *= weight;
  return panel;
}

}  // namespace
}  // namespace taut::TAUT_LEVEL

#endif  // TAUT_KERNELS_GRAM_PANELS_HPP_
