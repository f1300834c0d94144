// L1, L2 and L1L2 against the formulas.

#include <cmath>
#include <limits>
#include <numeric>

#include "check_penalty.hpp"
#include "runtime_guards.hpp"

namespace taut_test {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// Around the 32 lanes, the blocks of 2048, and more than one piece.
constexpr std::size_t kLengths[] = {0,  1,  2,  15, 16,   17,   31,   32,
                                    33, 63, 64, 65, 2047, 2048, 2049, 100003};

template <typename T>
taut::ConstView view_of(const std::vector<T>& numbers) {
  return {numbers.data(), numbers.size()};
}

template <typename T, typename G>
void check_all(const std::vector<double>& numbers) {
  const std::vector<T> x = store<T>(numbers);
  check_penalty<G>(taut::L1{0.3}, view_of(x), elementwise(numbers, 0.3, 0));
  check_penalty<G>(taut::L2{0.07}, view_of(x), elementwise(numbers, 0, 0.07));
  check_penalty<G>(taut::L1L2{0.3, 0.07}, view_of(x), elementwise(numbers, 0.3, 0.07));
}

TEMPLATE_LIST_TEST_CASE("elementwise penalties are what the formulas say at every length", "",
                        EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  at_every_level([] {
    for (const std::size_t length : kLengths) check_all<T, G>(random_numbers<T>(length));
  });
}

TEMPLATE_LIST_TEST_CASE("elementwise penalties of extreme numbers are what the formulas say", "",
                        EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  constexpr Format format = kFormat<T>;
  const double smallest = format.smallest();
  const double smallest_normal = std::ldexp(1.0, format.min_exponent);
  std::vector<double> numbers;
  for (const double number : {0.0, smallest, 3 * smallest, smallest_normal - smallest,
                              smallest_normal, 1.0, format.largest() / 8}) {
    numbers.push_back(number);
    numbers.push_back(-number);
  }
  numbers.resize(21);  // the last vector is not full
  std::iota(numbers.begin() + 16, numbers.end(), 1);
  at_every_level([&] { check_all<T, G>(numbers); });
}

TEMPLATE_LIST_TEST_CASE("subnormal numbers keep their value", "", EveryDtype) {
  using T = typename TestType::Element;
  const double smallest = kFormat<T>.smallest();
  at_every_level([&] {
    const std::vector<T> x = store<T>(std::vector<double>(100, -3 * smallest));
    CHECK(taut::value(taut::L1{1}, view_of(x)) == 300 * smallest);
    using G = typename TestType::Gradient;
    const auto result = value_and_grad<G>(taut::L2{0.5}, view_of(x));
    CHECK(to_doubles(result.gradient) == to_doubles(x));
  });
}

TEMPLATE_LIST_TEST_CASE("NaN and Inf show in the value and at their place of the gradient", "",
                        EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  for (const std::size_t length : Sizes{1, 16, 40, 5000}) {
    for (const double special : {kNan, kInfinity, -kInfinity}) {
      for (const std::size_t place : {std::size_t{0}, length / 2, length - 1}) {
        std::vector<double> numbers = random_numbers<T>(length);
        numbers[place] = special;
        at_every_level([&] { check_all<T, G>(numbers); });
      }
    }
  }
}

TEMPLATE_LIST_TEST_CASE("a zero of either sign has no slope", "", EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  at_every_level([] {
    const std::vector<T> x = store<T>({0.0, -0.0, 1.0, -1.0});
    const auto result = value_and_grad<G>(taut::L1L2{0.5, 0.25}, view_of(x));
    CHECK(to_doubles(result.gradient) == std::vector{0.0, 0.0, 1.0, -1.0});
  });
}

TEMPLATE_LIST_TEST_CASE("a term with a factor of 0 is skipped, NaN or not", "", EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  at_every_level([] {
    const std::vector<T> x = store<T>({kNan, kInfinity, 2.0});
    const std::vector<double> before{1.0, -2.0, 3.0};
    for (const taut::Regularizer& regularizer :
         {taut::Regularizer(taut::L1{0}), taut::Regularizer(taut::L2{0}),
          taut::Regularizer(taut::L1L2{0, 0})}) {
      CHECK(taut::value(regularizer, view_of(x)) == 0);
      const auto overwritten = value_and_grad<G>(regularizer, view_of(x));
      CHECK(overwritten.value == 0);
      CHECK(to_doubles(overwritten.gradient) == std::vector{0.0, 0.0, 0.0});
      const auto accumulated = accumulate_grad<G>(regularizer, view_of(x), before);
      CHECK(to_doubles(accumulated.gradient) == before);
    }
    // L1 alone: Inf² would be met if L2's term were not left out.
    const auto one = value_and_grad<G>(taut::L1L2{0.5, 0}, view_of(store<T>({kInfinity, -2.0})));
    CHECK(to_doubles(one.gradient) == std::vector{0.5, -0.5});
  });
}

TEMPLATE_LIST_TEST_CASE("a sum that a half type could not hold is exact", "", EveryDtype) {
  using T = typename TestType::Element;
  at_every_level([] {
    const std::vector<T> x = store<T>(std::vector<double>(1'000'000, 1.0));
    CHECK(taut::value(taut::L1{0.5}, view_of(x)) == 500'000);
    CHECK(taut::value(taut::L1L2{0.5, 0.25}, view_of(x)) == 750'000);
  });
}

TEST_CASE("a sum that float64 cannot hold is Inf") {
  at_every_level([] {
    const std::vector<double> x{1e200, 1.0};
    CHECK(taut::value(taut::L2{1}, view_of(x)) == kInfinity);
    CHECK(taut::value(taut::L1{1}, view_of(x)) == 1e200);
    const std::vector<double> large(2, std::numeric_limits<double>::max());
    CHECK(taut::value(taut::L1{1}, view_of(large)) == kInfinity);
  });
}

TEST_CASE("the elementwise gradient is the slope of the value") {
  at_every_level([] {
    // The penalty is a parabola on each side of 0, of which a central difference is exact but for
    // the rounding of the two values, some 2⁻⁵³ * value / step each.
    constexpr double kStep = 0x1p-12;
    const taut::L1L2 regularizer{0.3, 0.07};
    std::vector<double> x = random_numbers<double>(37);
    for (double& number : x) number += std::copysign(0.1, number);
    const auto result = value_and_grad<double>(regularizer, view_of(x));
    const double tolerance = 64 * 0x1p-53 * result.value / kStep;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double center = x[i];
      x[i] = center + kStep;
      const double above = taut::value(regularizer, view_of(x));
      x[i] = center - kStep;
      const double below = taut::value(regularizer, view_of(x));
      x[i] = center;
      CHECK(std::abs((above - below) / (2 * kStep) - result.gradient[i]) <= tolerance);
    }
  });
}

TEST_CASE("the factors have Keras's defaults") {
  CHECK(taut::L1{}.l1 == 0.01);
  CHECK(taut::L2{}.l2 == 0.01);
  CHECK(taut::L1L2{}.l1 == 0.0);
  CHECK(taut::L1L2{}.l2 == 0.0);
  CHECK(taut::OrthogonalRegularizer{}.factor == 0.01);
  CHECK(taut::OrthogonalRegularizer{}.mode == taut::Mode::kRows);
}

}  // namespace
}  // namespace taut_test
