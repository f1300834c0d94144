// Any number of threads gives the same bits, and so does every level that has fused multiply-add.
// Processors are compared by test_recorded_bits.cpp.

#include <array>
#include <optional>

#include "check_penalty.hpp"
#include "runtime_guards.hpp"

namespace taut_test {
namespace {

constexpr int kThreads[] = {1, 2, 3, 8};

struct Case {
  taut::Regularizer regularizer;
  std::size_t rows;
  std::size_t columns;
};

const Case kElementwiseCases[] = {
    {taut::L1{0.3}, 5, 17},
    {taut::L1{0.3}, 611, 701},
    {taut::L2{0.07}, 611, 701},
    {taut::L1L2{0.3, 0.07}, 611, 701},
};
const Case kGramCases[] = {
    {taut::OrthogonalRegularizer{}, 400, 70},
    {taut::OrthogonalRegularizer{}, 2400, 5},
    {taut::OrthogonalRegularizer{}, 30, 4000},
    {taut::OrthogonalRegularizer{.mode = taut::Mode::kColumns}, 270, 400},
};

// Groups in one piece and in many, along lines and across them, in long lines and in short ones.
const Case kGroupLassoCases[] = {
    {taut::GroupLasso{}, 611, 701},
    {taut::GroupLasso{}, 3, 140'000},
    {taut::GroupLasso{.mode = taut::Mode::kColumns}, 611, 701},
    {taut::GroupLasso{.mode = taut::Mode::kColumns}, 70, 5000},
    {taut::GroupLasso{.mode = taut::Mode::kColumns}, 80'000, 5},
};

// What the three functions give for one input.
template <typename G>
struct Everything {
  double value;
  Result<G> overwritten;
  Result<G> accumulated;

  bool operator==(const Everything& other) const {
    return same_bits(value, other.value) && same_bits(overwritten.value, other.overwritten.value) &&
           same_bits(accumulated.value, other.accumulated.value) &&
           same_bits(overwritten.gradient, other.overwritten.gradient) &&
           same_bits(accumulated.gradient, other.accumulated.gradient);
  }
};

template <typename T, typename G>
Everything<G> compute(const Case& test) {
  const std::size_t size = test.rows * test.columns;
  const std::vector<T> x = store<T>(random_numbers<T>(size));
  const std::vector<double> before = random_numbers<G>(size, 2);
  const auto view = taut::ConstView::matrix(x, test.rows, test.columns);
  return {taut::value(test.regularizer, view), value_and_grad<G>(test.regularizer, view, 0.9),
          accumulate_grad<G>(test.regularizer, view, before, 0.9)};
}

template <typename T, typename G>
void check_threads(const Case& test) {
  for (const std::string& level : levels_under_test()) {
    const UsedLevel used_level(level);
    std::optional<Everything<G>> first;
    for (const int threads : kThreads) {
      const UsedThreads used_threads(threads);
      INFO("level " << level << ", threads " << threads << ", rows " << test.rows);
      const Everything<G> results = compute<T, G>(test);
      if (!first) first = results;
      CHECK(results == *first);
    }
  }
}

TEMPLATE_LIST_TEST_CASE("elementwise penalties have the same bits for all threads", "",
                        EveryDtype) {
  for (const Case& test : kElementwiseCases) {
    check_threads<typename TestType::Element, typename TestType::Gradient>(test);
  }
}

TEMPLATE_LIST_TEST_CASE("group lasso has the same bits for all threads", "", EveryDtype) {
  for (const Case& test : kGroupLassoCases) {
    check_threads<typename TestType::Element, typename TestType::Gradient>(test);
  }
}

TEMPLATE_LIST_TEST_CASE("orthogonal penalties have the same bits for all threads", "", EveryDtype) {
  for (const Case& test : kGramCases) {
    check_threads<typename TestType::Element, typename TestType::Gradient>(test);
  }
}

template <typename T>
void check_threads_and_levels(const Case& test) {
  std::optional<Everything<T>> first;
  at_every_fused_level({1, 3}, [&] {
    INFO(test.rows << " x " << test.columns);
    const Everything<T> results = compute<T, T>(test);
    if (!first) first = results;
    CHECK(results == *first);
  });
}

TEMPLATE_TEST_CASE("orthogonal penalties of every size have the same bits", "[large]", float,
                   double) {
  for (std::size_t vectors = 1; vectors <= 400; ++vectors) {
    const std::size_t length = 1 + vectors * 7 % 40;
    const taut::OrthogonalRegularizer rows;
    const taut::OrthogonalRegularizer columns{.mode = taut::Mode::kColumns};
    const bool across = vectors % 2 == 0;
    check_threads_and_levels<TestType>(across ? Case{columns, length, vectors}
                                              : Case{rows, vectors, length});
  }
}

// Where tiles, strips, panels and depth blocks end, and where a stream begins.
TEMPLATE_TEST_CASE("orthogonal penalties have the same bits around every edge", "[large]", float,
                   double) {
  for (const std::size_t edge : std::array<std::size_t, 3>{576, 1152, 2304}) {
    for (const std::size_t vectors : {edge - 1, edge, edge + 1}) {
      check_threads_and_levels<TestType>({taut::OrthogonalRegularizer{}, vectors, 3});
    }
  }
  for (const std::size_t edge : std::array<std::size_t, 4>{16, 64, 128, 512}) {
    for (const std::size_t length : {edge - 1, edge, edge + 1}) {
      check_threads_and_levels<TestType>({taut::OrthogonalRegularizer{}, 40, length});
    }
  }
  check_threads_and_levels<TestType>({taut::OrthogonalRegularizer{}, 5, 300'000});
}

}  // namespace
}  // namespace taut_test
