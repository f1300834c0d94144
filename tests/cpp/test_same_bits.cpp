// Any number of threads gives the same bits. Levels and processors are compared by
// test_recorded_bits.cpp.

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

}  // namespace
}  // namespace taut_test
