#include "run/team.hpp"

#include <algorithm>
#include <atomic>

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

#include "run/backoff.hpp"
#include "run/team_backend.hpp"
#include "run/thread_count.hpp"
#include "taut/runtime.hpp"

namespace taut {
namespace {

using Clock = Backoff::Clock;

// Work that takes longer is worth a team whatever it waits for: no scheduler lets a thread wait as
// long, and a second of work must not lose half of itself to what some microseconds met.
constexpr double kLongerThanAnyDelay = 100e6;  // nanoseconds

// Neither has a destructor: other threads may still run while the process ends.
constinit Backoff backoff;
constinit thread_local std::chrono::nanoseconds idle{0};
constinit thread_local bool is_in_team = false;

// A forked child has none of its parent's threads, which its runtime does not know: GNU's waits for
// them, and macOS's queues say that they must not be used.
constinit std::atomic<bool> is_forked_child{false};

[[maybe_unused]] const bool watches_forks = [] {
#if defined(__unix__) || defined(__APPLE__)
  pthread_atfork(nullptr, nullptr, [] { is_forked_child = true; });
#endif
  return true;
}();

bool must_be_serial() { return is_forked_child || is_in_team || backend::is_in_region(); }

// One call of run_team, on the caller's stack.
struct TeamCall {
  TeamFunction function;
  void* context;
  std::chrono::nanoseconds worked{0};  // by the caller
  std::atomic<bool> is_over{false};
  std::atomic<bool> was_helped{false};

  void lead() {
    idle = std::chrono::nanoseconds(0);
    const Clock::time_point begin = Clock::now();
    function(context, 0);
    is_over.store(true, std::memory_order_relaxed);
    worked = Clock::now() - begin - idle;
  }

  void help(std::size_t worker) {
    if (is_over.load(std::memory_order_relaxed)) return;
    was_helped.store(true, std::memory_order_relaxed);
    function(context, worker);
  }
};

void take_part(void* context, std::size_t worker) {
  auto& call = *static_cast<TeamCall*>(context);
  is_in_team = true;
  if (worker == 0) {
    call.lead();
  } else {
    call.help(worker);
  }
  is_in_team = false;
}

}  // namespace

std::size_t team_size() {
  const std::size_t threads = count_obtainable_threads();
  return threads < 2 || must_be_serial() ? 1 : threads;
}

bool is_backing_off(double nanoseconds) {
  return nanoseconds < kLongerThanAnyDelay && backoff.is_on(Clock::now());
}

void run_team(std::size_t workers, double nanoseconds, TeamFunction function, void* context) {
  if (workers < 2 || must_be_serial() || is_backing_off(nanoseconds)) {
    function(context, 0);
    return;
  }
  const std::size_t wanted = count_obtainable_threads();
  const std::size_t threads = backend::prepare(wanted);
  if (threads < wanted) note_obtainable_threads(threads);
  if (threads < 2) {
    function(context, 0);
    return;
  }
  TeamCall call{function, context};
  const Clock::time_point begin = Clock::now();
  backend::run(threads, std::min(workers, threads), take_part, &call);
  const Clock::time_point end = Clock::now();
  backoff.record(call.was_helped ? call.worked : std::chrono::nanoseconds(0),
                 end - begin - call.worked, end);
}

void note_idle(std::chrono::nanoseconds time) { idle += time; }

}  // namespace taut
