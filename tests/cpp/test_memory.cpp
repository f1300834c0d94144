// The memory that a call works in: bounded, whatever the matrix's shape, by ways whose bits are
// those of the quick ones.

#include <string>

#include "check_penalty.hpp"
#include "plans/vectors.hpp"
#include "runtime_guards.hpp"

namespace taut_test {
namespace {

using taut::ConstView;
using taut::Mode;
using taut::OrthogonalRegularizer;
using taut::SoftOrthogonalRegularizer;
using taut::View;
using taut::Workspace;

constexpr std::size_t kMega = std::size_t{1} << 20;
constexpr std::size_t kOfThread = 2 * kMega;

// Three times x, or 48 MB, and what each thread has for itself.
std::size_t most_of(const ConstView& x, int threads) {
  return 3 * std::max(16 * kMega, x.size() * taut::size_of(x.dtype())) +
         static_cast<std::size_t>(threads) * kOfThread;
}

// Numbers in a hurry: some whole number of halves each.
template <typename T>
std::vector<T> quick_numbers(std::size_t count) {
  std::vector<T> numbers(count);
  std::uint32_t state = 1;
  for (T& number : numbers) {
    state = state * 1664525 + 1013904223;
    number = from_double<T>(static_cast<double>(state >> 28) - 7.5);
  }
  return numbers;
}

// The bytes that a call takes which has none yet.
template <typename Call>
std::size_t memory_of(Call call) {
  Workspace workspace;
  call(&workspace);
  return workspace.size();
}

void check_memory(const taut::Regularizer& regularizer, const ConstView& x, const View& gradient,
                  double factor = 1) {
  for (const int threads : {1, 2}) {
    const UsedThreads used(threads);
    INFO("shape " << Catch::Detail::stringify(shape_of(x)) << ", " << taut::name_of(x.dtype())
                  << ", regularizer " << regularizer.index() << ", threads " << threads);
    const auto most = static_cast<std::size_t>(factor * static_cast<double>(most_of(x, threads)));
    CHECK(memory_of([&](Workspace* own) { taut::value(regularizer, x, own); }) <= most);
    CHECK(memory_of([&](Workspace* own) {
            taut::accumulate_grad(regularizer, x, gradient, 0.5, own);
          }) <= most);
    CHECK(memory_of([&](Workspace* own) {
            taut::value_and_grad(regularizer, x, gradient, 0.5, own);
          }) <= most);
  }
}

template <typename T>
void check_memory(const taut::Regularizer& regularizer, std::size_t rows, std::size_t columns) {
  const std::vector<T> x = quick_numbers<T>(rows * columns);
  std::vector<T> gradient(x.size());
  check_memory(regularizer, ConstView::matrix(x, rows, columns),
               View::matrix(gradient, rows, columns));
}

TEST_CASE("the copies of few long vectors are not many times as large") {
  check_memory<float>(OrthogonalRegularizer{}, 3, 1'000'000);
  check_memory<float>(SoftOrthogonalRegularizer{}, 3, 1'000'000);
  check_memory<float>(SoftOrthogonalRegularizer{}, 1'000'000, 3);
}

TEST_CASE("the copies of any matrix are no more than three times as large", "[large]") {
  const OrthogonalRegularizer rows;
  const OrthogonalRegularizer columns{.mode = Mode::kColumns};
  check_memory<float>(rows, 2, 10'000'000);
  check_memory<float>(rows, 49, 200'000);
  check_memory<float>(rows, 2304, 2304);
  check_memory<float>(rows, 10'500, 400);
  check_memory<float>(columns, 4, 50'000);
  check_memory<taut::Float16>(columns, 3000, 2000);
  check_memory<taut::Float16>(rows, 10'000, 850);
  check_memory<double>(rows, 2000, 1200);
}

TEST_CASE("soft orthogonality copies no more than three times the matrix", "[large]") {
  for (const bool diagonal : {true, false}) {
    const SoftOrthogonalRegularizer rows{.diagonal = diagonal};
    check_memory<float>(rows, 2, 10'000'000);
    check_memory<float>(rows, 4'000'000, 2);
    check_memory<float>(rows, 2048, 2048);
    check_memory<taut::BFloat16>(rows, 1500, 6000);
    check_memory<double>(rows, 1300, 1900);
  }
}

// Coordinates that are no steps of one size apart: they, and their gradients, are read and written
// by way of copies, which count.
TEMPLATE_TEST_CASE("gathered tensors take little more", "[large]", float, taut::Float16) {
  constexpr std::ptrdiff_t kSize = sizeof(TestType);
  const std::vector<std::ptrdiff_t> shape{600, 50, 150};
  const std::vector<std::ptrdiff_t> strides{50 * 160 * kSize, 160 * kSize, kSize};
  std::vector<TestType> x = quick_numbers<TestType>(600 * 50 * 160);
  std::vector<TestType> gradient(x.size());
  const auto view = [&](std::vector<TestType>& of) {
    return View(of.data(), taut::DTypeOf<TestType>::value, shape, strides);
  };
  check_memory(OrthogonalRegularizer{.flatten = true}, view(x), view(gradient), 1.15);
  check_memory(SoftOrthogonalRegularizer{.flatten = true}, view(x), view(gradient), 1.15);
}

TEST_CASE("group lasso works in little memory") {
  const std::vector<float> x = quick_numbers<float>(3'000'000);
  std::vector<float> gradient(x.size());
  for (const std::size_t rows : {3u, 1000u, 1'000'000u}) {
    const ConstView view = ConstView::matrix(x, rows, x.size() / rows);
    const View slopes = View::matrix(gradient, rows, x.size() / rows);
    for (const Mode mode : {Mode::kRows, Mode::kColumns}) {
      INFO("rows " << rows << ", mode " << static_cast<int>(mode));
      const taut::GroupLasso regularizer{.mode = mode};
      CHECK(memory_of([&](Workspace* own) {
              taut::accumulate_grad(regularizer, view, slopes, 1, own);
            }) <= 2 * kMega);
    }
  }
}

class SavedMemory {
 public:
  explicit SavedMemory(taut::MemorySaving how) { taut::memory_saving = how; }
  ~SavedMemory() { taut::memory_saving = taut::MemorySaving::kAsNeeded; }
};

template <typename T>
void check_same_bits(const taut::Regularizer& regularizer, std::size_t rows, std::size_t columns,
                     double magnitude = 1) {
  std::vector<double> numbers = random_numbers<T>(rows * columns);
  for (double& number : numbers) number *= magnitude;
  const std::vector<T> x = store<T>(numbers);
  const std::vector<double> before = random_numbers<T>(x.size(), 2);
  const ConstView view = ConstView::matrix(x, rows, columns);
  at_every_level([&] {
    INFO(rows << " x " << columns << ", regularizer " << regularizer.index());
    const auto quick = value_and_grad<T>(regularizer, view, 0.9);
    const auto accumulated = accumulate_grad<T>(regularizer, view, before, -0.7);
    std::vector<T> gradient(x.size());
    const View slopes = View::matrix(gradient, rows, columns);
    const std::size_t memory = memory_of(
        [&](Workspace* own) { taut::value_and_grad(regularizer, view, slopes, 0.9, own); });
    for (const auto how :
         {taut::MemorySaving::kAll, taut::MemorySaving::kParts, taut::MemorySaving::kStripSigns}) {
      const SavedMemory saved(how);
      for (const int threads : {1, 3}) {
        const UsedThreads used(threads);
        const auto saving = value_and_grad<T>(regularizer, view, 0.9);
        CHECK(same_bits(saving.value, quick.value));
        CHECK(same_bits(saving.gradient, quick.gradient));
        CHECK(same_bits(taut::value(regularizer, view), quick.value));
        const auto added = accumulate_grad<T>(regularizer, view, before, -0.7);
        CHECK(same_bits(added.gradient, accumulated.gradient));
      }
      if (rows * columns < 50'000) continue;  // chunks are of 64 KB at least
      CHECK(memory_of([&](Workspace* own) {
              taut::value_and_grad(regularizer, view, slopes, 0.9, own);
            }) != memory);
    }
  });
}

TEMPLATE_TEST_CASE("the ways that save memory have the bits of the quick ones", "", float, double,
                   taut::BFloat16) {
  for (const Mode mode : {Mode::kRows, Mode::kColumns}) {
    check_same_bits<TestType>(OrthogonalRegularizer{.mode = mode}, 30, 17);
    check_same_bits<TestType>(OrthogonalRegularizer{.mode = mode}, 50, 17);
    check_same_bits<TestType>(OrthogonalRegularizer{.mode = mode}, 200, 300);
    check_same_bits<TestType>(OrthogonalRegularizer{.mode = mode}, 67, 1100);
    for (const bool diagonal : {true, false}) {
      const SoftOrthogonalRegularizer soft{.mode = mode, .diagonal = diagonal};
      check_same_bits<TestType>(soft, 50, 17);
      check_same_bits<TestType>(soft, 200, 300);
      check_same_bits<TestType>(soft, 3, 20'000);
      check_same_bits<TestType>(soft, 60, 5000);
      check_same_bits<TestType>(soft, 3, 20'000, 0x1p40);
    }
  }
}

TEMPLATE_TEST_CASE("the ways that save memory have the same bits over several strips", "[large]",
                   float, double) {
  check_same_bits<TestType>(OrthogonalRegularizer{}, 2400, 40);
  check_same_bits<TestType>(OrthogonalRegularizer{}, 2400, 3);
  check_same_bits<TestType>(OrthogonalRegularizer{}, 5000, 50);
  check_same_bits<TestType>(OrthogonalRegularizer{}, 2500, 700);
  check_same_bits<TestType>(SoftOrthogonalRegularizer{}, 1200, 1300);
}

}  // namespace
}  // namespace taut_test
