// Whatever the caller's floating-point control word says, the results are those of round-to-nearest
// without flush-to-zero, and the word is afterwards as it was: on every thread.

#include <cfenv>
#include <cstdint>
#include <limits>
#include <vector>

#include "check_penalty.hpp"
#include "runtime_guards.hpp"

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif
#if defined(TAUT_TEAM_IS_OPENMP)
#include <omp.h>
#endif

namespace taut_test {
namespace {

#if defined(__x86_64__)
using Word = unsigned;
Word read_word() { return _mm_getcsr(); }
void write_word(Word word) { _mm_setcsr(word); }

constexpr Word kDefault = 0x1f80;
constexpr Word kWords[] = {
    kDefault,
    0x9fc0,             // flush to zero, subnormals are zero
    kDefault | 0x6000,  // round towards zero
    kDefault | 0x4000,  // round up
    0xffc0,             // all of it
    0x9fc0 & ~0x0880u,  // invalid operations and underflow trap
    kDefault | 0x3f,    // flags that earlier work has set
};
#elif defined(__aarch64__)
using Word = std::uint64_t;
Word read_word() {
  Word word;
  asm volatile("mrs %0, fpcr" : "=r"(word));
  return word;
}
void write_word(Word word) { asm volatile("msr fpcr, %0" : : "r"(word) : "memory"); }

constexpr Word kDefault = 0;
constexpr Word kWords[] = {
    kDefault,
    1u << 24,  // flush to zero
    3u << 22,  // round towards zero
    1u << 22,  // round up
    (1u << 24) | (1u << 22),
};
#endif

class UsedWord {
 public:
  explicit UsedWord(Word word) : before_(read_word()) { write_word(word); }
  ~UsedWord() { write_word(before_); }
  UsedWord(const UsedWord&) = delete;
  UsedWord& operator=(const UsedWord&) = delete;

 private:
  Word before_;
};

// Numbers whose sums and slopes a wrong environment would change: subnormals, their neighbours, and
// numbers that are rounded.
template <typename T>
std::vector<T> sensitive_numbers(std::size_t count) {
  std::vector<double> numbers = random_numbers<T>(count);
  const double smallest = kFormat<T>.smallest();
  for (std::size_t i = 0; i < count; i += 3) numbers[i] = smallest * static_cast<double>(i % 50);
  return store<T>(numbers);
}

template <typename T, typename G>
struct Problem {
  taut::Regularizer regularizer;
  std::vector<T> x;
  std::size_t rows;
  std::vector<double> before;

  Problem(taut::Regularizer of, std::size_t rows_of_x, std::size_t columns)
      : regularizer(of),
        x(sensitive_numbers<T>(rows_of_x * columns)),
        rows(rows_of_x),
        before(random_numbers<G>(x.size(), 2)) {}

  taut::ConstView view() const {
    const std::size_t columns = x.size() / rows;
    return taut::ConstView::matrix(x.data(), rows, columns, static_cast<std::ptrdiff_t>(columns));
  }

