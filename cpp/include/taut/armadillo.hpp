// Views of Armadillo's matrices, vectors and cubes, of their submatrices, subcubes, rows, columns
// and diagonals: column-major as they are, nothing is copied. Of float and double. Not included by
// taut.hpp; Armadillo is yours to find.

#ifndef TAUT_ARMADILLO_HPP_
#define TAUT_ARMADILLO_HPP_

#include <armadillo>
#include <array>
#include <cstddef>
#include <type_traits>
#include <utility>

#include "taut/dtype.hpp"
#include "taut/view.hpp"

namespace taut {

namespace detail {

// Where an Armadillo object's elements lie; strides count elements.
template <typename T, std::size_t kRank>
struct ArmadilloLayout {
  using Scalar = T;

  const T* data;
  std::array<std::size_t, kRank> shape;
  std::array<std::size_t, kRank> strides;
};

template <typename T>
ArmadilloLayout<T, 2> armadillo_layout(const arma::Mat<T>& x) {
  return {x.memptr(), {x.n_rows, x.n_cols}, {1, x.n_rows}};
}
template <typename T>
ArmadilloLayout<T, 1> armadillo_layout(const arma::Col<T>& x) {
  return {x.memptr(), {x.n_elem}, {1}};
}
template <typename T>
ArmadilloLayout<T, 1> armadillo_layout(const arma::Row<T>& x) {
  return {x.memptr(), {x.n_elem}, {1}};
}
template <typename T>
ArmadilloLayout<T, 3> armadillo_layout(const arma::Cube<T>& x) {
  return {x.memptr(), {x.n_rows, x.n_cols, x.n_slices}, {1, x.n_rows, x.n_rows * x.n_cols}};
}

// Parts of a matrix or a cube: their first element's place in `whole`, and its strides.
template <typename T>
ArmadilloLayout<T, 2> armadillo_layout(const arma::subview<T>& x) {
  const arma::Mat<T>& whole = x.m;
  return {whole.memptr() + x.aux_row1 + x.aux_col1 * whole.n_rows,
          {x.n_rows, x.n_cols},
          {1, whole.n_rows}};
}
template <typename T>
ArmadilloLayout<T, 1> armadillo_layout(const arma::subview_col<T>& x) {
  const arma::Mat<T>& whole = x.m;
  return {whole.memptr() + x.aux_row1 + x.aux_col1 * whole.n_rows, {x.n_elem}, {1}};
}
template <typename T>
ArmadilloLayout<T, 1> armadillo_layout(const arma::subview_row<T>& x) {
  const arma::Mat<T>& whole = x.m;
  return {whole.memptr() + x.aux_row1 + x.aux_col1 * whole.n_rows, {x.n_elem}, {whole.n_rows}};
}
template <typename T>
ArmadilloLayout<T, 1> armadillo_layout(const arma::diagview<T>& x) {
  const arma::Mat<T>& whole = x.m;
  return {
      whole.memptr() + x.row_offset + x.col_offset * whole.n_rows, {x.n_elem}, {whole.n_rows + 1}};
}
template <typename T>
ArmadilloLayout<T, 3> armadillo_layout(const arma::subview_cube<T>& x) {
  const arma::Cube<T>& whole = x.m;
  const std::size_t slice = whole.n_rows * whole.n_cols;
  return {whole.memptr() + x.aux_row1 + x.aux_col1 * whole.n_rows + x.aux_slice1 * slice,
          {x.n_rows, x.n_cols, x.n_slices},
          {1, whole.n_rows, slice}};
}

template <typename T>
void armadillo_owner(const arma::Mat<T>&);
template <typename T>
void armadillo_owner(const arma::Cube<T>&);

// Whether an object has its elements in memory of its own, which ends with it.
template <typename X>
concept ArmadilloOwner = requires(X& x) { armadillo_owner(x); };

}  // namespace detail

// An Armadillo object whose elements lie in memory and outlive an expression: not a sum or a
// transpose, nor a temporary matrix.
template <typename X>
concept ArmadilloMemory = requires(std::remove_reference_t<X>& x) {
  detail::armadillo_layout(x);
} && (std::is_lvalue_reference_v<X> || !detail::ArmadilloOwner<X>);

// The view of `x`, a View if x is not const and a ConstView if it is. (A part of a const matrix is
// const in Armadillo, until it is copied.) Vectors, rows, columns and diagonals have one dimension,
// cubes three, everything else two.
template <typename X>
  requires ArmadilloMemory<X>
auto view(X&& x) {
  const auto layout = detail::armadillo_layout(x);
  using T = typename decltype(detail::armadillo_layout(x))::Scalar;
  static_assert(Element<T>, "taut takes Armadillo's objects of float and double alone");
  if constexpr (Element<T>) {
    constexpr std::size_t kRank = std::tuple_size_v<decltype(layout.shape)>;
    std::array<std::ptrdiff_t, kRank> shape;
    std::array<std::ptrdiff_t, kRank> strides;
    for (std::size_t axis = 0; axis < kRank; ++axis) {
      shape[axis] = static_cast<std::ptrdiff_t>(layout.shape[axis]);
      strides[axis] = static_cast<std::ptrdiff_t>(layout.strides[axis] * sizeof(T));
    }
    if constexpr (std::is_const_v<std::remove_reference_t<X>>) {
      return ConstView(layout.data, DTypeOf<T>::value, shape, strides);
    } else {
      // Parts refer to their matrix as const, and write to it all the same.
      return View(const_cast<T*>(layout.data), DTypeOf<T>::value, shape, strides);
    }
  }
}

}  // namespace taut

#endif  // TAUT_ARMADILLO_HPP_
