// Which OpenMP runtime lends the core its threads.
//
// taut's wheel brings its own copy of GNU's, and so does torch's. Each copy has a pool of its own,
// whose threads spin for a while after their work, on processors that the other pool needs by then.
// So the linker sends the core's calls of the runtime here (--wrap), and they go to torch's copy if
// torch is there when the core first computes on several threads, else to taut's own. See
// docs/threads.md.

#include <dlfcn.h>

#include <atomic>

extern "C" {

// What GCC makes of `#pragma omp parallel`, and what else the core calls. A test holds this list
// against the library's symbols: a call that is not in it would reach the other runtime.
void __real_GOMP_parallel(void (*region)(void*), void* data, unsigned threads, unsigned flags);
int __real_omp_get_max_threads();
int __real_omp_get_num_procs();
int __real_omp_get_thread_num();
int __real_omp_in_parallel();
}

namespace {

struct Runtime {
  decltype(&__real_GOMP_parallel) parallel = __real_GOMP_parallel;
  decltype(&__real_omp_get_max_threads) get_max_threads = __real_omp_get_max_threads;
  decltype(&__real_omp_get_num_procs) get_num_procs = __real_omp_get_num_procs;
  decltype(&__real_omp_get_thread_num) get_thread_num = __real_omp_get_thread_num;
  decltype(&__real_omp_in_parallel) in_parallel = __real_omp_in_parallel;
};

template <typename Function>
bool find_in(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  return function != nullptr;
}

Runtime choose_runtime() {
  // Found only if it is loaded. Its names are those of all that it was linked with, whatever file
  // torch's runtime is in; and since it stays loaded, so does that.
  void* torch = dlopen("libtorch_cpu.so", RTLD_LAZY | RTLD_NOLOAD);
  Runtime runtime;
  const bool found = torch != nullptr && find_in(torch, "GOMP_parallel", runtime.parallel) &&
                     find_in(torch, "omp_get_max_threads", runtime.get_max_threads) &&
                     find_in(torch, "omp_get_num_procs", runtime.get_num_procs) &&
                     find_in(torch, "omp_get_thread_num", runtime.get_thread_num) &&
                     find_in(torch, "omp_in_parallel", runtime.in_parallel);
  return found ? runtime : Runtime();
}

std::atomic<const Runtime*> kept{nullptr};

// Kept from the first region on: what one runtime began must not ask another one for its thread's
// number. To ask before that, for the number of threads, say, decides nothing.
const Runtime& keep_runtime() {
  static const Runtime chosen = choose_runtime();
  kept.store(&chosen, std::memory_order_release);
  return chosen;
}

Runtime runtime() {
  const Runtime* chosen = kept.load(std::memory_order_acquire);
  return chosen == nullptr ? choose_runtime() : *chosen;
}

}  // namespace

extern "C" {

[[gnu::used]] void __wrap_GOMP_parallel(void (*region)(void*), void* data, unsigned threads,
                                        unsigned flags) {
  keep_runtime().parallel(region, data, threads, flags);
}
[[gnu::used]] int __wrap_omp_get_max_threads() { return runtime().get_max_threads(); }
[[gnu::used]] int __wrap_omp_get_num_procs() { return runtime().get_num_procs(); }
[[gnu::used]] int __wrap_omp_get_thread_num() { return runtime().get_thread_num(); }
[[gnu::used]] int __wrap_omp_in_parallel() { return runtime().in_parallel(); }
}
