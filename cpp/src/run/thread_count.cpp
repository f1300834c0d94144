#include "run/thread_count.hpp"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <string>
#include <string_view>

#include "run/cpu_quota.hpp"
#include "run/environment.hpp"
#include "run/team_backend.hpp"
#include "taut/error.hpp"
#include "taut/runtime.hpp"

namespace taut {
namespace {

enum class Origin { kRequest, kEnvironment, kTold, kQuota, kProcessors };

std::string_view name_of(Origin origin) {
  switch (origin) {
    case Origin::kRequest:
      return "set_num_threads";
    case Origin::kEnvironment:
      return "OMP_NUM_THREADS";
    case Origin::kTold:
      return backend::kToldOrigin;
    case Origin::kQuota:
      return "cgroup quota";
    case Origin::kProcessors:
      break;
  }
  return backend::kProcessorsOrigin;
}

// One word, which every compiler reads and writes without a lock.
struct alignas(8) Count {
  int threads;
  Origin origin;
};

Count find_default() {
  Count count{std::clamp(backend::count_processors(), 1, kMostThreads), Origin::kProcessors};
#if defined(__linux__)
  if (const auto quota = find_cpu_quota(""); quota && *quota < count.threads) {
    count = {*quota, Origin::kQuota};
  }
#endif
  if (const char* text = std::getenv("OMP_NUM_THREADS"); text != nullptr) {
    // Who says what is so anyway has said it.
    if (const auto number = parse_num_threads(text); number && *number <= count.threads) {
      count = {*number, Origin::kEnvironment};
    }
  }
  return count;
}

constinit std::atomic<int> requested{0};  // 0: the default
constinit std::atomic<int> obtainable{kMostThreads};

// Found when it is first needed, and kept. Two threads may find it at once, and find the same; a
// lock could be held by a thread that a forked child does not have.
constinit std::atomic<Count> found{Count{0, Origin::kProcessors}};

Count count_threads() {
  if (const int threads = requested.load(std::memory_order_relaxed); threads > 0) {
    return {threads, Origin::kRequest};
  }
  Count count = found.load(std::memory_order_relaxed);
  if (count.threads == 0) {
    count = find_default();
    found.store(count, std::memory_order_relaxed);
  }
  const int told = std::max(backend::count_told(), 1);
  return told < count.threads ? Count{told, Origin::kTold} : count;
}

}  // namespace

void set_num_threads(int threads) {
  if (threads < 1) throw InvalidArgument("the number of threads must be at least 1");
  if (threads > kMostThreads) {
    throw InvalidArgument("the number of threads must be at most " + std::to_string(kMostThreads));
  }
  requested = threads;
  obtainable = kMostThreads;
}

int get_num_threads() { return count_threads().threads; }

std::string_view num_threads_origin() { return name_of(count_threads().origin); }

std::size_t count_obtainable_threads() {
  return static_cast<std::size_t>(
      std::min(count_threads().threads, obtainable.load(std::memory_order_relaxed)));
}

void note_obtainable_threads(std::size_t threads) { obtainable = static_cast<int>(threads); }

}  // namespace taut
