// Views of Armadillo's types see the elements that Armadillo sees.

#include <taut/armadillo.hpp>
#include <type_traits>
#include <utility>

#include "check_penalty.hpp"

namespace taut_test {
namespace {

using taut::ConstView;
using taut::View;

template <typename X>
concept CanView = requires(X x) { taut::view(std::forward<X>(x)); };

template <typename X>
constexpr bool kWrites = std::is_same_v<decltype(taut::view(std::declval<X>())), View>;

// What may be written can be written through a view, and nothing else.
static_assert(kWrites<arma::mat&> && !kWrites<const arma::mat&>);
static_assert(kWrites<arma::fvec&> && kWrites<arma::rowvec&> && !kWrites<const arma::frowvec&>);
static_assert(kWrites<arma::mat::fixed<2, 3>&> && kWrites<arma::vec::fixed<3>&>);
static_assert(kWrites<arma::cube&> && !kWrites<const arma::fcube&>);
static_assert(kWrites<decltype(std::declval<arma::mat&>().submat(0, 0, 1, 1))>);
static_assert(!kWrites<decltype(std::declval<const arma::mat&>().submat(0, 0, 1, 1))>);
static_assert(kWrites<decltype(std::declval<arma::mat&>().col(0))>);
static_assert(!kWrites<decltype(std::declval<const arma::mat&>().col(0))>);
static_assert(kWrites<decltype(std::declval<arma::cube&>().slice(0))>);
static_assert(!kWrites<decltype(std::declval<const arma::cube&>().slices(0, 1))>);

// Nothing without memory of its own, and nothing that ends before the view.
static_assert(!CanView<arma::mat> && !CanView<const arma::vec> && !CanView<arma::fcube>);
static_assert(!CanView<decltype(std::declval<arma::mat&>() + std::declval<arma::mat&>())>);
static_assert(!CanView<decltype(std::declval<arma::mat&>().t())>);
static_assert(!CanView<decltype(std::declval<arma::mat&>().elem(std::declval<arma::uvec&>()))>);
static_assert(!CanView<arma::sp_mat&> && !CanView<double&> && !CanView<std::vector<float>&>);

template <typename T>
double element(const ConstView& view, std::initializer_list<arma::uword> index) {
  const char* place = static_cast<const char*>(view.data());
  std::size_t axis = 0;
  for (const arma::uword i : index) place += static_cast<std::ptrdiff_t>(i) * view.stride(axis++);
  return static_cast<double>(*reinterpret_cast<const T*>(place));
}

// The view is of the very elements. A part of a matrix is taken as such, an expression.
template <typename X>
void check_vector(X&& x) {
  using T = typename std::remove_cvref_t<X>::elem_type;
  const ConstView view = taut::view(x);
  CHECK(view.dtype() == taut::DTypeOf<T>::value);
  REQUIRE(view.rank() == 1);
  REQUIRE(view.extent(0) == x.n_elem);
  for (arma::uword i = 0; i < x.n_elem; ++i) CHECK(element<T>(view, {i}) == x[i]);
}

template <typename X>
void check_matrix(X&& x) {
  using T = typename std::remove_cvref_t<X>::elem_type;
  const ConstView view = taut::view(x);
  CHECK(view.dtype() == taut::DTypeOf<T>::value);
  REQUIRE(view.rank() == 2);
  REQUIRE(shape_of(view) == std::vector<std::ptrdiff_t>{static_cast<std::ptrdiff_t>(x.n_rows),
                                                        static_cast<std::ptrdiff_t>(x.n_cols)});
  for (arma::uword i = 0; i < x.n_rows; ++i) {
    for (arma::uword j = 0; j < x.n_cols; ++j) CHECK(element<T>(view, {i, j}) == x.at(i, j));
  }
}

template <typename X>
void check_cube(X&& x) {
  using T = typename std::remove_cvref_t<X>::elem_type;
  const ConstView view = taut::view(x);
  CHECK(view.dtype() == taut::DTypeOf<T>::value);
  REQUIRE(shape_of(view) == std::vector<std::ptrdiff_t>{static_cast<std::ptrdiff_t>(x.n_rows),
                                                        static_cast<std::ptrdiff_t>(x.n_cols),
                                                        static_cast<std::ptrdiff_t>(x.n_slices)});
  for (arma::uword i = 0; i < x.n_rows; ++i) {
    for (arma::uword j = 0; j < x.n_cols; ++j) {
      for (arma::uword k = 0; k < x.n_slices; ++k) {
        CHECK(element<T>(view, {i, j, k}) == x.at(i, j, k));
      }
    }
  }
}

TEMPLATE_TEST_CASE("views of Armadillo's types have their elements", "", double, float) {
  using Matrix = arma::Mat<TestType>;
  Matrix matrix(6, 7);
  for (arma::uword i = 0; i < matrix.n_elem; ++i) matrix[i] = static_cast<TestType>(i);
  check_matrix(matrix);
  check_matrix(std::as_const(matrix));
  check_matrix(matrix.submat(1, 2, 4, 5));
  check_matrix(std::as_const(matrix).submat(1, 2, 4, 5));
  check_matrix(matrix.cols(2, 4));
  check_matrix(matrix.rows(1, 3));
  check_matrix(matrix.head_rows(2));
  check_matrix(matrix.tail_cols(3));
  check_vector(matrix.col(3));
  check_vector(matrix.row(2));
  check_vector(matrix.row(2).subvec(1, 4));
  check_vector(matrix.col(3).subvec(2, 4));
  check_vector(matrix.diag());
  check_vector(matrix.diag(2));
  check_vector(matrix.diag(-1));
  check_matrix(matrix.submat(0, 2, 0, 5));  // a row as a matrix
  typename Matrix::template fixed<4, 5> fixed;
  fixed = matrix.submat(0, 0, 3, 4);
  check_matrix(fixed);
  arma::Col<TestType> column = matrix.col(1);
  check_vector(column);
  check_vector(column.subvec(1, 3));
  arma::Row<TestType> row = matrix.row(1);
  check_vector(row);
  check_vector(row.tail(2));
  Matrix alias(matrix.memptr() + 1, 3, 4, false, true);
  check_matrix(alias);
  Matrix empty(0, 3);
  check_matrix(empty);
  check_matrix(empty.cols(1, 2));
  check_vector(arma::Col<TestType>(5).subvec(0, 0));
}

TEMPLATE_TEST_CASE("views of Armadillo's cubes have their elements", "", double, float) {
  arma::Cube<TestType> cube(3, 4, 5);
  for (arma::uword i = 0; i < cube.n_elem; ++i) cube[i] = static_cast<TestType>(i);
  check_cube(cube);
  check_cube(std::as_const(cube));
  check_cube(cube.slices(1, 3));
  check_cube(cube.subcube(1, 0, 2, 2, 3, 4));
  check_cube(cube.tube(1, 2));
  check_matrix(cube.slice(2));
  check_matrix(cube.slice(2).submat(0, 1, 1, 2));
}

template <typename A, typename B>
bool equal(const A& a, const B& b) {
  return arma::approx_equal(a, b, "absdiff", 0);
}

// In row order, as the references take it.
template <typename X>
std::vector<double> elements_of(const X& x) {
  std::vector<double> elements;
  for (arma::uword i = 0; i < x.n_rows; ++i) {
    for (arma::uword j = 0; j < x.n_cols; ++j) elements.push_back(x.at(i, j));
  }
  return elements;
}

TEMPLATE_TEST_CASE("penalties of Armadillo's matrices and their parts are the reference's", "",
                   double, float) {
  arma::arma_rng::set_seed(7);
  const arma::Mat<TestType> whole(13, 17, arma::fill::randn);
  const auto check = [](const auto& x) {
    const std::vector<double> elements = elements_of(x);
    const ConstView view = taut::view(x);
    check_penalty<TestType>(taut::L1{0.3}, view, elementwise(elements, 0.3, 0));
    check_penalty<TestType>(taut::L2{0.7}, view, elementwise(elements, 0, 0.7));
    check_penalty<TestType>(taut::L1L2{0.3, 0.7}, view, elementwise(elements, 0.3, 0.7));
    for (const taut::Mode mode : {taut::Mode::kRows, taut::Mode::kColumns}) {
      const GramReference gram(elements, x.n_rows, x.n_cols, mode, view.dtype());
      check_penalty<TestType>(taut::OrthogonalRegularizer{1, mode}, view, gram.result());
      check_penalty<TestType>(taut::GroupLasso{1, mode}, view,
                              group_lasso(elements, x.n_rows, x.n_cols, mode));
    }
  };
  check(whole);
  check(whole.submat(2, 3, 11, 12));
  check(whole.cols(4, 9));
}

TEST_CASE("a gradient lands in a submatrix, and nowhere else") {
  const arma::mat weights(7, 9, arma::fill::randn);
  arma::mat gradient(7, 9, arma::fill::value(0.5));
  const double value = taut::accumulate_grad(taut::L2{0.25}, taut::view(weights.submat(1, 2, 4, 6)),
                                             taut::view(gradient.submat(1, 2, 4, 6)));
  CHECK(std::abs(value - 0.25 * arma::accu(arma::square(weights.submat(1, 2, 4, 6)))) < 1e-13);
  arma::mat expected(7, 9, arma::fill::value(0.5));
  expected.submat(1, 2, 4, 6) += 0.5 * weights.submat(1, 2, 4, 6);
  CHECK(equal(gradient, expected));
}

TEST_CASE("a proximal step of a row has exact zeros, and leaves the other rows alone") {
  arma::fmat weights(5, 6, arma::fill::randn);
  const arma::fmat before = weights;
  taut::prox(taut::L1{100}, taut::view(weights.row(2)), 1);
  CHECK(equal(weights.row(2), arma::frowvec(6, arma::fill::zeros)));
  arma::fmat expected = before;
  expected.row(2).zeros();
  CHECK(equal(weights, expected));
}

TEST_CASE("a batch takes matrices, vectors and cubes of both element types") {
  const arma::mat kernel(8, 6, arma::fill::randn);
  const arma::frowvec bias(6, arma::fill::randn);
  const arma::cube filters(3, 3, 4, arma::fill::randn);
  arma::mat kernel_gradient(arma::size(kernel));
  arma::frowvec bias_gradient(arma::size(bias));
  arma::cube filters_gradient(arma::size(filters));
  const taut::OrthogonalRegularizer flat{
      .factor = 1, .mode = taut::Mode::kColumns, .flatten = true};
  const taut::GradientTerm terms[] = {
      {taut::OrthogonalRegularizer{1}, taut::view(kernel), taut::view(kernel_gradient)},
      {taut::L1{1}, taut::view(bias), taut::view(bias_gradient)},
      {flat, taut::view(filters), taut::view(filters_gradient)}};
  std::vector<double> values(3);
  taut::value_and_grad(terms, 1.0, values);
  CHECK(same_bits(values[0], taut::value(taut::OrthogonalRegularizer{1}, taut::view(kernel))));
  CHECK(std::abs(values[1] - static_cast<double>(arma::accu(arma::abs(bias)))) < 1e-5);
  CHECK(equal(bias_gradient, arma::sign(bias)));
  // The slices of a cube are the columns of a matrix in the same memory.
  const arma::mat flattened(const_cast<double*>(filters.memptr()), 9, 4, false, true);
  CHECK(same_bits(values[2], taut::value(taut::OrthogonalRegularizer{1, taut::Mode::kColumns},
                                         taut::view(flattened))));
}

TEST_CASE("a gradient of another shape or element type is refused in Python's words") {
  const arma::mat weights(3, 4, arma::fill::zeros);
  arma::mat transposed(4, 3, arma::fill::ones);
  arma::fmat single(3, 4, arma::fill::ones);
  const auto refused = [&](const View& gradient) {
    return message_of([&] { taut::accumulate_grad(taut::L2{1}, taut::view(weights), gradient); });
  };
  CHECK(refused(taut::view(transposed)).starts_with("The gradient must have the shape"));
  CHECK(refused(taut::view(single)).starts_with("The gradient must have the dtype"));
}

}  // namespace
}  // namespace taut_test
