// macOS's own queue (libdispatch). dispatch_apply_f hands iterations to as many threads as the
// system sees fit, the caller among them, who does himself what nobody else has begun. So he never
// waits for a thread that does not run.

#include <dispatch/dispatch.h>
#include <pthread.h>

#include <atomic>
#include <thread>

#include "run/team_backend.hpp"
#include "taut/runtime.hpp"

namespace taut::backend {
namespace {

struct Run {
  TeamFunction function;
  void* context;
  std::size_t workers;
  pthread_t caller = pthread_self();
  bool has_led = false;  // only the caller looks
  std::atomic<std::size_t> next_worker{1};

  void lead() {
    if (has_led) return;
    has_led = true;
    function(context, 0);
  }

  void help() {
    const std::size_t worker = next_worker.fetch_add(1, std::memory_order_relaxed);
    if (worker < workers) function(context, worker);
  }
};

void take_part(void* context, std::size_t) {
  Run& run = *static_cast<Run*>(context);
  if (pthread_equal(pthread_self(), run.caller)) {
    run.lead();
  } else {
    run.help();
  }
}

}  // namespace

const std::string_view kProcessorsOrigin = "processors";
const std::string_view kToldOrigin = "";

int count_processors() { return static_cast<int>(std::thread::hardware_concurrency()); }
int count_told() { return kMostThreads; }
bool is_in_region() { return false; }
std::size_t prepare(std::size_t threads) { return threads; }

void run(std::size_t, std::size_t workers, TeamFunction function, void* context) {
  Run run{function, context, workers};
  dispatch_apply_f(workers, DISPATCH_APPLY_AUTO, &run, take_part);
  run.lead();  // if others were quicker, and took every iteration
}

}  // namespace taut::backend
