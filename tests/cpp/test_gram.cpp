// The orthogonal penalty against the formulas.

#include <cmath>

#include "check_penalty.hpp"
#include "runtime_guards.hpp"

namespace taut_test {
namespace {

using taut::Mode;

struct Size {
  std::size_t vectors;
  std::size_t length;
};

// Around the register tiles, the sign groups and blocks, the tiles and the strips; around the
// panels and the depth blocks.
constexpr Size kSizes[] = {
    {2, 1},   {2, 5},   {3, 1},    {3, 7},    {4, 16},   {5, 15},  {5, 17}, {7, 127},
    {8, 128}, {9, 129}, {9, 257},  {23, 20},  {24, 3},   {25, 33}, {31, 9}, {47, 16},
    {48, 1},  {49, 31}, {95, 8},   {96, 17},  {97, 12},  {6, 8},   {11, 9}, {12, 24},
    {13, 25}, {100, 1}, {191, 11}, {192, 10}, {193, 30},
};
constexpr Size kLargeSizes[] = {{193, 300}, {2303, 5}, {2304, 6}, {2305, 17}};

template <typename T>
taut::ConstView matrix(const std::vector<T>& numbers, std::size_t rows, std::size_t columns) {
  return taut::ConstView::matrix(numbers.data(), rows, columns,
                                 static_cast<std::ptrdiff_t>(columns));
}

template <typename T, typename G>
void check_gram(const std::vector<double>& numbers, std::size_t rows, std::size_t columns,
                Mode mode) {
  const std::vector<T> x = store<T>(numbers);
  const taut::OrthogonalRegularizer regularizer{.factor = 0.3, .mode = mode};
  const Reference reference = gram(numbers, rows, columns, mode, taut::DTypeOf<T>::value);
  at_every_level([&] { check_penalty<G>(regularizer, matrix(x, rows, columns), reference, 0.3); });
}

TEMPLATE_LIST_TEST_CASE("the orthogonal penalty of rows is what the formula says at every size", "",
                        EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  for (const auto [vectors, length] : kSizes) {
    check_gram<T, G>(random_numbers<T>(vectors * length), vectors, length, Mode::kRows);
  }
}

TEMPLATE_LIST_TEST_CASE("the orthogonal penalty of many rows is what the formula says", "[large]",
                        EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  for (const auto [vectors, length] : kLargeSizes) {
    check_gram<T, G>(random_numbers<T>(vectors * length), vectors, length, Mode::kRows);
  }
}

TEMPLATE_LIST_TEST_CASE("the orthogonal penalty of columns is what the formula says", "",
                        EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  for (const auto [vectors, length] : {Size{2, 3}, Size{5, 17}, Size{97, 33}, Size{193, 20}}) {
    check_gram<T, G>(random_numbers<T>(vectors * length), length, vectors, Mode::kColumns);
  }
}

TEMPLATE_LIST_TEST_CASE("columns are the rows of the transposed matrix, bit by bit", "",
                        EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  constexpr std::size_t kRows = 37;
  constexpr std::size_t kColumns = 101;
  const std::vector<T> x = store<T>(random_numbers<T>(kRows * kColumns));
  const auto transposed = taut::ConstView::matrix(x.data(), kColumns, kRows, 1, kColumns);
  at_every_level([&] {
    const taut::OrthogonalRegularizer of_columns{.mode = Mode::kColumns};
    const auto columns = value_and_grad<G>(of_columns, matrix(x, kRows, kColumns));
    const auto rows = value_and_grad<G>(taut::OrthogonalRegularizer{}, transposed);
    CHECK(columns.value == rows.value);
    std::vector<G> rows_transposed;
    for (std::size_t i = 0; i < kRows; ++i) {
      for (std::size_t j = 0; j < kColumns; ++j) {
        rows_transposed.push_back(rows.gradient[j * kRows + i]);
      }
    }
    CHECK(same_bits(columns.gradient, rows_transposed));
  });
}

TEMPLATE_LIST_TEST_CASE("fewer than two vectors, or none with a coordinate, have no penalty", "",
                        EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  for (const Size& size : {Size{0, 0}, Size{0, 3}, Size{1, 0}, Size{1, 5}, Size{4, 0}}) {
    at_every_level([&] {
      const std::vector<T> x(size.vectors * size.length, from_double<T>(std::nan("")));
      const taut::ConstView view = matrix(x, size.vectors, size.length);
      const auto result = value_and_grad<G>(taut::OrthogonalRegularizer{}, view);
      CHECK(same_bits(result.value, 0.0));
      CHECK(to_doubles(result.gradient) == std::vector<double>(x.size(), 0.0));
      const std::vector<double> before = random_numbers<G>(x.size());
      const auto accumulated = accumulate_grad<G>(taut::OrthogonalRegularizer{}, view, before);
      CHECK(to_doubles(accumulated.gradient) == before);
    });
  }
}

TEMPLATE_LIST_TEST_CASE("a factor of 0 skips the penalty, NaN or not", "", EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  at_every_level([] {
    const std::vector<T> x = store<T>({1.0, std::nan(""), 2.0, 3.0});
    const auto result =
        value_and_grad<G>(taut::OrthogonalRegularizer{.factor = 0}, matrix(x, 2, 2));
    CHECK(result.value == 0);
    CHECK(to_doubles(result.gradient) == std::vector<double>(4, 0.0));
  });
}

TEST_CASE("a small case by hand") {
  at_every_level([] {
    // Unit vectors (1, 0), (0.6, 0.8) and (0, -1): cosines 0.6, 0 and -0.8.
    const std::vector<double> x{2.0, 0.0, 3.0, 4.0, 0.0, -0.5};
    const taut::OrthogonalRegularizer regularizer{.factor = 1};
    const auto result = value_and_grad<double>(regularizer, matrix(x, 3, 2));
    CHECK(std::abs(result.value - 1.4 / 3) <= 4e-16);
    const std::vector<double> exact{0, 0.4 / 3, 0.16 / 15, -0.12 / 15, -1.2 / 3, 0};
    for (std::size_t i = 0; i < exact.size(); ++i) {
      CHECK(std::abs(result.gradient[i] - exact[i]) <= 4e-16);
    }
  });
}

TEST_CASE("the orthogonal gradient is the slope of the value") {
  for (const Mode mode : {Mode::kRows, Mode::kColumns}) {
    at_every_level([&] {
      // The error of a central difference is step² / 6 times a third derivative, of the order of 10
      // for vectors of some unit length, and 2⁻⁵³ / step from the rounding of the values.
      constexpr double kStep = 0x1p-17;
      constexpr double kTolerance = 10 * kStep * kStep + 16 * 0x1p-53 / kStep;
      const taut::OrthogonalRegularizer regularizer{.factor = 1, .mode = mode};
      std::vector<double> x = random_numbers<double>(6 * 7, 3);
      const auto result = value_and_grad<double>(regularizer, matrix(x, 6, 7));
      for (std::size_t i = 0; i < x.size(); ++i) {
        const double center = x[i];
        x[i] = center + kStep;
        const double above = taut::value(regularizer, matrix(x, 6, 7));
        x[i] = center - kStep;
        const double below = taut::value(regularizer, matrix(x, 6, 7));
        x[i] = center;
        CHECK(std::abs((above - below) / (2 * kStep) - result.gradient[i]) <= kTolerance);
      }
    });
  }
}

// Three vectors of which all but the first coordinates are 0, so that they may be as long as one
// likes and have the sums of short ones.
template <typename T, typename G>
void check_long_vectors(const std::vector<double>& magnitudes, Mode mode) {
  constexpr std::size_t kShort = 3001;
  constexpr std::size_t kLong = 300'000;
  constexpr std::size_t kVectors = 3;
  const std::vector<double> random = random_numbers<T>(kVectors * kShort);
  const auto compute = [&](std::size_t length, taut::Workspace& workspace) {
    const std::size_t rows = mode == Mode::kRows ? kVectors : length;
    const std::size_t columns = mode == Mode::kRows ? length : kVectors;
    std::vector<T> x(rows * columns);
    std::vector<G> gradient(x.size());
    const auto at = [&](std::size_t v, std::size_t k) {
      return mode == Mode::kRows ? v * length + k : k * kVectors + v;
    };
    for (std::size_t v = 0; v < kVectors; ++v) {
      for (std::size_t k = 0; k < kShort; ++k) {
        x[at(v, k)] = from_double<T>(random[v * kShort + k] * magnitudes[v]);
      }
    }
    Result<G> result{};
    result.value = taut::value_and_grad(
        taut::OrthogonalRegularizer{.factor = 1, .mode = mode}, matrix(x, rows, columns),
        taut::View::matrix(gradient, rows, columns), 0.9, &workspace);
    for (std::size_t v = 0; v < kVectors; ++v) {
      for (std::size_t k = 0; k < kShort; ++k) result.gradient.push_back(gradient[at(v, k)]);
    }
    return result;
  };
  at_every_level([&] {
    taut::Workspace workspace;
    const Result<G> of_long = compute(kLong, workspace);
    CHECK(workspace.size() < kLong * kVectors * sizeof(G) * 2);
    const Result<G> of_short = compute(kShort, workspace);
    CHECK(same_bits(of_long.value, of_short.value));
    CHECK(same_bits(of_long.gradient, of_short.gradient));
  });
}

TEMPLATE_LIST_TEST_CASE("a few very long vectors take little memory, and have the same bits", "",
                        EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  const double large = kFormat<T>.largest() / 4;
  for (const Mode mode : {Mode::kRows, Mode::kColumns}) {
    check_long_vectors<T, G>({1, 1, 1}, mode);
    check_long_vectors<T, G>({large, 1, 4 / large}, mode);
    check_long_vectors<T, G>({1, std::nan(""), 1}, mode);
  }
}

}  // namespace
}  // namespace taut_test
