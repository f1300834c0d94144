#include "run/backoff.hpp"

#include <algorithm>

namespace taut {

void Backoff::record(std::chrono::nanoseconds gained, std::chrono::nanoseconds lost,
                     Clock::time_point now) {
  const std::int64_t before = credit_.load(std::memory_order_relaxed);
  const std::int64_t credit =
      std::min<std::int64_t>(before + (gained - lost).count(), kMostCredit.count());
  if (credit >= 0) {
    if (credit != before) credit_.store(credit, std::memory_order_relaxed);
    if (credit == kMostCredit.count()) doublings_.store(0, std::memory_order_relaxed);
    return;
  }
  const int doublings = doublings_.load(std::memory_order_relaxed);
  const std::chrono::nanoseconds pause = std::min(
      kPausePerLoss * std::clamp(lost, kTrialCredit, kLongest) * (1 << doublings), kLongest);
  doublings_.store(std::min(doublings + 1, kMostDoublings), std::memory_order_relaxed);
  credit_.store(kTrialCredit.count(), std::memory_order_relaxed);
  until_.store((now + pause).time_since_epoch().count(), std::memory_order_relaxed);
}

}  // namespace taut
