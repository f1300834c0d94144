// taut on threads with little stack and on fibers. CTest gives OpenMP's threads little, too.

#include <algorithm>
#include <functional>
#include <string>

#include "check_penalty.hpp"
#include "runtime_guards.hpp"
#include "small_stack.hpp"
#include "strided.hpp"

namespace taut_test {
namespace {

using taut::ConstView;
using taut::Mode;
using taut::View;

// What calls may use: so much less than there is that a caller has something left. The C library
// has a page or two of a thread's stack for itself.
constexpr std::size_t kMost = std::size_t{24} << 10;

// The first of all cases: what is found once is found here.
TEST_CASE("the number of threads is found on a small stack") {
  SmallStack stack;
  std::size_t threads = 0;
  CHECK(stack.run_on_thread([&] {
    threads = taut::num_threads_origin().empty() ? 0 : std::size_t(taut::get_num_threads());
  }) <= kMost);
  CHECK(threads > 0);
}

const taut::Regularizer kRegularizers[] = {
    taut::L1{0.3},
    taut::L2{0.07},
    taut::L1L2{0.3, 0.07},
    taut::OrthogonalRegularizer{},
    taut::OrthogonalRegularizer{.mode = Mode::kColumns},
    taut::SoftOrthogonalRegularizer{},
    taut::SoftOrthogonalRegularizer{.mode = Mode::kColumns},
    taut::SoftOrthogonalRegularizer{.diagonal = false},
    taut::GroupLasso{},
    taut::GroupLasso{.mode = Mode::kColumns},
};

bool is_elementwise(const taut::Regularizer& regularizer) {
  return std::holds_alternative<taut::L1>(regularizer) ||
         std::holds_alternative<taut::L2>(regularizer) ||
         std::holds_alternative<taut::L1L2>(regularizer);
}

bool has_prox(const taut::Regularizer& regularizer) {
  return is_elementwise(regularizer) || std::holds_alternative<taut::GroupLasso>(regularizer);
}

// All functions of the public face, for one matrix.
template <typename T, typename G>
class Calls {
 public:
  Calls(const std::vector<double>& numbers, std::size_t rows, std::size_t columns,
        const Placement& placement)
      : x_(numbers, rows, columns, placement),
        stepped_(numbers, rows, columns, placement),
        gradient_(numbers, rows, columns, placement) {}

  void run() {
    call_one_by_one();
    call_in_batches();
    call_ranges();
    call_shares();
    call_others();
  }

 private:
  void call_one_by_one() {
    for (const taut::Regularizer& regularizer : kRegularizers) {
      taut::value(regularizer, x_.view());
      taut::value_and_grad(regularizer, x_.view(), gradient_.view(), 0.5);
      taut::accumulate_grad(regularizer, x_.view(), gradient_.view(), 0.5);
      if (has_prox(regularizer)) taut::prox(regularizer, stepped_.view(), 1e-3);
    }
  }

  void call_in_batches() {
    for (const taut::Regularizer& regularizer : kRegularizers) {
      std::optional<ConstView> beside;
      if (is_elementwise(regularizer)) beside = x_.view();
      const taut::Term value_terms[] = {{regularizer, stepped_.view(), beside, beside},
                                        {taut::L2{}, x_.view()}};
      taut::value(value_terms);
      const taut::GradientTerm terms[] = {
          {regularizer, stepped_.view(), gradient_.view(), beside, beside}};
      taut::check_accumulate_grad(terms);
      taut::accumulate_grad(terms, 0.5);
      taut::value_and_grad(terms, 0.5);
      const taut::ProxTerm steps[] = {{regularizer, stepped_.view(), beside, beside}};
      if (has_prox(regularizer)) taut::prox(steps, 1e-3);
    }
  }

  // The whole range, whose gradient is that of the whole.
  void call_ranges() {
    for (const Mode mode : {Mode::kRows, Mode::kColumns}) {
      const taut::OrthogonalRegularizer regularizer{.mode = mode};
      const taut::VectorRange all{0, x_.view().extent(mode == Mode::kRows ? 0 : 1)};
      taut::value(regularizer, x_.view(), taut::VectorRange{all.end / 3, all.end});
      taut::value_and_grad(regularizer, x_.view(), all, gradient_.view(), 0.5);
      taut::accumulate_grad(regularizer, x_.view(), all, gradient_.view(), 0.5);
    }
  }

