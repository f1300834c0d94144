// When a long call asks its caller whether to stop.

#ifndef TAUT_RUN_STOP_HPP_
#define TAUT_RUN_STOP_HPP_

#include <chrono>

#include "run/float_environment.hpp"
#include "taut/runtime.hpp"

namespace taut {

// The time between two questions to this thread's StopCheck: no more often than somebody notices.
class StopWatch {
 public:
  StopWatch();

  // Whether the caller has a StopCheck, and it is time to ask it. About `nanoseconds` have passed
  // since this was last called; the clock is read only where they add up.
  bool is_due(double nanoseconds) {
    if (check_ == nullptr) return false;
    unread_ += nanoseconds;
    return unread_ >= kWorthReading && has_passed();
  }
  // Asks it; throws Stopped if it says so, and whatever it throws itself. What is asked may do
  // anything but free the call's arrays: run a signal's handler that calls taut, or forks.
  void ask();

 private:
  static constexpr double kWorthReading = 20'000;

  bool has_passed();

  StopCheck::Function check_;
  std::chrono::steady_clock::time_point asked_;
  double unread_ = 0;  // nanoseconds
};

// Lets what the calling thread computes by itself ask in the middle of it, while this lives.
class Questions {
 public:
  // Null: none are asked, as within a parallel region.
  explicit Questions(const DefaultFloatEnvironment* environment);
  ~Questions();
  Questions(const Questions&) = delete;
  Questions& operator=(const Questions&) = delete;

  // Asks under the caller's floating-point environment where that is due, about `nanoseconds` after
  // this was last called; throws what StopWatch::ask throws. Does nothing on other threads.
  [[gnu::noinline]] static void ask_if_due(double nanoseconds);

 private:
  const DefaultFloatEnvironment* environment_;
  StopWatch watch_;
  Questions* outer_;
};

}  // namespace taut

#endif  // TAUT_RUN_STOP_HPP_
