// Plans run whole, phase after phase, whoever runs their pieces, and what goes wrong in between
// reaches the caller.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "catch2.hpp"
#include "run/executor.hpp"
#include "runtime_guards.hpp"

#if defined(__unix__) || defined(__APPLE__)
#include <sys/wait.h>
#include <unistd.h>
#endif

namespace taut_test {
namespace {

using taut::Block;
using taut::Plan;

// Counts how often each piece has run, and looks after the order of the phases and the memory.
class CountingPlan : public Plan {
 public:
  virtual ~CountingPlan() = default;
  CountingPlan(std::vector<std::size_t> pieces, double nanoseconds, std::size_t memory = 0)
      : nanoseconds_(nanoseconds), memory_(memory) {
    for (const std::size_t count : pieces) phases_.emplace_back(count);
    needs_ = {phases_.size(), static_cast<double>(phases_.size()) * nanoseconds, memory, 100};
  }

  Phase phase(std::size_t index) const override { return {phases_[index].size(), nanoseconds_}; }
  void place(Block& block) override { shared_ = block.take<char>(memory_); }
  void run(std::size_t phase, std::size_t piece, std::byte* scratch) override {
    std::memset(scratch, 1, 100);
    if (phase > 0 && done_[phase - 1] != phases_[phase - 1].size()) ++too_early_;
    // Nobody else writes there before the plan is done.
    if (memory_ > 0) {
      if (phase == 0 && piece == 0) shared_[0] = mark_;
      if (phase > 0 && shared_[0] != mark_) ++overwritten_;
    }
    ++phases_[phase][piece];
    at_piece(phase, piece);
    ++done_[phase];
  }
  double combine() override { return 0; }

  virtual void at_piece(std::size_t, std::size_t) {}

  bool is_done() const {
    for (const auto& phase : phases_) {
      for (const auto& times : phase) {
        if (times != 1) return false;
      }
    }
    return too_early_ == 0 && overwritten_ == 0;
  }