  void call_shares() {
    const taut::OrthogonalRegularizer regularizer{};
    const std::size_t vectors = x_.view().extent(0);
    const std::size_t row = taut::pair_words(vectors, 1, x_.view().dtype());
    std::vector<std::uint64_t> words(vectors * row);
    std::vector<double> measures(vectors * taut::kPairMeasures);
    auto* const bytes = reinterpret_cast<std::byte*>(words.data());
    taut::value(regularizer, x_.view(), taut::PairShare{0, 2});
    taut::value_and_signs(regularizer, x_.view(), taut::PairShare{0, 1}, {bytes, measures.data()});
    taut::grad_from_signs(regularizer, x_.view(), {0, vectors},
                          {bytes, vectors * row, 1, measures.data()}, gradient_.view(), 0.5);
  }

  // Also a mistake, as exceptions take stack of their own.
  void call_others() {
    taut::trim_memory();
    taut::set_num_threads(taut::get_num_threads());
    taut::set_level(taut::level());
    try {
      taut::prox(taut::OrthogonalRegularizer{}, stepped_.view(), 0.1);
    } catch (const taut::InvalidArgument&) {
    }
  }

  StridedMatrix<T> x_;
  StridedMatrix<T> stepped_;
  StridedMatrix<G> gradient_;
};

struct Numbers {
  const char* name;
  std::function<double(double)> of;  // a random number
};

// The orthogonal penalty has ways of its own for products of 0 and those that leave the range.
const Numbers kNumbers[] = {
    {"any", [](double x) { return x; }},
    {"integers", [](double x) { return std::clamp(std::round(x), -1.0, 1.0); }},
    {"small and large", [](double x) { return x > 0 ? x * 1e30 : x * 1e-30; }},
};

void check(const std::function<void()>& calls) {
  SmallStack stack;
  CHECK(stack.run_on_thread(calls) <= kMost);
#if defined(TAUT_HAS_FIBERS)
  CHECK(stack.run_on_fiber(calls) <= kMost);
#endif
}

TEMPLATE_LIST_TEST_CASE("small stacks are enough", "", EveryDtype) {
  using T = typename TestType::Element;
  using G = typename TestType::Gradient;
  const auto check_calls = [](std::size_t rows, std::size_t columns, const Placement& placement,
                              const Numbers& kind) {
    INFO(rows << " x " << columns << ' ' << placement.name << ", " << kind.name);
    std::vector<double> numbers = random_numbers<T>(rows * columns);
    std::ranges::transform(numbers, numbers.begin(), kind.of);
    Calls<T, G> calls(numbers, rows, columns, placement);
    check([&] { calls.run(); });
  };
  at_every_level([&] {
    const UsedThreads used(3);
    for (const Placement& placement : kPlacements) check_calls(70, 35, placement, kNumbers[0]);
    for (const Numbers& kind : kNumbers) {
      check_calls(3, 2, kPlacements[0], kind);
      check_calls(300, 60, kPlacements[0], kind);  // on several threads
    }
  });
}

TEST_CASE("to tell interleaved arrays apart takes little stack") {
  std::vector<float> memory(40'000);
  std::vector<taut::GradientTerm> terms;
  constexpr std::size_t kTerms = 20, kStep = 2 * kTerms;
  for (std::size_t i = 0; i < kTerms; ++i) {
    const std::size_t count = memory.size() / kStep - i;
    const auto place = [&](std::size_t at) {
      return View::matrix(memory.data() + at, count / 7, 7, std::ptrdiff_t{7 * kStep}, kStep);
    };
    terms.push_back({taut::L2{0.1}, place(2 * i), place(2 * i + 1)});
  }
  check([&] {
    taut::check_accumulate_grad(terms);
    taut::accumulate_grad(terms);
  });
  terms.back().gradient = terms.front().gradient;
  bool is_told = false;
  check([&] {
    try {
      taut::accumulate_grad(terms);
    } catch (const taut::InvalidTerm&) {
      is_told = true;
    }
  });
  CHECK(is_told);
}

}  // namespace
}  // namespace taut_test
