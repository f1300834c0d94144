// From the caller's matrix to the two copies that the products read: the vectors side by side, of
// which the Gram matrix is made, and the coordinates side by side, which it is multiplied with.

#ifndef TAUT_KERNELS_SOFT_ORTHOGONAL_COPIES_HPP_
#define TAUT_KERNELS_SOFT_ORTHOGONAL_COPIES_HPP_

#include "kernels/gram/pack.hpp"

namespace taut::TAUT_LEVEL {
namespace {

template <typename Storage>
double soft_pack(const GramMatrix& matrix, std::size_t begin) {
  using T = ComputeOf<Storage>;
  const Group<T> group = group_of<T>(matrix, begin);
  GroupMeasure<T> measures;
  copy_group<Storage>(matrix, group, &measures);
  if (!measures.is_finite(group)) return __builtin_inf();
  double largest = 0;
  visit_parts(group, measures, [&](const Measure<T>& measure, std::size_t part, std::size_t) {
    const Doubles numbers = measure.largest(part);
    for (std::size_t lane = 0; lane < kDoubles; ++lane) {
      if (numbers[lane] > largest) largest = numbers[lane];
    }
  });
  return largest;
}

// In float64, which holds powers of two that float32 does not.
template <typename T>
void soft_scale(const GramMatrix& matrix, std::size_t begin, double factor) {
  const Group<T> group = group_of<T>(matrix, begin);
  for (std::size_t i = 0; i < matrix.length * group.width; ++i) {
    group.rows[i] = static_cast<T>(static_cast<double>(group.rows[i]) * factor);
  }
}

template <typename Storage>
void soft_pack_turned(const GramMatrix& turned, std::size_t begin, double factor, double* squares) {
  using T = ComputeOf<Storage>;
  const Group<T> group = group_of<T>(turned, begin);
  copy_group<Storage>(turned, group, nullptr);
  if (factor != 1) soft_scale<T>(turned, begin, factor);
  if (squares == nullptr) return;
  for (std::size_t v = 0; v < group.width; v += kDoubles) {
    Doubles sum{};
    for (std::size_t k = 0; k < turned.length; ++k) {
      const Doubles x = load_doubles(group.rows + k * group.width + v);
      sum = multiply_add(x, x, sum);
    }
    store(squares + begin + v, sum);
  }
}

}  // namespace
}  // namespace taut::TAUT_LEVEL

#endif  // TAUT_KERNELS_SOFT_ORTHOGONAL_COPIES_HPP_
