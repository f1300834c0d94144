// Views of Eigen's types see the elements that Eigen sees.

#include <taut/eigen.hpp>
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

using Matrix = Eigen::MatrixXf;
using Map = Eigen::Map<Matrix>;

// What may be written can be written through a view, and nothing else.
static_assert(kWrites<Matrix&> && !kWrites<const Matrix&>);
static_assert(kWrites<Eigen::ArrayXXd&> && kWrites<Eigen::Vector3f&>);
static_assert(kWrites<Map> && kWrites<Map&>);
static_assert(!kWrites<Eigen::Map<const Matrix>> && !kWrites<Eigen::Map<const Matrix>&>);
static_assert(kWrites<Eigen::Ref<Matrix>&> && !kWrites<const Eigen::Ref<const Matrix>&>);
static_assert(kWrites<decltype(std::declval<Matrix&>().col(0))>);
static_assert(!kWrites<decltype(std::declval<const Matrix&>().col(0))>);
static_assert(kWrites<decltype(std::declval<Matrix&>().transpose())>);
static_assert(!kWrites<decltype(std::declval<const Matrix&>().transpose())>);

// Nothing without memory of its own, nothing that ends before the view, and no other numbers.
static_assert(!CanView<Matrix> && !CanView<const Matrix>);
static_assert(!CanView<decltype(std::declval<Matrix&>() + std::declval<Matrix&>())>);
static_assert(!CanView<decltype(std::declval<Matrix&>().reverse())>);
static_assert(!CanView<Eigen::MatrixXi&> && !CanView<Eigen::MatrixXcf&>);
static_assert(!CanView<float&> && !CanView<std::vector<float>&>);

template <typename T>
double element(const ConstView& view, std::ptrdiff_t row, std::ptrdiff_t column) {
  std::ptrdiff_t offset = row * view.stride(0);
  if (view.rank() == 2) offset += column * view.stride(1);
  return static_cast<double>(
      *reinterpret_cast<const T*>(static_cast<const char*>(view.data()) + offset));
}

// The view is of the very elements; x is not const.
template <typename X>
void check_elements(X&& x) {
  using T = typename std::remove_cvref_t<X>::Scalar;
  const ConstView view = taut::view(x);
  CHECK(view.dtype() == taut::DTypeOf<T>::value);
  if (view.rank() == 1) {
    REQUIRE(view.extent(0) == static_cast<std::size_t>(x.size()));
  } else {
    REQUIRE(view.rank() == 2);
    REQUIRE(view.extent(0) == static_cast<std::size_t>(x.rows()));
    REQUIRE(view.extent(1) == static_cast<std::size_t>(x.cols()));
  }
  for (Eigen::Index row = 0; row < x.rows(); ++row) {
    for (Eigen::Index column = 0; column < x.cols(); ++column) {
      const double expected = static_cast<double>(x(row, column));
      const bool is_row = view.rank() == 1 && x.rows() == 1;
      CHECK(element<T>(view, is_row ? column : row, is_row ? 0 : column) == expected);
    }
  }
}

template <typename T, int kOrder>
void check_kinds() {
  using Dynamic = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, kOrder>;
  using Strides = Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>;
  std::vector<T> memory;
  for (int i = 0; i < 200; ++i) memory.push_back(static_cast<T>(static_cast<float>(i)));

  Dynamic matrix = Eigen::Map<Dynamic>(memory.data(), 6, 7);
  check_elements(matrix);
  check_elements(std::as_const(matrix));
  check_elements(matrix.block(1, 2, 3, 4));
  check_elements(matrix.transpose());
  check_elements(matrix.block(1, 2, 3, 4).transpose());
  check_elements(matrix.row(2));
  check_elements(matrix.col(3));
  check_elements(matrix.diagonal());
  check_elements(matrix.row(2).transpose());
  check_elements(matrix.row(2).segment(1, 4));
  Eigen::Array<T, Eigen::Dynamic, Eigen::Dynamic, kOrder> array = matrix.array();
  check_elements(array);
  check_elements(array.bottomRightCorner(2, 3));
  Eigen::Matrix<T, 4, 5, kOrder> fixed = matrix.topLeftCorner(4, 5);
  check_elements(fixed);
  Eigen::Matrix<T, Eigen::Dynamic, 1> vector = matrix.col(1);
  check_elements(vector);
  check_elements(vector.segment(1, 3));
  Eigen::Map<Dynamic, 0, Strides> strided(memory.data() + 1, 5, 4, Strides(30, 3));
  check_elements(strided);
  check_elements(strided.middleCols(1, 2));
  Eigen::Ref<Dynamic, 0, Eigen::OuterStride<>> ref = matrix.block(1, 1, 4, 3);
  check_elements(ref);
  Dynamic empty(0, 3);
  check_elements(empty);
}

TEMPLATE_TEST_CASE("views of Eigen's types have their elements", "", double, float, Eigen::half,
                   Eigen::bfloat16) {
  check_kinds<TestType, Eigen::ColMajor>();
  check_kinds<TestType, Eigen::RowMajor>();
}

TEST_CASE(
    "a penalty of an Eigen block is that of its elements, and its gradient lands in a block") {
  const Eigen::MatrixXd weights = Eigen::MatrixXd::Random(7, 9);
  Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> gradient;
  gradient.setConstant(7, 9, 0.5);
  const auto block = weights.block(1, 2, 4, 5);
  const double value = taut::accumulate_grad(taut::L2{0.25}, taut::view(block),
                                             taut::view(gradient.block(1, 2, 4, 5)));
  CHECK(std::abs(value - 0.25 * block.squaredNorm()) < 1e-14);
  Eigen::MatrixXd expected = Eigen::MatrixXd::Constant(7, 9, 0.5);
  expected.block(1, 2, 4, 5) += 0.5 * block;
  CHECK(gradient == expected);
}

TEST_CASE("the rows of a transposed matrix are the columns") {
  const Eigen::MatrixXf weights = Eigen::MatrixXf::Random(40, 30);
  const taut::OrthogonalRegularizer rows{.factor = 1};
  const taut::OrthogonalRegularizer columns{.factor = 1, .mode = taut::Mode::kColumns};
  CHECK(same_bits(taut::value(rows, taut::view(weights.transpose())),
                  taut::value(columns, taut::view(weights))));
}

TEST_CASE("group lasso of an Eigen matrix is the sum of its columns' norms") {
  const Eigen::MatrixXd weights = Eigen::MatrixXd::Random(40, 30);
  const taut::GroupLasso columns{.factor = 1, .mode = taut::Mode::kColumns};
  const double expected = std::sqrt(40.0) * weights.colwise().norm().sum();
  CHECK(std::abs(taut::value(columns, taut::view(weights)) - expected) < 1e-11);
}

}  // namespace
}  // namespace taut_test
