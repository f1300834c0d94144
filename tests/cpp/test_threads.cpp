// Many threads that call at once, and whose threads their calls run on.

#include <atomic>
#include <chrono>
#include <random>
#include <thread>

#include "check_penalty.hpp"
#include "runtime_guards.hpp"
#include "threads_of_process.hpp"

namespace taut_test {
namespace {

#if defined(TAUT_KNOWS_THREADS_OF_PROCESS) && !defined(TAUT_TEAM_IS_SERIAL)
// Calls until there are so many threads more than `before`; not at once where calls before have
// waited too long for others. Says whether that ever was.
template <typename Call>
bool grows_by(std::size_t threads, std::size_t before, Call call) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  do {
    call();
    if (threads_of_process().size() >= before + threads) return true;
  } while (std::chrono::steady_clock::now() < end);
  return false;
}

// The first of all cases: a pool that is the system's already has its threads afterwards.
TEST_CASE("large calls do run on the threads that were asked for, and small ones do not") {
  const std::vector<float> x(1'000'000, 1.0f);
#if defined(TAUT_TEAM_IS_OPENMP)
  constexpr std::size_t kOthers = 3;
#else
  constexpr std::size_t kOthers = 1;  // the system decides how many they are
#endif
  const std::size_t before = threads_of_process().size();
  const taut::Term few[] = {{taut::L1{1}, std::span(x).first(900)},
                            {taut::L2{1}, std::span(x).last(900)}};
  const UsedThreads threads(4);
  for (int repeat = 0; repeat < 100; ++repeat) {
    taut::value(taut::L1{1}, std::span(x).first(1'000));
    taut::value(taut::OrthogonalRegularizer{}, taut::ConstView::matrix(x.data(), 8, 8, 8));
    taut::value(few);
  }
  CHECK(threads_of_process().size() == before);
  CHECK(grows_by(kOthers, before, [&] { taut::value(taut::L1{1}, x); }));
}
#endif

// One call of each kind, on small arrays and on those that several threads work on.
class Work {
 public:
  using Bits = std::vector<std::uint64_t>;

  Bits run() const {
    Bits bits;
    for (const std::size_t size : {std::size_t{1'000}, x_.size()}) {
      add_elementwise(size, bits);
    }
    for (const std::size_t rows : {std::size_t{16}, std::size_t{300}}) add_orthogonal(rows, bits);
    add_batch(bits);
    return bits;
  }

 private:
  static constexpr std::size_t kColumns = 60;

  static void add(double value, const std::vector<float>& gradient, Bits& bits) {
    bits.push_back(std::bit_cast<std::uint64_t>(value));
    for (const float slope : gradient) bits.push_back(std::bit_cast<std::uint32_t>(slope));
  }

  void add_elementwise(std::size_t size, Bits& bits) const {
    std::vector<float> gradient(size);
    const taut::ConstView x(x_.data(), size);
    add(taut::value_and_grad(taut::L1L2{0.3, 0.07}, x, gradient), gradient, bits);
  }

  void add_orthogonal(std::size_t rows, Bits& bits) const {
    std::vector<float> gradient(rows * kColumns);
    const auto x = taut::ConstView::matrix(x_.data(), rows, kColumns, std::ptrdiff_t{kColumns});
    const auto target =
        taut::View::matrix(gradient.data(), rows, kColumns, std::ptrdiff_t{kColumns});
    add(taut::value_and_grad(taut::OrthogonalRegularizer{}, x, target), gradient, bits);
  }

  void add_batch(Bits& bits) const {
    std::vector<float> gradient(x_.size());
    const std::size_t half = x_.size() / 2;
    const std::span<const float> x(x_);
    const std::span<float> target(gradient);
    const taut::GradientTerm terms[] = {{taut::L1{0.3}, x.first(half), target.first(half)},
                                        {taut::L2{0.07}, x.last(half), target.last(half)}};
    add(taut::value_and_grad(terms), gradient, bits);
  }

  std::vector<float> x_ = store<float>(random_numbers<float>(200'000));
};

TEST_CASE("many threads at once get the bits of one, however many threads they may use") {
  const Work work;
  Work::Bits expected;
  {
    const UsedThreads one(1);
    expected = work.run();
  }
  const UsedThreads used(2);
  std::atomic<int> wrong{0}, working{6};
  std::vector<std::thread> callers;
  for (int caller = working; caller > 0; --caller) {
    callers.emplace_back([&] {
      for (int repeat = 0; repeat < 5; ++repeat) wrong += work.run() != expected;
      --working;
    });
  }
  std::mt19937 random(1);
  while (working > 0) {
    taut::set_num_threads(static_cast<int>(1 + random() % 5));
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    wrong += taut::get_num_threads() > 5;
  }
  for (std::thread& caller : callers) caller.join();
  CHECK(wrong == 0);
}

TEST_CASE("callers come and go") {
  const Work work;
  const UsedThreads used(3);
  const Work::Bits expected = work.run();
  for (int repeat = 0; repeat < 10; ++repeat) {
    Work::Bits bits;
    std::thread([&] { bits = work.run(); }).join();
    CHECK(bits == expected);
  }
}

// GNU's runtime ends and starts threads where regions differ in size; LLVM's keeps them.
#if defined(TAUT_KNOWS_THREADS_OF_PROCESS) && defined(TAUT_TEAM_IS_OPENMP) && !defined(__clang__)
TEST_CASE("calls of all sizes are done by the same threads") {
  const Work work;
  std::thread([&] {
    const UsedThreads used(4);
    const bool has_grown = grows_by(3, threads_of_process().size(), [&] { work.run(); });
    CHECK(has_grown);
    const auto threads = threads_of_process();
    for (int repeat = 0; repeat < 20; ++repeat) {
      work.run();
      CHECK(threads_of_process() == threads);
    }
  }).join();
}
#endif

}  // namespace
}  // namespace taut_test
