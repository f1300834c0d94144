// The orthogonal penalty's parts, one of each range of vectors, against the formulas and the whole.

#include <cmath>
#include <limits>
#include <optional>

#include "check_penalty.hpp"
#include "runtime_guards.hpp"
#include "strided.hpp"

namespace taut_test {
namespace {

using taut::ConstView;
using taut::Mode;
using taut::OrthogonalRegularizer;
using taut::VectorRange;
using taut::View;

constexpr double kFactor = 0.3;

template <typename G>
void check_part(const OrthogonalRegularizer& regularizer, const ConstView& x, VectorRange range,
                const Reference& reference) {
  INFO("shape " << Catch::Detail::stringify(shape_of(x)) << ", range " << range.begin << " to "
                << range.end);
  const double factor = regularizer.factor;
  const double value = taut::value(regularizer, x, range);
  const Real rounding = 2 * kRoundoff64 * std::abs(factor * reference.value) + kSmallest64;
  CHECK(is_close(value, factor * reference.value, factor * reference.value_tolerance + rounding,
                 kFormat<double>));
  const auto overwritten = part_and_grad<G>(regularizer, x, range, 0.9);
  CHECK(gradient_error(reference, Real{0.9} * factor, {}, overwritten.gradient) == "");
  const std::vector<double> before = random_numbers<G>(overwritten.gradient.size(), 7);
  std::vector<G> accumulated = store<G>(before);
  const View view = contiguous_view(accumulated, shape_of_slice(x, regularizer.mode, range));
  CHECK(same_bits(taut::accumulate_grad(regularizer, x, range, view, -0.7), overwritten.value));
  CHECK(gradient_error(reference, Real{-0.7} * factor, before, accumulated) == "");
  // A value alone adds up tiles, of which a part is not told apart: the same but for rounding.
  CHECK(is_close(overwritten.value, value, 2 * factor * reference.value_tolerance + rounding,
                 kFormat<double>));
}

std::vector<VectorRange> ranges_of(std::size_t n) {
  return {{0, 1}, {n - 1, n}, {0, n}, {n / 3, n / 2 + 1}, {n / 2, n}, {0, n - n / 4}};
}

template <typename T, typename G>
void check_ranges(const std::vector<double>& numbers, std::size_t vectors, Mode mode,
                  const std::vector<VectorRange>& ranges) {
  const std::size_t length = numbers.size() / vectors;
  const std::size_t rows = mode == Mode::kRows ? vectors : length;
  const std::vector<T> x = store<T>(numbers);
  const GramReference reference(numbers, rows, numbers.size() / rows, mode,
                                taut::DTypeOf<T>::value);
  at_every_level([&] {
    for (const VectorRange range : ranges) {
      check_part<G>({.factor = kFactor, .mode = mode},
                    ConstView::matrix(x, rows, numbers.size() / rows), range,
                    reference.part(range));
    }
  });
}

TEMPLATE_LIST_TEST_CASE("a range has its part at every size", "", EveryDtype) {
  for (std::size_t vectors = 1; vectors <= 70; ++vectors) {
    const std::size_t length = 1 + vectors * 7 % 40;
    const Mode mode = vectors % 3 == 0 ? Mode::kColumns : Mode::kRows;
    check_ranges<typename TestType::Element, typename TestType::Gradient>(
        random_numbers<typename TestType::Element>(vectors * length), vectors, mode,
        ranges_of(vectors));
  }
}

// Tiles of every side, and ranges around them and around register rows.
TEMPLATE_LIST_TEST_CASE("a range of many vectors has its part", "", EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  for (const std::size_t vectors : {193u, 400u}) {
    check_ranges<T, G>(random_numbers<T>(vectors * 17), vectors, Mode::kRows,
                       {{0, 48}, {48, 144}, {31, 130}, {47, 48}, {100, vectors}, {7, 150}});
  }
}

TEMPLATE_LIST_TEST_CASE("a range of several strips has its part", "[large]", EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  check_ranges<T, G>(random_numbers<T>(1200 * 5), 1200, Mode::kRows, {{300, 600}, {1, 1000}});
  check_ranges<T, G>(random_numbers<T>(2600 * 3), 2600, Mode::kColumns,
                     {{100, 2500}, {2500, 2600}, {0, 2304}, {1, 2306}});
}

TEMPLATE_LIST_TEST_CASE("a range has its part in every layout", "", EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  constexpr std::size_t kRows = 61;
  constexpr std::size_t kColumns = 53;
  const std::vector<double> numbers = random_numbers<T>(kRows * kColumns, 4);
  for (const Mode mode : {Mode::kRows, Mode::kColumns}) {
    const GramReference reference(numbers, kRows, kColumns, mode, taut::DTypeOf<T>::value);
    const VectorRange range{11, 40};
    const Reference part = reference.part(range);
    const std::size_t rows = mode == Mode::kRows ? range.end - range.begin : kRows;
    const std::size_t columns = mode == Mode::kRows ? kColumns : range.end - range.begin;
    const std::vector<double> before = random_numbers<G>(rows * columns, 5);
    for (const Placement& placement : kPlacements) {
      StridedMatrix<T> x(numbers, kRows, kColumns, placement);
      at_every_level([&] {
        INFO(placement.name);
        StridedMatrix<G> gradient(before, rows, columns, placement);
        taut::accumulate_grad(OrthogonalRegularizer{.factor = 1, .mode = mode}, x.view(), range,
                              gradient.view(), 0.3);
        CHECK(gradient_error(part, Real{0.3}, before, gradient.elements()) == "");
        CHECK(gradient.has_clean_gaps());
      });
    }
  }
}

TEMPLATE_LIST_TEST_CASE("the range of all vectors is the whole, bit by bit", "", EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  at_every_level([] {
    for (const std::size_t vectors : {1u, 2u, 30u, 49u, 300u}) {
      const std::vector<T> x = store<T>(random_numbers<T>(vectors * 19));
      const auto view = ConstView::matrix(x, vectors, 19);
      const auto whole = value_and_grad<G>(OrthogonalRegularizer{}, view);
      const auto part = part_and_grad<G>(OrthogonalRegularizer{}, view, {0, vectors});
      CHECK(same_bits(part.value, whole.value));
      CHECK(same_bits(part.gradient, whole.gradient));
      CHECK(same_bits(taut::value(OrthogonalRegularizer{}, view, VectorRange{0, vectors}),
                      taut::value(OrthogonalRegularizer{}, view)));
    }
  });
}

TEST_CASE("the parts of ranges that partition the vectors add up to the penalty") {
  at_every_level([] {
    for (const std::size_t vectors : {5u, 47u, 200u}) {
      const std::vector<double> x = random_numbers<double>(vectors * 19);
      const auto view = ConstView::matrix(x, vectors, 19);
      const auto whole = value_and_grad<double>(OrthogonalRegularizer{}, view);
      for (const std::size_t size : {1u, 2u, 13u, 50u}) {
        double sum = 0;
        double of_values = 0;
        for (std::size_t begin = 0; begin < vectors; begin += size) {
          const VectorRange range{begin, std::min(vectors, begin + size)};
          sum += part_and_grad<double>(OrthogonalRegularizer{}, view, range).value;
          of_values += taut::value(OrthogonalRegularizer{}, view, range);
        }
        // Every cosine is rounded in either, and each sum has fewer than 16 n of additions.
        const double tolerance = 32 * static_cast<double>(vectors) * 0x1p-53 * whole.value;
        CHECK(std::abs(sum - whole.value) <= tolerance);
        CHECK(std::abs(of_values - whole.value) <= tolerance);
      }
    }
  });
}

template <typename T>
void check_bits(std::size_t vectors, std::size_t length, VectorRange range) {
  const std::vector<T> x = store<T>(random_numbers<T>(vectors * length));
  const auto view = ConstView::matrix(x, vectors, length);
  std::optional<Result<T>> first;
  std::optional<double> first_value;
  at_every_fused_level({1, 2, 3, 8}, [&] {
    INFO("vectors " << vectors);
    const Result<T> result = part_and_grad<T>(OrthogonalRegularizer{}, view, range);
    const double value = taut::value(OrthogonalRegularizer{}, view, range);
    if (!first) first = result;
    if (!first_value) first_value = value;
    CHECK(same_bits(result.value, first->value));
    CHECK(same_bits(result.gradient, first->gradient));
    CHECK(same_bits(value, *first_value));
  });
}

TEMPLATE_TEST_CASE("a range has the same bits for all threads and fused levels", "", float,
                   double) {
  check_bits<TestType>(30, 4000, {3, 21});
  check_bits<TestType>(49, 70, {40, 44});
  check_bits<TestType>(400, 70, {101, 203});
  check_bits<TestType>(700, 33, {0, 690});
  check_bits<TestType>(2500, 3, {20, 2400});
}

TEMPLATE_LIST_TEST_CASE("orthogonal pairs add nothing to a range either", "", EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  for (const std::size_t vectors : {40u, 130u}) {
    std::vector<double> numbers = random_numbers<T>(vectors * 11);
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      if ((i * 7 + i / 11) % 5 != 0 || i / 11 % 13 == 10) numbers[i] = 0;
    }
    check_ranges<T, G>(numbers, vectors, Mode::kRows, {{0, 9}, {33, 40}, {3, vectors - 10}});
  }
}

// Two kinds of vectors whose dot products are of numbers that no scaling keeps in the range.
TEMPLATE_TEST_CASE("pairs that leave the range have their exact signs", "", double, float,
                   BFloat16) {
  constexpr std::size_t kLength = 9;
  // Of which the gradient's numbers, small / large², are normal still.
  const double large = std::ldexp(1.0, kFormat<TestType>.max_exponent * 3 / 10);
  const double small = 1 / large;
  for (const std::size_t vectors : {30u, 60u}) {
    std::vector<double> numbers = random_numbers<TestType>(vectors * kLength);
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      const std::size_t vector = i / kLength;
      const std::size_t k = i % kLength;
      numbers[i] = k > 1 ? numbers[i] * small : k == vector % 2 ? large : 0;
      numbers[i] = round_to(kFormat<TestType>, numbers[i]);
    }
    check_ranges<TestType, TestType>(numbers, vectors, Mode::kRows, {{0, 7}, {11, 29}});
  }
}

