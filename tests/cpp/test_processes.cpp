// taut among other threads, in parallel regions of the caller's, and in forked children.

#include <thread>

#include "check_penalty.hpp"
#include "runtime_guards.hpp"

#if defined(_OPENMP)
#include <omp.h>
#endif
#if defined(__unix__) || defined(__APPLE__)
#include <sys/wait.h>
#include <unistd.h>
#endif

namespace taut_test {
namespace {

// Both penalties of arrays that are large enough for several threads.
class Work {
 public:
  struct Output {
    double elementwise;
    Result<float> orthogonal;
    bool operator==(const Output& other) const {
      return same_bits(elementwise, other.elementwise) &&
             same_bits(orthogonal.value, other.orthogonal.value) &&
             same_bits(orthogonal.gradient, other.orthogonal.gradient);
    }
  };

  Output run() const {
    const taut::ConstView vector(x_.data(), x_.size());
    const auto matrix =
        taut::ConstView::matrix(x_.data(), kRows, kColumns, std::ptrdiff_t{kColumns});
    return {taut::value(taut::L1L2{0.3, 0.07}, vector),
            value_and_grad<float>(taut::OrthogonalRegularizer{}, matrix)};
  }

 private:
  static constexpr std::size_t kRows = 500;
  static constexpr std::size_t kColumns = 60;
  std::vector<float> x_ = store<float>(random_numbers<float>(400'000));
};

TEST_CASE("calls from many threads at once give what one gives") {
  const Work work;
  const UsedThreads used(2);
  const Work::Output expected = work.run();
  constexpr std::size_t kCallers = 4;
  std::vector<Work::Output> outputs(kCallers);
  std::vector<std::thread> callers;
  callers.reserve(kCallers);
  for (Work::Output& output : outputs) {
    callers.emplace_back([&] {
      for (int repeat = 0; repeat < 3; ++repeat) output = work.run();
    });
  }
  for (std::thread& caller : callers) caller.join();
  for (const Work::Output& output : outputs) CHECK(output == expected);
}

#if defined(_OPENMP)
TEST_CASE("calls in a parallel region of the caller's give what one outside gives") {
  const Work work;
  const UsedThreads used(2);
  const Work::Output expected = work.run();
  constexpr int kCallers = 3;
  std::vector<Work::Output> outputs(kCallers);
  int callers = 0;
#pragma omp parallel num_threads(kCallers)
  {
    outputs[static_cast<std::size_t>(omp_get_thread_num())] = work.run();
#pragma omp single
    callers = omp_get_num_threads();
  }
  REQUIRE(callers == kCallers);
  for (const Work::Output& output : outputs) CHECK(output == expected);
}
#endif

#if defined(__unix__) || defined(__APPLE__)
// Runs `test` in a forked child that is ended if it hangs; says whether it ended well and was true.
template <typename Test>
bool is_true_in_child(Test test) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);
    _exit(test() ? 0 : 1);
  }
  REQUIRE(child > 0);
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST_CASE("a forked child computes what its parent did, and its own child too") {
  const Work work;
  const UsedThreads used(2);
  const Work::Output expected = work.run();  // starts the threads that a child does not have
  CHECK(is_true_in_child([&] { return work.run() == expected; }));
  CHECK(is_true_in_child([&] {
    if (!(work.run() == expected)) return false;
    return is_true_in_child([&] { return work.run() == expected; });
  }));
  CHECK(work.run() == expected);
}
#endif

}  // namespace
}  // namespace taut_test
