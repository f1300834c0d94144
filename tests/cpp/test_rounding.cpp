// A gradient is rounded once, from float64 to its dtype, to the nearest number, ties to even.

#include <cmath>
#include <limits>

#include "check_penalty.hpp"
#include "runtime_guards.hpp"

namespace taut_test {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Writes `exact` as a float64 gradient, and rounds it to a half type.
template <typename Half>
double rounded_gradient(double exact) {
  // A slope of L1 is the factor itself.
  const Half x[] = {from_double<Half>(exact < 0 ? -1 : 1)};
  Half gradient[1];
  taut::value_and_grad(taut::L1{std::abs(exact)}, taut::ConstView(x, 1), taut::View(gradient, 1));
  return to_double(gradient[0]);
}

template <typename Half>
double number_at(int bits) {
  return to_double(Half{static_cast<std::uint16_t>(bits)});
}

template <typename Half>
constexpr int kInfinityBits =
    (kFormat<Half>.max_exponent - kFormat<Half>.min_exponent + 2) << (kFormat<Half>.digits - 1);

TEMPLATE_TEST_CASE("every number of a half type is read as it is", "", Float16, BFloat16) {
  at_every_level([] {
    for (int bits = 0; bits <= kInfinityBits<TestType>; ++bits) {
      const TestType x[] = {{static_cast<std::uint16_t>(bits)}};
      REQUIRE(taut::value(taut::L1{1}, taut::ConstView(x, 1)) == number_at<TestType>(bits));
    }
  });
}

TEMPLATE_TEST_CASE("every number of a half type, every tie between two, and what is next to a tie",
                   "", Float16, BFloat16) {
  at_every_level([] {
    int wrong = 0;
    for (int bits = 0; bits + 1 < kInfinityBits<TestType>; ++bits) {
      const double lower = number_at<TestType>(bits);
      const double upper = number_at<TestType>(bits + 1);
      const double tie = lower / 2 + upper / 2;
      const double even = bits % 2 == 0 ? lower : upper;
      const double sign = bits % 3 == 0 ? -1 : 1;
      wrong += rounded_gradient<TestType>(sign * lower) != sign * lower;
      wrong += rounded_gradient<TestType>(sign * tie) != sign * even;
      wrong += rounded_gradient<TestType>(sign * std::nextafter(tie, 0.0)) != sign * lower;
      wrong += rounded_gradient<TestType>(sign * std::nextafter(tie, kInfinity)) != sign * upper;
    }
    CHECK(wrong == 0);
  });
}

TEMPLATE_TEST_CASE("what is too large for a half type is Inf", "", Float16, BFloat16) {
  at_every_level([] {
    const Format format = kFormat<TestType>;
    // Halfway to what would be the next number, which is even.
    const double tie = format.largest() * (1 + format.roundoff() / (2 - 2 * format.roundoff()));
    for (const double sign : {1.0, -1.0}) {
      const double below = std::nextafter(tie, 0.0);
      CHECK(rounded_gradient<TestType>(sign * below) == sign * format.largest());
      for (const double large : {tie, 2 * tie, 1e300, std::numeric_limits<double>::max()}) {
        CHECK(rounded_gradient<TestType>(sign * large) == sign * kInfinity);
      }
    }
  });
}

TEMPLATE_TEST_CASE("what is too small for a half type is 0", "", Float16, BFloat16) {
  at_every_level([] {
    const double smallest = kFormat<TestType>.smallest();
    for (const double sign : {1.0, -1.0}) {
      CHECK(rounded_gradient<TestType>(sign * smallest / 2) == 0);
      CHECK(rounded_gradient<TestType>(sign * 1e-300) == 0);
      CHECK(rounded_gradient<TestType>(sign * std::nextafter(smallest / 2, 1.0)) ==
            sign * smallest);
    }
  });
}

// Every number of a half type in turn, so that each lane meets each kind of number.
template <typename Half>
std::vector<Half> every_number() {
  std::vector<Half> numbers;
  for (unsigned bits = 0; bits < 0x10000; ++bits) {
    numbers.push_back({static_cast<std::uint16_t>(bits)});
  }
  return numbers;
}

using HalfDtypes =
    std::tuple<Dtypes<Float16>, Dtypes<BFloat16>, Dtypes<Float16, float>, Dtypes<BFloat16, float>>;

// What the kernels compute in float64 and then round.
double slope_of(double x, double sign, double linear) {
  if (sign == 0) return x * linear;
  const double signed_slope = x == 0 ? 0 : std::isnan(x) ? x : std::copysign(1.0, x) * sign;
  return linear == 0 ? signed_slope : x * linear + signed_slope;
}

// Gradients that make a sum near 0, near a tie, 0, or none of these.
template <typename G>
std::vector<double> gradients_beside(const std::vector<double>& slopes) {
  std::vector<double> before = random_numbers<G>(slopes.size());
  for (std::size_t i = 0; i < slopes.size(); ++i) {
    const double rounded = to_double(from_double<G>(slopes[i]));
    if (i % 5 == 1 && std::isfinite(rounded)) before[i] = -rounded;
    if (i % 5 == 2 && std::isfinite(rounded)) before[i] = to_double(from_double<G>(rounded * 200));
    if (i % 5 == 3) before[i] = i % 2 == 0 ? 0.0 : -0.0;
  }
  return before;
}

TEMPLATE_LIST_TEST_CASE("slopes are rounded as the float64 expression is", "", HalfDtypes) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  const std::vector<T> x = every_number<T>();
  const taut::ConstView view(x.data(), x.size());
  const std::vector<taut::L1L2> factors{{0, 0.5}, {1, 0}, {1, 0.5}, {3e-5, 0.7}};
  for (const taut::L1L2& regularizer : factors) {
    for (const double scale : {1.0, 0.1, -3e-5, 12345.678, 1e-40, 1e-45, 1e-60, -1e40}) {
      const double sign = scale * regularizer.l1;
      const double linear = 2 * (scale * regularizer.l2);
      std::vector<double> slopes;
      for (const T number : x) slopes.push_back(slope_of(to_double(number), sign, linear));
      const std::vector<double> before = gradients_beside<G>(slopes);
      std::vector<G> overwritten;
      std::vector<G> accumulated;
      for (std::size_t i = 0; i < x.size(); ++i) {
        overwritten.push_back(from_double<G>(slopes[i]));
        accumulated.push_back(from_double<G>(slopes[i] + before[i]));
      }
      INFO("l1 " << regularizer.l1 << ", l2 " << regularizer.l2 << ", scale " << scale);
      at_every_level([&] {
        CHECK(same_bits(value_and_grad<G>(regularizer, view, scale).gradient, overwritten));
        CHECK(
            same_bits(accumulate_grad<G>(regularizer, view, before, scale).gradient, accumulated));
      });
    }
  }
}