TEMPLATE_LIST_TEST_CASE("a vector that is not finite is seen by every range", "", EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  at_every_level([] {
    for (const std::size_t vectors : {9u, 60u}) {
      for (const double number : {std::nan(""), std::numeric_limits<double>::infinity()}) {
        for (const std::size_t at : {std::size_t{0}, vectors / 2, vectors - 1}) {
          std::vector<T> x = store<T>(random_numbers<T>(vectors * 5));
          x[at * 5 + 3] = from_double<T>(number);
          const auto view = ConstView::matrix(x, vectors, 5);
          for (const VectorRange range : ranges_of(vectors)) {
            CHECK(std::isnan(taut::value(OrthogonalRegularizer{}, view, range)));
            const auto result = part_and_grad<G>(OrthogonalRegularizer{}, view, range);
            CHECK(std::isnan(result.value));
            for (const G slope : result.gradient) CHECK(std::isnan(to_double(slope)));
          }
        }
      }
    }
  });
}

TEST_CASE("no pairs, no part") {
  const std::vector<double> x(12, std::nan(""));
  const std::vector<double> numbers = random_numbers<double>(12);
  const OrthogonalRegularizer off{.factor = 0};
  for (const auto& [regularizer, view, range] :
       {std::tuple{OrthogonalRegularizer{}, ConstView::matrix(x, 1, 12), VectorRange{0, 1}},
        std::tuple{OrthogonalRegularizer{}, ConstView::matrix(x, 3, 4), VectorRange{2, 2}},
        std::tuple{off, ConstView::matrix(x, 3, 4), VectorRange{1, 3}}}) {
    CHECK(same_bits(taut::value(regularizer, view, range), 0.0));
    const auto result = part_and_grad<double>(regularizer, view, range);
    CHECK(same_bits(result.value, 0.0));
    CHECK(result.gradient == std::vector<double>(result.gradient.size(), 0.0));
  }
}

