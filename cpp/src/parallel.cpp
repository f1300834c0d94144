#include "parallel.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>

#include "float_environment.hpp"
#include "run/team.hpp"
#include "taut/error.hpp"
#include "taut/runtime.hpp"

namespace taut {
namespace {

// Waking a thread takes some microseconds; below this much work for each, it does not pay.
constexpr double kWorthAThread = 20'000;  // nanoseconds

constexpr auto kStopInterval = std::chrono::milliseconds(20);

thread_local StopCheck::Function stop_check = nullptr;

// What the work of this thread's next run_pieces takes: count_workers was told.
thread_local double estimated_nanoseconds = 0;

// Asks the caller's StopCheck, but not more often than somebody could notice.
class StopWatch {
 public:
  bool should_stop() {
    if (stop_check == nullptr) return false;
    const auto now = std::chrono::steady_clock::now();
    if (now - last_ < kStopInterval) return false;
    last_ = now;
    return stop_check();
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

// Hands out pieces in stretches. Each worker begins with a share of its own, so that it meets the
// same memory in the next call, and takes half of what is left of it at a time (guided
// self-scheduling: Polychronopoulos and Kuck, 1987); neighbours go to one worker, whose memory
// accesses run on. Who has nothing left takes from the others, so that all end together.
class Stretches {
 public:
  Stretches(std::size_t pieces, std::size_t workers) : count_(std::min(workers, kMostShares)) {
    for (std::size_t i = 0; i < count_; ++i) {
      shares_[i].next.store(pieces * i / count_, std::memory_order_relaxed);
      shares_[i].end = pieces * (i + 1) / count_;
    }
  }

  // The worker's next stretch is [begin, end); false if there is none.
  bool take(std::size_t worker, std::size_t& begin, std::size_t& end) {
    for (std::size_t i = 0; i < count_; ++i) {
      if (shares_[(worker + i) % count_].take(begin, end)) return true;
    }
    return false;
  }

 private:
  static constexpr std::size_t kMostShares = 64;

  struct alignas(64) Share {
    std::atomic<std::size_t> next;
    std::size_t end;

    bool take(std::size_t& from, std::size_t& to) {
      from = next.load(std::memory_order_relaxed);
      do {
        if (from >= end) return false;
        to = from + (end - from + 1) / 2;
      } while (!next.compare_exchange_weak(from, to, std::memory_order_relaxed));
      return true;
    }
  };

  std::size_t count_;
  std::array<Share, kMostShares> shares_;
};

// What the workers of one call share.
struct Run {
  Stretches stretches;
  PieceFunction function;
  void* context;
  std::atomic<bool> stopped{false};

  void work(std::size_t worker) {
    const DefaultFloatEnvironment environment;
    StopWatch watch;
    for (std::size_t piece, end; !stopped && stretches.take(worker, piece, end);) {
      for (; piece < end && !stopped.load(std::memory_order_relaxed); ++piece) {
        if (worker == 0 && watch.should_stop()) stopped = true;
        if (!stopped) function(context, piece, worker);
      }
    }
  }
};

void run_serially(std::size_t pieces, PieceFunction function, void* context) {
  const DefaultFloatEnvironment environment;
  if (pieces == 1) {
    function(context, 0, 0);
    return;
  }
  StopWatch watch;
  for (std::size_t piece = 0; piece < pieces; ++piece) {
    if (watch.should_stop()) throw Stopped();
    function(context, piece, 0);
  }
}

}  // namespace

std::size_t count_workers(std::size_t pieces, double nanoseconds) {
  estimated_nanoseconds = nanoseconds;
  const double worth = nanoseconds / kWorthAThread;
  if (pieces < 2 || worth < 2) return 1;
  const std::size_t workers = std::min(pieces, team_size());
  return worth < static_cast<double>(workers) ? static_cast<std::size_t>(worth) : workers;
}

void run_pieces(std::size_t pieces, std::size_t workers, PieceFunction function, void* context) {
  if (workers < 2) {
    run_serially(pieces, function, context);
    return;
  }
  Run run{Stretches(pieces, workers), function, context};
  run_team(
      workers, estimated_nanoseconds,
      [](void* shared, std::size_t worker) { static_cast<Run*>(shared)->work(worker); }, &run);
  if (run.stopped) throw Stopped();
}

StopCheck::StopCheck(Function check) : outer_(stop_check) { stop_check = check; }
StopCheck::~StopCheck() { stop_check = outer_; }

}  // namespace taut
