// Every layout of an input and of a gradient gives the same gradient, and nothing else is written.

#include "check_penalty.hpp"
#include "runtime_guards.hpp"
#include "strided.hpp"

namespace taut_test {
namespace {

constexpr std::size_t kRows = 67;  // several blocks of 2048 elements
constexpr std::size_t kColumns = 121;

template <typename T, typename G>
void check_placements(const taut::Regularizer& regularizer, std::size_t rows, std::size_t columns,
                      const Reference& reference, const std::vector<double>& numbers) {
  const std::vector<double> before = random_numbers<G>(numbers.size(), 5);
  StridedMatrix<T> plain(numbers, rows, columns, kPlacements[0]);
  const auto overwritten = value_and_grad<G>(regularizer, plain.view(), 0.9);
  const auto accumulated = accumulate_grad<G>(regularizer, plain.view(), before, 0.9);
  for (const Placement& x_placement : kPlacements) {
    StridedMatrix<T> x(numbers, rows, columns, x_placement);
    const double value = taut::value(regularizer, x.view());
    CHECK(is_close(value, reference.value, reference.value_tolerance, kFormat<double>));
    for (const Placement& placement : kPlacements) {
      INFO("input " << x_placement.name << ", gradient " << placement.name);
      StridedMatrix<G> gradient(before, rows, columns, placement);
      CHECK(same_bits(taut::accumulate_grad(regularizer, x.view(), gradient.view(), 0.9), value));
      CHECK(same_bits(gradient.elements(), accumulated.gradient));
      CHECK(same_bits(taut::value_and_grad(regularizer, x.view(), gradient.view(), 0.9), value));
      CHECK(same_bits(gradient.elements(), overwritten.gradient));
      CHECK(gradient.has_clean_gaps());
      CHECK(x.has_clean_gaps());
    }
  }
}

TEMPLATE_LIST_TEST_CASE("elementwise penalties of matrices in every layout", "", EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  const std::vector<double> numbers = random_numbers<T>(kRows * kColumns);
  at_every_level([&] {
    check_placements<T, G>(taut::L1L2{0.3, 0.07}, kRows, kColumns, elementwise(numbers, 0.3, 0.07),
                           numbers);
  });
}

// Rows of 32 elements, of 96, and so many that there are several pieces, which begin within a row.
TEMPLATE_LIST_TEST_CASE("elementwise penalties of matrices with rows of whole lanes", "",
                        EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  for (const auto& [rows, columns] : {std::pair(40, 32), std::pair(50, 96), std::pair(800, 96)}) {
    const auto height = static_cast<std::size_t>(rows);
    const auto width = static_cast<std::size_t>(columns);
    const std::vector<double> numbers = random_numbers<T>(height * width);
    at_every_level([&, &h = height, &w = width] {
      check_placements<T, G>(taut::L1L2{0.3, 0.07}, h, w, elementwise(numbers, 0.3, 0.07), numbers);
      StridedMatrix<T> plain(numbers, h, w, kPlacements[0]);
      StridedMatrix<T> padded(numbers, h, w, kPlacements[2]);
      taut::prox(taut::L1{0.3}, plain.view(), 0.5);
      taut::prox(taut::L1{0.3}, padded.view(), 0.5);
      CHECK(same_bits(plain.elements(), padded.elements()));
    });
  }
}

TEMPLATE_LIST_TEST_CASE("orthogonal penalties of matrices in every layout", "", EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  constexpr std::size_t kGramRows = 29;
  constexpr std::size_t kGramColumns = 35;
  const std::vector<double> numbers = random_numbers<T>(kGramRows * kGramColumns);
  for (const taut::Mode mode : {taut::Mode::kRows, taut::Mode::kColumns}) {
    const Reference reference =
        gram(numbers, kGramRows, kGramColumns, mode, taut::DTypeOf<T>::value);
    at_every_level([&] {
      check_placements<T, G>(taut::OrthogonalRegularizer{.factor = 1, .mode = mode}, kGramRows,
                             kGramColumns, reference, numbers);
    });
  }
}

TEMPLATE_LIST_TEST_CASE("an array with gaps has the value of the one without, bit by bit", "",
                        EveryDtype) {
  using T = typename TestType::Element;
  constexpr std::size_t kManyRows = 301;  // more than one piece
  const std::vector<double> numbers = random_numbers<T>(kManyRows * kColumns);
  at_every_level([&] {
    StridedMatrix<T> plain(numbers, kManyRows, kColumns, kPlacements[0]);
    const double value = taut::value(taut::L1L2{0.3, 0.07}, plain.view());
    for (const Placement& placement : kPlacements) {
      // In the others, memory has another order, in which the elements are added.
      if (placement.column_major || placement.step < 0 || placement.reversed) continue;
      INFO(placement.name);
      StridedMatrix<T> x(numbers, kManyRows, kColumns, placement);
      CHECK(same_bits(taut::value(taut::L1L2{0.3, 0.07}, x.view()), value));
    }
  });
}

TEMPLATE_LIST_TEST_CASE("an array that is walked backwards has the value of the one in order", "",
                        EveryDtype) {
  using T = typename TestType::Element;
  const std::vector<double> numbers = random_numbers<T>(kRows * kColumns);
  at_every_level([&] {
    StridedMatrix<T> plain(numbers, kRows, kColumns, kPlacements[0]);
    const double value = taut::value(taut::L2{1}, plain.view());
    const taut::ConstView view = plain.view();
    const auto transposed =
        taut::ConstView::matrix(static_cast<const T*>(view.data()), kColumns, kRows, 1, kColumns);
    CHECK(same_bits(taut::value(taut::L2{1}, transposed), value));
    const auto reversed =
        taut::ConstView::matrix(static_cast<const T*>(view.data()) + kRows * kColumns - 1, kRows,
                                kColumns, -static_cast<std::ptrdiff_t>(kColumns), -1);
    CHECK(same_bits(taut::value(taut::L2{1}, reversed), value));
  });
}

// A view of an array with four axes, and the numbers that it shows, in C order.
template <typename T>
struct FourAxes {
  std::vector<std::ptrdiff_t> shape;
  std::vector<std::ptrdiff_t> strides;  // elements
  std::size_t first;