// So long that they are not copied: see GramPlan.
TEST_CASE("a range of a few very long vectors has the bits of short ones with the same numbers") {
  constexpr std::size_t kShort = 3001;
  constexpr std::size_t kLong = 300'000;
  constexpr std::size_t kVectors = 8;
  const std::vector<double> random = random_numbers<float>(kVectors * kShort);
  const VectorRange range{6, 8};
  const auto compute = [&](std::size_t length, taut::Workspace& workspace) {
    std::vector<float> x(kVectors * length);
    std::vector<float> gradient(2 * length);
    for (std::size_t v = 0; v < kVectors; ++v) {
      for (std::size_t k = 0; k < kShort; ++k) {
        x[v * length + k] = static_cast<float>(random[v * kShort + k]);
      }
    }
    Result<float> result{};
    const auto view = ConstView::matrix(x, kVectors, length);
    result.value = taut::value_and_grad(OrthogonalRegularizer{}, view, range,
                                        View::matrix(gradient, 2, length), 1, &workspace);
    CHECK(same_bits(taut::value(OrthogonalRegularizer{}, view, range, &workspace), result.value));
    for (std::size_t i = 0; i < 2 * kShort; ++i) {
      result.gradient.push_back(gradient[i / kShort * length + i % kShort]);
    }
    return result;
  };
  at_every_level([&] {
    taut::Workspace workspace;
    const Result<float> of_long = compute(kLong, workspace);
    CHECK(workspace.size() < kLong * kVectors * sizeof(float) / 2);
    const Result<float> of_short = compute(kShort, workspace);
    CHECK(same_bits(of_long.value, of_short.value));
    CHECK(same_bits(of_long.gradient, of_short.gradient));
  });
}