  // Calls everything under `word`; says whether the word was left as it was.
  bool solve(Word word, Result<G>& result, double& value) const {
    result.gradient = store<G>(before);
    const taut::View gradient = contiguous_view(result.gradient, shape_of(view()));
    const UsedWord used(word);
    value = taut::value(regularizer, view());
    result.value = taut::accumulate_grad(regularizer, view(), gradient, 0.9);
    return read_word() == word;
  }
};

template <typename T, typename G>
void check_problem(const Problem<T, G>& problem) {
  Result<G> expected;
  double expected_value = 0;
  REQUIRE(problem.solve(kDefault, expected, expected_value));
  for (const Word word : kWords) {
    Result<G> result;
    double value = 0;
    const bool unchanged = problem.solve(word, result, value);
    INFO("control word " << word);
    CHECK(unchanged);
    CHECK(same_bits(value, expected_value));
    CHECK(same_bits(result.value, expected_value));
    CHECK(same_bits(result.gradient, expected.gradient));
  }
}

TEMPLATE_LIST_TEST_CASE("the caller's control word changes no bit and is not changed", "",
                        EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  const Problem<T, G> elementwise(taut::L1L2{0.3, 0.07}, 1, 1001);
  const Problem<T, G> all_subnormal(taut::L2{0.5}, 1, 1);
  const Problem<T, G> orthogonal(taut::OrthogonalRegularizer{}, 30, 41);
  at_every_level([&] {
    check_problem(elementwise);
    check_problem(all_subnormal);
    check_problem(orthogonal);
  });
}

TEST_CASE("an error leaves the control word as it was") {
  const double x[] = {1.0};
  for (const Word word : kWords) {
    bool thrown = false;
    Word after = 0;
    {
      const UsedWord used(word);
      try {
        taut::value(taut::OrthogonalRegularizer{}, taut::ConstView(x, 1));
      } catch (const taut::InvalidArgument&) {
        thrown = true;
      }
      after = read_word();
    }
    CHECK(thrown);
    CHECK(after == word);
  }
}

TEST_CASE("NaN and Inf do not trap, even where the caller's word says so") {
#if defined(__x86_64__)
  const double infinity = std::numeric_limits<double>::infinity();
  const std::vector<double> x{infinity, -infinity, std::nan(""), 1e-310, 1e308};
  double value = 0;
  double orthogonal = 0;
  {
    const UsedWord all_trap(0);
    value = taut::value(taut::L1L2{1, 1}, taut::ConstView(x.data(), x.size()));
    orthogonal = taut::value(taut::OrthogonalRegularizer{},
                             taut::ConstView::matrix(x.data(), 2, 2, std::ptrdiff_t{2}));
  }
  CHECK(std::isnan(value));
  CHECK(std::isnan(orthogonal));
#endif
}

#if defined(__x86_64__)
// Numbers that are subnormal or have a rounded product set a status bit, or trap, wherever they are
// looked at.
TEST_CASE("no check of a factor or of a step sets a status bit or traps") {
  constexpr Word kAllTrap = 0;
  std::vector<double> x{0.5, -2, 0.25, 1};
  std::vector<double> gradient(x.size());
  const taut::View written = taut::View::matrix(x.data(), 2, 2, 2);
  const taut::ConstView read(written);
  const taut::View to = taut::View::matrix(gradient.data(), 2, 2, 2);
  const auto check_call = [&](auto call) {
    for (const Word word : {kDefault, kAllTrap}) {
      const UsedWord used(word);
      try {
        call();
      } catch (const taut::InvalidArgument&) {
      }
      const Word after = read_word();
      write_word(kDefault);
      CHECK(after == word);
    }
  };
  const double nan = std::numeric_limits<double>::signaling_NaN();
  for (const double factor : {0.3, 1e-200, 1e-310, 1e200, -1e-310, nan}) {
    for (const double step : {0.1, 1e-200, 1e-310, 1e200, -1e-310, nan}) {
      INFO("factor " << factor << ", step " << step);
      const taut::Regularizer regularizers[] = {taut::L1{factor},
                                                taut::L2{factor},
                                                taut::L1L2{factor, factor},
                                                taut::GroupLasso{factor},
                                                taut::SoftOrthogonalRegularizer{factor},
                                                taut::OrthogonalRegularizer{factor}};
      for (const taut::Regularizer& regularizer : regularizers) {
        const taut::ProxTerm steps[] = {{regularizer, written}};
        const taut::GradientTerm gradients[] = {{regularizer, read, to}};
        check_call([&] { taut::prox(regularizer, written, step); });
        check_call([&] { taut::prox(steps, step); });
        check_call([&] { taut::check_prox(steps, step); });
        check_call([&] { taut::value(regularizer, read); });
        check_call([&] { taut::accumulate_grad(regularizer, read, to, step); });
        check_call([&] { taut::accumulate_grad(gradients, step); });
        check_call([&] { taut::check_accumulate_grad(gradients, step); });
      }
      const taut::OrthogonalRegularizer orthogonal{factor};
      check_call([&] { taut::value(orthogonal, read, taut::VectorRange{0, 1}); });
      check_call([&] { taut::value(orthogonal, read, taut::PairShare{0, 2}); });
    }
  }
}
#endif

TEST_CASE("a step whose product with a factor is beyond float64 is refused in any environment") {
  std::vector<float> x{0.5, -2, 0.25, 1};
  const std::vector<float> before = x;
  const taut::View written = taut::View::matrix(x.data(), 2, 2, 2);
  const taut::Regularizer regularizers[] = {taut::L1{1e200}, taut::L2{1e200},
                                            taut::L1L2{1e200, 0.1}, taut::GroupLasso{1e200}};
  for (const Word word : kWords) {
    for (const taut::Regularizer& regularizer : regularizers) {
      const taut::ProxTerm steps[] = {{regularizer, written}};
      int refused = 0;
      const auto try_call = [&](auto call) {
        const UsedWord used(word);
        try {
          call();
        } catch (const taut::InvalidArgument&) {
          ++refused;
        }
      };
      try_call([&] { taut::prox(regularizer, written, 1e200); });
      try_call([&] { taut::prox(steps, 1e200); });
      try_call([&] { taut::check_prox(steps, 1e200); });
      INFO("control word " << word);
      CHECK(refused == 3);
      CHECK(x == before);
    }
  }
}

// LLVM's runtime gives its threads the caller's word in every region anyway.
#if defined(TAUT_TEAM_IS_OPENMP) && !defined(__clang__)
TEMPLATE_LIST_TEST_CASE("the words of all threads neither count nor change", "", EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  constexpr int kThreads = 3;
  const UsedThreads threads(kThreads);
  const Problem<T, G> problems[] = {{taut::L1L2{0.3, 0.07}, 600, 601},
                                    {taut::OrthogonalRegularizer{}, 500, 80}};
  for (const Problem<T, G>& problem : problems) {
    Result<G> expected;
    double expected_value = 0;
    REQUIRE(problem.solve(kDefault, expected, expected_value));
    for (const Word word : kWords) {
      // The threads of this region are those that the call will use.
#pragma omp parallel num_threads(kThreads)
      write_word(word);
      Result<G> result;
      double value = 0;
      const bool unchanged = problem.solve(word, result, value);
      std::vector<Word> after(kThreads);
#pragma omp parallel num_threads(kThreads)
      {
        after[static_cast<std::size_t>(omp_get_thread_num())] = read_word();
        write_word(kDefault);
      }
      INFO("control word " << word);
      CHECK(unchanged);
      CHECK(after == std::vector<Word>(kThreads, word));
      CHECK(same_bits(value, expected_value));
      CHECK(same_bits(result.value, expected_value));
      CHECK(same_bits(result.gradient, expected.gradient));
    }
  }
}
#endif

}  // namespace
}  // namespace taut_test