  taut::ConstView view(const std::vector<T>& memory) const {
    std::vector<std::ptrdiff_t> bytes;
    for (const std::ptrdiff_t stride : strides) {
      bytes.push_back(stride * static_cast<std::ptrdiff_t>(sizeof(T)));
    }
    return {memory.data() + first, taut::DTypeOf<T>::value, shape, bytes};
  }

  std::vector<double> numbers(const std::vector<T>& memory) const {
    std::vector<double> numbers;
    for (std::ptrdiff_t a = 0; a < shape[0]; ++a) {
      for (std::ptrdiff_t b = 0; b < shape[1]; ++b) {
        for (std::ptrdiff_t c = 0; c < shape[2]; ++c) {
          for (std::ptrdiff_t d = 0; d < shape[3]; ++d) {
            const std::ptrdiff_t offset =
                a * strides[0] + b * strides[1] + c * strides[2] + d * strides[3];
            numbers.push_back(to_double(
                memory[static_cast<std::size_t>(static_cast<std::ptrdiff_t>(first) + offset)]));
          }
        }
      }
    }
    return numbers;
  }
};

TEMPLATE_LIST_TEST_CASE("elementwise penalties of arrays with more axes", "", EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  const std::vector<T> memory = store<T>(random_numbers<T>(7 * 11 * 13 * 5));
  const FourAxes<T> arrays[] = {
      {{7, 11, 13, 5}, {715, 65, 5, 1}, 0},            // contiguous
      {{5, 13, 11, 7}, {1, 5, 65, 715}, 0},            // transposed
      {{11, 5, 7, 13}, {65, 1, 715, 5}, 0},            // permuted
      {{7, 6, 13, 5}, {715, 130, 5, 1}, 0},            // sliced
      {{7, 6, 13, 5}, {715, -130, 5, 1}, 10 * 65},     // sliced backwards
      {{7, 1, 13, 1}, {715, 9999, -5, 9999}, 12 * 5},  // an extent of 1 has no stride
      {{7, 4, 13, 5}, {715, 0, 5, 1}, 0},              // broadcast along an axis
      {{3, 11, 13, 6}, {0, 65, 5, 0}, 0},              // and along the outer ones
      {{7, 11, 13, 5}, {0, 0, 0, 0}, 3},               // one number everywhere
      {{7, 0, 13, 5}, {715, 65, 5, 1}, 0},             // none
      {{100, 20, 2, 1}, {3, 7, 1, 1}, 0},              // some elements several times
  };
  at_every_level([&] {
    for (const FourAxes<T>& array : arrays) {
      const std::vector<double> numbers = array.numbers(memory);
      check_penalty<G>(taut::L1L2{0.3, 0.07}, array.view(memory), elementwise(numbers, 0.3, 0.07));
    }
  });
}

TEMPLATE_LIST_TEST_CASE("orthogonal penalties of broadcast matrices", "", EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  const std::vector<double> row = random_numbers<T>(40);
  const std::vector<T> x = store<T>(row);
  at_every_level([&] {
    // 40 equal rows; and 40 rows, each of one number.
    for (const std::size_t row_stride : Sizes{0, 1}) {
      const auto view =
          taut::ConstView::matrix(x.data(), 40, 40, static_cast<std::ptrdiff_t>(row_stride),
                                  static_cast<std::ptrdiff_t>(1 - row_stride));
      std::vector<double> numbers;
      for (std::size_t i = 0; i < 1600; ++i) {
        numbers.push_back(row[row_stride == 0 ? i % 40 : i / 40]);
      }
      check_penalty<G>(taut::OrthogonalRegularizer{.factor = 1}, view,
                       gram(numbers, 40, 40, taut::Mode::kRows, taut::DTypeOf<T>::value));
    }
  });
}

}  // namespace
}  // namespace taut_test
