// The proximal step against its formula.

#include <cmath>
#include <limits>
#include <numeric>

#include "check_penalty.hpp"
#include "runtime_guards.hpp"
#include "strided.hpp"

namespace taut_test {
namespace {

using taut::View;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kStep = 0.7;

// Around the 32 lanes, the blocks of 2048, and more than one piece.
constexpr std::size_t kLengths[] = {0, 1, 15, 16, 17, 31, 33, 2047, 2048, 2049, 40000};

struct Case {
  taut::Regularizer regularizer;
  double l1;
  double l2;
};
const Case kCases[] = {
    {taut::L1{0.3}, 0.3, 0},
    {taut::L2{0.07}, 0, 0.07},
    {taut::L1L2{0.3, 0.07}, 0.3, 0.07},
};

template <typename T>
std::vector<T> prox(const taut::Regularizer& regularizer, std::vector<T> x, double step) {
  taut::prox(regularizer, View(x.data(), x.size()), step);
  return x;
}

// Says where `computed` is not what becomes of x.
template <typename T>
std::string prox_error(const Case& test, Real step, const std::vector<T>& x,
                       const std::vector<T>& computed) {
  const Real threshold = step * test.l1;
  const Real divisor = 1 + 2 * step * test.l2;
  Reference reference;
  for (const Real number : to_doubles(x)) {
    const Real left = std::abs(number) - threshold;
    const Real exact = left < 0 ? 0 : std::copysign(left / divisor, number);
    reference.gradient.push_back(exact);
    // The threshold is a rounded product. The difference, the three operations of 1 / divisor and
    // the last product are rounded too; of these gradient_error allows for four.
    reference.gradient_tolerance.push_back(
        2 * kRoundoff64 * (threshold / divisor + std::abs(exact)) + kSmallest64);
  }
  return gradient_error(reference, 1, {}, computed);
}

template <typename T>
void check_all(const std::vector<double>& numbers, double step) {
  const std::vector<T> x = store<T>(numbers);
  for (const Case& test : kCases) {
    INFO("length " << x.size() << ", l1 " << test.l1 << ", l2 " << test.l2 << ", step " << step);
    CHECK(prox_error(test, step, x, prox(test.regularizer, x, step)) == "");
  }
}

TEMPLATE_TEST_CASE("a proximal step is what the formula says at every length", "", double, float,
                   Float16, BFloat16) {
  at_every_level([] {
    for (const std::size_t length : kLengths) {
      check_all<TestType>(random_numbers<TestType>(length), kStep);
      // What comes after the array stays.
      std::vector<TestType> x = store<TestType>(std::vector<double>(length + 40, 5.0));
      taut::prox(taut::L1{1}, View(x.data(), length), 2);
      std::vector<double> expected(length, 3.0);
      expected.resize(length + 40, 5.0);
      CHECK(to_doubles(x) == expected);
    }
  });
}

TEMPLATE_TEST_CASE("a proximal step of extreme numbers, NaN and Inf is what the formula says", "",
                   double, float, Float16, BFloat16) {
  constexpr Format format = kFormat<TestType>;
  const double smallest = format.smallest();
  const double normal = std::ldexp(1.0, format.min_exponent);
  std::vector<double> numbers;
  for (const double number : {0.0, smallest, 3 * smallest, normal - smallest, normal, 1.0,
                              format.largest(), kInfinity, kNan}) {
    numbers.push_back(number);
    numbers.push_back(-number);
  }
  numbers.resize(37);  // the last vector is not full
  std::iota(numbers.begin() + 18, numbers.end(), -9);
  at_every_level([&] {
    for (const double step : {0.0, 1e-300, kStep, 1e6}) check_all<TestType>(numbers, step);
  });
}

TEMPLATE_TEST_CASE("L1 leaves +0 of what is no farther from 0 than it moves", "", double, float,
                   Float16, BFloat16) {
  const double unit = 2 * kFormat<TestType>.roundoff();
  const double above = 0.125 * (1 + unit);
  const double below = 0.125 * (1 - unit / 2);
  std::vector<TestType> x, left;
  for (int i = 0; i < 5; ++i) {  // whole vectors and others
    for (const double gone : {0.125, below, 0.06, kFormat<TestType>.smallest(), 0.0}) {
      for (const double number : {gone, -gone}) x.push_back(from_double<TestType>(number));
      left.resize(x.size());
    }
    for (const double number : {above, -above}) {
      x.push_back(from_double<TestType>(number));
      left.push_back(from_double<TestType>(std::copysign(0.125 * unit, number)));
    }
  }
  at_every_level([&] {
    CHECK(same_bits(prox(taut::L1{0.5}, x, 0.25), left));
    CHECK(same_bits(prox(taut::L1L2{0.5, 0}, x, 0.25), left));
    // L2 halves what is left.
    CHECK(same_bits(prox(taut::L1L2{0.5, 2}, x, 0.25), prox(taut::L2{2}, left, 0.25)));
  });
}

TEMPLATE_TEST_CASE("what does not move keeps its bits", "", double, float, Float16, BFloat16) {
  std::vector<double> numbers = random_numbers<TestType>(50);
  const double smallest = kFormat<TestType>.smallest();
  numbers.insert(numbers.end(), {0.0, -0.0, smallest, -smallest, kInfinity, -kInfinity, kNan});
  const std::vector<TestType> x = store<TestType>(numbers);
  const std::vector<TestType> zeros = store<TestType>(std::vector{-0.0, 0.0, -0.0});
  at_every_level([&] {
    for (const double step : {0.0, -0.0}) {
      for (const Case& test : kCases) CHECK(same_bits(prox(test.regularizer, x, step), x));
    }
    CHECK(same_bits(prox(taut::L1{0}, x, 3), x));
    CHECK(same_bits(prox(taut::L1L2{0, 0}, x, 3), x));
    CHECK(same_bits(prox(taut::L1L2{0, 0.5}, zeros, 3), zeros));
  });
}

TEMPLATE_TEST_CASE("a proximal step writes the elements of its view alone", "", double, float,
                   Float16, BFloat16) {
  for (const auto& [rows, columns] : {std::pair<std::size_t, std::size_t>{7, 33}, {61, 700}}) {
    const std::vector<double> numbers = random_numbers<TestType>(rows * columns);
    for (const Case& test : kCases) {
      const auto expected = prox(test.regularizer, store<TestType>(numbers), kStep);
      for (const Placement& placement : kPlacements) {
        INFO(placement.name << ", " << rows << " rows");
        StridedMatrix<TestType> x(numbers, rows, columns, placement);
        taut::prox(test.regularizer, x.view(), kStep);
        CHECK(same_bits(x.elements(), expected));
        CHECK(x.has_clean_gaps());
      }
    }
  }
}

TEMPLATE_TEST_CASE("a proximal step has the same bits for all threads and levels", "", double,
                   float, Float16, BFloat16) {
  const std::vector<TestType> x = store<TestType>(random_numbers<TestType>(428'311));
  for (const Case& test : kCases) {
    std::vector<TestType> first;
    at_every_level([&] {
      for (const int threads : {1, 2, 3, 8}) {
        const UsedThreads used(threads);
        const auto result = prox(test.regularizer, x, kStep);
        if (first.empty()) first = result;
        CHECK(same_bits(result, first));
      }
    });
  }
}

TEST_CASE("a proximal step that cannot be taken is refused, and nothing is written") {
  const std::vector<double> before = random_numbers<double>(100);
  std::vector<double> memory = before;
  double* data = memory.data();
  const View matrix = View::matrix(data, 4, 5, 5);
  const auto check_refused = [](const taut::Regularizer& regularizer, View x, double step) {
    CHECK_THROWS_AS(taut::prox(regularizer, x, step), taut::InvalidArgument);
  };
  for (const double wrong : {-1.0, -1e-300, kInfinity, -kInfinity, kNan}) {
    for (const Case& test : kCases) check_refused(test.regularizer, matrix, wrong);
    check_refused(taut::L1{wrong}, matrix, 0);
    check_refused(taut::L2{wrong}, matrix, 1);
    check_refused(taut::L1L2{wrong, 0.1}, matrix, 1);
    check_refused(taut::L1L2{0.1, wrong}, matrix, 1);
  }
  check_refused(taut::L1{1e200}, matrix, 1e200);
  check_refused(taut::L2{1e308}, matrix, 1);
  check_refused(taut::OrthogonalRegularizer{}, matrix, 1);
  check_refused(taut::OrthogonalRegularizer{.factor = 0}, matrix, 0);
  check_refused(taut::SoftOrthogonalRegularizer{}, matrix, 1);
  check_refused(taut::SoftOrthogonalRegularizer{.factor = 0}, matrix, 0);
  for (const View& x : {View::matrix(data, 4, 5, 0), View::matrix(data, 4, 5, 4),
                        View::matrix(data + 30, 4, 5, -4), View::matrix(data, 4, 5, 2, 3)}) {
    for (const Case& test : kCases) check_refused(test.regularizer, x, 1);
  }
  CHECK(memory == before);
}

}  // namespace
}  // namespace taut_test
