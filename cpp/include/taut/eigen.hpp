// Views of Eigen's matrices, arrays, maps, blocks and refs: whatever has its elements in memory,
// row- or column-major. Not included by taut.hpp; Eigen 3.4 or newer is yours to find.

#ifndef TAUT_EIGEN_HPP_
#define TAUT_EIGEN_HPP_

#include <Eigen/Core>
#include <array>
#include <cstddef>
#include <type_traits>
#include <utility>

#include "taut/dtype.hpp"
#include "taut/view.hpp"

namespace taut {

template <>
struct DTypeOf<Eigen::half> {
  static constexpr DType value = DType::kFloat16;
};
template <>
struct DTypeOf<Eigen::bfloat16> {
  static constexpr DType value = DType::kBFloat16;
};

namespace detail {

// The type that an Eigen object is derived to: a VectorBlock is a Block, say.
template <typename Object>
Object* eigen_object(const Eigen::DenseBase<Object>& object);
template <typename X>
using EigenObject = std::remove_pointer_t<decltype(eigen_object(std::declval<X&>()))>;

}  // namespace detail

// An Eigen object whose elements lie in memory and outlive an expression: not a sum, nor a
// temporary matrix.
template <typename X, typename Object = detail::EigenObject<X>>
concept EigenMemory =
    Element<typename Object::Scalar> && static_cast<bool>(Object::Flags & Eigen::DirectAccessBit) &&
    (std::is_lvalue_reference_v<X> || !std::is_base_of_v<Eigen::PlainObjectBase<Object>, Object>);

// The view of `x`, a View if its elements may be written and a ConstView if not. Eigen's vectors
// (types with one row or one column) have one dimension, everything else has two.
template <typename X>
  requires EigenMemory<X>
auto view(X&& x) {
  using Object = detail::EigenObject<X>;
  constexpr bool kWritable = !std::is_const_v<std::remove_pointer_t<decltype(x.data())>> &&
                             static_cast<bool>(Object::Flags & Eigen::LvalueBit);
  constexpr DType kDType = DTypeOf<typename Object::Scalar>::value;
  constexpr std::ptrdiff_t kSize = sizeof(typename Object::Scalar);
  using AnyView = std::conditional_t<kWritable, View, ConstView>;
  if constexpr (Object::IsVectorAtCompileTime) {
    const std::array<std::ptrdiff_t, 1> shape{x.size()};
    const std::array<std::ptrdiff_t, 1> strides{x.innerStride() * kSize};
    return AnyView(x.data(), kDType, shape, strides);
  } else {
    const std::array<std::ptrdiff_t, 2> shape{x.rows(), x.cols()};
    const std::array<std::ptrdiff_t, 2> strides{x.rowStride() * kSize, x.colStride() * kSize};
    return AnyView(x.data(), kDType, shape, strides);
  }
}

}  // namespace taut

#endif  // TAUT_EIGEN_HPP_
