// Pairs that are exactly orthogonal add nothing to the gradient, wherever in the matrix they are.

#include "check_penalty.hpp"
#include "runtime_guards.hpp"

namespace taut_test {
namespace {

using Numbers = std::vector<double>;

constexpr taut::OrthogonalRegularizer kRegularizer{.factor = 1};

// Within a sign block, across sign blocks, across tiles, and across strips.
constexpr std::size_t kCounts[] = {2, 5, 24, 97, 193, 1153};

template <typename T, typename G>
Result<G> evaluate(const Numbers& numbers, std::size_t rows) {
  const std::vector<T> x = store<T>(numbers);
  const std::size_t columns = x.size() / rows;
  return value_and_grad<G>(
      kRegularizer,
      taut::ConstView::matrix(x.data(), rows, columns, static_cast<std::ptrdiff_t>(columns)));
}

template <typename T, typename G>
void check(const Numbers& numbers, std::size_t rows) {
  const std::vector<T> x = store<T>(numbers);
  const std::size_t columns = x.size() / rows;
  const auto view =
      taut::ConstView::matrix(x.data(), rows, columns, static_cast<std::ptrdiff_t>(columns));
  const Reference reference =
      gram(numbers, rows, columns, taut::Mode::kRows, taut::DTypeOf<T>::value);
  check_penalty<G>(kRegularizer, view, reference);
}

TEMPLATE_LIST_TEST_CASE("the identity has no penalty and a gradient of exactly zero", "",
                        EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  at_every_level([] {
    for (const std::size_t count : kCounts) {
      Numbers numbers(count * count);
      for (std::size_t i = 0; i < count; ++i) numbers[i * count + i] = i % 2 == 0 ? 1 : -3;
      const auto result = evaluate<T, G>(numbers, count);
      CHECK(result.value == 0);
      CHECK(to_doubles(result.gradient) == Numbers(count * count, 0.0));
    }
  });
}

TEMPLATE_LIST_TEST_CASE("one-hot rows that repeat are orthogonal or parallel", "", EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  at_every_level([] {
    for (const std::size_t count : kCounts) {
      constexpr std::size_t kColumns = 3;
      Numbers numbers(count * kColumns);
      double pairs = 0;
      Numbers seen(kColumns);
      for (std::size_t i = 0; i < count; ++i) {
        const std::size_t place = (i * 7 + i / 5) % kColumns;
        numbers[i * kColumns + place] = i % 4 < 2 ? 2 : -0.5;
        pairs += seen[place]++;
      }
      const auto result = evaluate<T, G>(numbers, count);
      const double all_pairs = static_cast<double>(count) * static_cast<double>(count - 1) / 2;
      CHECK(result.value == pairs / all_pairs);
      // A vector's slope is along itself, and the norm does not count.
      CHECK(to_doubles(result.gradient) == Numbers(numbers.size(), 0.0));
    }
  });
}

TEMPLATE_LIST_TEST_CASE("duplicates and opposites have a cosine of 1", "", EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  at_every_level([] {
    for (const std::size_t count : Sizes{2, 9, 100, 200}) {
      Numbers row = random_numbers<T>(19);
      Numbers numbers;
      for (std::size_t i = 0; i < count; ++i) {
        for (const double number : row) numbers.push_back(i % 3 == 0 ? -number : number);
      }
      check<T, G>(numbers, count);
    }
  });
}

// Rows that live in columns of their own, some blocks of them; a pair across blocks is orthogonal.
Numbers block_diagonal(std::size_t blocks, std::size_t rows, std::size_t columns,
                       const Numbers& random) {
  Numbers numbers(blocks * rows * blocks * columns);
  std::size_t next = 0;
  for (std::size_t row = 0; row < blocks * rows; ++row) {
    // Neighbours are in different blocks, so that a sign group has zeros and others.
    const std::size_t block = row % blocks;
    for (std::size_t column = 0; column < columns; ++column) {
      numbers[(row * blocks + block) * columns + column] = random[next++];
    }
  }
  return numbers;
}

TEMPLATE_LIST_TEST_CASE("blocks of rows in columns of their own do not see each other", "",
                        EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  at_every_level([] {
    for (const std::size_t rows : Sizes{2, 40, 70}) {
      check<T, G>(block_diagonal(3, rows, 5, random_numbers<T>(3 * rows * 5)), 3 * rows);
    }
  });
}

TEMPLATE_LIST_TEST_CASE("a few orthogonal pairs among many others are left out", "", EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  // Small integers, whose dot products are exact, and often 0.
  for (const std::size_t count : Sizes{6, 50, 193, 400}) {
    constexpr std::size_t kColumns = 4;
    Numbers numbers;
    for (const double number : random_numbers<double>(count * kColumns)) {
      numbers.push_back(std::nearbyint(number * 4));
    }
    at_every_level([&] { check<T, G>(numbers, count); });
  }
}

TEMPLATE_LIST_TEST_CASE("one zero pair in one place of a large matrix is left out", "",
                        EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  constexpr std::size_t kCount = 300;
  // All rows are (1, 1), but two that are orthogonal to each other and not to the others.
  for (const std::size_t other : Sizes{1, 3, 95, 96, 191, 192, 250, 299}) {
    Numbers numbers(kCount * 2, 1.0);
    numbers[1] = 0;
    numbers[other * 2] = 0;
    at_every_level([&] { check<T, G>(numbers, kCount); });
  }
}

TEMPLATE_LIST_TEST_CASE("a zero vector has no penalty and no gradient", "", EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  at_every_level([] {
    const auto all_zero = evaluate<T, G>(Numbers(30 * 7), 30);
    CHECK(all_zero.value == 0);
    CHECK(to_doubles(all_zero.gradient) == Numbers(30 * 7));
    for (const std::size_t place : Sizes{0, 29}) {
      Numbers numbers = random_numbers<T>(30 * 7);
      for (std::size_t i = 0; i < 7; ++i) numbers[place * 7 + i] = 0;
      const auto result = evaluate<T, G>(numbers, 30);
      CHECK(result.value > 0);
      check<T, G>(numbers, 30);
    }
  });
}

}  // namespace
}  // namespace taut_test
