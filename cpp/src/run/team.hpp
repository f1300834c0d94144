// The one seam to threads: a team of them that works on one function until nothing is left.

#ifndef TAUT_RUN_TEAM_HPP_
#define TAUT_RUN_TEAM_HPP_

#include <chrono>
#include <cstddef>

namespace taut {

// The most workers that a call may use: 1 inside a team or a parallel region of the caller's and in
// a forked child; else get_num_threads(), or as many threads as could be had. It does not change
// with what other processes do, so that memory for each worker can be taken by it and kept.
std::size_t team_size();

// What a worker does. Must not throw: it may run on a thread that nobody could catch it on.
using TeamFunction = void (*)(void* context, std::size_t worker);

// Calls function(context, worker) with different workers of [0, workers), worker 0 on the calling
// thread and the others beside it, on as many as there are; returns when every call that began has
// ended. Workers other than 0 may be called late, or never: once worker 0 returns, nothing may be
// left to do, and no worker may wait for one that has not been called. `nanoseconds` is what the
// work takes about on one thread.
void run_team(std::size_t workers, double nanoseconds, TeamFunction function, void* context);

// Whether run_team would call nobody but worker 0 now, because others came too late of late: see
// run/backoff.hpp.
bool is_backing_off(double nanoseconds);

// For worker 0, in its function: so long it had nothing to do but to wait for what other workers
// had begun. It counts as their delay.
void note_idle(std::chrono::nanoseconds time);

}  // namespace taut

#endif  // TAUT_RUN_TEAM_HPP_
