// When to leave other threads alone, because they come too late to help.

#ifndef TAUT_RUN_BACKOFF_HPP_
#define TAUT_RUN_BACKOFF_HPP_

#include <atomic>
#include <chrono>
#include <cstdint>

namespace taut {

// A team's call can end only when each thread that it woke has come and gone. Where another process
// has the processor, or there are more threads than processors, or a quota is used up, that takes
// milliseconds for work of some microseconds. So every call is weighed: what it gained (the time in
// which others helped) against what it lost (the time in which the caller waited for them). The
// balance is a small credit; who has used it up works alone for a while, ten times as long as the
// last loss, twice that when it happens again at once, and so on up to a second. So trials
// cost at most a tenth of the time, a hiccup changes nothing, and who is alone again has all
// threads again within a second.
//
// Any thread may call any member. What two of them do at once may be counted once, which is no
// harm.
class Backoff {
 public:
  using Clock = std::chrono::steady_clock;

  bool is_on(Clock::time_point now) const {
    return now.time_since_epoch().count() < until_.load(std::memory_order_relaxed);
  }

  void record(std::chrono::nanoseconds gained, std::chrono::nanoseconds lost,
              Clock::time_point now);

 private:
  static constexpr std::chrono::nanoseconds kMostCredit = std::chrono::milliseconds(1);
  // What is left for a trial, whose first call has to wake threads that sleep by then: that takes
  // them 50 to 100 microseconds, and says nothing of the calls after it.
  static constexpr std::chrono::nanoseconds kTrialCredit = std::chrono::microseconds(200);
  static constexpr std::chrono::nanoseconds kLongest = std::chrono::seconds(1);
  static constexpr int kPausePerLoss = 10;
  static constexpr int kMostDoublings = 10;

  std::atomic<std::int64_t> credit_{kMostCredit.count()};  // nanoseconds
  std::atomic<Clock::rep> until_{Clock::time_point::min().time_since_epoch().count()};
  std::atomic<int> doublings_{0};
};

}  // namespace taut

#endif  // TAUT_RUN_BACKOFF_HPP_
