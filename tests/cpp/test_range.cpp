// Results that float64 can hold, of intermediates that it cannot.

#include <cfloat>
#include <cmath>

#include "check_penalty.hpp"
#include "runtime_guards.hpp"

namespace taut_test {
namespace {

using taut::ConstView;
using taut::L1;
using taut::L1L2;
using taut::L2;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

bool is_near(double computed, double exact) {
  return std::abs(computed - exact) <= 1e-14 * std::abs(exact);
}

TEST_CASE("squares beyond float64's range, of penalties within it") {
  struct Case {
    double x;
    double l2;
    double value;
  };
  for (const auto& [x, l2, value] :
       {Case{1e200, 1e-300, 1e100}, Case{1e-200, 1e300, 1e-100}, Case{1e-160, 1e300, 1e-20},
        Case{1e160, 1e-30, 1e290}, Case{1e-170, 1e40, 1e-300}, Case{5e-324, 1e300, 0}}) {
    for (const std::size_t count : {1u, 7u, 40'000u}) {
      INFO("x " << x << ", l2 " << l2 << ", elements " << count);
      const std::vector<double> numbers(count, x);
      const double expected = value * static_cast<double>(count);
      CHECK(is_near(taut::value(L2{l2}, ConstView(numbers)), expected));
      CHECK(is_near(taut::value(L1L2{0, l2}, ConstView(numbers)), expected));
      const auto result = value_and_grad<double>(L2{l2}, ConstView(numbers));
      CHECK(is_near(result.value, expected));
      CHECK(is_near(result.gradient.back(), 2 * (l2 * x)));
    }
  }
}

TEST_CASE("sums beyond float64's range, of penalties within it") {
  const std::vector<double> numbers(40'000, -DBL_MAX);
  CHECK(is_near(taut::value(L1{1e-10}, ConstView(numbers)), 4e-6 * DBL_MAX));
  const double both = 4e-6 * DBL_MAX + 1e-305 * DBL_MAX * (4e-6 * DBL_MAX);
  CHECK(std::abs(taut::value(L1L2{1e-10, 1e-315}, ConstView(numbers)) - both) <= 1e-8 * both);
  CHECK(taut::value(L1{1}, ConstView(numbers)) == kInfinity);
}

TEST_CASE("large, small and no numbers together") {
  std::vector<double> numbers{1e200, 1e-200, 0, -3e200, 5, -0.0};
  CHECK(is_near(taut::value(L2{1e-300}, ConstView(numbers)), 1e101));
  numbers[1] = kInfinity;
  CHECK(taut::value(L2{1e-300}, ConstView(numbers)) == kInfinity);
  numbers[1] = std::nan("");
  CHECK(std::isnan(taut::value(L2{1e-300}, ConstView(numbers))));
  const std::vector<double> zeros(50, -0.0);
  CHECK(taut::value(L2{1}, ConstView(zeros)) == 0);
}

TEST_CASE("factors and scales whose product is beyond float64's range") {
  struct Case {
    double scale;
    double l2;
    double x;
    double slope;
  };
  for (const auto& [scale, l2, x, slope] :
       {Case{1e300, 1e-160, 1e-160, 2e-20}, Case{1e-160, 1e-160, 1e300, 2e-20},
        Case{1e200, 1e200, 1e-300, 2e100}, Case{-1e300, 1e300, 1e-320, -2e280},
        Case{1e-300, 1e-300, 1e308, 2e-292}, Case{1e-310, 1e-300, 1e308, 2e-302},
        Case{1e300, 1e300, 1, kInfinity}, Case{1e300, 1e300, 0, 0}}) {
    INFO("scale " << scale << ", l2 " << l2 << ", x " << x);
    const std::vector<double> numbers{x, -x, x};
    for (const double l1 : {0.0, 1e-200}) {
      const L1L2 regularizer{l1, l2};
      const double sign = x == 0 ? 0 : scale * l1;
      const auto result = value_and_grad<double>(regularizer, ConstView(numbers), scale);
      // As decimals they are given with the digits that they have.
      const double rounding = x != 0 && (x < DBL_MIN || std::abs(scale) < DBL_MIN) ? 1e-3 : 1e-14;
      const double expected = slope + sign;
      CHECK((result.gradient[0] == expected ||
             std::abs(result.gradient[0] - expected) <= rounding * std::abs(expected)));
      CHECK(result.gradient[1] == -result.gradient[0]);
      const auto accumulated =
          accumulate_grad<double>(regularizer, ConstView(numbers), {1, 1, 1}, scale);
      CHECK((accumulated.gradient[0] == 1 + expected ||
             std::abs(accumulated.gradient[0] - 1 - expected) <= rounding * std::abs(expected)));
      CHECK(same_bits(result.value, taut::value(regularizer, ConstView(numbers))));
    }
  }
}

TEST_CASE("subnormal numbers are multiplied with all their digits") {
  const double smallest = std::ldexp(1.0, -1074);
  const std::vector<double> x{smallest, 3 * smallest, -5 * smallest, 1e-320};
  const double scale = std::ldexp(1.5, 900);
  const double l2 = std::ldexp(1.25, 1000);
  const auto result = value_and_grad<double>(L2{l2}, ConstView(x), scale);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double digits = x[i] / smallest;
    CHECK(result.gradient[i] == std::ldexp(2 * 1.5 * 1.25 * digits, 900 + 1000 - 1074));
  }
}

TEST_CASE("a factor that is beyond float64's range leaves a zero of any dtype zero") {
  std::apply(
      [](auto... dtypes) {
        const auto check = [](auto dtype) {
          using T = typename decltype(dtype)::Element;
          using G = typename decltype(dtype)::Gradient;
          const std::vector<T> x = store<T>({0, 1, -1});
          const auto result = value_and_grad<G>(L2{1e300}, ConstView(x), 1e300);
          CHECK(to_double(result.gradient[0]) == 0);
          CHECK(to_double(result.gradient[1]) == kInfinity);
          CHECK(to_double(result.gradient[2]) == -kInfinity);
        };
        (check(dtypes), ...);
      },
      EveryDtype());
}

TEST_CASE("an orthogonal penalty's scale and factor, whose product is beyond float64's range") {
  const std::vector<double> x{3e150, 4e150, 4e150, -2e150};
  const auto ordinary =
      value_and_grad<double>(taut::OrthogonalRegularizer{1}, ConstView::matrix(x, 2, 2));
  const auto large =
      value_and_grad<double>(taut::OrthogonalRegularizer{1e200}, ConstView::matrix(x, 2, 2), 1e200);
  const std::vector<double> tiny{3e-5, 4e-5, 4e-5, -2e-5};
  const auto middle =
      value_and_grad<double>(taut::OrthogonalRegularizer{1}, ConstView::matrix(tiny, 2, 2));
  const auto small = value_and_grad<double>(taut::OrthogonalRegularizer{1e-160},
                                            ConstView::matrix(tiny, 2, 2), 1e-152);
  for (std::size_t i = 0; i < x.size(); ++i) {
    CHECK(is_near(large.gradient[i] / 1e200 / 1e200, ordinary.gradient[i]));
    CHECK(std::abs(small.gradient[i] * 1e160 * 1e152 - middle.gradient[i]) <=
          1e-3 * std::abs(middle.gradient[i]));
  }
}

TEST_CASE("an orthogonal penalty's factor beyond float64's range leaves a slope of 0 zero") {
  std::apply(
      [](auto... dtypes) {
        const auto check = [](auto dtype) {
          using T = typename decltype(dtype)::Element;
          using G = typename decltype(dtype)::Gradient;
          const std::vector<T> orthogonal = store<T>({1, 0, 0, 1});
          const auto none = value_and_grad<G>(taut::OrthogonalRegularizer{1e200},
                                              ConstView::matrix(orthogonal, 2, 2), 1e200);
          for (const G slope : none.gradient) CHECK(to_double(slope) == 0);
          const std::vector<T> with_zero = store<T>({1, 2, 2, 1, 0, 0});
          const auto some = value_and_grad<G>(taut::OrthogonalRegularizer{1e200},
                                              ConstView::matrix(with_zero, 3, 2), 1e105);
          CHECK(to_double(some.gradient[4]) == 0);
          CHECK(to_double(some.gradient[5]) == 0);
          CHECK_FALSE(std::isnan(to_double(some.gradient[0])));
        };
        (check(dtypes), ...);
      },
      EveryDtype());
}

}  // namespace
}  // namespace taut_test
