// Runs plans: on one thread, or on a team within one parallel region.

#ifndef TAUT_RUN_EXECUTOR_HPP_
#define TAUT_RUN_EXECUTOR_HPP_

#include <atomic>
#include <cstddef>
#include <exception>
#include <span>

#include "plans/plan.hpp"
#include "run/arena.hpp"
#include "run/float_environment.hpp"
#include "run/rounds.hpp"
#include "run/stop.hpp"

namespace taut {

// Every piece runs under the default floating-point environment, with scratch memory of its
// thread's. From time to time the calling thread asks the caller's StopCheck, outside of the
// parallel region, since that may throw, fork, or end the thread; what is left to do is then done
// by whoever is there.
class Executor {
 public:
  // Takes all memory that running will need. Throws std::bad_alloc.
  Executor(std::span<Plan* const> plans, Arena& arena);
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  // Runs every phase of every plan, under the calling thread's environment and like ones of the
  // other threads. Throws Stopped if the caller's StopCheck says so, and what that or a piece
  // throws; some pieces have run then.
  void run(const DefaultFloatEnvironment& environment);

 private:
  enum class State { kRunning, kPaused, kFailed };

  void run_alone(const DefaultFloatEnvironment& environment);
  void run_together(const DefaultFloatEnvironment& environment);
  void work(std::size_t worker);
  bool work_on(Round& round, std::size_t worker);
  bool wait_for(std::size_t round, std::size_t worker);
  bool should_leave(std::size_t worker, double nanoseconds);

  std::span<Plan* const> plans_;
  StopWatch watch_;
  double nanoseconds_ = 0;  // of all of it on one thread, about
  std::size_t workers_ = 1;
  Rounds merged_;
  std::size_t scratch_size_ = 0;  // bytes of each worker, a whole plan's memory first
  std::span<std::byte> scratch_;
  std::atomic<std::size_t> current_{0};  // the first round that is not done
  std::atomic<State> state_{State::kRunning};
  std::atomic<bool> has_failed_{false};
  std::exception_ptr failure_;
};

}  // namespace taut

#endif  // TAUT_RUN_EXECUTOR_HPP_
