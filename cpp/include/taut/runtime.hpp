// Threads, instruction-set levels, and how to stop a long call.
//
// All names are literals, which live as long as the process and end with a zero. (A std::string
// would tie the library to one of libstdc++'s two kinds of it.)

#ifndef TAUT_RUNTIME_HPP_
#define TAUT_RUNTIME_HPP_

#include <string_view>
#include <vector>

#include "taut/api.hpp"

namespace taut {

// How many threads a call may use; it concerns taut alone. Until it is set, that is the least of
//   - the processors that this process may run on (macOS, Windows: that are there),
//   - on Linux, the processor time that its control groups (a container's) allow, rounded up,
//   - the first number of the environment variable OMP_NUM_THREADS,
// all found when they are first needed and then kept, and
//   - where threads are OpenMP's, the number that its runtime has been told by now, as torch does
//     where it shares the runtime.
// Where the system cannot give so many, a call uses those that it gets. Throws InvalidArgument
// below 1 and above kMostThreads.
constexpr int kMostThreads = 1024;
TAUT_API void set_num_threads(int threads);
TAUT_API int get_num_threads();

// What decided on it: "set_num_threads", "affinity", "cgroup quota", "OMP_NUM_THREADS", "OpenMP",
// or on macOS and Windows "processors"; "a build without threads" has one.
TAUT_API std::string_view num_threads_origin();

// The instruction-set level in use: x86-64-v2, x86-64-v3, x86-64-v4 or neon. It is the best one
// that the processor has, capped by the environment variable TAUT_SIMD when it is first asked for.
// Throws InvalidArgument if TAUT_SIMD names no level of this build.
TAUT_API std::string_view level();

// The levels that this build holds and this processor has, from the lowest to the highest.
TAUT_API std::vector<std::string_view> available_levels();

// Uses another of the available levels from now on; throws InvalidArgument for any other name.
// Not to be called while another thread is in a penalty.
TAUT_API void set_level(std::string_view name);

// Gives back the working memory that the process keeps between calls. It keeps 64 MB at most, and
// what no call has needed for some thousand calls is given back without being asked.
TAUT_API void trim_memory() noexcept;

// While it lives, calls of this thread ask `check` now and then whether to stop, on this thread; if
// it says true, the call throws Stopped. The check may throw itself, and may call taut or fork: the
// call goes on afterwards, in a forked child on one thread. It is not asked by what it calls
// itself, and does not use the call's workspace.
class TAUT_API StopCheck {
 public:
  using Function = bool (*)();
  explicit StopCheck(Function check);
  ~StopCheck();
  StopCheck(const StopCheck&) = delete;
  StopCheck& operator=(const StopCheck&) = delete;

 private:
  Function outer_;
};

}  // namespace taut

#endif  // TAUT_RUNTIME_HPP_
