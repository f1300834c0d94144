// Which OpenMP runtime lends the core its threads.
//
// taut's wheel brings its own copy of GNU's, and so does torch's. Each copy has a pool of its own,
// whose threads spin for a while after their work, on processors that the other pool needs by then.
// So the linker sends the core's calls of the runtime here (--wrap), and they go to torch's copy if
// torch is there when the core first computes on several threads, else to taut's own. See
// docs/threads.md.

#include <dlfcn.h>
#include <link.h>
#include <pthread.h>

#include <atomic>
#include <cstddef>
#include <utility>

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

constexpr Runtime kOwn;

// Torch's, if torch is there. It is found only if it is loaded; and since it stays loaded, so does
// what it was linked with, whatever file its runtime is in.
const Runtime* find_torch_s() {
  void* const torch = dlopen("libtorch_cpu.so", RTLD_LAZY | RTLD_NOLOAD);
  if (torch == nullptr) return nullptr;
  static const auto [runtime, is_whole] = [&] {
    Runtime found;
    const bool all = find_in(torch, "GOMP_parallel", found.parallel) &&
                     find_in(torch, "omp_get_max_threads", found.get_max_threads) &&
                     find_in(torch, "omp_get_num_procs", found.get_num_procs) &&
                     find_in(torch, "omp_get_thread_num", found.get_thread_num) &&
                     find_in(torch, "omp_in_parallel", found.in_parallel);
    return std::pair(found, all);
  }();
  return is_whole ? &runtime : nullptr;
}

// How many libraries this process has loaded so far.
unsigned long long count_loads() {
  unsigned long long loads = 0;
  dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* count) {
        *static_cast<unsigned long long*>(count) = info->dlpi_adds;
        return 1;  // every library says the same
      },
      &loads);
  return loads;
}

// Kept from the first region on: what one runtime began must not ask another one for its thread's
// number. To ask before that, for the number of threads, say, decides nothing.
std::atomic<const Runtime*> kept{nullptr};

// A forked child computes on one thread and has nothing to decide. Nor may it look among the
// libraries: that takes a lock of the C library's, which a thread that the child does not have may
// have held when it was forked, so that it would wait for ever.
std::atomic<bool> is_forked_child{false};

[[maybe_unused]] const bool watches_forks =
    pthread_atfork(nullptr, nullptr, [] { is_forked_child = true; }) == 0;

const Runtime& runtime() {
  if (const Runtime* chosen = kept.load(std::memory_order_acquire)) return *chosen;
  if (is_forked_child.load(std::memory_order_relaxed)) return kOwn;
  // To look for torch takes longer than a small call; and only a further library can be torch's.
  static std::atomic<unsigned long long> loads_without_torch{0};
  const unsigned long long loads = count_loads();
  if (loads != loads_without_torch.load(std::memory_order_relaxed)) {
    if (const Runtime* torch_s = find_torch_s()) {
      const Runtime* none = nullptr;
      kept.compare_exchange_strong(none, torch_s, std::memory_order_acq_rel);
      return *kept.load(std::memory_order_acquire);
    }
    loads_without_torch.store(loads, std::memory_order_relaxed);
  }
  return kOwn;
}

const Runtime& keep_runtime() {
  const Runtime* chosen = nullptr;
  kept.compare_exchange_strong(chosen, &runtime(), std::memory_order_acq_rel);
  return *kept.load(std::memory_order_acquire);
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
