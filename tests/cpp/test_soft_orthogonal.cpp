// Soft orthogonality against its definition.

#include <cmath>
#include <limits>

#include "check_penalty.hpp"
#include "runtime_guards.hpp"
#include "soft_orthogonal_reference.hpp"
#include "strided.hpp"

namespace taut_test {
namespace {

using taut::Mode;
using taut::SoftOrthogonalRegularizer;
using Numbers = std::vector<double>;

struct Size {
  std::size_t rows;
  std::size_t columns;
};

// Fewer vectors than coordinates, as many, up to twice as many, and more: around the register
// tiles, the tiles and the depth blocks.
constexpr Size kSizes[] = {
    {1, 1},   {1, 5},   {5, 1},   {2, 2},    {2, 3},   {3, 2},   {7, 4},
    {8, 4},   {9, 4},   {4, 16},  {16, 4},   {5, 17},  {17, 9},  {23, 23},
    {24, 48}, {33, 32}, {47, 95}, {48, 48},  {49, 31}, {96, 17}, {17, 96},
    {97, 97}, {1, 300}, {300, 1}, {129, 65}, {3, 257}, {257, 3}, {30, 193},
};
// Several windows and tiles, for which the reference takes long where a processor is emulated.
constexpr Size kMiddleSizes[] = {{130, 65}, {3, 4097},  {9000, 2},
                                 {193, 30}, {100, 190}, {191, 192}};
constexpr Size kLargeSizes[] = {{1153, 1164}, {2310, 2328}, {1160, 679}};

constexpr SoftOrthogonalRegularizer kEvery[] = {
    {0.3, Mode::kRows, true},
    {0.3, Mode::kColumns, true},
    {0.3, Mode::kRows, false},
    {0.3, Mode::kColumns, false},
};

// About unit vectors, so that the diagonal matters.
template <typename T>
Numbers random_matrix(const Size& size, double magnitude) {
  Numbers numbers = random_numbers<T>(size.rows * size.columns);
  for (double& number : numbers) number = round_to(kFormat<T>, number * magnitude);
  return numbers;
}
template <typename T>
Numbers random_matrix(const Size& size) {
  return random_matrix<T>(size, 1 / std::sqrt(static_cast<double>(size.columns)));
}

template <typename T>
taut::ConstView matrix(const std::vector<T>& numbers, const Size& size) {
  return taut::ConstView::matrix(numbers.data(), size.rows, size.columns,
                                 static_cast<std::ptrdiff_t>(size.columns));
}

template <typename T, typename G>
void check(const Numbers& numbers, const Size& size, const SoftOrthogonalRegularizer& regularizer) {
  const std::vector<T> x = store<T>(numbers);
  const Reference reference =
      soft_orthogonal(numbers, size.rows, size.columns, regularizer, taut::DTypeOf<T>::value);
  INFO("mode " << static_cast<int>(regularizer.mode) << ", diagonal " << regularizer.diagonal);
  at_every_level(
      [&] { check_penalty<G>(regularizer, matrix(x, size), reference, regularizer.factor); });
}

TEMPLATE_LIST_TEST_CASE("soft orthogonality is what its definition says at every size", "",
                        EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  for (const Size& size : kSizes) {
    for (const SoftOrthogonalRegularizer& regularizer : kEvery) {
      check<T, G>(random_matrix<T>(size), size, regularizer);
    }
  }
}

TEMPLATE_LIST_TEST_CASE("soft orthogonality of several windows and tiles is its definition",
                        "[large]", EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  for (const Size& size : kMiddleSizes) {
    for (const SoftOrthogonalRegularizer& regularizer : kEvery) {
      check<T, G>(random_matrix<T>(size), size, regularizer);
    }
  }
}

TEMPLATE_TEST_CASE("soft orthogonality of many vectors is what its definition says", "[large]",
                   double, float) {
  using T = TestType;
  for (const Size& size : kLargeSizes) {
    Numbers numbers = random_matrix<T>(size, 0.5);
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      if ((i % size.columns + 1) % 97 != 0) numbers[i] = 0;  // the reference has time for a few
    }
    for (const bool diagonal : {true, false}) {
      check<T, T>(numbers, size, {.factor = 0.3, .diagonal = diagonal});
    }
  }
}

TEMPLATE_LIST_TEST_CASE("soft orthogonality of matrices that lie in memory in any way", "",
                        EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  for (const Size& size : {Size{11, 40}, Size{40, 11}, Size{20, 37}}) {
    const Numbers numbers = random_matrix<T>(size);
    const Numbers before = random_numbers<G>(numbers.size(), 5);
    for (const SoftOrthogonalRegularizer& regularizer : kEvery) {
      at_every_level([&] {
        const std::vector<T> x = store<T>(numbers);
        const auto expected = accumulate_grad<G>(regularizer, matrix(x, size), before, 0.7);
        for (const Placement& placement : kPlacements) {
          INFO(placement.name);
          StridedMatrix<T> strided(numbers, size.rows, size.columns, placement);
          StridedMatrix<G> gradient(before, size.rows, size.columns, placement);
          const double value =
              taut::accumulate_grad(regularizer, strided.view(), gradient.view(), 0.7);
          CHECK(same_bits(value, expected.value));
          CHECK(same_bits(gradient.elements(), expected.gradient));
          CHECK(gradient.has_clean_gaps());
        }
      });
    }
  }
}

TEMPLATE_LIST_TEST_CASE("soft orthogonality has the same bits for all threads and levels", "",
                        EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  for (const Size& size : {Size{300, 210}, Size{210, 300}, Size{430, 210}, Size{1200, 3}}) {
    const std::vector<T> x = store<T>(random_matrix<T>(size));
    for (const SoftOrthogonalRegularizer& regularizer : kEvery) {
      const auto compute = [&](int count) {
        const UsedThreads threads(count);
        return value_and_grad<G>(regularizer, matrix(x, size), 1e2);
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
  }
}

TEST_CASE("a matrix without elements has the penalty of its missing unit vectors") {
  at_every_level([] {
    const std::vector<double> x;
    CHECK(taut::value(SoftOrthogonalRegularizer{.factor = 0.5}, matrix(x, {6, 0})) == 3);
    CHECK(taut::value(SoftOrthogonalRegularizer{.factor = 0.5}, matrix(x, {0, 6})) == 0);
    CHECK(taut::value(SoftOrthogonalRegularizer{0.5, Mode::kColumns}, matrix(x, {0, 6})) == 3);
    CHECK(taut::value(SoftOrthogonalRegularizer{0.5, Mode::kRows, false}, matrix(x, {6, 0})) == 0);
    const auto result = value_and_grad<double>(SoftOrthogonalRegularizer{}, matrix(x, {6, 0}));
    CHECK(result.value == 0.06);
  });
}

TEMPLATE_LIST_TEST_CASE("a factor of 0 skips soft orthogonality, NaN or not", "", EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  at_every_level([] {
    const std::vector<T> x = store<T>({1.0, std::nan(""), 2.0, 3.0});
    const auto result =
        value_and_grad<G>(SoftOrthogonalRegularizer{.factor = 0}, matrix(x, {2, 2}));
    CHECK(result.value == 0);
    CHECK(to_doubles(result.gradient) == Numbers(4, 0.0));
  });
}

TEST_CASE("two small matrices by hand") {
  at_every_level([] {
    // WWᵀ - I = ((4, 1), (1, 1)).
    const std::vector<double> wide{2, 1, 0, 0, 1, 1};
    const auto all = value_and_grad<double>(SoftOrthogonalRegularizer{1}, matrix(wide, {2, 3}));
    CHECK(all.value == 19);
    CHECK(all.gradient == Numbers{32, 20, 4, 8, 8, 4});
    const SoftOrthogonalRegularizer off{1, Mode::kRows, false};
    const auto without = value_and_grad<double>(off, matrix(wide, {2, 3}));
    CHECK(without.value == 2);
    CHECK(without.gradient == Numbers{0, 4, 4, 8, 4, 0});
    // Rows 2, 1 and 3: squares 4, 1 and 9, products 2, 6 and 3.
    const std::vector<double> tall{2, 1, 3};
    const auto more = value_and_grad<double>(SoftOrthogonalRegularizer{1}, matrix(tall, {3, 1}));
    CHECK(more.value == 13 * 13 + 2);
    CHECK(more.gradient == Numbers{4 * 13 * 2, 4 * 13, 4 * 13 * 3});
    const auto pairs = value_and_grad<double>(off, matrix(tall, {3, 1}));
    CHECK(pairs.value == 2 * (4 + 36 + 9));
    CHECK(pairs.gradient == Numbers{80, 52, 60});
  });
}

TEST_CASE("the gradient of soft orthogonality is the slope of the value") {
  for (const SoftOrthogonalRegularizer& each : kEvery) {
    for (const Size& size : {Size{4, 9}, Size{9, 4}, Size{6, 5}}) {
      at_every_level([&] {
        // A central difference of a polynomial of degree 4: step² / 6 times a third derivative, of
        // the order of 100, and 2⁻⁵³ / step times the size of the values.
        constexpr double kStep = 0x1p-17;
        constexpr double kTolerance = 100 * kStep * kStep + 1024 * 0x1p-53 / kStep;
        std::vector<double> x = random_matrix<double>(size);
        const auto result = value_and_grad<double>(each, matrix(x, size));
        for (std::size_t i = 0; i < x.size(); ++i) {
          const double center = x[i];
          x[i] = center + kStep;
          const double above = taut::value(each, matrix(x, size));
          x[i] = center - kStep;
          const double below = taut::value(each, matrix(x, size));
          x[i] = center;
          CHECK(std::abs((above - below) / (2 * kStep) - result.gradient[i]) <= kTolerance);
        }
      });
    }
  }
}

// Rows that are orthonormal but for their rounding: sines of multiples of one frequency.
template <typename T>
std::vector<T> orthonormal(std::size_t vectors, std::size_t length, bool turned) {
  Numbers numbers(vectors * length);
  const Real frequency = std::acos(Real{-1}) / static_cast<Real>(length + 1);
  const Real norm = std::sqrt(2 / static_cast<Real>(length + 1));
  for (std::size_t i = 0; i < vectors; ++i) {
    for (std::size_t k = 0; k < length; ++k) {
      const Real angle = static_cast<Real>((i + 1) * (k + 1)) * frequency;
      numbers[turned ? k * vectors + i : i * length + k] =
          static_cast<double>(norm * std::sin(angle));
    }
  }
  return store<T>(numbers);
}

TEMPLATE_TEST_CASE("orthonormal vectors have a penalty of rounding's square", "", double, float) {
  constexpr std::size_t kVectors = 60;
  constexpr std::size_t kLength = 200;
  // Each product is rounded, and each vector was.
  const double error = 4 * kFormat<TestType>.roundoff();
  const double most = kVectors * kVectors * error * error;
  at_every_level([&] {
    const auto rows = orthonormal<TestType>(kVectors, kLength, false);
    const Size wide{kVectors, kLength};
    CHECK(taut::value(SoftOrthogonalRegularizer{1}, matrix(rows, wide)) <= most);
    CHECK(taut::value(SoftOrthogonalRegularizer{1, Mode::kRows, false}, matrix(rows, wide)) <=
          most);
    // As many beside a few zeros, whose angles are as right, if not their norms.
    for (std::size_t vectors = 50; vectors <= kVectors; ++vectors) {
      std::vector<TestType> square = orthonormal<TestType>(vectors, vectors, false);
      square.resize(square.size() + 3 * vectors);
      const Size size{vectors + 3, vectors};
      const SoftOrthogonalRegularizer of_rows{1, Mode::kRows, false};
      CHECK(taut::value(of_rows, matrix(square, size)) <= most);
      const auto columns = taut::ConstView::matrix(square.data(), size.columns, size.rows, 1,
                                                   static_cast<std::ptrdiff_t>(size.columns));
      CHECK(taut::value(SoftOrthogonalRegularizer{1, Mode::kColumns, false}, columns) <= most);
    }
    // More vectors than coordinates cannot be orthonormal: the rest is what is left of them.
    const auto tall = orthonormal<TestType>(kVectors, kLength, true);
    const Size size{kLength, kVectors};
    const auto result = value_and_grad<TestType>(SoftOrthogonalRegularizer{1}, matrix(tall, size));
    CHECK(result.value - (kLength - kVectors) >= 0);
    CHECK(result.value - (kLength - kVectors) <= std::max(most, 0x1p-44));
    for (const TestType slope : result.gradient) CHECK(std::abs(slope) <= kVectors * error);
  });
}

TEMPLATE_LIST_TEST_CASE("soft orthogonality of numbers of every magnitude", "", EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  const Format format = kFormat<T>;
  // In long double, so that neither the values nor the gradients end where the dtype does.
  for (const double magnitude : {format.largest() / 2, 0x1p30, 0x1p-18, 0x1p-30, 0x1p-60,
                                 std::ldexp(1.0, format.min_exponent), 64 * format.smallest()}) {
    if (magnitude > format.largest()) continue;
    INFO("magnitude " << magnitude);
    for (const SoftOrthogonalRegularizer& regularizer : kEvery) {
      for (const Size& size : {Size{3, 8}, Size{8, 3}}) {
        check<T, G>(random_matrix<T>(size, magnitude), size, regularizer);
      }
    }
  }
}

TEST_CASE("a scale is no limit to the gradient's range") {
  at_every_level([] {
    const Size size{3, 4};
    const Numbers ones = random_numbers<double>(12);
    Numbers tiny = ones;
    for (double& number : tiny) number *= 0x1p-300;
    const SoftOrthogonalRegularizer off{0x1p-1000, Mode::kRows, false};
    const auto plain = value_and_grad<double>(SoftOrthogonalRegularizer{1, Mode::kRows, false},
                                              matrix(ones, size));
    CHECK(value_and_grad<double>(off, matrix(ones, size), 0x1p1000).gradient == plain.gradient);
    const SoftOrthogonalRegularizer one{1, Mode::kRows, false};
    CHECK(value_and_grad<double>(one, matrix(tiny, size), 0x1p900).gradient == plain.gradient);
  });
}

TEST_CASE("a factor is no limit to the value's range") {
  at_every_level([] {
    const Size size{3, 4};
    const Numbers ones = random_numbers<double>(12);
    const double plain =
        taut::value(SoftOrthogonalRegularizer{1, Mode::kRows, false}, matrix(ones, size));
    Numbers numbers = ones;
    for (double& number : numbers) number *= 0x1p-240;
    const SoftOrthogonalRegularizer of_ones{0x1p980, Mode::kRows, false};
    CHECK(taut::value(of_ones, matrix(numbers, size)) == plain * 0x1p20);
    // Its products alone are far below the range, and far above it.
    Numbers few{0x1p400, 0, 0x1p300, 0x1p400};
    const SoftOrthogonalRegularizer small{0x1p-1000, Mode::kRows, false};
    CHECK(taut::value(small, matrix(few, {2, 2})) == 0x1p401);
    for (double& number : few) number *= 0x1p-770;
    const SoftOrthogonalRegularizer large{0x1p1000, Mode::kRows, false};
    CHECK(taut::value(large, matrix(few, {2, 2})) == 0x1p-679);
    const Numbers many(200 * 200, 0x1p-300);
    CHECK(taut::value(large, matrix(many, {200, 200})) == 200.0 * 199 * 200 * 200 * 0x1p-200);
  });
}

TEST_CASE("a large factor loses no digit of the smallest numbers' gradient") {
  at_every_level([] {
    const SoftOrthogonalRegularizer regularizer{1e272};
    for (const double number : {5e-324, -1e-323, 3e-322, 1e-318}) {
      const Numbers row{number, 0};
      const auto slopes = value_and_grad<double>(regularizer, matrix(row, {1, 2}));
      CHECK(slopes.gradient[0] == -4 * 1e272 * number);
    }
  });
}

TEST_CASE("the largest number of float64 is a number, whose penalty is beyond the range") {
  const Numbers x(4, std::numeric_limits<double>::max());
  at_every_level([&] {
    for (const SoftOrthogonalRegularizer& regularizer : kEvery) {
      const double value = taut::value(regularizer, matrix(x, {2, 2}));
      CHECK(value == std::numeric_limits<double>::infinity());
    }
  });
}

TEMPLATE_LIST_TEST_CASE("one number that is not finite makes soft orthogonality NaN", "",
                        EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  at_every_level([] {
    for (const Size& size : {Size{2, 9}, Size{60, 9}, Size{9, 9}, Size{14, 9}}) {
      for (const double special : {std::nan(""), kInfinity, -kInfinity}) {
        for (const SoftOrthogonalRegularizer& regularizer : kEvery) {
          Numbers numbers = random_matrix<T>(size);
          numbers[numbers.size() - 2] = special;
          const std::vector<T> x = store<T>(numbers);
          CHECK(std::isnan(taut::value(regularizer, matrix(x, size))));
          const std::vector<G> all_nan(x.size(), from_double<G>(std::nan("")));
          const auto overwritten = value_and_grad<G>(regularizer, matrix(x, size));
          CHECK(std::isnan(overwritten.value));
          CHECK(same_bits(overwritten.gradient, all_nan));
          const Numbers before(x.size(), 1.0);
          const auto accumulated = accumulate_grad<G>(regularizer, matrix(x, size), before);
          CHECK(std::isnan(accumulated.value));
          CHECK(same_bits(accumulated.gradient, all_nan));
        }
      }
    }
  });
}

}  // namespace
}  // namespace taut_test
