// The orthogonal penalty of vectors of any magnitude, and of those that are none.

#include <cmath>
#include <limits>

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

TEST_CASE("huge and tiny rows of float64") {
  check_rows<double, double>({1e300, 1e300, 1e300, 1e300});
  check_rows<double, double>({1e300, 1, 1e-300, 1e-5, 1e200});
  check_rows<double, double>({1e-300, 1e-310, 1e-320});
}

TEMPLATE_LIST_TEST_CASE("the norm of the smallest length is neither clamped nor not", "",
                        EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  // Just below and above: the gradient with respect to a clamped vector has no projection.
  check_rows<T, G>({9e-8 * 2 / std::sqrt(7), 1, 1});
  check_rows<T, G>({1.1e-7 * 2 / std::sqrt(7), 1, 1});
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
