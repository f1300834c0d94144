// Whether the system has threads to give.

#ifndef TAUT_RUN_THREAD_TRIAL_HPP_
#define TAUT_RUN_THREAD_TRIAL_HPP_

#include <cstddef>

namespace taut {

// Starts so many threads at once, at most kMostThreads and a few, with the stacks that OpenMP's
// would have, and ends them. Returns how many could be had: fewer where a limit is met, of
// processes (RLIMIT_NPROC, a cgroup's pids.max) or of memory (RLIMIT_AS).
std::size_t count_threads_to_be_had(std::size_t wanted);

}  // namespace taut

#endif  // TAUT_RUN_THREAD_TRIAL_HPP_