 private:
  std::vector<std::vector<std::atomic<int>>> phases_;
  double nanoseconds_;
  std::size_t memory_;
  char* shared_ = nullptr;
  char mark_ = next_mark++;
  std::atomic<std::size_t> done_[8] = {};
  std::atomic<int> too_early_{0};
  std::atomic<int> overwritten_{0};
  static inline char next_mark = 1;
};

void execute(const std::vector<Plan*>& plans) {
  taut::Arena arena;
  taut::Executor(plans, arena).run(taut::DefaultFloatEnvironment());
}

constexpr double kLong = 1e6;  // nanoseconds, worth any team here

TEST_CASE("every piece of every plan runs once, after the phases before") {
  for (const int threads : {1, 2, 3, 8}) {
    const UsedThreads used(threads);
    for (int repeat = 0; repeat < 20; ++repeat) {
      INFO("threads " << threads);
      CountingPlan divided({3, 1000, 1, 17}, kLong, 1000);
      CountingPlan other({50, 2}, kLong, 70'000);
      CountingPlan small({2, 3, 4}, 10, 5000);
      CountingPlan one({1}, 10);
      CountingPlan none({}, kLong);
      CountingPlan empty_phases({0, 5, 0, 5, 0}, kLong);
      execute({&divided, &small, &none, &other, &one, &empty_phases});
      for (const CountingPlan* plan : {&divided, &other, &small, &one}) CHECK(plan->is_done());
    }
  }
  execute({});
}

TEST_CASE("plans that need much memory share it, one after the other") {
  constexpr std::size_t kMega = std::size_t{1} << 20;
  for (const int threads : {1, 3}) {
    const UsedThreads used(threads);
    std::vector<std::unique_ptr<CountingPlan>> plans;
    std::vector<Plan*> pointers;
    for (int i = 0; i < 20; ++i) {
      plans.push_back(std::make_unique<CountingPlan>(std::vector<std::size_t>{20, 30, 2}, kLong,
                                                     (10 + static_cast<std::size_t>(i)) * kMega));
      pointers.push_back(plans.back().get());
    }
    taut::Arena arena;
    taut::Executor executor(pointers, arena);
    CHECK(arena.size() < 70 * kMega);
    executor.run(taut::DefaultFloatEnvironment());
    for (const auto& plan : plans) CHECK(plan->is_done());
  }
}

// Calls a function at one of its pieces.
template <typename Function>
class InterruptedPlan final : public CountingPlan {
 public:
  InterruptedPlan(Function function, std::size_t phase, std::size_t piece)
      : CountingPlan({40, 40}, kLong), function_(function), phase_(phase), piece_(piece) {}
  void at_piece(std::size_t phase, std::size_t piece) override {
    if (phase == phase_ && piece == piece_) function_();
  }

 private:
  Function function_;
  std::size_t phase_;
  std::size_t piece_;
};

TEST_CASE("what a piece throws is thrown by the call") {
  for (const int threads : {1, 2, 5}) {
    const UsedThreads used(threads);
    for (const std::size_t piece : {0u, 7u, 39u}) {
      for (const std::size_t phase : {0u, 1u}) {
        InterruptedPlan plan([] { throw std::runtime_error("of a piece"); }, phase, piece);
        CHECK_THROWS_WITH(execute({&plan}), "of a piece");
      }
    }
    InterruptedPlan all([] {}, 0, 0);
    execute({&all});
    CHECK(all.is_done());
  }
}

// Plans whose pieces take a while, so that a StopCheck is asked.
class SlowPlan final : public CountingPlan {
 public:
  SlowPlan() : CountingPlan({60, 30}, 200e6) {}
  void at_piece(std::size_t, std::size_t) override {
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
  }
};

int asked = 0;

TEST_CASE("what a StopCheck throws is thrown by the call") {
  for (const int threads : {1, 3}) {
    const UsedThreads used(threads);
    SlowPlan plan;
    const taut::StopCheck check([]() -> bool { throw std::runtime_error("of the check"); });
    CHECK_THROWS_WITH(execute({&plan}), "of the check");
    CHECK_FALSE(plan.is_done());
  }
}

TEST_CASE("a call that was asked often runs every piece once") {
  for (const int threads : {1, 2, 5}) {
    const UsedThreads used(threads);
    asked = 0;
    SlowPlan plan;
    const taut::StopCheck check([] {
      ++asked;
      return false;
    });
    execute({&plan});
    CHECK(plan.is_done());
    CHECK(asked > 0);
  }
}

int depth = 0;
int deepest = 0;

TEST_CASE("a StopCheck may call taut, and is not asked by what it calls") {
  for (const int threads : {1, 2}) {
    const UsedThreads used(threads);
    deepest = 0;
    SlowPlan plan;
    const taut::StopCheck check([] {
      deepest = std::max(deepest, ++depth);
      if (depth < 3) {
        SlowPlan nested;
        execute({&nested});
        REQUIRE(nested.is_done());
      }
      --depth;
      return false;
    });
    execute({&plan});
    CHECK(plan.is_done());
    CHECK(deepest == 1);
  }
}

#if defined(__unix__) || defined(__APPLE__)
pid_t forked = -1;

TEST_CASE("a child that a StopCheck forks goes on alone, and does what is left") {
  for (const int threads : {1, 3}) {
    const UsedThreads used(threads);
    forked = -1;
    SlowPlan plan;
    const taut::StopCheck check([] {
      if (forked == -1 && (forked = fork()) == 0) alarm(60);
      return false;
    });
    execute({&plan});
    if (forked == 0) _exit(plan.is_done() ? 0 : 1);
    REQUIRE(forked > 0);
    int status = 0;
    REQUIRE(waitpid(forked, &status, 0) == forked);
    CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 0));
    CHECK(plan.is_done());
  }
}
#endif

}  // namespace
}  // namespace taut_test
