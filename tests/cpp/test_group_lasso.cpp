// Group lasso and its proximal step against the formulas.

#include <cmath>
#include <limits>
#include <optional>

#include "check_penalty.hpp"
#include "runtime_guards.hpp"
#include "strided.hpp"

namespace taut_test {
namespace {

using taut::GroupLasso;
using taut::Mode;
using taut::View;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr Mode kModes[] = {Mode::kRows, Mode::kColumns};

struct Shape {
  std::size_t rows;
  std::size_t columns;
  std::size_t size() const { return rows * columns; }
};

// Around the 32 lanes, the short lines that are taken many at a time, the blocks and strips of
// 2048, and what is one piece or many.
constexpr Shape kShapes[] = {{0, 3},    {3, 0},     {1, 1},      {1, 40},     {40, 1},
                             {2, 3},    {31, 33},   {33, 31},    {5, 63},     {70, 64},
                             {65, 129}, {3, 2049},  {2049, 3},   {500, 10},   {66, 4100},
                             {2, 5},    {4100, 66}, {2, 70'001}, {70'001, 2}, {300, 300}};

template <typename T>
taut::ConstView view_of(const std::vector<T>& numbers, Shape shape) {
  return taut::ConstView::matrix(numbers, shape.rows, shape.columns);
}

template <typename T, typename G>
void check_all(const std::vector<double>& numbers, Shape shape) {
  const std::vector<T> x = store<T>(numbers);
  for (const Mode mode : kModes) {
    check_penalty<G>(GroupLasso{0.3, mode}, view_of(x, shape),
                     group_lasso(numbers, shape.rows, shape.columns, mode), 0.3);
  }
}

TEMPLATE_LIST_TEST_CASE("group lasso is what the formula says in every shape", "", EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  at_every_level([] {
    for (const Shape& shape : kShapes) check_all<T, G>(random_numbers<T>(shape.size()), shape);
  });
}

TEMPLATE_LIST_TEST_CASE("group lasso of zeros, NaN and Inf is what the formula says", "",
                        EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  for (const Shape& shape : {Shape{6, 40}, Shape{40, 6}, Shape{5, 3000}, Shape{2100, 33}}) {
    for (const double special : {0.0, -0.0, kNan, kInfinity, -kInfinity}) {
      std::vector<double> numbers = random_numbers<T>(shape.size());
      for (std::size_t i = 0; i < shape.columns; ++i) numbers[shape.columns + i] = 0;
      for (std::size_t i = 0; i < shape.rows; ++i) numbers[i * shape.columns + 2] = -0.0;
      numbers[shape.columns / 2] = special;
      at_every_level([&] { check_all<T, G>(numbers, shape); });
    }
  }
}

TEMPLATE_LIST_TEST_CASE(
    "group lasso of the smallest and largest numbers neither under- nor "
    "overflows on the way",
    "", EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  constexpr Format format = kFormat<T>;
  for (const Shape& shape : {Shape{6, 40}, Shape{40, 6}, Shape{80, 80}, Shape{2, 70'001}}) {
    for (const double size : {format.smallest(), 5 * format.smallest(), format.largest() / 4}) {
      std::vector<double> numbers = random_numbers<T>(shape.size());
      for (double& number : numbers) number = std::copysign(size, number);
      numbers[0] = 1;
      at_every_level([&] {
        const std::vector<T> x = store<T>(numbers);
        for (const Mode mode : kModes) {
          // Small enough that the sum of the penalties can be told.
          check_penalty<G>(GroupLasso{1e-4, mode}, view_of(x, shape),
                           group_lasso(numbers, shape.rows, shape.columns, mode), 1e-4);
        }
      });
    }
  }
}

TEMPLATE_LIST_TEST_CASE("group lasso of matrices in every layout", "", EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  for (const Shape& shape : {Shape{67, 121}, Shape{9, 2500}, Shape{700, 11}}) {
    const auto [rows, columns] = shape;
    const std::vector<double> numbers = random_numbers<T>(shape.size());
    const std::vector<double> before = random_numbers<G>(shape.size(), 5);
    at_every_level([&, rows = rows, columns = columns] {
      for (const Mode mode : kModes) {
        const GroupLasso regularizer{1, mode};
        const Reference reference = group_lasso(numbers, rows, columns, mode);
        for (const Placement& x_placement : kPlacements) {
          StridedMatrix<T> x(numbers, rows, columns, x_placement);
          const double value = taut::value(regularizer, x.view());
          CHECK(is_close(value, reference.value, reference.value_tolerance, kFormat<double>));
          std::optional<std::vector<G>> first;
          for (const Placement& placement : kPlacements) {
            INFO("input " << x_placement.name << ", gradient " << placement.name);
            StridedMatrix<G> gradient(before, rows, columns, placement);
            CHECK(same_bits(taut::accumulate_grad(regularizer, x.view(), gradient.view(), 0.9),
                            value));
            if (!first) {
              first = gradient.elements();
              CHECK(gradient_error(reference, 0.9, before, *first) == "");
            }
            CHECK(same_bits(gradient.elements(), *first));
            CHECK(gradient.has_clean_gaps());
            CHECK(x.has_clean_gaps());
          }
        }
      }
    });
  }
}

// What becomes of x: reference.gradient is √g * w / |w|.
template <typename T>
Reference prox_reference(const std::vector<double>& x, const Reference& penalty, Real step,
                         Real root) {
  Reference reference;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const Real number = x[i];
    const Real unit = penalty.gradient[i] / root;
    const Real left = unit == 0 ? 0 : 1 - step * root * (unit / number);
    reference.gradient.push_back(left > 0 ? number * left : 0);
    reference.gradient_tolerance.push_back(2 * step * penalty.gradient_tolerance[i] +
                                           4 * kRoundoff64 * std::abs(number));
  }
  return reference;
}

TEMPLATE_TEST_CASE("a proximal step of group lasso is what the formula says in every layout", "",
                   double, float, Float16, BFloat16) {
  using T = TestType;
  for (const Shape& shape : {Shape{67, 121}, Shape{700, 11}, Shape{3, 70'001}}) {
    const auto [rows, columns] = shape;
    std::vector<double> numbers = random_numbers<T>(shape.size());
    for (std::size_t i = 0; i < numbers.size(); ++i) {  // every other row and column is to vanish
      if ((i / columns) % 2 == 1 || (i % columns) % 2 == 1) {
        numbers[i] = to_double(from_double<T>(numbers[i] / 64));
      }
    }
    for (const Mode mode : kModes) {
      const Real root = std::sqrt(static_cast<Real>(mode == Mode::kRows ? columns : rows));
      const Reference penalty = group_lasso(numbers, rows, columns, mode);
      const double step = 0.25;
      const Reference reference = prox_reference<T>(numbers, penalty, step, root);
      at_every_level([&, rows = rows, columns = columns] {
        for (const Placement& placement : kPlacements) {
          INFO(placement.name << ", " << rows << " rows");
          StridedMatrix<T> x(numbers, rows, columns, placement);
          taut::prox(GroupLasso{1, mode}, x.view(), step);
          CHECK(gradient_error(reference, 1, {}, x.elements()) == "");
          CHECK(x.has_clean_gaps());
        }
      });
    }
  }
}

TEMPLATE_LIST_TEST_CASE("a scale of 0 makes slopes of 0, of groups of zeros too", "", EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  const std::vector<T> x = store<T>({0.0, 0.0, 3.0, 4.0});
  at_every_level([&] {
    for (const taut::Mode mode : {taut::Mode::kRows, taut::Mode::kColumns}) {
      const auto view = taut::ConstView::matrix(x.data(), 2, 2, 2);
      const auto result = value_and_grad<G>(taut::GroupLasso{0.5, mode}, view, 0);
      CHECK(to_doubles(result.gradient) == std::vector<double>(4, 0.0));
    }
  });
}

TEMPLATE_LIST_TEST_CASE("a group of zeros has slopes of 0, however large factor and scale are", "",
                        EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  const std::vector<T> x(6, T{});
  at_every_level([&] {
    for (const taut::Mode mode : kModes) {
      const auto slopes = accumulate_grad<G>(taut::GroupLasso{1e300, mode}, view_of(x, {2, 3}),
                                             {0, 1, 2, 3, 4, 5}, -1e300);
      CHECK(to_doubles(slopes.gradient) == std::vector<double>{0, 1, 2, 3, 4, 5});
    }
  });
}

TEST_CASE("groups of one element are L1's") {
  const std::vector<double> x{0.5, -2, 0, kInfinity, kNan, -kInfinity, 3};
  for (const Mode mode : kModes) {
    const taut::ConstView view(x.data(), x.size());
    const auto own = value_and_grad<double>(GroupLasso{0.3, mode}, view);
    const auto expected = value_and_grad<double>(taut::L1{0.3}, view);
    CHECK(same_bits(own.value, expected.value));
    CHECK(same_bits(own.gradient, expected.gradient));
  }
}

TEST_CASE("group lasso of a scalar, or with a factor that is none, is refused") {
  std::vector<double> memory{1, 2, 3, 4};
  const View scalar(memory.data(), taut::DType::kFloat64, {}, {});
  const View matrix = View::matrix(memory, 2, 2);
  CHECK_THROWS_AS(taut::value(GroupLasso{}, scalar), taut::InvalidArgument);
  CHECK_THROWS_AS(taut::prox(GroupLasso{}, scalar, 1), taut::InvalidArgument);
  for (const double wrong : {-1.0, kNan, kInfinity}) {
    CHECK_THROWS_AS(taut::value(GroupLasso{wrong}, matrix), taut::InvalidArgument);
    CHECK_THROWS_AS(taut::prox(GroupLasso{wrong}, matrix, 1), taut::InvalidArgument);
  }
  CHECK_THROWS_AS(taut::prox(GroupLasso{1e200}, matrix, 1e200), taut::InvalidArgument);
  CHECK(memory == std::vector<double>{1, 2, 3, 4});
}

TEST_CASE("a batch of group lasso has the bits of its terms, one by one") {
  const std::vector<float> x = store<float>(random_numbers<float>(300 * 200));
  const auto view = view_of(x, {300, 200});
  std::vector<taut::GradientTerm> terms;
  std::vector<std::vector<float>> gradients(4, std::vector<float>(x.size(), 1));
  std::vector<std::vector<float>> numbers(4, x);
  for (std::size_t i = 0; i < 4; ++i) {
    numbers[i][i] = 2;
    terms.push_back({GroupLasso{0.3, kModes[i % 2]}, view_of(numbers[i], {300, 200}),
                     View::matrix(gradients[i], 300, 200)});
  }
  std::vector<double> values(4);
  taut::accumulate_grad(terms, 0.9, values);
  for (std::size_t i = 0; i < 4; ++i) {
    const auto alone = accumulate_grad<float>(terms[i].regularizer, terms[i].x,
                                              std::vector<double>(x.size(), 1.0), 0.9);
    CHECK(same_bits(values[i], alone.value));
    CHECK(same_bits(gradients[i], alone.gradient));
  }
}

}  // namespace
}  // namespace taut_test