TEMPLATE_LIST_TEST_CASE("zeros, and what rounds to them, have the sign of the float64 expression",
                        "", EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  const double smallest = kFormat<T>.smallest();
  const std::vector<double> kinds{0.0, -0.0, smallest, -smallest, 8 * smallest, -8 * smallest};
  std::vector<double> numbers;
  std::vector<double> before;
  for (const double number : kinds) {
    for (const double zero : {0.0, -0.0}) {
      // As many as the lanes of every level, so that none is decided by its neighbours.
      numbers.insert(numbers.end(), 32, number);
      before.insert(before.end(), 32, zero);
    }
  }
  const std::vector<T> x = store<T>(numbers);
  for (const taut::L1L2& regularizer : {taut::L1L2{0, 0.5}, {1, 0}, {1, 0.5}}) {
    for (const double scale : {1.0, -1.0, 1e-30, -1e-30, 1e-38, -1e-38, 0.0, -0.0}) {
      const double sign = scale * regularizer.l1;
      const double linear = 2 * (scale * regularizer.l2);
      std::vector<G> overwritten;
      std::vector<G> accumulated;
      for (std::size_t i = 0; i < numbers.size(); ++i) {
        const double signed_slope = numbers[i] == 0 ? 0 : std::copysign(1.0, numbers[i]) * sign;
        const double product = numbers[i] * linear;
        const double slope = regularizer.l1 == 0   ? product
                             : regularizer.l2 == 0 ? signed_slope
                                                   : product + signed_slope;
        overwritten.push_back(from_double<G>(slope));
        accumulated.push_back(from_double<G>(slope + before[i]));
      }
      INFO("l1 " << regularizer.l1 << ", l2 " << regularizer.l2 << ", scale " << scale);
      at_every_level([&] {
        const taut::ConstView view(x.data(), x.size());
        CHECK(same_bits(value_and_grad<G>(regularizer, view, scale).gradient, overwritten));
        CHECK(
            same_bits(accumulate_grad<G>(regularizer, view, before, scale).gradient, accumulated));
      });
    }
  }
}

TEST_CASE("a gradient whose float32 sum would be a tie is rounded from float64") {
  at_every_level([] {
    // 1 + 2⁻¹¹ + 2⁻³⁰ is above the tie between 1 and the next Float16; rounding it to float32 first
    // would make it that tie, and then 1.
    CHECK(rounded_gradient<Float16>(1 + 0x1p-11 + 0x1p-30) == 1 + 0x1p-10);
    CHECK(rounded_gradient<BFloat16>(1 + 0x1p-8 + 0x1p-30) == 1 + 0x1p-7);
  });
}

TEMPLATE_LIST_TEST_CASE("the scale is applied before the rounding", "", EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  at_every_level([] {
    const std::vector<T> x = store<T>({1.0, -1.0});
    const taut::ConstView view(x.data(), x.size());
    // 1e-30 is 0 as a Float16, and not when it has been scaled.
    const auto scaled = value_and_grad<G>(taut::L1{1e-30}, view, 0x1p10 * 1e30);
    CHECK(to_doubles(scaled.gradient) == std::vector{1024.0, -1024.0});
    CHECK(scaled.value == 2e-30);
  });
}

}  // namespace
}  // namespace taut_test
