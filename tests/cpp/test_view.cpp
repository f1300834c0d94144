// What a view knows about an array.

#include <array>
#include <type_traits>

#include "check_penalty.hpp"

namespace taut_test {
namespace {

using taut::ConstView;
using taut::DType;
using taut::View;
using Extents = std::vector<std::ptrdiff_t>;

TEST_CASE("a view of contiguous elements has one axis") {
  std::vector<float> numbers(7);
  const View view(numbers.data(), numbers.size());
  CHECK(view.data() == numbers.data());
  CHECK(view.dtype() == DType::kFloat32);
  CHECK(view.rank() == 1);
  CHECK(view.extent(0) == 7);
  CHECK(view.stride(0) == 4);
  CHECK(view.size() == 7);
}

static_assert(!std::is_constructible_v<View, std::span<const float>>);
static_assert(std::is_constructible_v<ConstView, std::span<float>>);

TEST_CASE("a span is a view, and what can be written can be read") {
  std::array<double, 3> numbers{1, -2, 3};
  const View view = std::span(numbers);
  const ConstView read = view;
  const ConstView of_constants = std::span(std::as_const(numbers));
  CHECK(read.data() == numbers.data());
  CHECK(read.extent(0) == 3);
  CHECK(read.stride(0) == 8);
  CHECK(taut::value(taut::L1{1}, view) == 6);
  CHECK(taut::value(taut::L1{1}, of_constants) == 6);
  STATIC_REQUIRE_FALSE(std::is_constructible_v<View, ConstView>);
}

template <typename Pointer, typename Range>
constexpr bool kViews = std::is_constructible_v<taut::BasicView<Pointer>, Range>;
using Write = void*;
using Read = const void*;

static_assert(kViews<Write, std::vector<float>&> && kViews<Read, const std::vector<float>&>);
static_assert(!kViews<Write, const std::vector<float>&>);
static_assert(!kViews<Read, std::vector<float>>);  // it would end before the view
static_assert(kViews<Write, std::array<BFloat16, 2>&> && kViews<Write, double (&)[3]>);
static_assert(!kViews<Read, std::vector<int>&> && !kViews<Read, std::vector<bool>&>);
static_assert(!kViews<Read, double (&)[3][3]>);

TEST_CASE("vectors and arrays are views") {
  std::vector<float> numbers{1, -2, 3, -4, 5, -6};
  std::vector<float> gradient(6);
  CHECK(taut::accumulate_grad(taut::L1{1}, numbers, gradient) == 21);
  CHECK(gradient == std::vector<float>{1, -1, 1, -1, 1, -1});
  const double array[] = {1, -2};
  const ConstView view = array;
  CHECK(view.data() == array);
  CHECK(view.dtype() == DType::kFloat64);
  CHECK(view.size() == 2);
}

TEST_CASE("the elements of a vector are those of a matrix, row after row") {
  std::vector<float> numbers(12);
  const View view = View::matrix(numbers, 3, 4);
  CHECK(view.data() == numbers.data());
  CHECK(view.extent(0) == 3);
  CHECK(view.extent(1) == 4);
  CHECK(view.stride(0) == 16);
  CHECK(view.stride(1) == 4);
  CHECK(ConstView::matrix(std::as_const(numbers), 12, 1).stride(0) == 4);
  for (const auto& [rows, columns] : {std::pair(3, 5), std::pair(2, 4), std::pair(0, 0)}) {
    CHECK_THROWS_AS(
        View::matrix(numbers, static_cast<std::size_t>(rows), static_cast<std::size_t>(columns)),
        taut::InvalidArgument);
  }
}

TEST_CASE("the strides of a matrix count elements") {
  std::vector<Float16> numbers(40);
  const View view = View::matrix(numbers.data(), 3, 4, 10);
  CHECK(view.rank() == 2);
  CHECK(view.extent(0) == 3);
  CHECK(view.extent(1) == 4);
  CHECK(view.stride(0) == 20);
  CHECK(view.stride(1) == 2);
  const ConstView transposed = ConstView::matrix(numbers.data(), 4, 3, 1, 10);
  CHECK(transposed.stride(0) == 2);
  CHECK(transposed.stride(1) == 20);
  CHECK(transposed.size() == 12);
}

TEST_CASE("a view without axes is one element, and one with an extent of 0 is none") {
  const double number = -2.5;
  const ConstView scalar(&number, DType::kFloat64, {}, {});
  CHECK(scalar.size() == 1);
  CHECK(taut::value(taut::L1{1}, scalar) == 2.5);
  const ConstView empty(nullptr, DType::kFloat64, Extents{3, 0, 2}, Extents{8, 8, 8});
  CHECK(empty.size() == 0);
  CHECK(taut::value(taut::L1L2{1, 1}, empty) == 0);
}

TEST_CASE("what is no array is refused") {
  double number = 0;
  const auto view = [&](const Extents& shape, const Extents& strides) {
    return View(&number, DType::kFloat64, shape, strides);
  };
  CHECK_THROWS_AS(view({-1}, {8}), taut::InvalidArgument);
  CHECK_THROWS_AS(view({1, 1}, {8}), taut::InvalidArgument);
  CHECK_THROWS_AS(view(Extents(65, 1), Extents(65, 8)), taut::InvalidArgument);
  CHECK(view(Extents(64, 1), Extents(64, 8)).size() == 1);
}

TEST_CASE("more elements than memory can have are refused, however few there are") {
  constexpr std::ptrdiff_t k2To31 = std::ptrdiff_t{1} << 31;
  const double number = 1;
  const auto view = [&](const Extents& shape) {
    return ConstView(&number, DType::kFloat64, shape, Extents(shape.size(), 0));
  };
  CHECK_THROWS_AS(view({4 * k2To31, k2To31}), taut::InvalidArgument);
  CHECK_THROWS_AS(view({k2To31, k2To31 / 4}), taut::InvalidArgument);
  CHECK_THROWS_AS(view({k2To31, 2, k2To31, 2}), taut::InvalidArgument);
  CHECK(view({k2To31, k2To31 / 8}).size() == std::size_t{1} << 59);
  CHECK(view({4 * k2To31, k2To31, 0}).size() == 0);
  CHECK_THROWS_AS(ConstView(&number, std::size_t{1} << 60), taut::InvalidArgument);
  CHECK_THROWS_AS(ConstView(&number, ~std::size_t{0}), taut::InvalidArgument);

  const std::vector<double> none;
  const std::vector<double> one(1);
  const std::size_t large = std::size_t{1} << 32;
  CHECK_THROWS_AS(ConstView::matrix(none, large, large), taut::InvalidArgument);
  CHECK_THROWS_AS(ConstView::matrix(one, large * large / 3, 3), taut::InvalidArgument);
  CHECK_THROWS_AS(ConstView::matrix(one.data(), large, large, 0, 0), taut::InvalidArgument);
  CHECK(ConstView::matrix(none, 3, 0).size() == 0);
}

TEST_CASE("an orthogonal penalty of more elements than memory can hold is out of memory") {
  const auto check = [](auto number) {
    using T = decltype(number);
    const std::ptrdiff_t most = PTRDIFF_MAX / static_cast<std::ptrdiff_t>(2 * sizeof(T));
    for (const std::ptrdiff_t large : {most, most / 3, most / 48, most / 1000}) {
      for (const Extents& shape : {Extents{2, large}, Extents{large, 2}}) {
        const ConstView x(&number, taut::DTypeOf<T>::value, shape, Extents{0, 0});
        for (const taut::Mode mode : {taut::Mode::kRows, taut::Mode::kColumns}) {
          INFO(taut::name_of(x.dtype()) << " " << shape[0] << " " << shape[1]);
          CHECK_THROWS_AS(taut::value(taut::OrthogonalRegularizer{.mode = mode}, x),
                          std::bad_alloc);
        }
      }
    }
  };
  check(1.0);
  check(1.0f);
  check(Float16{0x3c00});
  check(taut::BFloat16{0x3f80});
}

TEST_CASE("dtypes have a size and a name") {
  CHECK(taut::size_of(DType::kFloat64) == sizeof(double));
  CHECK(taut::size_of(DType::kFloat32) == sizeof(float));
  CHECK(taut::size_of(DType::kFloat16) == sizeof(Float16));
  CHECK(taut::size_of(DType::kBFloat16) == sizeof(BFloat16));
  CHECK(std::string(taut::name_of(DType::kFloat64)) == "float64");
  CHECK(std::string(taut::name_of(DType::kFloat32)) == "float32");
  CHECK(std::string(taut::name_of(DType::kFloat16)) == "float16");
  CHECK(std::string(taut::name_of(DType::kBFloat16)) == "bfloat16");
}

}  // namespace
}  // namespace taut_test
