// The orthogonal penalty of vectors of any magnitude, and of those that are none.

#include <cmath>
#include <limits>
#include <random>

#include "check_penalty.hpp"
#include "runtime_guards.hpp"

namespace taut_test {
namespace {

using Numbers = std::vector<double>;

template <typename T>
taut::ConstView matrix(const std::vector<T>& x, std::size_t rows) {
  const std::size_t columns = x.size() / rows;
  return taut::ConstView::matrix(x.data(), rows, columns, static_cast<std::ptrdiff_t>(columns));
}

// Rows of random numbers, row i times magnitudes[i].
template <typename T, typename G>
void check_rows(const Numbers& magnitudes) {
  constexpr std::size_t kColumns = 21;
  Numbers numbers = random_numbers<T>(magnitudes.size() * kColumns);
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    numbers[i] = round_to(kFormat<T>, numbers[i] / 2 * magnitudes[i / kColumns]);
  }
  const std::vector<T> x = store<T>(numbers);
  const Reference reference =
      gram(numbers, magnitudes.size(), kColumns, taut::Mode::kRows, taut::DTypeOf<T>::value);
  at_every_level([&] {
    check_penalty<G>(taut::OrthogonalRegularizer{.factor = 1}, matrix(x, magnitudes.size()),
                     reference);
  });
}

TEMPLATE_LIST_TEST_CASE("vectors near and below the smallest norm are divided by that", "",
                        EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  check_rows<T, G>({1, 1e-6, 1});
  check_rows<T, G>({1e-7, 1, 3e-8, 1e-8, 2});
  check_rows<T, G>({5e-8, 5e-8});
}

TEST_CASE("a tiny row") {
  check_rows<double, double>({1, 1e-30, 1, 1});
  check_rows<float, float>({1, 1e-30, 1, 1});
  check_rows<BFloat16, BFloat16>({1, 1e-30, 1, 1});
  check_rows<double, double>({1e-30, 1e-30});
  check_rows<float, float>({1e-30, 1e-30});
}

TEMPLATE_LIST_TEST_CASE("subnormal rows", "", EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  const double subnormal = std::ldexp(1.0, kFormat<T>.min_exponent);
  check_rows<T, G>({1, subnormal, 1, 1});
  check_rows<T, G>({subnormal, subnormal, subnormal / 8});
  check_rows<T, G>({kFormat<T>.smallest(), 1, 1});
}

TEMPLATE_LIST_TEST_CASE("the largest rows do not overflow", "", EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  const double largest = kFormat<T>.largest();
  check_rows<T, G>({largest, largest, largest});
  check_rows<T, G>({1, largest, 1});
}

// Powers of two are exact, so that the bits tell nobody which vectors are multiplied as they are,
// and which are scaled before: from 2^32 on, and below 2^-32. All numbers have one sign, so that
// dot products are as large as may be.
TEMPLATE_TEST_CASE("a power of two changes no digit of a penalty", "", double, float, BFloat16) {
  using T = TestType;
  constexpr std::size_t kRows = 3;
  Numbers numbers = random_numbers<T>(kRows * 1000);
  for (double& number : numbers) number = round_to(kFormat<T>, 0.5 + std::abs(number) / 5);
  const auto penalty_of = [&](int exponent, int scale_exponent) {
    Numbers scaled = numbers;
    for (double& number : scaled) number = std::ldexp(number, exponent);
    const std::vector<T> x = store<T>(scaled);
    return value_and_grad<T>(taut::OrthogonalRegularizer{.factor = 1}, matrix(x, kRows),
                             std::ldexp(1.0, scale_exponent));
  };
  at_every_level([&] {
    const Result<T> plain = penalty_of(0, 0);
    for (int exponent = -27; exponent <= 100; ++exponent) {
      INFO("times 2^" << exponent);
      const Result<T> scaled = penalty_of(exponent, exponent);
      CHECK(same_bits(scaled.value, plain.value));
      CHECK(same_bits(scaled.gradient, plain.gradient));
    }
    // From here on all norms are below the smallest one, by which vectors are divided then.
    constexpr int kClamped = -28;
    const Result<T> clamped = penalty_of(kClamped, 0);
    for (int exponent = kClamped; exponent >= -100; --exponent) {
      INFO("times 2^" << exponent);
      const Result<T> scaled = penalty_of(exponent, kClamped - exponent);
      CHECK(same_bits(scaled.value, std::ldexp(clamped.value, 2 * (exponent - kClamped))));
      CHECK(same_bits(scaled.gradient, clamped.gradient));
    }
  });
}

TEMPLATE_LIST_TEST_CASE("the largest number of a dtype is a number", "", EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  const double largest = kFormat<T>.largest();
  const Numbers numbers{largest, largest, largest, -largest / 2, 1, largest};
  const std::vector<T> x = store<T>(numbers);
  const Reference reference = gram(numbers, 3, 2, taut::Mode::kRows, taut::DTypeOf<T>::value);
  at_every_level(
      [&] { check_penalty<G>(taut::OrthogonalRegularizer{.factor = 1}, matrix(x, 3), reference); });
}

TEST_CASE("huge and tiny rows of float64") {
  check_rows<double, double>({1e300, 1e300, 1e300, 1e300});
  check_rows<double, double>({1e300, 1, 1e-300, 1e-5, 1e200});
  check_rows<double, double>({1e-300, 1e-310, 1e-320});
}

// The gradient of tiny rows is that of their direction times 1e7: it may be far smaller than what a
// direction is multiplied with.
TEST_CASE("a scale is no limit to the gradient's range") {
  const Numbers rows{0x1p-330, 0, 0x1p-330, 0x1p-330};
  const taut::OrthogonalRegularizer regularizer{.factor = 1};
  at_every_level([&] {
    const auto plain = value_and_grad<double>(regularizer, matrix(rows, 2));
    for (const int exponent : {990, 1010, 1023}) {
      const auto scaled =
          value_and_grad<double>(regularizer, matrix(rows, 2), std::ldexp(1.0, exponent));
      const taut::OrthogonalRegularizer large{.factor = std::ldexp(1.0, exponent)};
      const auto multiplied = value_and_grad<double>(large, matrix(rows, 2), 0x1p200);
      for (std::size_t i = 0; i < rows.size(); ++i) {
        CHECK(scaled.gradient[i] == std::ldexp(plain.gradient[i], exponent));
        CHECK(multiplied.gradient[i] == std::ldexp(plain.gradient[i], exponent + 200));
      }
    }
    // Columns, which are written in turned squares.
    const Numbers turned{0x1p-330, 0x1p-330, 0, 0x1p-330};
    const auto columns = value_and_grad<double>(
        taut::OrthogonalRegularizer{.factor = 1, .mode = taut::Mode::kColumns}, matrix(turned, 2),
        0x1p1010);
    CHECK(columns.gradient[0] == std::ldexp(plain.gradient[0], 1010));
    CHECK(columns.gradient[1] == std::ldexp(plain.gradient[2], 1010));
  });
}

TEMPLATE_LIST_TEST_CASE("the norm of the smallest length is neither clamped nor not", "",
                        EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  // Just below and above: the gradient with respect to a clamped vector has no projection.
  check_rows<T, G>({9e-8 * 2 / std::sqrt(7), 1, 1});
  check_rows<T, G>({1.1e-7 * 2 / std::sqrt(7), 1, 1});
}

// The sign of a pair of vectors, as the gradient has it. Each has a coordinate that the other
// lacks; there the gradient is the other one's direction, times the sign.
template <typename T, typename G>
double sign_of_pair(Numbers first, Numbers second, double first_own = 1, double second_own = 1) {
  const std::size_t columns = first.size() + 2;
  first.insert(first.end(), {first_own, 0});
  second.insert(second.end(), {0, second_own});
  Numbers numbers = first;
  numbers.insert(numbers.end(), second.begin(), second.end());
  const std::vector<T> x = store<T>(numbers);
  // So that a gradient is near 1, if it is not 0.
  const double scale = std::max(std::abs(first_own), std::abs(second_own));
  const auto result =
      value_and_grad<G>(taut::OrthogonalRegularizer{.factor = 1}, matrix(x, 2), scale);
  const double slope = to_double(result.gradient[columns - 1]);
  CHECK(sign(slope) == sign(to_double(result.gradient[2 * columns - 2])));
  if (slope == 0) CHECK(result.value == 0);
  return static_cast<double>(sign(slope));
}

TEMPLATE_LIST_TEST_CASE("a pair has its sign where all its products are below the range", "",
                        EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  const Format format = kFormat<T>;
  const double smallest = format.smallest();
  const double more = 1 + 2 * format.roundoff();
  at_every_level([&] {
    CHECK(sign_of_pair<T, G>({smallest}, {smallest}) == 1);
    CHECK(sign_of_pair<T, G>({smallest}, {-smallest}) == -1);
    // From where products are whole, over where they lose digits, to where they are lost.
    for (int exponent = format.min_exponent / 4; exponent > format.min_exponent; --exponent) {
      INFO("exponent " << exponent);
      const double tiny = std::ldexp(1.0, exponent);
      CHECK(sign_of_pair<T, G>({tiny}, {tiny}) == 1);
      CHECK(sign_of_pair<T, G>({-tiny}, {tiny}) == -1);
      CHECK(sign_of_pair<T, G>({tiny, tiny}, {tiny, -tiny}) == 0);
      CHECK(sign_of_pair<T, G>({tiny, tiny}, {tiny, -tiny * more}) == -1);
      CHECK(sign_of_pair<T, G>({tiny * more, tiny}, {tiny, -tiny}) == 1);
      CHECK(sign_of_pair<T, G>({3 * tiny, tiny, -2 * tiny}, {tiny, -tiny, tiny}) == 0);
      CHECK(sign_of_pair<T, G>(Numbers(300, tiny), Numbers(300, -tiny)) == -1);
      CHECK(sign_of_pair<T, G>({tiny, 0, tiny}, {0, tiny, 0}) == 0);
    }
  });
}

TEST_CASE("a pair has its sign where numbers are lost beside a very large one") {
  at_every_level([] {
    for (const double sign : {1.0, -1.0}) {
      CHECK(sign_of_pair<float, float>({1e-12}, {sign}, 1e35, 1) == sign);
      CHECK(sign_of_pair<float, float>({1e-45}, {sign * 1e-45}, 3e38, 3e38) == sign);
      CHECK(sign_of_pair<float, float>({1e-12, 1e-12}, {sign, -sign}, 1e35, 1) == 0);
      CHECK(sign_of_pair<float, float>({1e-12, 3e-12}, {sign, -sign}, 1e35, 1) == -sign);
      CHECK(sign_of_pair<BFloat16, BFloat16>({1e-12}, {sign}, 1e35, 1) == sign);
      CHECK(sign_of_pair<BFloat16, float>({1e-38}, {sign * 1e-38}, 1e35, 1e38) == sign);
      CHECK(sign_of_pair<double, double>({1e-300}, {sign}, 1e300, 1) == sign);
      CHECK(sign_of_pair<double, double>({5e-324}, {sign * 5e-324}, 1e308, 1e308) == sign);
      CHECK(sign_of_pair<double, double>({1e-300, 3e-300}, {sign, -sign}, 1e300, 1) == -sign);
    }
  });
}

TEST_CASE("products below the range decide where larger ones cancel to 0") {
  at_every_level([] {
    for (const double sign : {1.0, -1.0}) {
      CHECK(sign_of_pair<float, float>({1, 1, 1e-24}, {1, -1, sign * 1e-24}) == sign);
      CHECK(sign_of_pair<double, double>({1, 1, 1e-200}, {1, -1, sign * 1e-200}) == sign);
      CHECK(sign_of_pair<double, double>({1e150, 1, 1e-200}, {1, -1e150, sign * 1e-200}) == sign);
    }
  });
}

// Numbers of all magnitudes that T has, with some zeros, in rows none of whose dot products is in
// doubt: so the reference allows no sign but the right one.
template <typename T>
Numbers numbers_of_the_whole_range(std::size_t rows, std::size_t columns, std::mt19937_64& random) {
  const Format format = kFormat<T>;
  std::uniform_int_distribution<int> exponents(format.min_exponent - format.digits + 1,
                                               format.max_exponent - 1);
  std::uniform_real_distribution<double> significands(1, 2);
  const auto number = [&] {
    if (random() % 3 == 0) return 0.0;
    const double magnitude = std::ldexp(significands(random), exponents(random));
    return round_to(format, random() % 2 == 0 ? magnitude : -magnitude);
  };
  const auto is_in_doubt = [&](const Numbers& numbers) {
    const std::size_t last = numbers.size() - columns;
    for (std::size_t other = 0; other < last; other += columns) {
      Real dot = 0;
      Real absolute = 0;
      for (std::size_t k = 0; k < columns; ++k) {
        const Real product = static_cast<Real>(numbers[other + k]) * numbers[last + k];
        dot += product;
        absolute += std::abs(product);
      }
      if (std::abs(dot) < absolute / 64) return true;
    }
    return false;
  };
  Numbers numbers;
  while (numbers.size() < rows * columns) {
    for (std::size_t k = 0; k < columns; ++k) numbers.push_back(number());
    if (is_in_doubt(numbers)) numbers.resize(numbers.size() - columns);
  }
  return numbers;
}

TEMPLATE_LIST_TEST_CASE("numbers of all magnitudes that the dtype has", "", EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  std::mt19937_64 random(3);
  for (int i = 0; i < 60; ++i) {
    const std::size_t rows = i < 40 ? 2 : 7;
    constexpr std::size_t kColumns = 6;
    const Numbers numbers = numbers_of_the_whole_range<T>(rows, kColumns, random);
    const std::vector<T> x = store<T>(numbers);
    const Reference reference =
        gram(numbers, rows, kColumns, taut::Mode::kRows, taut::DTypeOf<T>::value);
    INFO("numbers " << Catch::Detail::stringify(numbers));
    at_every_level([&] {
      check_penalty<G>(taut::OrthogonalRegularizer{.factor = 1}, matrix(x, rows), reference);
    });
  }
}

TEMPLATE_LIST_TEST_CASE("numbers of all magnitudes have the same bits for all threads and levels",
                        "", EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  std::mt19937_64 random(5);
  constexpr std::size_t kRows = 400;
  const std::vector<T> x = store<T>(numbers_of_the_whole_range<T>(kRows, 3, random));
  const auto compute = [&](int count) {
    const UsedThreads threads(count);
    return value_and_grad<G>(taut::OrthogonalRegularizer{.factor = 1}, matrix(x, kRows), 1e4);
  };
  std::vector<Result<G>> results;
  for (const std::string_view name : taut::available_levels()) {
    const UsedLevel level(name);
    const Result<G> one = compute(1);
    const Result<G> three = compute(3);
    CHECK(same_bits(one.value, three.value));
    CHECK(same_bits(one.gradient, three.gradient));
    if (name != "x86-64-v2") results.push_back(one);
  }
  for (const Result<G>& result : results) {
    CHECK(same_bits(result.value, results[0].value));
    CHECK(same_bits(result.gradient, results[0].gradient));
  }
}

TEMPLATE_LIST_TEST_CASE("one number that is not finite makes everything NaN", "", EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  at_every_level([] {
    for (const std::size_t rows : Sizes{2, 30, 200}) {
      for (const double special : {std::nan(""), kInfinity, -kInfinity}) {
        for (const std::size_t place : {std::size_t{0}, rows * 9 / 2, rows * 9 - 1}) {
          Numbers numbers = random_numbers<T>(rows * 9);
          numbers[place] = special;
          const std::vector<T> x = store<T>(numbers);
          const taut::OrthogonalRegularizer regularizer;
          CHECK(std::isnan(taut::value(regularizer, matrix(x, rows))));
          const auto overwritten = value_and_grad<G>(regularizer, matrix(x, rows));
          const auto accumulated =
              accumulate_grad<G>(regularizer, matrix(x, rows), Numbers(x.size(), 1.0));
          CHECK(std::isnan(overwritten.value));
          CHECK(std::isnan(accumulated.value));
          const std::vector<G> all_nan(x.size(), from_double<G>(std::nan("")));
          CHECK(same_bits(overwritten.gradient, all_nan));
          CHECK(same_bits(accumulated.gradient, all_nan));
        }
      }
    }
  });
}

}  // namespace
}  // namespace taut_test
