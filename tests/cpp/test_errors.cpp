// A caller's mistakes are InvalidArgument, and nothing has been written.

#include <limits>
#include <string>

#include "check_penalty.hpp"
#include "runtime_guards.hpp"

namespace taut_test {
namespace {

using taut::ConstView;
using taut::View;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// The three functions refuse; returns what value_and_grad says.
std::string refusal(const taut::Regularizer& regularizer, const ConstView& x,
                    const View& gradient) {
  CHECK_THROWS_AS(taut::accumulate_grad(regularizer, x, gradient), taut::InvalidArgument);
  return message_of([&] { taut::value_and_grad(regularizer, x, gradient); });
}

const taut::Regularizer kRegularizers[] = {taut::L1{}, taut::L2{}, taut::L1L2{0.1, 0.1},
                                           taut::OrthogonalRegularizer{}};

// With these a penalty is 0 whatever the input, but the arguments are checked all the same.
const taut::Regularizer kIdleRegularizers[] = {taut::L1{0}, taut::L1L2{},
                                               taut::OrthogonalRegularizer{.factor = 0}};

TEST_CASE("an error of the caller's is a std::invalid_argument") {
  STATIC_REQUIRE(std::is_base_of_v<std::invalid_argument, taut::InvalidArgument>);
}

TEST_CASE("factors are finite and not negative") {
  std::vector<double> x{1, 2, 3, 4};
  std::vector<double> gradient(4, 7.0);
  const auto matrix = ConstView::matrix(x.data(), 2, 2, std::ptrdiff_t{2});
  const auto target = View::matrix(gradient.data(), 2, 2, std::ptrdiff_t{2});
  for (const double wrong : {-1.0, -1e-300, kInfinity, -kInfinity, std::nan("")}) {
    struct Case {
      taut::Regularizer regularizer;
      const char* name;
    };
    const Case cases[] = {
        {taut::L1{wrong}, "`l1`"},
        {taut::L2{wrong}, "`l2`"},
        {taut::L1L2{wrong, 0.1}, "`l1`"},
        {taut::L1L2{0.1, wrong}, "`l2`"},
        {taut::OrthogonalRegularizer{.factor = wrong}, "`factor`"},
    };
    for (const Case& test : cases) {
      const std::string text = message_of([&] { taut::value(test.regularizer, matrix); });
      CHECK(contains(text, test.name));
      CHECK(contains(text, "expected a non-negative float"));
      CHECK(refusal(test.regularizer, matrix, target) == text);
    }
  }
  CHECK(gradient == std::vector<double>(4, 7.0));
  CHECK(taut::value(taut::L1{-0.0}, matrix) == 0);
}

TEST_CASE("the orthogonal penalty is one of matrices") {
  const std::vector<double> x(24, 1.0);
  std::vector<double> gradient(24, 7.0);
  const std::vector<std::vector<std::ptrdiff_t>> shapes{{}, {24}, {2, 3, 4}, {0}};
  for (const auto& shape : shapes) {
    const View target = contiguous_view(gradient, shape);
    const std::string text =
        message_of([&] { taut::value(taut::OrthogonalRegularizer{}, target); });
    CHECK(contains(text, "Inputs to OrthogonalRegularizer must have rank 2. Received: "));
    std::vector<double> copy = x;
    CHECK(refusal(taut::OrthogonalRegularizer{}, contiguous_view(copy, shape), target) == text);
  }
  CHECK(contains(message_of([&] {
                   taut::value(taut::OrthogonalRegularizer{}, contiguous_view(gradient, {2, 3, 4}));
                 }),
                 "inputs.shape=(2, 3, 4)"));
  CHECK(gradient == std::vector<double>(24, 7.0));
}

TEST_CASE("soft orthogonality is a penalty of matrices") {
  std::vector<double> x(24, 1.0);
  std::vector<double> gradient(24, 7.0);
  const taut::SoftOrthogonalRegularizer regularizer;
  const View target = contiguous_view(gradient, {2, 3, 4});
  CHECK(contains(refusal(regularizer, contiguous_view(x, {2, 3, 4}), target),
                 "Inputs to SoftOrthogonalRegularizer must have rank 2. Received: "
                 "inputs.shape=(2, 3, 4)"));
  for (const double factor : {-1.0, std::nan("")}) {
    CHECK(contains(refusal(taut::SoftOrthogonalRegularizer{factor}, contiguous_view(x, {4, 6}),
                           contiguous_view(gradient, {4, 6})),
                   "argument `factor`: expected a non-negative float"));
  }
  CHECK(gradient == std::vector<double>(24, 7.0));
}

void check_refused(const ConstView& x, const View& gradient, const std::string& part) {
  for (const taut::Regularizer& regularizer : kRegularizers) {
    CHECK(contains(refusal(regularizer, x, gradient), part));
  }
  for (const taut::Regularizer& regularizer : kIdleRegularizers) {
    CHECK(contains(refusal(regularizer, x, gradient), part));
  }
}

TEST_CASE("a gradient has the shape of the input") {
  std::vector<double> x(12, 1.0);
  std::vector<double> gradient(24, 7.0);
  const std::vector<std::vector<std::ptrdiff_t>> shapes{{4, 3}, {12}, {3, 4, 1}, {3, 5},
                                                        {1, 4}, {},   {0, 4}};
  for (const auto& shape : shapes) {
    check_refused(contiguous_view(x, {3, 4}), contiguous_view(gradient, shape),
                  "must have the shape of the input");
  }
  CHECK(gradient == std::vector<double>(24, 7.0));
}

template <typename T, typename G>
void check_dtypes() {
  std::vector<T> x = store<T>({1, 2, 3, 4});
  std::vector<G> gradient = store<G>({7, 7, 7, 7});
  const taut::DType dtype = taut::DTypeOf<G>::value;
  if (taut::DTypeOf<T>::value == dtype || (sizeof(T) == 2 && dtype == taut::DType::kFloat32)) {
    CHECK(taut::value_and_grad(taut::L1{1}, contiguous_view(x, {2, 2}),
                               contiguous_view(gradient, {2, 2})) == 10);
    return;
  }
  check_refused(contiguous_view(x, {2, 2}), contiguous_view(gradient, {2, 2}),
                "must have the dtype of the input");
  CHECK(to_doubles(gradient) == std::vector<double>(4, 7.0));
}

TEMPLATE_TEST_CASE("a gradient has the dtype of the input, or is float32 for a half type", "",
                   double, float, Float16, BFloat16) {
  check_dtypes<TestType, double>();
  check_dtypes<TestType, float>();
  check_dtypes<TestType, Float16>();
  check_dtypes<TestType, BFloat16>();
}

TEST_CASE("a gradient shares no byte with the input") {
  const std::vector<double> before = random_numbers<double>(100);
  std::vector<double> memory = before;
  double* data = memory.data();
  const auto matrix = View::matrix<double>;
  const std::pair<View, View> overlapping[] = {
      {matrix(data, 4, 5, 5, 1), matrix(data, 4, 5, 5, 1)},       // the same
      {matrix(data, 4, 5, 5, 1), matrix(data, 4, 5, 1, 4)},       // and transposed
      {matrix(data, 4, 5, 5, 1), matrix(data + 19, 4, 5, 5, 1)},  // one element
      {matrix(data + 19, 4, 5, -5, -1), matrix(data + 19, 4, 5, 5, 1)},
      {matrix(data, 4, 5, 10, 2), matrix(data + 2, 4, 5, 10, 2)},      // every second one
      {matrix(data, 4, 5, 10, 2), matrix(data + 1, 4, 5, 10, 3)},      // now and then
      {matrix(data, 4, 5, 10, 1), matrix(data + 4, 4, 5, 10, 1)},      // column blocks that meet
      {matrix(data + 20, 4, 5, 0, 0), matrix(data + 10, 4, 5, 5, 1)},  // a broadcast input
  };
  for (const auto& [x, gradient] : overlapping) {
    check_refused(x, gradient, "must not overlap the input");
  }
  // A part of an element is enough.
  std::vector<std::byte> bytes(400);
  const std::ptrdiff_t shape[] = {4, 5};
  const std::ptrdiff_t strides[] = {40, 8};
  const View x(bytes.data(), taut::DType::kFloat64, shape, strides);
  const View gradient(bytes.data() + 4 * 40 - 1, taut::DType::kFloat64, shape, strides);
  check_refused(x, gradient, "must not overlap the input");
  CHECK(memory == before);
  CHECK(bytes == std::vector<std::byte>(400));
}

TEST_CASE("a gradient may lie between the elements of the input") {
  const std::vector<double> before = random_numbers<double>(200);
  const auto matrix = View::matrix<double>;
  for (const taut::Regularizer& regularizer : kRegularizers) {
    std::vector<double> memory = before;
    double* data = memory.data();
    const std::pair<View, View> disjoint[] = {
        {matrix(data, 4, 5, 10, 2), matrix(data + 1, 4, 5, 10, 2)},     // a[::2], a[1::2]
        {matrix(data, 4, 5, 10, 1), matrix(data + 5, 4, 5, 10, 1)},     // blocks of columns
        {matrix(data, 4, 5, 5, 1), matrix(data + 20, 4, 5, 5, 1)},      // neighbours
        {matrix(data + 39, 4, 5, -10, -2), matrix(data, 4, 5, 10, 2)},  // backwards
        {matrix(data + 1, 4, 5, 0, 0), matrix(data, 4, 5, 10, 2)},      // broadcast
        {matrix(data, 0, 5, 5, 1), matrix(data, 0, 5, 5, 1)},           // nothing
    };
    for (const auto& [x, gradient] : disjoint) {
      memory = before;
      const auto alone = value_and_grad<double>(regularizer, x);
      CHECK(taut::value_and_grad(regularizer, x, gradient) == alone.value);
      for (std::size_t i = 0; i < alone.gradient.size(); ++i) {
        const auto* row = static_cast<const std::byte*>(gradient.data()) +
                          static_cast<std::ptrdiff_t>(i / 5) * gradient.stride(0);
        const auto* element = row + static_cast<std::ptrdiff_t>(i % 5) * gradient.stride(1);
        CHECK(*reinterpret_cast<const double*>(element) == alone.gradient[i]);
      }
    }
  }
}

TEST_CASE("the elements of a gradient share no byte with each other") {
  const std::vector<double> before = random_numbers<double>(100);
  std::vector<double> memory = before;
  double* data = memory.data();
  std::vector<double> x(20, 1.0);
  const auto matrix = View::matrix<double>;
  const View overlapping[] = {
      matrix(data, 4, 5, 0, 1), matrix(data, 4, 5, 1, 0),       matrix(data, 4, 5, 0, 0),
      matrix(data, 4, 5, 4, 1), matrix(data + 30, 4, 5, -4, 1), matrix(data, 4, 5, 2, 3),
      matrix(data, 4, 5, 1, 1),
  };
  for (const View& gradient : overlapping) {
    check_refused(contiguous_view(x, {4, 5}), gradient, "must not overlap itself");
  }
  // Strides of less than an element.
  const std::ptrdiff_t shape[] = {4, 5};
  const std::ptrdiff_t strides[] = {40, 7};
  check_refused(contiguous_view(x, {4, 5}), View(data, taut::DType::kFloat64, shape, strides),
                "must not overlap itself");
  CHECK(memory == before);
}

TEST_CASE("strides that look as if elements met are allowed where none do") {
  std::vector<double> memory(100);
  std::vector<double> x(20, 1.0);
  // Rows of 7 and columns of 3: no two sums are equal.
  const View gradient = View::matrix(memory.data(), 3, 4, 3, 7);
  const auto matrix = contiguous_view(x, {3, 4});
  CHECK(taut::value_and_grad(taut::L1{1}, matrix, gradient) == 12);
  // Axes without a second element may have any stride.
  const std::ptrdiff_t shape[] = {1, 4};
  const std::ptrdiff_t strides[] = {0, 8};
  CHECK(taut::value_and_grad(taut::L1{1}, contiguous_view(x, {1, 4}),
                             View(memory.data(), taut::DType::kFloat64, shape, strides)) == 4);
}

}  // namespace
}  // namespace taut_test
