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

TEMPLATE_LIST_TEST_CASE("slopes are rounded as the float64 expression is", "", HalfDtypes) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  const std::vector<T> x = every_number<T>();
  const std::vector<double> before = random_numbers<G>(x.size());
  for (const double slope : {1.0, 0.1, -3e-5, 12345.678}) {
    std::vector<G> overwritten;
    std::vector<G> accumulated;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double exact = to_double(x[i]) * slope;
      overwritten.push_back(from_double<G>(exact));
      accumulated.push_back(from_double<G>(exact + before[i]));
    }
    at_every_level([&] {
      const taut::ConstView view(x.data(), x.size());
      // L2{0.5} has a slope of x.
      CHECK(same_bits(value_and_grad<G>(taut::L2{0.5}, view, slope).gradient, overwritten));
      CHECK(
          same_bits(accumulate_grad<G>(taut::L2{0.5}, view, before, slope).gradient, accumulated));
    });
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
