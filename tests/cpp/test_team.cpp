// The seam to threads itself: whom it calls, where, and when it leaves others alone.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>

#include "run/backoff.hpp"
#include "run/team.hpp"
#include "runtime_guards.hpp"

#if defined(_OPENMP)
#include <omp.h>
#endif

namespace taut_test {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

constexpr double kLongWork = 1e9;  // nanoseconds; no delay counts beside it

template <typename Function>
void run_team(std::size_t workers, Function function, double work = kLongWork) {
  taut::run_team(
      workers, work,
      [](void* context, std::size_t worker) { (*static_cast<Function*>(context))(worker); },
      &function);
}

// Whether `condition` came true in good time. No machine is so busy that it is not enough.
template <typename Condition>
bool comes_true(Condition condition) {
  const Clock::time_point end = Clock::now() + seconds(60);
  while (!condition()) {
    if (Clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

TEST_CASE("every worker has a number of its own, and the caller's is 0") {
  const UsedThreads used(4);
  const std::size_t workers = taut::team_size();
  CHECK(workers >= 1);
  CHECK(workers <= 4);
  for (int repeat = 0; repeat < 200; ++repeat) {
    std::vector<std::atomic<int>> calls(workers);
    std::atomic<int> wrong{0};
    const std::thread::id caller = std::this_thread::get_id();
    run_team(workers, [&](std::size_t worker) {
      if (worker >= workers || ++calls[worker] > 1) ++wrong;
      if ((worker == 0) != (std::this_thread::get_id() == caller)) ++wrong;
    });
    CHECK(wrong == 0);
    CHECK(calls[0] == 1);
  }
}

TEST_CASE("one worker is the caller, whatever the team") {
  const UsedThreads used(4);
  int calls = 0;
  run_team(1, [&](std::size_t worker) {
    CHECK(worker == 0);
    ++calls;
  });
  CHECK(calls == 1);
}

#if !defined(TAUT_TEAM_IS_SERIAL)
TEST_CASE("others do help") {
  const UsedThreads used(2);
  REQUIRE(taut::team_size() == 2);
  std::atomic<bool> helped{false};
  bool was_helped = false;
  run_team(2, [&](std::size_t worker) {
    if (worker == 1) helped = true;
    if (worker == 0) was_helped = comes_true([&] { return helped.load(); });
  });
  CHECK(was_helped);
}

TEST_CASE("within a team there is no other") {
  const UsedThreads used(3);
  std::atomic<int> wrong{0};
  std::atomic<int> inner_calls{0}, outer_calls{0};
  run_team(3, [&](std::size_t) {
    ++outer_calls;
    if (taut::team_size() != 1) ++wrong;
    run_team(3, [&](std::size_t worker) {
      if (worker != 0) ++wrong;
      ++inner_calls;
    });
  });
  CHECK(wrong == 0);
  CHECK(inner_calls == outer_calls);
  CHECK(taut::team_size() == 3);
}

TEST_CASE("a caller that waits for its helpers again and again works alone for a while") {
  const UsedThreads used(2);
  constexpr double kShortWork = 1e6;
  const auto wait_for_others = [](std::size_t worker) {
    if (worker == 0) taut::note_idle(milliseconds(5));
  };
  CHECK(comes_true([&] {
    run_team(2, wait_for_others, kShortWork);
    return taut::is_backing_off(kShortWork);
  }));
  CHECK_FALSE(taut::is_backing_off(kLongWork));
  CHECK(taut::team_size() == 2);  // what is kept for each worker stays
  CHECK(comes_true([&] { return !taut::is_backing_off(kShortWork); }));
}

TEST_CASE("who works alone calls nobody") {
  const UsedThreads used(2);
  constexpr double kShortWork = 1e6;
  run_team(2, [](std::size_t worker) {
    if (worker == 0) taut::note_idle(seconds(10));
  });
  std::atomic<int> others{0};
  int calls = 0;
  while (taut::is_backing_off(kShortWork) && calls < 1000) {
    const auto await_others = [&](std::size_t worker) {
      others += worker != 0;
      if (worker == 0) std::this_thread::sleep_for(microseconds(200));  // they could come
    };
    run_team(2, await_others, kShortWork);
    ++calls;
  }
  CHECK(calls > 0);
  CHECK(others <= 1);  // the last may have begun after the pause
}
#endif

#if defined(TAUT_TEAM_IS_OPENMP)
TEST_CASE("in a parallel region of the caller's a team is its calling thread") {
  const UsedThreads used(3);
  std::atomic<int> wrong{0};
#pragma omp parallel num_threads(2)
  {
    if (taut::team_size() != 1) ++wrong;
    run_team(3, [&](std::size_t worker) { wrong += worker != 0; });
  }
  CHECK(wrong == 0);
}
#endif

TEST_CASE("teams of many callers at once each do all of their work, once") {
  const UsedThreads used(3);
  std::vector<std::thread> callers;
  std::atomic<int> wrong{0};
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&] {
      for (int repeat = 0; repeat < 100; ++repeat) {
        std::vector<int> numbers(1000);  // not atomic: whoever takes one has it alone
        std::atomic<std::size_t> next{0};
        run_team(3, [&](std::size_t) {
          for (std::size_t i; (i = next.fetch_add(1)) < numbers.size();) ++numbers[i];
        });
        wrong += numbers != std::vector<int>(numbers.size(), 1);
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK(wrong == 0);
}

// ---- when to leave others alone --------------------------------------------------------------

TEST_CASE("a hiccup among calls that gained changes nothing") {
  taut::Backoff backoff;
  const Clock::time_point now = Clock::now();
  CHECK_FALSE(backoff.is_on(now));
  for (int repeat = 0; repeat < 100; ++repeat) {
    for (int call = 0; call < 50; ++call) backoff.record(microseconds(20), microseconds(2), now);
    backoff.record(microseconds(20), microseconds(900), now);
    CHECK_FALSE(backoff.is_on(now));
  }
}

TEST_CASE("calls that lose a little each time end in a pause too") {
  taut::Backoff backoff;
  const Clock::time_point now = Clock::now();
  int calls = 0;
  while (!backoff.is_on(now) && calls < 1000) {
    backoff.record(nanoseconds(0), microseconds(100), now);
    ++calls;
  }
  CHECK(calls == 11);  // the credit is a millisecond
  CHECK(backoff.is_on(now + microseconds(1999)));
  CHECK_FALSE(backoff.is_on(now + milliseconds(2)));
}

TEST_CASE("a long call that waited is no loss") {
  taut::Backoff backoff;
  const Clock::time_point now = Clock::now();
  for (int call = 0; call < 10; ++call) backoff.record(seconds(1), milliseconds(12), now);
  CHECK_FALSE(backoff.is_on(now));
}

TEST_CASE("pauses are ten times the loss, and double up to a second while trials fail") {
  taut::Backoff backoff;
  Clock::time_point now = Clock::now();
  for (const int pause : {120, 240, 480, 960, 1000, 1000}) {
    backoff.record(microseconds(20), milliseconds(12), now);
    CHECK(backoff.is_on(now + milliseconds(pause) - nanoseconds(1)));
    CHECK_FALSE(backoff.is_on(now + milliseconds(pause)));
    now += milliseconds(pause);
  }
  for (int call = 0; call < 100; ++call) backoff.record(microseconds(20), microseconds(2), now);
  backoff.record(microseconds(20), milliseconds(12), now);
  CHECK(backoff.is_on(now + milliseconds(119)));
  CHECK_FALSE(backoff.is_on(now + milliseconds(120)));
}

TEST_CASE("a trial may wake threads that sleep, and then has all of its credit again") {
  taut::Backoff backoff;
  Clock::time_point now = Clock::now();
  backoff.record(nanoseconds(0), milliseconds(12), now);
  CHECK(backoff.is_on(now));
  now += milliseconds(120);
  backoff.record(microseconds(4), microseconds(100), now);
  for (int call = 0; call < 1000; ++call) backoff.record(microseconds(4), microseconds(3), now);
  backoff.record(microseconds(4), microseconds(900), now);
  CHECK_FALSE(backoff.is_on(now));
}

TEST_CASE("no loss is so long that it would not end") {
  taut::Backoff backoff;
  const Clock::time_point now = Clock::now();
  for (int call = 0; call < 100; ++call) {
    backoff.record(nanoseconds(0), nanoseconds::max() / 2, now);
    CHECK(backoff.is_on(now));
    CHECK_FALSE(backoff.is_on(now + seconds(1)));
  }
}

}  // namespace
}  // namespace taut_test