// A convolution's kernel, and a slice of one, whose coordinates are no steps of one size.
TEST_CASE("a range of a tensor's vectors is that of the matrix it is read as") {
  const std::vector<double> memory = random_numbers<double>(80 * 3 * 5);
  constexpr std::ptrdiff_t kSize = sizeof(double);
  for (const std::ptrdiff_t length : {5, 4}) {
    const std::vector<std::ptrdiff_t> shape{80, 3, length};
    const std::vector<std::ptrdiff_t> strides{15 * kSize, 5 * kSize, kSize};
    const ConstView tensor(memory.data(), taut::DType::kFloat64, shape, strides);
    std::vector<double> numbers;
    for (std::size_t i = 0; i < memory.size(); ++i) {
      if (i % 5 < static_cast<std::size_t>(length)) numbers.push_back(memory[i]);
    }
    const VectorRange range{20, 75};
    const GramReference reference(numbers, 80, numbers.size() / 80, Mode::kRows,
                                  taut::DType::kFloat64);
    at_every_level([&] {
      check_part<double>({.factor = 1, .flatten = true}, tensor, range, reference.part(range));
    });
  }
}

TEST_CASE("what does not suit a range is refused before anything is written") {
  std::vector<double> x = random_numbers<double>(60);
  std::vector<double> gradient(60, 7.0);
  const auto view = View::matrix(x, 10, 6);
  const auto refusal = [&](VectorRange range, const View& target) {
    return message_of([&] { taut::value_and_grad(OrthogonalRegularizer{}, view, range, target); });
  };
  const auto rows = [&](std::vector<double>& of, std::size_t first, std::size_t count) {
    return View::matrix(of.data() + first * 6, count, 6, std::ptrdiff_t{6});
  };
  CHECK(refusal({3, 11}, rows(gradient, 0, 8)) ==
        "Expected a range of the vectors [0, 10). Received: [3, 11)");
  CHECK(refusal({5, 4}, rows(gradient, 0, 1)) ==
        "Expected a range of the vectors [0, 10). Received: [5, 4)");
  CHECK(message_of([&] { taut::value(OrthogonalRegularizer{}, view, VectorRange{0, 11}); }) ==
        "Expected a range of the vectors [0, 10). Received: [0, 11)");
  CHECK(refusal({2, 5}, rows(gradient, 0, 10)) ==
        "The gradient must have the shape of the input. Received: shapes (10, 6) and (3, 6)");
  const std::vector<double> before = x;
  for (const std::size_t first : {0u, 2u, 7u}) {  // any part of x
    CHECK(refusal({2, 5}, rows(x, first, 3)) ==
          "The gradient must not overlap the input: they share memory");
  }
  CHECK(x == before);
  CHECK(gradient == std::vector<double>(60, 7.0));
  CHECK_THROWS_AS(taut::value(OrthogonalRegularizer{.factor = -1}, view, VectorRange{0, 2}),
                  taut::InvalidArgument);
  CHECK_THROWS_AS(taut::value(OrthogonalRegularizer{}, ConstView(x), VectorRange{0, 2}),
                  taut::InvalidArgument);
}

}  // namespace
}  // namespace taut_test
