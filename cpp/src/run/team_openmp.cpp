// OpenMP's threads: those of GNU's runtime or LLVM's, shared with whoever uses the same runtime.
//
// GNU's keeps a pool for each thread that begins regions. A region smaller than the last ends the
// threads that it does not need, and a larger one starts new ones; so every region here has the
// full team, and who is not needed leaves at once.

#include <omp.h>

#include <algorithm>
#include <mutex>

#include "run/team_backend.hpp"
#include "run/thread_trial.hpp"

namespace taut::backend {
namespace {

// The threads that this thread's last region had.
constinit thread_local std::size_t ready = 1;

// While one calling thread gets its threads, no other one counts on the same.
constinit std::mutex preparing;

}  // namespace

const std::string_view kProcessorsOrigin = "affinity";
const std::string_view kToldOrigin = "OpenMP";

int count_processors() { return omp_get_num_procs(); }
int count_told() { return omp_get_max_threads(); }
bool is_in_region() { return omp_in_parallel() != 0; }

// A runtime that cannot start a thread ends the process: so try first.
std::size_t prepare(std::size_t threads) {
  if (threads <= ready) return threads;
  const std::lock_guard lock(preparing);
  // Two more than needed, so that some memory is left for the runtime itself.
  const std::size_t spare = 2;
  const std::size_t had = count_threads_to_be_had(threads - 1 + spare);
  // Who has met the limit leaves half of what was left to others.
  if (had < threads - 1 + spare) threads = std::max(ready, 1 + had / 2);
  if (threads > ready) {
    ready = threads;
#pragma omp parallel num_threads(static_cast<int>(threads))
    {
    }
  }
  return threads;
}

void run(std::size_t threads, std::size_t workers, TeamFunction function, void* context) {
  ready = threads;
#pragma omp parallel num_threads(static_cast<int>(threads))
  {
    const auto worker = static_cast<std::size_t>(omp_get_thread_num());
    if (worker < workers) function(context, worker);
  }
}

}  // namespace taut::backend
