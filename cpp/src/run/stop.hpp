// When a long call asks its caller whether to stop.

#ifndef TAUT_RUN_STOP_HPP_
#define TAUT_RUN_STOP_HPP_

#include <chrono>

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

}  // namespace taut

#endif  // TAUT_RUN_STOP_HPP_
