// Windows's own pool of threads, which grows and shrinks by itself.

#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <windows.h>

#include <atomic>
#include <thread>

#include "run/team_backend.hpp"
#include "taut/runtime.hpp"

namespace taut::backend {
namespace {

struct Run {
  TeamFunction function;
  void* context;
  std::atomic<std::size_t> next_worker{1};
};

void CALLBACK help(PTP_CALLBACK_INSTANCE, void* context, PTP_WORK) {
  Run& run = *static_cast<Run*>(context);
  run.function(run.context, run.next_worker.fetch_add(1, std::memory_order_relaxed));
}

}  // namespace

const std::string_view kProcessorsOrigin = "processors";
const std::string_view kToldOrigin = "";

int count_processors() { return static_cast<int>(std::thread::hardware_concurrency()); }
int count_told() { return kMostThreads; }
bool is_in_region() { return false; }
std::size_t prepare(std::size_t threads) { return threads; }

void run(std::size_t, std::size_t workers, TeamFunction function, void* context) {
  Run run{function, context};
  const PTP_WORK work = CreateThreadpoolWork(help, &run, nullptr);
  if (work != nullptr) {
    for (std::size_t worker = 1; worker < workers; ++worker) SubmitThreadpoolWork(work);
  }
  function(context, 0);
  if (work != nullptr) {
    // Takes back what no thread has begun, so that the caller waits for nobody who does not work.
    WaitForThreadpoolWorkCallbacks(work, TRUE);
    CloseThreadpoolWork(work);
  }
}

}  // namespace taut::backend
